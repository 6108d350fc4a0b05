/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma.c - put, get, atomic and flush
 *
 * As frames among the messages, which every fabric has:
 *
 *   put      PUT frames, with copies or from where the bytes lie; done when the last is confirmed:
 * then they are in the target's memory. Messages sent after it come after it. long put one FILL,
 * where the fabric can have the target fetch its bytes (fill.c) get      one GET, answered by DATA
 * frames with copies, or DENIED atomic   ADD or SWAP, done by the target in progress(); DATA with
 * the former value flush    done when everything before it is
 *
 * Longer puts and gets by the fabric itself, where the key says so, in parts; when the last is
 * over, LOOK asks the owner whether the memory is still registered: only then what was read is
 * worth anything. It comes behind what was written, which is then in the target's memory.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "transport/framed/framed.h"

static struct work *work_make(struct framed *t)
{
    struct list *spare = list_take(&t->spare_works);
    struct work *w = spare ? LIST_OWNER(spare, struct work, entry)
                           : world_allocate(t->base.opt.world, sizeof(*w));
    if (!w) return NULL;
    *w = (struct work){ .op = NULL };
    list_init(&w->entry);
    return w;
}

static void release_list(struct framed *t, struct list *list)
{
    struct list *e;
    while ((e = list_take(list)))
        world_release(t->base.opt.world, LIST_OWNER(e, struct work, entry), sizeof(struct work));
}

void works_release(struct framed *t)
{
    release_list(t, &t->spare_works);
    release_list(t, &t->lost_works);
}

/* ---- out ------------------------------------------------------------------------------------- */

static void frame_leave(struct frame *f, struct work *w, const void *from, size_t len)
{
    f->work = w;
    f->away = from;
    f->away_len = len;
}

/* Each of these: 0, something went; AGAIN, nothing of this link goes now. */

static int put_fragment(struct framed_link *l, struct work *w, struct header *h)
{
    struct framed *t = framed_under(l);
    bool in_place = t->fabric->in_place;
    size_t left = w->op->len - w->sent, len = left < t->fabric->piece ? left : t->fabric->piece;
    struct frame *f = frame_may(l, len, false) ? frame_take(t, in_place ? 0 : len) : NULL;
    if (!f) return TRANSPORT_AGAIN;
    const uint8_t *from = (const uint8_t *)w->op->local + w->sent;
    f->kind = FRAME_PUT;
    f->len = len;
    if (in_place)
        frame_leave(f, w, from, len);
    else
        memcpy(f->bytes, from, len);
    h->offset = w->op->offset + w->sent;
    h->flags = len == left ? FRAME_ASKS : 0;
    if (frame_send(l, f, h) != 0) {
        frame_give(t, f);
        return TRANSPORT_AGAIN;
    }
    w->sent += len;
    w->last_seq = l->sent;
    w->all_sent = w->sent == w->op->len;
    return 0;
}

static int question(struct framed_link *l, struct work *w, enum frame_kind kind, struct header *h)
{
    struct framed *t = framed_under(l);
    struct frame *f = l->asked < FRAMED_ASKED && frame_may(l, 0, false) ? frame_take(t, 0) : NULL;
    if (!f) return TRANSPORT_AGAIN;
    f->kind = (uint8_t)kind;
    if (kind == FRAME_FILL) frame_leave(f, w, w->op->local, w->op->len);
    h->offset = w->op->offset;
    h->work = w->id;
    if (frame_send(l, f, h) != 0) {
        frame_give(t, f);
        return TRANSPORT_AGAIN;
    }
    l->asked++;
    w->all_sent = w->asked = true;
    return 0;
}

static int ask(struct framed_link *l, struct work *w, struct header *h)
{
    const struct rma *op = w->op;
    if (op->kind == RMA_GET || w->fills) {
        h->amount = op->len;
        return question(l, w, w->fills ? FRAME_FILL : FRAME_GET, h);
    }
    bool swaps = op->atomic == RMA_COMPARE_SWAP;
    h->amount = op->operand;
    h->compare = swaps ? op->compare : 0;
    return question(l, w, swaps ? FRAME_SWAP : FRAME_ADD, h);
}

/* PENDING: its parts are under way. */
static int work_move(struct framed_link *l, struct work *w, const struct key *key, struct header *h)
{
    struct framed *t = framed_under(l);
    int status = 0;
    if (w->sent < w->op->len && l->end->full_at != t->looks)
        status = t->fabric->move(w, key, &l->base.why);
    if (status < 0) {
        link_trouble(l, status, NULL);
        return TRANSPORT_AGAIN;
    }
    if (w->sent < w->op->len) {
        if (status == TRANSPORT_AGAIN && !w->busy) { /* else an end of those is waited for */
            l->end->full_at = t->full = t->looks;
            link_make_due(l);
        }
        return TRANSPORT_AGAIN;
    }
    if (w->op->kind == RMA_ATOMIC) { /* its former value has come: it was there */
        w->all_sent = true;
        return 0;
    }
    if (w->busy) return TRANSPORT_PENDING;
    h->amount = w->op->len;
    h->compare = w->op->kind == RMA_PUT ? REGION_PUT : REGION_GET;
    return question(l, w, FRAME_LOOK, h);
}

static int work_advance(struct framed_link *l, struct work *w)
{
    struct key key;
    region_key(w->op->peers, &key);
    struct header h = { .region = key.region, .secret = key.secret };
    if (w->native) return work_move(l, w, &key, &h);
    return w->op->kind == RMA_PUT && !w->fills ? put_fragment(l, w, &h) : ask(l, w, &h);
}

void works_advance(struct framed_link *l)
{
    for (struct list *e = l->works.next; e != &l->works; e = e->next) {
        struct work *w = LIST_OWNER(e, struct work, entry);
        int status = 0;
        while (w->op && !w->all_sent && status == 0) {
            if (l->state > FRAMED_DRAINING) return;
            status = work_advance(l, w);
        }
        if (status == TRANSPORT_AGAIN) return;
    }
}

void work_part_over(struct work *w, const char *why)
{
    struct framed_link *l = w->end->link;
    w->end->t->moved = true;
    w->end->busy--;
    w->busy--;
    if (!l) return;
    if (why) link_trouble(l, SINEW_EPEER, why);
    link_make_due(l);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void work_done(struct framed_link *l, struct work *w, int status)
{
    struct framed *t = framed_under(l);
    uint64_t cookie = w->cookie;
    if (!w->busy && t->fabric->work_over) t->fabric->work_over(t, w);
    list_remove(&w->entry);
    list_append(w->busy ? &t->lost_works : &t->spare_works, &w->entry);
    w->op = NULL; /* it is the caller's again */
    t->budget--;
    t->base.up->done(&l->base, cookie, status);
}

static bool work_is_done(const struct framed_link *l, const struct work *w)
{
    if (!w->op) return l->works.next == &w->entry;
    if (w->busy) return false;
    if (w->lent || (w->native && w->op->kind == RMA_ATOMIC)) return w->all_sent;
    if (w->asked) return w->answered;
    if (w->native || w->fills || w->op->kind != RMA_PUT) return false;
    return w->all_sent && l->acked - w->last_seq < 1u << 31;
}

void works_look(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    for (struct list *e = l->works.next, *next; e != &l->works; e = next) {
        struct work *w = LIST_OWNER(e, struct work, entry);
        next = e->next;
        if (!work_is_done(l, w)) continue;
        if (t->budget < 4) {
            link_make_due(l);
            return;
        }
        work_done(l, w, w->status);
        if (l->state >= FRAMED_ENDING) return;
    }
}

bool works_fail(struct framed_link *l, int status)
{
    struct framed *t = framed_under(l);
    while (!list_empty(&l->works)) {
        struct work *w = LIST_OWNER(l->works.next, struct work, entry);
        if (t->budget < 2) return false;
        /* The fabric still has the caller's memory: it may let go of it by itself. */
        if (w->busy && framed_now(t) < l->end->until) return false;
        if (w->busy && !t->broken && t->fabric->give_up) t->fabric->give_up(t);
        work_done(l, w, w->answered ? w->status : status);
    }
    return true;
}

/* ---- begins ---------------------------------------------------------------------------------- */

/* By enum rma_kind. */
static const unsigned needs[] = { REGION_PUT, REGION_GET, REGION_ATOMIC };

static int rma_check(struct framed_link *l, const struct rma *op)
{
    struct why *why = &l->base.why;
    struct key key;
    if (op->kind > RMA_ATOMIC || !region_key(op->peers, &key))
        return why_set(why, SINEW_EINVAL, "%s: not a key of its memory", l->name);
    if (op->offset > key.len || op->len > key.len - op->offset)
        return why_set(why, SINEW_EINVAL, "%s: %zu bytes at %" PRIu64 " of a region of %" PRIu64,
                       l->name, op->len, op->offset, key.len);
    if (!(key.rights & needs[op->kind]))
        return why_set(why, SINEW_EACCESS, "%s: its region is not for %s", l->name,
                       op->kind == RMA_PUT   ? "put"
                       : op->kind == RMA_GET ? "get"
                                             : "atomics");
    if (op->kind == RMA_ATOMIC && (op->len != 8 || op->offset % 8))
        return why_set(why, SINEW_EINVAL,
                       "%s: an atomic operation on %zu bytes at %" PRIu64
                       ", not on an aligned word of 8",
                       l->name, op->len, op->offset);
    return 0;
}

static int rma_state(struct framed_link *l)
{
    if (l->state == FRAMED_UP) return 0;
    if (l->state > FRAMED_UP) return l->status < 0 ? l->status : SINEW_EPEER;
    l->wants_room = true;
    return TRANSPORT_AGAIN;
}

static bool is_fetched(const struct framed_link *l, size_t len)
{
    const struct fabric *fabric = framed_under(l)->fabric;
    return fabric->fetches && len >= fabric->fetches;
}

static struct work *work_begin(struct framed_link *l, struct rma *op, uint64_t cookie)
{
    struct work *w = work_make(framed_under(l));
    if (!w) {
        why_set(&l->base.why, SINEW_ENOMEM, "%s: no memory for an operation", l->name);
        return NULL;
    }
    struct key key;
    w->op = op;
    w->end = l->end;
    w->native = op && (op->len > FRAMED_PIECE || op->kind == RMA_ATOMIC) &&
                region_key(op->peers, &key) &&
                key.native & framed_under(l)->native & needs[op->kind];
    w->fills = op && !w->native && op->kind == RMA_PUT && is_fetched(l, op->len);
    w->cookie = cookie;
    w->id = ++l->work_ids;
    list_append(&l->works, &w->entry);
    return w;
}

/* What was lent is had whole, or not at all. */
static int get_lent(struct framed_link *l, struct lent *kept, struct rma *op)
{
    if (op->offset || op->len != kept->len)
        return why_set(&l->base.why, SINEW_EACCESS, "%s: a part of what was lent", l->name);
    struct work *w = work_begin(l, op, op->cookie);
    int status = w ? lent_read(l, kept, w) : SINEW_ENOMEM;
    if (w && status < 0) {
        list_remove(&w->entry);
        list_append(&framed_under(l)->spare_works, &w->entry);
    }
    return status;
}

static struct lent *lent_for(const struct framed_link *l, const struct rma *op)
{
    struct key key;
    if (op->kind != RMA_GET || list_empty(&l->lents)) return NULL;
    region_key(op->peers, &key);
    return lent_find(l, key.region, key.secret);
}

int framed_rma(struct link *base, struct rma *op)
{
    struct framed_link *l = framed_link_of(base);
    int status = rma_state(l);
    if (status == 0) status = rma_check(l, op);
    if (status != 0 || op->len == 0) return status;
    struct lent *kept = lent_for(l, op);
    if (kept) return get_lent(l, kept, op);
    if (!work_begin(l, op, op->cookie)) return SINEW_ENOMEM;
    works_advance(l);
    return TRANSPORT_PENDING;
}

int framed_flush(struct link *base, uint64_t cookie)
{
    struct framed_link *l = framed_link_of(base);
    int status = rma_state(l);
    if (status != 0 || list_empty(&l->works)) return status;
    return work_begin(l, NULL, cookie) ? TRANSPORT_PENDING : SINEW_ENOMEM;
}

/* ---- answers --------------------------------------------------------------------------------- */

static int answer_bad(struct framed_link *l, const char *what)
{
    return why_set(&l->base.why, SINEW_EPROTO, "%s: %s", l->name, what);
}

static struct work *work_find(struct framed_link *l, uint64_t id)
{
    for (struct list *e = l->works.next; e != &l->works; e = e->next) {
        struct work *w = LIST_OWNER(e, struct work, entry);
        if (w->id == id) return w->asked && !w->answered ? w : NULL;
    }
    return NULL;
}

int work_answered(struct framed_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    struct work *w = work_find(l, h->work);
    if (!w) return answer_bad(l, "it answers what was not asked");
    if ((h->kind == FRAME_FILLED) != w->fills)
        return answer_bad(l, "its answer is to something else");
    if (h->kind == FRAME_FILLED) {
        w->got = w->op->len;
    } else if (h->kind == FRAME_DENIED) {
        if (w->op->kind != RMA_GET) return answer_bad(l, "it denies what is no get");
        w->status = SINEW_EACCESS;
    } else if (w->native) {
        if (len || h->offset) return answer_bad(l, "it answers what it was not asked");
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

/* ---- the other side -------------------------------------------------------------------------- */

int put_target(struct framed_link *l, const struct header *h, uint64_t len, uint8_t **to)
{
    struct why *why = &l->base.why;
    struct framed *t = framed_under(l);
    *to = NULL;
    if (region_was(t, h->region)) return 0;
    *to = region_memory(t, h->region, h->secret, REGION_PUT, h->offset, len, why);
    return *to ? 0 : why_wrap(why, SINEW_EPROTO, "%s: it puts %" PRIu64 " bytes", l->name, len);
}

int serve_put(struct framed_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    uint8_t *to;
    int status = put_target(l, h, len, &to);
    if (to && len) memcpy(to, data, len);
    return status;
}

int serve_keep(struct framed_link *l, const struct serve *s)
{
    struct serve *kept = world_allocate(framed_under(l)->base.opt.world, sizeof(*kept));
    if (!kept) return why_set(&l->base.why, SINEW_ENOMEM, "%s: no memory for an answer", l->name);
    *kept = *s;
    list_init(&kept->entry);
    list_append(&l->serves, &kept->entry);
    link_make_due(l);
    return 0;
}

static uint64_t word_update(_Atomic uint64_t *word, const struct header *h)
{
    uint64_t former = h->compare;
    if (h->kind == FRAME_ADD) return atomic_fetch_add(word, h->amount);
    atomic_compare_exchange_strong(word, &former, h->amount);
    return former;
}

static int serve_atomic(struct framed_link *l, const struct header *h)
{
    struct why *why = &l->base.why;
    struct framed *t = framed_under(l);
    struct serve s = { .work = h->work, .kind = h->kind, .len = sizeof(s.value) };
    struct key key;
    uint8_t *at = region_memory(t, h->region, h->secret, REGION_ATOMIC, h->offset, 8, why);
    if (!at || (uintptr_t)at % 8)
        return why_wrap(why, SINEW_EPROTO, "%s: it updates a word", l->name);
    l->serving++;
    region_own_key(t, h->region, &key);
    if (key.native & REGION_ATOMIC) return update_begin(l, h);
    s.value = word_update((_Atomic uint64_t *)(void *)at, h);
    return serve_keep(l, &s);
}

int serve_asked(struct framed_link *l, const struct header *h)
{
    bool put = h->kind == FRAME_LOOK && h->compare == REGION_PUT;
    const struct serve s = { .work = h->work, .region = h->region, .secret = h->secret,
                             .kind = h->kind, .right = put ? REGION_PUT : REGION_GET,
                             .offset = h->offset, .len = h->amount };
    if (l->serving == FRAMED_ASKED) return answer_bad(l, "it asks more than it may at once");
    if (h->kind == FRAME_ADD || h->kind == FRAME_SWAP) return serve_atomic(l, h);
    l->serving++;
    return serve_keep(l, &s);
}

static const void *serve_part(struct framed_link *l, const struct serve *s)
{
    struct why why;
    if (s->kind == FRAME_ADD || s->kind == FRAME_SWAP) return &s->value;
    if (s->kind == FRAME_FILL) return NULL;
    /* All of it or nothing, each time: it may have been taken back since. */
    const uint8_t *from =
        region_memory(framed_under(l), s->region, s->secret, s->right, s->offset, s->len, &why);
    return from && s->len ? from + s->at : NULL;
}

/* 0: some of it, or all, is on its way. */
static int serve_answer(struct framed_link *l, struct serve *s)
{
    struct framed *t = framed_under(l);
    uint64_t left = s->len - s->at;
    size_t len = s->kind == FRAME_LOOK ? 0 : left < FRAMED_PIECE ? (size_t)left : FRAMED_PIECE;
    struct header h = { .work = s->work, .offset = s->at };
    struct frame *f = frame_may(l, len, true) ? frame_take(t, len) : NULL;
    if (!f) return TRANSPORT_AGAIN;
    const void *from = serve_part(l, s);
    f->kind = from ? FRAME_DATA : s->kind == FRAME_FILL ? FRAME_FILLED : FRAME_DENIED;
    f->len = from ? len : 0;
    if (f->len) memcpy(f->bytes, from, len);
    int status = frame_send(l, f, &h);
    if (status != 0)
        frame_give(t, f);
    else
        s->at = from && len ? s->at + len : s->len;
    return status;
}

static void serve_release(struct framed_link *l, struct serve *s)
{
    list_remove(&s->entry);
    l->serving--;
    world_release(framed_under(l)->base.opt.world, s, sizeof(*s));
}

void serves_advance(struct framed_link *l)
{
    while (!list_empty(&l->serves)) {
        struct serve *s = LIST_OWNER(l->serves.next, struct serve, entry);
        do
            if (l->state > FRAMED_DRAINING || serve_answer(l, s) != 0) return;
        while (s->at < s->len);
        serve_release(l, s);
    }
}

void serves_drop(struct framed_link *l)
{
    while (!list_empty(&l->serves))
        serve_release(l, LIST_OWNER(l->serves.next, struct serve, entry));
}
