/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * line.c - the connection of a link, one at a time (internal.h draws the states)
 *
 * From the moment it is open, by an attempt of our own (attempt.c) or one of the peer's, until it
 * is lost. The session says what each end has, so that what was lost with a line goes over the
 * next.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/config.h"
#include "transport/tcp/internal.h"

void line_shake_release(struct tcp_link *l)
{
    if (!l->shake) return;
    shake_end(tcp_under(l), l->shake);
    world_release(l->base.transport->opt.world, l->shake, sizeof(*l->shake));
    l->shake = NULL;
}

void line_close(struct tcp_link *l)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    /* Its kernel must not go on carrying what comes again over the next one. */
    if (l->line == LINE_LOST || l->line == LINE_OPEN)
        setsockopt(l->source.fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    if (tcp_under(l)->hushed == l) tcp_under(l)->hushed = NULL;
    tcp_unwatch(tcp_under(l), &l->source);
    line_shake_release(l);
    tls_end(&l->tls, l->base.transport->opt.world);
    stream_restart(l);
    l->silence = (struct silence){ 0 };
    l->line = LINE_WAITING;
    l->bye_written = l->bye_taken = l->blocked = false;
    if (l->leave_until) l->leave_until = l->drain_until; /* what that relay had taken may be lost */
    link_set_due(l, &l->line_due, INT64_MAX);
}

/* --- open ------------------------------------------------------------------------------------- */

/* Which way it goes, for sinew_explain, and what was tried before. */
static void line_note_path(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    struct text path = text_into(l->path, sizeof(l->path));
    socklen_t len = sizeof(l->proven);
    if (getpeername(l->source.fd, &l->proven.any, &len) < 0)
        l->proven = (union place){ .v6 = { 0 } };
    place_unmap(&l->proven);
    route_between(&t->here, l->source.fd, &path);
    if (l->tried[0]) text_add(&path, "; tried before: %s", l->tried);
    l->tried[0] = '\0';
    l->turn = l->rounds = 0;
    l->hopeful = false;
    l->base.note = l->path;
    log_line(t->base.opt.log, LOG_CHOICE, "tcp: rank %d: %s", l->base.rank, l->path);
}

static void line_repaired(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    int64_t took = l->opened_at - l->lost_at;
    char duration[TEXT_DURATION_MAX], text[WHY_MAX];
    l->base.why.text[0] = '\0';
    snprintf(text, sizeof(text),
             "%s: repaired after %s; %" PRIu64 " lost so far, %" PRIu64 " frames sent again, %" PRIu64
             " discarded",
             l->name, text_duration(took, duration), l->losses, l->session.resent,
             l->session.discarded);
    if (took >= REPAIR_SUSPECT_NS)
        tcp_complain(t, LOG_WARNING, "%s", text);
    else
        log_line(t->base.opt.log, LOG_CHOICE, "tcp: %s", text);
}

static void line_opened(struct tcp_link *l)
{
    l->line = LINE_OPEN;
    l->opened_at = tcp_now(tcp_under(l));
    l->bye_written = l->bye_taken = false;
    l->refusals = 0;
    l->within_host = tcp_within_host(l->source.fd);
    link_set_due(l, &l->line_due, INT64_MAX);
    line_mark(l);
    line_note_path(l);
    link_make_ready(l); /* what waits goes */
    if (l->state != LINK_SETUP && l->lost_at) line_repaired(l);
}

static bool line_resume(struct tcp_link *l, const struct join *join, bool is_client)
{
    struct why why;
    l->relayed = join->ends != address_ends(l->source.fd, is_client);
    if (session_resume(&l->session, join, &why) == 0) return true;
    why_set(&l->base.why, SINEW_EPROTO, "%s breaks the protocol: %s", l->name, why.text);
    link_end(l, SINEW_EPROTO, GONE_BROKEN, false);
    return false;
}

static void line_turned_away(struct tcp_link *l, int greeting)
{
    struct tcp *t = tcp_under(l);
    struct why why;
    if (greeting == GREETING_BUSY) {
        why_set(&why, SINEW_EBUSY, "it has a connection to this rank under way itself");
        if (l->state != LINK_SETUP)
            repair_answered(&l->repair, tcp_now(t), t->base.opt.config->repair_deadline);
        line_retry(l, &why);
    } else if (l->state == LINK_SETUP) {
        why_set(&l->base.why, SINEW_EPEER,
                "%s wants no link: it is closing, or holds this process for dead", l->name);
        link_end(l, SINEW_EPEER, GONE_LEFT, false);
    } else {
        why_set(&why, SINEW_EPEER, "%s: the connection broke, and it no longer knows this link",
                l->name);
        link_peer_gone(l, &why);
    }
}

/* The answer to our JOIN. `bytes`: all of a frame. */
void line_greeted(struct tcp_link *l, const struct frame *frame, const uint8_t *bytes)
{
    struct join join;
    struct why why;
    /* It finds the goodbye behind the JOIN, or has not taken this connection. */
    if (link_leaves_unmet(l) && (l->bye_written || frame->kind == FRAME_BYE)) {
        link_end(l, 0, GONE_LEFT, false);
        return;
    }
    if (!session_is_whole(bytes, FRAME_HEADER + frame->length)) {
        report_errno(&why, SINEW_EPEER, EBADMSG, "%s: its greeting", l->name);
        line_retry(l, &why);
        return;
    }
    if (frame->kind == FRAME_BYE) {
        line_turned_away(l, bytes[FRAME_HEADER]);
        return;
    }
    int rc = session_join_decode(bytes, FRAME_WELCOME, l->session.peer_epoch, &join, &why);
    if (rc == 0 && (join.yours != l->session.mine || !session_is(&l->session, &join)))
        rc = why_set(&why, SINEW_EPROTO, "it welcomes another session");
    if (rc < 0) {
        why_set(&l->base.why, rc, "%s breaks the protocol: %s", l->name, why.text);
        link_end(l, rc, GONE_BROKEN, false);
        return;
    }
    if (!line_resume(l, &join, true)) return;
    l->peer_attempt = join.attempt; /* those it had made are over: it has taken this one */
    l->base.epoch = l->session.peer_epoch;
    line_opened(l);
    if (l->state == LINK_SETUP) link_came_up(l);
}

/* --- loss ------------------------------------------------------------------------------------- */

/* silent since `since`; the reason is in l->base.why. What has arrived is handed up first. */
void line_lost(struct tcp_link *l, int64_t since)
{
    struct tcp *t = tcp_under(l);
    int64_t now = tcp_now(t);
    log_line(t->base.opt.log, LOG_CHOICE, "tcp: %s; connecting anew", l->base.why.text);
    l->losses++;
    l->lost_at = since;
    repair_begin(&l->repair, since, t->base.opt.config->repair_deadline, now - l->opened_at);
    l->line = LINE_LOST;
    if (t->hushed == l) t->hushed = NULL;
    tcp_watch(t, &l->source, SOURCE_QUIET);
    link_make_ready(l);
}

int line_failed(struct tcp_link *l, int error, const char *doing)
{
    struct why why;
    int64_t now = tcp_now(tcp_under(l));
    struct silence_signs signs = { 0 };
    if (l->state >= LINK_ENDING || l->line == LINE_LOST) return SINEW_EPEER;
    report_errno(&why, SINEW_EPEER, error, "%s: %s", l->name,
                 l->line == LINE_OPEN ? doing : "its greeting did not come");
    if (l->line != LINE_OPEN) {
        line_turn_failed(l, SINEW_EPEER, true, strerrordesc_np(error), &why);
        return SINEW_EPEER;
    }
    l->base.why = why;
    if (error == ETIMEDOUT) line_signs(l, &signs);
    line_lost(l, now - signs.heard_ago);
    return SINEW_EPEER;
}

void line_damaged(struct tcp_link *l, const char *what)
{
    struct tcp *t = tcp_under(l);
    /* of a line that is lost already, too: what is behind it comes again */
    l->stream.damaged = true;
    if (l->state >= LINK_ENDING) return;
    l->damages++;
    l->damages_here = l->damaged_at == l->session.received + 1 ? l->damages_here + 1 : 1;
    l->damaged_at = l->session.received + 1;
    tcp_complain(t, LOG_WARNING, "%s: %s, frame %" PRIu64 ", was damaged on the way (%" PRIu64
                 " so far): a cable, NIC or switch fails, or somebody changes bytes",
                 l->name, what, l->damaged_at, l->damages);
    if (l->damages_here < TCP_DAMAGES) {
        line_failed(l, EBADMSG, what);
        return;
    }
    why_set(&l->base.why, SINEW_EPROTO,
            "%s: %s, frame %" PRIu64 ", was damaged on the way %u times in a row: a cable, NIC, switch "
            "or memory fails, or somebody changes bytes",
            l->name, what, l->damaged_at, l->damages_here);
    link_end(l, SINEW_EPROTO, GONE_BROKEN, false);
}

void line_closed_by_peer(struct tcp_link *l)
{
    struct why why;
    if (l->state >= LINK_ENDING || l->line == LINE_LOST) return;
    if (l->line != LINE_OPEN) {
        why_set(&why, SINEW_EPEER, "%s: the connection was closed before the greeting", l->name);
        line_turn_failed(l, SINEW_EPEER, true, "closed before the greeting", &why);
    } else if (l->state == LINK_DRAINING && l->bye_out &&
               (!l->relayed || session_all_known(&l->session))) {
        l->drained = true;
        link_end(l, 0, GONE_LEFT, false); /* it read our BYE and closed */
    } else {
        why_set(&l->base.why, SINEW_EPEER, "%s: the connection ended without a goodbye", l->name);
        line_lost(l, tcp_now(tcp_under(l)));
    }
}

/* --- work and deadlines ----------------------------------------------------------------------- */

static void line_leave(struct tcp_link *l)
{
    if (stream_receive(l) == RECEIVED_MORE) {
        link_make_ready(l);
        return;
    }
    if (l->state >= LINK_ENDING) return; /* its goodbye was there */
    line_close(l);
    line_attempt(l);
}

void line_work(struct tcp_link *l)
{
    switch (l->line) {
    case LINE_CONNECTING: line_event_connecting(l); break;
    case LINE_SHAKING: line_shake(l); break;
    case LINE_GREETING: stream_receive(l); break;
    case LINE_LOST: line_leave(l); break;
    case LINE_WAITING:
    case LINE_OPEN: break;
    }
}

void line_deadline(struct tcp_link *l)
{
    struct why why;
    link_set_due(l, &l->line_due, INT64_MAX);
    if (l->line == LINE_CONNECTING) {
        why_set(&why, SINEW_ETIMEDOUT,
                "%s: its host did not answer: check cable, power, firewall and SINEW_TCP_INTERFACE",
                l->name);
        line_turn_failed(l, SINEW_ETIMEDOUT, true, "no answer", &why);
    }
    if (l->line != LINE_WAITING || l->state >= LINK_ENDING) return;
    if (l->turn == 0 && repair_is_over(&l->repair, tcp_now(tcp_under(l))))
        line_give_up(l);
    else if (l->line_due == INT64_MAX)
        line_attempt(l);
}

/* --- a connection of the peer's --------------------------------------------------------------- */

static void line_name(struct tcp_link *l, int fd)
{
    union place at = { .v6 = { 0 } };
    socklen_t len = sizeof(at);
    char text[TCP_NAME_MAX];
    getpeername(fd, &at.any, &len);
    place_unmap(&at);
    snprintf(l->name, sizeof(l->name), "rank %d at %.60s", l->base.rank, address_text(&at, text));
}

static int line_take(struct tcp_link *l, int fd, struct shake *s, const struct join *join)
{
    int error;
    line_close(l);
    l->base.lands_not = l->session.sums = s->handshake.modes & HANDSHAKE_CHECKSUM;
    l->tls = s->tls;
    s->tls = NULL;
    l->source.fd = fd;
    l->source.events = SOURCE_QUIET; /* it is in the set, for a stranger */
    l->base.epoch = l->session.peer_epoch = s->handshake.peer.epoch;
    l->peer_attempt = join->attempt;
    memcpy(l->address, join->address, join->address_len);
    l->address_len = join->address_len;
    l->line = LINE_OPEN;
    link_watch(l); /* before it can fail: the set still names the stranger, whose memory goes now */
    if (!line_resume(l, join, false)) return 0;
    if ((error = line_say(l, FRAME_WELCOME)) && l->state == LINK_SETUP) {
        struct why why;
        report_errno(&why, SINEW_EPEER, error, "%s: welcoming", l->name);
        line_retry(l, &why);
        return 0;
    }
    line_opened(l);
    if (error) line_failed(l, error, "welcoming");
    if (l->state == LINK_SETUP) link_came_up(l);
    return 0;
}

static int line_new(struct tcp *t, int fd, struct shake *s, const struct join *join)
{
    const struct handshake_identity *who = &s->handshake.peer;
    t->budget--;
    struct link *base = t->base.up->link(&t->base, who->rank, who->epoch);
    if (!base) return GREETING_REFUSED;
    base->transport = &t->base;
    struct tcp_link *l = tcp_link_of(base);
    if (link_begin(l) < 0) {
        link_end(l, SINEW_ENOMEM, GONE_BROKEN, false);
        return GREETING_BUSY; /* it may find memory when it comes again */
    }
    line_name(l, fd);
    repair_begin(&l->repair, tcp_now(t), t->base.opt.config->setup_deadline, 0);
    return line_take(l, fd, s, join);
}

int line_adopt(struct tcp *t, int fd, struct shake *s, const struct join *join)
{
    const struct handshake_identity *who = &s->handshake.peer;
    struct tcp_link *l = link_find(t, who->rank);
    struct repair_end end = { 0 };
    if (l) {
        if (l->state < LINK_ENDING && l->base.epoch && l->base.epoch != who->epoch) {
            why_set(&l->base.why, SINEW_EPEER, "%s: another process has taken its place", l->name);
            link_end(l, SINEW_EPEER, GONE_DIED, true);
            return GREETING_BUSY;
        }
        bool ours = l->line == LINE_SHAKING || l->line == LINE_GREETING;
        end = (struct repair_end){
            .session = &l->session,
            .ends = l->state >= LINK_ENDING,
            .attempt_stands = ours && repair_stands(t->base.opt.rank, who->rank, l->attempt_at,
                                                    tcp_now(t)),
            .peer_attempt = l->peer_attempt,
        };
    }
    switch (repair_judge(&end, join)) {
    case VERDICT_NEW: return line_new(t, fd, s, join);
    case VERDICT_TAKE: return line_take(l, fd, s, join);
    case VERDICT_UNKNOWN: return GREETING_UNKNOWN;
    case VERDICT_DOUBT:
        if (l->state < LINK_ENDING && l->line == LINE_OPEN) {
            why_set(&l->base.why, SINEW_EPEER, "%s: it seems to have begun anew", l->name);
            line_lost(l, tcp_now(t));
        }
        return GREETING_BUSY;
    case VERDICT_STALE: l->session.discarded++; break;
    case VERDICT_BUSY: break;
    }
    return GREETING_BUSY;
}
