/* SPDX-License-Identifier: BSD-3-Clause */
/* scratch.c - see scratch.h */
#include "collectives/scratch.h"

#include "messaging/operation.h"

enum { STAGES = 32, STAGE_BYTES = 256 * 1024, SCRATCH_ALIGN = 64 };

static size_t scratch_round(size_t bytes)
{
    return (bytes + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
}

/* It waits for nothing: when it is received it can land. */
static bool always_lands(const struct scratch *m, const struct op *op)
{
    return m->lands && !op->dep[0] && !op->dep[1];
}

/* How many stages of which size the schedule's RECV_REDUCEs get. */
static void plan_stages(struct scratch *m, const struct bound *b)
{
    const struct schedule *s = b->schedule;
    size_t longest = 0, instances = 0, landing = 0;
    uint64_t repetitions = b->tiles;
    uint32_t loop_end = 0;
    for (uint32_t i = 0; i < s->ops; i++) {
        const struct op *op = &s->op[i];
        if (i == loop_end) repetitions = b->tiles;
        if (op_kind(op) == OP_LOOP) {
            repetitions = (uint64_t)op->n * b->tiles;
            loop_end = i + 1 + op->dep[0];
        } else if (op_kind(op) == OP_RECV_REDUCE) {
            size_t elements = buffer_longest(&b->buffer[op_buffer(op, FIELD_D)], op->n);
            if (elements > landing) landing = elements;
            if (always_lands(m, op)) continue;
            if (elements > longest) longest = elements;
            instances += repetitions;
        }
    }
    m->room_bytes = m->lands ? scratch_round(landing * b->call.element_bytes) : 0;
    if (m->room_bytes > LANDING_ROOM) m->room_bytes = LANDING_ROOM;
    m->stage_bytes = scratch_round(longest * b->call.element_bytes);
    size_t n = m->stage_bytes ? STAGE_BYTES / m->stage_bytes : STAGES;
    if (n > STAGES) n = STAGES;
    if (n > instances) n = instances;
    m->stage_count = n ? (uint32_t)n : 1;
}

/* Of each part of a table; of others than these a part is a block. */
static uint32_t parts_pieces(const struct bound *b, uint32_t blocks)
{
    bool cut = b->call.collective == COLLECTIVE_REDUCE_SCATTER && blocks > b->schedule->size;
    return cut ? blocks / b->schedule->size : 1;
}

/* Every part in as many pieces as the schedule has blocks for it: piece i of all. */
static struct extent table_piece(const struct parts *parts, size_t part, size_t begins,
                                 uint32_t piece, uint32_t pieces)
{
    struct buffer whole;
    size_t count, first;
    buffer_set(&whole, NULL, parts->counts[part], pieces);
    first = buffer_place(&whole, piece, 1, &count);
    return (struct extent){ (parts->offsets ? parts->offsets[part] : begins) + first, count };
}

/* The table of IN or OUT, with TMP's after it if that is like it; the next free place. */
static struct extent *table_fill(struct bound *b, enum op_buffer which, const struct parts *parts,
                                 struct extent *at)
{
    struct buffer *own = &b->buffer[which], *tmp = &b->buffer[BUFFER_TMP];
    const struct schedule *s = b->schedule;
    if (!parts->counts) return at;
    uint32_t pieces = parts_pieces(b, own->blocks);
    size_t next = 0;
    own->table = at;
    for (uint32_t i = 0; i < own->blocks; i++) {
        at[i] = table_piece(parts, i / pieces, next, i % pieces, pieces);
        if (i % pieces == pieces - 1) next += parts->counts[i / pieces];
    }
    at += own->blocks;
    if (s->blocks[BUFFER_CNT] || tmp->blocks != own->blocks || which != schedule_tmp_like(s))
        return at;
    tmp->table = at;
    next = 0;
    for (uint32_t i = 0; i < tmp->blocks; i++, next += at[i - 1].count)
        at[i] = (struct extent){ next, own->table[(i + s->tmp_shift) % own->blocks].count };
    return at + tmp->blocks;
}

static void tables_fill(const struct scratch *m, struct bound *b)
{
    struct extent *at = (struct extent *)(void *)m->memory;
    at = table_fill(b, BUFFER_IN, &b->call.in_parts, at);
    table_fill(b, BUFFER_OUT, &b->call.out_parts, at);
}

/* Elements of TMP. */
static size_t tmp_elements(const struct bound *b)
{
    const struct schedule *s = b->schedule;
    enum op_buffer like = schedule_tmp_like(s);
    const struct parts *parts = like == BUFFER_OUT ? &b->call.out_parts : &b->call.in_parts;
    size_t whole = like == BUFFER_OUT ? b->call.out_count : b->call.in_count, sum = 0;
    if (s->blocks[BUFFER_TMP] == 0 || s->blocks[BUFFER_CNT]) return 0;
    if (!parts->counts)
        return s->blocks[BUFFER_TMP] == s->blocks[like] ? whole : whole * s->blocks[BUFFER_TMP];
    uint32_t count = s->blocks[like] / parts_pieces(b, s->blocks[like]);
    for (uint32_t i = 0; i < count; i++) sum += parts->counts[i];
    return sum;
}

static size_t tables_bytes(const struct bound *b)
{
    const struct schedule *s = b->schedule;
    size_t n = 0;
    if (b->call.in_parts.counts) n += s->blocks[BUFFER_IN] + s->blocks[BUFFER_TMP];
    if (b->call.out_parts.counts) n += s->blocks[BUFFER_OUT] + s->blocks[BUFFER_TMP];
    return scratch_round(n * sizeof(struct extent));
}

static int scratch_need(struct scratch *m, const struct bound *b, struct sinew_team *team,
                        const struct world *world, size_t need)
{
    if (need <= m->bytes) return 0;
    world_release(world, m->memory, m->bytes);
    m->memory = world_allocate_aligned(world, SCRATCH_ALIGN, need);
    m->bytes = m->memory ? need : 0;
    if (m->memory) return 0;
    return team_refuse(team, SINEW_ENOMEM, "%s by %s: no memory for %zu bytes between",
                       collective_name(b->call.collective), algorithms[b->call.algorithm].name,
                       need);
}

/* -------------------------------------------------------------------------- lengths that come */

static size_t counts_bytes(const struct bound *b)
{
    return b->schedule->blocks[BUFFER_CNT] * sizeof(uint64_t);
}

static uint64_t *counts_of(const struct bound *b)
{
    return (uint64_t *)(void *)b->buffer[BUFFER_CNT].base;
}

/* What is known before any have come: all at the root of a scatter, else one's own. */
static void counts_begin(struct bound *b, unsigned char *base)
{
    const struct schedule *s = b->schedule;
    const struct call *call = &b->call;
    uint32_t n = s->blocks[BUFFER_CNT], own = s->rank - s->tmp_shift;
    buffer_set(&b->buffer[BUFFER_CNT], n ? base : NULL, n * sizeof(uint64_t), n);
    for (uint32_t i = 0; i < n && call->in_parts.counts; i++)
        counts_of(b)[i] = call->in_parts.counts[i];
    if (n && !call->in_parts.counts)
        counts_of(b)[own] = call->out_parts.counts ? call->out_parts.counts[own] : call->in_count;
}

/* The team rank whose count is not what is known of it here; -1: none. */
int scratch_counts_differ(const struct bound *b)
{
    const struct schedule *s = b->schedule;
    const struct extent *known = b->buffer[BUFFER_OUT].table; /* the caller's own may be gone */
    bool scatters = b->call.collective == COLLECTIVE_SCATTERV;
    for (uint32_t i = 0; i < s->blocks[BUFFER_CNT] && known; i++)
        if (counts_of(b)[i] != known[i].count) return (int)(s->tmp_shift + i);
    if (scatters && s->rank != s->root && counts_of(b)[0] != b->call.out_count)
        return (int)s->root;
    return -1;
}

/* The lengths of TMP's blocks are here, from other processes: its memory. */
int scratch_counts_bind(struct scratch *m, struct bound *b, const struct world *world)
{
    uint32_t n = b->schedule->blocks[BUFFER_TMP];
    size_t tables = scratch_round(n * sizeof(struct extent)), need = 0;
    for (uint32_t i = 0; i < n; i++)
        if (__builtin_add_overflow(need, counts_of(b)[i], &need) || need > PTRDIFF_MAX - tables)
            return SINEW_ENOMEM;
    if (tables + need > m->late_bytes) {
        world_release(world, m->late, m->late_bytes);
        m->late = world_allocate_aligned(world, SCRATCH_ALIGN, tables + need);
        m->late_bytes = m->late ? tables + need : 0;
    }
    if (!m->late) return SINEW_ENOMEM;
    struct extent *table = (struct extent *)(void *)m->late;
    size_t first = 0;
    for (uint32_t i = 0; i < n; first += table[i++].count)
        table[i] = (struct extent){ first, (size_t)counts_of(b)[i] };
    b->buffer[BUFFER_TMP].table = table;
    b->buffer[BUFFER_TMP].base = m->late + tables;
    return 0;
}

int scratch_bind(struct scratch *m, struct bound *b, struct sinew_team *team,
                 const struct world *world)
{
    const struct schedule *s = b->schedule;
    const struct call *call = &b->call;
    size_t tmp = tmp_elements(b), tables = tables_bytes(b);
    size_t tmp_bytes = scratch_round(tmp * call->element_bytes + counts_bytes(b));
    buffer_set(&b->buffer[BUFFER_NONE], NULL, 0, 0);
    buffer_set(&b->buffer[BUFFER_IN], call->in, call->in_count, b->tiles * s->blocks[BUFFER_IN]);
    buffer_set(&b->buffer[BUFFER_OUT], call->out, call->out_count,
               b->tiles * s->blocks[BUFFER_OUT]);
    buffer_set(&b->buffer[BUFFER_TMP], NULL, tmp, b->tiles * s->blocks[BUFFER_TMP]);
    b->reduction = reduction_find(call->type, call->op);
    b->reduction.own = call->own;
    m->lands = call->op && b->reduction.kernel && collective_lands(team);

    int status = tables ? scratch_need(m, b, team, world, tables) : 0; /* what follows asks them */
    if (status < 0) return status;
    tables_fill(m, b);
    plan_stages(m, b);
    size_t stages = m->stage_bytes * m->stage_count;
    status = scratch_need(m, b, team, world, tables + tmp_bytes + m->room_bytes + stages);
    if (status < 0) return status;
    tables_fill(m, b); /* they may have moved */
    b->buffer[BUFFER_TMP].base = m->memory ? m->memory + tables : NULL;
    counts_begin(b, b->buffer[BUFFER_TMP].base); /* then TMP is elsewhere */
    m->room = m->memory ? m->memory + tables + tmp_bytes : NULL;
    m->stages = m->memory ? m->room + m->room_bytes : NULL;
    return 0;
}

void scratch_release(struct scratch *m, const struct world *world, size_t most)
{
    if (m->late_bytes > most) {
        world_release(world, m->late, m->late_bytes);
        m->late = NULL;
        m->late_bytes = 0;
    }
    if (m->bytes > most) {
        world_release(world, m->memory, m->bytes);
        m->memory = NULL;
        m->bytes = 0;
    }
}
