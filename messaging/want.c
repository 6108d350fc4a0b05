/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * want.c - the short way of a blocking receive
 *
 * When nothing is posted and nothing unexpected is kept, a blocking receive from one rank with one
 * tag needs no request: a `want` on its stack is hung on the peer, that peer's link is polled, and
 * the upcall fills it. Whatever is not as simple as that (silence, a long message, another message
 * first) goes the general way: the want is taken down and a request is posted, which is the same as
 * if it had been posted first.
 */
#include <string.h>

#include "base/wire.h"
#include "messaging/context.h"

enum { WANTS_ALONE = 1024 }; /* then the other links are seen to */

/* A short message that is just the one wanted? Then it is taken, without the general way. */
bool want_take(struct peer *p, const uint8_t *head, const void *body, size_t blen)
{
    struct want *w = p->want;
    if (w->team != wire_get32(head + 8) || w->tag != wire_get32(head + 12)) return false;
    size_t fits = blen < w->cap ? blen : w->cap;
    if (fits) memcpy(w->buf, body, fits);
    w->sent = blen;
    w->done = true;
    p->want = NULL;
    struct counters *c = &p->context->counters;
    c->messages_received++;
    c->bytes_received += fits;
    return true;
}

static int want_outcome(const struct want *w, struct sinew_team *team, const struct peer *p,
                        struct sinew_status *status)
{
    int code = w->sent > w->cap ? SINEW_ETRUNCATED : 0;
    if (status)
        *status = (struct sinew_status){ .code = code,
                                         .rank = team_rank_of(team->core, p->rank),
                                         .tag = w->tag,
                                         .bytes = w->sent < w->cap ? w->sent : w->cap,
                                         .sent = w->sent };
    if (code)
        context_fail(
            p->context, code,
            "receive of %zu bytes from rank %d, tag %u: the message is longer than the buffer, "
            "%zu bytes; the rest is gone, the next message is intact; probe first, or post a "
            "larger buffer",
            w->cap, team_rank_of(team->core, p->rank), w->tag, w->sent);
    return code;
}

/* Who only ever waits for one link must not starve the others. */
static void want_see_others(struct sinew *s)
{
    context_progress(s, NULL);
    context_idle_step(s);
}

static bool want_can_wait(const struct sinew *s)
{
    return list_empty(&s->deferrals) && list_empty(&s->dead_links) && list_empty(&s->revoking);
}

/* > 0: go the general way; else the outcome. */
int want_receive(struct sinew_team *team, void *buf, size_t cap, int source, uint32_t tag,
                 struct sinew_status *status)
{
    struct sinew *s = team->core->context;
    if (++s->wants % WANTS_ALONE == 0) want_see_others(s);
    struct peer *p = s->peer[source];
    if (!p || !p->out || s->match.posted_count || s->match.kept_count) return SINEW_PENDING;
    struct link *l = p->out;
    struct transport *t = l->transport;
    struct want w = { .buf = buf, .cap = cap, .team = team->core->id, .tag = tag };
    p->want = &w;
    for (int polls = 0; polls < s->quick_polls && p->want; polls++) {
        s->in_progress = true;
        t->ops->progress(t, l);
        s->in_progress = false;
        if (s->match.kept_count || s->match.posted_count || !want_can_wait(s)) break;
    }
    p->want = NULL;
    return w.done ? want_outcome(&w, team, p, status) : SINEW_PENDING;
}
