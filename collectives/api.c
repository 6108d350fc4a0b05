/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api.c - the collectives of sinew.h that only move bytes: check the arguments, choose, run
 */
#include "collectives/check.h"
#include "collectives/straight.h"
#include "messaging/operation.h"
#include "sinew/sinew.h"

/* Of `len` bytes, in place if `place` is SINEW_IN_PLACE: done already? */
static inline bool bytes_straight(struct sinew_team *team, enum collective collective, int root,
                                  size_t len, const void *in, void *out, const void *place,
                                  struct sinew_request **req, int *status)
{
    if (req) return false;
    struct straight_call call = { straight_kind(collective, 0, 0, root, place == SINEW_IN_PLACE),
                                  len, NULL, in, out };
    return straight_run(team, &call, status);
}

/* The same with tables. */
static bool tables_straight(struct sinew_team *team, enum collective collective, int root,
                            size_t len, const struct straight_tables *tables, const void *in,
                            void *out, const void *place, struct sinew_request **req, int *status)
{
    if (req) return false;
    struct straight_call call = { straight_kind(collective, 0, 0, root, place == SINEW_IN_PLACE),
                                  len, NULL, in, out };
    return straight_run_tables(team, call, tables, status);
}

/* Only a root has any. */
static struct parts parts_at_root(const struct sinew_team *team, int root, const size_t *lens,
                                  const size_t *offsets)
{
    if (!team || sinew_rank(team) != root) return (struct parts){ NULL, NULL };
    return (struct parts){ lens, offsets };
}

int sinew_barrier(struct sinew_team *team, struct sinew_request **req)
{
    struct caller who;
    int done;
    if (bytes_straight(team, COLLECTIVE_BARRIER, 0, 0, NULL, NULL, NULL, req, &done)) return done;
    int status = check_entry(team, "sinew_barrier", req, &who);
    if (status < 0) return status;
    struct call call = { .collective = COLLECTIVE_BARRIER, .element_bytes = 1 };
    return caller_run(&who, &call, req);
}

static int check_rooted(struct sinew_team *team, const char *name, int root,
                        struct sinew_request **req, struct caller *who)
{
    int status = check_entry(team, name, req, who);
    return status < 0 ? status : check_root(who, root);
}

/* This rank's part is as long as the table has it. */
static int check_own_part(const struct caller *who, size_t len, const size_t *lens)
{
    int me = sinew_rank(who->team);
    if (len == lens[me]) return 0;
    return team_refuse(who->team, SINEW_EINVAL,
                       "%s: len is %zu, but lens[%d], which is mine, is %zu", who->name, len, me,
                       lens[me]);
}

int sinew_bcast(struct sinew_team *team, void *buf, size_t len, int root,
                struct sinew_request **req)
{
    struct caller who;
    int done;
    if (bytes_straight(team, COLLECTIVE_BCAST, root, len, NULL, buf, NULL, req, &done)) return done;
    size_t bytes = 0;
    int status = check_rooted(team, "sinew_bcast", root, req, &who);
    if (status == 0) status = check_bytes(&who, "len", len, 1, 1, &bytes);
    if (status == 0) status = check_buffer(&who, "buf", buf, len);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_BCAST,
        .root = root,
        .element_bytes = 1,
        .in_count = len,
        .out_count = len,
        .agreed = len,
        .bytes = len,
        .out = buf,
    };
    return caller_run(&who, &call, req);
}

/* ------------------------------------------------------------------------- to and from a root */

int sinew_gather(struct sinew_team *team, const void *in, size_t len, void *out, int root,
                 struct sinew_request **req)
{
    struct caller who;
    int done;
    if (bytes_straight(team, COLLECTIVE_GATHER, root, len, in, out, in, req, &done)) return done;
    size_t bytes = 0;
    int status = check_rooted(team, "sinew_gather", root, req, &who);
    if (status == 0) status = check_bytes(&who, "len", len, 1, who.size, &bytes);
    if (status < 0) return status;
    bool at_root = sinew_rank(team) == root;
    status = at_root ? check_pair(&who, in, len, out, bytes) : check_buffer(&who, "in", in, len);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_GATHER,
        .root = root,
        .element_bytes = 1,
        .in_count = len,
        .out_count = at_root ? bytes : 0,
        .agreed = len,
        .bytes = len,
        .in_place = in == SINEW_IN_PLACE,
        .in = in,
        .out = at_root ? out : NULL,
    };
    return caller_run(&who, &call, req);
}

int sinew_gatherv(struct sinew_team *team, const void *in, size_t len, void *out,
                  const size_t *lens, const size_t *offsets, int root, struct sinew_request **req)
{
    struct caller who;
    size_t bytes = 0, end = 0;
    const struct straight_tables tables = { .out = parts_at_root(team, root, lens, offsets) };
    int done;
    if (tables_straight(team, COLLECTIVE_GATHERV, root, len, &tables, in, out, in, req, &done))
        return done;
    int status = check_rooted(team, "sinew_gatherv", root, req, &who);
    if (status == 0) status = check_bytes(&who, "len", len, 1, 1, &bytes);
    if (status < 0) return status;
    bool at_root = sinew_rank(team) == root;
    if (at_root) status = check_counts(&who, "lens", lens, offsets, who.size, 1, &end);
    if (status < 0) return status;
    if (at_root && in != SINEW_IN_PLACE) status = check_own_part(&who, len, lens);
    if (status < 0) return status;
    status = at_root ? check_pair(&who, in, len, out, end) : check_buffer(&who, "in", in, len);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_GATHERV,
        .root = root,
        .element_bytes = 1,
        .in_count = len,
        .out_count = end,
        .in_place = in == SINEW_IN_PLACE,
        .in = in,
        .out = at_root ? out : NULL,
    };
    if (at_root) call.out_parts = (struct parts){ lens, offsets };
    return caller_run(&who, &call, req);
}

int sinew_scatter(struct sinew_team *team, const void *in, size_t len, void *out, int root,
                  struct sinew_request **req)
{
    struct caller who;
    int done;
    if (bytes_straight(team, COLLECTIVE_SCATTER, root, len, in, out, out, req, &done)) return done;
    size_t bytes = 0;
    int status = check_rooted(team, "sinew_scatter", root, req, &who);
    if (status == 0) status = check_bytes(&who, "len", len, 1, who.size, &bytes);
    if (status < 0) return status;
    bool at_root = sinew_rank(team) == root, in_place = at_root && out == SINEW_IN_PLACE;
    status = check_scattered(&who, root, in, bytes, out, len);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_SCATTER,
        .root = root,
        .element_bytes = 1,
        .in_count = at_root ? bytes : 0,
        .out_count = len,
        .agreed = len,
        .bytes = len,
        .in_place = in_place,
        .in = at_root ? in : NULL,
        .out = out,
    };
    return caller_run(&who, &call, req);
}

int sinew_scatterv(struct sinew_team *team, const void *in, const size_t *lens,
                   const size_t *offsets, void *out, size_t len, int root,
                   struct sinew_request **req)
{
    struct caller who;
    size_t bytes = 0, end = 0;
    const struct straight_tables tables = { .in = parts_at_root(team, root, lens, offsets) };
    int done;
    if (tables_straight(team, COLLECTIVE_SCATTERV, root, len, &tables, in, out, out, req, &done))
        return done;
    int status = check_rooted(team, "sinew_scatterv", root, req, &who);
    if (status == 0) status = check_bytes(&who, "len", len, 1, 1, &bytes);
    if (status < 0) return status;
    bool at_root = sinew_rank(team) == root, in_place = at_root && out == SINEW_IN_PLACE;
    if (at_root) status = check_counts(&who, "lens", lens, offsets, who.size, 1, &end);
    if (status < 0) return status;
    if (at_root && !in_place) status = check_own_part(&who, len, lens);
    if (status < 0) return status;
    status = check_scattered(&who, root, in, end, out, len);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_SCATTERV,
        .root = root,
        .element_bytes = 1,
        .in_count = end,
        .out_count = len,
        .in_place = in_place,
        .in = at_root ? in : NULL,
        .out = out,
    };
    if (at_root) call.in_parts = (struct parts){ lens, offsets };
    return caller_run(&who, &call, req);
}

/* ----------------------------------------------------------------------------------- all to all */

int sinew_allgather(struct sinew_team *team, const void *in, size_t len, void *out,
                    struct sinew_request **req)
{
    struct caller who;
    int done;
    if (bytes_straight(team, COLLECTIVE_ALLGATHER, 0, len, in, out, in, req, &done)) return done;
    size_t bytes = 0;
    int status = check_entry(team, "sinew_allgather", req, &who);
    if (status == 0) status = check_bytes(&who, "len", len, 1, who.size, &bytes);
    if (status == 0) status = check_pair(&who, in, len, out, bytes);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_ALLGATHER,
        .element_bytes = 1,
        .in_count = len,
        .out_count = bytes,
        .agreed = len,
        .bytes = len,
        .in_place = in == SINEW_IN_PLACE,
        .in = in,
        .out = out,
    };
    return caller_run(&who, &call, req);
}

int sinew_allgatherv(struct sinew_team *team, const void *in, size_t len, void *out,
                     const size_t *lens, const size_t *offsets, struct sinew_request **req)
{
    struct caller who;
    size_t bytes = 0, end = 0, sum = 0;
    const struct straight_tables tables = { .out = { lens, offsets } };
    int done;
    if (tables_straight(team, COLLECTIVE_ALLGATHERV, 0, len, &tables, in, out, in, req, &done))
        return done;
    int status = check_entry(team, "sinew_allgatherv", req, &who);
    if (status == 0) status = check_bytes(&who, "len", len, 1, 1, &bytes);
    if (status == 0) status = check_counts(&who, "lens", lens, offsets, who.size, 1, &end);
    if (status == 0) status = check_counts(&who, "lens", lens, NULL, who.size, 1, &sum);
    if (status < 0) return status;
    if (in != SINEW_IN_PLACE) status = check_own_part(&who, len, lens);
    if (status < 0) return status;
    status = check_pair(&who, in, len, out, end);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_ALLGATHERV,
        .element_bytes = 1,
        .in_count = len,
        .out_count = end,
        .out_parts = { lens, offsets },
        .agreed = counts_digest(lens, who.size),
        .bytes = sum / who.size,
        .in_place = in == SINEW_IN_PLACE,
        .in = in,
        .out = out,
    };
    return caller_run(&who, &call, req);
}

int sinew_alltoall(struct sinew_team *team, const void *in, size_t len, void *out,
                   struct sinew_request **req)
{
    struct caller who;
    int done;
    if (bytes_straight(team, COLLECTIVE_ALLTOALL, 0, len, in, out, in, req, &done)) return done;
    size_t bytes = 0;
    int status = check_entry(team, "sinew_alltoall", req, &who);
    if (status == 0) status = check_bytes(&who, "len", len, 1, who.size, &bytes);
    if (status == 0) status = check_pair(&who, in, bytes, out, bytes);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_ALLTOALL,
        .element_bytes = 1,
        .in_count = bytes,
        .out_count = bytes,
        .agreed = len,
        .bytes = len,
        .in_place = in == SINEW_IN_PLACE,
        .in = in,
        .out = out,
    };
    return caller_run(&who, &call, req);
}

int sinew_alltoallv(struct sinew_team *team, const void *in, const size_t *in_lens,
                    const size_t *in_offsets, void *out, const size_t *out_lens,
                    const size_t *out_offsets, struct sinew_request **req)
{
    struct caller who;
    size_t in_end = 0, out_end = 0;
    bool in_place = in == SINEW_IN_PLACE;
    struct straight_tables tables = { .out = { out_lens, out_offsets } };
    int done;
    if (!in_place) tables.in = (struct parts){ in_lens, in_offsets };
    if (tables_straight(team, COLLECTIVE_ALLTOALLV, 0, 0, &tables, in, out, in, req, &done))
        return done;
    int status = check_entry(team, "sinew_alltoallv", req, &who);
    if (status == 0)
        status = check_counts(&who, "out_lens", out_lens, out_offsets, who.size, 1, &out_end);
    if (status == 0 && !in_place)
        status = check_counts(&who, "in_lens", in_lens, in_offsets, who.size, 1, &in_end);
    if (status == 0) status = check_pair(&who, in, in_end, out, out_end);
    if (status < 0) return status;
    int me = sinew_rank(team);
    if (!in_place && in_lens[me] != out_lens[me])
        return team_refuse(team, SINEW_EINVAL,
                           "sinew_alltoallv: in_lens[%d], to myself, is %zu, but out_lens[%d] %zu",
                           me, in_lens[me], me, out_lens[me]);
    struct call call = {
        .collective = COLLECTIVE_ALLTOALLV,
        .element_bytes = 1,
        .in_count = in_end,
        .out_count = out_end,
        .out_parts = { out_lens, out_offsets },
        .in_place = in_place,
        .in = in,
        .out = out,
    };
    if (!in_place) call.in_parts = (struct parts){ in_lens, in_offsets };
    return caller_run(&who, &call, req);
}

/* ----------------------------------------------------------------------------------- neighbours */

static int check_neighbours(const struct caller *who, const char *what, const int *ranks, int n)
{
    int size = (int)who->size;
    if (n < 0 || n > SINEW_NEIGHBOURS_MAX)
        return team_refuse(who->team, SINEW_EINVAL,
                           "%s: graph->%s_count is %d, it must be from 0 to %d", who->name, what, n,
                           SINEW_NEIGHBOURS_MAX);
    if (!ranks && n)
        return team_refuse(who->team, SINEW_EINVAL, "%s: graph->%s is NULL, it must hold %d ranks",
                           who->name, what, n);
    for (int i = 0; i < n; i++)
        if (ranks[i] < 0 || ranks[i] >= size)
            return team_refuse(who->team, SINEW_EINVAL,
                               "%s: graph->%s[%d] is %d, it must be a rank from 0 to %d", who->name,
                               what, i, ranks[i], size - 1);
    return 0;
}

static int check_graph(const struct caller *who, const struct sinew_graph *graph)
{
    if (!graph) return team_refuse(who->team, SINEW_EINVAL, "%s: graph is NULL", who->name);
    int status = check_neighbours(who, "to", graph->to, graph->to_count);
    return status < 0 ? status : check_neighbours(who, "from", graph->from, graph->from_count);
}

/* Of len bytes each: in_times of them in, one out for each neighbour heard. */
static int neighbours_even(const struct caller *who, enum collective collective,
                           const struct sinew_graph *graph, const void *in, size_t len,
                           size_t in_times, void *out, struct sinew_request **req)
{
    size_t in_bytes = 0, out_bytes = 0;
    int status = check_bytes(who, "len", len, 1, in_times, &in_bytes);
    if (status == 0)
        status = check_bytes(who, "len", len, 1, (size_t)graph->from_count, &out_bytes);
    if (status == 0) status = check_buffer(who, "in", in, in_bytes);
    if (status == 0) status = check_pair(who, in, in_bytes, out, out_bytes);
    if (status < 0) return status;
    struct call call = {
        .collective = collective,
        .element_bytes = 1,
        .in_count = in_bytes,
        .out_count = out_bytes,
        .agreed = len,
        .bytes = len,
        .in = in,
        .out = out,
        .graph = graph,
    };
    return caller_run(who, &call, req);
}

int sinew_neighbour_allgather(struct sinew_team *team, const struct sinew_graph *graph,
                              const void *in, size_t len, void *out, struct sinew_request **req)
{
    struct caller who;
    const struct straight_tables tables = { .graph = graph };
    int done;
    if (graph && tables_straight(team, COLLECTIVE_NEIGHBOUR_ALLGATHER, 0, len, &tables, in, out, in,
                                 req, &done))
        return done;
    int status = check_entry(team, "sinew_neighbour_allgather", req, &who);
    if (status == 0) status = check_graph(&who, graph);
    if (status < 0) return status;
    return neighbours_even(&who, COLLECTIVE_NEIGHBOUR_ALLGATHER, graph, in, len, 1, out, req);
}

int sinew_neighbour_alltoall(struct sinew_team *team, const struct sinew_graph *graph,
                             const void *in, size_t len, void *out, struct sinew_request **req)
{
    struct caller who;
    const struct straight_tables tables = { .graph = graph };
    int done;
    if (graph && tables_straight(team, COLLECTIVE_NEIGHBOUR_ALLTOALL, 0, len, &tables, in, out, in,
                                 req, &done))
        return done;
    int status = check_entry(team, "sinew_neighbour_alltoall", req, &who);
    if (status == 0) status = check_graph(&who, graph);
    if (status < 0) return status;
    return neighbours_even(&who, COLLECTIVE_NEIGHBOUR_ALLTOALL, graph, in, len,
                           (size_t)graph->to_count, out, req);
}

int sinew_neighbour_alltoallv(struct sinew_team *team, const struct sinew_graph *graph,
                              const void *in, const size_t *in_lens, const size_t *in_offsets,
                              void *out, const size_t *out_lens, const size_t *out_offsets,
                              struct sinew_request **req)
{
    struct caller who;
    size_t in_end = 0, out_end = 0;
    const struct straight_tables tables = { { in_lens, in_offsets },
                                            { out_lens, out_offsets },
                                            .graph = graph };
    int done;
    if (graph && tables_straight(team, COLLECTIVE_NEIGHBOUR_ALLTOALLV, 0, 0, &tables, in, out, in,
                                 req, &done))
        return done;
    int status = check_entry(team, "sinew_neighbour_alltoallv", req, &who);
    if (status == 0) status = check_graph(&who, graph);
    if (status < 0) return status;
    size_t to = (size_t)graph->to_count, from = (size_t)graph->from_count;
    status = check_counts(&who, "in_lens", in_lens, in_offsets, to, 1, &in_end);
    if (status == 0)
        status = check_counts(&who, "out_lens", out_lens, out_offsets, from, 1, &out_end);
    if (status == 0) status = check_buffer(&who, "in", in, in_end);
    if (status == 0) status = check_pair(&who, in, in_end, out, out_end);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_NEIGHBOUR_ALLTOALLV,
        .element_bytes = 1,
        .in_count = in_end,
        .out_count = out_end,
        .in_parts = { in_lens, in_offsets },
        .out_parts = { out_lens, out_offsets },
        .in = in,
        .out = out,
        .graph = graph,
    };
    return caller_run(&who, &call, req);
}
