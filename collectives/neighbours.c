/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/neighbours.h"

#include "collectives/pattern/flat.h"

uint32_t neighbours_count(const struct sinew_graph *graph)
{
    uint32_t n = (uint32_t)graph->to_count + (uint32_t)graph->from_count;
    return n ? n : 1;
}

/* Where an operation's edge stands among all; of equal ones the ordinal tells. A window that has
 * room for all operations sends first: nobody waits for what this rank has to receive before. */
static uint64_t edge_order(const struct schedule *s, const struct op *op)
{
    bool sends = op_kind(op) == OP_SEND, behind = !sends && s->ops <= WINDOW_STEPS;
    uint32_t peer = op->at[FIELD_PEER], from = sends ? s->rank : peer, to = sends ? peer : s->rank;
    return (uint64_t)behind << 63 | (uint64_t)((to + (uint64_t)s->size - from) % s->size) << 32 |
           from;
}

/* Where the ordinal of an operation stands. */
static uint32_t *edge_ordinal(struct op *op)
{
    return &op->at[op_kind(op) == OP_SEND ? FIELD_D : FIELD_A];
}

/* In place, stable by edge and kind, with no memory and no bad case that matters: Shell's sort, the
 * position in the caller's list breaking ties. */
static void edges_sort(struct schedule *s)
{
    for (uint32_t gap = s->ops / 2; gap > 0; gap /= 2)
        for (uint32_t i = gap; i < s->ops; i++) {
            struct op op = s->op[i];
            uint64_t order = edge_order(s, &op);
            uint32_t j = i;
            for (; j >= gap; j -= gap) {
                const struct op *x = &s->op[j - gap];
                uint64_t before = edge_order(s, x);
                if (before < order || (before == order && x->dep[0] < op.dep[0])) break;
                s->op[j] = *x;
            }
            s->op[j] = op;
        }
}

void neighbours_schedule(struct schedule *s, const struct sinew_graph *graph, bool gathers)
{
    uint32_t to = (uint32_t)graph->to_count, from = (uint32_t)graph->from_count, n = 0;
    s->blocks[BUFFER_IN] = gathers ? 1 : to;
    s->blocks[BUFFER_OUT] = from;
    s->op[0] = (struct op){ .word = OP_NOP };
    for (uint32_t i = 0; i < from; i++, n++)
        s->op[n] = (struct op){ .word = op_word(OP_RECV, FIELD_D, BUFFER_OUT),
                                .at = { (uint32_t)graph->from[i], 0, 0, i },
                                .n = 1,
                                .dep = { n, 0 } };
    for (uint32_t i = 0; i < to; i++, n++)
        s->op[n] = (struct op){ .word = op_word(OP_SEND, FIELD_A, BUFFER_IN),
                                .at = { (uint32_t)graph->to[i], gathers ? 0 : i, 0, 0 },
                                .n = 1,
                                .dep = { n, 0 } };
    if (n == 0) return;
    edges_sort(s);
    for (uint32_t i = 0; i < n; i++) {
        struct op *op = &s->op[i], *before = i > 0 ? op - 1 : NULL;
        op->dep[0] = 0;
        if (before && before->at[FIELD_PEER] == op->at[FIELD_PEER] &&
            op_kind(before) == op_kind(op))
            *edge_ordinal(op) = *edge_ordinal(before) + 1;
    }
}
