/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wireup.c - how two transports find each other: the listening socket, attempts, crossings,
 * witnesses
 *
 * One packet each way makes a link. Of two attempts that cross, the lower rank's survives: the
 * lower one refuses the other's HELLO as crossed, the higher one takes the lower's into its own
 * link. A peer that comes back while its older link is still ending here waits for that.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/config.h"
#include "base/wire.h"
#include "transport/shm/link.h"

/* What an event is about: in the low bits of its datum, above them a link or an index. */
enum watched { WATCH_WAKE, WATCH_TIMER, WATCH_LISTENER, WATCH_PENDING, WATCH_SOCKET, WATCH_PIDFD };
enum { WATCH_BITS = 7, WIREUP_EVENTS = 16 };

static int watch(struct shm_transport *t, int fd, enum watched what, uint64_t which)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = which | what };
    return epoll_ctl(t->base.fd, EPOLL_CTL_ADD, fd, &event);
}

static int watch_link(struct shm_link *l, int fd, enum watched what)
{
    if (watch(shm_of_link(l), fd, what, (uint64_t)(uintptr_t)l) == 0) return 0;
    return why_set(&l->base.why, SINEW_EIO, "epoll_ctl: %s", strerror(errno));
}

/* Named, not left to close(): a forked child or the peer may hold the same open file. */
void wireup_unwatch(struct shm_transport *t, int fd)
{
    if (fd >= 0) epoll_ctl(t->base.fd, EPOLL_CTL_DEL, fd, NULL);
}

void wireup_drop(struct shm_transport *t, int *fd)
{
    if (*fd < 0) return;
    wireup_unwatch(t, *fd);
    shutdown(*fd, SHUT_RDWR); /* a forked child's copy shall not keep it open; no socket: no harm */
    close(*fd);
    *fd = -1;
}

static int64_t setup_ns(const struct shm_transport *t)
{
    return t->base.opt.config ? t->base.opt.config->setup_deadline : 30 * CONFIG_SECOND;
}

static struct hello wireup_hello(const struct shm_transport *t, enum hello_kind kind, int to,
                                 uint64_t name)
{
    const struct transport_options *o = &t->base.opt;
    return (struct hello){
        .kind = (uint8_t)kind,
        .flags = (uint8_t)((t->membarrier ? HELLO_MEMBARRIER : 0) |
                           (kind != HELLO_REFUSE ? HELLO_PIDFD : 0)),
        .size = (uint32_t)o->size,
        .from = (uint32_t)o->rank,
        .to = (uint32_t)to,
        .segment = (uint32_t)segment_bytes(),
        .epoch = o->epoch,
        .name = name,
        .self = (uint64_t)(uintptr_t)&o->epoch,
    };
}

/* Encode with a fresh nonce. */
static int wireup_encode(const struct shm_transport *t, struct hello *hello,
                         const struct hello_packet *to, struct hello_packet *out, struct why *why)
{
    const struct transport_options *o = &t->base.opt;
    int status = o->world->random(o->world->arg, hello->nonce, sizeof(hello->nonce));
    if (status < 0) return why_set(why, status, "no random bytes");
    hello_encode(out, hello, o->secret, to);
    return 0;
}

/* --- the side that connects ------------------------------------------------------------------- */

static void attempt_fail(struct shm_link *l, int status)
{
    why_wrap(&l->base.why, 0, "connecting to rank %d over shared memory", l->base.rank);
    link_abandon(l);
    shm_link_end(l, status, GONE_BROKEN, false);
}

static void attempt_later(struct shm_link *l, enum shm_state state, int64_t delay_ns)
{
    link_abandon(l);
    int64_t now = shm_now(shm_of_link(l));
    l->state = (uint8_t)state;
    l->retry_at = now + delay_ns;
    if (l->deadline == INT64_MAX) l->deadline = now + setup_ns(shm_of_link(l));
}

/* It dropped us unheard, or is gone: the next attempt tells. */
static void attempt_dropped(struct shm_link *l)
{
    struct shm_transport *t = shm_of_link(l);
    int64_t now = shm_now(t);
    if (!l->dropped_at) l->dropped_at = now;
    if (now - l->dropped_at < setup_ns(t)) {
        attempt_later(l, SHM_TRYING, SHM_RETRY_NS);
        return;
    }
    why_set(&l->base.why, 0,
            "it closed each attempt unheard for the whole setup deadline: does one of the two run "
            "as another user than it began?");
    attempt_fail(l, SINEW_ETIMEDOUT);
}

/* A connected socket to the peer's: 0, > 0 try again, < 0. */
static int attempt_socket(struct shm_link *l)
{
    struct shm_transport *t = shm_of_link(l);
    struct why *why = &l->base.why;
    struct sockaddr_un address;
    socklen_t len = host_socket_address(l->peer_name, &address);
    l->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->socket < 0)
        return why_set(why, errno == EMFILE || errno == ENFILE ? SINEW_ELIMIT : SINEW_EIO,
                       "socket: %s", strerror(errno));
    if (connect(l->socket, (struct sockaddr *)&address, len) < 0) {
        if (errno == EAGAIN || errno == EINTR) return SINEW_PENDING; /* its queue is full */
        int status = errno == ECONNREFUSED ? SINEW_EPEER : SINEW_EIO;
        return why_set(why, status, "nobody listens at @%s: %s", address.sun_path + 1,
                       strerror(errno));
    }
    return host_socket_peer(l->socket, t->self.user, &l->pid, why);
}

/* HELLO with everything the peer needs, in one packet. */
static int attempt_hello(struct shm_link *l)
{
    struct shm_transport *t = shm_of_link(l);
    struct hello hello = wireup_hello(t, HELLO_HELLO, l->base.rank, l->peer_name);
    l->memory = segment_create(&l->base.why);
    if (l->memory < 0) return l->memory;
    int status = link_map(l, l->memory);
    if (status < 0) return status;
    status = wireup_encode(t, &hello, NULL, &l->hello, &l->base.why);
    if (status < 0) return status;
    int descriptors[] = { l->memory, t->wake, t->pidfd };
    return hello_send(l->socket, &l->hello, descriptors, 3, &l->base.why);
}

static void attempt(struct shm_link *l)
{
    l->retry_at = 0;
    int status = attempt_socket(l);
    if (status == 0 && (status = attempt_hello(l)) == SINEW_EPEER) {
        attempt_dropped(l);
        return;
    }
    if (status == 0) status = watch_link(l, l->socket, WATCH_SOCKET);
    if (status == 0) {
        l->state = SHM_ASKED;
        l->deadline = INT64_MAX; /* its kernel has answered; its process may take its time */
    } else if (status > 0) {
        attempt_later(l, SHM_TRYING, SHM_RETRY_NS);
    } else {
        attempt_fail(l, status);
    }
}

int shm_connect(struct link *base, const void *bytes, size_t len)
{
    struct shm_link *l = (struct shm_link *)base;
    struct shm_transport *t = shm_of_link(l);
    struct host_address peer;
    if (l->state != SHM_IDLE)
        return why_set(&base->why, SINEW_ESTATE, "shared memory needs no more than an address");
    link_init(l);
    t->connecting++;
    l->state = SHM_TRYING;
    l->deadline = shm_now(t) + setup_ns(t);
    int status = host_address_decode(bytes, len, &peer, &base->why);
    if (status == 0) status = host_reach(&t->self, &peer, &base->why);
    if (status == 0 && peer.name == t->self.name)
        status = why_set(&base->why, SINEW_EINVAL, "a transport does not connect to itself");
    if (status < 0) {
        attempt_fail(l, status);
        return 0;
    }
    l->peer_name = peer.name;
    attempt(l);
    shm_look_soon(t);
    return 0;
}

/* --- both sides ------------------------------------------------------------------------------- */

static void close_all(int *descriptors, int n)
{
    for (int i = 0; i < n; i++) close(descriptors[i]);
}

/* Eventfd and pidfd are what they should be. */
static int check_witnesses(const int *descriptors, int n, uint8_t flags, pid_t pid,
                           struct why *why)
{
    if (n != 2 || !(flags & HELLO_PIDFD))
        return why_set(why, SINEW_EPROTO, "no eventfd or no pidfd came");
    if (!host_is_eventfd(descriptors[0]))
        return why_set(why, SINEW_EPROTO, "a descriptor that is not an eventfd came as one");
    if (!host_is_pidfd_of(descriptors[1], pid))
        return why_set(why, SINEW_EPROTO, "a descriptor that is not the peer's pidfd came as one");
    return 0;
}

/* The link is made: take over the witnesses, tell messaging. `hello` is the peer's. */
static int link_is_made(struct shm_link *l, const int *witnesses, const struct hello *hello)
{
    struct shm_transport *t = shm_of_link(l);
    int status = 0;
    l->peer_wake = witnesses[0];
    l->pidfd = witnesses[1];
    if (l->pid == t->pid) {
        close(l->pidfd); /* ranks as threads: the end of the process is nothing to wait for */
        l->pidfd = -1;
    }
    if (l->pidfd >= 0) status = watch_link(l, l->pidfd, WATCH_PIDFD);
    if (status < 0) {
        shm_link_end(l, status, GONE_BROKEN, false);
        return 0;
    }
    l->base.epoch = hello->epoch;
    read_probe(l, hello->self, hello->epoch);
    t->base.up->up(&l->base);
    return 1;
}

/* --- the answer ------------------------------------------------------------------------------- */

static int accept_check(struct shm_link *l, const struct hello *answer, struct why *why)
{
    const struct shm_transport *t = shm_of_link(l);
    if (answer->kind != HELLO_ACCEPT || answer->from != (uint32_t)l->base.rank ||
        answer->to != (uint32_t)t->base.opt.rank || answer->size != (uint32_t)t->base.opt.size)
        return why_set(why, SINEW_EPROTO, "the answer is not from rank %d of this job",
                       l->base.rank);
    if (l->base.epoch != 0 && answer->epoch != l->base.epoch)
        return why_set(why, SINEW_EPEER, "another incarnation of rank %d answers", l->base.rank);
    return 0;
}

/* What may come in a refusal, and what it means. */
static int refusal_status(uint32_t sent, struct why *why)
{
    int status = (int)sent;
    switch (status) {
    case SINEW_EAUTH: return why_set(why, status, "it refused our proof: the job secrets differ");
    case SINEW_EVERSION: return why_set(why, status, "it speaks another version");
    case SINEW_ENOMEM:
    case SINEW_ELIMIT: return why_set(why, status, "it has no memory or descriptors left");
    case SINEW_EPEER: return why_set(why, status, "it takes no link from us: it is closing");
    default: return why_set(why, SINEW_EPROTO, "it refused (%d)", status);
    }
}

static int link_accepted(struct shm_link *l, const struct hello *answer, int *descriptors, int n)
{
    struct shm_transport *t = shm_of_link(l);
    struct why *why = &l->base.why;
    int status = accept_check(l, answer, why);
    bool replaced = status == SINEW_EPEER;
    if (status == 0) status = check_witnesses(descriptors, n, answer->flags, l->pid, why);
    if (status == 0) status = segment_seal(l->memory, why);
    if (status < 0) {
        close_all(descriptors, n);
        if (replaced)
            shm_link_end(l, status, GONE_DIED, false);
        else
            attempt_fail(l, status);
        return 0;
    }
    t->connecting--;
    link_open(l, 0, t->membarrier && (answer->flags & HELLO_MEMBARRIER));
    close(l->memory);
    l->memory = -1;
    return link_is_made(l, descriptors, answer);
}

static int link_answered(struct shm_link *l)
{
    struct hello_packet packet;
    struct hello answer;
    int descriptors[HELLO_DESCRIPTORS], n = 0;
    int status = hello_receive(l->socket, &packet, descriptors, &n, &l->base.why);
    if (status > 0) return 0;
    if (status == SINEW_EPEER) {
        attempt_dropped(l);
        return 0;
    }
    l->dropped_at = 0;
    if (status == 0)
        status = hello_decode(&packet, shm_of_link(l)->base.opt.secret, &l->hello, &answer,
                              &l->base.why);
    if (status == 0 && answer.kind == HELLO_ACCEPT)
        return link_accepted(l, &answer, descriptors, n);
    close_all(descriptors, n);
    if (status == 0 && (answer.flags & HELLO_CROSSED)) {
        attempt_later(l, SHM_YIELDED, 50 * SHM_RETRY_NS);
        return 0;
    }
    if (status == 0) status = refusal_status(answer.segment, &l->base.why);
    attempt_fail(l, status);
    return 0;
}

/* Nothing but its end, and memory that was asked for, may come on the socket of a link that is
 * up. */
static void link_heard(struct shm_link *l)
{
    int status = share_heard(l);
    if (status >= 0) return;
    if (status == SINEW_EPEER) {
        link_socket_ended(l);
        return;
    }
    why_set(&l->base.why, 0, "rank %d wrote to a socket that has nothing to carry but memory that "
            "was asked for", l->base.rank);
    shm_link_end(l, SINEW_EPROTO, GONE_BROKEN, false);
}

/* --- the side that accepts -------------------------------------------------------------------- */

static void pending_free(struct shm_transport *t, struct shm_pending *p)
{
    if (p->has_hello) t->deferred--;
    close_all(p->descriptors, p->n);
    wireup_drop(t, &p->socket);
    *p = (struct shm_pending){ .socket = -1 };
}

/* Whoever knocks on and on must not fill the log. */
static void refusal_log(struct shm_transport *t, const struct why *why)
{
    int64_t now = shm_now(t);
    t->refused_since++;
    if (t->refused_at && now - t->refused_at < SHM_REFUSED_NS) return;
    if (t->refused_since > 1)
        log_line(t->base.opt.log, LOG_WARNING,
                 "shm: %" PRIu64 " connections were refused since the last such line; the last: %s",
                 t->refused_since, why->text);
    else
        log_line(t->base.opt.log, LOG_WARNING, "shm: a connection was refused: %s", why->text);
    t->refused_at = now;
    t->refused_since = 0;
}

static void pending_answer_no(struct shm_transport *t, const struct shm_pending *p, int socket,
                              int status, uint8_t flags)
{
    struct hello hello = wireup_hello(t, HELLO_REFUSE, (int)p->hello.from, p->hello.name);
    struct hello_packet packet;
    struct why ignored;
    hello.segment = (uint32_t)status;
    hello.flags = flags;
    hello_encode(&packet, &hello, NULL, NULL);
    hello_send(socket, &packet, NULL, 0, &ignored);
}

static void pending_refuse(struct shm_transport *t, struct shm_pending *p, int status,
                           uint8_t flags, const struct why *why)
{
    if (!(flags & HELLO_CROSSED)) refusal_log(t, why);
    pending_answer_no(t, p, p->socket, status, flags);
    pending_free(t, p);
}

static int pending_check(struct shm_transport *t, struct shm_pending *p, struct why *why)
{
    const struct transport_options *o = &t->base.opt;
    const struct hello *h = &p->hello;
    if (h->kind != HELLO_HELLO || h->to != (uint32_t)o->rank || h->name != t->self.name ||
        h->size != (uint32_t)o->size || h->from >= h->size || h->from == h->to || h->epoch == 0)
        return why_set(why, SINEW_EPROTO, "a HELLO for another rank or job");
    if (h->segment != segment_bytes() || p->n < 1)
        return why_set(why, SINEW_EPROTO, "a HELLO with a segment of %" PRIu32 " bytes, not %zu",
                       h->segment, segment_bytes());
    int status = segment_check(p->descriptors[0], why);
    if (status < 0) return status;
    return check_witnesses(p->descriptors + 1, p->n - 1, h->flags, p->pid, why);
}

/* Map and answer. 0, or < 0 with l->why. */
static int pending_open(struct shm_pending *p, struct shm_link *l)
{
    struct shm_transport *t = shm_of_link(l);
    struct hello hello = wireup_hello(t, HELLO_ACCEPT, l->base.rank, p->hello.name);
    struct hello_packet packet;
    int status = wireup_encode(t, &hello, &p->packet, &packet, &l->base.why);
    if (status < 0) return status;
    wireup_unwatch(t, p->socket);
    l->pid = p->pid;
    l->socket = p->socket;
    p->socket = -1;
    status = link_map(l, p->descriptors[0]);
    if (status == 0) status = segment_seal(p->descriptors[0], &l->base.why);
    if (status < 0) return status;
    link_open(l, 1, t->membarrier && (p->hello.flags & HELLO_MEMBARRIER));
    int descriptors[] = { t->wake, t->pidfd };
    status = hello_send(l->socket, &packet, descriptors, 2, &l->base.why);
    if (status > 0) status = why_set(&l->base.why, SINEW_EIO, "the socket takes no answer");
    return status == 0 ? watch_link(l, l->socket, WATCH_SOCKET) : status;
}

/* The incoming attempt becomes l. Upcalls made. */
static int pending_adopt(struct shm_pending *p, struct shm_link *l)
{
    struct shm_transport *t = shm_of_link(l);
    bool was_trying = l->state != SHM_IDLE;
    int upcalls = 0;
    if (was_trying) {
        link_abandon(l);
        l->state = SHM_IDLE; /* its own attempt is over */
        l->retry_at = l->deadline = 0;
        t->connecting--;
    }
    int status = pending_open(p, l);
    if (status < 0) {
        /* Unless it was told yes already: else it would try again, and again. */
        if (!l->rx.ring)
            pending_answer_no(t, p, l->socket >= 0 ? l->socket : p->socket, status, 0);
        shm_link_end(l, status, GONE_BROKEN, false);
    } else {
        int witnesses[] = { p->descriptors[1], p->descriptors[2] };
        close(p->descriptors[0]);
        p->n = 0;
        upcalls = link_is_made(l, witnesses, &p->hello);
    }
    pending_free(t, p);
    return upcalls;
}

static struct shm_link *link_of_rank(struct shm_transport *t, int rank)
{
    for (struct list *e = t->links.next; e != &t->links; e = e->next) {
        struct shm_link *l = LIST_OWNER(e, struct shm_link, of_transport);
        if (l->base.rank == rank) return l;
    }
    return NULL;
}

/* A peer with a link that is up comes again. True: that link is over, and the newcomer waits. */
static bool link_is_superseded(struct shm_link *l, uint64_t epoch)
{
    uint8_t byte;
    if (l->base.epoch != epoch) {
        why_set(&l->base.why, 0, "another incarnation of rank %d took its place", l->base.rank);
        shm_link_end(l, SINEW_EPEER, GONE_DIED, true);
        return true;
    }
    if (l->peer_left) return true;
    if (recv(l->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0) return false;
    why_set(&l->base.why, 0, "rank %d closed its end without a goodbye", l->base.rank);
    shm_link_end(l, SINEW_EPEER, GONE_BROKEN, true);
    return true;
}

/* What becomes of an authenticated HELLO. Upcalls made. */
static int pending_settle(struct shm_transport *t, struct shm_pending *p)
{
    struct why why = { "" };
    uint8_t byte;
    int rank = (int)p->hello.from;
    struct shm_link *l = link_of_rank(t, rank);
    if (recv(p->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) { /* given up by its sender */
        pending_free(t, p);
        return 0;
    }
    if (!l) {
        l = (struct shm_link *)t->base.up->link(&t->base, rank, p->hello.epoch);
        if (!l) {
            why_set(&why, 0, "messaging takes no link from rank %d", rank);
            pending_refuse(t, p, SINEW_EPEER, 0, &why);
            return 1;
        }
        link_init(l);
        return 1 + pending_adopt(p, l);
    }
    if (l->state >= SHM_DRAINING) return 0;
    if (l->state == SHM_UP && link_is_superseded(l, p->hello.epoch)) return 0;
    if (l->state == SHM_UP || rank > t->base.opt.rank) {
        pending_refuse(t, p, 0, HELLO_CROSSED, &why);
        return 0;
    }
    if (l->base.epoch == 0 || l->base.epoch == p->hello.epoch) return pending_adopt(p, l);
    why_set(&l->base.why, 0, "another incarnation of rank %d took its place", rank);
    shm_link_end(l, SINEW_EPEER, GONE_DIED, false);
    return 0;
}

static int pending_heard(struct shm_transport *t, struct shm_pending *p)
{
    struct why why = { "" };
    if (p->has_hello) { /* its end, or more than it may say */
        pending_free(t, p);
        return 0;
    }
    int status = hello_receive(p->socket, &p->packet, p->descriptors, &p->n, &why);
    if (status > 0) return 0;
    if (status == SINEW_EPEER) {
        pending_free(t, p);
        return 0;
    }
    if (status == 0)
        status = hello_decode(&p->packet, t->base.opt.secret, NULL, &p->hello, &why);
    if (status == 0) status = pending_check(t, p, &why);
    if (status < 0) {
        pending_refuse(t, p, status, 0, &why);
        return 0;
    }
    p->has_hello = true;
    t->deferred++;
    p->deadline = shm_now(t) + setup_ns(t);
    return pending_settle(t, p);
}

/* A free place, made by dropping who has been silent longest: he may try again. */
static struct shm_pending *pending_place(struct shm_transport *t)
{
    struct shm_pending *oldest = &t->pending[0];
    for (int i = 0; i < SHM_PENDING_MAX; i++) {
        struct shm_pending *p = &t->pending[i];
        if (p->socket < 0) return p;
        if (p->deadline < oldest->deadline) oldest = p;
    }
    pending_free(t, oldest);
    return oldest;
}

static void listener_pause(struct shm_transport *t, bool pause)
{
    struct epoll_event event = { .events = pause ? 0 : EPOLLIN, .data.u64 = WATCH_LISTENER };
    epoll_ctl(t->base.fd, EPOLL_CTL_MOD, t->listener, &event);
    t->accept_at = pause ? shm_now(t) + 10 * SHM_RETRY_NS : 0;
}

/* One connection: its HELLO is usually there already. Upcalls made. */
static int wireup_accept(struct shm_transport *t)
{
    struct why why = { "" };
    pid_t pid;
    int fd = accept4(t->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            listener_pause(t, true);
        return 0;
    }
    if (host_socket_peer(fd, t->self.user, &pid, &why) < 0) {
        refusal_log(t, &why);
        close(fd);
        return 0;
    }
    struct shm_pending *p = pending_place(t);
    *p = (struct shm_pending){ .socket = fd, .pid = pid,
                               .deadline = shm_now(t) + SHM_HELLO_NS };
    if (watch(t, fd, WATCH_PENDING, (uint64_t)(p - t->pending) << 3) < 0) {
        pending_free(t, p);
        return 0;
    }
    return pending_heard(t, p);
}

/* --- events and time -------------------------------------------------------------------------- */

static int wireup_event(struct shm_transport *t, uint64_t datum)
{
    enum watched what = (enum watched)(datum & WATCH_BITS);
    struct shm_link *l = (struct shm_link *)(uintptr_t)(datum & ~(uint64_t)WATCH_BITS);
    uint64_t count;
    ssize_t ignored;
    switch (what) {
    case WATCH_WAKE:
    case WATCH_TIMER:
        ignored = read(what == WATCH_WAKE ? t->wake : t->timer, &count, sizeof(count));
        (void)ignored;
        return 0;
    case WATCH_LISTENER: return wireup_accept(t);
    case WATCH_PENDING: {
        struct shm_pending *p = &t->pending[datum >> 3];
        return p->socket >= 0 ? pending_heard(t, p) : 0;
    }
    case WATCH_SOCKET:
        if (l->state == SHM_ASKED) return link_answered(l);
        if (l->state == SHM_UP || l->state == SHM_DRAINING) link_heard(l);
        return 0;
    case WATCH_PIDFD:
        wireup_unwatch(t, l->pidfd);
        if (l->state == SHM_UP || l->state == SHM_DRAINING) link_process_ended(l);
        return 0;
    }
    return 0;
}

/* When l needs to be looked at for time's sake; INT64_MAX: never. */
static int64_t link_due(const struct shm_link *l)
{
    int64_t due = INT64_MAX;
    if (l->state >= SHM_TRYING && l->state <= SHM_YIELDED) {
        due = l->deadline;
        if (l->retry_at && l->retry_at < due) due = l->retry_at;
    } else if (l->state == SHM_UP || l->state == SHM_DRAINING) {
        if (l->grace_until) due = l->grace_until;
    }
    return due;
}

static void link_time_passed(struct shm_link *l, int64_t now)
{
    if (l->state == SHM_UP || l->state == SHM_DRAINING) {
        shm_link_end(l, SINEW_EPEER, GONE_BROKEN, true); /* the text was set at its end */
    } else if (now >= l->deadline) {
        why_set(&l->base.why, 0, "it could not be asked within the setup deadline: too many wait before us");
        attempt_fail(l, SINEW_ETIMEDOUT);
    } else {
        attempt(l);
    }
}

static void wireup_expire(struct shm_transport *t)
{
    int64_t now = shm_now(t);
    if (t->accept_at && now >= t->accept_at) listener_pause(t, false);
    for (struct list *e = t->links.next, *next; e != &t->links; e = next) {
        struct shm_link *l = LIST_OWNER(e, struct shm_link, of_transport);
        next = e->next;
        if (link_due(l) <= now) link_time_passed(l, now);
    }
    for (int i = 0; i < SHM_PENDING_MAX; i++) {
        struct shm_pending *p = &t->pending[i];
        if (p->socket >= 0 && p->deadline <= now) pending_free(t, p);
    }
}

/* Those that waited for an older link to go down. Upcalls made. */
static int wireup_settle(struct shm_transport *t, int budget)
{
    int upcalls = 0;
    t->settles = false;
    for (int i = 0; t->deferred > 0 && i < SHM_PENDING_MAX; i++) {
        if (!t->pending[i].has_hello) continue;
        if (budget - upcalls < 2) {
            t->settles = true;
            break;
        }
        upcalls += pending_settle(t, &t->pending[i]);
    }
    return upcalls;
}

int wireup_look(struct shm_transport *t, int *budget)
{
    struct epoll_event events[WIREUP_EVENTS];
    int upcalls = 0;
    int n = epoll_wait(t->base.fd, events, WIREUP_EVENTS, 0);
    for (int i = 0; i < n && *budget - upcalls >= 2; i++)
        upcalls += wireup_event(t, events[i].data.u64);
    if (t->settles) upcalls += wireup_settle(t, *budget - upcalls);
    wireup_expire(t);
    *budget -= upcalls;
    return upcalls;
}

void wireup_set_timer(struct shm_transport *t)
{
    int64_t due = t->accept_at ? t->accept_at : INT64_MAX, now = shm_now(t);
    for (struct list *e = t->links.next; e != &t->links; e = e->next) {
        int64_t at = link_due(LIST_OWNER(e, struct shm_link, of_transport));
        if (at < due) due = at;
    }
    for (int i = 0; i < SHM_PENDING_MAX; i++)
        if (t->pending[i].socket >= 0 && t->pending[i].deadline < due) due = t->pending[i].deadline;
    struct itimerspec when = { 0 };
    if (due != INT64_MAX) {
        int64_t left = due > now ? due - now : 1;
        when.it_value.tv_sec = left / CONFIG_SECOND;
        when.it_value.tv_nsec = left % CONFIG_SECOND;
    }
    timerfd_settime(t->timer, 0, &when, NULL);
}

/* --- open and close --------------------------------------------------------------------------- */

static int wireup_status(void)
{
    return errno == EMFILE || errno == ENFILE ? SINEW_ELIMIT : SINEW_EIO;
}

static int wireup_listen(struct shm_transport *t)
{
    struct sockaddr_un address;
    socklen_t len = host_socket_address(t->self.name, &address);
    t->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->listener >= 0 && bind(t->listener, (struct sockaddr *)&address, len) == 0 &&
        listen(t->listener, SOMAXCONN) == 0)
        return 0;
    return why_set(&t->base.why, wireup_status(), "to listen at the abstract UNIX socket @%s: %s%s",
                   address.sun_path + 1, strerror(errno),
                   errno == EADDRINUSE ? "; somebody else holds that name" : "");
}

static int wireup_watch_all(struct shm_transport *t)
{
    if (t->base.fd >= 0 && t->wake >= 0 && t->timer >= 0 && watch(t, t->wake, WATCH_WAKE, 0) == 0 &&
        watch(t, t->timer, WATCH_TIMER, 0) == 0 && watch(t, t->listener, WATCH_LISTENER, 0) == 0)
        return 0;
    return why_set(&t->base.why, wireup_status(), "the descriptors to sleep on: %s",
                   strerror(errno));
}

int wireup_open(struct shm_transport *t)
{
    t->listener = t->wake = t->timer = -1;
    for (int i = 0; i < SHM_PENDING_MAX; i++) t->pending[i].socket = -1;
    t->base.fd = epoll_create1(EPOLL_CLOEXEC);
    t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int status = wireup_listen(t);
    if (status == 0) status = wireup_watch_all(t);
    if (status < 0) wireup_close(t);
    return status;
}

void wireup_close(struct shm_transport *t)
{
    int *fds[] = { &t->wake, &t->timer, &t->pidfd, &t->base.fd };
    for (int i = 0; i < SHM_PENDING_MAX; i++)
        if (t->pending[i].socket >= 0) pending_free(t, &t->pending[i]);
    wireup_drop(t, &t->listener);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0) close(*fds[i]);
        *fds[i] = -1;
    }
}
