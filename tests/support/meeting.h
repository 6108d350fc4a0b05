/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_MEETING_H
#define TESTS_SUPPORT_MEETING_H
/*
 * meeting.h - ranks of one process, or of processes that share a struct meeting, find each other
 * over shared memory, with no launcher
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "sinew/sinew.h"

enum { MEETING_RANKS = 4, MEETING_RECORD = 64 };

struct meeting {
    pthread_barrier_t barrier; /* of all ranks */
    unsigned char records[MEETING_RANKS][MEETING_RECORD];
};

struct rank {
    struct meeting *meeting;
    struct sinew_exchange exchange; /* rank and size */
    struct sinew *s;
    const char *settings; /* or NULL */
};

static inline int meeting_allgather(void *arg, const void *mine, size_t len, void *all)
{
    struct rank *r = arg;
    if (len > MEETING_RECORD || r->exchange.size > MEETING_RANKS) return SINEW_EINVAL;
    memcpy(r->meeting->records[r->exchange.rank], mine, len);
    pthread_barrier_wait(&r->meeting->barrier);
    for (int i = 0; i < r->exchange.size; i++)
        memcpy((char *)all + (size_t)i * len, r->meeting->records[i], len);
    pthread_barrier_wait(&r->meeting->barrier);
    return 0;
}

/* Of a struct rank, in a thread or process of its own: all wait for each other. s: NULL when it
 * failed, which is said. */
static inline void *meeting_open(void *arg)
{
    struct rank *r = arg;
    struct sinew_options o = SINEW_OPTIONS_INIT;
    o.transports = "shm";
    o.environment = SINEW_IGNORE;
    o.settings = r->settings;
    r->exchange.allgather = meeting_allgather;
    r->exchange.arg = r;
    o.exchange = &r->exchange;
    if (sinew_open(&o, &r->s) < 0)
        fprintf(stderr, "rank %d: %s\n", r->exchange.rank, sinew_why(NULL));
    return NULL;
}

#endif
