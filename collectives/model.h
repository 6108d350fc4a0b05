/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_MODEL_H
#define COLLECTIVES_MODEL_H
/*
 * model.h - what a collective takes over a kind of link: LogGOP, of work that was counted
 *
 *   rounds x L + messages x o + added and copied bytes, each at its price
 *   + bytes x G on the wire, or bytes sent and received x O by the processor: whichever is more
 *   + rounds x R + messages x their asking, where they are so long that they are announced first
 *   where ranks take turns on few cores, a core does what each of its ranks has to do, unless there
 *   is a root; + turns x ranks on a core x what a turn takes, three of them if announced
 *
 * It is for telling algorithms apart, not for forecasts: who shares a cache or a wire is not in it.
 * A rule file (rules.h) may bring a measured one.
 */
#include "collectives/collective.h"

enum { LINK_NAME_MAX = 16 };

struct link_model {
    char name[LINK_NAME_MAX];
    double latency_ns, overhead_ns, byte_ns; /* L, o, G                            */
    double touch_ns;                         /* O: of a byte sent, and of one received */
    double long_bytes, long_ns;              /* from this length on a round costs R more */
    double ask_ns;                           /* and each end of a message this     */
    double add_ns, copy_ns;                  /* a byte                             */
    /* a byte that is put somewhere before it is added; 0: it is added as it comes */
    double stage_ns;
    double turn_ns;                          /* of one rank on its core            */
    double ports; /* peers with whom bytes go at full speed at the same time */
};

/* The built-in one of that name, or tcp's. */
const struct link_model *link_model_find(const char *name);
/* They, from i = 0 until NULL. */
const struct link_model *link_model_at(uint32_t i);

/* ns; `near` is the link on the node, for what is counted as such. Ranks that take turns on so few
 * cores; 0: each has one. */
double model_time(const struct link_model *m, const struct link_model *near, const struct work *w,
                  uint32_t ranks, uint32_t cores);

#endif
