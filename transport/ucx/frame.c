/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frame.c - frames out (internal.h draws them)
 */
#include <string.h>

#include "base/copy.h"
#include "base/wire.h"
#include "transport/ucx/internal.h"

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t header_len(enum frame_kind kind)
{
    return kind >= FRAME_PUT ? UCX_HEADER_WIDE : UCX_HEADER;
}

struct frame *frame_take(struct ucx *t, enum frame_kind kind, size_t len)
{
    bool small = header_len(kind) + len <= UCX_SMALL;
    size_t cap = small ? UCX_SMALL : UCX_LARGE;
    struct list *spare = list_take(small ? &t->spare_small : &t->spare_large);
    struct frame *f;
    if (spare) {
        --*(small ? &t->spare_small_n : &t->spare_large_n);
        f = LIST_OWNER(spare, struct frame, entry);
    } else {
        f = world_allocate(t->base.opt.world, sizeof(*f) + cap);
        if (!f) return NULL;
        list_init(&f->entry);
        f->cap = cap;
    }
    f->end = NULL;
    f->work = NULL;
    f->busy = f->confirmed = false;
    f->kind = (uint8_t)kind;
    f->hlen = 0;
    f->len = len;
    f->data = f->bytes + header_len(kind);
    return f;
}

void frame_give(struct ucx *t, struct frame *f)
{
    bool small = f->cap == UCX_SMALL;
    uint32_t *n = small ? &t->spare_small_n : &t->spare_large_n;
    if (*n >= UCX_SPARE) {
        world_release(t->base.opt.world, f, sizeof(*f) + f->cap);
        return;
    }
    ++*n;
    struct list *spare = small ? &t->spare_small : &t->spare_large;
    list_append(spare->next, &f->entry); /* the first: its lines are warm */
}

static void release_list(struct ucx *t, struct list *list)
{
    struct list *e;
    while ((e = list_take(list))) {
        struct frame *f = LIST_OWNER(e, struct frame, entry);
        world_release(t->base.opt.world, f, sizeof(*f) + f->cap);
    }
}

void frames_release(struct ucx *t)
{
    release_list(t, &t->spare_small);
    release_list(t, &t->spare_large);
    release_list(t, &t->busy);
}

/* ---- out ------------------------------------------------------------------------------------- */

void header_encode(uint8_t *out, const struct header *h, bool wide)
{
    wire_put64(out, h->token);
    wire_put32(out + 8, h->link);
    wire_put32(out + 12, h->seq);
    wire_put32(out + 16, h->heard);
    out[20] = h->kind;
    out[21] = h->flags;
    wire_put16(out + 22, h->hlen);
    if (!wide) return;
    wire_put64(out + 24, h->region);
    wire_put64(out + 32, h->secret);
    wire_put64(out + 40, h->offset);
    wire_put64(out + 48, h->amount);
    wire_put64(out + 56, h->compare);
    wire_put64(out + 64, h->work);
}

/* What every frame says: to whom, and what has been dealt with here. */
static void header_fill(struct ucx_link *l, struct header *h)
{
    h->token = l->theirs_token;
    h->link = l->theirs_id;
    h->heard = l->told = l->dealt;
    l->dealt_bytes = 0;
    l->ack_due = false;
}

bool frame_may(const struct ucx_link *l, size_t len, bool reserved)
{
    uint32_t under_way = l->sent - l->acked, most = reserved ? UCX_WINDOW : UCX_WINDOW - UCX_RESERVE;
    return under_way < most &&
           (under_way == 0 || l->unconfirmed + len <= UCX_WINDOW_BYTES);
}

/* UCX has let go of it: with an error, if the endpoint failed or was closed by force. */
static void frame_is_free(void *request, ucs_status_t status, void *user_data)
{
    struct frame *f = user_data;
    struct endpoint *end = f->end;
    struct ucx *t = end->t;
    t->api.request_free(request);
    t->moved = true;
    f->busy = false;
    list_remove(&f->entry);
    end->busy--;
    if (f->work) {
        f->work->busy--;
        if (end->link) link_make_due(end->link);
    }
    if (status != UCS_OK && end->link) link_trouble(end->link, status, "a message could not be sent");
    if (f->confirmed) frame_give(t, f);
}

static ucs_status_ptr_t post(struct ucx_link *l, struct frame *f, const void *elsewhere)
{
    struct ucx *t = ucx_under(l);
    size_t head = header_len(f->kind);
    bool fetched = f->kind == FRAME_FILL;
    const ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                        UCP_OP_ATTR_FIELD_FLAGS,
        .flags = fetched ? UCP_AM_SEND_FLAG_RNDV : UCP_AM_SEND_FLAG_EAGER,
        .cb.send = frame_is_free,
        .user_data = f,
    };
    if (!elsewhere) return t->api.am_send(l->end->ep, 0, NULL, 0, f->bytes, head + f->len, &param);
    return t->api.am_send(l->end->ep, 0, f->bytes, head, elsewhere, fetched ? f->work->op->len : f->len,
                          &param);
}

int frame_send(struct ucx_link *l, struct frame *f, struct header *h, const void *elsewhere)
{
    h->kind = f->kind;
    h->seq = l->sent + 1;
    h->hlen = f->hlen;
    header_fill(l, h);
    header_encode(f->bytes, h, f->kind >= FRAME_PUT);
    f->end = l->end;
    struct ucx *t = ucx_under(l);
    ucs_status_ptr_t sent = post(l, f, elsewhere);
    if (UCS_PTR_IS_ERR(sent))
        return link_trouble(l, UCS_PTR_STATUS(sent), "a message could not be sent");
    if (sent) {
        f->busy = true;
        list_append(&t->busy, &f->entry);
        l->end->busy++;
        if (f->work) f->work->busy++;
    }
    l->sent++;
    l->unconfirmed += f->len;
    l->out[l->sent % UCX_WINDOW] = f;
    return 0;
}

int frame_send_control(struct ucx_link *l, enum frame_kind kind, unsigned flags)
{
    struct header h = { .flags = (uint8_t)flags };
    /* HELLO is as long as messages can be: the way of long ones is open when the link is up. */
    size_t len = kind == FRAME_HELLO ? UCX_EAGER_MAX : 0;
    struct frame *f = frame_may(l, len, true) ? frame_take(ucx_under(l), kind, len) : NULL;
    if (!f) return TRANSPORT_AGAIN;
    memset(f->data, 0, len);
    int status = frame_send(l, f, &h, NULL);
    if (status < 0) frame_give(ucx_under(l), f);
    return status;
}

/* What is sent goes, though this side should not look again. What comes meanwhile waits for progress(). */
static void push(struct ucx *t, const struct endpoint *end)
{
    for (int i = 0; i < UCX_PUSHES && end->busy && !t->in_progress; i++)
        t->api.progress(t->worker);
}

int ucx_send(struct link *base, const void *head, size_t hlen, const void *body, size_t blen,
             struct region *region, uint64_t cookie)
{
    struct ucx_link *l = ucx_link_of(base);
    struct ucx *t = ucx_under(l);
    struct header h = { 0 };
    (void)region;
    (void)cookie;
    if (__builtin_expect(l->state != UCX_UP, 0)) {
        if (l->state > UCX_UP) return l->status < 0 ? l->status : SINEW_EPEER;
        l->wants_room = true;
        return TRANSPORT_AGAIN;
    }
    if (hlen > TRANSPORT_HEAD_MAX || blen > UCX_EAGER_MAX)
        return why_set(&base->transport->why, SINEW_EINVAL,
                       "a message of %zu + %zu bytes; at most %d + %d go at once", hlen, blen,
                       TRANSPORT_HEAD_MAX, UCX_EAGER_MAX);
    struct frame *f = frame_may(l, hlen + blen, false) ? frame_take(t, FRAME_MESSAGE, hlen + blen) : NULL;
    if (!f) {
        l->wants_room = true;
        if (list_empty(&l->of_waiting)) list_append(&t->waiting, &l->of_waiting);
        return TRANSPORT_AGAIN;
    }
    f->hlen = (uint16_t)hlen;
    if (hlen) copy_line(f->data, head, hlen);
    if (blen) copy_short(f->data + hlen, body, blen);
    int status = frame_send(l, f, &h, NULL);
    if (status < 0)
        frame_give(t, f);
    else if (f->busy)
        push(t, l->end);
    return status;
}

/* ---- confirmation ---------------------------------------------------------------------------- */

static void ack_is_free(void *request, ucs_status_t status, void *user_data)
{
    struct endpoint *end = user_data;
    (void)status; /* should the endpoint have failed, it says so itself */
    end->t->api.request_free(request);
    end->ack_busy = false;
    if (end->link && end->link->ack_due) link_make_due(end->link);
}

/* A frame that only confirms: when there is nothing else to say. */
void ack_send(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    struct endpoint *end = l->end;
    struct header h = { .kind = FRAME_ACK };
    if (!l->ack_due || !end || end->closed || end->ack_busy) return;
    header_fill(l, &h);
    header_encode(end->ack, &h, false);
    const ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                        UCP_OP_ATTR_FIELD_FLAGS,
        .flags = UCP_AM_SEND_FLAG_EAGER,
        .cb.send = ack_is_free,
        .user_data = end,
    };
    ucs_status_ptr_t sent = t->api.am_send(end->ep, 0, NULL, 0, end->ack, UCX_HEADER, &param);
    if (UCS_PTR_IS_ERR(sent))
        link_trouble(l, UCS_PTR_STATUS(sent), "a confirmation could not be sent");
    else if (sent)
        end->ack_busy = true;
}

static void frame_is_confirmed(struct ucx_link *l, uint32_t seq)
{
    struct frame *f = l->out[seq % UCX_WINDOW];
    l->out[seq % UCX_WINDOW] = NULL;
    l->unconfirmed -= f->len;
    f->confirmed = true;
    if (!f->busy) frame_give(ucx_under(l), f);
}

void frames_confirm(struct ucx_link *l, uint32_t upto)
{
    while (l->acked != upto) frame_is_confirmed(l, ++l->acked);
}

bool frames_hand_back(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    for (; l->hands_back && l->acked != l->sent; frames_confirm(l, l->acked + 1)) {
        const struct frame *f = l->out[(l->acked + 1) % UCX_WINDOW];
        if (f->kind != FRAME_MESSAGE) continue;
        if (t->budget < 2) return false;
        t->budget--;
        t->base.up->undone(&l->base, f->data, f->hlen, f->data + f->hlen, f->len - f->hlen);
    }
    return true;
}

void frames_drop(struct ucx_link *l)
{
    frames_confirm(l, l->sent);
}
