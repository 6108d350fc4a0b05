/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_HUB_H
#define LAUNCH_HUB_H
/*
 * hub.h - where the other launchers of a job come to: listens, authenticates, takes them into the node
 *
 * A guest is a connection that has not proven itself and joined yet. At most HUB_GUESTS at a time; when
 * all places are taken the oldest one that is older than HUB_PATIENCE_NS goes, or the new one.
 */
#include <netinet/in.h>

#include "base/handshake.h"
#include "launch/node.h"
#include "launch/welcome.h"

enum { HUB_GUESTS = 64 };
#define HUB_PATIENCE_NS 5000000000LL

struct hub;

struct guest {
    struct watch watch;
    struct list entry;
    struct hub *hub;
    int64_t since_ns;
    bool proven; /* the handshake is done, JOIN is awaited */
    bool wants_out;
    char from[80]; /* address, for people */
    struct handshake handshake;
    struct node_peer *peer; /* what it will become; its stream is in use from `proven` on */
};

struct hub {
    struct watch watch;
    const struct world *world;
    struct node *node;
    int fd; /* listening; -1: closed */
    int members; /* joined and connected */
    struct list guests;
    int guest_count;
    const uint8_t *secret;
    bool ends; /* what WELCOME tells: connections end after the fence */
    int first, count; /* ranks that are the owner's own */
    uint8_t *taken;   /* one byte per rank: somebody speaks for it */
    /* Somebody was turned away: for the owner to say. May be NULL. */
    void (*refused)(void *arg, const char *from, const char *why);
    void *arg;
    struct why why;
};

void hub_close(struct hub *h);
int hub_finish(struct hub *h, int64_t until);

#endif
