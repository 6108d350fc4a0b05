/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carry.c - UCX's endpoints; frames out and in, and what is fetched
 *
 * After ucp_ep_close_nbx() there is no handle any more, only a request that ends some time. What
 * UCX still has of ours, and what it still writes to, live until then; the link need not.
 *
 * A header that lies before its data goes as data of UCX's, with no header in its sense: only so
 * does it copy a short message straight to the wire. Where the data is elsewhere (puts), it is
 * UCX's header.
 */
#include <stdio.h>

#include "transport/ucx/internal.h"

static ucp_ep_h handle_of(const struct endpoint *end)
{
    return (ucp_ep_h)(uintptr_t)end->to;
}

struct words {
    char text[160];
};

/* UCX's answer in Sinew's terms, and in words. */
static int ucx_means(struct ucx *t, ucs_status_t status, const char *what, struct words *words)
{
    if (status == UCS_OK) return 0;
    snprintf(words->text, sizeof(words->text), "%s: %s (UCX status %d)", what,
             t->api.status_string(status), (int)status);
    return status == UCS_ERR_NO_MEMORY ? SINEW_ENOMEM : SINEW_EPEER;
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static void endpoint_failed(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    struct endpoint *end = arg;
    struct words words;
    (void)ep;
    int ours = ucx_means(ucx_of(end->t), status, "its endpoint failed", &words);
    endpoint_fail(end, ours, words.text);
}

static int carry_open(struct endpoint *end, const uint8_t *address, size_t len, struct why *why)
{
    struct ucx *t = ucx_of(end->t);
    ucp_ep_h ep;
    const ucp_ep_params_t params = {
        .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER,
        .address = (const ucp_address_t *)(const void *)address,
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler = { .cb = endpoint_failed, .arg = end },
    };
    (void)len;
    ucs_status_t status = t->api.ep_create(t->worker, &params, &ep);
    if (status != UCS_OK)
        return why_set(
            why, SINEW_EUNREACHABLE,
            "UCX makes no endpoint: %s; UCX_TLS and UCX_NET_DEVICES must allow both ends the "
            "same (`ucx_info -d` on both shows what there is)",
            t->api.status_string(status));
    end->to = (uintptr_t)ep;
    return 0;
}

static void carry_close(struct endpoint *end, bool by_force)
{
    struct ucx *t = ucx_of(end->t);
    const ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
        .flags = by_force ? UCP_EP_CLOSE_FLAG_FORCE : 0,
    };
    ucs_status_ptr_t request = t->api.ep_close(handle_of(end), &param);
    end->to = 0;
    end->ending = UCS_PTR_IS_PTR(request) ? request : NULL;
}

static bool carry_is_closed(struct endpoint *end)
{
    struct ucx *t = ucx_of(end->t);
    if (end->ending && t->api.request_status(end->ending) != UCS_INPROGRESS) {
        t->api.request_free(end->ending);
        end->ending = NULL;
    }
    return !end->ending;
}

/* A worker that is destroyed with such a request kept by us takes the process with it (UCX 1.13).
 */
void carry_forget_closing(struct ucx *t)
{
    for (struct list *e = t->base.closing.next; e != &t->base.closing; e = e->next) {
        struct endpoint *end = LIST_OWNER(e, struct endpoint, entry);
        if (end->ending) t->api.request_free(end->ending);
        end->ending = NULL;
    }
}

/* ---- out ------------------------------------------------------------------------------------- */

/* With an error, if the endpoint failed or was closed by force. */
static void sent(void *request, ucs_status_t status, void *user_data)
{
    struct frame *f = user_data;
    struct ucx *t = ucx_of(f->end->t);
    struct words words;
    t->api.request_free(request);
    int ours = ucx_means(t, status, "a message could not be sent", &words);
    frame_is_free(f, ours, words.text);
}

/* Of the rest of it UCX looks at nothing that is not named in the mask. */
void carry_ready(struct ucx *t)
{
    t->eager.op_attr_mask =
        UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
    t->eager.flags = UCP_AM_SEND_FLAG_EAGER;
    t->eager.cb.send = sent;
}

/* What UCX has answered, if that is not that all is done. */
static __attribute__((noinline)) int not_yet_sent(struct ucx *t, ucs_status_ptr_t request,
                                                  struct why *why)
{
    if (!UCS_PTR_IS_ERR(request)) return TRANSPORT_PENDING;
    struct words words;
    int ours = ucx_means(t, UCS_PTR_STATUS(request), "a message could not be sent", &words);
    return why_set(why, ours, "%s", words.text);
}

/* One that UCX fetches, or whose data lies elsewhere. */
static __attribute__((noinline)) int carry_send_long(struct endpoint *end, struct frame *f,
                                                     struct why *why)
{
    struct ucx *t = ucx_of(end->t);
    ucp_request_param_t param = t->eager;
    bool lends = f->kind == FRAME_LEND;
    size_t head = frame_header_len(f) + (lends ? f->len : 0);
    param.user_data = f;
    if (lends || f->kind == FRAME_FILL) param.flags = UCP_AM_SEND_FLAG_RNDV;
    ucs_status_ptr_t request = t->api.am_send(handle_of(end), 0, frame_start(f), head, f->away,
                                              f->away_len, &param);
    return request ? not_yet_sent(t, request, why) : 0;
}

static int carry_send(struct endpoint *end, struct frame *f, struct why *why)
{
    struct ucx *t = ucx_of(end->t);
    if (f->away) return carry_send_long(end, f, why);
    t->eager.user_data = f;
    ucs_status_ptr_t request = t->api.am_send(handle_of(end), 0, NULL, 0, frame_start(f),
                                              frame_header_len(f) + f->len, &t->eager);
    return request ? not_yet_sent(t, request, why) : 0;
}

/* What comes meanwhile waits for progress(). */
static void carry_push(struct endpoint *end)
{
    struct ucx *t = ucx_of(end->t);
    for (int i = 0; i < UCX_PUSHES && end->busy; i++) t->api.progress(t->worker);
}

/* ---- in -------------------------------------------------------------------------------------- */

/* UCX calls it from inside ucp_worker_progress(). UCS_OK: it may have its memory back; of what was
 * to be fetched, it tells the sender that it is done. */
ucs_status_t carry_heard(void *arg, const void *header, size_t header_len, void *data, size_t len,
                         const ucp_am_recv_param_t *param)
{
    struct ucx *t = arg;
    bool fetched = param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV;
    if (header_len == 0 && !fetched) {
        frame_arrived(&t->base, data, len);
        return UCS_OK;
    }
    bool kept = frame_arrived_apart(&t->base, header, header_len, data, len, fetched ? data : NULL);
    return kept ? UCS_INPROGRESS : UCS_OK;
}

/* Who waits for one message, with nothing else to see to, looks often at what is quick to look at. */
static unsigned look_closely(struct ucx *t)
{
    unsigned events = 0;
    for (int i = 0; i < UCX_LOOKS && !events; i++) events = t->api.progress(t->worker);
    return events;
}

/* Until something was handed up: whoever waits for it had better look at once. */
static bool carry_look(struct framed *base)
{
    struct ucx *t = ucx_of(base);
    int budget = base->budget;
    for (int i = 0; i < UCX_POLLS; i++) {
        unsigned events = i == 0 && base->awaited ? look_closely(t) : t->api.progress(t->worker);
        if (events == 0) return i > 0;
        if (base->budget != budget) break;
    }
    return true;
}

static void fetched(void *request, ucs_status_t status, size_t len, void *user_data)
{
    struct framed_landing *g = user_data;
    struct ucx *t = ucx_of(g->end->t);
    struct words words;
    (void)len;
    t->api.request_free(request);
    int ours = ucx_means(t, status, "a long message could not be fetched", &words);
    landing_is_over(g, ours, words.text);
}

static int carry_fetch(struct framed_landing *g, void *what, uint8_t *to, size_t len,
                       struct why *why)
{
    struct ucx *t = ucx_of(g->end->t);
    const ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA,
        .cb.recv_am = fetched,
        .user_data = g,
    };
    /* A request is over when its callback was called, which may be before this returns. */
    ucs_status_ptr_t request = t->api.am_recv(t->worker, what, to, len, &param);
    if (UCS_PTR_IS_PTR(request)) return TRANSPORT_PENDING;
    if (!request) return 0;
    struct words words;
    int ours = ucx_means(t, UCS_PTR_STATUS(request), "a long message could not be fetched", &words);
    return why_set(why, ours, "%s", words.text);
}

static void carry_refuse(struct framed *base, void *what)
{
    struct ucx *t = ucx_of(base);
    t->api.am_release(t->worker, what);
}

const struct fabric fabric_ucx = {
    .name = "UCX",
    .wakes = true,
    .in_place = true,
    .piece = FRAMED_PIECE_MAX,
    .fetches = UCX_LONG,
    .open = carry_open,
    .close = carry_close,
    .is_closed = carry_is_closed,
    .send = carry_send,
    .push = carry_push,
    .look = carry_look,
    .fetch = carry_fetch,
    .refuse = carry_refuse,
};
