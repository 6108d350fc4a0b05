/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_OFI_FAKE_OFI_H
#define TESTS_OFI_FAKE_OFI_H
/*
 * fake_ofi.h - a libfabric of this process, in place of transport/ofi/api.c, that fails on demand
 *
 * One provider, whose nature the knobs say, beside others that each lack something. Endpoints reach
 * each other by number. What is under way ends in some read of the completion queue; what is used
 * after its end, sent from memory that is not registered where that is asked for, or left, is
 * counted.
 */
#include <stdbool.h>
#include <stdint.h>

#include "transport/ofi/api.h"

enum fake_call {
    FAKE_NONE,
    FAKE_LOAD,
    FAKE_GETINFO,
    FAKE_FABRIC,
    FAKE_DOMAIN,
    FAKE_AV,
    FAKE_CQ,
    FAKE_ENDPOINT,
    FAKE_BIND,
    FAKE_ENABLE,
    FAKE_NAME,
    FAKE_RECV,
    FAKE_INSERT,
};

struct fake_knobs {
    /* what the provider is like */
    bool device;    /* makes keys, wants memory registered, takes registrations back at once */
    bool plain;     /* neither buffers for many messages, nor one-sided operations */
    bool tagged;    /* has tagged messages alone */
    bool wordless;  /* has no atomic operations */
    bool sleepless; /* has no descriptor to wait for */
    size_t queue;   /* the longest that there is; 0: any */
    int slower;     /* so many others come before it that would do, and are slower */
    /* what fails */
    enum fake_call refuses; /* with `error` */
    int error;              /* an FI_E… */
    int fail_at;            /* the n-th call, or allocation, from now on; 0: none */
    int send_fails;         /* the n-th send from now on, with `error` … */
    bool later;             /* … in its completion */
    int move_fails;         /* likewise a read, write or atomic operation */
    int busy;               /* each n-th send is told to come again; 0: none */
    uint32_t disorder;      /* a message overtakes so many others at the most */
    bool held;              /* nothing is delivered, nothing ends */
    bool broken;            /* the completion queue is none any more */
};

struct fake_stats {
    int objects, misuses, sends, reads, writes, atomics, overtakes;
    int addresses; /* inserted, and not removed */
};

extern struct fake_knobs fake_knobs;
struct fake_stats fake_stats(void);
void fake_reset(void);

#endif
