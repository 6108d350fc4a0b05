/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_VERBS_FAKE_INTERNAL_H
#define TESTS_VERBS_FAKE_INTERNAL_H
/* fake_internal.h - the objects behind the handles; one lock is over all of them */
#include <pthread.h>
#include <stdbool.h>

#include "tests/verbs/fake_verbs.h"

enum { FAKE_MRS = 16384, FAKE_QPS = 1 << 14, FAKE_EVENTS = 64, FAKE_INLINE = 512 };

struct fake_context {
    struct ibv_context base;
    struct fake_context *next;
    int users;
    struct ibv_async_event events[FAKE_EVENTS];
    unsigned events_from, events_to;
};

struct fake_pd {
    struct ibv_pd base;
    int users;
};

struct fake_mr {
    struct ibv_mr base;
    int access;
};

struct fake_channel {
    struct ibv_comp_channel base;
    struct ibv_cq *cq;
};

struct fake_cq {
    struct ibv_cq base;
    struct ibv_wc *wc; /* cqe of them */
    uint32_t from, to;
    bool armed;
    int users;
    unsigned events, acked;
};

struct fake_receive {
    uint64_t id;
    struct ibv_sge sge;
};

struct fake_receives {
    struct fake_receive *wr; /* cap of them */
    uint32_t cap, from, to;
};

struct fake_srq {
    struct ibv_srq base;
    struct fake_receives receives;
    int users;
};

struct fake_send {
    struct ibv_send_wr wr;
    struct ibv_sge sge;
    enum ibv_wc_status fails; /* it completes so */
    uint8_t inlined[FAKE_INLINE];
};

struct fake_qp {
    struct ibv_qp base;
    struct ibv_qp_cap cap;
    struct fake_send *sends; /* cap.max_send_wr of them, by number           */
    uint32_t reclaimed, from, to; /* places given back; done; posted          */
    struct fake_receives receives;
    int access;
    union ibv_gid to_address;
    uint32_t to_number, rq_psn, sq_psn;
};

struct fake {
    pthread_mutex_t lock;
    struct ibv_device devices[FAKE_DEVICES];
    struct fake_context *contexts;
    struct fake_mr *mr[FAKE_MRS];
    struct fake_qp *qp[FAKE_QPS], *last_qp;
    uint32_t key_tag, qp_tag, mrs;
    uint64_t pinned;
    uint32_t qp_most; /* qp[] is empty from here on */
    bool held;        /* nothing moves              */
    struct fake_stats stats;
};

extern struct fake fake;

__attribute__((format(printf, 1, 2))) void fake_misuse(const char *format, ...);
void fake_event_locked(struct fake_context *c, const struct ibv_async_event *event);

bool fake_fails(void); /* one of the calls that may be told to; the lock is held */
/* An object, and the lock is held; or NULL, and it is not. */
void *fake_make(size_t size);
int fake_destroyed(void *object); /* and the lock is given back */

/* fake_cm.c */
int fake_cm_load(struct cm_api *api, struct why *why);

/* fake_wire.c, under the lock */
void receives_make(struct fake_receives *receives, uint32_t cap);
int send_post(struct fake_qp *qp, const struct ibv_send_wr *wr); /* 0 or errno */
void pair_fail(struct fake_qp *qp);
void fake_run_locked(void);
void fake_reclaim(const struct ibv_wc *wc);

#endif
