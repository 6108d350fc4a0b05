/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everyone with everyone, once: no rank waits for what another has to do first. Where ranks take
 * turns on few cores that is one turn instead of one for each round.
 */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/flat.h"
#include "collectives/pattern/ring.h"

/* p - 1 messages each way and no order among them; to the right, from the left, so that both ends
 * of a message come to it at the same step. */
void generate_allgather_pairwise(struct build *b)
{
    uint32_t p = b->size, right = ring_right(b->rank, 1, p), left = ring_left(b->rank, 1, p);
    struct place own = b->in_place ? place_at(BUFFER_OUT, b->rank) : place_at(BUFFER_IN, 0);
    b->blocks[BUFFER_IN] = 1;
    b->blocks[BUFFER_OUT] = p;
    build_loop(b, p - 1);
    build_send(b, right, own, 1);
    build_move_peer(b, 1);
    build_recv(b, left, place_moving(BUFFER_OUT, left, -1), 1);
    build_move_peer(b, -1);
    build_loop_end(b);
    if (!b->in_place) build_copy(b, own, place_at(BUFFER_OUT, b->rank), 1);
}

/* As many as asked for, and as there is room for in a schedule without loops. */
static uint32_t pieces_of(const struct build *b)
{
    uint32_t most = b->size > 1 ? PAIRWISE_MESSAGES / (b->size - 1) : PAIRWISE_MESSAGES;
    return b->parameter < most ? b->parameter : most;
}

/*
 * The sum of block b->rank of all, in pieces, into acc from its block `at` on; in has all ranks'
 * blocks. No loop: a fence between the steps would make rounds of them.
 */
static void pairwise_reduce(struct build *b, enum op_buffer in, enum op_buffer acc, uint32_t at)
{
    uint32_t pieces = pieces_of(b), mine = b->rank * pieces;
    for (uint32_t i = 1; i < b->size; i++) {
        uint32_t to = ring_right(b->rank, i, b->size), from = ring_left(b->rank, i, b->size);
        for (uint32_t k = 0; k < pieces; k++) {
            struct place sum = i > 1 ? place_at(acc, at + k) : place_at(in, mine + k);
            build_send(b, to, place_at(in, to * pieces + k), 1);
            build_recv_reduce(b, from, sum, place_at(acc, at + k), 1);
        }
    }
    if (b->size == 1 && in != acc) build_copy(b, place_at(in, 0), place_at(acc, 0), pieces);
}

/* N (p - 1) / p bytes and no memory: for long vectors and few ranks. Among more than one window
 * holds it is circulant. */
void generate_reduce_scatter_pairwise(struct build *b)
{
    enum op_buffer acc = b->in_place ? BUFFER_TMP : BUFFER_OUT;
    if (b->size > PAIRWISE_RANKS) {
        generate_reduce_scatter_circulant(b);
        return;
    }
    b->blocks[BUFFER_IN] = b->size * pieces_of(b);
    b->blocks[BUFFER_OUT] = b->blocks[acc] = pieces_of(b);
    b->tmp_like = BUFFER_OUT;
    pairwise_reduce(b, BUFFER_IN, acc, 0);
    if (!b->in_place) return;
    build_fence(b);
    build_copy(b, place_at(acc, 0), place_at(BUFFER_OUT, 0), pieces_of(b));
}

/* Then the sums to everyone: 2 N (p - 1) / p bytes, two steps. Among more it is circulant. */
void generate_allreduce_pairwise(struct build *b)
{
    uint32_t pieces = pieces_of(b), mine = b->rank * pieces;
    if (b->size > PAIRWISE_RANKS) {
        generate_allreduce_circulant(b);
        return;
    }
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->size * pieces;
    pairwise_reduce(b, b->in_place ? BUFFER_OUT : BUFFER_IN, BUFFER_OUT, mine);
    for (uint32_t i = 1; i < b->size; i++) {
        uint32_t to = ring_right(b->rank, i, b->size), from = ring_left(b->rank, i, b->size);
        for (uint32_t k = 0; k < pieces; k++) {
            build_send(b, to, place_at(BUFFER_OUT, mine + k), 1);
            build_recv(b, from, place_at(BUFFER_OUT, from * pieces + k), 1);
        }
    }
}

/* The same, but to the root alone. */
void generate_reduce_pairwise(struct build *b)
{
    uint32_t pieces = pieces_of(b), mine = b->rank * pieces;
    bool root = b->rank == b->root;
    enum op_buffer acc = root ? BUFFER_OUT : BUFFER_TMP;
    if (b->size > PAIRWISE_RANKS) {
        generate_reduce_scatter_gather(b);
        return;
    }
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->blocks[acc] = b->size * pieces;
    pairwise_reduce(b, b->in_place ? BUFFER_OUT : BUFFER_IN, acc, mine);
    for (uint32_t k = 0; !root && k < pieces; k++)
        build_send(b, b->root, place_at(acc, mine + k), 1);
    for (uint32_t i = 1; root && i < b->size; i++) {
        uint32_t from = ring_left(b->rank, i, b->size);
        for (uint32_t k = 0; k < pieces; k++)
            build_recv(b, from, place_at(acc, from * pieces + k), 1);
    }
}
