/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * build.c - from a program to a schedule
 *
 * The program falls into sections: straight runs and loops. Within a section two instances conflict
 * when they touch the same block and one of them writes it: the later one then depends on the
 * earlier one. Between sections a conflict becomes a fence. Dependencies that follow from others
 * are left out; where more than two remain, NOPs join them.
 */
#include "collectives/build.h"

#include <string.h>

struct section {
    uint32_t first, n; /* the operations, without the LOOP itself           */
    uint32_t loop;     /* 1 + index of the LOOP, or 0 for a straight run, which ends at a fence */
};

static struct op *build_add(struct build *b, enum op_kind kind, uint32_t flags, uint32_t peer,
                            uint32_t n)
{
    if (b->ops == BUILD_MAX) {
        b->failure = "more operations than a schedule may have";
        b->ops--; /* keep a place to write to: the failure is reported by build_finish() */
    }
    struct op *op = &b->op[b->ops++];
    *op = (struct op){ .word = (uint32_t)kind | flags << 4, .at[FIELD_PEER] = peer, .n = n };
    return op;
}

static void op_move(struct op *op, enum op_field field, int move)
{
    uint32_t code = move < 0 ? 2 : (uint32_t)move, shift = 24 + 2 * (uint32_t)field;
    op->word = (op->word & ~(3u << shift)) | (code << shift);
}

static void op_place(struct op *op, enum op_field field, struct place place)
{
    op->word |= (uint32_t)place.buffer << (8 + 4 * (unsigned)field);
    op->at[field] = place.at;
    op_move(op, field, place.move);
}

void build_send(struct build *b, uint32_t peer, struct place a, uint32_t n)
{
    op_place(build_add(b, OP_SEND, 0, peer, n), FIELD_A, a);
}

void build_recv(struct build *b, uint32_t peer, struct place d, uint32_t n)
{
    op_place(build_add(b, OP_RECV, 0, peer, n), FIELD_D, d);
}

void build_recv_reduce(struct build *b, uint32_t peer, struct place from, struct place d,
                       uint32_t n)
{
    struct op *op = build_add(b, OP_RECV_REDUCE, peer < b->rank ? OP_A_LEFT : 0, peer, n);
    op_place(op, FIELD_B, from);
    op_place(op, FIELD_D, d);
}

void build_reduce(struct build *b, struct place left, struct place right, struct place d,
                  uint32_t n)
{
    struct op *op = build_add(b, OP_REDUCE, OP_A_LEFT, 0, n);
    op_place(op, FIELD_A, left);
    op_place(op, FIELD_B, right);
    op_place(op, FIELD_D, d);
}

void build_copy(struct build *b, struct place a, struct place d, uint32_t n)
{
    struct op *op = build_add(b, OP_COPY, 0, 0, n);
    op_place(op, FIELD_A, a);
    op_place(op, FIELD_D, d);
}

void build_read(struct build *b, uint32_t peer, struct place from, struct place d, uint32_t n)
{
    struct op *op = build_add(b, OP_READ, 0, peer, n);
    op_place(op, FIELD_A, from);
    op_place(op, FIELD_D, d);
}

void build_read_reduce(struct build *b, uint32_t peer, struct place from, struct place mine,
                       struct place d, uint32_t n)
{
    struct op *op = build_add(b, OP_READ_REDUCE, peer < b->rank ? OP_A_LEFT : 0, peer, n);
    op_place(op, FIELD_A, from);
    op_place(op, FIELD_B, mine);
    op_place(op, FIELD_D, d);
}

void build_tell(struct build *b, uint32_t peer)
{
    build_add(b, OP_SEND, 0, peer, 0);
}

void build_await(struct build *b, uint32_t peer)
{
    build_add(b, OP_RECV, 0, peer, 0);
}

void build_fence(struct build *b)
{
    build_add(b, OP_NOP, OP_FENCE, 0, 0);
}

void build_counts(struct build *b)
{
    build_add(b, OP_NOP, OP_FENCE | OP_COUNTS, 0, 0);
}

void build_strides(struct build *b, uint32_t a, uint32_t d)
{
    struct op *loop = &b->op[b->loop - 1];
    loop->at[FIELD_A] = a;
    loop->at[FIELD_D] = d;
}

void build_loop(struct build *b, uint32_t n)
{
    struct op *op = build_add(b, OP_LOOP, 0, 1, n);
    op->at[FIELD_A] = op->at[FIELD_B] = op->at[FIELD_D] = 1;
    b->loop = b->ops;
}

void build_loop_end(struct build *b)
{
    struct op *loop = &b->op[b->loop - 1];
    loop->dep[0] = b->ops - b->loop;
    if (loop->n == 0 || loop->dep[0] == 0) b->ops = b->loop - 1; /* nothing happens: leave it out */
    b->loop = 0;
}

void build_move_peer(struct build *b, int move)
{
    op_move(&b->op[b->ops - 1], FIELD_PEER, move);
}

/* ------------------------------------------------------------------------ sections and overlaps */

static bool section_next(const struct build *b, uint32_t at, struct section *s)
{
    if (at >= b->ops) return false;
    if (op_kind(&b->op[at]) == OP_LOOP) {
        *s = (struct section){ at + 1, b->op[at].dep[0], at + 1 };
        return true;
    }
    *s = (struct section){ at, 0, 0 };
    while (at + s->n < b->ops && op_kind(&b->op[at + s->n]) != OP_LOOP) {
        if (s->n && op_flags(&b->op[at + s->n]) & OP_FENCE) break;
        s->n++;
    }
    return true;
}

static bool op_writes(const struct op *op, enum op_field field)
{
    return field == FIELD_D && op_buffer(op, FIELD_D) != BUFFER_NONE;
}

/* A peer's block is none of this rank's. */
static bool is_elsewhere(const struct op *op, enum op_field field)
{
    return op_reads(op) && field == FIELD_A;
}

/* Whether fields of two operations touch one buffer, and one of them writes it. */
static bool fields_meet(const struct op *x, enum op_field fx, const struct op *y, enum op_field fy)
{
    if (is_elsewhere(x, fx) || is_elsewhere(y, fy)) return false;
    return op_buffer(x, fx) != BUFFER_NONE && op_buffer(x, fx) == op_buffer(y, fy) && x->n &&
           y->n && (op_writes(x, fx) || op_writes(y, fy));
}

static bool ranges_overlap(uint32_t x, uint32_t nx, uint32_t y, uint32_t ny)
{
    return (uint64_t)x < (uint64_t)y + ny && (uint64_t)y < (uint64_t)x + nx;
}

/* Whether any instances of x, and y after it, may conflict; what moves is taken to go
 * everywhere. */
static bool ops_may_conflict(const struct op *x, const struct op *y)
{
    if (op_is_word(x) && op_is_word(y)) return op_receives(x) && op_kind(y) == OP_SEND;
    if (op_is_word(y) && op_kind(y) == OP_SEND) return true;
    if (op_is_word(x) && op_receives(x)) return true;
    for (int fx = FIELD_A; fx <= FIELD_D; fx++)
        for (int fy = FIELD_A; fy <= FIELD_D; fy++) {
            enum op_field f = (enum op_field)fx, g = (enum op_field)fy;
            if (!fields_meet(x, f, y, g)) continue;
            if (op_multiplier(x, f) || op_multiplier(y, g)) return true;
            if (ranges_overlap(x->at[f], x->n, y->at[g], y->n)) return true;
        }
    return false;
}

/*
 * The least distance in repetitions, from `least` on, at which y touches what x touched, both
 * moving by `move`; UINT32_MAX: never. At distance t the start of y lies at (y - x + move t) mod K
 * in x's coordinates, and touches it from K - ny + 1 round to nx - 1.
 */
static uint32_t overlap_distance(uint32_t x, uint32_t nx, uint32_t y, uint32_t ny, int move,
                                 uint32_t blocks, uint32_t least)
{
    uint64_t k = blocks, start = (y + k - x % k) % k;
    start = move < 0 ? (start + k - least % k) % k : (start + (move > 0 ? least % k : 0)) % k;
    if (start < nx || start + ny > k) return least;
    if (move == 0) return UINT32_MAX;
    uint64_t further = move > 0 ? k - ny + 1 - start : start - (nx - 1);
    return (uint32_t)(least + further);
}

/* The same where places move on by `step` blocks and never past the end: at distance t, y begins
 * y + step t - x behind x. */
static uint32_t overlap_ahead(uint32_t x, uint32_t nx, uint32_t y, uint32_t ny, uint32_t step,
                              uint32_t least)
{
    int64_t apart = (int64_t)y - x, t = least, short_by = 1 - (int64_t)ny - apart;
    if (short_by > t * step) t = (short_by + step - 1) / step;
    return apart + t * step < nx ? (uint32_t)t : UINT32_MAX;
}

/* Whether, in so many repetitions, what moves by one block each time meets what stands still. */
static bool moving_meets(uint32_t moving, uint32_t n_moving, int move, uint32_t still,
                         uint32_t n_still, uint32_t blocks, uint32_t repetitions)
{
    for (uint32_t i = 0; i < n_moving; i++) { /* each block of it on its way */
        uint64_t from = ((uint64_t)moving + i) % blocks, k = blocks;
        uint64_t ahead = (move > 0 ? still + k - from : from + k - (still + n_still - 1)) % k;
        if (ahead < repetitions || ahead + n_still > k) return true;
    }
    return false;
}

/* Whether two fields, of which one stands still and one moves by single blocks, never meet. */
static bool fields_part(const struct build *b, const struct op *loop, const struct op *x,
                        enum op_field fx, const struct op *y, enum op_field fy)
{
    if (op_multiplier(y, fy) == 0) return fields_part(b, loop, y, fy, x, fx);
    if (op_multiplier(x, fx) != 0 || loop->at[fy] != 1) return false;
    return !moving_meets(y->at[fy], y->n, op_multiplier(y, fy), x->at[fx], x->n,
                         b->blocks[op_buffer(x, fx)], loop->n);
}

/* The distance in repetitions at which y first conflicts with x; both are in that loop. */
static uint32_t loop_conflict(struct build *b, const struct op *loop, const struct op *x,
                              const struct op *y, uint32_t least)
{
    uint32_t nearest = UINT32_MAX;
    for (int fx = FIELD_A; fx <= FIELD_D; fx++)
        for (int fy = FIELD_A; fy <= FIELD_D; fy++) {
            enum op_field f = (enum op_field)fx, g = (enum op_field)fy;
            if (!fields_meet(x, f, y, g)) continue;
            if (op_multiplier(x, f) != op_multiplier(y, g)) {
                if (fields_part(b, loop, x, f, y, g)) continue;
                b->failure = "places that move apart in a loop conflict";
            }
            uint32_t blocks = b->blocks[op_buffer(x, f)], distance;
            int move = op_multiplier(x, f);
            if (loop->at[f] == 1 && loop->at[g] == 1) {
                distance = overlap_distance(x->at[f], x->n, y->at[g], y->n, move, blocks, least);
            } else {
                uint64_t last = (uint64_t)loop->at[f] * (loop->n - 1) + x->at[f] + x->n;
                if (loop->at[f] != loop->at[g] || move != 1 || last > blocks)
                    b->failure = "strides that differ, go back or go round";
                distance = overlap_ahead(x->at[f], x->n, y->at[g], y->n, loop->at[f], least);
            }
            if (distance < nearest) nearest = distance;
        }
    return nearest;
}

/* --------------------------------------------------------------------------------- dependencies */

static void loop_depend(struct build *b, struct section s)
{
    uint32_t repetitions = b->op[s.loop - 1].n;
    for (uint32_t y = 0; y < s.n; y++) {
        struct op *op = &b->op[s.first + y];
        int deps = 0;
        if (op_reads(op) || op_is_word(op)) b->failure = "what is read from a peer in a loop";
        for (uint32_t back = 1; back <= s.n; back++) { /* nearest first, within one repetition */
            uint32_t x = (y + s.n - back) % s.n, least = x >= y;
            uint32_t distance =
                loop_conflict(b, &b->op[s.loop - 1], &b->op[s.first + x], op, least);
            if (distance >= repetitions) continue;
            if (deps == 2) {
                b->failure = "more than two dependencies in a loop";
                return;
            }
            op->dep[deps++] = distance * s.n + y - x;
        }
    }
}

static bool output_add(struct build *b, struct op *out, uint32_t *n, struct op op)
{
    if (*n == BUILD_MAX) {
        b->failure = "more operations than a schedule may have";
        return false;
    }
    out[(*n)++] = op;
    return true;
}

/* A set of a section's operations. */
struct set {
    uint64_t bits[(BUILD_MAX + 63) / 64];
};

static void set_add(struct set *s, uint32_t i)
{
    s->bits[i / 64] |= (uint64_t)1 << (i % 64);
}

static bool set_has(const struct set *s, uint32_t i)
{
    return s->bits[i / 64] >> (i % 64) & 1;
}

static void set_join(struct set *s, const struct set *with)
{
    for (size_t i = 0; i < sizeof(s->bits) / sizeof(s->bits[0]); i++) s->bits[i] |= with->bits[i];
}

static bool set_within(const struct set *s, const struct set *whole)
{
    uint64_t outside = 0;
    for (size_t i = 0; i < sizeof(s->bits) / sizeof(s->bits[0]); i++)
        outside |= s->bits[i] & ~whole->bits[i];
    return outside == 0;
}

/* What a straight run has put out so far: its operations, and the NOPs that join some of them. */
struct run {
    uint32_t n;
    uint32_t op[BUILD_MAX];     /* in the section; BUILD_MAX for a NOP                        */
    struct set done[BUILD_MAX]; /* what is done once this is: itself and what it follows      */
};

/* The operations before y that it conflicts with, and all that is done once they are. */
static void run_conflicts(const struct build *b, struct section s, const struct run *run,
                          uint32_t y, struct set *conflicts, struct set *before)
{
    memset(conflicts, 0, sizeof(*conflicts));
    memset(before, 0, sizeof(*before));
    for (uint32_t i = 0; i < run->n; i++) {
        uint32_t x = run->op[i];
        if (x == BUILD_MAX || !ops_may_conflict(&b->op[s.first + x], &b->op[s.first + y])) continue;
        set_add(conflicts, x);
        set_join(before, &run->done[i]);
    }
}

static bool run_put(struct build *b, struct run *run, uint32_t x, struct op op, struct op *out,
                    uint32_t *n)
{
    if (!output_add(b, out, n, op)) return false;
    memset(&run->done[run->n], 0, sizeof(run->done[0]));
    run->op[run->n] = x;
    for (int i = 0; i < 2; i++)
        if (op.dep[i]) set_join(&run->done[run->n], &run->done[run->n - op.dep[i]]);
    if (x != BUILD_MAX) set_add(&run->done[run->n], x);
    run->n++;
    return true;
}

static const struct op op_nop = { .word = OP_NOP };

/* Put out operation y after what it conflicts with: at most two dependencies, NOPs join the others.
 * An earlier NOP serves again when it joins nothing that y need not wait for. */
static bool run_add(struct build *b, struct section s, struct run *run, uint32_t y, struct op *out,
                    uint32_t *n)
{
    struct set conflicts, before, met = { { 0 } };
    uint32_t on[2], deps = 0;
    run_conflicts(b, s, run, y, &conflicts, &before);
    for (uint32_t i = run->n; i-- > 0;) {
        uint32_t x = run->op[i];
        if (x != BUILD_MAX ? !set_has(&conflicts, x) : !set_within(&run->done[i], &before))
            continue;
        if (set_within(&run->done[i], &met)) continue;
        set_join(&met, &run->done[i]);
        if (deps == 2) {
            struct op join = op_nop;
            for (int k = 0; k < 2; k++) join.dep[k] = run->n - on[k];
            on[0] = run->n;
            deps = 1;
            if (!run_put(b, run, BUILD_MAX, join, out, n)) return false;
        }
        on[deps++] = i;
    }
    struct op op = b->op[s.first + y];
    for (uint32_t k = 0; k < deps; k++) op.dep[k] = run->n - on[k];
    return run_put(b, run, y, op, out, n);
}

static bool fence_needed(const struct build *b, uint32_t from, struct section s)
{
    for (uint32_t x = from; x < s.first; x++)
        for (uint32_t y = s.first; y < s.first + s.n; y++)
            if (op_kind(&b->op[x]) != OP_LOOP && ops_may_conflict(&b->op[x], &b->op[y]))
                return true;
    return false;
}

/* ------------------------------------------------------------------------------------- ordinals */

/* How many messages operation j, of `repetitions`, exchanges with `peer`. */
static uint32_t messages_with(const struct build *b, const struct op *j, uint32_t repetitions,
                              uint32_t peer)
{
    int move = op_multiplier(j, FIELD_PEER);
    if (move == 0) return j->at[FIELD_PEER] == peer ? repetitions : 0;
    uint64_t there = (uint64_t)peer + b->size, here = j->at[FIELD_PEER];
    uint64_t distance = (move > 0 ? there - here : here + b->size - peer) % b->size;
    return distance < repetitions ? 1 : 0;
}

/* Whether operation i of a loop, with a moving peer, would not be the first to talk with each. */
static bool meets_again(const struct build *b, const struct op *i, uint32_t repetitions,
                        const struct op *x)
{
    if (x == i) return false;
    return op_multiplier(x, FIELD_PEER) != 0 ||
           messages_with(b, i, repetitions, x->at[FIELD_PEER]) != 0;
}

/*
 * The ordinal of operation i's first message with its peer; in a loop with a fixed peer it grows by
 * one in each repetition.
 */
static void build_number(struct build *b, uint32_t i, struct section s)
{
    struct op *op = &b->op[i];
    bool sends = op_kind(op) == OP_SEND, moving = op_multiplier(op, FIELD_PEER) != 0;
    uint32_t ordinal = 0, grows = 0, repetitions = 1, end = 0;
    for (uint32_t j = 0; j < (s.loop ? s.first + s.n : i); j++) {
        const struct op *x = &b->op[j];
        if (j == end) repetitions = 1;
        if (op_kind(x) == OP_LOOP) {
            repetitions = x->n;
            end = j + 1 + x->dep[0];
        }
        if (sends ? op_kind(x) != OP_SEND : !op_receives(x)) continue;
        bool own = s.loop && j >= s.first;
        if (moving) {
            if (meets_again(b, op, b->op[s.loop - 1].n, x))
                b->failure = "a loop over peers after other messages with them";
            continue;
        }
        uint32_t each = messages_with(b, x, own ? 1 : repetitions, op->at[FIELD_PEER]);
        if (!own || j < i) ordinal += each;
        if (own) grows += each;
    }
    if (grows > 1) b->failure = "more than one message to a peer in a repetition";
    enum op_field field = sends ? FIELD_D : FIELD_A;
    op->at[field] = ordinal;
    op_move(op, field, grows ? 1 : 0);
}

static void build_number_all(struct build *b)
{
    struct section s;
    for (uint32_t at = 0; section_next(b, at, &s); at = s.first + s.n)
        for (uint32_t i = s.first; i < s.first + s.n; i++)
            if (op_kind(&b->op[i]) == OP_SEND || op_receives(&b->op[i])) build_number(b, i, s);
}

uint32_t build_finish(struct build *b, struct op out[BUILD_MAX])
{
    uint32_t n = 0, fenced = 0;
    struct section s;
    build_number_all(b);
    for (uint32_t at = 0; section_next(b, at, &s) && !b->failure; at = s.first + s.n) {
        if (op_flags(&b->op[s.first]) & OP_FENCE) {
            fenced = s.first;
        } else if (fence_needed(b, fenced, s)) {
            struct op fence = op_nop;
            fence.word |= OP_FENCE << 4;
            fenced = s.first;
            if (!output_add(b, out, &n, fence)) return 0;
        }
        struct run run;
        run.n = 0;
        if (s.loop) loop_depend(b, s);
        for (uint32_t i = s.loop ? s.first - 1 : s.first; i < s.first + s.n; i++)
            if (s.loop ? !output_add(b, out, &n, b->op[i])
                       : !run_add(b, s, &run, i - s.first, out, &n))
                return 0;
    }
    if (n == 0) out[n++] = op_nop;
    return b->failure ? 0 : n;
}
