/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinew/sinew.h"

bool collective_reduces(enum collective c)
{
    return c == COLLECTIVE_REDUCE || c == COLLECTIVE_ALLREDUCE || c == COLLECTIVE_SCAN ||
           c == COLLECTIVE_EXSCAN || c == COLLECTIVE_REDUCE_SCATTER ||
           c == COLLECTIVE_REDUCE_SCATTER_BLOCK;
}

bool plan_placed(enum collective c, uint32_t rank, uint32_t root, bool in_place)
{
    if (c == COLLECTIVE_BCAST || c == COLLECTIVE_BARRIER) return false;
    return in_place && (!collective_has_root(c) || rank == root);
}

bool plan_has_out(enum collective c, uint32_t rank, uint32_t root, bool in_place)
{
    bool scatters = c == COLLECTIVE_SCATTER || c == COLLECTIVE_SCATTERV;
    if (c == COLLECTIVE_BARRIER) return false;
    if (scatters) return !plan_placed(c, rank, root, in_place);
    return c == COLLECTIVE_BCAST || !collective_has_root(c) || rank == root;
}

struct schedule *plan_schedule(const struct algorithm *algorithm, uint32_t size, uint32_t rank,
                               uint32_t root, bool in_place, char why[WHY_MAX])
{
    struct build b = {
        .size = size, .rank = rank, .root = root, .parameter = parameter_number(algorithm->initial)
    };
    struct op op[BUILD_MAX];
    b.in_place = plan_placed(algorithm->collective, rank, root, in_place);
    algorithm->generate(&b);
    uint32_t n = build_finish(&b, op);
    struct schedule *s = n ? malloc(schedule_bytes(n)) : NULL;
    if (!s) {
        snprintf(why, WHY_MAX, "rank %u of %u: %s", rank, size, n ? "no memory" : b.failure);
        return NULL;
    }
    *s = (struct schedule){ .collective = algorithm->collective,
                            .size = size,
                            .rank = rank,
                            .root = root,
                            .tmp_like = b.tmp_like,
                            .tmp_shift = b.tmp_shift,
                            .ops = n };
    memcpy(s->blocks, b.blocks, sizeof(b.blocks));
    memcpy(s->op, op, n * sizeof(op[0]));
    return s;
}

/* How many instances of a tile; UINT32_MAX: a loop that is none. */
static uint32_t schedule_instances(const struct schedule *s, uint32_t tiles)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->ops; i++) {
        const struct op *op = &s->op[i];
        if (op_kind(op) != OP_LOOP) {
            n++;
            continue;
        }
        if (op->dep[0] == 0 || op->dep[0] > s->ops - i - 1) return UINT32_MAX;
        for (uint32_t j = 1; j <= op->dep[0]; j++)
            if (op_kind(&s->op[i + j]) == OP_LOOP) return UINT32_MAX;
        n += (uint64_t)op->n * op->dep[0];
        i += op->dep[0];
        if (n > (1u << 26) / tiles) return UINT32_MAX;
    }
    return (uint32_t)n;
}

/* The end of a message that is not here has its number where a block would be. */
static void op_tile(struct op *op, uint32_t tiles, uint32_t tile)
{
    bool sends = op_kind(op) == OP_SEND;
    if (sends || op_receives(op)) {
        uint32_t *ordinal = &op->at[sends ? FIELD_D : FIELD_A];
        *ordinal = *ordinal * tiles + tile;
    }
}

int lane_unroll(struct lane *lane, const struct schedule *s, uint32_t tiles, char why[WHY_MAX])
{
    uint32_t n = schedule_instances(s, tiles);
    struct op *ops = n == UINT32_MAX ? NULL : malloc(((size_t)n * tiles + 1) * sizeof(*ops));
    if (!ops) {
        snprintf(why, WHY_MAX, "rank %u: a loop that cannot be unrolled", s->rank);
        return SINEW_EINVAL;
    }
    struct cursor c = { 0 };
    struct step step;
    lane->n = 0;
    while (cursor_next_tiled(s, tiles, &c, &step)) {
        struct op *op = &ops[lane->n++];
        *op = *step.op;
        op->word &= 0xffffff; /* no multipliers */
        memcpy(op->at, step.at, sizeof(op->at));
        memcpy(op->dep, step.dep, sizeof(op->dep));
        op_tile(op, tiles, step.tile);
    }
    lane->op = ops;
    lane->schedule_ops = s->ops;
    lane->tmp_like = schedule_tmp_like(s);
    lane->first = s->tmp_shift;
    for (int b = 0; b < BUFFER_COUNT; b++) lane->blocks[b] = tiles * s->blocks[b];
    return 0;
}

int plan_make(struct plan *p, const struct algorithm *algorithm, uint32_t size, uint32_t root,
              bool in_place, char why[WHY_MAX])
{
    *p = (struct plan){ .algorithm = algorithm,
                        .size = size,
                        .root = root,
                        .tiles = parameter_tiles(algorithm->initial) };
    p->lane = calloc(size, sizeof(*p->lane));
    int status = p->lane ? 0 : SINEW_ENOMEM;
    if (status < 0) snprintf(why, WHY_MAX, "no memory for %u ranks", size);
    for (uint32_t r = 0; r < size && status == 0; r++) {
        struct schedule *s = plan_schedule(algorithm, size, r, root, in_place, why);
        status = s ? lane_unroll(&p->lane[r], s, p->tiles, why) : SINEW_ENOTSUP;
        p->lane[r].in_place = plan_placed(algorithm->collective, r, root, in_place);
        p->lane[r].has_out = plan_has_out(algorithm->collective, r, root, in_place);
        free(s);
    }
    if (status < 0) plan_free(p);
    return status;
}

void plan_free(struct plan *p)
{
    for (uint32_t r = 0; p->lane && r < p->size; r++) free(p->lane[r].op);
    free(p->lane);
    p->lane = NULL;
}

/* ---------------------------------------------------------------------------------------- text */

static size_t place_text(const struct op *op, enum op_field f, char *text, size_t cap)
{
    static const char *const names[] = { "-", "IN", "OUT", "TMP", "CNT", "?", "?", "?" };
    enum op_buffer buffer = op_buffer(op, f);
    int n = op->n == 1 ? snprintf(text, cap, "%s[%u]", names[buffer & 7], op->at[f])
                       : snprintf(text, cap, "%s[%u..%llu)", names[buffer & 7], op->at[f],
                                  (unsigned long long)op->at[f] + op->n);
    return (size_t)n < cap ? (size_t)n : cap - 1;
}

static void message_text(const struct plan *p, uint32_t ordinal, char *text, size_t cap)
{
    if (p->tiles > 1)
        snprintf(text, cap, "message %u of tile %u", ordinal / p->tiles, ordinal % p->tiles);
    else
        snprintf(text, cap, "message %u", ordinal);
}

void instance_text(const struct plan *p, uint32_t rank, uint32_t i, char *text, size_t cap)
{
    const struct op *op = &p->lane[rank].op[i];
    char a[48], b[48], d[48], message[48];
    place_text(op, FIELD_A, a, sizeof(a));
    place_text(op, FIELD_B, b, sizeof(b));
    place_text(op, FIELD_D, d, sizeof(d));
    bool left = op_flags(op) & OP_A_LEFT;
    if (op_is_word(op)) snprintf(op_receives(op) ? d : a, sizeof(a), "word");
    int n = snprintf(text, cap, "rank %u, operation %u: ", rank, i);
    if (n < 0 || (size_t)n >= cap) return;
    text += n;
    cap -= (size_t)n;
    switch (op_kind(op)) {
    case OP_SEND:
        message_text(p, op->at[FIELD_D], message, sizeof(message));
        snprintf(text, cap, "SEND %s to %u, %s", a, op->at[FIELD_PEER], message);
        break;
    case OP_RECV:
        message_text(p, op->at[FIELD_A], message, sizeof(message));
        snprintf(text, cap, "RECV %s from %u, %s", d, op->at[FIELD_PEER], message);
        break;
    case OP_RECV_REDUCE:
        message_text(p, op->at[FIELD_A], message, sizeof(message));
        snprintf(text, cap, "RECV_REDUCE %s = from %u, %s%s %s", d, op->at[FIELD_PEER], message,
                 left ? " (+)" : ", right of", b);
        break;
    case OP_REDUCE:
        snprintf(text, cap, "REDUCE %s = %s (+) %s", d, left ? a : b, left ? b : a);
        break;
    case OP_READ:
        snprintf(text, cap, "READ %s = %s of %u", d, a, op->at[FIELD_PEER]);
        break;
    case OP_READ_REDUCE:
        snprintf(text, cap, "READ_REDUCE %s = %s of %u%s %s", d, a, op->at[FIELD_PEER],
                 left ? " (+)" : ", right of", b);
        break;
    case OP_COPY:
        snprintf(text, cap, "COPY %s = %s", d, a);
        break;
    case OP_NOP:
        snprintf(text, cap, op_flags(op) & OP_COUNTS  ? "COUNTS"
                            : op_flags(op) & OP_FENCE ? "FENCE"
                                                      : "NOP");
        break;
    default:
        snprintf(text, cap, "kind %d", (int)op_kind(op));
    }
}
