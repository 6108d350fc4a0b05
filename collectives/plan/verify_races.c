/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify_races.c - accesses of one block, one of which writes, must be ordered by dependencies
 *
 * `before[i]` is what is done whenever instance i starts. It is enough that an access comes after
 * the last write and, if it writes, after all reads since: the earlier ones then follow.
 */
#include <stdlib.h>
#include <string.h>

#include "collectives/plan/verify.h"
#include "sinew/sinew.h"

struct access {
    uint32_t i, next; /* next: of the readers, 0 for none */
};

struct races {
    const struct check *c;
    const struct lane *lane;
    uint32_t rank, words;
    uint64_t *before;  /* n sets of `words` words */
    uint32_t *writer;  /* 1 + instance, of each slot */
    uint32_t *readers; /* into access, of each slot  */
    struct access *access;
    uint32_t accesses, room;
    uint32_t base[BUFFER_COUNT]; /* the first slot of each buffer */
};

static bool races_ordered(const struct races *x, uint32_t earlier, uint32_t i)
{
    return x->before[(size_t)i * x->words + earlier / 64] >> (earlier % 64) & 1;
}

static void races_before(struct races *x)
{
    uint32_t fence = 0; /* 1 + the last one */
    for (uint32_t i = 0; i < x->lane->n; i++) {
        uint64_t *set = x->before + (size_t)i * x->words;
        const struct op *op = &x->lane->op[i];
        uint32_t after[3] = { op->dep[0] ? i - op->dep[0] + 1 : 0,
                              op->dep[1] ? i - op->dep[1] + 1 : 0, fence };
        for (int k = 0; k < 3; k++) {
            if (after[k] == 0) continue;
            uint32_t j = after[k] - 1;
            for (uint32_t w = 0; w < x->words; w++) set[w] |= x->before[(size_t)j * x->words + w];
            set[j / 64] |= (uint64_t)1 << (j % 64);
        }
        if (!(op_flags(op) & OP_FENCE)) continue;
        for (uint32_t j = 0; j < i; j++) set[j / 64] |= (uint64_t)1 << (j % 64);
        fence = i + 1;
    }
}

static int races_conflict(struct races *x, uint32_t earlier, uint32_t i, uint32_t slot)
{
    char other[WHY_MAX];
    instance_text(x->c->plan, x->rank, earlier, other, sizeof(other));
    return check_fail(x->c, x->rank, i, "races at slot %u with %.90s", slot, other);
}

static int races_read(struct races *x, uint32_t i, uint32_t slot)
{
    uint32_t w = x->writer[slot];
    if (w && w - 1 != i && !races_ordered(x, w - 1, i)) return races_conflict(x, w - 1, i, slot);
    if (x->accesses == x->room) {
        x->room = x->room ? 2 * x->room : 256;
        struct access *more = realloc(x->access, x->room * sizeof(*more));
        if (!more) return SINEW_ENOMEM;
        x->access = more;
        if (x->accesses == 0) x->accesses = 1;
    }
    x->access[x->accesses] = (struct access){ i, x->readers[slot] };
    x->readers[slot] = x->accesses++;
    return 0;
}

static int races_write(struct races *x, uint32_t i, uint32_t slot)
{
    uint32_t w = x->writer[slot];
    if (w && !races_ordered(x, w - 1, i)) return races_conflict(x, w - 1, i, slot);
    for (uint32_t r = x->readers[slot]; r; r = x->access[r].next)
        if (x->access[r].i != i && !races_ordered(x, x->access[r].i, i))
            return races_conflict(x, x->access[r].i, i, slot);
    x->writer[slot] = i + 1;
    x->readers[slot] = 0;
    return 0;
}

static int races_field(struct races *x, uint32_t i, enum op_field f)
{
    const struct op *op = &x->lane->op[i];
    enum op_buffer buffer = op_buffer(op, f);
    uint32_t first, n;
    if (buffer == BUFFER_NONE || (f == FIELD_A && op_reads(op))) return 0; /* the peer's */
    n = columns_in(&x->c->columns, op->at[f], op->n, &first);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t slot = x->base[buffer] + first + k;
        int status = f == FIELD_D ? races_write(x, i, slot) : races_read(x, i, slot);
        if (status < 0) return status;
    }
    return 0;
}

/* In place, IN and OUT of a reduce_scatter are one memory: what writes OUT comes after all that
 * reads IN. */
static int races_alias(const struct races *x)
{
    enum collective collective = x->c->plan->algorithm->collective;
    if (!x->lane->in_place ||
        (collective != COLLECTIVE_REDUCE_SCATTER && collective != COLLECTIVE_REDUCE_SCATTER_BLOCK))
        return 0;
    for (uint32_t i = 0; i < x->lane->n; i++) {
        if (op_buffer(&x->lane->op[i], FIELD_D) != BUFFER_OUT) continue;
        for (uint32_t j = 0; j < x->lane->n; j++) {
            const struct op *op = &x->lane->op[j];
            bool reads = (op_buffer(op, FIELD_A) == BUFFER_IN && !op_reads(op)) ||
                         op_buffer(op, FIELD_B) == BUFFER_IN;
            if (reads && !(j < i && races_ordered(x, j, i)))
                return check_fail(x->c, x->rank, i, "in place: operation %u reads there", j);
        }
    }
    return 0;
}

static int races_lane(struct races *x)
{
    races_before(x);
    for (uint32_t i = 0; i < x->lane->n; i++)
        for (int f = FIELD_A; f <= FIELD_D; f++) {
            int status = races_field(x, i, (enum op_field)f);
            if (status < 0) return status;
        }
    return races_alias(x);
}

static int races_rank(const struct check *c, uint32_t rank)
{
    struct races x = { .c = c, .lane = &c->plan->lane[rank], .rank = rank };
    uint32_t slots = 0;
    for (int b = BUFFER_IN; b < BUFFER_COUNT; b++) {
        x.base[b] = slots;
        slots += columns_count(&c->columns, x.lane->blocks[b]);
    }
    x.words = (x.lane->n + 63) / 64;
    x.before = calloc((size_t)x.lane->n * x.words + 1, sizeof(*x.before));
    x.writer = calloc(slots + 1, sizeof(*x.writer));
    x.readers = calloc(slots + 1, sizeof(*x.readers));
    int status = x.before && x.writer && x.readers ? races_lane(&x) : SINEW_ENOMEM;
    free(x.before);
    free(x.writer);
    free(x.readers);
    free(x.access);
    return status;
}

int check_races(const struct check *c)
{
    for (uint32_t r = 0; r < c->plan->size; r++) {
        int status = races_rank(c, r);
        if (status < 0) return status;
    }
    return 0;
}
