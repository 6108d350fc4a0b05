/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_HUB_H
#define LAUNCH_HUB_H
/*
 * hub.h - where the other launchers of a job come to: listens, authenticates, takes them into the
 * node
 *
 * It listens until somebody speaks for every rank, and not a moment longer.
 *
 * A guest is a connection that has not proven itself and joined yet. At most HUB_GUESTS at a time;
 * when all places are taken the oldest one that is older than HUB_PATIENCE_NS goes, or the new one.
 *
 * Out of descriptors it looks away from the door for HUB_REST_NS, and says so: who knocks stays in
 * the kernel's queue, which would else wake it again and again.
 */
#include "base/handshake.h"
#include "launch/meeting.h"
#include "launch/node.h"
#include "launch/welcome.h"

enum { HUB_GUESTS = 64 };
#define HUB_PATIENCE_NS 5000000000LL
#define HUB_REST_NS 100000000LL

struct hub;

struct guest {
    struct watch watch;
    struct list entry;
    struct hub *hub;
    int64_t since_ns;
    int fd;      /* -1 once the channel has it */
    bool proven; /* the handshake is done, JOIN is awaited */
    char from[MEETING_TEXT_MAX];
    struct handshake handshake;
    struct node_peer *peer; /* what it will become; its channel is in use when proven */
};

struct hub_rest {
    struct watch watch;
    struct hub *hub;
    int fd; /* a timer, or -1 */
};

struct hub {
    struct watch watch;
    struct hub_rest rest;
    const struct world *world;
    struct node *node;
    int fd;      /* listening; -1: closed */
    int members; /* joined and connected */
    int taken_count;
    uint8_t *taken; /* one byte per rank: somebody speaks, or spoke, for it */
    struct list guests;
    int guest_count;
    const uint8_t *secret;
    uint64_t epoch;
    bool ends; /* what WELCOME tells: connections end once all records are told */
    /* Somebody was turned away: for the owner to say. May be NULL. */
    void (*refused)(void *arg, const char *from, const char *why);
    void *arg;
    struct why why; /* of hub_open(), then of the last who was turned away */
};

/* Listen at an address; the owner speaks for first to first + count - 1. secret, node outlive the
 * hub. */
int hub_open(struct hub *h, struct node *node, const char *address, const uint8_t *secret,
             int first, int count);

/* Where it listens, for people and for those who asked for any port. */
void hub_address(const struct hub *h, char text[MEETING_TEXT_MAX]);

/* From the owner's `lost`: a member's connection has ended. Its ranks that had not left are lost.
 */
void hub_lost(struct hub *h, struct node_peer *peer);

/* All that was told is in the kernel's hands, with a goodbye, or it is `until`. */
void hub_finish(struct hub *h, int64_t until);

/* No more listening, no guests, no members. */
void hub_close(struct hub *h);

#endif
