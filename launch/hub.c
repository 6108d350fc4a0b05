/* SPDX-License-Identifier: BSD-3-Clause */
#include "launch/hub.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* --- guests ----------------------------------------------------------------------------------- */

static void guest_free(struct guest *g)
{
    struct hub *h = g->hub;
    list_remove(&g->entry);
    h->guest_count--;
    if (g->fd >= 0) {
        node_unwatch(h->node, g->fd);
        close(g->fd);
    }
    if (g->peer) {
        if (g->proven) {
            node_unwatch(h->node, g->peer->channel.fd);
            channel_close(&g->peer->channel);
        }
        world_release(h->world, g->peer, sizeof(*g->peer));
    }
    explicit_bzero(&g->handshake, sizeof(g->handshake));
    world_release(h->world, g, sizeof(*g));
}

static void guest_refuse(struct guest *g, const char *why)
{
    struct hub *h = g->hub;
    if (h->refused) h->refused(h->arg, g->from, why);
    why_set(&h->why, SINEW_ELAUNCH, "%s was refused: %s", g->from, why);
    guest_free(g);
}

/* A few hundred bytes into an empty socket buffer: what does not fit at once is a peer that plays
 * games. */
static void guest_send(struct guest *g)
{
    const void *bytes;
    size_t len = handshake_output(&g->handshake, &bytes);
    ssize_t n = len > 0 ? send(g->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (n > 0) handshake_sent(&g->handshake, (size_t)n);
}

static void guest_prove(struct guest *g)
{
    uint8_t bytes[HANDSHAKE_BUFFER];
    ssize_t n = recv(g->fd, bytes, handshake_wants(&g->handshake), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        guest_refuse(g, "it went away during the handshake, as one with another secret does");
        return;
    }
    int rc = handshake_input(&g->handshake, bytes, (size_t)n);
    guest_send(g);
    if (rc > 0) return;
    if (rc < 0) {
        struct why why = g->handshake.why;
        guest_refuse(g, why.text);
        return;
    }
    g->proven = true;
    channel_init(&g->peer->channel, g->hub->world, g->fd, LAUNCH_OUT_LIMIT);
    g->fd = -1;
}

static int join_check(const struct guest *g, const struct join *join, struct why *why)
{
    const struct hub *h = g->hub;
    if (join->size != h->node->size)
        return why_set(why, SINEW_EINVAL, "a job of %d ranks was started here, of %d there",
                       h->node->size, join->size);
    if (join->first != g->handshake.peer.rank)
        return why_set(why, SINEW_EPROTO, "it proved to be rank %d and joins as rank %d",
                       g->handshake.peer.rank, join->first);
    for (int rank = join->first; rank < join->first + join->count; rank++)
        if (h->taken[rank])
            return why_set(why, SINEW_EINVAL, "rank %d is taken: two shares of the job overlap",
                           rank);
    return 0;
}

static void hub_take(struct hub *h, int first, int count)
{
    memset(h->taken + first, 1, (size_t)count);
    h->taken_count += count;
}

/* Nobody else is to come: attempts end here. */
static void hub_stop_listening(struct hub *h)
{
    while (!list_empty(&h->guests)) guest_free(LIST_OWNER(h->guests.next, struct guest, entry));
    int *fds[] = { &h->fd, &h->rest.fd };
    for (int i = 0; i < 2; i++) {
        if (*fds[i] >= 0) {
            node_unwatch(h->node, *fds[i]);
            close(*fds[i]);
        }
        *fds[i] = -1;
    }
}

static void guest_accept(struct guest *g, const struct join *join)
{
    struct hub *h = g->hub;
    struct node_peer *peer = g->peer;
    struct welcome welcome = { .rank = join->first, .size = join->size, .ends = h->ends };
    uint8_t payload[LAUNCH_PAYLOAD_MAX];
    hub_take(h, join->first, join->count);
    h->members++;
    peer->first = join->first;
    peer->count = join->count;
    channel_send(&peer->channel, LAUNCH_WELCOME, payload, welcome_encode(&welcome, payload));
    g->peer = NULL;
    guest_free(g);
    if (h->taken_count == h->node->size) hub_stop_listening(h);
    node_attach(h->node, peer);
}

static void guest_join(struct guest *g)
{
    struct channel *s = &g->peer->channel;
    struct frame frame;
    const uint8_t *payload;
    struct join join;
    struct why why = { "" };
    int rc = channel_receive(s, &frame, &payload);
    if (rc == 0) return;
    if (rc < 0) {
        guest_refuse(g, "it went away without joining");
        return;
    }
    rc = frame.kind == LAUNCH_JOIN ? join_decode(&join, payload, frame.length, &why)
                                   : why_set(&why, SINEW_EPROTO, "it does not begin with joining");
    if (rc == 0) rc = join_check(g, &join, &why);
    if (rc == 0) {
        guest_accept(g, &join);
        return;
    }
    channel_send(s, LAUNCH_REFUSE, why.text, strlen(why.text));
    guest_refuse(g, why.text);
}

static void guest_ready(struct watch *w)
{
    struct guest *g = (struct guest *)w;
    if (g->proven)
        guest_join(g);
    else
        guest_prove(g);
}

/* --- listening -------------------------------------------------------------------------------- */

/* Guests are in the order they came. */
static bool hub_has_place(struct hub *h)
{
    if (h->guest_count < HUB_GUESTS) return true;
    struct guest *oldest = LIST_OWNER(h->guests.next, struct guest, entry);
    if (world_now(h->world) - oldest->since_ns < HUB_PATIENCE_NS) return false;
    guest_refuse(oldest, "it did not prove itself in time");
    return true;
}

static struct guest *guest_new(struct hub *h, int fd)
{
    struct handshake_identity me = {
        .rank = 0, .size = h->node->size, .epoch = h->epoch, .purpose = HANDSHAKE_LAUNCH
    };
    struct guest *g = world_allocate(h->world, sizeof(*g));
    struct node_peer *peer = world_allocate(h->world, sizeof(*peer));
    if (g && peer &&
        handshake_begin(&g->handshake, HANDSHAKE_SERVER, h->world, h->secret, &me, -1, 0) == 0) {
        g->watch.ready = guest_ready;
        g->hub = h;
        g->fd = fd;
        g->peer = peer;
        g->since_ns = world_now(h->world);
        return g;
    }
    world_release(h->world, peer, sizeof(*peer));
    world_release(h->world, g, sizeof(*g));
    return NULL;
}

static void hub_rest(struct hub *h, int error)
{
    static const struct itimerspec soon = { .it_value = { .tv_nsec = HUB_REST_NS } };
    node_unwatch(h->node, h->fd);
    timerfd_settime(h->rest.fd, 0, &soon, NULL);
    why_set(&h->why, SINEW_ELIMIT, "this launcher cannot take anybody in: %s%s", strerror(error),
            error == EMFILE ? " (raise the limit with ulimit -n)" : "");
    if (h->refused) h->refused(h->arg, "whoever knocks", h->why.text);
}

static void hub_rested(struct watch *w)
{
    struct hub *h = ((struct hub_rest *)w)->hub;
    uint64_t times;
    if (read(h->rest.fd, &times, sizeof(times)) > 0) node_watch(h->node, h->fd, EPOLLIN, &h->watch);
}

static void hub_ready(struct watch *w)
{
    struct hub *h = (struct hub *)w;
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    int fd = accept4(h->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            hub_rest(h, errno);
        return;
    }
    struct guest *g = hub_has_place(h) ? guest_new(h, fd) : NULL;
    if (!g) {
        close(fd);
        return;
    }
    meeting_tune(fd);
    meeting_text((struct sockaddr *)&from, len, g->from);
    list_append(&h->guests, &g->entry);
    h->guest_count++;
    if (node_watch(h->node, fd, EPOLLIN, &g->watch) < 0) guest_free(g);
}

static int hub_listen(struct hub *h, const char *address, const uint8_t *secret)
{
    h->epoch = 1;
    h->secret = secret;
    h->taken = world_allocate(h->world, (size_t)h->node->size);
    if (!h->taken) return why_set(&h->why, SINEW_ENOMEM, "no memory for %d ranks", h->node->size);
    if (h->world->random(h->world->arg, &h->epoch, sizeof(h->epoch)) < 0)
        return why_set(&h->why, SINEW_EIO, "no random bytes for the epoch");
    h->rest.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (h->rest.fd < 0) return why_set(&h->why, SINEW_ELIMIT, "timerfd_create: %s", strerror(errno));
    h->fd = meeting_listen(address, &h->why);
    if (h->fd < 0) return h->fd;
    int rc = node_watch(h->node, h->rest.fd, EPOLLIN, &h->rest.watch);
    return rc < 0 ? rc : node_watch(h->node, h->fd, EPOLLIN, &h->watch);
}

int hub_open(struct hub *h, struct node *node, const char *address, const uint8_t *secret,
             int first, int count)
{
    memset(h, 0, sizeof(*h));
    h->watch.ready = hub_ready;
    h->world = node->world;
    h->node = node;
    h->fd = h->rest.fd = -1;
    h->rest.watch.ready = hub_rested;
    h->rest.hub = h;
    list_init(&h->guests);
    int rc = hub_listen(h, address, secret);
    if (rc < 0) {
        hub_close(h);
        return rc;
    }
    hub_take(h, first, count);
    return 0;
}

void hub_address(const struct hub *h, char text[MEETING_TEXT_MAX])
{
    struct sockaddr_storage at;
    socklen_t len = sizeof(at);
    getsockname(h->fd, (struct sockaddr *)&at, &len);
    meeting_text((struct sockaddr *)&at, len, text);
}

/* --- members ---------------------------------------------------------------------------------- */

static void member_drop(struct hub *h, struct node_peer *peer)
{
    channel_close(&peer->channel);
    world_release(h->world, peer, sizeof(*peer));
    h->members--;
}

void hub_lost(struct hub *h, struct node_peer *peer)
{
    int first = peer->first, count = peer->count;
    member_drop(h, peer);
    /* One that only came for the records has them. */
    if (h->ends && h->node->records == h->node->size) return;
    node_bury(h->node, first, count);
}

/* A neighbour of the node that the hub let in. The node of sinewrun has its own ranks as neighbours
 * too. */
static bool is_member(const struct node_peer *peer)
{
    return !peer->owner && !peer->upstream;
}

static bool hub_flushed(struct hub *h)
{
    for (struct list *e = h->node->peers.next; e != &h->node->peers; e = e->next) {
        struct node_peer *peer = LIST_OWNER(e, struct node_peer, entry);
        if (is_member(peer) && channel_waits(&peer->channel)) return false;
    }
    return true;
}

void hub_finish(struct hub *h, int64_t until)
{
    for (struct list *e = h->node->peers.next; e != &h->node->peers; e = e->next) {
        struct node_peer *peer = LIST_OWNER(e, struct node_peer, entry);
        if (is_member(peer)) node_tell(peer, FRAME_BYE, NULL, 0);
    }
    while (!hub_flushed(h) && world_now(h->world) < until) {
        h->world->sleep(h->world->arg, h->node->fd, until);
        node_progress(h->node, 64);
    }
}

void hub_close(struct hub *h)
{
    if (!h->node) return;
    for (struct list *e = h->node->peers.next, *next; e != &h->node->peers; e = next) {
        struct node_peer *peer = LIST_OWNER(e, struct node_peer, entry);
        next = e->next;
        if (!is_member(peer)) continue;
        node_detach(peer);
        member_drop(h, peer);
    }
    hub_stop_listening(h);
    world_release(h->world, h->taken, (size_t)h->node->size);
    h->node = NULL;
}
