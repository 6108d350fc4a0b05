/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_VERBS_FAKE_VERBS_H
#define TESTS_VERBS_FAKE_VERBS_H
/*
 * fake_verbs.h - RDMA devices of this process, which really move bytes, and fail on demand
 *
 * Every context opened here is on one network. Reliable connected queue pairs between them send,
 * write, read and update, with protection domains, keys, bounds, access rights, states, packet
 * numbers, addresses, bounded queues, inline limits and completion events checked as a device
 * would. About half of what is posted is done only when somebody polls, so what must not be touched
 * before its completion is found out. Misuse that a real device would punish with silence (an
 * overrun completion queue, a receive that finds no buffer) is counted, see fake_stats.
 */
#include "transport/verbs/api.h"
#include "transport/verbs/cm.h"

enum { FAKE_DEVICES = 4, FAKE_GIDS = 8 };

struct fake_gid {
    union ibv_gid gid;
    uint32_t type;
};

struct fake_device {
    const char *name;
    enum ibv_port_state state;
    uint8_t layer;
    enum ibv_mtu mtu;
    uint16_t lid;
    int ports, gids;
    struct fake_gid gid[FAKE_GIDS];
};

/* What the devices are like; set by fake_reset() to something ordinary, then by the test. */
struct fake_knobs {
    int devices;
    struct fake_device device[FAKE_DEVICES];
    uint32_t max_inline, max_qp_wr, max_cqe, max_srq, max_srq_wr, max_message;
    int reads, reads_out; /* max_qp_rd_atom and max_qp_init_rd_atom */
    uint32_t inline_least; /* it grants that many inline bytes to who asks for fewer */
    enum ibv_atomic_cap atomic_cap;
    enum ibv_fork_status fork_status;
    int fork_init; /* what it returns */
    int open_error;
    uint64_t memlock; /* registering more fails; 0: no limit */
    bool iwarp;       /* its transport: no immediate data  */
    bool prompt;      /* everything is done when posted       */
    bool no_flush;    /* receives are not completed when a queue pair fails */
    int duplicates;   /* each receive completes that many times more        */
    union ibv_gid source; /* the answer of route_source */
    bool routed;

    /* Of the calls that make, register, connect or post receives, the fail_at-th from now on fails
     * with ENOMEM; 0: none. */
    int fail_at;
    /* The send_fails-th send posted from now on completes with this status; 0: none. */
    int send_fails;
    enum ibv_wc_status send_status;
    /* The next receive that completes does so with this status, if not SUCCESS. */
    enum ibv_wc_status receive_status;
    /* What is done to each message as it arrives, and may make it shorter; NULL: nothing. */
    void (*alter)(uint8_t *bytes, uint32_t *len);
    int event_port; /* of events of ports */
    int post_error; /* every post_send returns it; 0: none */
    bool poll_fails; /* every poll_cq                       */

    /* Of librdmacm, see fake_cm.c. */
    bool cm_absent;
    int cm_breaks; /* 1 + the event that the next failure takes the place of: */
    enum rdma_cm_event_type cm_instead;
};

struct fake_stats {
    int objects;      /* that exist                                         */
    int calls;        /* that fail_at counts                                */
    int overruns;     /* completions lost for want of room                  */
    int not_ready;    /* sends that found no receive                        */
    int misuses;      /* others; the last one:                              */
    /* bare: sends with immediate data */
    int posts, doorbells, inlined, signalled, sends, bare, writes, reads;
    char misuse[128];
    /* of the queue pair connected last */
    struct ibv_ah_attr way;
    enum ibv_mtu mtu;
    uint16_t pkey_index;
    uint8_t reads_out; /* max_rd_atomic */
};

extern struct fake_knobs fake_knobs;
struct fake_stats fake_stats(void);
void fake_reset(void); /* no objects may exist */

/* An event of the device behind every open context (of the first only, if `one`). QP events name
 * the queue pair made last. */
void fake_event(enum ibv_event_type type, bool one);
void fake_run(void);        /* do all that is posted, everywhere      */
void fake_hold(bool held);  /* nothing is done any more, until false  */

#endif
