/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify_run.c - the plan in the executor's hands at its strictest, with fingerprints for data
 *
 * Each rank has the executor's window, and one stage, so that a RECV_REDUCE is posted when all
 * before it are reduced. A send is done when its receive is posted and has it (no credit at all:
 * rendezvous); or at once as long as fewer than `credits` messages of this pair wait for their
 * receives, which are counted, and else as soon as there is credit again. What races exclude does
 * not depend on the order of events, so one order is enough.
 */
#include <stdlib.h>
#include <string.h>

#include "collectives/plan/verify.h"
#include "sinew/sinew.h"

enum { WINDOW = 64 };
enum state { WAITS, POSTED, ARRIVED, DONE };

struct runner {
    uint8_t *state;    /* of each instance                                              */
    uint64_t *heard;   /* of a barrier: sampled ranks known to have come, by instance    */
    uint64_t fenced;   /* what the last fence had heard                                  */
    uint32_t base;     /* the first that is not done                                    */
    uint32_t buffered; /* messages that wait for their receive                          */
    uint32_t *early, earlies, room; /* sends that are done and not received             */
    struct value *block[BUFFER_COUNT];
    struct value *stage;
    bool queued;
};

struct run {
    const struct check *c;
    bool barrier;
    uint32_t credits; /* messages of a pair that may wait for their receives */
    struct runner *rank;
    uint32_t *queue; /* ranks that may go on: a ring of as many as there are */
    uint32_t head, length;
    struct value ***sent; /* eager: what a message carries, by sender and instance */
};

static void run_wake(struct run *x, uint32_t rank)
{
    if (x->rank[rank].queued) return;
    x->rank[rank].queued = true;
    x->queue[(x->head + x->length++) % x->c->plan->size] = rank;
}

/* ----------------------------------------------------------------------------------------- data */

/* The values of a field, from its first slot on; *n of them. */
static struct value *run_values(const struct run *x, uint32_t rank, const struct op *op,
                                enum op_field f, uint32_t *n)
{
    uint32_t first;
    *n = 0;
    if (op_buffer(op, f) == BUFFER_NONE) return x->rank[rank].block[BUFFER_NONE]; /* of a word */
    *n = columns_in(&x->c->columns, op->at[f], op->n, &first);
    return x->rank[rank].block[op_buffer(op, f)] + first;
}

static int run_written(const struct run *x, uint32_t rank, uint32_t i, const struct value *v,
                       uint32_t n)
{
    for (uint32_t k = 0; k < n && !x->barrier; k++)
        if (v[k].count == 0) return check_fail(x->c, rank, i, "reads what was never written");
    return 0;
}

static int run_send_reads(const struct run *x, uint32_t rank, uint32_t i, const struct value **v,
                          uint32_t *n)
{
    *v = run_values(x, rank, &x->c->plan->lane[rank].op[i], FIELD_A, n);
    return run_written(x, rank, i, *v, *n);
}

/* Every length is the right rank's. */
static int run_counts(struct run *x, uint32_t rank, uint32_t i)
{
    const struct lane *lane = &x->c->plan->lane[rank];
    for (uint32_t k = 0; k < lane->blocks[BUFFER_CNT]; k++)
        if (!value_same(x->rank[rank].block[BUFFER_CNT][k], value_length(lane->first + k)))
            return check_fail(x->c, rank, i, "CNT[%u] is not rank %u's", k, lane->first + k);
    return 0;
}

static int run_local(struct run *x, uint32_t rank, uint32_t i)
{
    const struct op *op = &x->c->plan->lane[rank].op[i];
    uint32_t n, nb;
    if (op_flags(op) & OP_COUNTS) return run_counts(x, rank, i);
    if (op_kind(op) == OP_NOP) return 0;
    uint32_t of = op_reads(op) ? op->at[FIELD_PEER] : rank;
    struct value *a = run_values(x, of, op, FIELD_A, &n);
    struct value *d = run_values(x, rank, op, FIELD_D, &nb);
    int status = run_written(x, rank, i, a, n);
    if (status < 0) return status;
    if (op_kind(op) == OP_COPY || op_kind(op) == OP_READ) {
        memmove(d, a, n * sizeof(*d));
        return 0;
    }
    struct value *b = run_values(x, rank, op, FIELD_B, &nb);
    status = run_written(x, rank, i, b, n);
    bool left = op_flags(op) & OP_A_LEFT;
    for (uint32_t k = 0; k < n; k++)
        d[k] = left ? value_reduce(a[k], b[k]) : value_reduce(b[k], a[k]);
    return status;
}

/* d = what arrived (+) b. */
static int run_reduce(struct run *x, uint32_t rank, uint32_t i, const struct value *arrived)
{
    const struct op *op = &x->c->plan->lane[rank].op[i];
    uint32_t n;
    struct value *b = run_values(x, rank, op, FIELD_B, &n);
    struct value *d = run_values(x, rank, op, FIELD_D, &n);
    int status = run_written(x, rank, i, b, n);
    bool left = op_flags(op) & OP_A_LEFT;
    for (uint32_t k = 0; k < n; k++)
        d[k] = left ? value_reduce(arrived[k], b[k]) : value_reduce(b[k], arrived[k]);
    return status;
}

/* -------------------------------------------------------------------------------------- a rank */

static bool run_ready(const struct runner *r, const struct op *op, uint32_t i)
{
    for (int d = 0; d < 2; d++)
        if (op->dep[d] && r->state[i - op->dep[d]] != DONE) return false;
    return true;
}

/* Who a barrier's instance knows has come: oneself, what it depends on, what it was told. */
static void run_hear(struct run *x, uint32_t rank, uint32_t i, uint64_t told)
{
    struct runner *r = &x->rank[rank];
    const struct op *op = &x->c->plan->lane[rank].op[i];
    uint32_t stride = x->c->plan->size / 64 + 1;
    if (!r->heard) return;
    r->heard[i] |= told | r->fenced | (rank % stride == 0 ? (uint64_t)1 << rank / stride : 0);
    for (int d = 0; d < 2; d++)
        if (op->dep[d]) r->heard[i] |= r->heard[i - op->dep[d]];
    if (!(op_flags(op) & OP_FENCE)) return;
    for (uint32_t j = 0; j < i; j++) r->heard[i] |= r->heard[j];
    r->fenced = r->heard[i];
}

static void run_done(struct run *x, uint32_t rank, uint32_t i)
{
    struct runner *r = &x->rank[rank];
    r->state[i] = DONE;
    while (r->base < x->c->plan->lane[rank].n && r->state[r->base] == DONE) r->base++;
    run_wake(x, rank);
}

/* The message reaches instance i of `rank`, which is posted. */
static int run_arrive(struct run *x, uint32_t rank, uint32_t i, const struct value *v, uint32_t n)
{
    struct runner *r = &x->rank[rank];
    const struct op *op = &x->c->plan->lane[rank].op[i];
    uint32_t mine;
    if (r->heard) {
        uint32_t peer = op->at[FIELD_PEER];
        run_hear(x, rank, i, x->rank[peer].heard[x->c->mate[rank][i]]);
    }
    if (op_kind(op) == OP_RECV) {
        struct value *d = run_values(x, rank, op, FIELD_D, &mine);
        if (mine != n) return check_fail(x->c, rank, i, "other blocks than those sent");
        memmove(d, v, n * sizeof(*d));
        run_done(x, rank, i);
        return 0;
    }
    run_values(x, rank, op, FIELD_D, &mine);
    if (mine != n) return check_fail(x->c, rank, i, "other blocks than those sent");
    free(r->stage);
    r->stage = malloc((n + 1) * sizeof(*r->stage));
    if (!r->stage) return SINEW_ENOMEM;
    memcpy(r->stage, v, n * sizeof(*v));
    r->state[i] = ARRIVED;
    run_wake(x, rank);
    return 0;
}

static uint32_t run_peer(const struct run *x, uint32_t rank, uint32_t i)
{
    return x->c->plan->lane[rank].op[i].at[FIELD_PEER];
}

static bool run_has_credit(const struct run *x, uint32_t rank, uint32_t peer)
{
    const struct runner *r = &x->rank[rank];
    uint32_t used = 0;
    if (x->credits == UINT32_MAX) return true;
    for (uint32_t k = 0; k < r->earlies; k++) used += run_peer(x, rank, r->early[k]) == peer;
    return used < x->credits;
}

/* A send that does not wait: what it carries is kept. */
static int run_send_early(struct run *x, uint32_t rank, uint32_t i)
{
    struct runner *r = &x->rank[rank], *to = &x->rank[run_peer(x, rank, i)];
    const struct value *v;
    uint32_t n;
    int status = run_send_reads(x, rank, i, &v, &n);
    if (status < 0) return status;
    if (r->earlies == r->room) {
        r->room = 2 * r->room + 8;
        uint32_t *more = realloc(r->early, r->room * sizeof(*more));
        if (!more) return SINEW_ENOMEM;
        r->early = more;
    }
    struct value *copy = malloc((n + 1) * sizeof(*copy));
    if (!copy) return SINEW_ENOMEM;
    memcpy(copy, v, n * sizeof(*v));
    x->sent[rank][i] = copy;
    r->early[r->earlies++] = i;
    if (++to->buffered > x->c->found->most_buffered) x->c->found->most_buffered = to->buffered;
    run_done(x, rank, i);
    return 0;
}

static int run_send(struct run *x, uint32_t rank, uint32_t i)
{
    uint32_t peer = run_peer(x, rank, i), mate = x->c->mate[rank][i], n;
    const struct value *v;
    x->rank[rank].state[i] = POSTED;
    run_hear(x, rank, i, 0);
    if (x->rank[peer].state[mate] != POSTED)
        return run_has_credit(x, rank, peer) ? run_send_early(x, rank, i) : 0;
    int status = run_send_reads(x, rank, i, &v, &n);
    if (status == 0) status = run_arrive(x, peer, mate, v, n);
    if (status == 0) run_done(x, rank, i);
    return status;
}

/* One of peer's messages was received that did not wait: the first that waits for credit goes. */
static int run_credit_back(struct run *x, uint32_t rank, uint32_t peer, uint32_t mate)
{
    struct runner *from = &x->rank[peer];
    const struct lane *lane = &x->c->plan->lane[peer];
    uint32_t k = 0;
    while (from->early[k] != mate) k++;
    from->early[k] = from->early[--from->earlies];
    x->rank[rank].buffered--;
    free(x->sent[peer][mate]);
    x->sent[peer][mate] = NULL;
    for (uint32_t i = from->base; i < lane->n && i - from->base < WINDOW; i++)
        if (op_kind(&lane->op[i]) == OP_SEND && lane->op[i].at[FIELD_PEER] == rank &&
            from->state[i] == POSTED)
            return run_send_early(x, peer, i);
    return 0;
}

static int run_post(struct run *x, uint32_t rank, uint32_t i)
{
    const struct op *op = &x->c->plan->lane[rank].op[i];
    uint32_t peer = op->at[FIELD_PEER], mate = x->c->mate[rank][i], n;
    const struct value *v;
    x->rank[rank].state[i] = POSTED;
    if (x->credits && x->sent[peer][mate]) {
        columns_in(&x->c->columns, op->at[FIELD_D], op->n, &n);
        n = columns_in(&x->c->columns, x->c->plan->lane[peer].op[mate].at[FIELD_A], op->n, &n);
        int status = run_arrive(x, rank, i, x->sent[peer][mate], n);
        return status < 0 ? status : run_credit_back(x, rank, peer, mate);
    }
    if (x->rank[peer].state[mate] != POSTED) return 0;
    int status = run_send_reads(x, peer, mate, &v, &n);
    if (status == 0) status = run_arrive(x, rank, i, v, n);
    if (status == 0) run_done(x, peer, mate);
    return status;
}

static int run_instance(struct run *x, uint32_t rank, uint32_t i, bool *stage_free)
{
    struct runner *r = &x->rank[rank];
    const struct op *op = &x->c->plan->lane[rank].op[i];
    if (op_kind(op) == OP_RECV_REDUCE) {
        bool mine = *stage_free;
        *stage_free = false;
        int status = mine && r->state[i] == WAITS ? run_post(x, rank, i) : 0;
        if (status < 0 || r->state[i] != ARRIVED || !run_ready(r, op, i)) return status;
        status = run_reduce(x, rank, i, r->stage);
        run_done(x, rank, i);
        return status;
    }
    if (r->state[i] != WAITS || !run_ready(r, op, i)) return 0;
    if (op_flags(op) & OP_FENCE && i != r->base) return 0;
    if (op_kind(op) == OP_SEND) return run_send(x, rank, i);
    if (op_kind(op) == OP_RECV) return run_post(x, rank, i);
    int status = run_local(x, rank, i);
    run_hear(x, rank, i, 0);
    run_done(x, rank, i);
    return status;
}

/* One look at the window. */
static int run_rank(struct run *x, uint32_t rank)
{
    struct runner *r = &x->rank[rank];
    const struct lane *lane = &x->c->plan->lane[rank];
    bool stage_free = true;
    for (uint32_t i = r->base; i < lane->n && i - r->base < WINDOW; i++) {
        if (r->state[i] != DONE) {
            int status = run_instance(x, rank, i, &stage_free);
            if (status < 0) return status;
        }
        if (op_flags(&lane->op[i]) & OP_FENCE && r->state[i] != DONE) break;
    }
    return 0;
}

/* ----------------------------------------------------------------------------------- the whole */

static int run_make(struct run *x)
{
    const struct plan *p = x->c->plan;
    x->rank = calloc(p->size, sizeof(*x->rank));
    x->queue = calloc(p->size, sizeof(*x->queue));
    x->sent = x->credits ? calloc(p->size, sizeof(*x->sent)) : NULL;
    if (!x->rank || !x->queue || (x->credits && !x->sent)) return SINEW_ENOMEM;
    for (uint32_t k = 0; k < p->size; k++) {
        struct runner *r = &x->rank[k];
        r->state = calloc(p->lane[k].n + 1, 1);
        if (x->barrier) r->heard = calloc(p->lane[k].n + 1, sizeof(*r->heard));
        if (x->credits) x->sent[k] = calloc(p->lane[k].n + 1, sizeof(**x->sent));
        if (!r->state || (x->barrier && !r->heard) || (x->credits && !x->sent[k]))
            return SINEW_ENOMEM;
        for (int b = BUFFER_NONE; b < BUFFER_COUNT; b++) {
            uint32_t n = columns_count(&x->c->columns, p->lane[k].blocks[b]);
            r->block[b] = calloc(n + 1, sizeof(**r->block));
            if (!r->block[b]) return SINEW_ENOMEM;
            for (uint32_t i = 0; i < n; i++)
                r->block[b][i] = spec_begin(p, k, (enum op_buffer)b,
                                            x->c->columns.n ? x->c->columns.block[i] : i);
        }
        run_wake(x, k);
    }
    return 0;
}

static void run_free(struct run *x)
{
    const struct plan *p = x->c->plan;
    for (uint32_t k = 0; x->rank && k < p->size; k++) {
        for (int b = BUFFER_NONE; b < BUFFER_COUNT; b++) free(x->rank[k].block[b]);
        for (uint32_t i = 0; x->sent && x->sent[k] && i < p->lane[k].n; i++) free(x->sent[k][i]);
        if (x->sent) free(x->sent[k]);
        free(x->rank[k].state);
        free(x->rank[k].heard);
        free(x->rank[k].early);
        free(x->rank[k].stage);
    }
    free(x->rank);
    free(x->queue);
    free(x->sent);
}

static int run_stuck(const struct run *x, uint32_t rank)
{
    uint32_t i = x->rank[rank].base, peer = x->c->plan->lane[rank].op[i].at[FIELD_PEER];
    char other[WHY_MAX] = "";
    bool message = op_kind(&x->c->plan->lane[rank].op[i]) == OP_SEND ||
                   op_receives(&x->c->plan->lane[rank].op[i]);
    if (message && x->rank[peer].base < x->c->plan->lane[peer].n)
        instance_text(x->c->plan, peer, x->rank[peer].base, other, sizeof(other));
    return check_fail(x->c, rank, i, "waits for ever%s%.100s", *other ? "; the peer is at " : "",
                      other);
}

/* Nobody may leave who has not heard of all (of the sampled 64). */
static int run_barrier_end(const struct run *x, uint32_t rank)
{
    uint32_t size = x->c->plan->size, stride = size / 64 + 1, sampled = (size - 1) / stride + 1;
    uint64_t heard = 0, all = sampled == 64 ? UINT64_MAX : ((uint64_t)1 << sampled) - 1;
    for (uint32_t i = 0; i < x->c->plan->lane[rank].n; i++) heard |= x->rank[rank].heard[i];
    if (heard == all || size == 1) return 0;
    return check_fail(x->c, rank, UINT32_MAX, "leaves the barrier before all have come");
}

static int run_end(const struct run *x)
{
    const struct plan *p = x->c->plan;
    int status = 0;
    for (uint32_t r = 0; r < p->size; r++)
        if (x->rank[r].base < p->lane[r].n) return run_stuck(x, r);
    for (uint32_t r = 0; r < p->size && status == 0; r++)
        status = x->barrier
                     ? run_barrier_end(x, r)
                     : spec_end(x->c, r, x->rank[r].block[BUFFER_OUT], x->c->columns.block,
                                columns_count(&x->c->columns, p->lane[r].blocks[BUFFER_OUT]));
    return status;
}

int check_run(const struct check *c, uint32_t credits)
{
    struct run x = { .c = c,
                     .credits = credits,
                     .barrier = c->plan->algorithm->collective == COLLECTIVE_BARRIER };
    int status = run_make(&x);
    if (status < 0) check_fail(c, 0, UINT32_MAX, "no memory to verify with");
    while (status == 0 && x.length) {
        uint32_t rank = x.queue[x.head];
        x.head = (x.head + 1) % c->plan->size;
        x.length--;
        x.rank[rank].queued = false;
        status = run_rank(&x, rank);
    }
    if (status == 0) status = run_end(&x);
    run_free(&x);
    return status;
}
