/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify_reads.c - what is read from a peer is ordered with what the peer does
 *
 * An instance begins, and is done. Of every instance of every rank:
 *
 *     begins    the instances that are done whenever it begins: what it depends on, and all that is
 *               done whenever one of those is
 *     ends      those that are done whenever it is: the same and itself; of a receive also what was
 *               done when the message's sender began to send. Not the sender: a message may be on
 *               its way, and what it carries copied, long before it is received, and long after.
 *
 * and, likewise, the ranks that have begun the call. A write of the block comes before the READ
 * (done when it begins) or after it (the READ is done when the write begins); the peer has begun
 * when the READ begins, and cannot have ended before it is done.
 */
#include <stdlib.h>
#include <string.h>

#include "collectives/plan/verify.h"
#include "sinew/sinew.h"

enum { MOST_BYTES = 1 << 30 };

struct reads {
    const struct check *c;
    const struct plan *p;
    uint64_t *first;        /* of each rank's instances, among all; then how many there are */
    uint64_t words;         /* of a set: a bit for each instance, then one for each rank    */
    uint64_t *begins, *ends; /* sets, by instance                                           */
    uint8_t *made;          /* whether an instance's are                                    */
};

static uint64_t *set_of(const struct reads *x, uint64_t *sets, uint32_t rank, uint32_t i)
{
    return sets + (x->first[rank] + i) * x->words;
}

static bool set_has(const struct reads *x, uint64_t *sets, uint32_t rank, uint32_t i,
                    uint64_t member)
{
    return set_of(x, sets, rank, i)[member / 64] >> (member % 64) & 1;
}

static void set_add(uint64_t *set, uint64_t member)
{
    set[member / 64] |= (uint64_t)1 << (member % 64);
}

static void set_join(const struct reads *x, uint64_t *set, const uint64_t *with)
{
    for (uint64_t w = 0; w < x->words; w++) set[w] |= with[w];
}

static uint64_t member_of(const struct reads *x, uint32_t rank, uint32_t i)
{
    return x->first[rank] + i;
}

/* The member that says that a rank has begun. */
static uint64_t beginning_of(const struct reads *x, uint32_t rank)
{
    return x->first[x->p->size] + rank;
}

/* The last fence before i; UINT32_MAX: none. */
static uint32_t fence_before(const struct lane *lane, uint32_t i)
{
    while (i-- > 0)
        if (op_flags(&lane->op[i]) & OP_FENCE) return i;
    return UINT32_MAX;
}

static bool is_made(const struct reads *x, uint32_t rank, uint32_t i)
{
    return x->made[member_of(x, rank, i)];
}

/* Whether the sets are there that those of rank's instance i are made of. */
static bool reads_ready(const struct reads *x, uint32_t rank, uint32_t i, uint32_t fence)
{
    const struct op *op = &x->p->lane[rank].op[i];
    for (int d = 0; d < 2; d++)
        if (op->dep[d] && !is_made(x, rank, i - op->dep[d])) return false;
    for (uint32_t j = 0; op_flags(op) & OP_FENCE && j < i; j++)
        if (!is_made(x, rank, j)) return false;
    if (fence != UINT32_MAX && !is_made(x, rank, fence)) return false;
    return !op_receives(op) || is_made(x, op->at[FIELD_PEER], x->c->mate[rank][i]);
}

static bool reads_make_one(struct reads *x, uint32_t rank, uint32_t i)
{
    const struct lane *lane = &x->p->lane[rank];
    const struct op *op = &lane->op[i];
    uint32_t peer = op->at[FIELD_PEER], fence = fence_before(lane, i);
    if (is_made(x, rank, i) || !reads_ready(x, rank, i, fence)) return false;
    uint64_t *begins = set_of(x, x->begins, rank, i), *ends = set_of(x, x->ends, rank, i);
    set_add(begins, beginning_of(x, rank));
    for (int d = 0; d < 2; d++)
        if (op->dep[d]) set_join(x, begins, set_of(x, x->ends, rank, i - op->dep[d]));
    if (fence != UINT32_MAX) set_join(x, begins, set_of(x, x->ends, rank, fence));
    for (uint32_t j = 0; op_flags(op) & OP_FENCE && j < i; j++)
        set_join(x, begins, set_of(x, x->ends, rank, j));
    set_join(x, ends, begins);
    set_add(ends, member_of(x, rank, i));
    if (op_receives(op)) set_join(x, ends, set_of(x, x->begins, peer, x->c->mate[rank][i]));
    x->made[member_of(x, rank, i)] = true;
    return true;
}

/* Until nothing is to be made. What is left then waits for itself, which check_run() says; here it
 * is after nothing. */
static void reads_order(struct reads *x)
{
    for (bool again = true; again;) {
        again = false;
        for (uint32_t r = 0; r < x->p->size; r++)
            for (uint32_t i = 0; i < x->p->lane[r].n; i++) again |= reads_make_one(x, r, i);
    }
}

/* In place, IN and OUT of a reduce_scatter are one memory. */
static bool same_memory(const struct reads *x, uint32_t rank, const struct op *read,
                        const struct op *write)
{
    enum collective collective = x->p->algorithm->collective;
    enum op_buffer a = op_buffer(read, FIELD_A), d = op_buffer(write, FIELD_D);
    if (d == BUFFER_NONE || read->n == 0 || write->n == 0) return false;
    if (a != d)
        return x->p->lane[rank].in_place && a != BUFFER_TMP && d != BUFFER_TMP &&
               (collective == COLLECTIVE_REDUCE_SCATTER ||
                collective == COLLECTIVE_REDUCE_SCATTER_BLOCK);
    return (uint64_t)read->at[FIELD_A] < (uint64_t)write->at[FIELD_D] + write->n &&
           (uint64_t)write->at[FIELD_D] < (uint64_t)read->at[FIELD_A] + read->n;
}

static int check_one(struct reads *x, uint32_t rank, uint32_t i)
{
    const struct op *op = &x->p->lane[rank].op[i];
    uint32_t peer = op->at[FIELD_PEER];
    const struct lane *lane = &x->p->lane[peer];
    uint64_t self = member_of(x, rank, i);
    bool stays = false;
    if (!set_has(x, x->begins, rank, i, beginning_of(x, peer)))
        return check_fail(x->c, rank, i, "reads from a peer that may not have begun");
    for (uint32_t j = 0; j < lane->n; j++) {
        stays |= set_has(x, x->ends, peer, j, self);
        if (!same_memory(x, peer, op, &lane->op[j]) ||
            set_has(x, x->begins, rank, i, member_of(x, peer, j)) ||
            set_has(x, x->begins, peer, j, self))
            continue;
        char other[WHY_MAX];
        instance_text(x->p, peer, j, other, sizeof(other));
        return check_fail(x->c, rank, i, "races with %.110s", other);
    }
    if (stays) return 0;
    return check_fail(x->c, rank, i, "reads from a peer that may have ended");
}

static int reads_allocate(struct reads *x)
{
    const struct plan *p = x->p;
    x->first = calloc((size_t)p->size + 1, sizeof(*x->first));
    if (!x->first) return SINEW_ENOMEM;
    for (uint32_t r = 0; r < p->size; r++) x->first[r + 1] = x->first[r] + p->lane[r].n;
    uint64_t all = x->first[p->size];
    x->words = (all + p->size + 63) / 64;
    if (all * x->words > MOST_BYTES / sizeof(uint64_t)) return SINEW_ENOMEM;
    x->made = calloc(all, sizeof(*x->made));
    x->begins = calloc(all * x->words, sizeof(uint64_t));
    x->ends = calloc(all * x->words, sizeof(uint64_t));
    return x->made && x->begins && x->ends ? 0 : SINEW_ENOMEM;
}

static bool plan_reads(const struct plan *p)
{
    for (uint32_t r = 0; r < p->size; r++)
        for (uint32_t i = 0; i < p->lane[r].n; i++)
            if (op_reads(&p->lane[r].op[i])) return true;
    return false;
}

int check_reads(const struct check *c)
{
    struct reads x = { .c = c, .p = c->plan };
    if (!plan_reads(c->plan)) return 0;
    int status = reads_allocate(&x);
    if (status < 0) check_fail(c, 0, UINT32_MAX, "too many operations to order what is read");
    if (status == 0) reads_order(&x);
    for (uint32_t r = 0; r < x.p->size && status == 0; r++)
        for (uint32_t i = 0; i < x.p->lane[r].n && status == 0; i++)
            if (op_reads(&x.p->lane[r].op[i])) status = check_one(&x, r, i);
    free(x.first);
    free(x.made);
    free(x.begins);
    free(x.ends);
    return status;
}
