/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/coll_reads.h"

static enum op_buffer input(const struct build *b)
{
    return b->in_place ? BUFFER_OUT : BUFFER_IN;
}

static void tell_all(struct build *b)
{
    for (uint32_t i = 1; i < b->size; i++) build_tell(b, (b->rank + i) % b->size);
}

static void await_all(struct build *b)
{
    for (uint32_t i = 1; i < b->size; i++) build_await(b, (b->rank + b->size - i) % b->size);
}

/* All read from the root. */
static void generate_bcast(struct build *b)
{
    struct place out = place_at(BUFFER_OUT, 0);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    if (b->rank == b->root) {
        tell_all(b);
        await_all(b);
        return;
    }
    build_await(b, b->root);
    build_read(b, b->root, out, out, 1);
    build_tell(b, b->root);
}

/* The root reads all. */
static void generate_reduce(struct build *b)
{
    struct place sum = place_at(input(b), 0), out = place_at(BUFFER_OUT, 0);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    if (b->rank != b->root) {
        build_tell(b, b->root);
        build_await(b, b->root);
        return;
    }
    for (uint32_t i = 1; i < b->size; i++, sum = out) {
        uint32_t peer = (b->rank + i) % b->size;
        build_await(b, peer);
        build_read_reduce(b, peer, place_at(BUFFER_IN, 0), sum, out, 1);
        build_tell(b, peer);
    }
    if (sum.buffer == BUFFER_IN) build_copy(b, sum, out, 1);
}

/* Each reads from all. */
static void generate_allgather(struct build *b)
{
    b->blocks[BUFFER_IN] = 1;
    b->blocks[BUFFER_OUT] = b->size;
    if (!b->in_place) build_copy(b, place_at(BUFFER_IN, 0), place_at(BUFFER_OUT, b->rank), 1);
    tell_all(b);
    for (uint32_t i = 1; i < b->size; i++) {
        uint32_t peer = (b->rank + i) % b->size;
        build_await(b, peer);
        build_read(b, peer, place_at(input(b), b->in_place ? peer : 0), place_at(BUFFER_OUT, peer),
                   1);
    }
    tell_all(b);
    await_all(b);
}

/* Each adds up a block of all, then reads the sums: where the others may still be reading in place,
 * a sum is written only after their word. */
static void generate_allreduce(struct build *b)
{
    struct place out = place_at(BUFFER_OUT, b->rank), sum = place_at(input(b), b->rank);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->size;
    tell_all(b);
    await_all(b);
    for (uint32_t i = 1; i < b->size; i++, sum = out)
        build_read_reduce(b, (b->rank + i) % b->size, place_at(input(b), b->rank), sum, out, 1);
    if (sum.buffer == BUFFER_IN) build_copy(b, sum, out, 1);
    tell_all(b);
    await_all(b);
    for (uint32_t i = 1; i < b->size; i++) {
        struct place at = place_at(BUFFER_OUT, (b->rank + i) % b->size);
        build_read(b, at.at, at, at, 1);
    }
    tell_all(b);
    await_all(b);
}

const struct algorithm reads[READS] = {
    { .name = "reads", .collective = COLLECTIVE_BCAST, .generate = generate_bcast, .flags = TILED },
    { .name = "reads", .collective = COLLECTIVE_REDUCE, .generate = generate_reduce,
      .flags = TILED },
    { .name = "reads", .collective = COLLECTIVE_ALLGATHER, .generate = generate_allgather },
    { .name = "reads", .collective = COLLECTIVE_ALLREDUCE, .generate = generate_allreduce },
};
