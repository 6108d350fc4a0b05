/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_MEMBER_H
#define LAUNCH_MEMBER_H
/*
 * member.h - the launch operations of a rank that is a node of the tree: below a sinewrun, or bare
 */
#include <sys/types.h>

#include "launch/hub.h"
#include "launch/launch.h"
#include "launch/node.h"

struct member {
    struct launch base;
    struct node node;
    struct node_peer up; /* towards the hub; not attached in the hub itself */
    struct hub hub;      /* in the bare process with rank 0 */
    bool is_hub, attached;
    bool ends;   /* the tree is for the records only */
    bool lost;   /* the connection upstream is gone … */
    bool told;   /* … and failed() has said so */
    pid_t owner; /* a forked child must not speak for the rank */
};

/* A member with nothing connected. NULL and why when there is no memory. */
struct member *member_new(const struct world *world, int rank, int size, struct why *why);

/* The connection upstream, after WELCOME: the channel moves into the member. */
void member_attach(struct member *m, const struct channel *up);

#endif
