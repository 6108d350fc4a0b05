/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_NODE_H
#define LAUNCH_NODE_H
/*
 * node.h - one place in the tree that a job is to its launchers (protocol.h)
 *
 * A node knows of every rank what has been told, and passes news on to every neighbour but the one
 * it came from. A neighbour may speak for its own ranks only; the one upstream for all but those
 * below. What a neighbour says twice, or of ranks that are not its own, ends the connection to it.
 *
 * fd is an epoll descriptor: readable when node_progress() has something to do. Strangers that the
 * owner lets knock (listeners, guests) hang on it too, as struct watch.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "launch/protocol.h"
#include "launch/channel.h"

/* Something on the node's epoll descriptor. ready() may free the watch. */
struct watch {
    void (*ready)(struct watch *w);
};

enum node_rank_flags {
    NODE_RECORD = 1,
    NODE_LEFT = 2,
    NODE_EXITED = 4,
    NODE_DIED = 8,
    NODE_TOLD = 16
};

struct node_rank {
    uint8_t flags, len;
    struct launch_exit how; /* with NODE_EXITED */
    uint8_t record[LAUNCH_RECORD_MAX];
};

struct node_peer {
    struct watch watch;
    struct list entry;
    struct node *node;
    struct channel channel;
    bool upstream, wants_out;
    int first, count; /* ranks it speaks for; upstream: those it does not */
    void *owner;
};

/* What the node's owner hears; each may be NULL. News has been noted and passed on before. */
struct node_events {
    void (*left)(void *arg, int rank);
    void (*exited)(void *arg, const struct launch_exit *how);
    void (*aborted)(void *arg, int status, const char *text);
    /* The connection is gone: peer->channel says how. The peer is the owner's again. */
    void (*lost)(void *arg, struct node_peer *peer);
};

struct node {
    const struct world *world;
    const struct node_events *events;
    void *arg;
    int fd, size;
    int records;     /* ranks whose record is known */
    int gone_early;  /* ranks that left or ended without one: the fence fails */
    int died_untold; /* NODE_DIED without NODE_TOLD */
    struct node_rank *ranks;
    struct list peers;
    bool aborted;
    int abort_status;
    char abort_text[LAUNCH_TEXT_MAX];
    struct why why;
};

/* 0, SINEW_ENOMEM or SINEW_EIO: node->why. After a failure nothing is left. */
int node_init(struct node *n, const struct world *world, int size, const struct node_events *events,
              void *arg);
/* Peers must have been taken or lost. */
void node_fini(struct node *n);

/* A connected neighbour: hears all that is known, then all news. The channel is in peer->channel.
 */
void node_attach(struct node *n, struct node_peer *peer);
/* Take a neighbour out: no more news to it or from it. The channel is left open. */
void node_detach(struct node_peer *peer);
/* As long as bytes wait for it, the node looks after the peer's output. */
int node_tell(struct node_peer *peer, int kind, const void *payload, size_t len);

int node_watch(struct node *n, int fd, uint32_t events, struct watch *w);
void node_unwatch(struct node *n, int fd);

/* Everything that is ready, at most `most` times; what was done is counted. Never blocks. */
int node_progress(struct node *n, int most);

/* News of my own. */
int node_put(struct node *n, int rank, const void *record, size_t len);
void node_leave(struct node *n, int rank);
void node_exit(struct node *n, const struct launch_exit *how);
void node_abort(struct node *n, int status, const char *text);
/* Of first … first + count - 1, those that have not left or ended are lost. */
void node_bury(struct node *n, int first, int count);

/* Wait for all records: 0, or SINEW_ETIMEDOUT (missing ranks are named), SINEW_ELAUNCH (one is
 * gone), SINEW_EABORTED, with node->why. *stop ends the wait too: SINEW_ELAUNCH, and why is the
 * caller's. */
int node_fence(struct node *n, int64_t until, const bool *stop);

/* "1, 4-7 and 9": the ranks without a record. */
void node_missing(const struct node *n, char *text, size_t cap);

/* "rank 3 (pid 123) died of signal 9 (Killed)" */
void launch_exit_text(const struct launch_exit *how, char *text, size_t cap);

/* Next rank that died and was not asked for yet, or -1. */
int node_died(struct node *n);

#endif
