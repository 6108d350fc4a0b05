/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_CHECK_H
#define COLLECTIVES_CHECK_H
/*
 * check.h - the arguments of collectives: each check is 0, or SINEW_EINVAL with a text that names
 * call, argument and bounds
 */
#include "collectives/collective.h"
#include "sinew/sinew.h"

/* What the checks are about; the texts name the call. */
struct caller {
    struct sinew_team *team;
    const char *name;
    size_t size;
};

int check_entry(struct sinew_team *team, const char *name, struct sinew_request **req,
                struct caller *who);
int check_root(const struct caller *who, int root);
/* `count` elements of `each` bytes, `times` over, must fit size_t: *bytes is their size. */
int check_bytes(const struct caller *who, const char *what, size_t count, size_t each, size_t times,
                size_t *bytes);
int check_buffer(const struct caller *who, const char *what, const void *buffer, size_t bytes);
/* Input and output of a rank that has both; in may be SINEW_IN_PLACE. */
int check_pair(const struct caller *who, const void *in, size_t in_bytes, const void *out,
               size_t out_bytes);
/* A root's input, and everyone's output; the root's may be SINEW_IN_PLACE. */
int check_scattered(const struct caller *who, int root, const void *in, size_t in_bytes,
                    const void *out, size_t out_bytes);
/* *own: op, if it is one of the user's, else NULL. */
int check_arithmetic(const struct caller *who, int type, int op, struct user_operator **own);
/* n counts of elements of `each` bytes, with offsets or (NULL) one after the other: *end is the
 * element behind the last. */
int check_counts(const struct caller *who, const char *what, const size_t *counts,
                 const size_t *offsets, size_t n, size_t each, size_t *end);

/* Choose an algorithm, then run. */
int caller_run(const struct caller *who, struct call *call, struct sinew_request **req);

#endif
