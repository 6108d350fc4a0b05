/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exchanges.c - collectives in which each rank has its own part, with OSU's sizes
 *
 * bytes is one part: what goes from one rank to one other. Those with a table of lengths have equal
 * ones, so that they compare with those without. Neighbours are those on the left and on the right.
 */
#include "perf.h"

#include <stdlib.h>
#include <string.h>

enum { ROOT = 0 };

void work_lens(struct work *w, size_t len)
{
    int size = w->perf->size;
    w->lens = malloc((size_t)size * sizeof(*w->lens));
    if (!w->lens) perf_die(w->perf, "no memory for %d lengths", size);
    for (int r = 0; r < size; r++) w->lens[r] = len;
}

/* The part from one rank to another is filled as with a seed of their own. */
static uint64_t part_seed(uint64_t seed, int to)
{
    return seed * 1000003 + (uint64_t)to;
}

static void parts_fill(struct work *w, uint64_t seed)
{
    for (size_t r = 0; r * w->bytes < w->out_len; r++)
        pattern_fill(w->out + r * w->bytes, w->bytes, w->perf->rank, part_seed(seed, (int)r));
}

static bool from_root_check(const struct work *w, uint64_t seed)
{
    return pattern_check(w->in, w->bytes, ROOT, part_seed(seed, w->perf->rank));
}

static bool parts_check(const struct work *w, uint64_t seed)
{
    for (int r = 0; r < w->perf->size; r++)
        if (!pattern_check(w->in + (size_t)r * w->bytes, w->bytes, r,
                           part_seed(seed, w->perf->rank)))
            return false;
    return true;
}

static void one_fill(struct work *w, uint64_t seed)
{
    pattern_fill(w->out, w->out_len, w->perf->rank, seed);
}

static bool ones_check(const struct work *w, uint64_t seed)
{
    for (int r = 0; (size_t)r * w->bytes < w->in_len; r++)
        if (!pattern_check(w->in + (size_t)r * w->bytes, w->bytes, r, seed)) return false;
    return true;
}

static void from_root_shape(struct work *w)
{
    w->out_len = w->perf->rank == ROOT ? w->bytes * (size_t)w->perf->size : 0;
    w->in_len = w->bytes;
    work_lens(w, w->bytes);
}

static void to_root_shape(struct work *w)
{
    w->out_len = w->bytes;
    w->in_len = w->perf->rank == ROOT ? w->bytes * (size_t)w->perf->size : 0;
    work_lens(w, w->bytes);
}

static void to_all_shape(struct work *w)
{
    w->out_len = w->bytes;
    w->in_len = w->bytes * (size_t)w->perf->size;
    work_lens(w, w->bytes);
}

static void all_shape(struct work *w)
{
    w->out_len = w->in_len = w->bytes * (size_t)w->perf->size;
    work_lens(w, w->bytes);
}

static int scatter_call(struct work *w, struct sinew_request **req)
{
    return sinew_scatter(w->perf->world, w->out, w->bytes, w->in, ROOT, req);
}

static int scatterv_call(struct work *w, struct sinew_request **req)
{
    return sinew_scatterv(w->perf->world, w->out, w->lens, NULL, w->in, w->bytes, ROOT, req);
}

static int gatherv_call(struct work *w, struct sinew_request **req)
{
    return sinew_gatherv(w->perf->world, w->out, w->bytes, w->in, w->lens, NULL, ROOT, req);
}

static int allgatherv_call(struct work *w, struct sinew_request **req)
{
    return sinew_allgatherv(w->perf->world, w->out, w->bytes, w->in, w->lens, NULL, req);
}

static int alltoall_call(struct work *w, struct sinew_request **req)
{
    return sinew_alltoall(w->perf->world, w->out, w->bytes, w->in, req);
}

static int alltoallv_call(struct work *w, struct sinew_request **req)
{
    return sinew_alltoallv(w->perf->world, w->out, w->lens, NULL, w->in, w->lens, NULL, req);
}

/* ----------------------------------------------------------------------------------- neighbours */

/* On the left and on the right; told in this order, heard in the other: so part 0 goes left and
 * comes from the right. */
static void sides(const struct work *w, int to[2], int from[2])
{
    int size = w->perf->size, rank = w->perf->rank;
    to[0] = from[1] = (rank + size - 1) % size;
    to[1] = from[0] = (rank + 1) % size;
}

static void sides_shape(struct work *w)
{
    w->out_len = w->in_len = 2 * w->bytes;
}

static void one_to_sides_shape(struct work *w)
{
    w->out_len = w->bytes;
    w->in_len = 2 * w->bytes;
}

static bool sides_check(const struct work *w, uint64_t seed)
{
    int to[2], from[2];
    sides(w, to, from);
    bool parts = w->out_len > w->bytes;
    for (int i = 0; i < 2; i++)
        if (!pattern_check(w->in + (size_t)i * w->bytes, w->bytes, from[i],
                           parts ? part_seed(seed, i) : seed))
            return false;
    return true;
}

static int neighbour_allgather_call(struct work *w, struct sinew_request **req)
{
    int to[2], from[2];
    struct sinew_graph graph = { to, from, 2, 2 };
    sides(w, to, from);
    return sinew_neighbour_allgather(w->perf->world, &graph, w->out, w->bytes, w->in, req);
}

static int neighbour_alltoall_call(struct work *w, struct sinew_request **req)
{
    int to[2], from[2];
    struct sinew_graph graph = { to, from, 2, 2 };
    sides(w, to, from);
    return sinew_neighbour_alltoall(w->perf->world, &graph, w->out, w->bytes, w->in, req);
}

static int neighbour_alltoallv_call(struct work *w, struct sinew_request **req)
{
    int to[2], from[2];
    size_t lens[2] = { w->bytes, w->bytes };
    struct sinew_graph graph = { to, from, 2, 2 };
    sides(w, to, from);
    return sinew_neighbour_alltoallv(w->perf->world, &graph, w->out, lens, NULL, w->in, lens,
                                     NULL, req);
}

const struct workload workload_scatter = {
    .name = "scatter",
    .text = "blocks of rank 0, one for each rank",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = from_root_shape,
    .call = scatter_call,
    .fill = parts_fill,
    .check = from_root_check,
};

const struct workload workload_scatterv = {
    .name = "scatterv",
    .text = "like it with a table of lengths",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = from_root_shape,
    .call = scatterv_call,
    .fill = parts_fill,
    .check = from_root_check,
};

const struct workload workload_gatherv = {
    .name = "gatherv",
    .text = "gather with a table of lengths",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = to_root_shape,
    .call = gatherv_call,
    .fill = one_fill,
    .check = ones_check,
};

const struct workload workload_allgatherv = {
    .name = "allgatherv",
    .text = "allgather with a table of lengths",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = to_all_shape,
    .call = allgatherv_call,
    .fill = one_fill,
    .check = ones_check,
};

const struct workload workload_alltoall = {
    .name = "alltoall",
    .text = "a block from every rank to every rank",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = all_shape,
    .call = alltoall_call,
    .fill = parts_fill,
    .check = parts_check,
};

const struct workload workload_alltoallv = {
    .name = "alltoallv",
    .text = "like it with tables of lengths",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = all_shape,
    .call = alltoallv_call,
    .fill = parts_fill,
    .check = parts_check,
};

const struct workload workload_neighbour_allgather = {
    .name = "neighbour_allgather",
    .text = "one block to the left and the right",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = one_to_sides_shape,
    .call = neighbour_allgather_call,
    .fill = one_fill,
    .check = sides_check,
};

const struct workload workload_neighbour_alltoall = {
    .name = "neighbour_alltoall",
    .text = "a block to the left, one to the right",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = sides_shape,
    .call = neighbour_alltoall_call,
    .fill = parts_fill,
    .check = sides_check,
};

const struct workload workload_neighbour_alltoallv = {
    .name = "neighbour_alltoallv",
    .text = "like it with tables of lengths",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = sides_shape,
    .call = neighbour_alltoallv_call,
    .fill = parts_fill,
    .check = sides_check,
};
