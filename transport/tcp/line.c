/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * line.c - the connections of a link, one at a time (internal.h draws the states)
 *
 * The same attempts bring a link up and repair it; what they come to differs: a link that is not up
 * yet ends with what the peer's host answers first, one that is up is repaired until
 * repair_deadline, or until it is known that the other end is no more.
 *
 * A peer may have several addresses (route.c orders them). An attempt is of one; what it comes to is
 * final only after the last: a round. Another is tried at once when one fails, or when its host has not
 * answered for ROUTE_PATIENCE, twice that in the next round, and so on. That nobody listens at an
 * address means that the peer is gone only where it was met before: elsewhere another host may have the
 * same address, or a firewall may say so.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "transport/tcp/internal.h"

enum { ROUNDS_MAX = 6 };
#define ROUTE_PATIENCE (250 * INT64_C(1000000))
#define HERE_FRESH (1000 * INT64_C(1000000))

static struct tcp *tcp_under(const struct tcp_link *l)
{
    return tcp_of(l->base.transport);
}

static void shake_release(struct tcp_link *l)
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
    tcp_unwatch(tcp_under(l), &l->source);
    shake_release(l);
    tls_end(&l->tls, l->base.transport->opt.world);
    stream_restart(l);
    l->silence = (struct silence){ 0 };
    l->line = LINE_WAITING;
    l->bye_shut = l->blocked = false;
    link_set_due(l, &l->line_due, INT64_MAX);
}

static void line_wait(struct tcp_link *l, int64_t until)
{
    l->line = LINE_WAITING;
    link_set_due(l, &l->line_due, until);
}

/* --- attempts that come to nothing ------------------------------------------------------------ */

/* Which deadline has passed, with the last reason, which is in l->base.why. */
static void line_give_up(struct tcp_link *l)
{
    char duration[TEXT_DURATION_MAX];
    const struct config *config = l->base.transport->opt.config;
    struct why last = l->base.why;
    if (l->state == LINK_SETUP) {
        why_set(&l->base.why, SINEW_ETIMEDOUT,
                "%s: no link came of %u attempts within setup_deadline (%s), the last: %s", l->name,
                l->repair.attempts, text_duration(config->setup_deadline, duration), last.text);
        link_end(l, SINEW_ETIMEDOUT, GONE_BROKEN, false);
        return;
    }
    why_set(&l->base.why, SINEW_EPEER,
            "%s: the connection broke and %u attempts within repair_deadline (%s) did not repair "
            "it, the last: %s",
            l->name, l->repair.attempts, text_duration(config->repair_deadline, duration),
            last.text);
    link_end(l, SINEW_EPEER, GONE_BROKEN, true);
}

static void line_retry(struct tcp_link *l, const struct why *reason)
{
    struct tcp *t = tcp_under(l);
    const struct world *world = t->base.opt.world;
    uint64_t draw = 0;
    if (world->random(world->arg, &draw, sizeof(draw)) < 0) draw = 0; /* then without */
    l->base.why = *reason;
    log_line(t->base.opt.log, LOG_DETAIL, "tcp: %s: %s; trying again", l->name, reason->text);
    line_close(l);
    line_wait(l, repair_failed(&l->repair, tcp_now(t), draw));
}

static bool attempt_may_be_repeated(int error)
{
    return error == ETIMEDOUT || error == ECONNRESET || error == EHOSTUNREACH ||
           error == EADDRNOTAVAIL || error == ENOBUFS || error == ECONNABORTED || error == EPIPE;
}

/* What this round has come to, for one reason or for all. */
static void round_reason(const struct tcp_link *l, const struct why *last, struct why *reason)
{
    if (l->turns < 2)
        *reason = *last;
    else
        why_set(reason, 0, "rank %d: none of %d ways leads there: %s; SINEW_TCP_INTERFACE chooses others",
                l->base.rank, l->turns, l->tried);
}

/* Where it went, and what came of it, in few words. */
static void round_note(struct tcp_link *l, const char *brief)
{
    struct text tried = { l->tried, sizeof(l->tried), strlen(l->tried) };
    const char *to = strstr(l->name, " at ");
    text_add(&tried, "%s%s: %.80s", tried.need ? "; " : "", to ? to + 4 : l->name, brief);
}

/* The attempt of this turn has failed: the next one, or the end of the round. `hopeful`: another time it
 * may go better. */
static void line_turn_failed(struct tcp_link *l, int status, bool hopeful, const char *brief,
                             const struct why *why)
{
    struct why reason;
    round_note(l, brief);
    if (l->turn == 0) l->round_status = status;
    l->hopeful = l->hopeful || hopeful || l->state != LINK_SETUP;
    if (l->turn + 1 < l->turns) {
        log_line(l->base.transport->opt.log, LOG_CHOICE, "tcp: %s; trying the next of %d ways",
                 why->text, l->turns);
        line_close(l);
        l->turn++;
        repair_turn(&l->repair, tcp_now(tcp_under(l)));
        line_wait(l, tcp_now(tcp_under(l)));
        return;
    }
    round_reason(l, why, &reason);
    bool again = l->hopeful;
    status = l->round_status;
    l->turn = 0;
    l->hopeful = false;
    if (l->rounds < ROUNDS_MAX) l->rounds++;
    if (again) {
        line_retry(l, &reason);
        l->tried[0] = '\0';
    } else {
        l->base.why = reason;
        link_end(l, status, GONE_BROKEN, false);
    }
}

static void line_attempt_failed(struct tcp_link *l, int error)
{
    struct why why;
    int status = tcp_status(error);
    report_errno(&why, status, error, "connecting to %s", l->name);
    if (l->state != LINK_SETUP && error == ECONNREFUSED && l->proven_turn) {
        why_set(&why, SINEW_EPEER, "%s: the connection ended and nobody listens there any more",
                l->name);
        link_peer_gone(l, &why);
    } else {
        line_turn_failed(l, status, attempt_may_be_repeated(error), strerrordesc_np(error), &why);
    }
}

/* The handshake was refused, by them or by us: nobody there is the peer, or has the right words. One
 * refusal may come of bytes that were changed on the way, or of somebody in between who wants the
 * link to end: where it was up, several in a row are believed. */
void line_refused(struct tcp_link *l, int status, const struct why *reason)
{
    struct why why;
    why_set(&why, status, "%s: %s", l->name, reason->text);
    bool by_peer = status == SINEW_EAUTH || status == SINEW_EPROTO || status == SINEW_EVERSION;
    if (l->state != LINK_SETUP && by_peer && l->proven_turn && ++l->refusals >= TCP_REFUSALS)
        link_peer_gone(l, &why);
    else
        line_turn_failed(l, status, false, reason->text, &why);
}

/* --- attempts --------------------------------------------------------------------------------- */

static void here_refresh(struct tcp *t, int64_t now)
{
    struct why why;
    if (now - t->here_at < HERE_FRESH) return;
    t->here_at = now;
    here_find(t->base.opt.config->tcp_interface, &t->here, &why);
}

/* Which way this turn goes. 0, or why it cannot: an errno. */
static int line_choose(struct tcp_link *l, struct route *r)
{
    struct tcp *t = tcp_under(l);
    struct route list[ROUTES_MAX];
    char text[TCP_NAME_MAX];
    if (l->turn == 0) here_refresh(t, tcp_now(t));
    int n = routes_find(&t->here, l->address, l->address_len, &l->proven, list);
    if (l->turn >= n) l->turn = 0; /* an interface is gone */
    l->turns = (uint8_t)n;
    l->proven_turn = false;
    if (n == 0) return EADDRNOTAVAIL; /* a passive link whose peer did not say: it has to come */
    *r = list[l->turn];
    l->proven_turn = r->proven;
    int len = snprintf(l->name, sizeof(l->name), "rank %d at %.60s", l->base.rank,
                       address_text(&r->to, text));
    if (n > 1 && r->by[0])
        snprintf(l->name + len, sizeof(l->name) - (size_t)len, " by %s", r->by);
    return r->error;
}

static int line_connect(struct tcp_link *l, const struct route *r)
{
    l->source.fd = socket(r->to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->source.fd < 0) return errno;
    l->line = LINE_CONNECTING;
    if (connect(l->source.fd, &r->to.any, place_len(&r->to)) < 0 && errno != EINPROGRESS &&
        errno != EINTR)
        return errno;
    return -tcp_watch(tcp_under(l), &l->source, EPOLLOUT);
}

static int64_t line_patience(const struct tcp_link *l)
{
    int64_t patience = l->state == LINK_SETUP
                           ? l->base.transport->opt.config->setup_deadline
                           : REPAIR_ANSWER_NS;
    int64_t turn = ROUTE_PATIENCE << l->rounds;
    return l->turns > 1 && turn < patience ? turn : patience;
}

void line_attempt(struct tcp_link *l)
{
    struct route r = { 0 };
    struct why why;
    int error = line_choose(l, &r);
    int64_t until = repair_attempt(&l->repair, tcp_now(tcp_under(l)), line_patience(l));
    if (r.forbidden) {
        why_set(&why, SINEW_EUNREACHABLE, "%s: the way there is by %s, which tcp_interface leaves out",
                l->name, r.by);
        line_turn_failed(l, SINEW_EUNREACHABLE, false, "tcp_interface leaves that out", &why);
        return;
    }
    if (error == 0) error = line_connect(l, &r);
    if (error)
        line_attempt_failed(l, error);
    else
        link_set_due(l, &l->line_due, until);
}

/* On one host, an ephemeral port that nobody listens on can be connected to itself. */
static bool connected_to_itself(int fd)
{
    struct sockaddr_storage a = { 0 }, b = { 0 };
    socklen_t a_len = sizeof(a), b_len = sizeof(b);
    return getsockname(fd, (struct sockaddr *)&a, &a_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&b, &b_len) == 0 && a_len == b_len &&
           memcmp(&a, &b, a_len) == 0;
}

static int line_shake_begin(struct tcp_link *l, struct why *why)
{
    l->shake = world_allocate(l->base.transport->opt.world, sizeof(*l->shake));
    if (!l->shake) return why_set(why, SINEW_ENOMEM, "no memory for a handshake");
    return shake_begin(tcp_under(l), l->shake, HANDSHAKE_CLIENT, l->base.rank, why);
}

static void line_shake(struct tcp_link *l);

static void line_connected(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    struct why why;
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(l->source.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) error = errno;
    if (error == 0 && connected_to_itself(l->source.fd)) error = ECONNREFUSED;
    if (error == 0) error = -tcp_socket_ready(t, l->source.fd);
    if (error != 0) {
        line_attempt_failed(l, error);
        return;
    }
    link_set_due(l, &l->line_due, INT64_MAX); /* its process may take its time */
    l->attempt_at = tcp_now(t);
    repair_held(&l->repair, l->attempt_at);
    l->line = LINE_SHAKING;
    int rc = line_shake_begin(l, &why);
    if (rc < 0) {
        line_refused(l, rc, &why);
        return;
    }
    line_mark(l);
    line_shake(l);
}

static void line_event_connecting(struct tcp_link *l)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    int error = 0;
    socklen_t error_len = sizeof(error);
    if (getpeername(l->source.fd, (struct sockaddr *)&peer, &len) < 0 && errno == ENOTCONN &&
        getsockopt(l->source.fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0) {
        if (error) line_attempt_failed(l, error);
        return; /* else: polled without an event, not yet there */
    }
    line_connected(l);
}

/* JOIN or WELCOME: which session this is, how far it is here, and where this end can be reached. */
static int line_say(struct tcp_link *l, enum frame_kind kind)
{
    const struct transport *t = l->base.transport;
    uint8_t bytes[JOIN_FRAME];
    struct join join = { .mine = l->session.mine, .yours = l->session.theirs,
                         .received = l->session.received, .attempt = l->attempt,
                         .address_len = (uint8_t)tcp_of(l->base.transport)->places_len };
    memcpy(join.address, tcp_of(l->base.transport)->places, join.address_len);
    session_join_encode(bytes, kind, t->opt.epoch, &join);
    /* A fresh connection takes it whole. */
    ssize_t n = tcp_bytes_out(l->tls, l->source.fd, bytes, sizeof(bytes));
    return n == (ssize_t)sizeof(bytes) ? 0 : n < 0 ? errno : EPIPE;
}

static void line_join(struct tcp_link *l)
{
    struct why why;
    uint64_t epoch = l->shake->handshake.peer.epoch;
    if (l->base.epoch && l->base.epoch != epoch) {
        why_set(&why, SINEW_EPEER, "%s: another process has taken its place", l->name);
        link_peer_gone(l, &why);
        return;
    }
    l->session.peer_epoch = epoch;
    l->session.sums = l->shake->handshake.modes & HANDSHAKE_CHECKSUM;
    l->tls = l->shake->tls;
    l->shake->tls = NULL;
    shake_release(l);
    l->attempt++;
    int error = line_say(l, FRAME_JOIN);
    if (error) {
        report_errno(&why, SINEW_EPEER, error, "%s: joining", l->name);
        line_turn_failed(l, SINEW_EPEER, true, strerrordesc_np(error), &why);
        return;
    }
    l->line = LINE_GREETING;
    link_watch(l);
    if (l->line == LINE_GREETING) stream_receive(l);
}

static void line_shake_broke(struct tcp_link *l, const struct why *reason)
{
    struct why why;
    why_set(&why, SINEW_EPEER, "%s: %s", l->name, reason->text);
    line_turn_failed(l, SINEW_EPEER, true, reason->text, &why);
}

static void line_shake(struct tcp_link *l)
{
    struct why why = { 0 };
    uint32_t events;
    int rc = shake_run(tcp_under(l), l->shake, l->source.fd, &events, &why);
    if (rc == 0)
        line_join(l);
    else if (rc == SINEW_EPEER)
        line_shake_broke(l, &why);
    else if (rc < 0)
        line_refused(l, rc, &why);
    else if ((rc = tcp_watch(tcp_under(l), &l->source, events)) < 0)
        line_attempt_failed(l, -rc);
}

/* --- open ------------------------------------------------------------------------------------- */

/* Which way it goes, for sinew_explain, and what was tried before. */
static void line_note_path(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    struct text path = text_into(l->path, sizeof(l->path));
    socklen_t len = sizeof(l->proven);
    if (getpeername(l->source.fd, &l->proven.any, &len) < 0) l->proven = (union place){ .v6 = { 0 } };
    place_unmap(&l->proven);
    route_between(&t->here, l->source.fd, &path);
    if (l->tried[0]) text_add(&path, "; tried before: %s", l->tried);
    l->tried[0] = '\0';
    l->turn = l->rounds = 0;
    l->hopeful = false;
    l->base.note = l->path;
    log_line(t->base.opt.log, LOG_CHOICE, "tcp: rank %d: %s", l->base.rank, l->path);
}

static void line_opened(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    char duration[TEXT_DURATION_MAX];
    l->line = LINE_OPEN;
    l->opened_at = tcp_now(t);
    l->bye_shut = false;
    l->refusals = 0;
    link_set_due(l, &l->line_due, INT64_MAX);
    line_mark(l);
    line_note_path(l);
    link_make_ready(l); /* what waits goes */
    if (l->state == LINK_SETUP) return;
    l->base.why.text[0] = '\0';
    log_line(t->base.opt.log, LOG_CHOICE,
             "tcp: %s: repaired after %s; %llu lost so far, %llu frames sent again, %llu discarded",
             l->name, text_duration(l->opened_at - l->lost_at, duration),
             (unsigned long long)l->losses, (unsigned long long)l->session.resent,
             (unsigned long long)l->session.discarded);
}

static bool line_resume(struct tcp_link *l, const struct join *join)
{
    struct why why;
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
    if (!line_resume(l, &join)) return;
    l->peer_attempt = join.attempt; /* those it had made are over: it has taken this one */
    l->base.epoch = l->session.peer_epoch;
    line_opened(l);
    if (l->state == LINK_SETUP) link_came_up(l);
}

/* --- loss ------------------------------------------------------------------------------------- */

/* silent since `since`; the reason is in l->base.why. What has arrived is handed up first. */
static void line_lost(struct tcp_link *l, int64_t since)
{
    struct tcp *t = tcp_under(l);
    int64_t now = tcp_now(t);
    log_line(t->base.opt.log, LOG_CHOICE, "tcp: %s; connecting anew", l->base.why.text);
    l->losses++;
    l->lost_at = now;
    repair_begin(&l->repair, since, t->base.opt.config->repair_deadline, now - l->opened_at);
    l->line = LINE_LOST;
    tcp_watch(t, &l->source, SOURCE_QUIET);
    link_make_ready(l);
}

static bool line_signs(const struct tcp_link *l, struct silence_signs *signs)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof(info);
    if (getsockopt(l->source.fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0) return false;
    *signs = (struct silence_signs){ .unacknowledged = info.tcpi_unacked,
                                     .resent = info.tcpi_retransmits,
                                     .probes = info.tcpi_probes,
                                     .heard_ago = (int64_t)info.tcpi_last_ack_recv * 1000000 };
    return true;
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
    l->stream.damaged = true; /* of a line that is lost already, too: what is behind it comes again */
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
    } else if (l->state == LINK_DRAINING && l->bye_out) {
        l->drained = true;
        link_end(l, 0, GONE_LEFT, false); /* it read our BYE and closed */
    } else {
        why_set(&l->base.why, SINEW_EPEER, "%s: the connection ended without a goodbye", l->name);
        line_lost(l, tcp_now(tcp_under(l)));
    }
}

/* --- silence ---------------------------------------------------------------------------------- */

void line_mark(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    if (list_empty(&l->looked)) list_append(&t->looked, &l->looked);
}

/* Somebody waits for what this line carries. */
static bool line_matters(const struct tcp_link *l)
{
    const struct session *s = &l->session;
    if (l->line == LINE_SHAKING || l->line == LINE_GREETING) return true;
    return l->line == LINE_OPEN && (s->sent != s->acknowledged || s->received != s->told ||
                                    tcp_under(l)->awaited == l);
}

/* The kernel's own probes come only after seconds. This frame makes it owe an acknowledgement;
 * between frames, so that none is cut in two. */
static void line_probe(struct tcp_link *l, int64_t now)
{
    uint8_t bytes[FRAME_HEADER + FRAME_SUMS];
    const ssize_t len = (ssize_t)session_header(&l->session);
    const struct frame ack = { .kind = FRAME_ACK, .epoch = l->session.my_epoch,
                               .acknowledged = l->session.received };
    l->probed_at = now;
    if (!session_all_sent(&l->session) || l->bye_queued) return;
    frame_encode(bytes, &ack);
    if (l->session.sums) frame_sum(bytes, 0);
    ssize_t n = tcp_bytes_out(l->tls, l->source.fd, bytes, (size_t)len);
    if (n >= 0 && n < len) line_failed(l, EPIPE, "a frame was cut");
    if (n == len) l->session.told = l->session.received;
}

static void line_suspect(struct tcp_link *l, int64_t since)
{
    char duration[TEXT_DURATION_MAX];
    struct tcp *t = tcp_under(l);
    struct why why;
    why_set(&why, SINEW_EPEER, "%s: its host has been silent for %s", l->name,
            text_duration(tcp_now(t) - since, duration));
    if (l->line != LINE_OPEN) {
        line_turn_failed(l, SINEW_EPEER, true, "silent", &why);
        return;
    }
    tcp_complain(t, LOG_WARNING, "%s: suspected, connecting anew", why.text);
    l->base.why = why;
    line_lost(l, since);
}

static void line_look(struct tcp_link *l, int64_t now)
{
    int64_t deadline = l->base.transport->opt.config->repair_deadline;
    int64_t patience = silence_patience(deadline);
    struct silence_signs signs;
    if (!line_signs(l, &signs)) return;
    int64_t silent = silence_look(&l->silence, now, silence_look_every(deadline), &signs);
    if (silent >= patience) {
        line_suspect(l, now - silent);
    } else if (l->line == LINE_OPEN) {
        bool due = signs.unacknowledged || signs.probes;
        bool quiet = !due && signs.heard_ago >= patience / 2 && now - l->probed_at >= patience;
        if (quiet || l->session.received != l->session.told) line_probe(l, now);
    }
}

void line_look_all(struct tcp *t, int64_t now)
{
    struct list todo, *e;
    if (!t->awaited_again) t->awaited = NULL;
    t->awaited_again = false;
    list_init(&todo);
    list_splice(&todo, &t->looked);
    while ((e = list_take(&todo))) {
        struct tcp_link *l = LIST_OWNER(e, struct tcp_link, looked);
        if (!line_matters(l)) {
            l->silence = (struct silence){ 0 };
            continue;
        }
        list_append(&t->looked, &l->looked);
        line_look(l, now);
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
    l->session.sums = s->handshake.modes & HANDSHAKE_CHECKSUM;
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
    if (!line_resume(l, join)) return 0;
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
