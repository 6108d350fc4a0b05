/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/doubling.h"
#include "collectives/pattern/flat.h"
#include "collectives/pattern/ring.h"

/*
 * floor(log2 p) rounds, two more when p is no power of two, each with the whole vector. Both sides
 * of a pair compute "lower (+) upper", so all ranks bracket alike.
 */
void generate_allreduce_doubling(struct build *b)
{
    struct group all = { 0, 1, b->rank, b->size };
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    group_allreduce(b, &all, place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0),
                    place_at(BUFFER_OUT, 0));
}

/* 2 (p - 1) rounds, 2 N (p - 1) / p bytes a rank: for long vectors. Each block is reduced once and
 * copied, so the bits are the same everywhere. Blocks go in as many pieces as the parameter says,
 * so that one is added while the next is on its way. */
void generate_allreduce_ring(struct build *b)
{
    uint32_t pieces = b->parameter;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->size * pieces;
    ring_reduce_scatter(b, b->in_place ? BUFFER_OUT : BUFFER_IN, BUFFER_OUT, b->rank, pieces);
    ring_allgather(b, BUFFER_OUT, ring_right(b->rank, 1, b->size), pieces);
}

/* The rounds of recursive halving: range [*first, + *n) of OUT becomes the sum over all places,
 * each round with the other half of what the one before left. */
static void halving_rounds(struct build *b, struct place current, uint32_t *first, uint32_t *n)
{
    for (uint32_t round = 0; round < doubling_rounds(b->size); round++) {
        uint32_t partner = doubling_partner(b->rank, round, b->size);
        bool upper = doubling_place(b->rank, b->size) >> round & 1;
        *n /= 2;
        uint32_t keep = *first + (upper ? *n : 0), give = *first + (upper ? 0 : *n);
        build_send(b, partner, place_at(current.buffer, give), *n);
        build_recv_reduce(b, partner, place_at(current.buffer, keep), place_at(BUFFER_OUT, keep),
                          *n);
        current.buffer = BUFFER_OUT;
        *first = keep;
    }
}

/* floor(log2 p) rounds of halving, as many of doubling back, 2 N bytes a rank and two messages more
 * when p is no power of two; brackets as recursive doubling does. */
void generate_allreduce_rabenseifner(struct build *b)
{
    uint32_t first = 0, n = (uint32_t)1 << doubling_rounds(b->size), all = n, other = b->rank;
    struct place current = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0);
    struct place out = place_at(BUFFER_OUT, 0);
    bool folded = false;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = all;
    doubling_fold(b->rank, b->size, &other, &folded);
    if (folded) {
        build_send(b, other, current, all);
        build_recv(b, other, out, all);
        return;
    }
    if (other != b->rank) {
        build_recv_reduce(b, other, current, out, all);
        current = out;
    }
    halving_rounds(b, current, &first, &n);
    for (uint32_t round = doubling_rounds(b->size); round-- > 0; n *= 2) {
        uint32_t partner = doubling_partner(b->rank, round, b->size);
        bool upper = doubling_place(b->rank, b->size) >> round & 1;
        build_send(b, partner, place_at(BUFFER_OUT, first), n);
        build_recv(b, partner, place_at(BUFFER_OUT, upper ? first - n : first + n), n);
        if (upper) first -= n;
    }
    if (b->size == 1 && !b->in_place) build_copy(b, current, out, all);
    if (other != b->rank) build_send(b, other, out, all);
}

/* Up the aligned tree and down: 2 ceil(log2 p) rounds. The bracketing is that of the tree. */
void generate_allreduce_tree(struct build *b)
{
    enum op_buffer in = b->in_place ? BUFFER_OUT : BUFFER_IN;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    struct place sum = subtree_reduce(b, in, BUFFER_OUT, 1);
    if (b->size == 1 && sum.buffer == BUFFER_IN) build_copy(b, sum, place_at(BUFFER_OUT, 0), 1);
    subtree_bcast(b, 1);
}

/*
 * What a rank that hears of all has added up so far: sums of 1, 2, 4 … ranks, each waiting for the
 * like to its right, as a binary counter's bits. What it received lies in TMP, stacked; its own
 * input, once something right of it is added, in OUT.
 */
struct counter {
    struct place own;
    struct place held[32]; /* by the number of ranks, its logarithm */
    uint32_t depth;        /* blocks of TMP in use                  */
};

/* left + right: the right one is the newest, and gone afterwards. */
static struct place counter_sum(struct build *b, struct counter *c, struct place left,
                                struct place right)
{
    struct place sum = left.buffer == BUFFER_IN ? place_at(BUFFER_OUT, 0) : left;
    build_reduce(b, left, right, sum, 1);
    if (right.buffer == BUFFER_TMP) c->depth--;
    return sum;
}

static struct place counter_take(struct build *b, struct counter *c, uint32_t rank)
{
    if (rank == b->rank) return c->own;
    struct place at = place_at(BUFFER_TMP, c->depth++);
    if (b->blocks[BUFFER_TMP] < c->depth) b->blocks[BUFFER_TMP] = c->depth;
    build_recv(b, rank, at, 1);
    return at;
}

/* The sum of all inputs, bracketed by the aligned tree, into OUT. */
static void counter_run(struct build *b)
{
    struct counter c = { .own = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0) };
    struct place sum = c.own, out = place_at(BUFFER_OUT, 0);
    uint32_t level = 0;
    for (uint32_t rank = 0; rank < b->size; rank++) {
        sum = counter_take(b, &c, rank);
        for (level = 0; rank >> level & 1; level++) sum = counter_sum(b, &c, c.held[level], sum);
        c.held[level] = sum;
    }
    for (level++; b->size >> level; level++) /* cut off: those that wait, the least first */
        if (b->size >> level & 1) sum = counter_sum(b, &c, c.held[level], sum);
    if (sum.buffer != BUFFER_OUT) build_copy(b, sum, out, 1);
}

/* 2 (p - 1) messages at rank 0, two at each other. */
void generate_allreduce_flat(struct build *b)
{
    struct place out = place_at(BUFFER_OUT, 0);
    struct place in = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0);
    if (b->size > FLAT_RANKS) b->failure = FLAT_TOO_MANY;
    if (b->failure) return;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    if (b->rank != FLAT_ROOT) {
        build_send(b, FLAT_ROOT, in, 1);
        build_recv(b, FLAT_ROOT, out, 1);
        return;
    }
    counter_run(b);
    build_loop(b, b->size - 1);
    build_send(b, 1, out, 1);
    build_move_peer(b, 1);
    build_loop_end(b);
}

/* p - 1 messages at each rank, to all others. No loop:
 * nobody's receives may wait for his sends to be over, or all would wait. Among more ranks than one
 * window holds it is flat. */
void generate_allreduce_direct(struct build *b)
{
    struct place in = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0);
    if (b->size > DIRECT_RANKS) {
        generate_allreduce_flat(b);
        return;
    }
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    for (uint32_t i = 1; i < b->size; i++) build_send(b, (b->rank + i) % b->size, in, 1);
    counter_run(b);
}

/*
 * ceil(log2 p) rounds for any p, after which everyone has all vectors, p of them in memory; each
 * adds them up by the aligned tree. For short ones among so many that are no power of two.
 */
void generate_allreduce_allgather(struct build *b)
{
    struct place in = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0),
                 out = place_at(BUFFER_OUT, 0);
    if (b->size > GATHERED_RANKS) {
        generate_allreduce_tree(b);
        return;
    }
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    b->blocks[BUFFER_TMP] = b->size;
    b->tmp_like = BUFFER_OUT;
    build_copy(b, in, place_at(BUFFER_TMP, b->rank), 1);
    circulant_allgather(b, BUFFER_TMP);
    for (uint32_t step = 1; step < b->size; step *= 2)
        for (uint32_t left = 0; left + step < b->size; left += 2 * step) {
            struct place at = place_at(BUFFER_TMP, left);
            build_reduce(b, at, place_at(BUFFER_TMP, left + step),
                         2 * step < b->size ? at : out, 1);
        }
    if (b->size == 1 && !b->in_place) build_copy(b, in, out, 1);
}
