/* SPDX-License-Identifier: BSD-3-Clause */
#include "launch/node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/wire.h"

static void peer_ready(struct watch *w);

int node_init(struct node *n, const struct world *world, int size, const struct node_events *events,
              void *arg)
{
    memset(n, 0, sizeof(*n));
    n->world = world;
    n->size = size;
    n->events = events;
    n->arg = arg;
    list_init(&n->peers);
    n->fd = epoll_create1(EPOLL_CLOEXEC);
    if (n->fd < 0) return why_set(&n->why, SINEW_EIO, "epoll_create1: %s", strerror(errno));
    n->ranks = world_allocate(world, (size_t)size * sizeof(*n->ranks));
    if (n->ranks) return 0;
    close(n->fd);
    return why_set(&n->why, SINEW_ENOMEM, "no memory for a table of %d ranks", size);
}

void node_fini(struct node *n)
{
    world_release(n->world, n->ranks, (size_t)n->size * sizeof(*n->ranks));
    n->ranks = NULL;
    if (n->fd >= 0) close(n->fd);
    n->fd = -1;
}

int node_watch(struct node *n, int fd, uint32_t events, struct watch *w)
{
    struct epoll_event event = { .events = events, .data.ptr = w };
    if (epoll_ctl(n->fd, EPOLL_CTL_ADD, fd, &event) == 0) return 0;
    if (errno == EEXIST && epoll_ctl(n->fd, EPOLL_CTL_MOD, fd, &event) == 0) return 0;
    return why_set(&n->why, SINEW_EIO, "epoll_ctl: %s", strerror(errno));
}

void node_unwatch(struct node *n, int fd)
{
    epoll_ctl(n->fd, EPOLL_CTL_DEL, fd, NULL);
}

/* --- news out --------------------------------------------------------------------------------- */

/* Ask for EPOLLOUT exactly as long as bytes wait. */
static void peer_adjust(struct node_peer *peer)
{
    bool wants_out = channel_waits(&peer->channel);
    if (wants_out == peer->wants_out) return;
    peer->wants_out = wants_out;
    node_watch(peer->node, peer->channel.fd, EPOLLIN | (wants_out ? (uint32_t)EPOLLOUT : 0),
               &peer->watch);
}

int node_tell(struct node_peer *peer, int kind, const void *payload, size_t len)
{
    int rc = channel_send(&peer->channel, kind, payload, len);
    peer_adjust(peer);
    return rc;
}

/* A peer that cannot be told has ended, or will: progress finds that by reading. */
static void flood(struct node *n, const struct node_peer *from, int kind, const void *payload,
                  size_t len)
{
    for (struct list *e = n->peers.next; e != &n->peers; e = e->next) {
        struct node_peer *peer = LIST_OWNER(e, struct node_peer, entry);
        if (peer != from) node_tell(peer, kind, payload, len);
    }
}

struct news {
    int kind;
    size_t len;
    uint8_t payload[LAUNCH_PAYLOAD_MAX];
};

static struct news news_record(const struct node *n, int rank)
{
    const struct node_rank *r = &n->ranks[rank];
    struct news news = { .kind = LAUNCH_RECORD, .len = 4 + (size_t)r->len };
    wire_put32(news.payload, (uint32_t)rank);
    memcpy(news.payload + 4, r->record, r->len);
    return news;
}

static struct news news_left(int rank)
{
    struct news news = { .kind = LAUNCH_LEFT, .len = 4 };
    wire_put32(news.payload, (uint32_t)rank);
    return news;
}

static struct news news_exit(const struct launch_exit *how)
{
    struct news news = { .kind = LAUNCH_EXIT, .len = LAUNCH_EXIT_LEN };
    wire_put32(news.payload, (uint32_t)how->rank);
    news.payload[4] = how->flags;
    news.payload[5] = how->code;
    wire_put16(news.payload + 6, 0);
    wire_put32(news.payload + 8, how->pid);
    return news;
}

static struct news news_abort(int status, const char *text)
{
    size_t len = strnlen(text, LAUNCH_TEXT_MAX - 1);
    struct news news = { .kind = LAUNCH_ABORT, .len = 4 + len };
    wire_put32(news.payload, (uint32_t)status);
    memcpy(news.payload + 4, text, len);
    return news;
}

static void pass(struct node *n, const struct node_peer *from, const struct news *news)
{
    flood(n, from, news->kind, news->payload, news->len);
}

/* --- what is known ---------------------------------------------------------------------------- */

static void note_gone(struct node *n, struct node_rank *r)
{
    if (!(r->flags & (NODE_RECORD | NODE_LEFT | NODE_EXITED))) n->gone_early++;
}

static void note_left(struct node *n, int rank)
{
    note_gone(n, &n->ranks[rank]);
    n->ranks[rank].flags |= NODE_LEFT;
}

static void note_exit(struct node *n, const struct launch_exit *how)
{
    struct node_rank *r = &n->ranks[how->rank];
    note_gone(n, r);
    r->flags |= NODE_EXITED;
    r->how = *how;
    if ((how->flags & LAUNCH_DIED) && !(r->flags & NODE_DIED)) {
        r->flags |= NODE_DIED;
        n->died_untold++;
    }
}

static void note_abort(struct node *n, int status, const char *text)
{
    n->aborted = true;
    n->abort_status = status;
    snprintf(n->abort_text, sizeof(n->abort_text), "%s", text);
}

int node_put(struct node *n, int rank, const void *record, size_t len)
{
    struct node_rank *r = &n->ranks[rank];
    if (len > LAUNCH_RECORD_MAX)
        return why_set(&n->why, SINEW_EINVAL, "a record of %zu bytes where at most %d are allowed",
                       len, LAUNCH_RECORD_MAX);
    if (r->flags & NODE_RECORD)
        return why_set(&n->why, SINEW_ESTATE, "rank %d puts a second record", rank);
    r->len = (uint8_t)len;
    if (len > 0) memcpy(r->record, record, len);
    r->flags |= NODE_RECORD;
    n->records++;
    struct news news = news_record(n, rank);
    pass(n, NULL, &news);
    return 0;
}

void node_leave(struct node *n, int rank)
{
    struct news news = news_left(rank);
    if (n->ranks[rank].flags & (NODE_LEFT | NODE_EXITED)) return;
    note_left(n, rank);
    pass(n, NULL, &news);
}

void node_exit(struct node *n, const struct launch_exit *how)
{
    struct news news = news_exit(how);
    note_exit(n, how);
    pass(n, NULL, &news);
}

void node_abort(struct node *n, int status, const char *text)
{
    struct news news = news_abort(status, text);
    if (n->aborted) return;
    note_abort(n, status, text);
    pass(n, NULL, &news);
}

void node_bury(struct node *n, int first, int count)
{
    for (int rank = first; rank < first + count; rank++) {
        struct launch_exit lost = { .rank = rank,
                                    .flags = LAUNCH_DIED | LAUNCH_FAILED | LAUNCH_LOST };
        if (n->ranks[rank].flags & (NODE_LEFT | NODE_EXITED)) continue;
        node_exit(n, &lost);
        if (n->events->exited) n->events->exited(n->arg, &lost);
    }
}

void node_attach(struct node *n, struct node_peer *peer)
{
    peer->node = n;
    peer->watch.ready = peer_ready;
    peer->wants_out = false;
    list_append(&n->peers, &peer->entry);
    node_watch(n, peer->channel.fd, EPOLLIN, &peer->watch);
    for (int rank = 0; rank < n->size; rank++) {
        struct news news;
        int flags = n->ranks[rank].flags;
        if (flags & NODE_RECORD) {
            news = news_record(n, rank);
            node_tell(peer, news.kind, news.payload, news.len);
        }
        if (flags & NODE_LEFT) {
            news = news_left(rank);
            node_tell(peer, news.kind, news.payload, news.len);
        }
        if (flags & NODE_EXITED) {
            news = news_exit(&n->ranks[rank].how);
            node_tell(peer, news.kind, news.payload, news.len);
        }
    }
    if (n->aborted) {
        struct news news = news_abort(n->abort_status, n->abort_text);
        node_tell(peer, news.kind, news.payload, news.len);
    }
    /* Frames that came with the welcome will not make the socket readable again. */
    if (channel_buffered(&peer->channel)) peer_ready(&peer->watch);
}

void node_detach(struct node_peer *peer)
{
    list_remove(&peer->entry);
    if (peer->channel.fd >= 0) node_unwatch(peer->node, peer->channel.fd);
}

/* --- news in ---------------------------------------------------------------------------------- */

static bool speaks_for(const struct node_peer *peer, int rank)
{
    bool inside = rank >= peer->first && rank < peer->first + peer->count;
    return rank >= 0 && rank < peer->node->size && inside != peer->upstream;
}

static int bad_news(struct node_peer *peer, const char *what, int rank)
{
    return why_set(&peer->channel.why, SINEW_EPROTO, "a %s of rank %d that is not its to tell",
                   what, rank);
}

static int hear_record(struct node_peer *peer, struct wire_reader *in)
{
    struct node *n = peer->node;
    int rank = (int32_t)wire_take32(in);
    size_t len = in->left;
    if (in->bad || len > LAUNCH_RECORD_MAX || !speaks_for(peer, rank) ||
        (n->ranks[rank].flags & NODE_RECORD))
        return bad_news(peer, "record", rank);
    struct node_rank *r = &n->ranks[rank];
    r->len = (uint8_t)len;
    memcpy(r->record, in->at, len);
    r->flags |= NODE_RECORD;
    n->records++;
    struct news news = news_record(n, rank);
    pass(n, peer, &news);
    return 0;
}

static int hear_left(struct node_peer *peer, struct wire_reader *in)
{
    struct node *n = peer->node;
    int rank = (int32_t)wire_take32(in);
    if (in->bad || in->left || !speaks_for(peer, rank)) return bad_news(peer, "goodbye", rank);
    if (n->ranks[rank].flags & (NODE_LEFT | NODE_EXITED)) return 0;
    struct news news = news_left(rank);
    note_left(n, rank);
    pass(n, peer, &news);
    if (n->events->left) n->events->left(n->arg, rank);
    return 0;
}

static int hear_exit(struct node_peer *peer, struct wire_reader *in)
{
    struct node *n = peer->node;
    struct launch_exit how = { .rank = (int32_t)wire_take32(in) };
    how.flags = wire_take8(in);
    how.code = wire_take8(in);
    wire_take16(in);
    how.pid = wire_take32(in);
    if (in->bad || in->left || !speaks_for(peer, how.rank)) return bad_news(peer, "end", how.rank);
    struct news news = news_exit(&how);
    note_exit(n, &how);
    pass(n, peer, &news);
    if (n->events->exited) n->events->exited(n->arg, &how);
    return 0;
}

static int hear_abort(struct node_peer *peer, struct wire_reader *in)
{
    struct node *n = peer->node;
    char text[LAUNCH_TEXT_MAX];
    int status = (int32_t)wire_take32(in);
    if (in->bad || in->left >= sizeof(text))
        return why_set(&peer->channel.why, SINEW_EPROTO, "a malformed abort");
    memcpy(text, in->at, in->left);
    text[in->left] = '\0';
    if (n->aborted) return 0;
    struct news news = news_abort(status, text);
    note_abort(n, status, text);
    pass(n, peer, &news);
    if (n->events->aborted) n->events->aborted(n->arg, status, text);
    return 0;
}

static int hear(struct node_peer *peer, const struct frame *frame, const uint8_t *payload)
{
    struct wire_reader in = wire_read(payload, frame->length);
    switch (frame->kind) {
    case LAUNCH_RECORD:
        return hear_record(peer, &in);
    case LAUNCH_LEFT:
        return hear_left(peer, &in);
    case LAUNCH_EXIT:
        return hear_exit(peer, &in);
    case LAUNCH_ABORT:
        return hear_abort(peer, &in);
    default:
        return why_set(&peer->channel.why, SINEW_EPROTO,
                       "a frame of kind %u, which has no meaning here", frame->kind);
    }
}

static void peer_lost(struct node_peer *peer)
{
    node_detach(peer);
    peer->channel.ended = true;
    if (peer->node->events->lost) peer->node->events->lost(peer->node->arg, peer);
}

/* One peer's turn is bounded, so that none can keep the others waiting. */
enum { FRAMES_PER_TURN = 64 };

static void peer_ready(struct watch *w)
{
    struct node_peer *peer = (struct node_peer *)w;
    struct frame frame;
    const uint8_t *payload;
    int rc = 1;
    channel_flush(&peer->channel);
    peer_adjust(peer);
    for (int i = 0; rc > 0 && (i < FRAMES_PER_TURN || channel_buffered(&peer->channel)); i++) {
        rc = channel_receive(&peer->channel, &frame, &payload);
        if (rc > 0 && hear(peer, &frame, payload) < 0) rc = SINEW_EPROTO;
    }
    if (rc < 0) peer_lost(peer);
}

int node_progress(struct node *n, int most)
{
    int done = 0;
    for (; done < most; done++) {
        struct epoll_event event;
        if (epoll_wait(n->fd, &event, 1, 0) != 1) break;
        struct watch *w = event.data.ptr;
        w->ready(w);
    }
    return done;
}

/* --- the fence -------------------------------------------------------------------------------- */

static int fence_gone(struct node *n)
{
    char text[128];
    for (int rank = 0; rank < n->size; rank++) {
        const struct node_rank *r = &n->ranks[rank];
        if (r->flags & NODE_RECORD) continue;
        if (r->flags & NODE_EXITED) {
            launch_exit_text(&r->how, text, sizeof(text));
            return why_set(&n->why, SINEW_ELAUNCH, "%s before it had joined", text);
        }
        if (r->flags & NODE_LEFT)
            return why_set(&n->why, SINEW_ELAUNCH,
                           "rank %d gave up before it had joined: its own "
                           "output says why",
                           rank);
    }
    return 0;
}

static int fence_state(struct node *n, int64_t until)
{
    char missing[160];
    if (n->aborted)
        return why_set(&n->why, SINEW_EABORTED, "the job was aborted: %s", n->abort_text);
    if (n->records == n->size) return 0;
    if (n->gone_early > 0) return fence_gone(n);
    if (world_now(n->world) < until) return SINEW_PENDING;
    node_missing(n, missing, sizeof(missing));
    return why_set(&n->why, SINEW_ETIMEDOUT, "%d of %d ranks have come, missing: rank %s", n->records,
                   n->size, missing);
}

int node_fence(struct node *n, int64_t until, const bool *stop)
{
    for (;;) {
        int did = node_progress(n, 64);
        int rc = fence_state(n, until);
        if (rc <= 0) return rc;
        if (stop && *stop) return SINEW_ELAUNCH;
        if (!did) n->world->sleep(n->world->arg, n->fd, until);
    }
}

void node_missing(const struct node *n, char *text, size_t cap)
{
    struct text t = text_into(text, cap);
    int listed = 0, end;
    for (int rank = 0; rank < n->size; rank = end + 1) {
        for (end = rank; end < n->size && !(n->ranks[end].flags & NODE_RECORD); end++) {
        }
        if (end == rank) continue;
        if (listed++ == 8) {
            text_add(&t, " …");
            return;
        }
        text_add(&t, listed > 1 ? ", %d" : "%d", rank);
        if (end - 1 > rank) text_add(&t, "-%d", end - 1);
    }
}

void launch_exit_text(const struct launch_exit *how, char *text, size_t cap)
{
    struct text t = text_into(text, cap);
    text_add(&t, "rank %d", how->rank);
    if (how->pid) text_add(&t, " (pid %u)", how->pid);
    if (how->flags & LAUNCH_LOST)
        text_add(&t, " is lost: the connection to its launcher ended");
    else if (how->flags & LAUNCH_SIGNAL)
        text_add(&t, " died of signal %d (%s)", how->code, strsignal(how->code));
    else if (how->code || !(how->flags & LAUNCH_FAILED))
        text_add(&t, " exited with status %d", how->code);
    else
        text_add(&t, " ended without having left the job (sinew_close)");
}

int node_died(struct node *n)
{
    for (int rank = 0; n->died_untold > 0 && rank < n->size; rank++) {
        struct node_rank *r = &n->ranks[rank];
        if ((r->flags & (NODE_DIED | NODE_TOLD)) != NODE_DIED) continue;
        r->flags |= NODE_TOLD;
        n->died_untold--;
        return rank;
    }
    return -1;
}
