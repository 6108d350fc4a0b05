/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp.c - the table, and what is one per transport: listener, epoll, deadlines, progress
 *
 * The fd of the transport is a level-triggered epoll set of the listener, every connection and a
 * timer, so that a sleeper needs to know nothing more: arm() sets the timer to the earliest
 * deadline. Work that no descriptor announces (upcalls left over when a progress had used its
 * budget, links that have ended) is on `ready`; then arm() says so.
 *
 * progress(t, l) reads l's socket first. The others' turn is one epoll_wait, every time without l,
 * else every 32nd time: a waiter's poll costs one recv. A progress that has pushed what was held leaves it
 * at that, but for every 32nd: it is what most waiters wait for.
 */
#include "transport/stub.h"
#include "transport/tcp/tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/config.h"
#include "transport/tcp/internal.h"

enum { EVENTS = 64, OTHERS_EVERY = 32, BACKLOG = 1024 };

int64_t tcp_now(const struct tcp *t)
{
    return world_now(t->base.opt.world);
}

int tcp_watch(struct tcp *t, struct source *source, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = source };
    if (source->events == events) return 0;
    int op = source->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(t->base.fd, op, source->fd, &event) < 0) return -errno;
    source->events = events;
    return 0;
}

/* A forked child may hold copies: so the socket is taken out of the set by name, or its events would
 * come on, and shut down, or the peer would never see its end. */
void tcp_unwatch(struct tcp *t, struct source *source)
{
    if (source->fd >= 0) {
        if (source->events) epoll_ctl(t->base.fd, EPOLL_CTL_DEL, source->fd, NULL);
        shutdown(source->fd, SHUT_RDWR); /* no connection, no socket: no harm */
        close(source->fd);
    }
    source->fd = -1;
    source->events = 0;
}

void tcp_due(struct tcp *t, int64_t at_ns)
{
    if (at_ns < t->due) t->due = at_ns;
}

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* The second line: lines that matter to somebody are looked at (line.c); any other whose peer's kernel is
 * silent ends within half the repair deadline, so that it can be repaired. A kernel answers for a process
 * that is stopped or computes. TCP_USER_TIMEOUT would not spare that one with a full window. Linux 6.15
 * asks again every second when told so; others ever later, so that a host that dies while its
 * window is full for long is silent unnoticed until the next time. */
int tcp_socket_ready(const struct tcp *t, int fd)
{
    enum { PROBES = 2, RTO_MAX_MS = 44 };
    int seconds = (int)(t->base.opt.config->repair_deadline / CONFIG_SECOND / 2 / (PROBES + 1));
    if (seconds < 1) seconds = 1;
    set_option(fd, IPPROTO_TCP, RTO_MAX_MS, REPAIR_SUSPECT_NS / 1000000);
    int error = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (error == 0) error = set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (error == 0) error = set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
    if (error == 0) error = set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
    if (error == 0) error = set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
    return error;
}

/* --- open and close --------------------------------------------------------------------------- */

/* All addresses of the family, so that loopback works too, unless the user named one. */
static void listen_anywhere(struct sockaddr_storage *at)
{
    if (at->ss_family == AF_INET)
        ((struct sockaddr_in *)at)->sin_addr.s_addr = htonl(INADDR_ANY);
    else
        ((struct sockaddr_in6 *)at)->sin6_addr = in6addr_any;
}

static void address_set_port(struct sockaddr_storage *at, const struct sockaddr_storage *from)
{
    if (at->ss_family == AF_INET)
        ((struct sockaddr_in *)at)->sin_port = ((const struct sockaddr_in *)from)->sin_port;
    else
        ((struct sockaddr_in6 *)at)->sin6_port = ((const struct sockaddr_in6 *)from)->sin6_port;
}

static int listener_open(struct tcp *t)
{
    struct sockaddr_storage published, bound;
    char name[TCP_NAME_MAX];
    bool only_one;
    int rc = address_choose(t->base.opt.config->tcp_interface, &published, &only_one, &t->base.why);
    if (rc < 0) return rc;
    bound = published;
    if (!only_one) listen_anywhere(&bound);
    socklen_t len = bound.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                               : sizeof(struct sockaddr_in6);
    int fd = socket(bound.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return report_errno(&t->base.why, tcp_status(errno), errno, "no socket to listen on");
    t->listener = (struct source){ .kind = SOURCE_LISTENER, .fd = fd };
    if (bind(fd, (struct sockaddr *)&bound, len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) < 0)
        return report_errno(&t->base.why, tcp_status(errno), errno, "cannot listen on %s",
                            address_text(&bound, name));
    address_set_port(&published, &bound);
    t->base.address_len = address_encode(&published, t->base.address);
    log_line(t->base.opt.log, LOG_CHOICE, "tcp: reached at %s", address_text(&published, name));
    return 0;
}

static int events_open(struct tcp *t)
{
    t->base.fd = epoll_create1(EPOLL_CLOEXEC);
    if (t->base.fd < 0)
        return report_errno(&t->base.why, tcp_status(errno), errno, "no epoll descriptor");
    t->timer = (struct source){
        .kind = SOURCE_TIMER,
        .fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
    };
    if (t->timer.fd < 0)
        return report_errno(&t->base.why, tcp_status(errno), errno, "no timer descriptor");
    int rc = tcp_watch(t, &t->timer, EPOLLIN);
    if (rc == 0) rc = tcp_watch(t, &t->listener, EPOLLIN);
    if (rc < 0)
        return report_errno(&t->base.why, tcp_status(-rc), -rc, "epoll refuses a descriptor");
    return 0;
}

static void tcp_close(struct transport *base)
{
    struct tcp *t = tcp_of(base);
    pending_close_all(t);
    region_table_release(&t->regions, base->opt.world);
    tls_unload(&t->tls, base->opt.world);
    tcp_unwatch(t, &t->listener);
    tcp_unwatch(t, &t->timer);
    if (base->fd >= 0) close(base->fd);
    base->fd = -1;
}

static int tcp_open(struct transport *base)
{
    struct tcp *t = tcp_of(base);
    base->fd = t->listener.fd = t->timer.fd = -1;
    t->due = t->timer_at = INT64_MAX;
    list_init(&t->links);
    list_init(&t->ready);
    list_init(&t->timed);
    list_init(&t->busy);
    list_init(&t->dirty);
    list_init(&t->looked);
    list_init(&t->pendings);
    list_init(&t->corpses);
    int rc = listener_open(t);
    if (rc == 0) rc = events_open(t);
    if (rc < 0) {
        tcp_close(base);
        return rc;
    }
    base->caps = (struct transport_caps){
        .eager_max = TCP_EAGER_MAX,
        .copy_max = TCP_EAGER_MAX,
        .put_ordered = true,
        .holds = true,
        .latency_ns = 15000,
        .megabytes_per_s = 2000,
    };
    return 0;
}

/* --- memory ----------------------------------------------------------------------------------- */

static int tcp_reg(struct transport *base, struct link *l, struct region *region)
{
    struct tcp *t = tcp_of(base);
    if (l) return region_import(region, &base->why);
    return region_add(&t->regions, base->opt.world, region, &base->why);
}

/* From here on nothing lands: a fragment that is half in goes nowhere, as its place is looked up for every
 * piece. What is going out from, or to, this region must have left first. */
static int tcp_dereg(struct transport *base, struct region *region)
{
    struct tcp *t = tcp_of(base);
    region_remove(&t->regions, region);
    for (struct list *e = t->busy.next; e != &t->busy; e = e->next)
        if (stream_uses(LIST_OWNER(e, struct tcp_link, busy), region)) return TRANSPORT_AGAIN;
    return 0;
}

/* --- progress --------------------------------------------------------------------------------- */

static void tcp_dispatch(struct tcp *t, struct source *source)
{
    uint64_t expirations;
    switch (source->kind) {
    case SOURCE_LISTENER: pending_accept(t); break;
    case SOURCE_PENDING: pending_event(t, (struct pending *)source); break;
    case SOURCE_LINK: link_work(LIST_OWNER(source, struct tcp_link, source)); break;
    case SOURCE_TIMER:
        if (read(source->fd, &expirations, sizeof(expirations)) > 0) t->timer_at = INT64_MAX;
        break;
    }
}

static void tcp_poll(struct tcp *t)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(t->base.fd, events, EVENTS, 0);
    for (int i = 0; i < n && t->budget > 0; i++) tcp_dispatch(t, events[i].data.ptr);
}

static void tcp_look(struct tcp *t, int64_t now)
{
    int64_t every = silence_look_every(t->base.opt.config->repair_deadline);
    if (t->look_at && now >= t->look_at) line_look_all(t, now);
    if (t->look_at && now < t->look_at) return;
    t->look_at = list_empty(&t->looked) ? 0
                                        : now + every;
}

static void tcp_deadlines(struct tcp *t)
{
    if (t->due == INT64_MAX && list_empty(&t->looked)) return;
    int64_t now = tcp_now(t);
    if (!list_empty(&t->looked)) tcp_look(t, now);
    if (now < t->due) return;
    t->due = INT64_MAX; /* whoever still waits says so again */
    pending_deadlines(t, now);
    link_deadlines(t, now);
}

static void tcp_ready(struct tcp *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->ready);
    while (t->budget > 0 && (e = list_take(&todo)))
        link_work(LIST_OWNER(e, struct tcp_link, ready));
    list_splice(&t->ready, &todo);
}

static void tcp_push(struct tcp *t)
{
    struct list todo, *e;
    list_init(&todo);
    list_splice(&todo, &t->dirty);
    while ((e = list_take(&todo))) stream_push(LIST_OWNER(e, struct tcp_link, dirty));
}

static void tcp_await(struct tcp *t, struct tcp_link *l)
{
    t->awaited_again = true;
    if (t->awaited == l) return;
    t->awaited = l;
    if (l->state > LINK_NEW && l->state < LINK_ENDING) line_mark(l);
}

static void tcp_move(struct tcp *t, struct link *l, bool others)
{
    if (l) {
        tcp_await(t, tcp_link_of(l));
        link_work(tcp_link_of(l));
    }
    if (!list_empty(&t->ready)) tcp_ready(t);
    if (t->pending_waits) pending_finish_waiting(t);
    if (others && t->budget > 0) {
        tcp_poll(t);
        tcp_deadlines(t);
    }
    if (!list_empty(&t->dirty)) tcp_push(t);
    if (!list_empty(&t->corpses)) pending_release_corpses(t);
}

static int tcp_progress(struct transport *base, struct link *l)
{
    struct tcp *t = tcp_of(base);
    t->budget = TRANSPORT_UPCALLS_MAX;
    t->moved = t->has_ended_one = false;
    t->in_progress = true;
    bool see_others = ++t->ticks % OTHERS_EVERY == 0;
    if (!list_empty(&t->dirty)) tcp_push(t);
    if (t->budget == TRANSPORT_UPCALLS_MAX || see_others) tcp_move(t, l, see_others || !l);
    t->in_progress = false;
    int upcalls = TRANSPORT_UPCALLS_MAX - t->budget;
    /* Parts of a put are no upcalls, but whoever waits must not take them for idleness. */
    return upcalls > 0 ? upcalls : t->moved;
}

static int64_t tcp_wakes_at(struct tcp *t)
{
    if (!list_empty(&t->looked) && !t->look_at) tcp_look(t, tcp_now(t));
    return t->look_at && t->look_at < t->due ? t->look_at : t->due;
}

static int tcp_arm(struct transport *base)
{
    struct tcp *t = tcp_of(base);
    if (!list_empty(&t->ready) || !list_empty(&t->dirty) || t->pending_waits) return 1;
    int64_t at = tcp_wakes_at(t);
    if (at == INT64_MAX || at >= t->timer_at) return 0;
    int64_t in = at - tcp_now(t);
    if (in <= 0) return 1;
    struct itimerspec spec = { 0 };
    spec.it_value = (struct timespec){ .tv_sec = in / 1000000000, .tv_nsec = in % 1000000000 };
    if (timerfd_settime(t->timer.fd, 0, &spec, NULL) < 0) return 1;
    t->timer_at = at;
    return 0;
}

const struct transport_ops transport_tcp = {
    .name = "tcp",
    .id = 3,
    .control = true,
    .transport_size = sizeof(struct tcp),
    .link_size = sizeof(struct tcp_link),
    .open = tcp_open,
    .close = tcp_close,
    .reach = tcp_reach,
    .connect = tcp_connect,
    .disconnect = tcp_disconnect,
    .send = tcp_send,
    .send_short = stub_send_short,
    .rma = tcp_rma,
    .flush = tcp_flush,
    .reg = tcp_reg,
    .dereg = tcp_dereg,
    .progress = tcp_progress,
    .arm = tcp_arm,
};
