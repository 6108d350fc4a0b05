/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * message.c - messages and their credits, both ways (internal.h draws the header)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/copy.h"
#include "base/wire.h"
#include "transport/verbs/internal.h"

enum { LIMIT_AHEAD_MAX = 65536 + 1024 };

/* ---- out ------------------------------------------------------------------------------------- */

static struct pool *pool_for(struct verbs *t, bool small)
{
    return small ? &t->small : &t->large;
}

static void header_encode(struct verbs_link *l, uint8_t *out, enum verbs_kind kind, size_t hlen)
{
    l->told = l->returned + l->window;
    wire_put32(out, ++l->sequence);
    wire_put32(out + 4, l->told);
    wire_put32(out + 8, (uint32_t)l->theirs.attempt);
    wire_put16(out + 12, (uint16_t)l->controls_received);
    out[14] = (uint8_t)kind;
    out[15] = (uint8_t)hlen;
}

static bool message_has_room(const struct verbs_link *l)
{
    const struct verbs *t = verbs_under(l);
    return l->sent != l->allowed && queue_room(l) > VERBS_RESERVE + VERBS_CHUNKS &&
           t->large.free > 0 && t->small.free > VERBS_RESERVE;
}

bool message_room(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    if (t->large.free == 0) pool_grow(&t->large, NULL);
    if (t->small.free <= VERBS_RESERVE) pool_grow(&t->small, NULL);
    return message_has_room(l);
}

static struct head head_read(const uint8_t *at)
{
    return (struct head){ wire_get64(at), wire_get64(at + 8) };
}

/* The whole is in the slot, for it may have to be handed back; but header and head may stay
 * there. */
static void message_strip(struct verbs_link *l, const void *head, size_t hlen, size_t blen,
                          struct request *r)
{
    if (hlen != VERBS_HEAD) return;
    struct head now = head_read(head);
    if (blen >= VERBS_BARE_LEAST && bare_may(l, &now, blen, &r->immediate)) {
        r->opcode = IBV_WR_SEND_WITH_IMM;
        r->before = VERBS_HEADER + VERBS_HEAD;
        r->sge.addr += r->before;
        r->sge.length -= r->before;
    }
    l->last_out = now;
}

/* One header, and what follows it. AGAIN: there is no slot; < 0: the link ends. */
static int message_post(struct verbs_link *l, enum verbs_kind kind, const void *head, size_t hlen,
                         const void *body, size_t blen)
{
    struct verbs *t = verbs_under(l);
    size_t len = VERBS_HEADER + hlen + blen;
    bool small = len <= VERBS_SLOT_SMALL;
    uint32_t index = pool_take(pool_for(t, small));
    if (index == SLOT_NONE) return TRANSPORT_AGAIN;
    const struct slot *slot = &pool_for(t, small)->slots[index];
    struct request r = {
        .kind = kind == VERBS_BYE       ? ENTRY_BYE
                : kind == VERBS_MESSAGE ? ENTRY_MESSAGE
                                        : ENTRY_CREDIT,
        .opcode = IBV_WR_SEND,
        .small = small,
        .signal = kind == VERBS_BYE,
        .slot = index,
        .sge = { (uintptr_t)slot->at, (uint32_t)len, slot->lkey },
    };
    if (kind == VERBS_MESSAGE) message_strip(l, head, hlen, blen, &r);
    header_encode(l, slot->at, kind, hlen);
    copy_line(slot->at + VERBS_HEADER, head, hlen);
    if (blen) copy_short(slot->at + VERBS_HEADER + hlen, body, blen);
    int status = queue_post(l, &r);
    if (status < 0) pool_give(pool_for(t, small), index);
    return status;
}

int verbs_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
               struct region *region, uint64_t cookie)
{
    struct verbs_link *l = verbs_link_of(base);
    (void)region;
    (void)cookie;
    if (__builtin_expect(l->state != VERBS_UP, 0)) {
        if (l->state < VERBS_UP) {
            l->wants_room = true;
            return TRANSPORT_AGAIN;
        }
        return l->status < 0 ? l->status : SINEW_EPEER;
    }
    if (hlen > TRANSPORT_HEAD_MAX || blen > VERBS_EAGER_MAX)
        return why_set(&base->transport->why, SINEW_EINVAL,
                       "a message of %zu + %zu bytes; at most %d + %d go at once", hlen, blen,
                       TRANSPORT_HEAD_MAX, VERBS_EAGER_MAX);
    int status = message_has_room(l) || message_room(l)
                     ? message_post(l, VERBS_MESSAGE, head, hlen, body, blen)
                     : TRANSPORT_AGAIN;
    if (__builtin_expect(status == 0, 1)) {
        l->sent++;
        return 0;
    }
    if (status == TRANSPORT_AGAIN) {
        l->wants_room = true;
        if (list_empty(&l->of_waiting)) list_append(&verbs_under(l)->waiting, &l->of_waiting);
    }
    return status;
}

/* What a link of each rank that has none yet will need stays free. */
static bool window_may_grow(const struct verbs_link *l, uint32_t more)
{
    const struct verbs *t = verbs_under(l);
    uint32_t size = (uint32_t)t->base.opt.size;
    uint64_t others = size > t->links_count ? size - t->links_count : 0;
    uint64_t receives = more + others * (VERBS_WINDOW + VERBS_RESERVE); /* it is not one of a few */
    uint64_t bytes = t->budget.registered + receives * VERBS_SLOT;
    uint64_t shared = t->srq ? t->shared_promised + receives : 0;
    return t->cq_taken + receives + others * VERBS_RESERVE <= t->cq_size &&
           bytes <= t->budget.limit && shared <= t->shared_most;
}

static void window_grow(struct verbs_link *l)
{
    uint32_t more = l->window_most - l->window;
    if (more > l->window) more = l->window;
    if (more == 0 || !window_may_grow(l, more)) return;
    l->window += more;
    if (receives_post(l) == 0) return;
    l->window = l->window_most = l->posted - VERBS_RESERVE; /* it is as large as can be */
    l->base.why.text[0] = '\0';
}

void message_credit(struct verbs_link *l)
{
    uint32_t owed = l->returned + l->window - l->told;
    if (owed == 0 || owed < l->window / 2 || l->state < VERBS_UP || l->state > VERBS_DRAINING)
        return;
    window_grow(l);
    if (l->bye_posted || l->controls_sent - l->controls_heard >= VERBS_CONTROLS) return;
    if (queue_room(l) == 0) return;
    if (message_post(l, VERBS_CREDIT, NULL, 0, NULL, 0) == 0) l->controls_sent++;
}

int message_bye(struct verbs_link *l)
{
    if (l->bye_posted) return 0;
    if (queue_room(l) == 0 || message_post(l, VERBS_BYE, NULL, 0, NULL, 0)) return SINEW_PENDING;
    l->bye_posted = true;
    return 0;
}

/* ---- receives -------------------------------------------------------------------------------- */

/* wr_id of a receive: | 1 bit: 0 | generation 16, from bit 32 | slot 32 | */
static void receive_fill(struct verbs *t, const struct verbs_link *l, uint32_t index,
                         struct ibv_recv_wr *wr, struct ibv_sge *sge)
{
    struct slot *slot = &t->receives.slots[index];
    slot->generation++;
    slot->posted = true;
    slot->owner = t->srq ? 0 : l->id;
    *sge = (struct ibv_sge){ (uintptr_t)slot->at, VERBS_SLOT, slot->lkey };
    *wr = (struct ibv_recv_wr){ .wr_id = (uint64_t)slot->generation << 32 | index,
                                .sg_list = sge,
                                .num_sge = 1 };
}

/* A list of them; those from the first that was refused on are not posted. */
static int receive_post(struct verbs *t, struct verbs_link *l, struct ibv_recv_wr *wr)
{
    struct ibv_recv_wr *bad = wr;
    int error = t->srq ? t->api->post_srq_recv(t->srq, wr, &bad)
                       : t->api->post_recv(l->qp, wr, &bad);
    for (; error && bad; bad = bad->next) t->receives.slots[(uint32_t)bad->wr_id].posted = false;
    return error < 0 ? -error : error;
}

static int receives_refused(struct verbs_link *l, int error)
{
    return why_set(&l->base.why, error == ENOMEM ? SINEW_ENOMEM : SINEW_EIO,
                   "%s: posting receive %u of %u: %s", l->name, l->posted + 1,
                   l->window + VERBS_RESERVE, strerror(error));
}

int receives_post(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    uint32_t want = l->window + VERBS_RESERVE;
    if (t->cq_taken + want + VERBS_RESERVE > t->cq_size)
        return why_set(&l->base.why, SINEW_ELIMIT,
                       "%s: the completion queue has %u places, %u are taken: fewer peers, a "
                       "smaller verbs_credits, or shared receives (verbs_srq=1)", l->name,
                       t->cq_size, t->cq_taken);
    while (l->posted < want) {
        /* What links that ended have left on the shared queue comes first. */
        if (t->srq && t->shared_posted > t->shared_promised) {
            t->shared_promised++;
            l->posted++;
            continue;
        }
        if (t->receives.free == 0) {
            int status = pool_grow(&t->receives, &l->base.why);
            if (status < 0) return why_wrap(&l->base.why, status, "%s", l->name);
        }
        uint32_t index = pool_take(&t->receives);
        struct ibv_recv_wr wr;
        struct ibv_sge sge;
        receive_fill(t, l, index, &wr, &sge);
        int error = t->srq && t->shared_posted == t->shared_most ? ENOMEM
                                                                 : receive_post(t, l, &wr);
        if (error) {
            t->receives.slots[index].posted = false;
            t->receives.slots[index].owner = 0;
            pool_give(&t->receives, index);
            return receives_refused(l, error);
        }
        l->posted++;
        t->cq_taken++;
        if (t->srq) {
            t->shared_posted++;
            t->shared_promised++;
        }
    }
    return 0;
}

/* The queue pair is gone: the device writes into its slots no more. */
void receives_release(struct verbs *t, uint32_t id, uint32_t posted)
{
    if (t->srq) {
        t->shared_promised -= posted;
        return;
    }
    t->cq_taken -= posted;
    for (uint32_t i = 0; posted > 0 && i < pool_count(&t->receives); i++) {
        struct slot *slot = &t->receives.slots[i];
        if (slot->owner != id) continue;
        slot->owner = 0;
        slot->posted = false;
        pool_give(&t->receives, i);
        posted--;
    }
}

/*
 * A slot that was read goes back to the device with others of its link, when nothing else is there
 * to do: not between a message and the answer to it.
 */
void receives_return(struct verbs *t)
{
    struct verbs_link *l = t->again_link;
    unsigned n = t->again_n, credited = t->again_credited;
    if (n == 0) return;
    t->again_n = t->again_credited = 0;
    t->again_link = NULL;
    int error = receive_post(t, l, t->again);
    if (error && l->state < VERBS_ENDING) {
        receives_refused(l, error);
        link_fall(l, SINEW_EIO, GONE_BROKEN, true);
    }
    if (error) return;
    l->returned += credited;
    if (l->returned + l->window - l->told >= l->window / 2) link_make_due(l);
}

/* So few that the peer is never without credit for it. */
static unsigned again_most(const struct verbs_link *l)
{
    return l->window < 4 ? 1 : l->window / 4 < VERBS_AGAIN ? l->window / 4 : VERBS_AGAIN;
}

/* Of a shared queue, and no link's any more. */
static void receive_give_back(struct verbs *t, uint32_t index)
{
    struct ibv_recv_wr wr;
    struct ibv_sge sge;
    if (!t->srq) return; /* it goes with its queue pair */
    receive_fill(t, NULL, index, &wr, &sge);
    receive_post(t, NULL, &wr);
}

/* The slot is free again, and, if credited, is what the peer's credit stands for. */
static void receive_again(struct verbs *t, struct verbs_link *l, uint32_t index, bool credited)
{
    if (l->state >= VERBS_ENDING) {
        receive_give_back(t, index);
        return;
    }
    if (t->again_n > 0 && t->again_link != l) receives_return(t);
    unsigned i = t->again_n++;
    receive_fill(t, l, index, &t->again[i], &t->again_sge[i]);
    if (i > 0) t->again[i - 1].next = &t->again[i];
    t->again_link = l;
    t->again_credited += credited;
    if (t->again_n >= again_most(l)) receives_return(t);
    if (l->wants_room && list_empty(&l->of_waiting)) list_append(&t->waiting, &l->of_waiting);
}

/* ---- in -------------------------------------------------------------------------------------- */

static void incoming_read(struct incoming *m, const uint8_t *at, uint32_t len)
{
    m->sequence = wire_get32(at);
    m->limit = wire_get32(at + 4);
    m->attempt = wire_get32(at + 8);
    m->controls = wire_get16(at + 12);
    m->kind = at[14];
    m->hlen = at[15];
    m->head = at + VERBS_HEADER;
    m->body = m->head + m->hlen;
    m->len = len - VERBS_HEADER;
}

static int message_bad(struct verbs_link *l, const char *what)
{
    return why_set(&l->base.why, SINEW_EPROTO, "%s: message %u %s", l->name, l->heard, what);
}

/* What every header says of the other direction. */
static int message_hear(struct verbs_link *l, const struct incoming *m)
{
    uint16_t heard = (uint16_t)(m->controls - (uint16_t)l->controls_heard);
    if (m->limit - l->allowed > LIMIT_AHEAD_MAX) return message_bad(l, "takes credit back");
    if (heard > l->controls_sent - l->controls_heard)
        return message_bad(l, "has heard of credits that were never sent");
    l->controls_heard += heard;
    l->allowed = m->limit;
    return 0;
}

/* What messaging waits for, if m is that, and may be taken with no upcall. */
static struct expect *message_expected(const struct verbs_link *l, const struct incoming *m)
{
    const struct verbs *t = verbs_under(l);
    struct expect *e = l->base.expect;
    bool next = m->sequence == l->heard + 1 && m->attempt == (uint32_t)l->attempt;
    if (!e || t->budget_left < TRANSPORT_UPCALLS_MAX || t->takes_left == 0) return NULL;
    if (l->state != VERBS_UP || !next || m->kind != VERBS_MESSAGE || m->hlen != VERBS_HEAD ||
        m->len < VERBS_HEAD)
        return NULL;
    struct head head = head_read(m->head);
    return !((head.word ^ e->word) & e->mask) && head.key == e->key ? e : NULL;
}

static void message_give(struct verbs_link *l, const struct incoming *m, struct expect *e)
{
    struct verbs *t = verbs_under(l);
    e->len = m->len - VERBS_HEAD;
    e->word = wire_get64(m->head);
    e->is_short = false;
    e->done = true;
    copy_short(e->buf, m->body, e->len < e->cap ? e->len : e->cap);
    l->base.expect = e->next;
    t->took = l;
    t->takes_left--;
}

/* e: where it is expected, or NULL */
static int message_take(struct verbs_link *l, const struct incoming *m, struct expect *e)
{
    struct verbs *t = verbs_under(l);
    switch (m->kind) {
    case VERBS_MESSAGE:
        if (m->hlen > TRANSPORT_HEAD_MAX || m->hlen > m->len)
            return message_bad(l, "has an impossible head");
        if (l->received == l->told) return message_bad(l, "came without credit");
        l->received++;
        if (m->hlen == VERBS_HEAD) l->last_in = head_read(m->head);
        if (e) {
            message_give(l, m, e);
            return 0;
        }
        t->budget_left--;
        l->base.expect = NULL; /* by now it may expect another */
        if (t->base.up->recv(&l->base, m->head, m->hlen, m->body, m->len - m->hlen, NULL) < 0)
            return message_bad(l, "was refused: its bytes break the protocol");
        return 0;
    case VERBS_CREDIT:
    case VERBS_BYE:
        if (m->len || m->hlen) return message_bad(l, "is longer than its kind");
        l->controls_received += m->kind == VERBS_CREDIT;
        if (m->kind == VERBS_BYE) link_peer_left(l);
        return 0;
    default: return message_bad(l, "is of no known kind");
    }
}

static bool message_is_wanted(struct verbs_link *l)
{
    if (l->peer_left) return false;
    return (l->state >= VERBS_PAIRED && l->state <= VERBS_DRAINING) ||
           (l->state == VERBS_ENDING && l->hand_up);
}

/* True: it is new, and its slot stands for credit. */
static bool message_judge(struct verbs_link *l, const struct incoming *m, struct expect *e)
{
    struct verbs *t = verbs_under(l);
    int status = 0;
    if (m->attempt != (uint32_t)l->attempt) {
        t->strays++;
        return false;
    }
    if (m->sequence - l->heard - 1 >= 1u << 31) {
        t->duplicates++;
        return false;
    }
    if (!message_is_wanted(l)) return false;
    if (m->sequence != l->heard + 1) status = message_bad(l, "is not followed by the next one");
    l->heard = m->sequence;
    if (status == 0 && !l->announced) link_is_up(l);
    if (status == 0) status = message_hear(l, m);
    if (status == 0) status = message_take(l, m, e);
    if (status == 0) return m->kind == VERBS_MESSAGE;
    l->hand_up = false; /* no more of it is believed */
    link_fall(l, status, GONE_BROKEN, false);
    return false;
}

static void receive_failed(struct verbs *t, struct verbs_link *l, const struct ibv_wc *wc,
                           uint32_t index)
{
    t->receives.slots[index].posted = false;
    if (l && l->state < VERBS_ENDING) {
        int status = trouble_completion(l, wc);
        link_fall(l, status, GONE_BROKEN, true);
    }
    receive_give_back(t, index);
}

/* A message that messaging takes by no upcall, behind one that it has taken so. */
static bool message_must_wait(const struct verbs_link *l, const struct incoming *m)
{
    return verbs_under(l)->took == l && m->kind == VERBS_MESSAGE &&
           m->sequence - l->heard - 1 < 1u << 31;
}

bool message_came(struct verbs *t, const struct ibv_wc *wc)
{
    uint32_t index = (uint32_t)wc->wr_id;
    struct slot *slot = index < pool_count(&t->receives) ? &t->receives.slots[index] : NULL;
    if (!slot || !slot->posted || slot->generation != (uint16_t)(wc->wr_id >> 32)) {
        t->strays++;
        return true;
    }
    struct verbs_link *l = link_by_qp(t, wc->qp_num);
    struct incoming m;
    bool credited = false;
    if (wc->status != IBV_WC_SUCCESS) {
        receive_failed(t, l, wc, index);
        return true;
    }
    bool bare = wc->wc_flags & IBV_WC_WITH_IMM;
    /* a write with immediate data leaves the slot as it was */
    if (l && wc->opcode != IBV_WC_RECV) {
        link_fall(l, message_bad(l, "is none, but a write"), GONE_BROKEN, false);
    } else if (l && wc->byte_len >= (bare ? 1 : VERBS_HEADER) && wc->byte_len <= VERBS_SLOT) {
        if (bare)
            bare_read(l, &m, slot->at, wc->byte_len, ntohl(wc->imm_data));
        else
            incoming_read(&m, slot->at, wc->byte_len);
        struct expect *e = message_expected(l, &m);
        if (!e && message_must_wait(l, &m)) return false;
        credited = message_judge(l, &m, e);
    } else if (l) {
        link_fall(l, message_bad(l, "is too short"), GONE_BROKEN, false);
    }
    slot->posted = false;
    if (l)
        receive_again(t, l, index, credited);
    else
        receive_give_back(t, index);
    return true;
}
