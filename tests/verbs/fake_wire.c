/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_wire.c - what happens to a work request between two queue pairs
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/verbs/fake_internal.h"

void receives_make(struct fake_receives *receives, uint32_t cap)
{
    receives->cap = cap;
    receives->wr = cap ? calloc(cap, sizeof(*receives->wr)) : NULL;
}

/* ---- completions ----------------------------------------------------------------------------- */

static void complete(struct ibv_cq *base, const struct ibv_wc *wc)
{
    struct fake_cq *cq = (struct fake_cq *)base;
    uint64_t one = 1;
    if (cq->to - cq->from == (uint32_t)base->cqe) {
        fake.stats.overruns++;
        return;
    }
    cq->wc[cq->to++ % (uint32_t)base->cqe] = *wc;
    if (!cq->armed) return;
    cq->armed = false;
    ((struct fake_channel *)base->channel)->cq = base;
    if (write(base->channel->fd, &one, sizeof(one)) < 0) abort();
}

static void complete_send(struct fake_qp *qp, const struct fake_send *s, enum ibv_wc_status status)
{
    if (status == IBV_WC_SUCCESS && !(s->wr.send_flags & IBV_SEND_SIGNALED)) return;
    complete(qp->base.send_cq, &(struct ibv_wc){ .wr_id = s->wr.wr_id,
                                                 .status = status,
                                                 .vendor_err = status ? 0x81 : 0,
                                                 .qp_num = qp->base.qp_num,
                                                 .opcode = IBV_WC_SEND });
}

/* s: what came, len bytes of it; NULL: nothing */
static void complete_receive(struct fake_qp *qp, const struct fake_receive *r,
                             enum ibv_wc_status status, const struct fake_send *s, uint32_t len)
{
    bool immediate = s && s->wr.opcode == IBV_WR_SEND_WITH_IMM;
    complete(qp->base.recv_cq, &(struct ibv_wc){ .wr_id = r->id,
                                                 .status = status,
                                                 .byte_len = len,
                                                 .imm_data = immediate ? s->wr.imm_data : 0,
                                                 .wc_flags = immediate ? IBV_WC_WITH_IMM : 0,
                                                 .qp_num = qp->base.qp_num,
                                                 .opcode = IBV_WC_RECV });
}

/* A completion that was polled gives the places on the send queue back, up to its request's. */
void fake_reclaim(const struct ibv_wc *wc)
{
    struct fake_qp *qp = fake.qp[wc->qp_num & (FAKE_QPS - 1)];
    if (!qp || qp->base.qp_num != wc->qp_num || wc->opcode != IBV_WC_SEND) return;
    for (uint32_t i = qp->reclaimed; i != qp->from; i++) {
        if (qp->sends[i % qp->cap.max_send_wr].wr.wr_id != wc->wr_id) continue;
        qp->reclaimed = i + 1;
        return;
    }
}

void pair_fail(struct fake_qp *qp)
{
    if (qp->base.state == IBV_QPS_ERR) return;
    qp->base.state = IBV_QPS_ERR;
    for (; qp->from != qp->to; qp->from++)
        complete_send(qp, &qp->sends[qp->from % qp->cap.max_send_wr], IBV_WC_WR_FLUSH_ERR);
    struct fake_receives *r = &qp->receives;
    for (; !fake_knobs.no_flush && r->from != r->to; r->from++)
        complete_receive(qp, &r->wr[r->from % r->cap], IBV_WC_WR_FLUSH_ERR, NULL, 0);
}

/* ---- posting --------------------------------------------------------------------------------- */

int send_post(struct fake_qp *qp, const struct ibv_send_wr *wr)
{
    if (qp->base.state != IBV_QPS_RTS && qp->base.state != IBV_QPS_ERR) return EINVAL;
    if (qp->to - qp->reclaimed == qp->cap.max_send_wr) return ENOMEM;
    if (wr->num_sge != 1 || (fake_knobs.iwarp && wr->opcode == IBV_WR_SEND_WITH_IMM)) return EINVAL;
    struct fake_send *s = &qp->sends[qp->to % qp->cap.max_send_wr];
    s->wr = *wr;
    s->sge = *wr->sg_list;
    s->fails = IBV_WC_SUCCESS;
    if (wr->send_flags & IBV_SEND_INLINE) {
        if (s->sge.length > qp->cap.max_inline_data) return EINVAL;
        memcpy(s->inlined, (void *)(uintptr_t)s->sge.addr, s->sge.length);
        fake.stats.inlined++;
    }
    if (fake_knobs.send_fails && --fake_knobs.send_fails == 0) s->fails = fake_knobs.send_status;
    fake.stats.posts++;
    fake.stats.signalled += (wr->send_flags & IBV_SEND_SIGNALED) != 0;
    qp->to++;
    if (qp->base.state == IBV_QPS_ERR) {
        complete_send(qp, s, IBV_WC_WR_FLUSH_ERR);
        qp->from++;
    }
    return 0;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* The memory that a key gives, if all of it may be used so. */
static void *memory(uint32_t key, const struct ibv_pd *pd, uint64_t at, uint64_t len, int access)
{
    const struct fake_mr *mr = key >> 12 < FAKE_MRS ? fake.mr[key >> 12] : NULL;
    if (!mr || mr->base.lkey != key || mr->base.pd != pd || (mr->access & access) != access)
        return NULL;
    uint64_t from = (uintptr_t)mr->base.addr;
    if (at < from || len > mr->base.length || at - from > mr->base.length - len) return NULL;
    return (void *)(uintptr_t)at;
}

static void *local_memory(const struct fake_qp *qp, struct fake_send *s, int access)
{
    if (s->wr.send_flags & IBV_SEND_INLINE) return s->inlined;
    return memory(s->sge.lkey, qp->base.pd, s->sge.addr, s->sge.length, access);
}

/* ---- moving ---------------------------------------------------------------------------------- */

static bool has_address(const struct ibv_context *context, const union ibv_gid *gid)
{
    const struct fake_device *d = &fake_knobs.device[context->device - fake.devices];
    for (int i = 0; i < d->gids; i++)
        if (memcmp(&d->gid[i].gid, gid, sizeof(*gid)) == 0) return true;
    return false;
}

/* The queue pair at the other end, if packets get there. */
static struct fake_qp *other_end(const struct fake_qp *qp)
{
    struct fake_qp *to = fake.qp[qp->to_number & (FAKE_QPS - 1)];
    if (!to || to->base.qp_num != qp->to_number || to->to_number != qp->base.qp_num) return NULL;
    if (to->base.state != IBV_QPS_RTR && to->base.state != IBV_QPS_RTS) return NULL;
    if (to->rq_psn != qp->sq_psn || !has_address(to->base.context, &qp->to_address)) return NULL;
    return to;
}

static void refuse(struct fake_qp *to, enum ibv_event_type type)
{
    struct ibv_async_event event = { .event_type = type };
    event.element.qp = &to->base;
    pair_fail(to);
    fake_event_locked((struct fake_context *)to->base.context, &event);
}

static enum ibv_wc_status move_message(struct fake_qp *qp, struct fake_send *s, struct fake_qp *to)
{
    struct fake_receives *r = to->base.srq ? &((struct fake_srq *)to->base.srq)->receives
                                           : &to->receives;
    const void *from = local_memory(qp, s, 0);
    fake.stats.sends++;
    fake.stats.bare += s->wr.opcode == IBV_WR_SEND_WITH_IMM;
    if (!from) return IBV_WC_LOC_PROT_ERR;
    if (r->from == r->to) {
        fake.stats.not_ready++;
        return IBV_WC_RNR_RETRY_EXC_ERR;
    }
    struct fake_receive *place = &r->wr[r->from++ % r->cap];
    void *into = memory(place->sge.lkey, to->base.pd, place->sge.addr, s->sge.length,
                        IBV_ACCESS_LOCAL_WRITE);
    enum ibv_wc_status status = fake_knobs.receive_status;
    fake_knobs.receive_status = IBV_WC_SUCCESS;
    if (status == IBV_WC_SUCCESS && (!into || s->sge.length > place->sge.length))
        status = into ? IBV_WC_LOC_LEN_ERR : IBV_WC_LOC_PROT_ERR;
    if (status != IBV_WC_SUCCESS) {
        complete_receive(to, place, status, NULL, 0);
        pair_fail(to);
        return IBV_WC_REM_OP_ERR;
    }
    uint32_t len = s->sge.length;
    memcpy(into, from, len);
    if (fake_knobs.alter) fake_knobs.alter(into, &len);
    for (int i = 0; i <= fake_knobs.duplicates; i++)
        complete_receive(to, place, IBV_WC_SUCCESS, s, len);
    return IBV_WC_SUCCESS;
}

static enum ibv_wc_status move_memory(struct fake_qp *qp, struct fake_send *s, struct fake_qp *to)
{
    bool writes = s->wr.opcode == IBV_WR_RDMA_WRITE;
    int access = writes ? IBV_ACCESS_REMOTE_WRITE : IBV_ACCESS_REMOTE_READ;
    void *here = local_memory(qp, s, writes ? 0 : IBV_ACCESS_LOCAL_WRITE);
    void *there = memory(s->wr.wr.rdma.rkey, to->base.pd, s->wr.wr.rdma.remote_addr, s->sge.length,
                         access);
    fake.stats.writes += writes;
    fake.stats.reads += !writes;
    if (!here) return IBV_WC_LOC_PROT_ERR;
    if (!there || !(to->access & access)) {
        refuse(to, IBV_EVENT_QP_ACCESS_ERR);
        return IBV_WC_REM_ACCESS_ERR;
    }
    if (writes)
        memcpy(there, here, s->sge.length);
    else
        memcpy(here, there, s->sge.length);
    return IBV_WC_SUCCESS;
}

static enum ibv_wc_status update(struct fake_qp *qp, struct fake_send *s, struct fake_qp *to)
{
    uint64_t at = s->wr.wr.atomic.remote_addr, now;
    uint64_t *there = memory(s->wr.wr.atomic.rkey, to->base.pd, at, 8, IBV_ACCESS_REMOTE_ATOMIC);
    void *here = local_memory(qp, s, IBV_ACCESS_LOCAL_WRITE);
    if (!here || s->sge.length != 8) return IBV_WC_LOC_PROT_ERR;
    if (!there || at % 8 || !(to->access & IBV_ACCESS_REMOTE_ATOMIC)) {
        refuse(to, IBV_EVENT_QP_ACCESS_ERR);
        return IBV_WC_REM_ACCESS_ERR;
    }
    memcpy(&now, there, 8);
    memcpy(here, &now, 8);
    if (s->wr.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
        now += s->wr.wr.atomic.compare_add;
    else if (now == s->wr.wr.atomic.compare_add)
        now = s->wr.wr.atomic.swap;
    memcpy(there, &now, 8);
    return IBV_WC_SUCCESS;
}

static enum ibv_wc_status carry_out(struct fake_qp *qp, struct fake_send *s)
{
    struct fake_qp *to = other_end(qp);
    if (s->fails != IBV_WC_SUCCESS) return s->fails;
    if (!to) return IBV_WC_RETRY_EXC_ERR;
    switch (s->wr.opcode) {
    case IBV_WR_SEND:
    case IBV_WR_SEND_WITH_IMM: return move_message(qp, s, to);
    case IBV_WR_RDMA_WRITE:
    case IBV_WR_RDMA_READ: return move_memory(qp, s, to);
    default: return update(qp, s, to);
    }
}

static void run_pair(struct fake_qp *qp)
{
    while (qp->base.state == IBV_QPS_RTS && qp->from != qp->to) {
        struct fake_send *s = &qp->sends[qp->from % qp->cap.max_send_wr];
        enum ibv_wc_status status = carry_out(qp, s);
        complete_send(qp, s, status);
        qp->from++;
        if (status != IBV_WC_SUCCESS) pair_fail(qp);
    }
}

void fake_run_locked(void)
{
    if (fake.held) return;
    for (uint32_t i = 0; i < fake.qp_most; i++)
        if (fake.qp[i]) run_pair(fake.qp[i]);
}

void fake_run(void)
{
    pthread_mutex_lock(&fake.lock);
    fake_run_locked();
    pthread_mutex_unlock(&fake.lock);
}
