/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api_reduce.c - the collectives of sinew.h with arithmetic
 */
#include "collectives/check.h"
#include "collectives/straight.h"
#include "sinew/sinew.h"

/* Whether the type and operator fit in what calls are known by. */
static inline bool reduction_known(int type, int op)
{
    return (unsigned)(type | op) <= 255;
}

static inline struct straight_call reduction_again(enum collective collective, int root,
                                                   size_t count, int type, int op, const void *in,
                                                   void *out)
{
    bool in_place = in == SINEW_IN_PLACE;
    return (struct straight_call){ .kind = straight_kind(collective, type, op, root, in_place),
                                   .count = count,
                                   .in = in_place ? out : in,
                                   .out = out };
}

/* Done already? */
static inline bool reduction_straight(struct sinew_team *team, enum collective collective, int root,
                                      size_t count, int type, int op, const void *in, void *out,
                                      struct sinew_request **req, int *status)
{
    if (req || !reduction_known(type, op)) return false;
    struct straight_call call = reduction_again(collective, root, count, type, op, in, out);
    return straight_run(team, &call, status);
}

/* Checks all but the buffers, and fills what they have in common. */
static int reduction_call(const struct caller *who, enum collective collective, size_t count,
                          int type, int op, struct call *call, size_t *bytes)
{
    struct user_operator *own;
    int status = check_arithmetic(who, type, op, &own);
    if (status == 0) status = check_bytes(who, "count", count, sinew_type_size(type), 1, bytes);
    if (status < 0) return status;
    *call = (struct call){
        .collective = collective,
        .type = type,
        .op = op,
        .own = own,
        .element_bytes = sinew_type_size(type),
        .in_count = count,
        .out_count = count,
        .agreed = count,
        .bytes = *bytes,
    };
    return 0;
}

static void call_buffers(struct call *call, const void *in, void *out)
{
    call->in_place = in == SINEW_IN_PLACE;
    call->in = in;
    call->out = out;
}

int sinew_reduce(struct sinew_team *team, const void *in, void *out, size_t count, int type, int op,
                 int root, struct sinew_request **req)
{
    struct caller who;
    struct call call;
    size_t bytes = 0;
    int done;
    if (reduction_straight(team, COLLECTIVE_REDUCE, root, count, type, op, in, out, req, &done))
        return done;
    int status = check_entry(team, "sinew_reduce", req, &who);
    if (status == 0) status = check_root(&who, root);
    if (status == 0)
        status = reduction_call(&who, COLLECTIVE_REDUCE, count, type, op, &call, &bytes);
    if (status < 0) return status;
    bool at_root = sinew_rank(team) == root;
    status =
        at_root ? check_pair(&who, in, bytes, out, bytes) : check_buffer(&who, "in", in, bytes);
    if (status < 0) return status;
    call.root = root;
    call_buffers(&call, in, at_root ? out : NULL);
    return caller_run(&who, &call, req);
}

/* Those with an input and an output of `count` on every rank. */
static int reduce_everywhere(struct sinew_team *team, const char *name, enum collective collective,
                             const void *in, void *out, size_t count, int type, int op,
                             struct sinew_request **req)
{
    struct caller who;
    struct call call;
    size_t bytes = 0;
    int done;
    if (reduction_straight(team, collective, 0, count, type, op, in, out, req, &done)) return done;
    int status = check_entry(team, name, req, &who);
    if (status == 0) status = reduction_call(&who, collective, count, type, op, &call, &bytes);
    if (status == 0) status = check_pair(&who, in, bytes, out, bytes);
    if (status < 0) return status;
    call_buffers(&call, in, out);
    return caller_run(&who, &call, req);
}

int sinew_allreduce(struct sinew_team *team, const void *in, void *out, size_t count, int type,
                    int op, struct sinew_request **req)
{
    return reduce_everywhere(team, "sinew_allreduce", COLLECTIVE_ALLREDUCE, in, out, count, type,
                             op, req);
}

int sinew_scan(struct sinew_team *team, const void *in, void *out, size_t count, int type, int op,
               struct sinew_request **req)
{
    return reduce_everywhere(team, "sinew_scan", COLLECTIVE_SCAN, in, out, count, type, op, req);
}

int sinew_exscan(struct sinew_team *team, const void *in, void *out, size_t count, int type, int op,
                 struct sinew_request **req)
{
    return reduce_everywhere(team, "sinew_exscan", COLLECTIVE_EXSCAN, in, out, count, type, op,
                             req);
}

/* `whole` elements in, `part` out at this rank. */
static int reduce_scatter(const struct caller *who, enum collective collective, const void *in,
                          void *out, size_t whole, const size_t *counts, size_t part, int type,
                          int op, struct sinew_request **req)
{
    struct call call;
    size_t bytes = 0;
    int status = reduction_call(who, collective, whole, type, op, &call, &bytes);
    size_t part_bytes = part * sinew_type_size(type);
    if (status == 0)
        status = check_pair(who, in, bytes, out, in == SINEW_IN_PLACE ? bytes : part_bytes);
    if (status < 0) return status;
    call_buffers(&call, in, out);
    if (call.in_place) call.in = out;
    call.out_count = part;
    call.in_parts.counts = counts;
    if (counts) call.agreed = counts_digest(counts, who->size);
    return caller_run(who, &call, req);
}

int sinew_reduce_scatter(struct sinew_team *team, const void *in, void *out, const size_t *counts,
                         int type, int op, struct sinew_request **req)
{
    struct caller who;
    size_t whole = 0, each = sinew_type_size(type);
    int done;
    const struct straight_tables tables = { .in = { .counts = counts } };
    if (!req && reduction_known(type, op) &&
        straight_run_tables(team,
                            reduction_again(COLLECTIVE_REDUCE_SCATTER, 0, 0, type, op, in, out),
                            &tables, &done))
        return done;
    int status = check_entry(team, "sinew_reduce_scatter", req, &who);
    if (status == 0)
        status = check_counts(&who, "counts", counts, NULL, who.size, each ? each : 1, &whole);
    if (status < 0) return status;
    return reduce_scatter(&who, COLLECTIVE_REDUCE_SCATTER, in, out, whole, counts,
                          counts[sinew_rank(team)], type, op, req);
}

int sinew_reduce_scatter_block(struct sinew_team *team, const void *in, void *out, size_t count,
                               int type, int op, struct sinew_request **req)
{
    struct caller who;
    size_t bytes = 0, each = sinew_type_size(type);
    int done;
    if (reduction_straight(team, COLLECTIVE_REDUCE_SCATTER_BLOCK, 0, count, type, op, in, out, req,
                           &done))
        return done;
    int status = check_entry(team, "sinew_reduce_scatter_block", req, &who);
    if (status == 0) status = check_bytes(&who, "count", count, each ? each : 1, who.size, &bytes);
    if (status < 0) return status;
    return reduce_scatter(&who, COLLECTIVE_REDUCE_SCATTER_BLOCK, in, out, count * who.size, NULL,
                          count, type, op, req);
}
