/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UCX_FAKE_UCX_H
#define TESTS_UCX_FAKE_UCX_H
/*
 * fake_ucx.h - a libucp of this process, in place of transport/ucx/api.c, that fails on demand
 *
 * Workers reach each other by address. Active messages are carried eagerly or by rendezvous, by
 * requests that end some progress later or at once; they may overtake each other. Endpoints end by
 * force or not, and tell of failures as UCX does: from progress, by their handler, with an error
 * for everything under way. What is used after its end, ended twice, or left, is counted.
 */
#include "transport/ucx/api.h"

enum fake_call {
    FAKE_NONE,
    FAKE_LOAD,
    FAKE_INIT,
    FAKE_WORKER,
    FAKE_HANDLER,
    FAKE_QUERY,
    FAKE_EFD,
    FAKE_ADDRESS,
    FAKE_EP,
};

enum fake_way { FAKE_AT_ONCE, FAKE_LATER, FAKE_BY_HANDLER };

struct fake_knobs {
    size_t address_len, max_header;
    enum fake_call refuses; /* with `status` */
    ucs_status_t status;
    bool prompt;       /* nothing is a request that can be done at once   */
    uint32_t disorder; /* a message overtakes so many others at the most  */
    bool held;         /* nothing is delivered or fetched                 */
    int idle;          /* so many looks from now on find nothing          */
    bool unheard;      /* what has come does not keep a worker from sleeping */
    bool stuck;        /* what is closed never ends, nor what it has      */
    int fail_at;       /* the n-th call, or allocation, from now on; 0: none */
    int send_fails;    /* the n-th send from now on, with `status`        */
    enum fake_way way;
    int fetch_fails;   /* likewise a fetch */
    /* Sees, and may change, what is sent; the length too, downwards. False: it is lost. */
    bool (*mangle)(uint8_t *bytes, size_t *len, bool *fetched);
    int copies; /* of the next message, beside itself */
};

struct fake_stats {
    int objects, misuses, sends, requests, fetches, overtakes;
    char misuse[128];
};

extern struct fake_knobs fake_knobs;
struct fake_stats fake_stats(void);
void fake_reset(void);
/* Every endpoint of the n-th worker that was made since fake_reset(), or of any (-1), fails. */
void fake_fail(int worker, ucs_status_t status);
/* An active message out of nowhere. */
void fake_inject(int worker, const void *header, size_t header_len, const void *bytes, size_t len);

#endif
