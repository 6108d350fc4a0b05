/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * goal.c - a plan as GOAL text: labels, sends, receives and calculations, and what requires what
 *
 * A RECV_REDUCE becomes a receive and a calculation that requires it, a READ a calculation. Fences
 * require everything before them. Tags are the ordinals of messages between a pair.
 */
#include "collectives/plan/simulate.h"

static void goal_instance(FILE *out, const struct plan *p, uint32_t rank, uint32_t i,
                          uint64_t bytes, const struct loggops *model)
{
    const struct op *op = &p->lane[rank].op[i];
    unsigned long long size = plan_bytes(p, rank, op, bytes);
    unsigned long long ns = size * (unsigned long long)model->calc / 1000;
    if (op_reads(op)) ns = (unsigned long long)read_time(model, size, op_kind(op)) / 1000;
    if (size == 0) size = 1; /* GOAL has no empty messages */
    if (op_kind(op) == OP_SEND)
        fprintf(out, "l%u: send %llub to %u tag %u\n", i, size, op->at[FIELD_PEER],
                op->at[FIELD_D]);
    else if (op_kind(op) == OP_RECV)
        fprintf(out, "l%u: recv %llub from %u tag %u\n", i, size, op->at[FIELD_PEER],
                op->at[FIELD_A]);
    else if (op_kind(op) == OP_RECV_REDUCE)
        fprintf(out, "r%u: recv %llub from %u tag %u\nl%u: calc %llu\nl%u requires r%u\n", i, size,
                op->at[FIELD_PEER], op->at[FIELD_A], i, ns, i, i);
    else
        fprintf(out, "l%u: calc %llu\n", i, op_kind(op) == OP_NOP ? 0 : ns);
}

void write_goal(FILE *out, const struct plan *p, uint64_t bytes, const struct loggops *model)
{
    fprintf(out, "num_ranks %u\n", p->size);
    for (uint32_t r = 0; r < p->size; r++) {
        uint32_t fence = UINT32_MAX;
        fprintf(out, "\nrank %u {\n", r);
        for (uint32_t i = 0; i < p->lane[r].n; i++) {
            const struct op *op = &p->lane[r].op[i];
            goal_instance(out, p, r, i, bytes, model);
            for (int d = 0; d < 2; d++)
                if (op->dep[d]) fprintf(out, "l%u requires l%u\n", i, i - op->dep[d]);
            for (uint32_t j = fence + 1; op_flags(op) & OP_FENCE && j < i; j++)
                fprintf(out, "l%u requires l%u\n", i, j);
            if (fence != UINT32_MAX) fprintf(out, "l%u requires l%u\n", i, fence);
            if (op_flags(op) & OP_FENCE) fence = i;
        }
        fprintf(out, "}\n");
    }
}
