/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * collectives.c - collectives of all ranks, rank 0 as root, with OSU's sizes
 *
 * bytes is what one rank contributes: the vector of a reduction (of f32, summed), the buffer of a
 * broadcast, the block of a gather.
 */
#include "perf.h"

#include <string.h>

enum { ROOT = 0, F32 = 4 };

/* Whole numbers so small that any order of adding gives the same sum. */
static float reduction_element(int rank, size_t i, uint64_t seed)
{
    return (float)((seed + i + (uint64_t)rank) % 64);
}

static void reduction_fill(struct work *w, uint64_t seed)
{
    float *out = (float *)(void *)w->out;
    for (size_t i = 0; i < w->bytes / F32; i++)
        out[i] = reduction_element(w->perf->rank, i, seed);
}

static bool reduction_check(const struct work *w, uint64_t seed)
{
    const float *in = (const float *)(const void *)w->in;
    for (size_t i = 0; i < w->in_len / F32; i++) {
        float sum = 0;
        for (int rank = 0; rank < w->perf->size; rank++) sum += reduction_element(rank, i, seed);
        if (memcmp(&sum, &in[i], sizeof(sum)) != 0) return false;
    }
    return true;
}

static void block_fill(struct work *w, uint64_t seed)
{
    pattern_fill(w->out, w->out_len, w->perf->rank, seed);
}

static bool block_check(const struct work *w, uint64_t seed)
{
    if (w->in_len == 0) return true;
    for (int rank = 0; rank < w->perf->size; rank++)
        if (!pattern_check(w->in + (size_t)rank * w->bytes, w->bytes, rank, seed)) return false;
    return true;
}

static bool at_root(const struct work *w)
{
    return w->perf->rank == ROOT;
}

static void barrier_shape(struct work *w)
{
    w->out_len = w->in_len = 0;
}

static int barrier_call(struct work *w, struct sinew_request **req)
{
    return sinew_barrier(w->perf->world, req);
}

static void bcast_shape(struct work *w)
{
    w->out_len = w->bytes;
    w->in_len = 0;
}

static int bcast_call(struct work *w, struct sinew_request **req)
{
    return sinew_bcast(w->perf->world, w->out, w->bytes, ROOT, req);
}

static void bcast_fill(struct work *w, uint64_t seed)
{
    if (at_root(w))
        pattern_fill(w->out, w->out_len, ROOT, seed);
    else
        memset(w->out, 0, w->out_len);
}

static bool bcast_check(const struct work *w, uint64_t seed)
{
    return pattern_check(w->out, w->out_len, ROOT, seed);
}

static void to_root_vector_shape(struct work *w)
{
    w->out_len = w->bytes;
    w->in_len = at_root(w) ? w->bytes : 0;
}

static int reduce_call(struct work *w, struct sinew_request **req)
{
    return sinew_reduce(w->perf->world, w->out, w->in, w->bytes / F32, SINEW_F32, SINEW_SUM, ROOT,
                        req);
}

static void vector_shape(struct work *w)
{
    w->out_len = w->in_len = w->bytes;
}

static int allreduce_call(struct work *w, struct sinew_request **req)
{
    return sinew_allreduce(w->perf->world, w->out, w->in, w->bytes / F32, SINEW_F32, SINEW_SUM,
                           req);
}

static void to_root_blocks_shape(struct work *w)
{
    w->out_len = w->bytes;
    w->in_len = at_root(w) ? w->bytes * (size_t)w->perf->size : 0;
}

static int gather_call(struct work *w, struct sinew_request **req)
{
    return sinew_gather(w->perf->world, w->out, w->bytes, w->in, ROOT, req);
}

static void blocks_shape(struct work *w)
{
    w->out_len = w->bytes;
    w->in_len = w->bytes * (size_t)w->perf->size;
}

static int allgather_call(struct work *w, struct sinew_request **req)
{
    return sinew_allgather(w->perf->world, w->out, w->bytes, w->in, req);
}

/* Parts of one length: the vector is longer by what they have too many, so that none is empty. */
static void block_of_vector_shape(struct work *w)
{
    size_t size = (size_t)w->perf->size;
    w->in_len = (w->bytes / F32 + size - 1) / size * F32;
    w->out_len = w->bytes = w->in_len * size;
    work_lens(w, w->in_len / F32);
}

/* The first parts are longer by an element where it does not come out even. */
static void part_of_vector_shape(struct work *w)
{
    size_t all = w->bytes / F32, size = (size_t)w->perf->size;
    work_lens(w, all / size);
    for (size_t rank = 0; rank < all % size; rank++) w->lens[rank]++;
    w->out_len = w->bytes;
    w->in_len = w->lens[w->perf->rank] * F32;
}

static bool part_check(const struct work *w, uint64_t seed)
{
    const float *in = (const float *)(const void *)w->in;
    size_t first = 0;
    for (int rank = 0; rank < w->perf->rank; rank++) first += w->lens[rank];
    for (size_t i = 0; i < w->in_len / F32; i++) {
        float sum = 0;
        for (int rank = 0; rank < w->perf->size; rank++)
            sum += reduction_element(rank, first + i, seed);
        if (memcmp(&sum, &in[i], sizeof(sum)) != 0) return false;
    }
    return true;
}

static int reduce_scatter_block_call(struct work *w, struct sinew_request **req)
{
    return sinew_reduce_scatter_block(w->perf->world, w->out, w->in, w->in_len / F32, SINEW_F32,
                                      SINEW_SUM, req);
}

static int reduce_scatter_call(struct work *w, struct sinew_request **req)
{
    return sinew_reduce_scatter(w->perf->world, w->out, w->in, w->lens, SINEW_F32, SINEW_SUM, req);
}

/* What the ranks [0, n) add up to. */
static bool prefix_check(const struct work *w, uint64_t seed, int n)
{
    const float *in = (const float *)(const void *)w->in;
    for (size_t i = 0; n > 0 && i < w->in_len / F32; i++) {
        float sum = 0;
        for (int rank = 0; rank < n; rank++) sum += reduction_element(rank, i, seed);
        if (memcmp(&sum, &in[i], sizeof(sum)) != 0) return false;
    }
    return true;
}

static bool scan_check(const struct work *w, uint64_t seed)
{
    return prefix_check(w, seed, w->perf->rank + 1);
}

static bool exscan_check(const struct work *w, uint64_t seed)
{
    return prefix_check(w, seed, w->perf->rank);
}

static int scan_call(struct work *w, struct sinew_request **req)
{
    return sinew_scan(w->perf->world, w->out, w->in, w->bytes / F32, SINEW_F32, SINEW_SUM, req);
}

static int exscan_call(struct work *w, struct sinew_request **req)
{
    return sinew_exscan(w->perf->world, w->out, w->in, w->bytes / F32, SINEW_F32, SINEW_SUM, req);
}

const struct workload workload_barrier = {
    .name = "barrier",
    .text = "nobody leaves before all have come",
    .unit = "us",
    .element = 1,
    .shape = barrier_shape,
    .call = barrier_call,
    .fill = block_fill,
    .check = block_check,
};

const struct workload workload_bcast = {
    .name = "bcast",
    .text = "bytes of rank 0 to all",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .from_root = true,
    .shape = bcast_shape,
    .call = bcast_call,
    .fill = bcast_fill,
    .check = bcast_check,
};

const struct workload workload_reduce = {
    .name = "reduce",
    .text = "sum of one f32 vector per rank, at rank 0",
    .unit = "us",
    .element = F32,
    .least = 8,
    .most = 1 << 20,
    .shape = to_root_vector_shape,
    .call = reduce_call,
    .fill = reduction_fill,
    .check = reduction_check,
};

const struct workload workload_allreduce = {
    .name = "allreduce",
    .text = "the same sum on every rank",
    .unit = "us",
    .element = F32,
    .least = 8,
    .most = 1 << 20,
    .shape = vector_shape,
    .call = allreduce_call,
    .fill = reduction_fill,
    .check = reduction_check,
};

const struct workload workload_gather = {
    .name = "gather",
    .text = "one block per rank, at rank 0",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = to_root_blocks_shape,
    .call = gather_call,
    .fill = block_fill,
    .check = block_check,
};

const struct workload workload_allgather = {
    .name = "allgather",
    .text = "one block per rank, on every rank",
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = blocks_shape,
    .call = allgather_call,
    .fill = block_fill,
    .check = block_check,
};

const struct workload workload_reduce_scatter_block = {
    .name = "reduce_scatter_block",
    .text = "the sum of all vectors, a part on every rank",
    .unit = "us",
    .element = F32,
    .least = 8,
    .most = 1 << 20,
    .shape = block_of_vector_shape,
    .call = reduce_scatter_block_call,
    .fill = reduction_fill,
    .check = part_check,
};

const struct workload workload_reduce_scatter = {
    .name = "reduce_scatter",
    .text = "like it with a table of lengths",
    .unit = "us",
    .element = F32,
    .least = 8,
    .most = 1 << 20,
    .shape = part_of_vector_shape,
    .call = reduce_scatter_call,
    .fill = reduction_fill,
    .check = part_check,
};

const struct workload workload_scan = {
    .name = "scan",
    .text = "the sum of the ranks up to each",
    .unit = "us",
    .element = F32,
    .least = 8,
    .most = 1 << 20,
    .shape = vector_shape,
    .call = scan_call,
    .fill = reduction_fill,
    .check = scan_check,
};

const struct workload workload_exscan = {
    .name = "exscan",
    .text = "the sum of the ranks before each",
    .unit = "us",
    .element = F32,
    .least = 8,
    .most = 1 << 20,
    .shape = vector_shape,
    .call = exscan_call,
    .fill = reduction_fill,
    .check = exscan_check,
};
