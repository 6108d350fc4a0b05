/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pending.c - strangers: accepted connections until they have proven who they are
 *
 * At most TCP_PENDING_MAX of them, each for at most TCP_PENDING_DEADLINE; more wait in the kernel's
 * backlog. When all places are taken for longer than TCP_PENDING_GRACE the oldest gives way, so
 * that connections that say nothing cannot keep a rank out: whoever is turned away tries again.
 * What one sends that is no handshake costs that one only, and a line in the log now and then.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "transport/tcp/internal.h"

static int64_t pending_deadline(const struct tcp *t)
{
    int64_t setup = t->base.opt.config->setup_deadline;
    return setup < TCP_PENDING_DEADLINE ? setup : TCP_PENDING_DEADLINE;
}

static void listen_pause(struct tcp *t, int64_t until)
{
    t->listen_again = until;
    tcp_due(t, until);
    tcp_watch(t, &t->listener, SOURCE_QUIET);
}

static void listen_resume(struct tcp *t)
{
    t->listen_again = 0;
    tcp_watch(t, &t->listener, EPOLLIN);
}

/* The memory stays until progress returns: an event for it may be in hand. */
static void pending_bury(struct tcp *t, struct pending *p)
{
    tcp_unwatch(t, &p->source);
    list_remove(&p->entry);
    list_append(&t->corpses, &p->entry);
    t->pending_count--;
    if (t->listen_again) listen_resume(t);
}

static void pending_refuse(struct tcp *t, struct pending *p, const char *reason)
{
    tcp_complain(t, LOG_WARNING, "a connection from %s was refused: %s", p->name, reason);
    pending_bury(t, p);
}

/* It went away by itself. So does the loser of a crossing, and who never said a word; but one who
 * saw our proof and turned back may have another secret. */
static void pending_left(struct tcp *t, struct pending *p, const char *reason)
{
    int rank = handshake_claimed_rank(&p->shake.handshake);
    bool is_usual = rank < 0 || link_find(t, rank);
    tcp_complain(t, is_usual ? LOG_DETAIL : LOG_WARNING, "a connection from %s went away: %s",
                 p->name, reason);
    pending_bury(t, p);
}

void pending_release_corpses(struct tcp *t)
{
    struct list *e;
    while ((e = list_take(&t->corpses))) {
        struct pending *p = LIST_OWNER(e, struct pending, entry);
        shake_end(t, &p->shake);
        world_release(t->base.opt.world, p, sizeof(*p));
    }
}

void pending_close_all(struct tcp *t)
{
    while (!list_empty(&t->pendings))
        pending_bury(t, LIST_OWNER(t->pendings.next, struct pending, entry));
    pending_release_corpses(t);
}

/* Sent on a connection that is not kept. One frame fits a fresh socket's buffer. */
static void pending_answer(struct tcp *t, struct pending *p, int greeting)
{
    uint8_t bytes[GREETING_FRAME];
    session_greeting_encode(bytes, t->base.opt.epoch, (uint8_t)greeting);
    if (tcp_bytes_out(p->shake.tls, p->source.fd, bytes, sizeof(bytes)) < 0)
        log_line(t->base.opt.log, LOG_DETAIL, "tcp: %s was not told that it is refused", p->name);
}

/* What it says first, of which the kernel may have a part only. 0, SINEW_PENDING, or < 0 with
 * why. */
static int pending_read_join(struct pending *p, struct join *join, struct why *why)
{
    while (p->join_len < sizeof(p->join)) {
        bool dry;
        ssize_t n = tcp_bytes_in(p->shake.tls, p->source.fd, p->join + p->join_len,
                                 sizeof(p->join) - p->join_len, &dry);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return SINEW_PENDING;
        if (n < 0) return report_errno(why, SINEW_EPEER, errno, "it broke off");
        if (n == 0) return why_set(why, SINEW_EPEER, "it was closed before it joined");
        p->join_len += (size_t)n;
    }
    if (!session_is_whole(p->join, sizeof(p->join)))
        return why_set(why, SINEW_EPROTO, "its JOIN was damaged on the way");
    return session_join_decode(p->join, FRAME_JOIN, p->shake.handshake.peer.epoch, join, why);
}

static void pending_joined(struct tcp *t, struct pending *p, const struct join *join)
{
    if (t->budget < 2 || t->has_ended_one) { /* link and up, and never while an old one is there */
        t->pending_waits = true;
        return;
    }
    int greeting = line_adopt(t, p->source.fd, &p->shake, join);
    if (greeting == 0)
        p->source.fd = -1; /* the link's now, in the epoll set too */
    else
        pending_answer(t, p, greeting);
    pending_bury(t, p);
}

static void pending_authenticated(struct tcp *t, struct pending *p)
{
    const struct handshake_identity *who = &p->shake.handshake.peer;
    struct join join;
    struct why why;
    if (who->rank < 0 || who->rank >= t->base.opt.size || who->rank == t->base.opt.rank ||
        who->epoch == 0) {
        pending_refuse(t, p, "it calls itself a rank that cannot be");
        return;
    }
    int rc = pending_read_join(p, &join, &why);
    if (rc == 0)
        pending_joined(t, p, &join);
    else if (rc == SINEW_EPEER)
        pending_left(t, p, why.text);
    else if (rc < 0 || tcp_watch(t, &p->source, EPOLLIN) < 0)
        pending_refuse(t, p, why.text);
}

void pending_event(struct tcp *t, struct pending *p)
{
    struct why why = { 0 };
    uint32_t events;
    if (p->source.fd < 0) return;
    int rc = shake_run(t, &p->shake, p->source.fd, &events, &why);
    if (rc == 0)
        pending_authenticated(t, p);
    else if (rc == SINEW_EPEER)
        pending_left(t, p, why.text);
    else if (rc < 0 || tcp_watch(t, &p->source, events) < 0)
        pending_refuse(t, p, why.text);
}

void pending_finish_waiting(struct tcp *t)
{
    struct list *next;
    t->pending_waits = false;
    for (struct list *e = t->pendings.next; e != &t->pendings; e = next) {
        struct pending *p = LIST_OWNER(e, struct pending, entry);
        next = e->next;
        if (p->shake.done) pending_event(t, p);
    }
}

void pending_deadlines(struct tcp *t, int64_t now)
{
    while (!list_empty(&t->pendings)) {
        struct pending *p = LIST_OWNER(t->pendings.next, struct pending, entry);
        bool full = t->pending_count >= TCP_PENDING_MAX;
        int64_t until = p->since_ns + (full ? TCP_PENDING_GRACE : pending_deadline(t));
        if (now < until) {
            tcp_due(t, until);
            break;
        }
        pending_refuse(t, p, "it did not say who it is in time");
    }
    if (!t->listen_again) return;
    if (now >= t->listen_again)
        listen_resume(t);
    else
        tcp_due(t, t->listen_again);
}

static void pending_begin(struct tcp *t, int fd, const union place *from)
{
    const struct transport_options *opt = &t->base.opt;
    struct why why;
    struct pending *p = world_allocate(opt->world, sizeof(*p));
    if (!p) {
        tcp_complain(t, LOG_ERROR, "no memory for an incoming connection, it was closed");
        close(fd);
        return;
    }
    p->source = (struct source){ .kind = SOURCE_PENDING, .fd = fd };
    p->since_ns = tcp_now(t);
    address_text(from, p->name);
    list_append(&t->pendings, &p->entry);
    t->pending_count++;
    tcp_due(t, p->since_ns + pending_deadline(t));
    if (shake_begin(t, &p->shake, HANDSHAKE_SERVER, -1, &why) < 0) {
        pending_refuse(t, p, why.text);
        return;
    }
    int error = tcp_socket_ready(t, fd);
    if (error == 0) error = tcp_watch(t, &p->source, EPOLLIN);
    if (error < 0) pending_refuse(t, p, strerrordesc_np(-error));
}

/* Whether accept() may be called again at once. */
static bool accept_failed(struct tcp *t, int error)
{
    struct why why = { 0 };
    if (error == EAGAIN) return false;
    if (error == EINTR || error == ECONNABORTED || error == EPROTO) return true;
    report_errno(&why, tcp_status(error), error, "an incoming connection cannot be accepted");
    tcp_complain(t, LOG_ERROR, "%s; it waits", why.text);
    listen_pause(t, tcp_now(t) + TCP_PENDING_GRACE);
    return false;
}

void pending_accept(struct tcp *t)
{
    for (int i = 0; i < TCP_ACCEPTS; i++) {
        if (t->pending_count >= TCP_PENDING_MAX) {
            struct pending *oldest = LIST_OWNER(t->pendings.next, struct pending, entry);
            listen_pause(t, oldest->since_ns + TCP_PENDING_GRACE);
            return;
        }
        union place from = { .v6 = { 0 } };
        socklen_t len = sizeof(from);
        int fd = accept4(t->listener.fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        place_unmap(&from);
        if (fd >= 0 && !tcp_accepts(t, fd))
            close(fd);
        else if (fd >= 0)
            pending_begin(t, fd, &from);
        else if (!accept_failed(t, errno))
            return;
    }
}
