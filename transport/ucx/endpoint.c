/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * endpoint.c - UCX's endpoints: made, watched, closed
 *
 * After ucp_ep_close_nbx() there is no handle any more, only a request that ends some time. What UCX still
 * has of ours, what it still writes to, and the last confirmation, live until then; the link need not.
 */
#include <string.h>

#include "transport/ucx/internal.h"

static void endpoint_failed(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    struct endpoint *end = arg;
    (void)ep;
    end->failed = true;
    if (end->link) link_trouble(end->link, status, "its endpoint failed");
}

int endpoint_make(struct ucx_link *l)
{
    struct ucx *t = ucx_under(l);
    struct endpoint *end = world_allocate(t->base.opt.world, sizeof(*end));
    if (!end) return why_set(&l->base.why, SINEW_ENOMEM, "%s: no memory for an endpoint", l->name);
    *end = (struct endpoint){ .t = t, .link = l, .until = INT64_MAX };
    ucp_ep_params_t params = {
        .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER,
        .address = (const ucp_address_t *)(const void *)l->address,
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler = { .cb = endpoint_failed, .arg = end },
    };
    ucs_status_t status = t->api.ep_create(t->worker, &params, &end->ep);
    if (status != UCS_OK) {
        world_release(t->base.opt.world, end, sizeof(*end));
        return why_set(&l->base.why, SINEW_EUNREACHABLE,
                       "%s: UCX makes no endpoint: %s; UCX_TLS and UCX_NET_DEVICES must allow both ends "
                       "the same (`ucx_info -d` on both shows what there is)",
                       l->name, t->api.status_string(status));
    }
    list_init(&end->entry);
    l->end = end;
    return 0;
}

static void endpoint_close_now(struct endpoint *end, bool by_force)
{
    struct ucx *t = end->t;
    const ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
        .flags = by_force ? UCP_EP_CLOSE_FLAG_FORCE : 0,
    };
    ucs_status_ptr_t request = t->api.ep_close(end->ep, &param);
    end->ep = NULL;
    end->closed = true;
    end->until = ucx_now(t) + UCX_CLOSE_NS;
    end->closing = UCS_PTR_IS_PTR(request) ? request : NULL;
}

void endpoint_close(struct endpoint *end, bool by_force)
{
    endpoint_close_now(end, by_force);
    list_append(&end->t->closing, &end->entry);
}

/* Closing a socket in which something is unread resets it, and what it had still to deliver is lost:
 * here the last confirmation. So whoever hears the goodbye lets the other close first. */
void endpoint_linger(struct endpoint *end)
{
    end->until = ucx_now(end->t) + UCX_LINGER_NS;
    list_append(&end->t->closing, &end->entry);
}

/* Whether UCX is through with it. */
static bool endpoint_is_over(struct endpoint *end)
{
    struct ucx *t = end->t;
    if (end->closing && t->api.request_status(end->closing) != UCS_INPROGRESS) {
        t->api.request_free(end->closing);
        end->closing = NULL;
    }
    return end->closed && !end->closing && end->busy == 0 && !end->ack_busy;
}

/* Its closing, by force, takes too long: nobody shall wait for memory that it still has. */
static void endpoint_give_up(struct endpoint *end)
{
    struct ucx *t = end->t;
    if (end->lost || !end->closed || ucx_now(t) <= end->until) return;
    end->lost = true;
    log_line(t->base.opt.log, LOG_WARNING, "UCX does not let go of an endpoint it was told to close: %u "
                                           "operations are under way still", end->busy);
    landings_give_up(t, end);
}

void endpoints_look_after(struct ucx *t)
{
    for (struct list *e = t->closing.next, *next; e != &t->closing; e = next) {
        struct endpoint *end = LIST_OWNER(e, struct endpoint, entry);
        next = e->next;
        endpoint_give_up(end);
        if (end->link) continue;
        if (!end->closed && (end->failed || ucx_now(t) > end->until)) endpoint_close_now(end, end->failed);
        if (!endpoint_is_over(end)) continue;
        list_remove(&end->entry);
        world_release(t->base.opt.world, end, sizeof(*end));
    }
}

/* The worker is gone, and nothing calls any more. */
void endpoints_release(struct ucx *t)
{
    struct list *e;
    while ((e = list_take(&t->closing)))
        world_release(t->base.opt.world, LIST_OWNER(e, struct endpoint, entry), sizeof(struct endpoint));
}

/* Before the worker goes: what still is on its way gets a moment. */
void endpoints_finish(struct ucx *t)
{
    const struct world *w = t->base.opt.world;
    int64_t until = ucx_now(t) + UCX_CLOSE_NS;
    endpoints_look_after(t);
    while (!list_empty(&t->closing) && ucx_now(t) < until) {
        if (t->api.progress(t->worker) == 0) w->yield(w->arg);
        endpoints_look_after(t);
    }
    /* A worker that is destroyed with such a request kept by us takes the process with it (UCX 1.13). */
    for (struct list *e = t->closing.next; e != &t->closing; e = e->next) {
        struct endpoint *end = LIST_OWNER(e, struct endpoint, entry);
        if (end->closing) t->api.request_free(end->closing);
        end->closing = NULL;
    }
}
