/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attempt.c - from nothing to a line that is open: one address after the other, by rounds
 *
 * A peer may have several addresses (route.c orders them). An attempt is of one; what it comes to
 * is final only after the last: a round. Another is tried at once when one fails, or when its host
 * has not answered for ROUTE_PATIENCE, twice that in the next round, and so on. That nobody listens
 * at an address means that the peer is gone only where it was met before: elsewhere another host
 * may have the same address, or a firewall may say so.
 *
 * What an attempt comes to differs with the link: one that is not up yet ends with what the peer's
 * host answers first, one that is up is repaired until repair_deadline, or until it is known that
 * the other end is no more.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/config.h"
#include "transport/tcp/internal.h"

enum { ROUNDS_MAX = 6 };
#define ROUTE_PATIENCE (250 * INT64_C(1000000))
#define HERE_FRESH (1000 * INT64_C(1000000))

static void line_wait(struct tcp_link *l, int64_t until)
{
    l->line = LINE_WAITING;
    link_set_due(l, &l->line_due, until);
}

/* --- attempts that come to nothing ------------------------------------------------------------ */

/* Which deadline has passed, with the last reason, which is in l->base.why. */
void line_give_up(struct tcp_link *l)
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

void line_retry(struct tcp_link *l, const struct why *reason)
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
        why_set(reason, 0,
                "rank %d: none of %d ways leads there (SINEW_TCP_INTERFACE chooses others): %s",
                l->base.rank, l->turns, l->tried);
}

/* Where it went, and what came of it, in few words. */
static void round_note(struct tcp_link *l, const char *brief)
{
    struct text tried = { l->tried, sizeof(l->tried), strlen(l->tried) };
    const char *to = strstr(l->name, " at ");
    text_add(&tried, "%s%s: %.80s", tried.need ? "; " : "", to ? to + 4 : l->name, brief);
}

/* The attempt of this turn has failed: the next one, or the end of the round. `hopeful`: another
 * time it may go better. */
void line_turn_failed(struct tcp_link *l, int status, bool hopeful, const char *brief,
                      const struct why *why)
{
    struct why reason;
    if (link_leaves_unmet(l)) {
        link_end(l, 0, GONE_LEFT, false);
        return;
    }
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
    bool by_relay = l->relayed && l->state == LINK_DRAINING; /* which may come again */
    if (l->state != LINK_SETUP && error == ECONNREFUSED && l->proven_turn && !by_relay) {
        why_set(&why, SINEW_EPEER, "%s: the connection ended and nobody listens there any more",
                l->name);
        link_peer_gone(l, &why);
    } else {
        line_turn_failed(l, status, attempt_may_be_repeated(error), strerrordesc_np(error), &why);
    }
}

/* The handshake was refused, by them or by us: nobody there is the peer, or has the right words.
 * One refusal may come of bytes that were changed on the way, or of somebody in between who wants
 * the link to end: where it was up, several in a row are believed. */
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

/* --- one of them ------------------------------------------------------------------------------ */

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

void line_event_connecting(struct tcp_link *l)
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
int line_say(struct tcp_link *l, enum frame_kind kind)
{
    const struct transport *t = l->base.transport;
    uint8_t bytes[JOIN_FRAME];
    struct join join = { .mine = l->session.mine, .yours = l->session.theirs,
                         .received = l->session.received, .attempt = l->attempt,
                         .ends = address_ends(l->source.fd, kind == FRAME_JOIN),
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
    l->base.lands_not = l->session.sums = l->shake->handshake.modes & HANDSHAKE_CHECKSUM;
    l->tls = l->shake->tls;
    l->shake->tls = NULL;
    line_shake_release(l);
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

void line_shake(struct tcp_link *l)
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
