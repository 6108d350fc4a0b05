/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.c - completions, and sleeping until there is one
 *
 * There is one completion queue, so progress looks at all links at once. Its descriptor is an epoll
 * of the completion channel, the device's events and a timer for deadlines. Sleeping: ask for an
 * event, then look once more; what that finds is kept for the next progress.
 */
#include "transport/verbs/internal.h"

/* False: not in this progress, for it may take an upcall that is not allowed. */
static bool one(struct verbs *t, const struct ibv_wc *wc)
{
    t->moved = true;
    if (!(wc->wr_id >> 63)) return message_came(t, wc);
    struct verbs_link *l = link_by_id(t, (uint32_t)(wc->wr_id >> 32) & 0x7fffffff);
    if (l && l == t->took && !list_empty(&l->works)) return false;
    if (l)
        queue_confirmed(l, wc);
    else
        t->strays++;
    return true;
}

/* The next completions into the batch; whether there are any. */
static bool fetch(struct verbs *t)
{
    if (t->batch_at < t->batch_n) return true;
    int n = t->api->poll_cq(t->cq, VERBS_BATCH, t->batch);
    t->batch_at = 0;
    t->batch_n = n > 0 ? n : 0;
    if (n <= 0) t->emptied++; /* what cannot be read any more brings nothing either */
    if (n < 0 && !t->failed) trouble_fail(t, "its completion queue cannot be read");
    return n > 0;
}

/* One completion makes at most three upcalls: up, recv or done, and room. */
static bool batch_empty(struct verbs *t)
{
    while (t->budget_left > 3 && t->batch_at < t->batch_n) {
        if (!one(t, &t->batch[t->batch_at])) return false;
        t->batch_at++;
    }
    return t->batch_at == t->batch_n;
}

/* Behind a batch that was not full there was nothing more. */
static void completions(struct verbs *t)
{
    do {
        if (!fetch(t)) {
            if (t->again_n) receives_return(t);
            return;
        }
    } while (batch_empty(t) && t->batch_n == VERBS_BATCH);
}

static void disarm(struct verbs *t)
{
    struct ibv_cq *cq;
    void *arg;
    t->armed = false;
    while (t->api->get_cq_event(t->channel, &cq, &arg) == 0) t->api->ack_cq_events(cq, 1);
    timer_clear(&t->timer);
    trouble_events(t);
    links_note(t);
    if (t->cm.channel) cm_events(t);
}

/* What nothing announces to who only polls. */
static void look_elsewhere(struct verbs *t)
{
    if (t->polls % VERBS_LOOK_EVERY == 0) {
        trouble_events(t);
        links_note(t);
    }
    if (t->cm.wiring && t->polls % VERBS_CM_EVERY == 0) cm_events(t);
}

int verbs_progress(struct transport *base, struct link *l)
{
    struct verbs *t = verbs_of(base);
    (void)l;
    t->budget_left = TRANSPORT_UPCALLS_MAX;
    t->takes_left = TRANSPORT_UPCALLS_MAX;
    t->took = NULL;
    t->moved = false;
    t->in_progress = true;
    if (t->armed) disarm(t);
    if (++t->polls % VERBS_CM_EVERY == 0) look_elsewhere(t);
    completions(t);
    if (t->timed || t->parks || !list_empty(&t->due) || !list_empty(&t->waiting) ||
        !list_empty(&t->ending))
        links_look_after(t);
    if (t->chain_n) queue_ring(t);
    t->in_progress = false;
    int upcalls = TRANSPORT_UPCALLS_MAX - t->budget_left;
    return upcalls > 0 ? upcalls : t->moved;
}

int verbs_arm(struct transport *base)
{
    struct verbs *t = verbs_of(base);
    if (!list_empty(&t->due) || !list_empty(&t->ending) || t->batch_at < t->batch_n)
        return SINEW_PENDING;
    t->armed = true;
    if (t->api->req_notify_cq(t->cq, 0) != 0 || fetch(t)) return SINEW_PENDING;
    return t->timed || t->parks ? timer_set(&t->timer, links_deadline(t), verbs_now(t)) : 0;
}
