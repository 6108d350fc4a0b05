/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arrive.c - frames in: put in order, looked at, handed up
 *
 * UCX calls frame_arrived() from inside ucp_worker_progress(), whatever has come and from whomever.
 * A frame whose turn it is, is dealt with there, in UCX's own memory; any other is copied and waits
 * (transport/reorder.h).
 */
#include <inttypes.h>
#include <string.h>

#include "base/copy.h"
#include "base/wire.h"
#include "transport/ucx/internal.h"

static void header_decode(struct header *h, const uint8_t *at, size_t len)
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
    if (len != UCX_HEADER_WIDE) return;
    h->region = wire_get64(at + 24);
    h->secret = wire_get64(at + 32);
    h->offset = wire_get64(at + 40);
    h->amount = wire_get64(at + 48);
    h->compare = wire_get64(at + 56);
    h->work = wire_get64(at + 64);
}

static int frame_bad(struct ucx_link *l, const struct header *h, const char *what)
{
    return why_set(&l->base.why, SINEW_EPROTO, "%s: frame %u of kind %u %s", l->name, h->seq, h->kind,
                   what);
}

/* ---- one whose turn it is -------------------------------------------------------------------- */

enum { EXPECT_HEAD = 16 };

static bool would_be_expected(const struct ucx_link *l, const struct header *h, const uint8_t *data,
                              size_t len)
{
    const struct expect *e = l->base.expect;
    if (!e || h->hlen != EXPECT_HEAD || len < EXPECT_HEAD || l->state != UCX_UP) return false;
    return !((wire_get64(data) ^ e->word) & e->mask) && wire_get64(data + 8) == e->key;
}

/* What messaging waits for goes straight into its buffer. */
static bool take_expected(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    struct expect *e = l->base.expect;
    if (!would_be_expected(l, h, data, len)) return false;
    uint64_t word = wire_get64(data);
    len -= EXPECT_HEAD;
    copy_short(e->buf, data + EXPECT_HEAD, len < e->cap ? len : e->cap);
    e->word = word;
    e->len = len;
    e->done = true;
    l->base.expect = e->next;
    ucx_under(l)->took = l;
    return true;
}

static int message_take(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    struct ucx *t = ucx_under(l);
    if (h->hlen > TRANSPORT_HEAD_MAX || h->hlen > len || len - h->hlen > UCX_EAGER_MAX)
        return frame_bad(l, h, "has impossible lengths");
    t->budget--;
    if (take_expected(l, h, data, len)) return 0;
    l->base.expect = NULL; /* by now it may expect another */
    if (t->base.up->recv(&l->base, data, h->hlen, data + h->hlen, len - h->hlen, NULL) < 0)
        return frame_bad(l, h, "was refused: its bytes break the protocol");
    return 0;
}

static int bye_take(struct ucx_link *l)
{
    l->heard_bye = true;
    ack_send(l);
    /* Whoever has said it too waits for his own to be confirmed: the other will still do that. */
    if (!l->bye) link_fall(l, 0, GONE_LEFT, false);
    link_left_after_all(l);
    return 0;
}

static int frame_take_kind(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    switch ((enum frame_kind)h->kind) {
    case FRAME_HELLO: l->heard_hello = true; return 0;
    case FRAME_BYE: return bye_take(l);
    case FRAME_MESSAGE: return message_take(l, h, data, len);
    case FRAME_PUT: return serve_put(l, h, data, len);
    case FRAME_GET:
    case FRAME_ADD:
    case FRAME_SWAP: return serve_asked(l, h);
    case FRAME_FILL: return serve_fill(l, h, data, len);
    case FRAME_DATA:
    case FRAME_FILLED:
    case FRAME_DENIED: return work_answered(l, h, data, len);
    default: return frame_bad(l, h, "is of no known kind");
    }
}

static void ack_owe(struct ucx_link *l, const struct header *h, size_t len)
{
    l->dealt_bytes += len;
    if (!(h->flags & FRAME_ASKS) && l->dealt - l->told < UCX_WINDOW / 4 &&
        l->dealt_bytes < UCX_WINDOW_BYTES / 4)
        return;
    l->ack_due = true;
    link_make_due(l);
}

static void frame_deal_with(struct ucx_link *l, const struct header *h, const uint8_t *data,
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
    if (l->state == UCX_PAIRED) link_make_due(l);
}

/* ---- order ----------------------------------------------------------------------------------- */

static bool frames_are_wanted(const struct ucx_link *l)
{
    return l->state < UCX_ENDING || (l->state == UCX_ENDING && l->hand_up);
}

/* Before `up` only HELLO is dealt with, and that only when the counterpart is known. When something was taken
 * that was expected, nothing but what is expected goes up until messaging has seen to it. */
static bool frame_may_go_up(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    const struct ucx *t = ucx_under(l);
    if (__builtin_expect(l->state != UCX_UP, 0)) {
        bool early = l->state < UCX_PAIRED || (l->state == UCX_PAIRED && l->heard_hello);
        return !early && frames_are_wanted(l) && t->budget > 1;
    }
    if (t->budget <= 1) return false;
    return t->took != l || (h->kind == FRAME_MESSAGE && would_be_expected(l, h, data, len));
}

static int early_keep(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    struct header kept = *h;
    kept.waited = true;
    int status = reorder_keep(&l->early, ucx_under(l)->base.opt.world, h->seq, &kept, sizeof(kept), data,
                              len);
    if (status == SINEW_ENOMEM)
        return why_set(&l->base.why, status, "%s: no memory for a message", l->name);
    if (status < 0) return frame_bad(l, h, "came twice, or goes beyond the window");
    if (h->fetch) ucx_under(l)->kept = true;
    link_make_due(l);
    return 0;
}

void early_take(struct ucx_link *l)
{
    struct header h;
    const struct kept *next;
    while ((next = reorder_look(&l->early, l->dealt + 1))) {
        memcpy(&h, next->bytes, sizeof(h));
        if (!frame_may_go_up(l, &h, next->bytes + sizeof(h), next->len)) return;
        struct kept *k = reorder_take(&l->early, l->dealt + 1);
        frame_deal_with(l, &h, k->bytes + sizeof(h), k->len);
        reorder_release(ucx_under(l)->base.opt.world, k);
    }
}

void early_drop(struct ucx_link *l)
{
    struct kept *k;
    struct header h;
    while ((k = reorder_take_any(&l->early))) {
        memcpy(&h, k->bytes, sizeof(h));
        fill_refuse(ucx_under(l), &h);
        reorder_release(ucx_under(l)->base.opt.world, k);
    }
}

/* ---- what every frame says ------------------------------------------------------------------- */

/* Frames come in any order, so an older word is no news. */
static int frame_hear(struct ucx_link *l, const struct header *h)
{
    uint32_t news = h->heard - l->acked;
    if (news == 0 || news >= 1u << 31) return 0;
    if (news > l->sent - l->acked) return frame_bad(l, h, "confirms what was never sent");
    frames_confirm(l, h->heard);
    link_left_after_all(l);
    if (!list_empty(&l->works) || !list_empty(&l->serves) || l->wants_room ||
        l->state != UCX_UP)
        link_make_due(l);
    return 0;
}

static int frame_judge(struct ucx_link *l, const struct header *h, const uint8_t *data, size_t len)
{
    uint32_t ahead = h->seq - l->dealt - 1;
    int status = frame_hear(l, h);
    if (status < 0) return status;
    if (h->kind == FRAME_ACK) return h->seq || len ? frame_bad(l, h, "confirms and more") : 0;
    if (h->kind > FRAME_LAST) return frame_bad(l, h, "is of no known kind");
    if (ahead >= UCX_WINDOW) return frame_bad(l, h, "is outside the window");
    if (ahead > 0 || !frame_may_go_up(l, h, data, len)) return early_keep(l, h, data, len);
    frame_deal_with(l, h, data, len);
    if (l->early.n) early_take(l);
    return 0;
}

/* The header, before the data or apart from it; then *data and *len are what follows. False: no frame. */
static bool frame_open(struct header *h, const uint8_t *header, size_t header_len, const uint8_t **data,
                       size_t *len)
{
    bool apart = header_len > 0;
    const uint8_t *at = apart ? header : *data;
    size_t there = apart ? header_len : *len;
    if (there < UCX_HEADER) return false;
    size_t need = at[20] >= FRAME_PUT ? UCX_HEADER_WIDE : UCX_HEADER;
    if (apart ? there != need : there < need) return false;
    header_decode(h, at, need);
    if (apart) return true;
    *data += need;
    *len -= need;
    return true;
}

/* UCS_OK: UCX may have its memory back; of what was to be fetched, it tells the sender that it is done. */
ucs_status_t frame_arrived(void *arg, const void *header, size_t header_len, void *data, size_t len,
                           const ucp_am_recv_param_t *param)
{
    struct ucx *t = arg;
    struct header h;
    const uint8_t *at = data;
    bool fetched = param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV;
    t->moved = true;
    struct ucx_link *l = NULL;
    if ((!fetched || header_len > 0) && frame_open(&h, header, header_len, &at, &len))
        l = link_by_id(t, h.link, h.token);
    if (!l || !frames_are_wanted(l)) {
        t->strays++;
        return UCS_OK;
    }
    int status;
    t->kept = false;
    if (fetched && (h.kind != FRAME_FILL || h.amount != len)) {
        status = frame_bad(l, &h, "is to be fetched, and is nothing of that kind");
    } else {
        h.fetch = fetched ? data : NULL;
        status = frame_judge(l, &h, at, fetched ? 0 : len);
    }
    if (status < 0) {
        l->hand_up = false;
        link_fall(l, status, GONE_BROKEN, false);
    }
    return t->kept ? UCS_INPROGRESS : UCS_OK;
}
