/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frame.c - frames out (framed.h draws them)
 */
#include <string.h>

#include "base/copy.h"
#include "base/wire.h"
#include "transport/framed/framed.h"

/* ---- memory ---------------------------------------------------------------------------------- */

/* As every frame begins. When it is given back: who sends the next one is in more of a hurry. */
static inline void frame_clear(struct frame *f)
{
    f->work = NULL;
    f->away = NULL;
    f->busy = f->confirmed = f->lends = false;
    f->hlen = 0;
}

static __attribute__((noinline)) struct frame *frame_make(struct framed *t, size_t cap)
{
    struct frame *f = world_allocate(t->base.opt.world, sizeof(*f) + cap);
    if (!f) return NULL;
    f->mark.kind = MARK_FRAME;
    list_init(&f->entry);
    f->memory = NULL;
    f->cap = cap;
    frame_clear(f);
    if (t->fabric->frame_made) t->fabric->frame_made(t, f);
    return f;
}

static inline struct frame *take(struct framed *t, size_t len)
{
    bool small = len <= FRAMED_SMALL;
    struct list *spare = list_take(small ? &t->spare_small : &t->spare_large);
    struct frame *f = spare ? LIST_OWNER(spare, struct frame, entry)
                            : frame_make(t, small ? FRAMED_SMALL : FRAMED_LARGE);
    if (!f) return NULL;
    if (spare) --*(small ? &t->spare_small_n : &t->spare_large_n);
    f->len = len;
    return f;
}

struct frame *frame_take(struct framed *t, size_t len)
{
    return take(t, len);
}

static void frame_release(struct framed *t, struct frame *f)
{
    if (t->fabric->frame_gone) t->fabric->frame_gone(t, f);
    world_release(t->base.opt.world, f, sizeof(*f) + f->cap);
}

void frame_give(struct framed *t, struct frame *f)
{
    bool small = f->cap == FRAMED_SMALL;
    uint32_t *n = small ? &t->spare_small_n : &t->spare_large_n;
    if (*n >= FRAMED_SPARE) {
        frame_release(t, f);
        return;
    }
    ++*n;
    frame_clear(f);
    struct list *spare = small ? &t->spare_small : &t->spare_large;
    list_append(spare->next, &f->entry); /* the first: its lines are warm */
}

static void release_list(struct framed *t, struct list *list)
{
    struct list *e;
    while ((e = list_take(list))) frame_release(t, LIST_OWNER(e, struct frame, entry));
}

void frames_release(struct framed *t)
{
    release_list(t, &t->flying); /* whoever had them is closed */
    release_list(t, &t->spare_small);
    release_list(t, &t->spare_large);
    t->spare_small_n = t->spare_large_n = 0;
}

/* ---- out ------------------------------------------------------------------------------------- */

/* What every frame says: to whom, and what has been dealt with here. */
static inline void header_put(uint8_t *out, const struct framed_link *l, const struct frame *f,
                              uint32_t seq, unsigned flags)
{
    wire_put64(out, l->theirs_token);
    wire_put64(out + 8, l->theirs_id | (uint64_t)seq << 32);
    wire_put64(out + 16, l->dealt | (uint64_t)f->kind << 32 | (uint64_t)flags << 40 |
                             (uint64_t)f->hlen << 48);
}

static inline void header_put_slim(uint8_t *out, const struct framed_link *l,
                                   const struct frame *f, uint32_t seq)
{
    wire_put64(out, l->theirs_token);
    wire_put64(out + 8, l->theirs_id | slim_credit(f->word) << 16 | (uint64_t)SLIM_MARK << 24 |
                            (uint64_t)(uint16_t)seq << 32 | (uint64_t)l->dealt << 48);
}

static void header_put_wide(uint8_t *out, const struct header *h)
{
    wire_put64(out + 24, h->region);
    wire_put64(out + 32, h->secret);
    wire_put64(out + 40, h->offset);
    wire_put64(out + 48, h->amount);
    wire_put64(out + 56, h->compare);
    wire_put64(out + 64, h->work);
}

static void header_said(struct framed_link *l)
{
    l->told = l->dealt;
    l->dealt_bytes = 0;
    l->ack_due = false;
}

static inline bool may(const struct framed_link *l, size_t len, uint32_t most)
{
    uint32_t under_way = l->sent - l->acked;
    return under_way < most && l->end->full_at != framed_under(l)->looks &&
           (under_way == 0 || l->unconfirmed + len <= FRAMED_WINDOW_BYTES);
}

bool frame_may(const struct framed_link *l, size_t len, bool reserved)
{
    return may(l, len, reserved ? FRAMED_WINDOW : FRAMED_WINDOW - FRAMED_RESERVE);
}

void frame_is_free(struct frame *f, int status, const char *why)
{
    struct endpoint *end = f->end;
    struct framed *t = end->t;
    struct framed_link *l = end->link;
    t->moved = true;
    list_remove(&f->entry);
    f->busy = false;
    end->busy--;
    if (f->lends) {
        lend_is_over(f);
        if (f->confirmed) status = 0; /* it was heard, and not read */
    }
    if (f->work) {
        f->work->busy--;
        if (l) link_make_due(l);
    }
    if (f->kind == FRAME_ACK && l) {
        l->ack_busy = false;
        if (l->ack_due) link_make_due(l);
    }
    if (status < 0 && l) link_trouble(l, status, why);
    if (f->confirmed) frame_give(t, f);
}

static __attribute__((noinline)) void frame_flies(struct framed *t, struct frame *f)
{
    list_append(&t->flying, &f->entry);
    f->busy = true;
    f->end->busy++;
    if (f->work) f->work->busy++;
    if (f->kind == FRAME_LEND) lend_starts(f);
}

/* With its header. */
static inline __attribute__((always_inline)) int frame_pass(struct framed_link *l, struct frame *f)
{
    struct framed *t = framed_under(l);
    struct endpoint *end = l->end;
    struct why why;
    f->end = end;
    int status = t->fabric->send(end, f, &why);
    if (status == TRANSPORT_AGAIN) {
        end->full_at = t->full = t->looks;
        link_make_due(l);
        return status;
    }
    if (status < 0) return link_trouble(l, status, why.text);
    header_said(l);
    if (status == TRANSPORT_PENDING) frame_flies(t, f);
    return 0;
}

/* h: of a wide header, what it says beyond a narrow one. */
static inline int frame_go(struct framed_link *l, struct frame *f, uint32_t seq, unsigned flags,
                           const struct header *h)
{
    uint8_t *start = frame_start(f);
    header_put(start, l, f, seq, flags);
    if (f->kind >= FRAME_PUT) header_put_wide(start, h);
    return frame_pass(l, f);
}

static inline void frame_is_sent(struct framed_link *l, struct frame *f)
{
    l->sent++;
    l->unconfirmed += f->len;
    l->out[l->sent % FRAMED_WINDOW] = f;
}

static inline int frame_send_next(struct framed_link *l, struct frame *f, unsigned flags,
                                  const struct header *h)
{
    int status = frame_go(l, f, l->sent + 1, flags, h);
    if (status == 0) frame_is_sent(l, f);
    return status;
}

int frame_send(struct framed_link *l, struct frame *f, const struct header *h)
{
    return frame_send_next(l, f, h->flags, h);
}

int frame_send_control(struct framed_link *l, enum frame_kind kind, unsigned flags)
{
    /* HELLO is as long as messages can be: the way of long ones is open when the link is up. */
    size_t len = kind == FRAME_HELLO ? FRAMED_EAGER_MAX : 0;
    struct frame *f = frame_may(l, len, true) ? frame_take(framed_under(l), len) : NULL;
    if (!f) return TRANSPORT_AGAIN;
    memset(f->bytes, 0, len);
    f->kind = (uint16_t)kind;
    int status = frame_send_next(l, f, flags, NULL);
    if (status != 0) frame_give(framed_under(l), f);
    return status;
}

static int no_room(struct framed_link *l)
{
    l->wants_room = true;
    if (list_empty(&l->of_waiting)) list_append(&framed_under(l)->waiting, &l->of_waiting);
    return TRANSPORT_AGAIN;
}

/* Where a message goes. NULL: there is no room for it now. */
static inline struct frame *message_frame(struct framed_link *l, size_t len)
{
    if (__builtin_expect(!may(l, len, FRAMED_WINDOW - FRAMED_RESERVE), 0)) {
        link_settle(l);
        if (!frame_may(l, len, false)) return NULL;
    }
    return take(framed_under(l), len);
}

static int not_up(struct framed_link *l)
{
    if (l->state > FRAMED_UP) return l->status < 0 ? l->status : SINEW_EPEER;
    l->wants_room = true;
    return TRANSPORT_AGAIN;
}

static __attribute__((noinline)) int too_long(struct framed_link *l, size_t hlen, size_t blen)
{
    return why_set(&l->base.transport->why, SINEW_EINVAL,
                   "a message of %zu + %zu bytes; at most %d + %d go at once", hlen, blen,
                   TRANSPORT_HEAD_MAX, FRAMED_EAGER_MAX);
}

/* It was offered to the fabric. */
static inline int message_sent(struct framed_link *l, struct frame *f, int status)
{
    struct framed *t = framed_under(l);
    if (status != 0) {
        frame_give(t, f);
        return status == TRANSPORT_AGAIN ? no_room(l) : status;
    }
    if (f->busy && t->fabric->push && !t->in_progress) t->fabric->push(l->end);
    return 0;
}

static inline int send_slim(struct framed_link *l, uint64_t word, uint64_t key, const void *body,
                            size_t blen)
{
    struct frame *f = message_frame(l, SLIM_KEY + blen);
    if (!f) return no_room(l);
    f->kind = FRAME_SLIM;
    f->hlen = SLIM_KEY;
    f->word = word;
    wire_put64(f->bytes, key);
    if (blen) copy_short(f->bytes + SLIM_KEY, body, blen);
    header_put_slim(f->header + FRAMED_HEADER_WIDE - SLIM_HEADER, l, f, l->sent + 1);
    int status = frame_pass(l, f);
    if (status == 0) {
        frame_is_sent(l, f);
        l->next_out = slim_next(word);
    }
    return message_sent(l, f, status);
}

static __attribute__((noinline)) int send_whole(struct framed_link *l, const uint8_t *head,
                                                size_t hlen, const void *body, size_t blen,
                                                const struct region *region)
{
    struct header h;
    if (hlen > TRANSPORT_HEAD_MAX || blen > FRAMED_EAGER_MAX) return too_long(l, hlen, blen);
    struct frame *f = message_frame(l, hlen + blen);
    if (!f) return no_room(l);
    f->kind = FRAME_MESSAGE;
    f->hlen = (uint16_t)hlen;
    if (hlen) copy_line(f->bytes, head, hlen);
    if (blen) copy_short(f->bytes + hlen, body, blen);
    bool lends = region && lend_may(framed_under(l), region, hlen + blen);
    if (lends) lend_mark(f, region, &h);
    int status = frame_send_next(l, f, 0, lends ? &h : NULL);
    if (status == 0 && hlen >= SLIM_HEAD)
        l->next_out = slim_after(l->next_out, wire_get64(head), hlen, blen);
    return message_sent(l, f, status);
}

int framed_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
                struct region *region, uint64_t cookie)
{
    struct framed_link *l = framed_link_of(base);
    const uint8_t *words = head;
    (void)cookie;
    if (__builtin_expect(l->state != FRAMED_UP, 0)) return not_up(l);
    if (hlen == SLIM_HEAD && !region && blen <= FRAMED_EAGER_MAX && l->theirs_id < SLIM_LINKS &&
        slim_follows(l->next_out, wire_get64(words), blen))
        return send_slim(l, wire_get64(words), wire_get64(words + 8), body, blen);
    return send_whole(l, words, hlen, body, blen, region);
}

/* ---- confirmation ---------------------------------------------------------------------------- */

/* A frame that only confirms: when there is nothing else to say. */
void ack_send(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    if (!l->ack_due || l->ack_busy || !l->end || l->end->closed) return;
    struct frame *f = l->end->full_at == t->looks ? NULL : frame_take(t, 0);
    if (!f) {
        link_make_due(l);
        return;
    }
    f->kind = FRAME_ACK;
    f->confirmed = true; /* by nobody */
    if (frame_go(l, f, 0, 0, NULL) == 0 && f->busy)
        l->ack_busy = true;
    else
        frame_give(t, f);
}

static void frame_is_confirmed(struct framed_link *l, uint32_t seq)
{
    struct frame *f = l->out[seq % FRAMED_WINDOW];
    l->out[seq % FRAMED_WINDOW] = NULL;
    l->unconfirmed -= f->len;
    f->confirmed = true;
    if (!f->busy) frame_give(framed_under(l), f);
}

void frames_confirm(struct framed_link *l, uint32_t upto)
{
    while (l->acked != upto) frame_is_confirmed(l, ++l->acked);
}

/* The head as it was given. */
static void frame_hand_back(struct framed_link *l, const struct frame *f)
{
    const uint8_t *head = f->bytes;
    size_t hlen = f->hlen;
    uint8_t whole[SLIM_HEAD];
    if (f->kind == FRAME_SLIM) {
        wire_put64(whole, f->word);
        memcpy(whole + 8, f->bytes, SLIM_KEY);
        head = whole;
        hlen = SLIM_HEAD;
    }
    framed_under(l)->base.up->undone(&l->base, head, hlen, f->bytes + f->hlen, f->len - f->hlen);
}

bool frames_hand_back(struct framed_link *l)
{
    struct framed *t = framed_under(l);
    for (; l->hands_back && l->acked != l->sent; frames_confirm(l, l->acked + 1)) {
        const struct frame *f = l->out[(l->acked + 1) % FRAMED_WINDOW];
        if (f->kind != FRAME_MESSAGE && f->kind != FRAME_SLIM && f->kind != FRAME_LEND) continue;
        if (t->budget < 2) return false;
        t->budget--;
        frame_hand_back(l, f);
    }
    return true;
}

void frames_drop(struct framed_link *l)
{
    frames_confirm(l, l->sent);
}
