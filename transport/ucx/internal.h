/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_UCX_INTERNAL_H
#define TRANSPORT_UCX_INTERNAL_H
/*
 * internal.h - how the files of this folder fit together
 *
 *   ucx.c       the table of operations; open, close, reach, progress, sleeping
 *   api.c       libucp as a table                 module.c    what the module exports
 *   carry.c     endpoints; frames out and in, what is fetched
 *
 * Links, frames, order, confirmation: transport/framed, whose fabric this is. Everything between
 * two ends is active messages. Those that UCX carries in one piece (eager) are frames; long puts
 * are a frame whose data the target fetches straight into the region, by UCX's rendezvous, after it
 * has looked at the key (docs/decisions/ucx-by-active-messages.md).
 */
#include "transport/framed/framed.h"
#include "transport/sleeper.h"
#include "transport/ucx/api.h"

enum {
    UCX_LONG = 65536, /* puts from here on are fetched */
    UCX_LOOKS = 8,    /* … for one message, before all else is looked at */
    UCX_POLLS = 16,   /* of UCX in one look */
    UCX_PUSHES = 4,   /* … and in one send() that it did not take to the wire at once */
};

struct ucx {
    struct framed base;
    struct ucx_api api;
    bool loaded; /* api */
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_address_t *address;
    int efd;
    struct sleeper sleeper;
    bool armed;
    ucp_request_param_t eager; /* what it is told of every frame that goes as it is */
};

static inline struct ucx *ucx_of(struct framed *t)
{
    return (struct ucx *)(void *)t;
}

/* carry.c */
extern const struct fabric fabric_ucx;
ucs_status_t carry_heard(void *arg, const void *header, size_t header_len, void *data, size_t len,
                         const ucp_am_recv_param_t *param);
/* Before anything is sent. */
void carry_ready(struct ucx *t);
/* Before the worker goes. */
void carry_forget_closing(struct ucx *t);

#endif
