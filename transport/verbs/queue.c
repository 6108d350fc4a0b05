/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * queue.c - the send queue of a link: work requests, their doorbell, and when they are confirmed
 *
 * A user's send is posted at once. What progress posts (answers, what has waited for room, parts of
 * puts) is chained, and one doorbell tells the device of all at the end of it: on SoftRoCE each is
 * a system call.
 *
 * wr_id of a send: | 1 bit: 1 | link 31 | number of the request 32 |
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "transport/verbs/internal.h"

uint32_t queue_room(const struct verbs_link *l)
{
    const struct verbs *t = verbs_under(l);
    uint32_t here = l->depth - (l->head - l->tail);
    uint32_t there = t->cq_size > t->cq_taken ? t->cq_size - t->cq_taken : 0;
    return here < there ? here : there;
}

/* A completion for this one? Errors complete anyway. */
static bool queue_signals(struct verbs_link *l, const struct request *r)
{
    const struct verbs *t = verbs_under(l);
    const struct pool *slots = r->small ? &t->small : &t->large;
    uint32_t every = l->depth / 4 < VERBS_SIGNAL ? l->depth / 4 : VERBS_SIGNAL;
    bool scarce = slots->free < pool_count(slots) / 2 || t->cq_taken > t->cq_size / 2;
    bool wanted = r->signal || scarce;
    l->unsignalled++;
    if (!wanted && l->unsignalled < every) return false;
    l->unsignalled = 0;
    return true;
}

static void queue_fill(struct verbs_link *l, const struct request *r, struct ibv_send_wr *wr,
                       struct ibv_sge *sge)
{
    const struct verbs *t = verbs_under(l);
    bool sends =
        r->opcode == IBV_WR_SEND || r->opcode == IBV_WR_RDMA_WRITE; /* bare ones are long */
    *sge = r->sge; /* all fields that differ; the others are zero for ever */
    wr->next = NULL;
    wr->wr_id = UINT64_C(1) << 63 | (uint64_t)l->id << 32 | l->head;
    wr->sg_list = sge;
    wr->num_sge = 1;
    wr->opcode = r->opcode;
    wr->imm_data = htonl(r->immediate);
    wr->send_flags = queue_signals(l, r) ? IBV_SEND_SIGNALED : 0;
    if (sends && sge->length <= t->inline_max) wr->send_flags |= IBV_SEND_INLINE;
    if (r->kind == ENTRY_ATOMIC) {
        wr->wr.atomic.remote_addr = r->remote;
        wr->wr.atomic.rkey = r->rkey;
        wr->wr.atomic.compare_add = r->compare;
        wr->wr.atomic.swap = r->operand;
    } else {
        wr->wr.rdma.remote_addr = r->remote;
        wr->wr.rdma.rkey = r->rkey;
    }
}

int queue_post(struct verbs_link *l, const struct request *r)
{
    struct verbs *t = verbs_under(l);
    if (t->chain_n > 0 && (t->chain_link != l || t->chain_n == VERBS_CHAIN)) queue_ring(t);
    if (l->state == VERBS_ENDING) return l->status < 0 ? l->status : SINEW_EPEER;
    unsigned i = t->chain_n++;
    t->chain_link = l;
    queue_fill(l, r, &t->chain[i], &t->chain_sge[i]);
    if (i > 0) t->chain[i - 1].next = &t->chain[i];
    l->queue[l->head & (VERBS_QUEUE - 1)] = (struct queue_entry){
        .kind = (uint8_t)r->kind,
        .small = r->small,
        .slot = r->slot,
        .len = r->before + r->sge.length,
        .to = r->to,
        .work = r->work,
    };
    l->head++;
    t->cq_taken++;
    if (t->in_progress) return 0;
    queue_ring(t);
    if (l->state < VERBS_ENDING) return 0;
    l->head--; /* it was alone, and refused */
    t->cq_taken--;
    return l->status;
}

void queue_ring(struct verbs *t)
{
    struct verbs_link *l = t->chain_link;
    struct ibv_send_wr *bad = NULL;
    if (t->chain_n == 0) return;
    t->chain_n = 0;
    t->chain_link = NULL;
    if (l->state >= VERBS_ENDING || !l->qp) return; /* it is handed back */
    int error = t->api->post_send(l->qp, t->chain, &bad);
    if (error == 0) return;
    /* Providers differ in the sign. */
    why_set(&l->base.why, SINEW_EIO, "%s: ibv_post_send: %s", l->name,
            strerror(error < 0 ? -error : error));
    link_fall(l, SINEW_EIO, GONE_BROKEN, true);
}

void queue_forget(struct verbs *t, const struct verbs_link *l)
{
    if (t->chain_link != l) return;
    t->chain_n = 0;
    t->chain_link = NULL;
}

static void entry_release(struct verbs *t, struct queue_entry *e)
{
    if (e->slot != SLOT_NONE) pool_give(e->small ? &t->small : &t->large, e->slot);
    e->slot = SLOT_NONE;
    e->kind = ENTRY_NONE;
    t->cq_taken--;
}

static void entry_confirmed(struct verbs_link *l, struct queue_entry *e)
{
    if (e->kind == ENTRY_BYE) {
        link_bye_heard(l);
    } else if (e->kind > ENTRY_BYE) {
        works_confirmed(l, e, 0);
    }
    entry_release(verbs_under(l), e);
}

void queue_confirmed(struct verbs_link *l, const struct ibv_wc *wc)
{
    uint32_t number = (uint32_t)wc->wr_id;
    if (l->queue_failed) return; /* each of those behind the first failure says so too */
    if (number - l->tail >= l->head - l->tail) {
        verbs_under(l)->strays++;
        return;
    }
    while (l->tail != number) entry_confirmed(l, &l->queue[l->tail++ & (VERBS_QUEUE - 1)]);
    struct queue_entry *e = &l->queue[number & (VERBS_QUEUE - 1)];
    if (wc->status == IBV_WC_SUCCESS) {
        entry_confirmed(l, e);
        l->tail++;
        return;
    }
    l->queue_failed = true; /* it and what follows is not confirmed */
    if (l->state < VERBS_ENDING) {
        int status = trouble_completion(l, wc);
        if (e->kind > ENTRY_BYE) works_confirmed(l, e, status);
        link_fall(l, status == SINEW_EACCESS ? SINEW_EPEER : status, GONE_BROKEN, true);
    }
}

void queue_release(struct verbs_link *l)
{
    for (; l->tail != l->head; l->tail++)
        entry_release(verbs_under(l), &l->queue[l->tail & (VERBS_QUEUE - 1)]);
}

uint32_t queue_slots(const struct verbs_link *l, uint32_t slot[VERBS_QUEUE])
{
    uint32_t n = 0;
    for (uint32_t i = l->tail; i != l->head; i++) {
        const struct queue_entry *e = &l->queue[i & (VERBS_QUEUE - 1)];
        if (e->slot != SLOT_NONE) slot[n++] = e->slot | (uint32_t)e->small << 31;
    }
    return n;
}
