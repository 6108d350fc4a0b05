/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prefixes: rank r gets what the ranks up to it (scan), or before it (exscan), combine to.
 *
 * Recursive doubling: at level k ranks stand in aligned blocks of 2^k, and each knows the total of
 * its block and its own prefix within it. A block on the right takes the total of its sibling on
 * the left before its prefix. A total is of use only to ranks further right, so one that nobody
 * there will ask for is not made; the last, cut off block is such a one.
 */
#include "collectives/collective.h"
#include "collectives/pattern/dissemination.h"

enum { TOTAL, ARRIVED, SCAN_BLOCKS };

/* Whether a rank's total is asked for at a level above `level`: by the right, or by a sibling on
 * the left that is asked in turn. */
static bool rises(uint32_t rank, uint32_t level, uint32_t size)
{
    for (uint32_t k = level + 1; (uint64_t)1 << k < size; k++)
        if (rank >> k & 1 ? rises(rank - ((uint32_t)1 << k), k, size)
                          : rank + ((uint64_t)1 << k) < size)
            return true;
    return false;
}

struct prefix {
    struct place at, total;
    bool none; /* an exscan's, before anything has come */
};

/* The sibling block on the left: its total stands before what is here. */
static void scan_left(struct build *b, uint32_t level, struct prefix *p)
{
    struct place out = place_at(BUFFER_OUT, 0), total = place_at(BUFFER_TMP, TOTAL);
    struct place came = p->none ? out : place_at(BUFFER_TMP, ARRIVED);
    uint32_t peer = b->rank - ((uint32_t)1 << level);
    bool needed = rises(b->rank, level, b->size);
    if (rises(peer, level, b->size)) build_send(b, peer, p->total, 1);
    if (needed || p->none) {
        build_recv(b, peer, came, 1);
        if (needed) build_reduce(b, came, p->total, total, 1);
        if (!p->none) build_reduce(b, came, p->at, out, 1);
    } else {
        build_recv_reduce(b, peer, p->at, out, 1);
    }
    *p = (struct prefix){ out, needed ? total : p->total, false };
}

static void scan_right(struct build *b, uint32_t level, struct prefix *p)
{
    uint64_t peer = (uint64_t)b->rank + ((uint64_t)1 << level);
    if (peer >= b->size) return;
    build_send(b, (uint32_t)peer, p->total, 1);
    if (!rises(b->rank, level, b->size)) return;
    build_recv_reduce(b, (uint32_t)peer, p->total, place_at(BUFFER_TMP, TOTAL), 1);
    p->total = place_at(BUFFER_TMP, TOTAL);
}

static void scan_levels(struct build *b, struct prefix *p)
{
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    b->blocks[BUFFER_TMP] = SCAN_BLOCKS;
    for (uint32_t level = 0; level < dissemination_rounds(b->size); level++)
        if (b->rank >> level & 1)
            scan_left(b, level, p);
        else
            scan_right(b, level, p);
}

/* ceil(log2 p) rounds, each with the whole vector: for short ones. */
void generate_scan_doubling(struct build *b)
{
    struct place in = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0);
    struct prefix p = { in, in, false };
    scan_levels(b, &p);
    if (p.at.buffer == BUFFER_IN) build_copy(b, in, place_at(BUFFER_OUT, 0), 1);
}

void generate_exscan_doubling(struct build *b)
{
    struct place in = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0);
    struct prefix p = { in, in, true };
    if (b->in_place && b->rank > 0) { /* at rank 0 nothing is written */
        p.total = place_at(BUFFER_TMP, TOTAL);
        build_copy(b, in, p.total, 1);
    }
    scan_levels(b, &p);
}

/* From rank to rank in pieces, N bytes a rank: for long vectors, and with few ranks. */
void generate_scan_chain(struct build *b)
{
    enum op_buffer in = b->in_place ? BUFFER_OUT : BUFFER_IN;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->parameter;
    if (b->rank == 0 && !b->in_place)
        build_copy(b, place_at(BUFFER_IN, 0), place_at(BUFFER_OUT, 0), b->parameter);
    build_loop(b, b->parameter);
    if (b->rank > 0)
        build_recv_reduce(b, b->rank - 1, place_moving(in, 0, 1), place_moving(BUFFER_OUT, 0, 1),
                          1);
    if (b->rank + 1 < b->size) build_send(b, b->rank + 1, place_moving(BUFFER_OUT, 0, 1), 1);
    build_loop_end(b);
}

void generate_exscan_chain(struct build *b)
{
    enum op_buffer in = b->in_place ? BUFFER_OUT : BUFFER_IN;
    bool sends = b->rank + 1 < b->size;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = b->blocks[BUFFER_TMP] = b->parameter;
    if (b->in_place && b->rank > 0 && sends) { /* the prefix will come where the input is */
        build_copy(b, place_at(BUFFER_OUT, 0), place_at(BUFFER_TMP, 0), b->parameter);
        in = BUFFER_TMP;
    }
    build_loop(b, b->parameter);
    if (b->rank > 0) build_recv(b, b->rank - 1, place_moving(BUFFER_OUT, 0, 1), 1);
    if (b->rank > 0 && sends)
        build_reduce(b, place_moving(BUFFER_OUT, 0, 1), place_moving(in, 0, 1),
                     place_moving(BUFFER_TMP, 0, 1), 1);
    enum op_buffer from = b->rank > 0 ? BUFFER_TMP : in;
    if (sends) build_send(b, b->rank + 1, place_moving(from, 0, 1), 1);
    build_loop_end(b);
}
