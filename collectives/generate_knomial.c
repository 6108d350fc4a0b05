/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/collective.h"
#include "collectives/pattern/knomial.h"

static uint32_t knomial_parent(const struct build *b, uint32_t height)
{
    return knomial_leader(b->rank, knomial_span(b->parameter, height + 1), b->root);
}

/* ceil(log_k p) rounds of up to k - 1 messages at once, each whole: for short ones. */
void generate_bcast_knomial(struct build *b)
{
    uint32_t radix = b->parameter, child;
    uint32_t height = knomial_height(b->rank, b->root, b->size, radix);
    struct place out = place_at(BUFFER_OUT, 0);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    if (b->rank != b->root) build_recv(b, knomial_parent(b, height), out, 1);
    for (uint32_t level = height; level-- > 0;)
        for (uint32_t i = 0; i < radix; i++)
            if (knomial_child(b->rank, i, level, radix, b->root, b->size, &child))
                build_send(b, child, out, 1);
}

/* The same upwards. Of each level those on the right are added from the nearest on, then those on
 * the left, also from the nearest: order is kept. */
void generate_reduce_knomial(struct build *b)
{
    uint32_t radix = b->parameter, child;
    uint32_t height = knomial_height(b->rank, b->root, b->size, radix);
    bool root = b->rank == b->root;
    struct place sum = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0);
    struct place acc = place_at(root ? BUFFER_OUT : BUFFER_TMP, 0);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    for (uint32_t level = 0; level < height; level++) {
        uint32_t own = (uint32_t)(b->rank / knomial_span(radix, level) % radix);
        for (uint32_t k = 1; k < radix; k++) {
            uint32_t i = own + k < radix ? own + k : radix - 1 - k;
            if (!knomial_child(b->rank, i, level, radix, b->root, b->size, &child)) continue;
            build_recv_reduce(b, child, sum, acc, 1);
            b->blocks[acc.buffer] = 1;
            sum = acc;
        }
    }
    if (!root) build_send(b, knomial_parent(b, height), sum, 1);
    if (root && sum.buffer == BUFFER_IN) build_copy(b, sum, acc, 1);
}
