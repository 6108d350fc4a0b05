/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma.c - put, get, atomic and flush, as frames among the messages
 *
 *   put      PUT frames, sent from where the bytes lie; done when the last is confirmed: then they
 *            are in the target's memory. Messages sent after it come after it.
 *   long put one FILL, whose bytes the target fetches into the region by UCX's rendezvous: read or
 *            written by hardware where there is some. FILLED says that they are there.
 *   get      one GET, answered by DATA frames with copies, or DENIED
 *   atomic   ADD or SWAP, done by the target in progress(); DATA with the former value
 *   flush    done when everything before it is
 *
 * A region that is being filled is not deregistered before that is over. One that is, is never
 * reached again: a put that comes too late is dropped.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "transport/ucx/internal.h"

static struct work *work_make(struct ucx *t)
{
    struct list *spare = list_take(&t->spare_works);
    struct work *w = spare ? LIST_OWNER(spare, struct work, entry)
                           : world_allocate(t->base.opt.world, sizeof(*w));
    if (!w) return NULL;
    *w = (struct work){ .op = NULL };
    list_init(&w->entry);
    return w;
}

static void release_list(struct ucx *t, struct list *list)
{
    struct list *e;
    while ((e = list_take(list)))
        world_release(t->base.opt.world, LIST_OWNER(e, struct work, entry), sizeof(struct work));
}

void works_release(struct ucx *t)
{
    release_list(t, &t->spare_works);
    release_list(t, &t->lost_works);
}

/* ---- out ------------------------------------------------------------------------------------- */

/* One frame of a put. False: not now. */
static bool put_fragment(struct ucx_link *l, struct work *w, struct header *h)
{
    struct ucx *t = ucx_under(l);
    size_t left = w->op->len - w->sent, len = left < UCX_FRAGMENT ? left : UCX_FRAGMENT;
    struct frame *f = frame_may(l, len, false) ? frame_take(t, FRAME_PUT, 0) : NULL;
    if (!f) return false;
    f->len = len;
    f->work = w;
    h->offset = w->op->offset + w->sent;
    h->flags = len == left ? FRAME_ASKS : 0;
    if (frame_send(l, f, h, (const uint8_t *)w->op->local + w->sent) < 0) {
        frame_give(t, f);
        return false;
    }
    w->sent += len;
    w->last_seq = l->sent;
    w->all_sent = w->sent == w->op->len;
    return true;
}

static bool question(struct ucx_link *l, struct work *w, struct header *h)
{
    struct ucx *t = ucx_under(l);
    const struct rma *op = w->op;
    bool reads = op->kind == RMA_GET, swaps = !reads && op->atomic == RMA_COMPARE_SWAP;
    if (l->asked == UCX_ASKED || !frame_may(l, 0, false)) return false;
    struct frame *f = frame_take(t, reads ? FRAME_GET : swaps ? FRAME_SWAP : FRAME_ADD, 0);
    if (!f) return false;
    h->offset = op->offset;
    h->amount = reads ? op->len : op->operand;
    h->compare = swaps ? op->compare : 0;
    h->work = w->id;
    if (frame_send(l, f, h, NULL) < 0) {
        frame_give(t, f);
        return false;
    }
    l->asked++;
    w->all_sent = true;
    return true;
}

static bool is_long(const struct rma *op)
{
    return op->kind == RMA_PUT && op->len >= UCX_LONG;
}

/* All of a long put. */
static bool fill(struct ucx_link *l, struct work *w, struct header *h)
{
    struct ucx *t = ucx_under(l);
    if (l->asked == UCX_ASKED || !frame_may(l, 0, false)) return false;
    struct frame *f = frame_take(t, FRAME_FILL, 0);
    if (!f) return false;
    f->work = w;
    h->offset = w->op->offset;
    h->amount = w->op->len;
    h->work = w->id;
    if (frame_send(l, f, h, w->op->local) < 0) {
        frame_give(t, f);
        return false;
    }
    l->asked++;
    w->all_sent = true;
    return true;
}

static bool work_advance(struct ucx_link *l, struct work *w)
{
    struct header h = { 0 };
    unsigned rights;
    uint64_t len;
    region_key(w->op->peers, &h, &rights, &len);
    if (is_long(w->op)) return fill(l, w, &h);
    return w->op->kind == RMA_PUT ? put_fragment(l, w, &h) : question(l, w, &h);
}

void works_advance(struct ucx_link *l)
{
    for (struct list *e = l->works.next; e != &l->works; e = e->next) {
        struct work *w = LIST_OWNER(e, struct work, entry);
        while (w->op && !w->all_sent)
            if (l->state > UCX_DRAINING || !work_advance(l, w)) return;
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void work_done(struct ucx_link *l, struct work *w, int status)
{
    struct ucx *t = ucx_under(l);
    uint64_t cookie = w->cookie;
    list_remove(&w->entry);
    list_append(w->busy ? &t->lost_works : &t->spare_works, &w->entry);
    t->budget--;
    t->base.up->done(&l->base, cookie, status);
}

static bool work_is_done(const struct ucx_link *l, const struct work *w)
{
    if (!w->op) return l->works.next == &w->entry;
    if (w->op->kind != RMA_PUT || is_long(w->op)) return w->answered && w->busy == 0;
    return w->all_sent && w->busy == 0 && l->acked - w->last_seq < 1u << 31;
}

void works_look(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    for (struct list *e = l->works.next, *next; e != &l->works; e = next) {
        struct work *w = LIST_OWNER(e, struct work, entry);
        next = e->next;
        if (!work_is_done(l, w)) continue;
        if (t->budget < 4) {
            link_make_due(l);
            return;
        }
        work_done(l, w, w->status);
        if (l->state >= UCX_ENDING) return;
    }
}

bool works_fail(struct ucx_link *l, int status)
{
    struct ucx *t = ucx_under(l);
    while (!list_empty(&l->works)) {
        struct work *w = LIST_OWNER(l->works.next, struct work, entry);
        if (t->budget < 2) return false;
        /* UCX still reads the caller's memory; closed by force it lets go of it. */
        if (w->busy && ucx_now(t) < l->end->until) return false;
        work_done(l, w, w->answered ? w->status : status);
    }
    return true;
}

/* ---- begins ---------------------------------------------------------------------------------- */

static int rma_check(struct ucx_link *l, const struct rma *op)
{
    static const unsigned needs[] = { REGION_PUT, REGION_GET, REGION_ATOMIC };
    struct why *why = &l->base.why;
    struct header h;
    unsigned rights = 0;
    uint64_t len = 0;
    if (op->kind > RMA_ATOMIC || !region_key(op->peers, &h, &rights, &len))
        return why_set(why, SINEW_EINVAL, "%s: not a key of its memory", l->name);
    if (op->offset > len || op->len > len - op->offset)
        return why_set(why, SINEW_EINVAL, "%s: %zu bytes at %" PRIu64 " of a region of %" PRIu64,
                       l->name, op->len, op->offset, len);
    if (!(rights & needs[op->kind]))
        return why_set(why, SINEW_EACCESS, "%s: its region is not for %s", l->name,
                       op->kind == RMA_PUT ? "put" : op->kind == RMA_GET ? "get" : "atomics");
    if (op->kind == RMA_ATOMIC && (op->len != 8 || op->offset % 8))
        return why_set(why, SINEW_EINVAL, "%s: an atomic operation on %zu bytes at %" PRIu64
                       ", not on an aligned word of 8", l->name, op->len, op->offset);
    return 0;
}

static int rma_state(struct ucx_link *l)
{
    if (l->state == UCX_UP) return 0;
    if (l->state > UCX_UP) return l->status < 0 ? l->status : SINEW_EPEER;
    l->wants_room = true;
    return TRANSPORT_AGAIN;
}

static int work_begin(struct ucx_link *l, struct rma *op, uint64_t cookie)
{
    struct work *w = work_make(ucx_under(l));
    if (!w) return why_set(&l->base.why, SINEW_ENOMEM, "%s: no memory for an operation", l->name);
    w->op = op;
    w->cookie = cookie;
    w->id = ++l->work_ids;
    list_append(&l->works, &w->entry);
    return TRANSPORT_PENDING;
}

int ucx_rma(struct link *base, struct rma *op)
{
    struct ucx_link *l = ucx_link_of(base);
    int status = rma_state(l);
    if (status == 0) status = rma_check(l, op);
    if (status != 0 || op->len == 0) return status;
    status = work_begin(l, op, op->cookie);
    if (status == TRANSPORT_PENDING) works_advance(l);
    return status;
}

int ucx_flush(struct link *base, uint64_t cookie)
{
    struct ucx_link *l = ucx_link_of(base);
    int status = rma_state(l);
    if (status != 0 || list_empty(&l->works)) return status;
    return work_begin(l, NULL, cookie);
}

/* ---- answers --------------------------------------------------------------------------------- */

static int answer_bad(struct ucx_link *l, const char *what)
{
    return why_set(&l->base.why, SINEW_EPROTO, "%s: %s", l->name, what);
}

static struct work *work_find(struct ucx_link *l, uint64_t id)
{
    for (struct list *e = l->works.next; e != &l->works; e = e->next) {
        struct work *w = LIST_OWNER(e, struct work, entry);
        if (w->id != id) continue;
        bool asks = w->op && (w->op->kind != RMA_PUT || is_long(w->op));
        return asks && w->all_sent && !w->answered ? w : NULL;
    }
    return NULL;
}

int work_answered(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    struct work *w = work_find(l, h->work);
    if (!w) return answer_bad(l, "it answers what was not asked");
    if ((h->kind == FRAME_FILLED) != (w->op->kind == RMA_PUT))
        return answer_bad(l, "its answer is to something else");
    if (h->kind == FRAME_FILLED) {
        w->got = w->op->len;
    } else if (h->kind == FRAME_DENIED) {
        if (w->op->kind != RMA_GET) return answer_bad(l, "it denies what is no get");
        w->status = SINEW_EACCESS;
    } else {
        if (h->offset != w->got || len == 0 || len > w->op->len - w->got)
            return answer_bad(l, "its answer is not what was asked for");
        memcpy((uint8_t *)w->op->local + w->got, data, len);
        w->got += len;
        if (w->got < w->op->len) return 0;
    }
    w->answered = true;
    l->asked--;
    link_make_due(l);
    return 0;
}

/* ---- the other side: puts ------------------------------------------------------------------- */

/* 0: *to is where they go, NULL when the memory has been taken back: then they go nowhere. */
static int put_target(struct ucx_link *l, const struct header *h, uint64_t len, uint8_t **to)
{
    struct why *why = &l->base.why;
    struct ucx *t = ucx_under(l);
    *to = NULL;
    if (region_was(t, h->region)) return 0;
    *to = region_memory(t, h->region, h->secret, REGION_PUT, h->offset, len, why);
    return *to ? 0 : why_wrap(why, SINEW_EPROTO, "%s: it puts %" PRIu64 " bytes", l->name, len);
}

int serve_put(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    uint8_t *to;
    int status = put_target(l, h, len, &to);
    if (to && len) memcpy(to, data, len);
    return status;
}

static int serve_keep(struct ucx_link *l, const struct serve *s)
{
    struct serve *kept = world_allocate(ucx_under(l)->base.opt.world, sizeof(*kept));
    if (!kept) return why_set(&l->base.why, SINEW_ENOMEM, "%s: no memory for an answer", l->name);
    *kept = *s;
    list_init(&kept->entry);
    list_append(&l->serves, &kept->entry);
    link_make_due(l);
    return 0;
}

static int fill_answer(struct ucx_link *l, uint64_t work)
{
    const struct serve s = { .work = work, .asked = FRAME_FILL };
    return serve_keep(l, &s);
}

void fill_refuse(struct ucx *t, const struct header *h)
{
    if (h->fetch && h->waited) t->api.am_release(t->worker, h->fetch);
}

/* Of an endpoint that was closed: the region is nobody's hostage. */
void landings_give_up(struct ucx *t, const struct endpoint *end)
{
    for (struct list *e = t->landings.next; e != &t->landings; e = e->next) {
        struct ucx_landing *g = LIST_OWNER(e, struct ucx_landing, entry);
        if (g->end != end || g->given_up) continue;
        g->given_up = true;
        region_hold(t, g->region, -1);
    }
}

void landings_release(struct ucx *t)
{
    struct list *e;
    while ((e = list_take(&t->landings)))
        world_release(t->base.opt.world, LIST_OWNER(e, struct ucx_landing, entry), sizeof(struct ucx_landing));
}

static void landing_release(struct ucx_landing *g)
{
    struct ucx *t = g->t;
    g->end->busy--;
    if (!g->given_up) region_hold(t, g->region, -1);
    list_remove(&g->entry);
    world_release(t->base.opt.world, g, sizeof(*g));
}

/* UCX writes there no more: the bytes have come, or will not. */
static void fill_is_over(void *request, ucs_status_t status, size_t len, void *user_data)
{
    struct ucx_landing *g = user_data;
    struct ucx_link *l = g->end->link;
    (void)len;
    g->t->api.request_free(request);
    g->t->moved = true;
    if (l && status != UCS_OK)
        link_trouble(l, status, "a long message could not be fetched");
    else if (l && fill_answer(l, g->work) < 0)
        link_fall(l, SINEW_ENOMEM, GONE_BROKEN, true);
    landing_release(g);
}

static int fill_start(struct ucx_link *l, const struct header *h, uint8_t *to)
{
    struct ucx *t = ucx_under(l);
    struct ucx_landing *g = world_allocate(t->base.opt.world, sizeof(*g));
    if (!g) {
        fill_refuse(t, h);
        return why_set(&l->base.why, SINEW_ENOMEM, "%s: no memory for a long message", l->name);
    }
    *g = (struct ucx_landing){ .t = t, .end = l->end, .region = h->region, .work = h->work };
    list_append(&t->landings, &g->entry);
    region_hold(t, g->region, 1);
    l->end->busy++;
    const ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA,
        .cb.recv_am = fill_is_over,
        .user_data = g,
    };
    /* A request is over when its callback was called, which may be before this returns. */
    ucs_status_ptr_t request = t->api.am_recv(t->worker, h->fetch, to, h->amount, &param);
    if (UCS_PTR_IS_PTR(request)) return 0;
    landing_release(g);
    if (request)
        return link_trouble(l, UCS_PTR_STATUS(request), "a long message could not be fetched");
    return fill_answer(l, h->work);
}

int serve_fill(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    uint8_t *to;
    int status = l->serving == UCX_ASKED ? answer_bad(l, "it asks more than it may at once")
                                         : put_target(l, h, h->amount, &to);
    if (status == 0 && !h->fetch && h->amount != len) status = answer_bad(l, "it fills with too little");
    if (status < 0) {
        fill_refuse(ucx_under(l), h);
        return status;
    }
    l->serving++;
    if (to && h->fetch) return fill_start(l, h, to);
    if (to && len) memcpy(to, data, len);
    fill_refuse(ucx_under(l), h);
    return fill_answer(l, h->work);
}

/* ---- the other side: questions --------------------------------------------------------------- */

static int serve_atomic(struct ucx_link *l, const struct header *h, uint64_t *value)
{
    struct why *why = &l->base.why;
    uint8_t *at = region_memory(ucx_under(l), h->region, h->secret, REGION_ATOMIC, h->offset, 8, why);
    if (!at || (uintptr_t)at % 8)
        return why_wrap(why, SINEW_EPROTO, "%s: it updates a word", l->name);
    _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)at;
    if (h->kind == FRAME_ADD) {
        *value = atomic_fetch_add(word, h->amount);
        return 0;
    }
    *value = h->compare;
    atomic_compare_exchange_strong(word, value, h->amount);
    return 0;
}

int serve_asked(struct ucx_link *l, const struct header *h)
{
    struct serve s = {
        .work = h->work, .region = h->region, .secret = h->secret, .len = 8, .asked = h->kind
    };
    if (l->serving == UCX_ASKED) return answer_bad(l, "it asks more than it may at once");
    if (h->kind == FRAME_GET) {
        s.offset = h->offset;
        s.len = h->amount;
    } else {
        int status = serve_atomic(l, h, &s.value);
        if (status < 0) return status;
    }
    l->serving++;
    return serve_keep(l, &s);
}

static const void *serve_part(struct ucx_link *l, const struct serve *s, size_t len)
{
    struct why why;
    if (s->asked != FRAME_GET) return &s->value;
    /* All of it or nothing, each time: it may have been taken back since. */
    const uint8_t *from = region_memory(ucx_under(l), s->region, s->secret, REGION_GET, s->offset,
                                        s->len, &why);
    return from && len ? from + s->at : NULL;
}

/* 0: some of it, or all, is on its way. */
static int serve_answer(struct ucx_link *l, struct serve *s)
{
    struct ucx *t = ucx_under(l);
    uint64_t left = s->len - s->at;
    size_t len = left < UCX_ANSWER ? (size_t)left : UCX_ANSWER;
    struct header h = { .work = s->work, .offset = s->at };
    if (!frame_may(l, len, true)) return TRANSPORT_AGAIN;
    const void *from = serve_part(l, s, len);
    enum frame_kind kind = s->asked == FRAME_FILL ? FRAME_FILLED : from ? FRAME_DATA : FRAME_DENIED;
    struct frame *f = frame_take(t, kind, kind == FRAME_DATA ? len : 0);
    if (!f) return TRANSPORT_AGAIN;
    if (f->len) memcpy(f->data, from, len);
    int status = frame_send(l, f, &h, NULL);
    if (status < 0)
        frame_give(t, f);
    else
        s->at = kind == FRAME_DATA ? s->at + len : s->len;
    return status;
}

static void serve_release(struct ucx_link *l, struct serve *s)
{
    list_remove(&s->entry);
    l->serving--;
    world_release(ucx_under(l)->base.opt.world, s, sizeof(*s));
}

void serves_advance(struct ucx_link *l)
{
    while (!list_empty(&l->serves)) {
        struct serve *s = LIST_OWNER(l->serves.next, struct serve, entry);
        do
            if (l->state > UCX_DRAINING || serve_answer(l, s) != 0) return;
        while (s->at < s->len);
        serve_release(l, s);
    }
}

void serves_drop(struct ucx_link *l)
{
    while (!list_empty(&l->serves)) serve_release(l, LIST_OWNER(l->serves.next, struct serve, entry));
}
