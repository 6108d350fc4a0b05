/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * simulate.c - one queue of events, ordered by time, then by when they were made
 *
 * What finds its processor or interface busy is put back for when that is free, as LogGOPSim does:
 * so the order among those that wait is that of the queue. A RECV_REDUCE is a receive that is
 * posted at once, and arithmetic when its operands are there.
 */
#include "collectives/plan/simulate.h"

#include <stdlib.h>
#include <string.h>

#include "sinew/sinew.h"

const struct loggops loggops_default = {
    .L = 2500000, .o = 1500000, .g = 1000000, .G = 6000, .S = 65535
};

enum state { WAITS, POSTED, ARRIVED, DONE };
enum event_kind { EVENT_START, EVENT_ARRIVE };

struct event {
    int64_t time;
    uint64_t order;
    uint32_t rank, i; /* of an arrival: the receiver, and its instance */
    enum event_kind kind;
};

struct node {
    uint8_t *state;
    int64_t processor, send_free, receive_free;
    uint32_t base, last, fence; /* last: that used the processor, 1 + instance */
};

struct machine {
    const struct plan *p;
    const struct loggops *model;
    uint64_t bytes, order;
    struct simulation *s;
    struct node *node;
    uint32_t **mate;
    struct event *heap;
    size_t events, room;
};

/* -------------------------------------------------------------------------------------- events */

static bool event_before(const struct event *a, const struct event *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static int event_put(struct machine *m, int64_t time, enum event_kind kind, uint32_t rank,
                     uint32_t i)
{
    struct event e = { time, m->order++, rank, i, kind };
    if (m->events == m->room) {
        m->room = m->room ? 2 * m->room : 1024;
        struct event *more = realloc(m->heap, m->room * sizeof(*more));
        if (!more) return SINEW_ENOMEM;
        m->heap = more;
    }
    size_t at = m->events++;
    for (; at > 0 && event_before(&e, &m->heap[(at - 1) / 4]); at = (at - 1) / 4)
        m->heap[at] = m->heap[(at - 1) / 4];
    m->heap[at] = e;
    return 0;
}

static struct event event_take(struct machine *m)
{
    struct event first = m->heap[0], e = m->heap[--m->events];
    size_t at = 0;
    for (;;) {
        size_t least = 4 * at + 1, end = least + 4 < m->events ? least + 4 : m->events;
        if (least >= m->events) break;
        for (size_t c = least + 1; c < end; c++)
            if (event_before(&m->heap[c], &m->heap[least])) least = c;
        if (!event_before(&m->heap[least], &e)) break;
        m->heap[at] = m->heap[least];
        at = least;
    }
    m->heap[at] = e;
    return first;
}

/* --------------------------------------------------------------------------------------- sizes */

static uint64_t block_start(uint64_t bytes, uint32_t blocks, uint32_t i)
{
    return bytes / blocks * i + bytes % blocks * i / blocks;
}

/* The bytes of a whole buffer. */
static uint64_t buffer_bytes(const struct plan *p, enum op_buffer buffer, uint64_t bytes)
{
    uint64_t all = bytes * p->size;
    switch (p->algorithm->collective) {
    case COLLECTIVE_BARRIER:
        return 0;
    case COLLECTIVE_GATHER:
    case COLLECTIVE_GATHERV:
    case COLLECTIVE_ALLGATHER:
    case COLLECTIVE_ALLGATHERV:
        return buffer == BUFFER_IN ? bytes : all;
    case COLLECTIVE_SCATTER:
    case COLLECTIVE_SCATTERV:
        return buffer == BUFFER_OUT ? bytes : all;
    case COLLECTIVE_ALLTOALL:
    case COLLECTIVE_ALLTOALLV:
        return all;
    case COLLECTIVE_REDUCE_SCATTER:
    case COLLECTIVE_REDUCE_SCATTER_BLOCK:
        return buffer == BUFFER_OUT ? bytes / p->size : bytes;
    default:
        return bytes;
    }
}

uint64_t plan_bytes(const struct plan *p, uint32_t rank, const struct op *op, uint64_t bytes)
{
    const struct lane *lane = &p->lane[rank];
    enum op_field f = op_kind(op) == OP_SEND ? FIELD_A : FIELD_D;
    enum op_buffer buffer = op_buffer(op, f), like = lane->tmp_like;
    if (buffer == BUFFER_NONE || op->n == 0) return 0;
    if (buffer == BUFFER_CNT) return 8 * (uint64_t)op->n;
    uint32_t blocks = lane->blocks[buffer];
    if (buffer == BUFFER_TMP && lane->blocks[like] != blocks) /* each as long as all of it */
        return buffer_bytes(p, like, bytes) / (lane->blocks[like] ? lane->blocks[like] : 1) * op->n;
    uint64_t whole = buffer_bytes(p, buffer == BUFFER_TMP ? like : buffer, bytes);
    return block_start(whole, blocks, op->at[f] + op->n) - block_start(whole, blocks, op->at[f]);
}

/* ---------------------------------------------------------------------------------------- a rank
 */

static int node_go(struct machine *m, uint32_t rank, int64_t now);

static struct happening *happening(const struct machine *m, uint32_t rank, uint32_t i)
{
    return &m->s->at[rank][i];
}

/* The processor does instance i from `now` on, for so long. It could have from `ready` on, because
 * of `by`; if not, what used the processor before held it back. */
static void node_use(struct machine *m, uint32_t rank, uint32_t i, int64_t now, int64_t time,
                     int64_t ready, uint32_t by_rank, uint32_t by)
{
    struct node *n = &m->node[rank];
    bool busy = n->last && n->last - 1 != i && ready < now;
    *happening(m, rank, i) =
        (struct happening){ now, now + time, busy ? rank : by_rank, busy ? n->last - 1 : by };
    n->processor = now + time;
    n->last = i + 1;
}

/* When the last dependency of i was done: *by of *by_rank, UINT32_MAX: none. */
static int64_t node_latest(const struct machine *m, uint32_t rank, uint32_t i, uint32_t *by_rank,
                           uint32_t *by)
{
    const struct op *op = &m->p->lane[rank].op[i];
    int64_t latest = -1;
    for (int d = 0; d < 2; d++) {
        if (!op->dep[d] || happening(m, rank, i - op->dep[d])->end < latest) continue;
        *by = i - op->dep[d];
        latest = happening(m, rank, *by)->end;
    }
    if (m->node[rank].fence && m->node[rank].fence - 1 < i &&
        happening(m, rank, m->node[rank].fence - 1)->end > latest) {
        *by = m->node[rank].fence - 1;
        latest = happening(m, rank, *by)->end;
    }
    *by_rank = latest < 0 ? UINT32_MAX : rank;
    return latest < 0 ? 0 : latest;
}

static int node_done(struct machine *m, uint32_t rank, uint32_t i, int64_t now)
{
    struct node *n = &m->node[rank];
    n->state[i] = DONE;
    if (op_flags(&m->p->lane[rank].op[i]) & OP_FENCE) n->fence = i + 1;
    if (happening(m, rank, i)->end > m->s->finish[rank])
        m->s->finish[rank] = happening(m, rank, i)->end;
    while (n->base < m->p->lane[rank].n && n->state[n->base] == DONE) n->base++;
    return node_go(m, rank, now);
}

/* Memory that is mapped: the processor fetches it, and adds it up. */
int64_t read_time(const struct loggops *l, uint64_t bytes, enum op_kind kind)
{
    int64_t calc = kind == OP_READ_REDUCE ? l->calc : 0;
    return bytes ? l->o + (int64_t)bytes * (l->G + calc) - l->G : 0;
}

static int node_calculate(struct machine *m, uint32_t rank, uint32_t i, int64_t now)
{
    const struct op *op = &m->p->lane[rank].op[i];
    int64_t time = (int64_t)plan_bytes(m->p, rank, op, m->bytes) * m->model->calc;
    uint32_t by = 0, by_rank;
    int64_t ready = node_latest(m, rank, i, &by_rank, &by);
    if (op_kind(op) == OP_NOP) time = 0;
    if (op_reads(op)) time = read_time(m->model, plan_bytes(m->p, rank, op, m->bytes), op_kind(op));
    if (op_kind(op) == OP_RECV_REDUCE) { /* receiving was the beginning */
        happening(m, rank, i)->end = now + time;
        if (m->node[rank].processor < now + time) m->node[rank].processor = now + time;
        if (time) m->node[rank].last = i + 1;
    } else {
        node_use(m, rank, i, now, time, ready, by_rank, by);
    }
    return node_done(m, rank, i, now + time);
}

static int node_matched(struct machine *m, uint32_t rank, uint32_t i)
{
    struct node *n = &m->node[rank];
    const struct op *op = &m->p->lane[rank].op[i];
    uint32_t peer = op->at[FIELD_PEER], mate = m->mate[rank][i];
    int64_t now = n->processor;
    int status = 0;
    if (m->node[peer].state[mate] == POSTED) { /* was long: the sender is done now */
        happening(m, peer, mate)->end = now;
        status = node_done(m, peer, mate, now);
    }
    if (status < 0) return status;
    if (op_kind(op) == OP_RECV) return node_done(m, rank, i, now);
    n->state[i] = ARRIVED;
    return node_go(m, rank, now);
}

static bool node_ready(const struct machine *m, uint32_t rank, uint32_t i)
{
    const struct node *n = &m->node[rank];
    const struct op *op = &m->p->lane[rank].op[i];
    for (int d = 0; d < 2; d++)
        if (op->dep[d] && n->state[i - op->dep[d]] != DONE) return false;
    return !(op_flags(op) & OP_FENCE) || n->base == i;
}

/* What is posted is in the queue, or a receive that waits; its message may be there already. */
static int node_start(struct machine *m, uint32_t rank, uint32_t i, int64_t now)
{
    struct node *n = &m->node[rank];
    const struct op *op = &m->p->lane[rank].op[i];
    bool receives = op_receives(op);
    if (op_kind(op) == OP_RECV_REDUCE && n->state[i] == ARRIVED && node_ready(m, rank, i)) {
        int64_t from = n->processor > now ? n->processor : now;
        return node_calculate(m, rank, i, from);
    }
    if (n->state[i] != WAITS || (op_kind(op) != OP_RECV_REDUCE && !node_ready(m, rank, i)))
        return 0;
    n->state[i] = POSTED;
    if (!receives) return event_put(m, now, EVENT_START, rank, i);
    struct happening *h = happening(m, rank, i);
    return h->cause_rank != UINT32_MAX ? node_matched(m, rank, i) : 0; /* it is there already */
}

/* Start what can be. */
static int node_go(struct machine *m, uint32_t rank, int64_t now)
{
    struct node *n = &m->node[rank];
    const struct lane *lane = &m->p->lane[rank];
    for (uint32_t i = n->base; i < lane->n && i - n->base < 64; i++) {
        if (n->state[i] != DONE) {
            int status = node_start(m, rank, i, now);
            if (status < 0) return status;
        }
        if (op_flags(&lane->op[i]) & OP_FENCE && n->state[i] != DONE) break;
    }
    return 0;
}

/* --------------------------------------------------------------------------------------- the run
 */

static bool asks(const struct loggops *l, uint64_t bytes)
{
    return l->asked && bytes >= l->asked;
}

/* When a message is there whose first byte comes `at`: what one interface takes, one after the
 * other. */
static int64_t machine_wire(struct machine *m, uint32_t peer, int64_t at, int64_t more)
{
    struct node *n = &m->node[peer];
    const struct loggops *l = m->model;
    if (!l->asked) return at; /* it is taken in when the processor is free: machine_arrive() */
    int64_t from = n->receive_free > at ? n->receive_free : at;
    n->receive_free = from + l->g + more * l->G;
    return from + more * l->G;
}

static int machine_send(struct machine *m, const struct event *e)
{
    struct node *n = &m->node[e->rank];
    const struct op *op = &m->p->lane[e->rank].op[e->i];
    const struct loggops *l = m->model;
    int64_t free = n->processor > n->send_free ? n->processor : n->send_free;
    if (free > e->time) return event_put(m, free, EVENT_START, e->rank, e->i);
    uint64_t bytes = plan_bytes(m->p, e->rank, op, m->bytes);
    int64_t more = bytes ? (int64_t)bytes - 1 : 0;
    uint32_t by = 0, by_rank;
    int64_t ready = node_latest(m, e->rank, e->i, &by_rank, &by);
    int64_t o = l->o + (asks(l, bytes) ? l->ask : 0), wait = asks(l, bytes) ? l->R : 0;
    node_use(m, e->rank, e->i, e->time, o + more * l->O, ready, by_rank, by);
    n->send_free = e->time + l->g + more * l->G;
    m->s->bytes += bytes;
    uint32_t peer = op->at[FIELD_PEER];
    int64_t there = machine_wire(m, peer, e->time + o + l->L + wait, more);
    int status = event_put(m, there, EVENT_ARRIVE, peer, m->mate[e->rank][e->i]);
    if (status < 0 || bytes > l->S) return status;
    return node_done(m, e->rank, e->i, n->processor);
}

static int machine_arrive(struct machine *m, const struct event *e)
{
    struct node *n = &m->node[e->rank];
    const struct op *op = &m->p->lane[e->rank].op[e->i];
    const struct loggops *l = m->model;
    int64_t free = n->processor;
    if (!l->asked && n->receive_free > free) free = n->receive_free;
    if (free > e->time) return event_put(m, free, EVENT_ARRIVE, e->rank, e->i);
    uint64_t bytes = plan_bytes(m->p, e->rank, op, m->bytes);
    int64_t more = bytes ? (int64_t)bytes - 1 : 0, per_byte = l->O;
    uint32_t peer = op->at[FIELD_PEER], mate = m->mate[e->rank][e->i];
    if (!l->asked && l->G > per_byte) per_byte = l->G;
    int64_t o = l->o + (asks(l, bytes) ? l->ask : 0), wait = asks(l, bytes) ? l->R : 0;
    node_use(m, e->rank, e->i, e->time, o + more * per_byte,
             happening(m, peer, mate)->begin + o + l->L + wait, peer, mate);
    if (!l->asked) n->receive_free = e->time + l->g + more * l->G;
    return n->state[e->i] == POSTED ? node_matched(m, e->rank, e->i) : 0;
}

static int machine_run(struct machine *m)
{
    int status = 0;
    for (uint32_t r = 0; r < m->p->size && status == 0; r++) status = node_go(m, r, 0);
    while (m->events && status == 0) {
        struct event e = event_take(m);
        enum op_kind kind = op_kind(&m->p->lane[e.rank].op[e.i]);
        m->s->events++;
        if (e.kind == EVENT_ARRIVE)
            status = machine_arrive(m, &e);
        else if (kind == OP_SEND)
            status = machine_send(m, &e);
        else if (m->node[e.rank].processor > e.time)
            status = event_put(m, m->node[e.rank].processor, EVENT_START, e.rank, e.i);
        else
            status = node_calculate(m, e.rank, e.i, e.time);
    }
    for (uint32_t r = 0; r < m->p->size && status == 0; r++) {
        if (m->node[r].base < m->p->lane[r].n) status = SINEW_EINVAL;
        if (m->s->finish[r] > m->s->finish[m->s->last_rank]) m->s->last_rank = r;
    }
    return status;
}

static int machine_make(struct machine *m)
{
    const struct plan *p = m->p;
    m->node = calloc(p->size, sizeof(*m->node));
    m->s->at = calloc(p->size, sizeof(*m->s->at));
    m->s->finish = calloc(p->size, sizeof(*m->s->finish));
    if (!m->node || !m->s->at || !m->s->finish) return SINEW_ENOMEM;
    for (uint32_t r = 0; r < p->size; r++) {
        m->node[r].state = calloc(p->lane[r].n + 1, 1);
        m->s->at[r] = calloc(p->lane[r].n + 1, sizeof(**m->s->at));
        if (!m->node[r].state || !m->s->at[r]) return SINEW_ENOMEM;
        for (uint32_t i = 0; i < p->lane[r].n; i++) m->s->at[r][i].cause_rank = UINT32_MAX;
    }
    return 0;
}

int simulate(const struct plan *p, const struct loggops *model, uint64_t bytes,
             struct simulation *s, char why[WHY_MAX])
{
    struct machine m = { .p = p, .model = model, .bytes = bytes, .s = s };
    *s = (struct simulation){ 0 };
    int status = plan_mates(p, &m.mate, why);
    if (status == 0) status = machine_make(&m);
    if (status == 0) status = machine_run(&m);
    if (status == SINEW_ENOMEM) snprintf(why, WHY_MAX, "no memory to simulate %u ranks", p->size);
    if (status == SINEW_EINVAL) snprintf(why, WHY_MAX, "it never ends: see --verify");
    for (uint32_t r = 0; m.node && r < p->size; r++) free(m.node[r].state);
    plan_mates_free(p, m.mate);
    free(m.node);
    free(m.heap);
    if (status < 0) simulation_free(s, p->size);
    return status;
}

void simulation_free(struct simulation *s, uint32_t size)
{
    for (uint32_t r = 0; s->at && r < size; r++) free(s->at[r]);
    free(s->at);
    free(s->finish);
}
