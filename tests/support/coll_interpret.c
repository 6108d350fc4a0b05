/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/coll_interpret.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/coll_layout.h"

enum {
    RANKS = 16,
    BLOCKS = 64,
    INSTANCES = 512,
    MESSAGES = 4096,
    EXPRESSIONS = 65536,
    WINDOW = 64
};
enum state { WAITS, POSTED, ARRIVED, DONE };

/* Of all interpretations in this process: a number means one expression. */
static int expressions[EXPRESSIONS][2], expression_count = 1;

static int expression(int left, int right)
{
    for (int i = 1; i < expression_count; i++)
        if (expressions[i][0] == left && expressions[i][1] == right) return i;
    if (expression_count == EXPRESSIONS) abort();
    expressions[expression_count][0] = left;
    expressions[expression_count][1] = right;
    return expression_count++;
}

/* An input: negative, so that it is no number of an expression. */
static int input(uint32_t rank, uint32_t block)
{
    return expression(-1 - (int)rank, -1 - (int)block);
}

/* How long a rank's part is. */
static int length(uint32_t rank)
{
    return expression(-1 - (int)rank, -1000);
}

struct message {
    uint32_t from, to, ordinal, n;
    int value[BLOCKS];
    bool copied; /* the sender is done */
    uint32_t i;  /* the sender's instance */
};

struct machine {
    const struct plan *p;
    struct outcome *o;
    uint64_t random;
    bool commutes;
    uint32_t stages;
    int block[RANKS][BUFFER_COUNT][BLOCKS], stage[RANKS][INSTANCES][BLOCKS];
    uint8_t state[RANKS][INSTANCES];
    uint32_t base[RANKS];
    bool begun[RANKS];
    struct message message[MESSAGES];
    uint32_t messages;
};

static int combine(const struct machine *m, int left, int right)
{
    return m->commutes && left > right ? expression(right, left) : expression(left, right);
}

/* The values of a field; NULL: there is no such place. */
static int *place(struct machine *m, uint32_t rank, const struct op *op, enum op_field f)
{
    enum op_buffer buffer = op_buffer(op, f);
    if (op_is_word(op) && op->n == 0) return m->block[rank][BUFFER_NONE];
    if (buffer == BUFFER_NONE || buffer >= BUFFER_COUNT ||
        (uint64_t)op->at[f] + op->n > m->p->lane[rank].blocks[buffer] ||
        (buffer == BUFFER_OUT && !m->p->lane[rank].has_out) ||
        (buffer == BUFFER_IN && f == FIELD_D)) {
        m->o->broken = true;
        return NULL;
    }
    return &m->block[rank][buffer][op->at[f]];
}

static bool ready(const struct machine *m, uint32_t rank, uint32_t i)
{
    const struct op *op = &m->p->lane[rank].op[i];
    for (int d = 0; d < 2; d++)
        if (op->dep[d] > i || (op->dep[d] && m->state[rank][i - op->dep[d]] != DONE)) return false;
    return !(op_flags(op) & OP_FENCE) || m->base[rank] == i;
}

static void done(struct machine *m, uint32_t rank, uint32_t i)
{
    m->state[rank][i] = DONE;
    while (m->base[rank] < m->p->lane[rank].n && m->state[rank][m->base[rank]] == DONE)
        m->base[rank]++;
}

static void send_start(struct machine *m, uint32_t rank, uint32_t i)
{
    const struct op *op = &m->p->lane[rank].op[i];
    const int *a = place(m, rank, op, FIELD_A);
    if (!a || op->at[FIELD_PEER] >= m->p->size || m->messages == MESSAGES) {
        m->o->broken = true;
        return;
    }
    struct message *x = &m->message[m->messages++];
    *x = (struct message){ .from = rank,
                           .to = op->at[FIELD_PEER],
                           .ordinal = op->at[FIELD_D],
                           .n = op->n,
                           .i = i,
                           .copied = case_random(&m->random) % 2 };
    m->state[rank][i] = POSTED;
    if (!x->copied) return;
    memcpy(x->value, a, op->n * sizeof(*a));
    done(m, rank, i);
}

/* A posted receive and its message meet; false: it has not come. */
static bool receive(struct machine *m, uint32_t rank, uint32_t i)
{
    const struct op *op = &m->p->lane[rank].op[i];
    int *d = place(m, rank, op, FIELD_D);
    for (uint32_t k = 0; k < m->messages && d; k++) {
        struct message *x = &m->message[k];
        if (x->to != rank || x->from != op->at[FIELD_PEER] || x->ordinal != op->at[FIELD_A])
            continue;
        if (x->n != op->n) m->o->broken = true;
        if (m->o->broken) return true;
        if (!x->copied) {
            const int *a = place(m, x->from, &m->p->lane[x->from].op[x->i], FIELD_A);
            if (!a) return true;
            memcpy(x->value, a, x->n * sizeof(*a));
            done(m, x->from, x->i);
        }
        bool reduces = op_kind(op) == OP_RECV_REDUCE;
        memcpy(reduces ? m->stage[rank][i] : d, x->value, x->n * sizeof(*d));
        *x = m->message[--m->messages];
        if (reduces)
            m->state[rank][i] = ARRIVED;
        else
            done(m, rank, i);
        return true;
    }
    return !d;
}

/* Before it has begun, and when it has ended, a rank's memory is its user's. */
static int *place_of_peer(struct machine *m, uint32_t rank, const struct op *op)
{
    uint32_t peer = op->at[FIELD_PEER];
    if (peer < m->p->size && peer != rank && m->begun[peer] && m->base[peer] < m->p->lane[peer].n)
        return place(m, peer, op, FIELD_A);
    m->o->broken = true;
    return NULL;
}

static void compute(struct machine *m, uint32_t rank, uint32_t i, const int *a)
{
    const struct op *op = &m->p->lane[rank].op[i];
    const int *b = place(m, rank, op, FIELD_B);
    int *d = place(m, rank, op, FIELD_D);
    bool left = op_flags(op) & OP_A_LEFT;
    for (uint32_t k = 0; k < op->n && a && b && d; k++)
        d[k] = left ? combine(m, a[k], b[k]) : combine(m, b[k], a[k]);
    done(m, rank, i);
}

static void local(struct machine *m, uint32_t rank, uint32_t i)
{
    const struct op *op = &m->p->lane[rank].op[i];
    if (op_kind(op) == OP_COPY || op_kind(op) == OP_READ) {
        const int *a = op_kind(op) == OP_READ ? place_of_peer(m, rank, op)
                                              : place(m, rank, op, FIELD_A);
        int *d = place(m, rank, op, FIELD_D);
        if (a && d) memmove(d, a, op->n * sizeof(*d));
        done(m, rank, i);
    } else if (op_kind(op) == OP_REDUCE) {
        compute(m, rank, i, place(m, rank, op, FIELD_A));
    } else if (op_kind(op) == OP_READ_REDUCE) {
        compute(m, rank, i, place_of_peer(m, rank, op));
    } else if (op_kind(op) == OP_NOP) {
        const struct lane *lane = &m->p->lane[rank];
        for (uint32_t k = 0; op_flags(op) & OP_COUNTS && k < lane->blocks[BUFFER_CNT]; k++)
            if (m->block[rank][BUFFER_CNT][k] != length(lane->first + k)) m->o->broken = true;
        done(m, rank, i);
    } else {
        m->o->broken = true;
    }
}

/* Try one instance; true: something happened. */
static bool try_instance(struct machine *m, uint32_t rank, uint32_t i)
{
    const struct op *op = &m->p->lane[rank].op[i];
    uint8_t state = m->state[rank][i];
    bool receives = op_receives(op), reduces = op_kind(op) == OP_RECV_REDUCE;
    if (state == ARRIVED && ready(m, rank, i)) {
        compute(m, rank, i, m->stage[rank][i]);
        return true;
    }
    if (state == POSTED && receives) return receive(m, rank, i);
    if (state != WAITS || (!reduces && !ready(m, rank, i))) return false;
    uint32_t staged = 0;
    for (uint32_t j = m->base[rank]; j < i && reduces; j++)
        if (op_kind(&m->p->lane[rank].op[j]) == OP_RECV_REDUCE && m->state[rank][j] != DONE)
            staged += m->state[rank][j] == WAITS ? 1000 : 1;
    if (staged >= m->stages) return false;
    if (receives)
        m->state[rank][i] = POSTED;
    else if (op_kind(op) == OP_SEND)
        send_start(m, rank, i);
    else
        local(m, rank, i);
    return true;
}

/* A rank chosen at random, in its window an instance chosen at random; else any that can. */
static bool step(struct machine *m, uint32_t held)
{
    uint32_t first = (uint32_t)(case_random(&m->random) % m->p->size);
    for (uint32_t k = 0; k < m->p->size; k++) {
        uint32_t rank = (first + k) % m->p->size, base = m->base[rank];
        uint32_t end = base, n = m->p->lane[rank].n;
        while (end < n && end - base < WINDOW &&
               (end == base || !(op_flags(&m->p->lane[rank].op[end - 1]) & OP_FENCE)))
            end++;
        if (rank == held || end == base) continue;
        uint32_t from = (uint32_t)(case_random(&m->random) % (end - base));
        for (uint32_t i = 0; i < end - base; i++)
            if (try_instance(m, rank, base + (from + i) % (end - base))) {
                m->begun[rank] = true;
                return true;
            }
    }
    return false;
}

static void begin(struct machine *m)
{
    enum collective c = m->p->algorithm->collective;
    bool gathers = c == COLLECTIVE_GATHER || c == COLLECTIVE_ALLGATHER || c == COLLECTIVE_GATHERV ||
                   c == COLLECTIVE_ALLGATHERV;
    for (uint32_t r = 0; r < m->p->size; r++)
        for (uint32_t i = 0; i < BLOCKS; i++) {
            uint32_t each = m->p->lane[r].blocks[BUFFER_OUT] / m->p->size, k = each ? each : 1;
            bool placed = m->p->lane[r].in_place && (!gathers || i / k == r);
            if (c == COLLECTIVE_BCAST) placed = r == m->p->root;
            m->block[r][BUFFER_IN][i] = c == COLLECTIVE_BCAST ? 0 : input(r, i);
            uint32_t of = m->p->lane[r].first + i;
            bool known = c == COLLECTIVE_GATHERV ? of == r
                                                 : c == COLLECTIVE_SCATTERV && r == m->p->root;
            m->block[r][BUFFER_CNT][i] = known ? length(of) : 0;
            m->block[r][BUFFER_OUT][i] = placed ? input(r, gathers ? i % k : i) : 0;
        }
}

void interpret(const struct plan *p, uint64_t seed, bool commutes, uint32_t held, struct outcome *o)
{
    static struct machine m;
    memset(&m, 0, sizeof(m));
    m.p = p;
    m.o = o;
    m.random = seed;
    m.commutes = commutes;
    m.stages = seed % 2 ? 1 : 32;
    *o = (struct outcome){ 0 };
    for (uint32_t r = 0; r < p->size; r++)
        for (int b = BUFFER_IN; b < BUFFER_COUNT; b++)
            if (p->lane[r].n > INSTANCES || p->lane[r].blocks[b] > BLOCKS) abort();
    begin(&m);
    while (!o->broken && step(&m, held)) {
    }
    o->ended = m.messages == 0;
    for (uint32_t r = 0; r < p->size; r++) {
        bool all = m.base[r] == p->lane[r].n;
        o->ended &= all;
        o->early |= all && held != UINT32_MAX && r != held;
        for (uint32_t i = 0; p->lane[r].has_out && i < p->lane[r].blocks[BUFFER_OUT]; i++)
            o->out[o->n++] = m.block[r][BUFFER_OUT][i];
    }
}
