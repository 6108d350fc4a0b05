/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/model.h"

#include <string.h>

/* Of two virtual cores of an EPYC, and of a network such as one meets: orders of size, so that what
 * is chosen without a measurement is not absurd. */
static const struct link_model models[] = {
    { "shm", 120, 90, 0.11, 16384, 900, 0.12, 0.08, 1700, 1 },
    { "tcp", 5000, 1500, 0.30, 16384, 9000, 0.12, 0.08, 3000, 1 },
    { "verbs", 1500, 250, 0.09, 16384, 2500, 0.12, 0.08, 1700, 1 },
    { "ucx", 1500, 300, 0.09, 16384, 2500, 0.12, 0.08, 1700, 1 },
    { "ofi", 1500, 300, 0.09, 16384, 2500, 0.12, 0.08, 1700, 1 },
    { "sim", 1100, 100, 0.10, 16384, 2400, 0, 0, 100, 1e6 },
};

const struct link_model *link_model_at(uint32_t i)
{
    return i < sizeof(models) / sizeof(models[0]) ? &models[i] : NULL;
}

const struct link_model *link_model_find(const char *name)
{
    const struct link_model *m;
    for (uint32_t i = 0; (m = link_model_at(i)); i++)
        if (!strcmp(m->name, name)) return m;
    return &models[1];
}

static double part_time(const struct link_model *m, double rounds, double messages, double bytes,
                        double fan)
{
    double at_once = fan < m->ports ? fan : m->ports;
    double each = messages > 0 ? 2 * bytes / messages : 0;
    double round = m->latency_ns + (each >= m->long_bytes ? m->long_ns : 0);
    return rounds * round + messages * m->overhead_ns +
           bytes * m->byte_ns / (at_once > 1 ? at_once : 1);
}

double model_time(const struct link_model *m, const struct link_model *near, const struct work *w,
                  uint32_t ranks, bool crowded)
{
    double ns = part_time(m, w->rounds, w->messages, w->bytes, w->fan) +
                part_time(near, w->near_rounds, w->near_messages, w->near_bytes, 1) +
                w->added * m->add_ns + w->copied * m->copy_ns;
    return crowded ? ns + w->turns * m->turn_ns * ranks : ns;
}
