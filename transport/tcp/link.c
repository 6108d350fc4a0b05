/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - the life of a link: set-up, up, drain, down (internal.h draws the states)
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/config.h"
#include "transport/tcp/internal.h"

void link_make_ready(struct tcp_link *l)
{
    l->stream.peeked = false;
    if (list_empty(&l->ready)) list_append(&tcp_under(l)->ready, &l->ready);
}

static int64_t link_due(const struct tcp_link *l)
{
    return l->line_due < l->drain_due ? l->line_due : l->drain_due;
}

void link_set_due(struct tcp_link *l, int64_t *which, int64_t at)
{
    *which = at;
    list_remove(&l->timed);
    if (link_due(l) == INT64_MAX) return;
    list_append(&tcp_under(l)->timed, &l->timed);
    tcp_due(tcp_under(l), link_due(l));
}

/* Whoever polls it also writes again and again: it needs no event at all. */
static uint32_t link_events(const struct tcp_link *l)
{
    if (tcp_under(l)->hushed == l) return 0;
    return EPOLLIN | (l->blocked ? (uint32_t)EPOLLOUT : 0);
}

void link_watch(struct tcp_link *l)
{
    int error = tcp_watch(tcp_under(l), &l->source, link_events(l));
    if (error < 0) line_failed(l, -error, "epoll");
}

/* < 0: the link has to end, why is said. */
int link_begin(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    const struct transport_options *opt = &t->base.opt;
    l->source = (struct source){ .kind = SOURCE_LINK, .fd = -1 };
    l->line_due = l->drain_due = INT64_MAX;
    list_append(&t->links, &l->entry);
    list_init(&l->ready);
    list_init(&l->timed);
    list_init(&l->busy);
    list_init(&l->dirty);
    list_init(&l->looked);
    l->state = LINK_SETUP;
    int rc = stream_begin(l);
    return rc < 0 ? rc : session_begin(&l->session, opt->world, opt->epoch, &l->base.why);
}

struct tcp_link *link_find(struct tcp *t, int rank)
{
    for (struct list *e = t->links.next; e != &t->links; e = e->next) {
        struct tcp_link *l = LIST_OWNER(e, struct tcp_link, entry);
        if (l->base.rank == rank) return l;
    }
    return NULL;
}

void link_came_up(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    l->state = LINK_UP;
    l->base.why.text[0] = '\0';
    t->budget--;
    t->base.up->up(&l->base);
}

/* What goes wrong at once is told by `down` too, so that a caller has one way to hear of it. */
int tcp_connect(struct link *base, const void *bytes, size_t len)
{
    struct tcp_link *l = tcp_link_of(base);
    struct tcp *t = tcp_of(base->transport);
    const struct transport_options *opt = &t->base.opt;
    struct tcp_place places[TCP_PLACES_MAX];
    int n;
    char text[TCP_NAME_MAX];
    if (l->state != LINK_NEW)
        return why_set(&base->transport->why, SINEW_ESTATE,
                       "the tcp link to rank %d takes one address, once", base->rank);
    int rc = link_begin(l);
    if (rc == 0) rc = address_decode(bytes, len, places, &n, &base->why);
    if (rc == 0 && (base->rank < 0 || base->rank >= opt->size || base->rank == opt->rank))
        rc = why_set(&base->why, SINEW_EINVAL, "no tcp link from rank %d to rank %d of %d",
                     opt->rank, base->rank, opt->size);
    if (rc < 0) {
        link_end(l, rc, GONE_BROKEN, false);
        return 0;
    }
    snprintf(l->name, sizeof(l->name), "rank %d at %.60s", base->rank,
             address_text(&places[0].at, text));
    memcpy(l->address, bytes, len);
    l->address_len = (uint32_t)len;
    repair_begin(&l->repair, tcp_now(t), opt->config->setup_deadline, 0);
    line_attempt(l);
    return 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

void link_end(struct tcp_link *l, int status, enum gone gone, bool hand_up)
{
    struct tcp *t = tcp_under(l);
    if (l->state >= LINK_ENDING) return;
    bool has_line = l->line == LINE_OPEN || l->line == LINE_LOST;
    l->hand_up = hand_up && l->state >= LINK_UP && has_line;
    l->state = LINK_ENDING;
    l->status = status;
    l->gone = gone;
    if (l->hand_up) l->drain_until = tcp_now(t) + t->base.opt.config->repair_deadline;
    if (l->source.fd >= 0) tcp_watch(t, &l->source, SOURCE_QUIET);
    l->drain_due = INT64_MAX;
    link_set_due(l, &l->line_due, INT64_MAX);
    link_make_ready(l);
}

void link_peer_gone(struct tcp_link *l, const struct why *why)
{
    if (l->state == LINK_DRAINING && l->bye_out) {
        l->drained = true; /* who leaves need not hear that the other has left too */
        link_end(l, 0, GONE_LEFT, false);
        return;
    }
    struct why reason = *why;
    if (l->state < LINK_ENDING)
        why_set(&l->base.why, SINEW_EPEER, "%s: its process is gone", reason.text);
    link_end(l, SINEW_EPEER, GONE_DIED, false);
}

/* Behind a relay who leaves waits for this word; or for the BYE of this end, which may be going
 * again. */
static void link_answer_bye(struct tcp_link *l)
{
    if (!l->relayed || l->state >= LINK_ENDING || l->line != LINE_OPEN) return;
    if (!l->bye_queued) stream_append(l, FRAME_ACK);
    stream_write(l, TCP_BURST);
}

/* It may be found behind the write that failed because its sender has closed. */
void link_bye_came(struct tcp_link *l)
{
    bool was_ending = l->state == LINK_ENDING;
    link_answer_bye(l);
    if (was_ending && l->bye_may_come) {
        l->status = 0;
        l->gone = GONE_LEFT;
    }
    if (!was_ending || l->bye_may_come) why_set(&l->base.why, 0, "rank %d has left", l->base.rank);
    l->hand_up = false;
    link_end(l, 0, GONE_LEFT, false);
}

static void link_finish(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    if (l->hand_up && stream_receive(l) == RECEIVED_MORE && tcp_now(t) < l->drain_until) {
        link_make_ready(l);
        return;
    }
    l->hand_up = false;
    if (!stream_return_all(l, l->status < 0 ? l->status : SINEW_EPEER) || t->budget < 1) {
        link_make_ready(l);
        return;
    }
    if (l->line == LINE_OPEN && l->status == 0) l->line = LINE_WAITING; /* closed, not reset */
    line_close(l);
    stream_release(l);
    session_release(&l->session, t->base.opt.world);
    list_remove(&l->entry);
    list_remove(&l->ready);
    list_remove(&l->timed);
    list_remove(&l->dirty);
    list_remove(&l->looked);
    if (t->awaited == l) t->awaited = NULL;
    if (t->hushed == l) t->hushed = NULL;
    l->state = LINK_DOWN;
    t->budget--;
    t->has_ended_one = true;
    t->base.up->down(&l->base, l->status, l->gone);
}

/* --- going down ------------------------------------------------------------------------------- */

static void link_say_bye(struct tcp_link *l)
{
    if (l->bye_queued || !list_empty(&l->stream.puts)) return;
    l->bye_queued = stream_append(l, FRAME_BYE);
    stream_write(l, TCP_BURST);
}

/* All was written, and the next kernel has acknowledged it. A relay would take the end of what is
 * sent for the end of the connection, which the peer's word has to come back by. */
static bool link_is_taken(struct tcp_link *l)
{
    int unacknowledged = 1;
    if (l->bye_taken) return true;
    if (!line_carries(l) || !stream_is_empty(l)) return false;
    l->bye_out = true;
    if (!l->bye_written && !l->relayed) shutdown(l->source.fd, SHUT_WR);
    l->bye_written = true;
    l->bye_taken = ioctl(l->source.fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
    if (l->bye_taken && l->relayed) l->leave_until = tcp_now(tcp_under(l)) + TCP_LEAVE_PATIENCE;
    return l->bye_taken;
}

/* Whether the peer has all, or its kernel does, which keeps it for a process that computes. */
static bool link_is_drained(struct tcp_link *l)
{
    if (!l->bye_queued) return false;
    if (session_all_known(&l->session)) return true;
    bool taken = link_is_taken(l);
    if (!l->relayed) return taken;
    return l->leave_until && tcp_now(tcp_under(l)) >= l->leave_until;
}

/* DRAIN goes on: what was accepted, BYE, then until the peer's kernel has acknowledged it all;
 * behind a relay, whose kernel that is not, until the peer has, or says nothing for
 * TCP_LEAVE_PATIENCE. More than a kernel can hold for a process that does not read waits too, until
 * the repair deadline. */
static void link_drain(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    link_say_bye(l);
    if (l->state != LINK_DRAINING) return;
    if (link_is_drained(l)) {
        l->drained = !l->relayed || session_all_known(&l->session);
        link_end(l, 0, GONE_LEFT, true);
        return;
    }
    int64_t now = tcp_now(t);
    if (now >= l->drain_until) {
        why_set(&l->base.why, SINEW_ETIMEDOUT,
                "%s: its kernel did not take all that was sent to it within repair_deadline",
                l->name);
        link_end(l, SINEW_ETIMEDOUT, GONE_BROKEN, true);
        return;
    }
    int64_t due = l->leave_until ? l->leave_until : l->drain_until;
    if (l->bye_written && !l->bye_taken && due > now + TCP_DRAIN_LOOK) due = now + TCP_DRAIN_LOOK;
    link_set_due(l, &l->drain_due, due < l->drain_until ? due : l->drain_until);
}

static void link_start_drain(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    if (l->state < LINK_UP && l->line != LINE_GREETING) {
        link_end(l, 0, GONE_LEFT, false); /* nothing was accepted, and the peer has no link */
    } else if (l->state <= LINK_UP) {
        l->state = LINK_DRAINING;
        l->drain_until = tcp_now(t) + t->base.opt.config->repair_deadline;
        link_make_ready(l);
    }
}

/* The connection is reset, so that the peer's kernel does not go on taking what was dropped. */
static void link_cut(struct tcp_link *l)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    if (l->source.fd >= 0) setsockopt(l->source.fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    l->hand_up = false;
    why_set(&l->base.why, SINEW_ECANCELED, "%s: the link was cut at this rank's own wish", l->name);
    link_end(l, SINEW_ECANCELED, GONE_BROKEN, false);
}

void tcp_disconnect(struct link *base, enum disconnect_how how)
{
    struct tcp_link *l = tcp_link_of(base);
    if (l->state == LINK_NEW || l->state == LINK_DOWN) return;
    switch (how) {
    case DISCONNECT_DRAIN: link_start_drain(l); break;
    case DISCONNECT_NOW:
    case DISCONNECT_BROKEN: link_cut(l); break;
    case DISCONNECT_DEAD:
        l->bye_may_come = false;
        if (l->state < LINK_ENDING)
            why_set(&base->why, SINEW_EPEER, "rank %d is known to be dead", base->rank);
        link_end(l, SINEW_EPEER, GONE_DIED, true);
        break;
    }
}

/* --- work and deadlines ----------------------------------------------------------------------- */

/* Nothing is to be reported or watched for. */
static bool link_is_quiet(const struct tcp_link *l)
{
    return l->state == LINK_UP && l->line == LINE_OPEN && list_empty(&l->busy) && !l->held_cookie &&
           list_empty(&l->stream.finished) && !l->flushing && !l->wants_room && !l->blocked &&
           l->source.events == link_events(l);
}

static void link_move(struct tcp_link *l)
{
    stream_receive(l);
    if (l->state >= LINK_ENDING || l->line != LINE_OPEN) return;
    stream_owed(l);
    if (!stream_is_empty(l)) stream_write(l, TCP_BURST);
}

void link_work(struct tcp_link *l)
{
    if (tcp_under(l)->took == l) {
        link_make_ready(l);
        return;
    }
    if (l->state == LINK_ENDING) {
        link_finish(l);
        return;
    }
    if (l->state == LINK_NEW || l->state == LINK_DOWN) return;
    if (l->line == LINE_OPEN)
        link_move(l);
    else
        line_work(l);
    if (link_is_quiet(l)) return;
    if (l->state != LINK_UP && l->state != LINK_DRAINING) return;
    if (!stream_report(l)) link_make_ready(l);
    if (l->state == LINK_DRAINING) link_drain(l);
    if (l->state < LINK_ENDING && l->line == LINE_OPEN) link_watch(l);
}

void link_deadlines(struct tcp *t, int64_t now)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->timed);
    while ((e = list_take(&todo))) {
        struct tcp_link *l = LIST_OWNER(e, struct tcp_link, timed);
        link_set_due(l, &l->drain_due, now < l->drain_due ? l->drain_due : INT64_MAX);
        if (l->state == LINK_DRAINING && l->drain_due == INT64_MAX) link_make_ready(l);
        if (now >= l->line_due) line_deadline(l);
    }
}
