/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everyone with everyone, once: no rank waits for what another has to do first. Where ranks take
 * turns on few cores that is one turn instead of one for each round.
 */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/flat.h"
#include "collectives/pattern/ring.h"

struct meeting pairwise_meeting(const struct build *b, uint32_t pieces, uint32_t i)
{
    uint32_t each_way = pairwise_meetings(b, pieces) / 2;
    bool ahead = 2 * each_way < WINDOW_STEPS, sends = ahead ? i < each_way : i % 2 == 0;
    uint32_t message = ahead ? i % each_way : i / 2, distance = 1 + message / pieces;
    uint32_t peer = sends ? ring_right(b->rank, distance, b->size)
                          : ring_left(b->rank, distance, b->size);
    return (struct meeting){ sends, peer, message % pieces };
}

/* Among more than one window holds. */
static void allgather_loop(struct build *b, struct place own)
{
    uint32_t p = b->size, right = ring_right(b->rank, 1, p), left = ring_left(b->rank, 1, p);
    build_loop(b, p - 1);
    build_send(b, right, own, 1);
    build_move_peer(b, 1);
    build_recv(b, left, place_moving(BUFFER_OUT, left, -1), 1);
    build_move_peer(b, -1);
    build_loop_end(b);
}

uint32_t pair_pieces(const struct build *b)
{
    return b->size == 2 && b->parameter > 1 ? b->parameter : 1;
}

/* A piece is sent ahead, so what has to arrive is on its way while one's own is copied. Who is
 * ahead has sent four at most that the other has not received. Of two none is: all would be sent
 * before anything is received, and the room for it could not be given back along with a piece. */
void pair_exchange(struct build *b, struct place give, struct place own)
{
    uint32_t k = b->parameter, peer = 1 - b->rank, ahead = k > 2;
    for (uint32_t i = 0; i < k + ahead; i++) {
        uint32_t taken = i - ahead;
        if (i < k) build_send(b, peer, place_at(give.buffer, give.at + i), 1);
        if (i < ahead) continue;
        if (!b->in_place)
            build_copy(b, place_at(own.buffer, own.at + taken),
                       place_at(BUFFER_OUT, b->rank * k + taken), 1);
        build_recv(b, peer, place_at(BUFFER_OUT, peer * k + taken), 1);
    }
}

/* p - 1 messages each way and no order among them. */
void generate_allgather_pairwise(struct build *b)
{
    uint32_t k = pair_pieces(b);
    struct place own = b->in_place ? place_at(BUFFER_OUT, b->rank * k) : place_at(BUFFER_IN, 0);
    b->blocks[BUFFER_IN] = k;
    b->blocks[BUFFER_OUT] = b->size * k;
    if (k > 1) {
        pair_exchange(b, own, own);
        return;
    }
    if (b->size > PAIRWISE_RANKS) allgather_loop(b, own);
    for (uint32_t i = 0; b->size <= PAIRWISE_RANKS && i < pairwise_meetings(b, 1); i++) {
        struct meeting m = pairwise_meeting(b, 1, i);
        if (m.sends)
            build_send(b, m.peer, own, 1);
        else
            build_recv(b, m.peer, place_at(BUFFER_OUT, m.peer), 1);
    }
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
    uint32_t pieces = pieces_of(b), mine = b->rank * pieces, first = ring_left(b->rank, 1, b->size);
    for (uint32_t i = 0; i < pairwise_meetings(b, pieces); i++) {
        struct meeting m = pairwise_meeting(b, pieces, i);
        struct place sum = place_at(acc, at + m.piece);
        if (m.sends)
            build_send(b, m.peer, place_at(in, m.peer * pieces + m.piece), 1);
        else
            build_recv_reduce(b, m.peer, m.peer == first ? place_at(in, mine + m.piece) : sum, sum,
                              1);
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
    for (uint32_t i = 0; i < pairwise_meetings(b, pieces); i++) {
        struct meeting m = pairwise_meeting(b, pieces, i);
        if (m.sends)
            build_send(b, m.peer, place_at(BUFFER_OUT, mine + m.piece), 1);
        else
            build_recv(b, m.peer, place_at(BUFFER_OUT, m.peer * pieces + m.piece), 1);
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
