/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/plan/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinew/sinew.h"

int check_fail(const struct check *c, uint32_t rank, uint32_t i, const char *format, ...)
{
    char what[WHY_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (i < c->plan->lane[rank].n) {
        char where[WHY_MAX];
        instance_text(c->plan, rank, i, where, sizeof(where));
        snprintf(c->why, WHY_MAX, "%.120s: %.130s", where, what);
    } else {
        snprintf(c->why, WHY_MAX, "rank %u: %.200s", rank, what);
    }
    return SINEW_EINVAL;
}

/* -------------------------------------------------------------------------------------- columns */

uint32_t columns_in(const struct columns *c, uint32_t at, uint32_t n, uint32_t *first)
{
    *first = at;
    if (c->n == 0) return n;
    uint32_t low = 0, count = 0;
    while (low < c->n && c->block[low] < at) low++;
    while (low + count < c->n && c->block[low + count] - at < n) count++;
    *first = low;
    return count;
}

uint32_t columns_count(const struct columns *c, uint32_t blocks)
{
    uint32_t first;
    return c->n == 0 ? blocks : columns_in(c, 0, blocks, &first);
}

static int block_compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Block 0 is one of them: what has one block only has that. */
static int columns_choose(struct columns *c, uint32_t blocks, const struct verify_options *options)
{
    *c = (struct columns){ 0, NULL };
    if (options->columns == 0 || blocks <= options->columns) return 0;
    c->block = malloc(options->columns * sizeof(*c->block));
    if (!c->block) return SINEW_ENOMEM;
    for (uint32_t i = 0; i < options->columns; i++) {
        uint64_t random = (options->seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        c->block[i] = i ? (uint32_t)((random ^ random >> 31) % blocks) : 0;
    }
    qsort(c->block, options->columns, sizeof(*c->block), block_compare);
    for (uint32_t i = 0; i < options->columns; i++)
        if (c->n == 0 || c->block[i] != c->block[c->n - 1]) c->block[c->n++] = c->block[i];
    return 0;
}

/* --------------------------------------------------------------------------------------- bounds */

/* The instance from which on TMP has its lengths; none: behind all. */
static uint32_t check_counted(const struct lane *lane)
{
    uint32_t i = 0;
    while (i < lane->n && !(op_flags(&lane->op[i]) & OP_COUNTS)) i++;
    return i;
}

static int check_place(const struct check *c, uint32_t rank, uint32_t i, enum op_field f)
{
    const struct lane *lane = &c->plan->lane[rank];
    const struct op *op = &lane->op[i];
    enum op_buffer buffer = op_buffer(op, f);
    enum collective collective = c->plan->algorithm->collective;
    bool shared =
        collective == COLLECTIVE_REDUCE_SCATTER || collective == COLLECTIVE_REDUCE_SCATTER_BLOCK;
    bool kept =
        lane->in_place && (collective == COLLECTIVE_SCATTER || collective == COLLECTIVE_SCATTERV);
    if (buffer == BUFFER_NONE || buffer >= BUFFER_COUNT)
        return check_fail(c, rank, i, "an operand without a buffer");
    if ((uint64_t)op->at[f] + op->n > lane->blocks[buffer])
        return check_fail(c, rank, i, "beyond the %u blocks of its buffer", lane->blocks[buffer]);
    if (buffer == BUFFER_IN && f == FIELD_D) return check_fail(c, rank, i, "IN is written");
    if (buffer == BUFFER_IN && lane->in_place && !shared && !kept)
        return check_fail(c, rank, i, "in place there is no IN");
    if (buffer == BUFFER_TMP && lane->blocks[BUFFER_CNT] && i < check_counted(lane))
        return check_fail(c, rank, i, "TMP before its lengths are known");
    if (buffer == BUFFER_CNT && f == FIELD_D && i > check_counted(lane))
        return check_fail(c, rank, i, "a length that comes too late");
    if (buffer == BUFFER_OUT && !lane->has_out) return check_fail(c, rank, i, "here is no OUT");
    if (c->columns.n && op_kind(op) != OP_SEND && op_kind(op) != OP_RECV && f != FIELD_D &&
        op->at[f] != op->at[FIELD_D])
        return check_fail(c, rank, i, "mixes blocks: a sample of them cannot be followed");
    return 0;
}

/* A place at the peer. */
static int check_read(const struct check *c, uint32_t rank, uint32_t i)
{
    const struct op *op = &c->plan->lane[rank].op[i];
    const struct lane *peer = &c->plan->lane[op->at[FIELD_PEER]];
    enum op_buffer buffer = op_buffer(op, FIELD_A);
    if (buffer != BUFFER_IN && buffer != BUFFER_OUT && buffer != BUFFER_TMP)
        return check_fail(c, rank, i, "reads from no buffer of the peer");
    if ((uint64_t)op->at[FIELD_A] + op->n > peer->blocks[buffer])
        return check_fail(c, rank, i, "beyond the %u blocks of the peer's buffer",
                          peer->blocks[buffer]);
    if (buffer == BUFFER_OUT && !peer->has_out)
        return check_fail(c, rank, i, "the peer has no OUT");
    if (buffer == BUFFER_IN && peer->in_place)
        return check_fail(c, rank, i, "the peer is in place and has no IN");
    if (c->columns.n && op->at[FIELD_A] != op->at[FIELD_D])
        return check_fail(c, rank, i, "mixes blocks: a sample of them cannot be followed");
    return 0;
}

static int check_operation(const struct check *c, uint32_t rank, uint32_t i)
{
    static const unsigned fields[] = {
        [OP_SEND] = 1 << FIELD_A,
        [OP_RECV] = 1 << FIELD_D,
        [OP_RECV_REDUCE] = 1 << FIELD_B | 1 << FIELD_D,
        [OP_REDUCE] = 1 << FIELD_A | 1 << FIELD_B | 1 << FIELD_D,
        [OP_COPY] = 1 << FIELD_A | 1 << FIELD_D,
        [OP_NOP] = 0,
        [OP_READ] = 1 << FIELD_D,
        [OP_READ_REDUCE] = 1 << FIELD_B | 1 << FIELD_D,
    };
    const struct op *op = &c->plan->lane[rank].op[i];
    enum op_kind kind = op_kind(op);
    bool reduces = kind == OP_RECV_REDUCE || kind == OP_REDUCE || kind == OP_READ_REDUCE;
    if (kind >= sizeof(fields) / sizeof(fields[0]))
        return check_fail(c, rank, i, "is no operation that is executed");
    if (kind == OP_SEND || op_receives(op) || op_reads(op)) {
        if (op->at[FIELD_PEER] >= c->plan->size) return check_fail(c, rank, i, "no such rank");
        if (op->at[FIELD_PEER] == rank) return check_fail(c, rank, i, "itself for a peer");
    }
    if (op_is_word(op) && op->n)
        return check_fail(c, rank, i, "an operand without a buffer");
    if (c->plan->tiles > 1 && op->n > 1)
        return check_fail(c, rank, i, "a tile of several blocks, which are not side by side");
    if (op_flags(op) & OP_COUNTS &&
        (kind != OP_NOP || !(op_flags(op) & OP_FENCE) || !c->plan->lane[rank].blocks[BUFFER_CNT]))
        return check_fail(c, rank, i, "lengths are known at a fence, where there are some");
    if (reduces && !collective_reduces(c->plan->algorithm->collective) &&
        c->plan->algorithm->collective != COLLECTIVE_BARRIER)
        return check_fail(c, rank, i, "arithmetic where there is none");
    for (int d = 0; d < 2; d++)
        if (op->dep[d] > i) return check_fail(c, rank, i, "depends on what was never");
    for (int f = FIELD_A; f <= FIELD_D; f++) {
        bool has = fields[kind] >> f & 1 && !op_is_word(op);
        int status = has ? check_place(c, rank, i, (enum op_field)f) : 0;
        if (status < 0) return status;
    }
    return op_reads(op) ? check_read(c, rank, i) : 0;
}

int check_bounds(const struct check *c)
{
    for (uint32_t r = 0; r < c->plan->size; r++) {
        const struct lane *lane = &c->plan->lane[r];
        for (uint32_t i = 0; i < lane->n; i++) {
            int status = check_operation(c, r, i);
            if (status < 0) return status;
        }
        if (lane->blocks[BUFFER_TMP] > c->found->most_tmp)
            c->found->most_tmp = lane->blocks[BUFFER_TMP];
        if (lane->schedule_ops > c->found->most_ops) c->found->most_ops = lane->schedule_ops;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------- matching */

/* A message's sender's end, to be found by from, to and ordinal. */
struct slot {
    uint32_t from, to, ordinal, i; /* i: 1 + instance, 0: free */
};

static uint64_t slot_hash(uint32_t from, uint32_t to, uint32_t ordinal)
{
    uint64_t h = ((uint64_t)from << 32 | to) * UINT64_C(0x9e3779b97f4a7c15) + ordinal;
    h = (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ h >> 32;
}

static struct slot *slot_find(struct slot *table, uint64_t mask, uint32_t from, uint32_t to,
                              uint32_t ordinal)
{
    uint64_t at = slot_hash(from, to, ordinal) & mask;
    while (table[at].i &&
           (table[at].from != from || table[at].to != to || table[at].ordinal != ordinal))
        at = (at + 1) & mask;
    return &table[at];
}

static int match_sends(const struct check *c, struct slot *table, uint64_t mask)
{
    for (uint32_t r = 0; r < c->plan->size; r++)
        for (uint32_t i = 0; i < c->plan->lane[r].n; i++) {
            const struct op *op = &c->plan->lane[r].op[i];
            if (op_kind(op) != OP_SEND) continue;
            struct slot *s = slot_find(table, mask, r, op->at[FIELD_PEER], op->at[FIELD_D]);
            if (s->i) return check_fail(c, r, i, "the same message as operation %u", s->i - 1);
            *s = (struct slot){ r, op->at[FIELD_PEER], op->at[FIELD_D], i + 1 };
            c->found->messages++;
            c->found->blocks_sent += op->n;
        }
    return 0;
}

static int match_receives(const struct check *c, struct slot *table, uint64_t mask)
{
    uint64_t received = 0;
    for (uint32_t r = 0; r < c->plan->size; r++)
        for (uint32_t i = 0; i < c->plan->lane[r].n; i++) {
            const struct op *op = &c->plan->lane[r].op[i];
            if (!op_receives(op)) continue;
            uint32_t peer = op->at[FIELD_PEER];
            struct slot *s = slot_find(table, mask, peer, r, op->at[FIELD_A]);
            if (!s->i) return check_fail(c, r, i, "nobody sends this");
            if (c->mate[peer][s->i - 1] != UINT32_MAX)
                return check_fail(c, r, i, "received before");
            if (c->plan->lane[peer].op[s->i - 1].n != op->n)
                return check_fail(c, r, i, "%u blocks are sent",
                                  c->plan->lane[peer].op[s->i - 1].n);
            c->mate[peer][s->i - 1] = i;
            c->mate[r][i] = s->i - 1;
            received++;
        }
    if (received == c->found->messages) return 0;
    for (uint32_t r = 0; r < c->plan->size; r++)
        for (uint32_t i = 0; i < c->plan->lane[r].n; i++)
            if (op_kind(&c->plan->lane[r].op[i]) == OP_SEND && c->mate[r][i] == UINT32_MAX)
                return check_fail(c, r, i, "nobody receives this");
    return 0;
}

static int mates_make(struct check *c, uint64_t *messages)
{
    const struct plan *p = c->plan;
    c->mate = calloc(p->size, sizeof(*c->mate));
    for (uint32_t r = 0; c->mate && r < p->size; r++) {
        c->mate[r] = malloc(((size_t)p->lane[r].n + 1) * sizeof(**c->mate));
        if (!c->mate[r]) return SINEW_ENOMEM;
        memset(c->mate[r], 0xff, p->lane[r].n * sizeof(**c->mate));
        *messages += p->lane[r].n;
    }
    return c->mate ? 0 : SINEW_ENOMEM;
}

int check_matching(struct check *c)
{
    uint64_t messages = 1, slots = 64;
    int status = mates_make(c, &messages);
    while (slots < 2 * messages) slots *= 2;
    struct slot *table = status == 0 ? calloc(slots, sizeof(*table)) : NULL;
    if (!table) {
        snprintf(c->why, WHY_MAX, "no memory to match %llu messages", (unsigned long long)messages);
        return SINEW_ENOMEM;
    }
    status = match_sends(c, table, slots - 1);
    if (status == 0) status = match_receives(c, table, slots - 1);
    free(table);
    return status;
}

int plan_mates(const struct plan *p, uint32_t ***mate, char why[WHY_MAX])
{
    struct verified found = { 0 };
    struct check c = { .plan = p, .found = &found, .why = why };
    int status = check_bounds(&c);
    if (status == 0) status = check_matching(&c);
    *mate = c.mate;
    return status;
}

void plan_mates_free(const struct plan *p, uint32_t **mate)
{
    for (uint32_t r = 0; mate && r < p->size; r++) free(mate[r]);
    free(mate);
}

int plan_verify(const struct plan *p, const struct verify_options *options, struct verified *found,
                char why[WHY_MAX])
{
    struct check c = { .plan = p, .found = found, .why = why };
    uint32_t blocks = 1;
    *found = (struct verified){ 0 };
    for (uint32_t r = 0; r < p->size; r++)
        for (int b = BUFFER_IN; b < BUFFER_COUNT; b++)
            if (p->lane[r].blocks[b] > blocks) blocks = p->lane[r].blocks[b];
    int status = columns_choose(&c.columns, blocks, options);
    found->columns = c.columns.n ? c.columns.n : blocks;
    found->column_count = blocks;
    c.whole = calloc(found->columns + 1, sizeof(*c.whole));
    c.first = calloc(found->columns + 1, sizeof(*c.first));
    if (!c.whole || !c.first) status = SINEW_ENOMEM;
    if (status == 0) status = spec_counts(&c);
    if (status == 0) status = check_bounds(&c);
    if (status == 0) status = check_matching(&c);
    if (status == 0) status = check_races(&c);
    if (status == 0) status = check_reads(&c);
    static const uint32_t credits[] = { 0, 1, UINT32_MAX };
    for (int k = 0; k < 3 && status == 0; k++) status = check_run(&c, credits[k]);
    plan_mates_free(p, c.mate);
    free(c.columns.block);
    free(c.whole);
    free(c.first);
    return status;
}
