/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On the node first, then between nodes: the network carries each byte once for a node, not once
 * for each of its ranks. The parameter is how many ranks there are on a node.
 */
#include "collectives/collective.h"
#include "collectives/generate_parts.h"
#include "collectives/pattern/binomial.h"
#include "collectives/pattern/nodes.h"

/* The leader of a node in what has a root: the root on its own, elsewhere the first rank. */
static uint32_t node_leader(const struct build *b, uint32_t node)
{
    return b->root / b->parameter == node ? b->root : node * b->parameter;
}

/* The node of `level` that node n hears from, or hears: as in binomial.h, of nodes. */
static bool node_child(const struct build *b, const struct nodes *n, uint32_t level,
                       uint32_t *child)
{
    uint32_t first, many, root = b->root / b->parameter;
    if (!binomial_block(binomial_sibling(n->node, level), level, n->count, &first, &many))
        return false;
    *child = node_leader(b, binomial_leader(first, level, root));
    return true;
}

static uint32_t node_parent(const struct build *b, const struct nodes *n, uint32_t height)
{
    return node_leader(b, binomial_leader(n->node, height + 1, b->root / b->parameter));
}

/* log2 of the nodes rounds over the network, then one on the node. */
void generate_bcast_two_level(struct build *b)
{
    struct nodes n = nodes_of(b->rank, b->size, b->parameter);
    uint32_t child, leader = node_leader(b, n.node), root = b->root / b->parameter;
    uint32_t height = binomial_height(n.node, root, n.count);
    struct place out = place_at(BUFFER_OUT, 0);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    if (b->rank != leader) {
        build_recv(b, leader, out, 1);
        return;
    }
    if (n.node != root) build_recv(b, node_parent(b, &n, height), out, 1);
    for (uint32_t level = height; level-- > 0;)
        if (node_child(b, &n, level, &child)) build_send(b, child, out, 1);
    for (uint32_t rank = n.first; rank < n.first + n.here; rank++)
        if (rank != leader) build_send(b, rank, out, 1);
}

/* The same upwards; the ranks of a node are added from the leader on to the right, then to the
 * left: order is kept. */
void generate_reduce_two_level(struct build *b)
{
    struct nodes n = nodes_of(b->rank, b->size, b->parameter);
    uint32_t child, leader = node_leader(b, n.node), root = b->root / b->parameter;
    uint32_t height = binomial_height(n.node, root, n.count);
    struct place sum = place_at(b->in_place ? BUFFER_OUT : BUFFER_IN, 0);
    struct place acc = place_at(b->rank == b->root ? BUFFER_OUT : BUFFER_TMP, 0);
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = 1;
    if (b->rank != leader) {
        build_send(b, leader, sum, 1);
        return;
    }
    b->blocks[acc.buffer] = 1;
    for (uint32_t i = 1, right = n.first + n.here - leader; i < n.here; i++, sum = acc)
        build_recv_reduce(b, i < right ? leader + i : leader - (i - right + 1), sum, acc, 1);
    for (uint32_t level = 0; level < height; level++) {
        if (!node_child(b, &n, level, &child)) continue;
        build_recv_reduce(b, child, sum, acc, 1);
        sum = acc;
    }
    if (n.node != root)
        build_send(b, node_parent(b, &n, height), sum, 1);
    else if (sum.buffer == BUFFER_IN)
        build_copy(b, sum, acc, 1);
}

/*
 * Each of several leaders adds up its part of the vector on the node, then with the like of all
 * other nodes, by recursive doubling, then tells the node: so all ranks of a node work, and the
 * network carries N a node in as many streams as there are leaders.
 */
void generate_allreduce_two_level(struct build *b)
{
    struct nodes n = nodes_of(b->rank, b->size, b->parameter);
    uint32_t leaders = n.count > 1 ? n.fewest : n.here;
    enum op_buffer in = b->in_place ? BUFFER_OUT : BUFFER_IN;
    struct place sum = place_at(in, n.local), out = place_at(BUFFER_OUT, n.local);
    bool leads = n.local < leaders;
    b->blocks[BUFFER_IN] = b->blocks[BUFFER_OUT] = leaders;
    for (uint32_t i = 1; i < n.here; i++) {
        uint32_t to = (n.local + i) % n.here, from = (n.local + n.here - i) % n.here;
        if (to < leaders) build_send(b, n.first + to, place_at(in, to), 1);
        if (!leads) continue;
        build_recv_reduce(b, n.first + from, sum, out, 1);
        sum = out;
    }
    struct group alike = { n.local, n.each, n.node, n.count };
    if (leads) group_allreduce(b, &alike, sum, out);
    for (uint32_t i = 1; i < n.here; i++) {
        uint32_t to = (n.local + i) % n.here, from = (n.local + n.here - i) % n.here;
        if (leads) build_send(b, n.first + to, out, 1);
        if (from < leaders) build_recv(b, n.first + from, place_at(BUFFER_OUT, from), 1);
    }
}
