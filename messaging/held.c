/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * held.c - short nonblocking sends that a transport holds back, so that many go by one call
 *
 *   peer->held -> request -> request -> request     by the order of sending, chained as a window is
 *                  oldest               newest
 *
 * Such a send is under way until its bytes have left this process: a send that is done needs no
 * further call to arrive. Its request is plain (window.c): of the second half nothing is used. The
 * transport tells how far it has come by the last of a run, and so the whole run ends.
 */
#include "base/wire.h"
#include "messaging/context.h"

/* A request for it, or NULL: it goes at once. */
struct sinew_request *held_request(struct sinew_team *team, struct peer *p, size_t len,
                                   uint32_t tag)
{
    struct sinew *s = team->core->context;
    if (!p->out->transport->caps.holds || team->is_timed) return NULL;
    struct sinew_request *r = request_take(&s->requests);
    if (!r) return NULL;
    if (!r->plain) request_clear(r);
    r->team = team;
    r->peer = p;
    r->status_out = NULL;
    r->kind = REQUEST_SEND;
    r->state = STATE_HELD;
    r->plain = PLAIN_SEND;
    r->status = 0;
    r->buf = NULL; /* copied */
    r->len = len;
    r->expect.key = envelope_key(team->core->id, tag);
    r->expect.next = NULL;
    return r;
}

void held_join(struct peer *p, struct sinew_request *r)
{
    if (p->held)
        p->held_last->expect.next = &r->expect;
    else
        p->held = r;
    p->held_last = r;
}

static void held_fail(struct sinew_request *r, int status)
{
    request_make_whole(r, r->context->rank);
    request_end(r, status);
}

void held_done(struct peer *p, const struct sinew_request *last, int status)
{
    struct sinew_request *r;
    do {
        r = p->held;
        p->held = r->expect.next ? LIST_OWNER(r->expect.next, struct sinew_request, expect) : NULL;
        if (status < 0)
            held_fail(r, status);
        else
            r->state = STATE_DONE;
    } while (r != last && p->held);
}
