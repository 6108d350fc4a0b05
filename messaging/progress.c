/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress.c - where data moves
 *
 * One round polls the hinted link's transport each time and the others now and then, and of these
 * the slow ones without a link rarely; without a hint those that have links each time; then what
 * upcalls were not allowed to do is done. The idle step has what no event announces: deadlines, the
 * launcher's word, credit too small to be worth a message while data flows.
 */
#include <stdio.h>

#include "messaging/context.h"

enum {
    POLL_OTHERS = 16,
    POLL_UNUSED = 8, /* of these polls, to one of who has no link, and is far slower than the one
                        that is waited for: a poll of it is a system call that rarely finds any */
    FAR_SLOWER = 16,
    ASK_LAUNCHER = 16, /* idle steps, for asking is a system call; after a sleep at once */
    TELL_CREDIT = 16,  /* idle steps of a rank that gives its core away; else each */
    ASK_OPERATIONS = 256, /* idle steps */
    BUSY_LOOKS = 256,  /* of a caller that polls: then time passes for the busy too */
};

/* The link that somebody waits for. */
static int poll_hint(struct link *l)
{
    struct peer *p = l->owner;
    if (p->window) window_expect(p, l);
    int events = l->transport->ops->progress(l->transport, l);
    l->expect = NULL;
    if (p->window) window_collect(p);
    return events;
}

static int poll_transport(struct sinew *s, int i, struct link *hint)
{
    struct transport *t = s->transport[i];
    return hint && hint->transport == t ? poll_hint(hint) : t->ops->progress(t, NULL);
}

static int retry_revoked(struct sinew *s)
{
    int ended = 0;
    struct list *next;
    for (struct list *l = s->revoking.next; l != &s->revoking; l = next) {
        next = l->next;
        if (rendezvous_revoked(LIST_OWNER(l, struct sinew_request, entry))) ended++;
    }
    return ended;
}

static bool is_rarely_asked(const struct sinew *s, int i, const struct link *hint)
{
    return hint && s->links[i] == 0 &&
           s->transport[i]->caps.latency_ns / FAR_SLOWER > hint->transport->caps.latency_ns;
}

/* Whom this round polls. */
enum round { ROUND_OWN, ROUND_OTHERS, ROUND_ALL };

static inline bool is_asked(const struct sinew *s, int i, const struct link *hint, enum round round)
{
    if (round != ROUND_OWN) return round == ROUND_ALL || !is_rarely_asked(s, i, hint);
    return hint ? hint->transport == s->transport[i] : s->links[i] > 0;
}

static inline int progress(struct sinew *s, struct link *hint, enum round round)
{
    int events = 0;
    if (s->credit_due) outgoing_tell_due(s);
    s->state->in_progress = true;
    for (int i = 0; i < s->transports; i++)
        if (is_asked(s, i, hint, round)) events += poll_transport(s, i, hint);
    s->state->in_progress = false;
    if (!list_empty(&s->revoking)) events += retry_revoked(s);
    if (!list_empty(&s->deferrals) || !list_empty(&s->dead_links)) wireup_deferred(s);
    return events;
}

int context_progress(struct sinew *s, struct link *hint)
{
    uint32_t polls = s->polls++;
    enum round round = polls % POLL_OTHERS                   ? ROUND_OWN
                       : polls % (POLL_OTHERS * POLL_UNUSED) ? ROUND_OTHERS
                                                             : ROUND_ALL;
    return progress(s, hint, round);
}

void context_pass_over(struct sinew *s, struct link *l)
{
    s->state->in_progress = true;
    l->is_passed_over = true;
    l->transport->ops->progress(l->transport, l);
    l->is_passed_over = false;
    s->state->in_progress = false;
    if (!list_empty(&s->deferrals) || !list_empty(&s->dead_links)) wireup_deferred(s);
}

int context_look_again(struct sinew *s)
{
    return progress(s, NULL, ROUND_OWN);
}

static int expire_requests(struct sinew *s)
{
    int expired = 0;
    int64_t now = world_now(s->world);
    struct list held;
    list_init(&held);
    list_splice(&held, &s->timed);
    struct list *entry;
    while ((entry = list_take(&held))) {
        struct sinew_request *r = LIST_OWNER(entry, struct sinew_request, timed);
        if (r->deadline > now) {
            list_append(&s->timed, &r->timed);
        } else {
            request_expire(r);
            expired++;
        }
    }
    return expired;
}

int context_ask_launcher(struct sinew *s)
{
    struct launch *launch = s->launch;
    int rank, rc, events = 0;
    if (s->launch_gone) return 0;
    s->state->in_callback = true;
    while ((rc = launch->ops->failed(launch, &rank)) > 0) {
        char why[64];
        s->state->in_callback = false;
        snprintf(why, sizeof(why), "rank %d died (the launcher says so)", rank);
        if (rank >= 0 && rank < s->size) peer_lost(s, rank, why);
        s->state->in_callback = true;
        events++;
    }
    s->state->in_callback = false;
    if (rc < 0) {
        s->launch_gone = true;
        log_line(&s->log, LOG_WARNING, "%s", launch->why.text);
    }
    return events;
}

void context_tell_credit(struct sinew *s)
{
    struct list *next;
    for (struct list *l = s->owing.next; l != &s->owing; l = next) {
        next = l->next;
        outgoing_grant(LIST_OWNER(l, struct peer, owing));
    }
}

int context_idle_step(struct sinew *s)
{
    int events = 0;
    /* Among others the answer, which goes soon, takes most of it along. */
    if (s->spins > 0 || s->idle_steps % TELL_CREDIT == 0) context_tell_credit(s);
    events += jump_ask(s); /* until all are asked, or nobody would be woken */
    if (!list_empty(&s->timed)) events += expire_requests(s);
    if (s->idle_steps % ASK_OPERATIONS == 0 && !list_empty(&s->operations)) operations_ask(s);
    if (s->idle_steps++ % ASK_LAUNCHER == 0) events += context_ask_launcher(s);
    if (!list_empty(&s->deferrals)) wireup_deferred(s);
    return events;
}

int context_look(struct sinew *s)
{
    int events = context_progress(s, NULL);
    if (events > 0 && s->polls % BUSY_LOOKS) return events;
    return events + context_idle_step(s);
}

int sinew_progress(struct sinew *s)
{
    if (!s) return SINEW_EINVAL;
    int rc = context_check(s, true);
    return rc ? rc : context_look(s);
}
