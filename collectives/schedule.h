/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_SCHEDULE_H
#define COLLECTIVES_SCHEDULE_H
/*
 * schedule.h - what one rank does in a collective, as data
 *
 * A schedule is a pointer-free array of 32-byte operations:
 *
 *      0        4      12     16     20     24      26   28   30   32 bits
 *      +--------+------+------+------+------+-------+----+----+----+
 *      |  kind  | flags|  a   |  b   |  d   | peer  | a  | b  | d  |  word: buffers, multipliers
 *      +--------+------+------+------+------+-------+----+----+----+
 *      | peer   a team rank                                        |
 *      | a      operand: block of buffer a                         |
 *      | b      operand: block of buffer b                         |
 *      | d      destination: block of buffer d                     |
 *      | n      blocks                                             |
 *      | dep[0] what must be done before: distances backwards      |
 *      | dep[1] in instances, 0 for none                           |
 *      +-----------------------------------------------------------+
 *
 *   SEND         a -> peer                 RECV          peer -> d
 *   RECV_REDUCE  d = peer's (+) b          REDUCE        d = a (+) b
 *   COPY         d = a                     NOP           nothing; joins dependencies
 *   READ         d = a of the peer         READ_REDUCE   d = a of the peer (+) b
 *   LOOP         the next dep[0] operations, n times; its peer, a, b, d are the strides
 *
 * Operand a stands left of (+) if OP_A_LEFT is set, else right.
 *
 * READ looks at a peer's buffer without a word to the peer. That its block is there and stays is
 * what messages of no block say: a SEND of none comes after all that its rank did before, and a
 * RECV of none before all that its rank does later. So each READ stands between two of them, one
 * each way.
 *
 * Messages: the end that is not here has no block but an ordinal, "the how manieth message between
 * this pair in this direction". It stands where the block would: in d of SEND, in a of RECV and
 * RECV_REDUCE (their buffer is BUFFER_NONE).
 *
 * Loops: in repetition i a field is  base + multiplier * stride * i,  multiplier 0, +1 or -1,
 * modulo what it counts (the team's size, the buffer's blocks; ordinals: none). Loops do not nest.
 * A schedule means its unrolling, and a reader walks it with a cursor.
 *
 * Dependencies count instances of the unrolled schedule and stay within their straight run or
 * loop; one that would reach before it is met. Across, a NOP with OP_FENCE holds back
 * everything after it until everything before it is done. Dependencies guard an instance's places.
 * The receive of a RECV_REDUCE may be posted before they are met, in order with the others.
 *
 * Blocks: a buffer of N elements has K blocks; block i starts at element floor(N i / K). So a range
 * of blocks is a range of elements, and one schedule serves every count and type. Where ranks have
 * different counts, a table takes the place of the formula; what lies apart there is sent and
 * received one block at a time. Block j of TMP is as long as block j + tmp_shift of tmp_like.
 *
 * Tiles: a schedule whose operations have one block each may be carried out for each of T tiles.
 * Tile t of a block is block  block * T + t  of a buffer that has T times as many: a share of every
 * block, and TMP is no larger. Tiles share nothing. They follow one another through the executor's
 * window, many of them at once where the schedule has few operations, and a message is known by its
 * ordinal and its tile. The schedule is as long as without.
 *
 * Lengths that a rank cannot know beforehand come to it: block j of CNT is 8 bytes, how long rank
 * tmp_shift + j's part is. At the beginning it holds what this rank does know: its own, or at the
 * root of a scatter all of them. Then block j of TMP is as long as CNT[j] says, from a NOP with
 * OP_FENCE and OP_COUNTS on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_kind {
    OP_NOP,
    OP_SEND,
    OP_RECV,
    OP_RECV_REDUCE,
    OP_REDUCE,
    OP_COPY,
    OP_READ, /* these two are verified, simulated and drawn; no algorithm has them yet */
    OP_READ_REDUCE,
    OP_LOOP,
};

enum op_flag { OP_A_LEFT = 1, OP_FENCE = 2, OP_COUNTS = 4 };

enum op_buffer { BUFFER_NONE, BUFFER_IN, BUFFER_OUT, BUFFER_TMP, BUFFER_CNT, BUFFER_COUNT };

enum op_field { FIELD_PEER, FIELD_A, FIELD_B, FIELD_D };

struct op {
    uint32_t word;
    uint32_t at[4]; /* by enum op_field */
    uint32_t n;
    uint32_t dep[2];
};
_Static_assert(sizeof(struct op) == 32, "an operation is 32 bytes");

static inline enum op_kind op_kind(const struct op *op)
{
    return (enum op_kind)(op->word & 15);
}

static inline uint32_t op_flags(const struct op *op)
{
    return op->word >> 4 & 255;
}

/* The buffer of FIELD_A, FIELD_B or FIELD_D. */
static inline enum op_buffer op_buffer(const struct op *op, enum op_field field)
{
    return (enum op_buffer)(op->word >> (8 + 4 * (unsigned)field) & 15);
}

/* The word of an operation with one place, which does not move. */
static inline uint32_t op_word(enum op_kind kind, enum op_field field, enum op_buffer buffer)
{
    return (uint32_t)kind | (uint32_t)buffer << (8 + 4 * (unsigned)field);
}

/* 0, 1 or -1: stored as 0, 1, 2. */
static inline int op_multiplier(const struct op *op, enum op_field field)
{
    uint32_t code = op->word >> (24 + 2 * (unsigned)field) & 3;
    return code == 2 ? -1 : (int)code;
}

static inline bool op_receives(const struct op *op)
{
    return op_kind(op) == OP_RECV || op_kind(op) == OP_RECV_REDUCE;
}

static inline bool op_reads(const struct op *op)
{
    return op_kind(op) == OP_READ || op_kind(op) == OP_READ_REDUCE;
}

/* A message of no block: word about what others read. */
static inline bool op_is_word(const struct op *op)
{
    return (op_kind(op) == OP_SEND && op_buffer(op, FIELD_A) == BUFFER_NONE) ||
           (op_kind(op) == OP_RECV && op_buffer(op, FIELD_D) == BUFFER_NONE);
}

struct schedule {
    uint32_t collective, algorithm; /* collective.h                                               */
    uint32_t size, rank, root;
    uint32_t blocks[BUFFER_COUNT]; /* of IN, OUT, TMP and CNT                                     */
    uint32_t tmp_like, tmp_shift; /* enum op_buffer, BUFFER_NONE is BUFFER_IN; blocks             */
    uint32_t ops;
    struct op op[];
};

/* What TMP's blocks are as long as. */
static inline enum op_buffer schedule_tmp_like(const struct schedule *s)
{
    return s->tmp_like == BUFFER_OUT ? BUFFER_OUT : BUFFER_IN;
}

static inline size_t schedule_bytes(uint32_t ops)
{
    return sizeof(struct schedule) + (size_t)ops * sizeof(struct op);
}

/* One instance, resolved. */
struct step {
    const struct op *op;
    uint32_t at[4], dep[2];
    uint32_t tile;
};

/* Where a reader of the unrolled schedule is. Zero is the beginning. */
struct cursor {
    uint32_t next;      /* operation                                */
    uint32_t loop;      /* 1 + index of the LOOP we are in, or 0     */
    uint32_t iteration; /* of it                                    */
    uint32_t tile;
};

static inline uint32_t schedule_modulus(const struct schedule *s, const struct op *op,
                                        enum op_field field)
{
    return field == FIELD_PEER ? s->size : s->blocks[op_buffer(op, field)];
}

static inline uint32_t schedule_field(const struct schedule *s, const struct op *op,
                                      const struct op *loop, uint32_t iteration,
                                      enum op_field field)
{
    int multiplier = op_multiplier(op, field);
    if (multiplier == 0) return op->at[field];
    uint64_t move = (uint64_t)loop->at[field] * iteration;
    uint32_t modulus = schedule_modulus(s, op, field);
    if (modulus == 0) return (uint32_t)(op->at[field] + move); /* an ordinal */
    move %= modulus;
    return (uint32_t)((op->at[field] + (multiplier > 0 ? move : modulus - move)) % modulus);
}

/* The next instance; false at the end. */
static inline bool cursor_next(const struct schedule *s, struct cursor *c, struct step *step)
{
    while (c->next < s->ops && op_kind(&s->op[c->next]) == OP_LOOP) {
        const struct op *loop = &s->op[c->next];
        c->loop = loop->n ? c->next + 1 : 0;
        c->iteration = 0;
        c->next += loop->n ? 1 : 1 + loop->dep[0];
    }
    if (c->next >= s->ops) return false;

    const struct op *op = &s->op[c->next], *loop = c->loop ? &s->op[c->loop - 1] : NULL;
    uint64_t before = UINT64_MAX; /* instances of this loop before this one */
    if (loop) before = (uint64_t)c->iteration * loop->dep[0] + (c->next - c->loop);
    step->op = op;
    step->tile = c->tile;
    for (int f = FIELD_PEER; f <= FIELD_D; f++)
        step->at[f] = schedule_field(s, op, loop, c->iteration, (enum op_field)f);
    for (int i = 0; i < 2; i++) step->dep[i] = op->dep[i] <= before ? op->dep[i] : 0;

    c->next++;
    if (loop && c->next == c->loop + loop->dep[0]) {
        if (++c->iteration < loop->n)
            c->next = c->loop;
        else
            c->loop = 0;
    }
    return true;
}

/* The same of a schedule that is carried out for each of so many tiles, one after the other. */
static inline bool cursor_next_tiled(const struct schedule *s, uint32_t tiles, struct cursor *c,
                                     struct step *step)
{
    if (!cursor_next(s, c, step)) {
        if (c->tile + 1 >= tiles) return false;
        *c = (struct cursor){ .tile = c->tile + 1 };
        if (!cursor_next(s, c, step)) return false;
    }
    for (int f = FIELD_A; f <= FIELD_D && tiles > 1; f++)
        if (op_buffer(step->op, (enum op_field)f) != BUFFER_NONE)
            step->at[f] = step->at[f] * tiles + step->tile;
    return true;
}

#endif
