/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arrive.c - frames in: put in order, looked at, handed up
 *
 * The fabric calls frame_arrived() from inside look(), with whatever has come from whomever. A
 * frame whose turn it is, is dealt with there, in the fabric's own memory; any other is copied and
 * waits (transport/reorder.h).
 */
#include <string.h>

#include "base/copy.h"
#include "base/wire.h"
#include "transport/framed/framed.h"

/* How long the header is that says it is of this kind. */
static size_t header_len(uint8_t kind)
{
    return kind >= FRAME_PUT ? FRAMED_HEADER_WIDE : FRAMED_HEADER;
}

static void header_decode(struct header *h, const uint8_t *at)
{
    *h = (struct header){
        .token = wire_get64(at),
        .link = wire_get32(at + 8),
        .seq = wire_get32(at + 12),
        .heard = wire_get32(at + 16),
        .kind = at[20],
        .flags = at[21],
        .hlen = wire_get16(at + 22),
    };
}

static void header_decode_wide(struct header *h, const uint8_t *at)
{
    h->region = wire_get64(at + 24);
    h->secret = wire_get64(at + 32);
    h->offset = wire_get64(at + 40);
    h->amount = wire_get64(at + 48);
    h->compare = wire_get64(at + 56);
    h->work = wire_get64(at + 64);
}

static int frame_bad(struct framed_link *l, const struct header *h, const char *what)
{
    return why_set(&l->base.why, SINEW_EPROTO, "%s: frame %u of kind %u %s", l->name, h->seq,
                   h->kind, what);
}

static bool frames_are_wanted(const struct framed_link *l)
{
    return l->state < FRAMED_ENDING || (l->state == FRAMED_ENDING && l->hand_up);
}

/* ---- one whose turn it is -------------------------------------------------------------------- */

static bool is_expected(const struct framed_link *l, uint64_t word, uint64_t key)
{
    const struct expect *e = l->base.expect;
    return e && !((word ^ e->word) & e->mask) && key == e->key;
}

static bool would_be_expected(const struct framed_link *l, const struct header *h,
                              const uint8_t *data, size_t len)
{
    if (l->state != FRAMED_UP) return false;
    if (h->kind == FRAME_SLIM && len >= SLIM_KEY)
        return is_expected(l, slim_word(l->next_in, h->credit, len - SLIM_KEY), wire_get64(data));
    return h->kind == FRAME_MESSAGE && h->hlen == SLIM_HEAD && len >= SLIM_HEAD &&
           is_expected(l, wire_get64(data), wire_get64(data + 8));
}

/* In one look only one link takes what it waits for: it is remembered, for there are no upcalls
 * for it before it has been seen to. */
static inline void take_note(struct framed *t, struct framed_link *l, uint64_t word, size_t blen)
{
    struct expect *e = l->base.expect;
    e->word = word;
    e->len = blen;
    e->done = true;
    l->base.expect = e->next;
    t->took = l;
}

/* What messaging waits for goes straight into its buffer. */
static bool take_expected(struct framed_link *l, uint64_t word, uint64_t key, const uint8_t *body,
                          size_t blen)
{
    struct framed *t = framed_under(l);
    const struct expect *e = l->base.expect;
    if ((t->took && t->took != l) || !is_expected(l, word, key)) return false;
    copy_short(e->buf, body, blen < e->cap ? blen : e->cap);
    take_note(t, l, word, blen);
    return true;
}

static int message_hand_up(struct framed_link *l, const struct header *h, const uint8_t *head,
                           size_t hlen, const uint8_t *body, size_t blen)
{
    struct framed *t = framed_under(l);
    if (hlen > TRANSPORT_HEAD_MAX || blen > FRAMED_EAGER_MAX)
        return frame_bad(l, h, "has impossible lengths");
    if (hlen >= SLIM_HEAD)
        l->next_in = slim_after(l->next_in, wire_get64(head), hlen, blen);
    t->budget--;
    if (hlen == SLIM_HEAD && l->state == FRAMED_UP &&
        take_expected(l, wire_get64(head), wire_get64(head + 8), body, blen))
        return 0;
    l->base.expect = NULL; /* by now it may expect another */
    if (!l->announced) {
        link_is_up(l);
        if (!frames_are_wanted(l)) return 0; /* cut inside `up` */
    }
    if (t->base.up->recv(&l->base, head, hlen, body, blen, NULL) < 0)
        return frame_bad(l, h, "was refused: its bytes break the protocol");
    return 0;
}

static int message_take(struct framed_link *l, const struct header *h, const uint8_t *data,
                        size_t len)
{
    if (h->hlen > len) return frame_bad(l, h, "has impossible lengths");
    return message_hand_up(l, h, data, h->hlen, data + h->hlen, len - h->hlen);
}

static int slim_take(struct framed_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    uint8_t head[SLIM_HEAD];
    if (len < SLIM_KEY) return frame_bad(l, h, "has impossible lengths");
    wire_put64(head, slim_word(l->next_in, h->credit, len - SLIM_KEY));
    memcpy(head + 8, data, SLIM_KEY);
    return message_hand_up(l, h, head, SLIM_HEAD, data + SLIM_KEY, len - SLIM_KEY);
}

/* It ends when that has been confirmed (link_attend). Whoever has said it too waits for his own to
 * be confirmed: the other will still do that. */
static int bye_take(struct framed_link *l)
{
    l->heard_bye = l->ack_due = true;
    ack_send(l);
    link_make_due(l);
    link_left_after_all(l);
    return 0;
}

static int frame_take_kind(struct framed_link *l, const struct header *h, const uint8_t *data,
                           size_t len)
{
    switch ((enum frame_kind)h->kind) {
    case FRAME_HELLO:
        l->heard_hello = true;
        return 0;
    case FRAME_BYE:
        return bye_take(l);
    case FRAME_MESSAGE:
        return message_take(l, h, data, len);
    case FRAME_SLIM:
        return slim_take(l, h, data, len);
    case FRAME_PUT:
        return serve_put(l, h, data, len);
    case FRAME_GET:
    case FRAME_LOOK:
    case FRAME_ADD:
    case FRAME_SWAP:
        return serve_asked(l, h);
    case FRAME_FILL:
        return serve_fill(l, h, data, len);
    case FRAME_LEND:
        lent_keep(l, h);
        return message_take(l, h, data, len);
    case FRAME_WITHDRAW:
        lent_withdrawn(l, h);
        return 0;
    case FRAME_DATA:
    case FRAME_FILLED:
    case FRAME_DENIED:
        return work_answered(l, h, data, len);
    default:
        return frame_bad(l, h, "is of no known kind");
    }
}

static void ack_owe(struct framed_link *l, const struct header *h, size_t len)
{
    l->dealt_bytes += len;
    if (!(h->flags & FRAME_ASKS) && l->dealt - l->told < FRAMED_WINDOW / 4 &&
        l->dealt_bytes < FRAMED_WINDOW_BYTES / 4)
        return;
    l->ack_due = true;
    link_make_due(l);
}

static void frame_deal_with(struct framed_link *l, const struct header *h, const uint8_t *data,
                            size_t len)
{
    l->dealt = h->seq;
    ack_owe(l, h, len);
    int status = (h->kind == FRAME_HELLO) == l->heard_hello || l->heard_bye
                     ? frame_bad(l, h, "comes before HELLO, after BYE, or again")
                     : frame_take_kind(l, h, data, len);
    if (status < 0) {
        l->hand_up = false; /* no more of it is believed */
        link_fall(l, status, GONE_BROKEN, false);
        return;
    }
    if (l->state == FRAMED_PAIRED) link_make_due(l);
}

/* ---- order ----------------------------------------------------------------------------------- */

/* Before `up` only HELLO is dealt with, and that only when the counterpart is known. When something
 * was taken that was expected, nothing but what is expected goes up until messaging has seen to it.
 */
static bool frame_may_go_up(const struct framed_link *l, const struct header *h,
                            const uint8_t *data, size_t len)
{
    const struct framed *t = framed_under(l);
    if (__builtin_expect(l->state != FRAMED_UP, 0)) {
        bool early = l->state < FRAMED_PAIRED || (l->state == FRAMED_PAIRED && l->heard_hello);
        return !early && frames_are_wanted(l) && t->budget > 1;
    }
    if (t->budget <= 1) return false;
    return t->took != l || would_be_expected(l, h, data, len);
}

static int early_keep(struct framed_link *l, const struct header *h, const uint8_t *data,
                      size_t len)
{
    struct framed *t = framed_under(l);
    struct header kept = *h;
    kept.waited = true;
    int status = reorder_keep(&l->early, t->base.opt.world, h->seq, &kept, sizeof(kept), data, len);
    if (status == SINEW_ENOMEM)
        return why_set(&l->base.why, status, "%s: no memory for a message", l->name);
    if (status < 0) return frame_bad(l, h, "came twice, or goes beyond the window");
    if (h->fetch) t->kept = h->fetch;
    link_mind_gap(l);
    link_make_due(l);
    return 0;
}

void early_take(struct framed_link *l)
{
    struct header h;
    const struct kept *next;
    while ((next = reorder_look(&l->early, l->dealt + 1))) {
        memcpy(&h, next->bytes, sizeof(h));
        if (!frame_may_go_up(l, &h, next->bytes + sizeof(h), next->len)) break;
        struct kept *k = reorder_take(&l->early, l->dealt + 1);
        frame_deal_with(l, &h, k->bytes + sizeof(h), k->len);
        reorder_release(framed_under(l)->base.opt.world, k);
    }
    link_mind_gap(l);
}

void early_drop(struct framed_link *l)
{
    struct kept *k;
    struct header h;
    while ((k = reorder_take_any(&l->early))) {
        memcpy(&h, k->bytes, sizeof(h));
        fill_refuse(framed_under(l), &h);
        reorder_release(framed_under(l)->base.opt.world, k);
    }
}

/* ---- what every frame says ------------------------------------------------------------------- */

static void frames_heard(struct framed_link *l, uint32_t upto)
{
    frames_confirm(l, upto);
    if ((int32_t)(l->heard - upto) < 0) l->heard = upto;
    link_left_after_all(l);
    if (!list_empty(&l->works) || !list_empty(&l->serves) || l->wants_room || l->state != FRAMED_UP)
        link_make_due(l);
}

void link_settle(struct framed_link *l)
{
    if ((int32_t)(l->heard - l->acked) > 0) frames_heard(l, l->heard);
}

/* Frames come in any order, so an older word is no news. */
static int frame_hear(struct framed_link *l, const struct header *h)
{
    uint32_t news = h->heard - l->acked;
    if (news == 0 || news >= 1u << 31) return 0;
    if (news > l->sent - l->acked) return frame_bad(l, h, "confirms what was never sent");
    frames_heard(l, h->heard);
    return 0;
}

static int frame_judge(struct framed_link *l, const struct header *h, const uint8_t *data,
                       size_t len)
{
    uint32_t ahead = h->seq - l->dealt - 1;
    int status = frame_hear(l, h);
    if (status < 0) return status;
    if (h->kind == FRAME_ACK) return h->seq || len ? frame_bad(l, h, "confirms and more") : 0;
    if (h->kind > FRAME_LAST && h->kind != FRAME_SLIM)
        return frame_bad(l, h, "is of no known kind");
    if (ahead >= FRAMED_WINDOW) return frame_bad(l, h, "is outside the window");
    if (ahead > 0 || !frame_may_go_up(l, h, data, len)) return early_keep(l, h, data, len);
    frame_deal_with(l, h, data, len);
    if (l->early.n) early_take(l);
    return 0;
}

/* Whose it is; NULL: nobody's who wants it. */
static struct framed_link *frame_link(struct framed *t, const struct header *h)
{
    struct framed_link *l = link_by_id(t, h->link, h->token);
    if (l && frames_are_wanted(l)) return l;
    t->strays++;
    return NULL;
}

static void frame_cost_link(struct framed_link *l, int status)
{
    l->hand_up = false;
    link_fall(l, status, GONE_BROKEN, false);
}

/* ---- slim ones ------------------------------------------------------------------------------- */

/* In whole numbers: of `seq` no earlier one can be meant, `heard` may be an older word. */
static void header_decode_slim(struct header *h, const struct framed_link *l, const uint8_t *at)
{
    uint32_t next = l->dealt + 1;
    int32_t news = (int16_t)(wire_get16(at + 14) - l->acked);
    *h = (struct header){
        .token = l->token,
        .link = l->id,
        .kind = FRAME_SLIM,
        .credit = at[10],
        .seq = next + (uint16_t)(wire_get16(at + 12) - next),
        .heard = l->acked + (uint32_t)news,
    };
}

/* So many frames, of any length, before it has to confirm some. */
static int frames_unconfirmed(const struct framed_link *l)
{
    uint32_t untold = l->dealt - l->told;
    if (l->ack_due || untold >= FRAMED_WINDOW / 4 || l->dealt_bytes >= FRAMED_WINDOW_BYTES / 4)
        return 0;
    uint32_t frames = FRAMED_WINDOW / 4 - 1 - untold;
    uint32_t longest = (uint32_t)(FRAMED_WINDOW_BYTES / 4 - l->dealt_bytes) / FRAMED_LARGE;
    return (int)(frames < longest ? frames : longest);
}

/* All that must be so for the short way of `l`, but for what the frame itself says: it has nothing
 * else to see to, and need not confirm yet. That stays so until another frame comes. */
void slim_await(struct framed *t, struct framed_link *l)
{
    bool calm = l->state == FRAMED_UP && !l->heard_bye && l->early.n == 0;
    int more = calm ? frames_unconfirmed(l) : 0;
    t->awaited = NULL;
    if ((t->took && t->took != l) || l->id >= SLIM_LINKS) return;
    if (more >= t->budget) more = t->budget - 1;
    if (more <= 0) return;
    t->awaited = l;
    t->awaited_more = more;
    t->awaited_names = l->id | (uint64_t)SLIM_MARK << 24 | (uint64_t)(uint16_t)(l->dealt + 1) << 32;
}

/* The short way of what most frames are: the next message, which is waited for, and has at most
 * SLIM_LINE bytes. */
static inline bool slim_is_next(const struct framed *t, const uint8_t *bytes, size_t len)
{
    const uint64_t names = UINT64_C(0xffffff00ffff);
    const struct framed_link *l = t->awaited;
    if (!l || len - SLIM_LEAST > SLIM_LINE || wire_get64(bytes) != l->token) return false;
    uint64_t says = wire_get64(bytes + 8);
    uint32_t more = (uint16_t)((uint32_t)(says >> 48) - l->acked);
    if ((says ^ t->awaited_names) & names || more > l->sent - l->acked) return false;
    uint64_t word = slim_word(l->next_in, says >> 16 & 0xff, len - SLIM_LEAST);
    return is_expected(l, word, wire_get64(bytes + SLIM_HEADER));
}

/* What it confirms is seen to later, while nobody waits for a message. */
static inline void slim_take_next(struct framed *t, const uint8_t *bytes, size_t len)
{
    struct framed_link *l = t->awaited;
    struct expect *e = l->base.expect;
    uint64_t says = wire_get64(bytes + 8);
    size_t blen = len - SLIM_LEAST;
    uint64_t word = slim_word(l->next_in, says >> 16 & 0xff, blen);
    copy_line(e->buf, bytes + SLIM_LEAST, blen < e->cap ? blen : e->cap);
    take_note(t, l, word, blen);
    l->next_in = slim_next(word);
    l->dealt++;
    l->dealt_bytes += len - SLIM_HEADER;
    l->heard = l->acked + (uint16_t)((uint32_t)(says >> 48) - l->acked);
    t->budget--;
    t->awaited_names += UINT64_C(1) << 32;
    if (--t->awaited_more == 0) t->awaited = NULL;
}

static bool is_slim(const uint8_t *bytes, size_t len)
{
    return len > 11 && bytes[11] == SLIM_MARK;
}

static void slim_arrived(struct framed *t, const uint8_t *bytes, size_t len)
{
    struct header h;
    struct framed_link *l = len < SLIM_LEAST || len > SLIM_HEADER + FRAMED_LARGE
                                ? NULL
                                : link_by_id(t, wire_get16(bytes + 8), wire_get64(bytes));
    if (!l || !frames_are_wanted(l)) {
        t->strays++;
        return;
    }
    header_decode_slim(&h, l, bytes);
    int status = frame_judge(l, &h, bytes + SLIM_HEADER, len - SLIM_HEADER);
    if (status < 0)
        frame_cost_link(l, status);
    else if (l->base.expect)
        slim_await(t, l);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static __attribute__((noinline)) void any_arrived(struct framed *t, const uint8_t *bytes,
                                                  size_t len)
{
    struct header h;
    t->awaited = NULL;
    if (is_slim(bytes, len)) {
        slim_arrived(t, bytes, len);
        return;
    }
    size_t head = len > 20 ? header_len(bytes[20]) : FRAMED_HEADER;
    if (len < head) {
        t->strays++;
        return;
    }
    header_decode(&h, bytes);
    if (head == FRAMED_HEADER_WIDE) header_decode_wide(&h, bytes);
    struct framed_link *l = frame_link(t, &h);
    int status = l ? frame_judge(l, &h, bytes + head, len - head) : 0;
    if (status < 0) frame_cost_link(l, status);
}

void frame_arrived(struct framed *t, const uint8_t *bytes, size_t len)
{
    t->moved = true;
    if (slim_is_next(t, bytes, len))
        slim_take_next(t, bytes, len);
    else
        any_arrived(t, bytes, len);
}

/* Of a message that lends memory, head and body lie behind its header. */
static size_t words_len(const uint8_t *header, size_t len)
{
    return header[20] == FRAME_LEND ? len - header_len(FRAME_LEND) : 0;
}

static int apart_judge(struct framed_link *l, const struct header *h, const uint8_t *words,
                       size_t words_of, const uint8_t *data, size_t len)
{
    bool is_lent = h->kind == FRAME_LEND;
    if (h->fetch && ((h->kind != FRAME_FILL && !is_lent) || h->amount != len))
        return frame_bad(l, h, "is to be fetched, and is nothing of that kind");
    if (is_lent) return frame_judge(l, h, words, words_of);
    return frame_judge(l, h, data, h->fetch ? 0 : len);
}

bool frame_arrived_apart(struct framed *t, const uint8_t *header, size_t len_of_header,
                         const uint8_t *data, size_t len, void *fetch)
{
    struct header h;
    t->moved = true;
    t->awaited = NULL;
    size_t narrow = len_of_header > 20 ? header_len(header[20]) : FRAMED_HEADER;
    if (len_of_header < narrow ||
        len_of_header != narrow + words_len(header, len_of_header)) {
        t->strays++;
        return false;
    }
    header_decode(&h, header);
    if (narrow == FRAMED_HEADER_WIDE) header_decode_wide(&h, header);
    struct framed_link *l = frame_link(t, &h);
    if (!l) return false;
    h.fetch = fetch;
    int status = apart_judge(l, &h, header + narrow, len_of_header - narrow, data, len);
    if (status < 0) frame_cost_link(l, status);
    bool kept = t->kept != NULL;
    t->kept = NULL;
    return kept;
}
