/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - the life of a link: connect, crossing, up, drain, down (internal.h draws the states)
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "transport/tcp/internal.h"

static struct tcp *tcp_under(const struct tcp_link *l)
{
    return tcp_of(l->base.transport);
}

void link_make_ready(struct tcp_link *l)
{
    if (list_empty(&l->ready)) list_append(&tcp_under(l)->ready, &l->ready);
}

static void link_set_due(struct tcp_link *l, int64_t at)
{
    l->due = at;
    list_remove(&l->timed);
    if (at == INT64_MAX) return;
    list_append(&tcp_under(l)->timed, &l->timed);
    tcp_due(tcp_under(l), at);
}

void link_watch(struct tcp_link *l)
{
    uint32_t events = EPOLLIN | (stream_wants_write(l) ? EPOLLOUT : 0);
    int error = tcp_watch(tcp_under(l), &l->source, events);
    if (error < 0) link_failed(l, -error, "epoll");
}

static void link_begin(struct tcp_link *l)
{
    l->source = (struct source){ .kind = SOURCE_LINK, .fd = -1 };
    l->due = INT64_MAX;
    list_append(&tcp_under(l)->links, &l->entry);
    list_init(&l->ready);
    list_init(&l->timed);
    list_init(&l->busy);
    list_init(&l->stream.puts);
    list_init(&l->stream.finished);
}

/* Back to before there was a connection. */
static void link_let_go(struct tcp_link *l)
{
    tcp_unwatch(tcp_under(l), &l->source);
    stream_release(l);
}

static void setup_release(struct tcp_link *l)
{
    if (!l->setup) return;
    explicit_bzero(&l->setup->handshake, sizeof(l->setup->handshake));
    world_release(l->base.transport->opt.world, l->setup, sizeof(*l->setup));
    l->setup = NULL;
}

static void link_retry(struct tcp_link *l, const struct why *reason);

/* --- the end ---------------------------------------------------------------------------------- */

void link_end(struct tcp_link *l, int status, enum gone gone, bool hand_up)
{
    struct tcp *t = tcp_under(l);
    if (l->state >= LINK_ENDING) return;
    l->hand_up = hand_up && l->state >= LINK_UP;
    l->state = LINK_ENDING;
    l->status = status;
    l->gone = gone;
    if (l->hand_up) l->drain_until = tcp_now(t) + t->base.opt.config->repair_deadline;
    if (l->source.fd >= 0) tcp_watch(t, &l->source, SOURCE_QUIET);
    link_set_due(l, INT64_MAX);
    link_make_ready(l);
}

int link_failed(struct tcp_link *l, int error, const char *doing)
{
    bool answered = error == ECONNRESET || error == EPIPE;
    struct why why;
    if (l->state >= LINK_ENDING) return SINEW_EPEER;
    if (l->state == LINK_GREETING) {
        report_errno(&why, SINEW_EPEER, error, "its greeting did not come");
        link_retry(l, &why);
        return SINEW_EPEER;
    }
    report_errno(&l->base.why, SINEW_EPEER, error, "%s: %s", l->name, doing);
    l->bye_may_come = true;
    link_end(l, SINEW_EPEER, answered ? GONE_DIED : GONE_BROKEN, true);
    return SINEW_EPEER;
}

void link_closed_by_peer(struct tcp_link *l)
{
    struct why why;
    if (l->state == LINK_GREETING) {
        why_set(&why, SINEW_EPEER, "the connection was closed before the greeting");
        link_retry(l, &why);
        return;
    }
    if (l->state == LINK_DRAINING && l->bye_queued && stream_is_empty(l)) {
        link_end(l, 0, GONE_LEFT, false); /* it read our BYE and closed */
        return;
    }
    if (l->state < LINK_ENDING)
        why_set(&l->base.why, SINEW_EPEER,
                "%s: the connection ended without a goodbye: its process is gone", l->name);
    link_end(l, SINEW_EPEER, GONE_DIED, false);
}

/* It may be found behind the write that failed because its sender has closed. */
void link_bye_came(struct tcp_link *l)
{
    if (l->state == LINK_ENDING && l->bye_may_come) {
        l->status = 0;
        l->gone = GONE_LEFT;
        l->base.why.text[0] = '\0';
    }
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
    link_let_go(l);
    setup_release(l);
    list_remove(&l->entry);
    list_remove(&l->ready);
    list_remove(&l->timed);
    l->state = LINK_DOWN;
    t->budget--;
    t->has_ended_one = true;
    t->base.up->down(&l->base, l->status, l->gone);
}

/* --- coming up by an attempt of our own ------------------------------------------------------- */

static void link_retry(struct tcp_link *l, const struct why *reason)
{
    struct tcp *t = tcp_under(l);
    struct setup *setup = l->setup;
    int64_t now = tcp_now(t);
    if (now >= setup->until_ns && setup->attempts >= TCP_ATTEMPTS_MIN) {
        why_set(&l->base.why, SINEW_ETIMEDOUT,
                "%s: no link came of %u attempts within setup_deadline, the last: %s", l->name,
                setup->attempts, reason->text);
        link_end(l, SINEW_ETIMEDOUT, GONE_BROKEN, false);
        return;
    }
    log_line(t->base.opt.log, LOG_DETAIL, "tcp: %s: %s; trying again", l->name, reason->text);
    link_let_go(l);
    l->state = LINK_WAITING;
    link_set_due(l, now + setup->pause_ns);
    setup->pause_ns *= 2;
    if (setup->pause_ns > TCP_PAUSE_MAX) setup->pause_ns = TCP_PAUSE_MAX;
}

static bool attempt_may_be_repeated(int error)
{
    return error == ETIMEDOUT || error == ECONNRESET || error == EHOSTUNREACH ||
           error == EADDRNOTAVAIL || error == ENOBUFS || error == ECONNABORTED;
}

static void link_attempt_failed(struct tcp_link *l, int error)
{
    struct why why;
    int status = tcp_status(error);
    report_errno(&why, status, error, "connecting to %s", l->name);
    if (attempt_may_be_repeated(error)) {
        link_retry(l, &why);
        return;
    }
    l->base.why = why;
    link_end(l, status, GONE_BROKEN, false);
}

static void link_greeting_awaited(struct tcp_link *l)
{
    uint64_t epoch = l->setup->handshake.peer.epoch;
    if (l->base.epoch && l->base.epoch != epoch) {
        why_set(&l->base.why, SINEW_EPEER, "%s: another process has taken its place", l->name);
        link_end(l, SINEW_EPEER, GONE_DIED, false);
        return;
    }
    if (stream_begin(l) < 0) {
        link_end(l, SINEW_ENOMEM, GONE_BROKEN, false);
        return;
    }
    session_begin(&l->session, l->base.transport->opt.epoch, epoch);
    l->state = LINK_GREETING;
    link_watch(l);
    link_work(l);
}

static void link_shake(struct tcp_link *l)
{
    struct why why = { 0 };
    uint32_t events;
    int rc = tcp_shake(&l->setup->handshake, &l->setup->shaken, l->source.fd, &events, &why);
    if (rc == 0) {
        link_greeting_awaited(l);
    } else if (rc == SINEW_EPEER) {
        link_retry(l, &why);
    } else if (rc < 0) {
        why_set(&l->base.why, rc, "%s: %s", l->name, why.text);
        link_end(l, rc, GONE_BROKEN, false);
    } else if ((rc = tcp_watch(tcp_under(l), &l->source, events)) < 0) {
        link_attempt_failed(l, -rc);
    }
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

static void link_connected(struct tcp_link *l)
{
    const struct transport_options *opt = &l->base.transport->opt;
    const struct handshake_identity me = { opt->rank, opt->size, opt->epoch, HANDSHAKE_LINK };
    struct setup *setup = l->setup;
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(l->source.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) error = errno;
    if (error == 0 && connected_to_itself(l->source.fd)) error = ECONNREFUSED;
    if (error == 0) error = -tcp_socket_ready(tcp_under(l), l->source.fd);
    if (error != 0) {
        link_attempt_failed(l, error);
        return;
    }
    link_set_due(l, INT64_MAX); /* its kernel has answered; its process may take its time */
    int rc = handshake_begin(&setup->handshake, HANDSHAKE_CLIENT, opt->world, opt->secret, &me,
                             l->base.rank, 0);
    if (rc < 0) {
        why_set(&l->base.why, rc, "%s: %s", l->name, setup->handshake.why.text);
        link_end(l, rc, GONE_BROKEN, false);
        return;
    }
    setup->shaken = false;
    l->state = LINK_SHAKING;
    link_shake(l);
}

static void link_event_connecting(struct tcp_link *l)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    int error = 0;
    socklen_t error_len = sizeof(error);
    if (getpeername(l->source.fd, (struct sockaddr *)&peer, &len) < 0 && errno == ENOTCONN &&
        getsockopt(l->source.fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0) {
        if (error) link_attempt_failed(l, error);
        return; /* else: polled without an event, not yet there */
    }
    link_connected(l);
}

static void link_attempt(struct tcp_link *l)
{
    struct sockaddr_storage at;
    socklen_t at_len;
    struct setup *setup = l->setup;
    setup->attempts++;
    int rc = address_decode(setup->address, setup->address_len, &at, &at_len, &l->base.why);
    if (rc < 0) {
        link_end(l, rc, GONE_BROKEN, false);
        return;
    }
    l->source.fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->source.fd < 0) {
        link_attempt_failed(l, errno);
        return;
    }
    l->state = LINK_CONNECTING;
    rc = connect(l->source.fd, (struct sockaddr *)&at, at_len);
    if (rc < 0 && errno != EINPROGRESS && errno != EINTR) {
        link_attempt_failed(l, errno);
        return;
    }
    int error = tcp_watch(tcp_under(l), &l->source, EPOLLOUT);
    if (error < 0) {
        link_attempt_failed(l, -error);
        return;
    }
    /* A later attempt may begin past the deadline: a computing process must not lose its chance. */
    int64_t least = tcp_now(tcp_under(l)) + TCP_PAUSE_MAX;
    link_set_due(l, setup->until_ns > least ? setup->until_ns : least);
}

static int link_setup(struct tcp_link *l, const void *bytes, size_t len)
{
    struct tcp *t = tcp_under(l);
    struct sockaddr_storage at;
    socklen_t at_len;
    char text[TCP_NAME_MAX];
    int rc = address_decode(bytes, len, &at, &at_len, &l->base.why);
    if (rc < 0) return rc;
    if (l->base.rank < 0 || l->base.rank >= t->base.opt.size || l->base.rank == t->base.opt.rank)
        return why_set(&l->base.why, SINEW_EINVAL, "no tcp link from rank %d to rank %d of %d",
                       t->base.opt.rank, l->base.rank, t->base.opt.size);
    struct setup *setup = l->setup = world_allocate(t->base.opt.world, sizeof(*setup));
    if (!setup)
        return why_set(&l->base.why, SINEW_ENOMEM, "no memory to connect to rank %d", l->base.rank);
    snprintf(l->name, sizeof(l->name), "rank %d at %.60s", l->base.rank, address_text(&at, text));
    memcpy(setup->address, bytes, len);
    setup->address_len = (uint32_t)len;
    setup->pause_ns = TCP_PAUSE_MIN;
    setup->until_ns = tcp_now(t) + t->base.opt.config->setup_deadline;
    return 0;
}

/* What goes wrong at once is told by `down` too, so that a caller has one way to hear of it. */
int tcp_connect(struct link *base, const void *bytes, size_t len)
{
    struct tcp_link *l = tcp_link_of(base);
    if (l->state != LINK_NEW)
        return why_set(&base->transport->why, SINEW_ESTATE,
                       "the tcp link to rank %d takes one address, once", base->rank);
    link_begin(l);
    int rc = link_setup(l, bytes, len);
    if (rc < 0)
        link_end(l, rc, GONE_BROKEN, false);
    else
        link_attempt(l);
    return 0;
}

/* The first frame that comes back on our own attempt. */
void link_greeted(struct tcp_link *l, const struct frame *frame, const uint8_t *payload)
{
    struct tcp *t = tcp_under(l);
    struct why why;
    if (frame->kind == FRAME_ACK) {
        l->base.epoch = l->session.peer_epoch;
        l->state = LINK_UP;
        setup_release(l);
        t->budget--;
        t->base.up->up(&l->base);
        return;
    }
    if (payload[0] == GREETING_BUSY) {
        why_set(&why, SINEW_EBUSY, "it has a connection to this rank under way itself");
        link_retry(l, &why);
        return;
    }
    why_set(&l->base.why, SINEW_EPEER,
            "%s wants no link: it is closing, or holds this process for dead", l->name);
    link_end(l, SINEW_EPEER, GONE_LEFT, false);
}

/* --- coming up by an attempt of the peer's ---------------------------------------------------- */

static struct tcp_link *link_find(struct tcp *t, int rank)
{
    for (struct list *e = t->links.next; e != &t->links; e = e->next) {
        struct tcp_link *l = LIST_OWNER(e, struct tcp_link, entry);
        if (l->base.rank == rank) return l;
    }
    return NULL;
}

bool link_exists(struct tcp *t, int rank)
{
    return link_find(t, rank);
}

static void link_name_passive(struct tcp_link *l, int fd)
{
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof(at);
    char text[TCP_NAME_MAX];
    getpeername(fd, (struct sockaddr *)&at, &len);
    snprintf(l->name, sizeof(l->name), "rank %d at %.60s", l->base.rank, address_text(&at, text));
}

/* Whether our own attempt stands against one of the peer's, or of another incarnation of it. */
static bool link_keeps_own(struct tcp_link *l, uint64_t epoch)
{
    if (l->state < LINK_ENDING && l->base.epoch && l->base.epoch != epoch) {
        why_set(&l->base.why, SINEW_EPEER, "%s: another process has taken its place", l->name);
        link_end(l, SINEW_EPEER, GONE_DIED, true);
        return true;
    }
    if (l->state >= LINK_UP) return true;
    if (l->state < LINK_SHAKING) return false; /* the peer's process has seen nothing of ours */
    return l->base.transport->opt.rank < l->base.rank;
}

static int link_welcome(struct tcp_link *l, int fd, uint64_t epoch)
{
    struct tcp *t = tcp_under(l);
    struct frame welcome = { .kind = FRAME_ACK };
    link_let_go(l);
    setup_release(l);
    link_set_due(l, INT64_MAX);
    if (stream_begin(l) < 0) {
        link_end(l, SINEW_ENOMEM, GONE_BROKEN, false);
        return GREETING_BUSY; /* it may find memory when it comes again */
    }
    l->source.fd = fd;
    l->source.events = SOURCE_QUIET; /* it is in the set, for a stranger */
    l->base.epoch = epoch;
    session_begin(&l->session, t->base.opt.epoch, epoch);
    l->state = LINK_UP;
    link_watch(l); /* before it can fail: the set still names the stranger, whose memory goes now */
    stream_append(l, &welcome, NULL, NULL);
    stream_write(l, TCP_BURST);
    t->budget--;
    t->base.up->up(&l->base);
    if (l->state < LINK_ENDING) link_watch(l);
    return 0;
}

int link_adopt(struct tcp *t, int fd, int rank, uint64_t epoch)
{
    struct tcp_link *l = link_find(t, rank);
    if (l && link_keeps_own(l, epoch)) return GREETING_BUSY;
    if (!l) {
        t->budget--;
        struct link *base = t->base.up->link(&t->base, rank, epoch);
        if (!base) return GREETING_REFUSED;
        base->transport = &t->base;
        l = tcp_link_of(base);
        link_begin(l);
    }
    link_name_passive(l, fd);
    return link_welcome(l, fd, epoch);
}

/* --- going down ------------------------------------------------------------------------------- */

static void link_say_bye(struct tcp_link *l)
{
    struct frame bye = { .kind = FRAME_BYE };
    if (l->bye_queued || !list_empty(&l->stream.puts)) return;
    l->bye_queued = stream_append(l, &bye, NULL, NULL);
    stream_write(l, TCP_BURST);
}

/* DRAIN goes on: what was accepted, BYE, then until the peer's kernel has acknowledged it all. More than
 * that kernel can hold for a process that does not read waits too, until the repair deadline. */
static void link_drain(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    int unacknowledged = 1;
    link_say_bye(l);
    if (l->state != LINK_DRAINING) return;
    if (l->bye_queued && stream_is_empty(l)) {
        if (!l->bye_shut) shutdown(l->source.fd, SHUT_WR);
        l->bye_shut = true;
        if (ioctl(l->source.fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0) {
            link_end(l, 0, GONE_LEFT, true);
            return;
        }
    }
    int64_t now = tcp_now(t);
    if (now >= l->drain_until) {
        why_set(&l->base.why, SINEW_ETIMEDOUT,
                "%s: its kernel did not take all that was sent to it within repair_deadline",
                l->name);
        link_end(l, SINEW_ETIMEDOUT, GONE_BROKEN, true);
        return;
    }
    int64_t look = now + TCP_DRAIN_LOOK;
    link_set_due(l, l->bye_shut && look < l->drain_until ? look : l->drain_until);
}

static void link_start_drain(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    if (l->state < LINK_UP) {
        link_end(l, 0, GONE_LEFT, false); /* nothing was accepted */
    } else if (l->state == LINK_UP) {
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
    case DISCONNECT_NOW: link_cut(l); break;
    case DISCONNECT_DEAD:
        l->bye_may_come = false;
        if (l->state < LINK_ENDING)
            why_set(&base->why, SINEW_EPEER, "rank %d is known to be dead", base->rank);
        link_end(l, SINEW_EPEER, GONE_DIED, true);
        break;
    }
}

/* --- work and deadlines ----------------------------------------------------------------------- */

static void link_move(struct tcp_link *l)
{
    stream_receive(l);
    if (l->state != LINK_UP && l->state != LINK_DRAINING) return;
    stream_owed(l);
    if (stream_wants_write(l)) stream_write(l, TCP_BURST);
    if (!stream_report(l)) link_make_ready(l);
    if (l->state == LINK_DRAINING) link_drain(l);
    if (l->state == LINK_UP || l->state == LINK_DRAINING) link_watch(l);
}

void link_work(struct tcp_link *l)
{
    switch (l->state) {
    case LINK_CONNECTING: link_event_connecting(l); break;
    case LINK_SHAKING: link_shake(l); break;
    case LINK_GREETING:
    case LINK_UP:
    case LINK_DRAINING: link_move(l); break;
    case LINK_ENDING: link_finish(l); break;
    case LINK_NEW:
    case LINK_WAITING:
    case LINK_DOWN: break;
    }
}

static void link_deadline(struct tcp_link *l)
{
    char for_how_long[TEXT_DURATION_MAX];
    int64_t setup_deadline = l->base.transport->opt.config->setup_deadline;
    switch (l->state) {
    case LINK_WAITING: link_attempt(l); break;
    case LINK_CONNECTING:
        why_set(&l->base.why, SINEW_ETIMEDOUT,
                "%s: its host did not answer within setup_deadline (%s): check cable, power, "
                "firewall and SINEW_TCP_INTERFACE",
                l->name, text_duration(setup_deadline, for_how_long));
        link_end(l, SINEW_ETIMEDOUT, GONE_BROKEN, false);
        break;
    case LINK_DRAINING: link_make_ready(l); break;
    default: break;
    }
}

void link_deadlines(struct tcp *t, int64_t now)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->timed);
    while ((e = list_take(&todo))) {
        struct tcp_link *l = LIST_OWNER(e, struct tcp_link, timed);
        if (now < l->due)
            link_set_due(l, l->due);
        else
            link_deadline(l);
    }
}
