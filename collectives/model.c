/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/model.h"

#include <string.h>

/* shm and tcp (over loopback) as `sinew-perf calibrate` measured them on two virtual cores of an
 * EPYC, but that windows have grown, so that 16 and 32 KiB go at once, and that what TCP's messages
 * cost lies between those that are held and go together and those that go by themselves; the others
 * of a network such as one meets: orders of size, so that what is chosen without a measurement is
 * not absurd. A turn over shared memory is what one that finds nothing takes. The simulated one has
 * no processor that copies. */
static const struct link_model models[] = {
    { "shm", 45, 20, 0.025, 0.024, 16385, 50, 230, 0.01, 0.02, 0, 1400, 1 },
    { "tcp", 5000, 1500, 0.1, 0.075, 32769, 2000, 2500, 0.017, 0.0175, 0.02, 6000, 1 },
    { "verbs", 1500, 250, 0.09, 0, 16384, 2000, 250, 0.012, 0.03, 0.05, 1700, 1 },
    { "ucx", 1500, 300, 0.09, 0.03, 16384, 2000, 250, 0.012, 0.03, 0.05, 1700, 1 },
    { "ofi", 1500, 300, 0.09, 0.03, 16384, 2000, 250, 0.012, 0.03, 0.05, 1700, 1 },
    { "sim", 1100, 100, 0.10, 0, 16384, 2400, 0, 0, 0, 0, 100, 1e6 },
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

/* A word that a message is there, the answer to it, and the message. */
enum { ASKED_TURNS = 3 };

struct part {
    double rounds, messages, bytes, moved, fan, peers;
};

/* How long a message is; between two ranks several that follow each other ask as one would. */
static double message_bytes(struct part p)
{
    if (p.peers == 1) return p.bytes;
    return p.messages > 0 ? 2 * p.bytes / p.messages : 0;
}

static bool part_asks(const struct link_model *m, struct part p)
{
    return message_bytes(p) >= m->long_bytes;
}

static double part_time(const struct link_model *m, struct part p)
{
    double at_once = p.fan < m->ports ? p.fan : m->ports;
    bool asks = part_asks(m, p);
    double round = m->latency_ns + (asks ? m->long_ns : 0);
    double message = m->overhead_ns + (asks ? m->ask_ns : 0);
    double wire = p.bytes * m->byte_ns / (at_once > 1 ? at_once : 1);
    double processor = (p.moved > 0 ? p.moved : 2 * p.bytes) * m->touch_ns;
    return p.rounds * round + p.messages * message + (wire > processor ? wire : processor);
}

double model_time(const struct link_model *m, const struct link_model *near, const struct work *w,
                  uint32_t ranks, uint32_t cores)
{
    struct part far = { w->rounds, w->messages, w->bytes, w->moved, w->fan, ranks - 1.0 };
    struct part on_node = { w->near_rounds, w->near_messages, w->near_bytes, 0, 1, 0 };
    double ns = part_time(m, far) + part_time(near, on_node) + w->added * m->add_ns +
                w->staged * m->stage_ns + w->copied * m->copy_ns;
    if (cores == 0) return ns;
    double turns = part_asks(m, far) ? ASKED_TURNS * w->turns : w->turns;
    double on_a_core = ranks > cores ? (double)ranks / cores : 1;
    return (w->one_busy ? ns : ns * on_a_core) + turns * m->turn_ns * on_a_core;
}
