/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp.c - the table, and what is one per transport: listener, epoll, deadlines, progress
 *
 * The fd of the transport is a level-triggered epoll set of the listener, connections and a
 * timer, so that a sleeper needs to know nothing more: arm() sets the timer to the earliest
 * deadline. Work that no descriptor announces (upcalls left over when a progress had used its
 * budget, links that have ended) is on `ready`; then arm() says so.
 *
 * progress(t, l) reads l's socket first; while it does so again and again, that one is out of the
 * set. The others' turn is one epoll_wait, every time without l,
 * else every 32nd time: a waiter's poll costs one recv. A progress that has pushed what was held
 * leaves it at that, but for every 32nd: it is what most waiters wait for. peek() reads that socket
 * alone, and leaves the rest to progress.
 */
#include "transport/stub.h"
#include "transport/tcp/tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "transport/tcp/internal.h"

enum { EVENTS = 64, OTHERS_EVERY = 32, BACKLOG = 1024 };

int64_t tcp_now(const struct tcp *t)
{
    return world_now(t->base.opt.world);
}

/* Events 0: out of the set, for who is in it costs whoever sends to it, events or not. */
int tcp_watch(struct tcp *t, struct source *source, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = source };
    if (source->events == events) return 0;
    int op = !events ? EPOLL_CTL_DEL : source->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(t->base.fd, op, source->fd, &event) < 0) return -errno;
    source->events = events;
    return 0;
}

/* A forked child may hold copies: so the socket is taken out of the set by name, or its events
 * would come on, and shut down, or the peer would never see its end. */
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

bool tcp_within_host(int fd)
{
    union place here = { .v6 = { 0 } }, there = { .v6 = { 0 } };
    socklen_t here_len = sizeof(here), there_len = sizeof(there);
    return getsockname(fd, &here.any, &here_len) == 0 &&
           getpeername(fd, &there.any, &there_len) == 0 && place_same_host(&here, &there);
}

/* The second line: lines that matter to somebody are looked at (silence.c); any other whose peer's
 * kernel is silent ends within half the repair deadline, so that it can be repaired. A kernel
 * answers for a process that is stopped or computes. TCP_USER_TIMEOUT would not spare that one with
 * a full window. Linux 6.15 asks again every second when told so; others ever later, so that a host
 * that dies while its window is full for long is silent unnoticed until the next time. */
int tcp_socket_ready(const struct tcp *t, int fd)
{
    enum { PROBES = 2, RTO_MAX_MS = 44 };
    int seconds = (int)(t->base.opt.config->repair_deadline / CONFIG_SECOND / 2 / (PROBES + 1));
    if (seconds < 1) seconds = 1;
    set_option(fd, IPPROTO_TCP, RTO_MAX_MS, REPAIR_SUSPECT_NS / 1000000);
    /* Within a host there is nothing to be fair to, and nothing to be paced for: BBR, where that is
     * the system's choice, costs a fifth of the bandwidth there. */
    if (tcp_within_host(fd)) setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
    int error = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (error == 0) error = set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (error == 0) error = set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
    if (error == 0) error = set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
    if (error == 0) error = set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
    return error;
}

/* --- open and close --------------------------------------------------------------------------- */

/* What one listener serves: the address that was named; or all, so that loopback works too; of both
 * families if both are there. */
static union place listen_where(const struct here_address *const *chosen, int n, bool named)
{
    union place any = { .v6 = { .sin6_family = AF_INET6 } };
    bool v6 = false;
    for (int i = 0; i < n; i++) v6 = v6 || chosen[i]->at.any.sa_family == AF_INET6;
    if (n == 1 && named) {
        any = chosen[0]->at;
        if (v6 && address_is_link_local(&any)) any.v6.sin6_scope_id = chosen[0]->index;
    } else if (!v6) {
        any = (union place){ .v4 = { .sin_family = AF_INET } };
    }
    return any;
}

static int listen_at(struct tcp *t, const union place *at, bool reuse)
{
    const int on = 1, off = 0;
    union place bound = *at;
    socklen_t len = sizeof(bound);
    int fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    if (at->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    /* A port of a range may be held by what is left of connections of the job before. */
    if (reuse) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, &at->any, place_len(at)) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, &bound.any, &len) < 0) {
        int error = errno;
        close(fd);
        return error;
    }
    t->listener = (struct source){ .kind = SOURCE_LISTENER, .fd = fd };
    t->port = ntohs(bound.any.sa_family == AF_INET ? bound.v4.sin_port : bound.v6.sin6_port);
    return 0;
}

/* Ranks of a host begin at different ports of the range, so that few are asked for in vain. */
static int listener_open(struct tcp *t, union place at)
{
    const struct config *config = t->base.opt.config;
    unsigned first, last;
    char name[TCP_NAME_MAX];
    int error = 0;
    int rc = place_parse_ports("tcp_ports", config->tcp_ports, &first, &last, &t->base.why);
    if (rc < 0) return rc;
    unsigned count = last - first + 1;
    for (unsigned i = 0; i < count; i++) {
        address_set_port(&at, (uint16_t)(first + (i + (unsigned)t->base.opt.rank) % count));
        error = listen_at(t, &at, first > 0);
        if (error != EADDRINUSE) break;
    }
    if (error == EADDRINUSE)
        return why_set(&t->base.why, SINEW_ELIMIT,
                       "all %u ports of tcp_ports=%s are in use on this host: each rank needs one; "
                       "widen the range, or see with `ss -ltnp` who has them",
                       count, config->tcp_ports);
    if (error)
        return report_errno(&t->base.why, tcp_status(error), error, "cannot listen on %s",
                            address_text(&at, name));
    return 0;
}

static void places_add(struct tcp *t, const union place *at, bool advertised)
{
    char name[TCP_NAME_MAX];
    union place here = *at;
    uint32_t published = t->base.address_len, all = t->places_len;
    bool fits = address_add(t->base.address, &published, TCP_PUBLISHED_MAX, at, advertised);
    bool told = address_add(t->places, &all, TCP_ADDRESS_MAX, at, advertised);
    t->base.address_len = published;
    t->places_len = all;
    if (!advertised) address_set_port(&here, t->port);
    log_line(t->base.opt.log, LOG_CHOICE, "tcp: reached at %s%s%s", address_text(&here, name),
             advertised ? ", as tcp_advertise says" : "",
             fits ? "" : told ? ", told to who is met; a record has no room for it"
                              : ", which nobody is told: there are too many");
}

/* Of an advertised IPv6 address, unless that is link-local and short, a record has room for no port
 * but the one in front; nor for another place. */
static uint16_t published_port(const struct tcp *t, const union place *advertised)
{
    bool is_long = advertised->any.sa_family == AF_INET6 &&
                   !address_is_link_local(advertised);
    return is_long ? ntohs(advertised->v6.sin6_port) : t->port;
}

static int places_open(struct tcp *t, const struct here_address *const *chosen, int n)
{
    union place advertised;
    int rc = place_parse("tcp_advertise", t->base.opt.config->tcp_advertise, &advertised,
                         &t->base.why);
    if (rc < 0) return rc;
    if (advertised.any.sa_family) {
        bool has_port = advertised.any.sa_family == AF_INET ? advertised.v4.sin_port
                                                            : advertised.v6.sin6_port;
        if (!has_port) address_set_port(&advertised, t->port);
    }
    t->base.address_len = address_begin(t->base.address, published_port(t, &advertised));
    t->places_len = address_begin(t->places, t->port);
    if (advertised.any.sa_family) places_add(t, &advertised, true);
    for (int i = 0; i < n && i < TCP_PLACES_MAX - 1; i++) places_add(t, &chosen[i]->at, false);
    return 0;
}

static int place_open(struct tcp *t)
{
    const struct here_address *chosen[HERE_MAX];
    const char *wanted = t->base.opt.config->tcp_interface;
    int rc = here_find(wanted, &t->here, &t->base.why);
    if (rc < 0) return rc;
    int n = here_choose(&t->here, wanted, chosen, &t->base.why);
    if (n < 0) return n;
    t->here_at = tcp_now(t);
    rc = listener_open(t, listen_where(chosen, n, place_names_any(wanted)));
    return rc < 0 ? rc : places_open(t, chosen, n);
}

bool tcp_accepts(const struct tcp *t, int fd)
{
    union place at;
    socklen_t len = sizeof(at);
    if (!t->base.opt.config->tcp_interface[0]) return true;
    if (getsockname(fd, &at.any, &len) < 0) return false;
    place_unmap(&at);
    const struct here_address *mine = here_has(&t->here, &at);
    return !mine || mine->wanted;
}

static int events_open(struct tcp *t)
{
    t->base.fd = epoll_create1(EPOLL_CLOEXEC);
    if (t->base.fd < 0)
        return report_errno(&t->base.why, tcp_status(errno), errno, "no epoll descriptor");
    int rc = timer_open(&t->timer);
    if (rc < 0) return report_errno(&t->base.why, tcp_status(-rc), -rc, "no timer descriptor");
    t->alarm = (struct source){ .kind = SOURCE_TIMER, .fd = t->timer.fd };
    rc = tcp_watch(t, &t->alarm, EPOLLIN);
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
    timer_close(&t->timer);
    if (base->fd >= 0) close(base->fd);
    base->fd = -1;
}

static int tcp_open(struct transport *base)
{
    struct tcp *t = tcp_of(base);
    base->fd = t->listener.fd = -1;
    t->timer = (struct timer)TIMER_NONE;
    t->due = INT64_MAX;
    list_init(&t->links);
    list_init(&t->ready);
    list_init(&t->timed);
    list_init(&t->busy);
    list_init(&t->dirty);
    list_init(&t->looked);
    list_init(&t->pendings);
    list_init(&t->corpses);
    int rc = place_open(t);
    if (rc == 0) rc = events_open(t);
    if (rc < 0) {
        tcp_close(base);
        return rc;
    }
    base->caps = (struct transport_caps){
        .eager_max = TCP_EAGER_MAX,
        .copy_max = TCP_EAGER_MAX,
        .begin_max = TCP_BEGIN,
        .put_ordered = true,
        .holds = true,
        .expects = true,
        .lends = true,
        .lands = true,
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

/* From here on nothing lands: a fragment that is half in goes nowhere, as its place is looked up
 * for every piece. What is going out from, or to, this region must have left first. */
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
    switch (source->kind) {
    case SOURCE_LISTENER: pending_accept(t); break;
    case SOURCE_PENDING: pending_event(t, (struct pending *)source); break;
    case SOURCE_LINK: link_work(LIST_OWNER(source, struct tcp_link, source)); break;
    case SOURCE_TIMER: timer_clear(&t->timer); break;
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

/* Who reads a socket again and again needs no event of it, and each costs its sender time; one link
 * at a time. It is heard again when another is waited for, or none, and before anybody sleeps. */
static void tcp_hush(struct tcp *t, struct tcp_link *l)
{
    struct tcp_link *before = t->hushed;
    if (l && (l->state != LINK_UP || l->line != LINE_OPEN)) l = NULL;
    if (before == l) return;
    t->hushed = l;
    if (before && before->state < LINK_ENDING) link_watch(before);
    if (l) link_watch(l);
}

static void tcp_move(struct tcp *t, struct link *l, bool others)
{
    if (l) {
        tcp_await(t, tcp_link_of(l));
        link_work(tcp_link_of(l));
    }
    if (!list_empty(&t->ready)) tcp_ready(t);
    if (t->pending_waits) pending_finish_waiting(t);
    if (others) tcp_hush(t, l ? tcp_link_of(l) : NULL);
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
    t->took = NULL;
    t->moved = t->has_ended_one = false;
    t->in_progress = true;
    bool see_others = ++t->ticks % OTHERS_EVERY == 0;
    if (!list_empty(&t->dirty)) tcp_push(t);
    if (l && t->budget < TRANSPORT_UPCALLS_MAX) l->expect = NULL;
    if (t->budget == TRANSPORT_UPCALLS_MAX || see_others) tcp_move(t, l, see_others || !l);
    t->in_progress = false;
    int upcalls = TRANSPORT_UPCALLS_MAX - t->budget;
    /* Parts of a put are no upcalls, but whoever waits must not take them for idleness. */
    return upcalls > 0 ? upcalls : t->moved;
}

/* Every look may be a system call, and none is for others: who waits so does not wait long. */
static int tcp_peek(struct link *base, struct peeked *m)
{
    struct tcp_link *l = tcp_link_of(base);
    struct tcp *t = tcp_under(l);
    if (l->state != LINK_UP || l->line != LINE_OPEN) return TRANSPORT_NOT_THIS;
    int status = stream_peek(l, m);
    if (status == TRANSPORT_NOTHING && ++t->peeks % OTHERS_EVERY == 0) {
        tcp_await(t, l);
        tcp_hush(t, l);
    }
    return status;
}

static void tcp_drop(struct link *base)
{
    stream_drop(tcp_link_of(base));
}

static int64_t tcp_wakes_at(struct tcp *t)
{
    if (!list_empty(&t->looked) && !t->look_at) tcp_look(t, tcp_now(t));
    return t->look_at && t->look_at < t->due ? t->look_at : t->due;
}

static int tcp_arm(struct transport *base)
{
    struct tcp *t = tcp_of(base);
    tcp_hush(t, NULL);
    if (!list_empty(&t->ready) || !list_empty(&t->dirty) || t->pending_waits) return 1;
    return timer_set(&t->timer, tcp_wakes_at(t), tcp_now(t));
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
    .allow = stub_allow,
    .send_short = stub_send_short,
    .take_short = stub_take_short,
    .peek = tcp_peek,
    .drop = tcp_drop,
    .rma = tcp_rma,
    .flush = tcp_flush,
    .reg = tcp_reg,
    .dereg = tcp_dereg,
    .progress = tcp_progress,
    .arm = tcp_arm,
};
