/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/straight.h"

#include "base/copy.h"
#include "base/list.h"
#include "collectives/cache.h"
#include "collectives/pattern/flat.h"

enum {
    SETS = 16,
    WAYS = 2,
    STEPS = WINDOW_STEPS,
    TMP_BYTES = 64 * 1024,
    LISTS = 6,         /* two lengths, two offsets, two of neighbours */
    LIST_NUMBERS = 64, /* of one, at most                             */
    TMP_ALIGN = 64
};

/* An instance of the schedule. Places are bytes from where their buffer begins. */
struct straight_step {
    uint8_t kind, a_is_left;
    uint8_t a, b, d; /* enum op_buffer */
    uint32_t peer, ordinal;
    uint32_t at_a, at_b, at_d;
    size_t count; /* elements */
};

struct straight {
    uint64_t kind, count;
    size_t in_bytes, out_bytes; /* what the user must give; 0: it is not looked at */
    size_t element_bytes;
    uint32_t steps, digest;
    struct record record; /* but for the sequence */
    struct call call;     /* its tables are: */
    struct straight_list list[LISTS];
    struct sinew_graph graph;
    struct reduction reduction;
    unsigned char *tmp;
    size_t bytes; /* of this allocation: steps, lists and tmp are behind */
    struct straight_step step[];
};

struct straight_table {
    struct team_cache base;
    const struct world *world;
    struct past_calls *calls;          /* of the team's cache, which outlives every view's */
    struct straight *call[SETS][WAYS]; /* the latest learned first */
    uint64_t missed[SETS][WAYS];       /* hashes of those that were not there, the last one first */
};

static uint64_t straight_hash(uint64_t kind, uint64_t count)
{
    return (kind * UINT64_C(0x9e3779b97f4a7c15)) ^ (count * UINT64_C(0xc4ceb9fe1a85ec53));
}

static uint32_t straight_set(uint64_t hash)
{
    return (uint32_t)(hash >> 60);
}
_Static_assert(SETS == 1 << (64 - 60), "four bits choose the set");

/* -------------------------------------------------------------------------------------- tables */

/* Of n numbers; a table that is not there has none. */
static struct straight_list list_of(const void *at, size_t n, size_t each)
{
    return (struct straight_list){ at, at ? n * each : 0 };
}

/* false: they are not for here. */
static bool tables_lists(const struct straight_tables *t, size_t size,
                         struct straight_list list[LISTS])
{
    size_t to = size, from = size, each = sizeof(size_t);
    const int *tells = NULL, *hears = NULL;
    if (t->graph) {
        tells = t->graph->to, hears = t->graph->from;
        to = (size_t)t->graph->to_count, from = (size_t)t->graph->from_count;
        if ((to && !tells) || (from && !hears)) return false;
    }
    list[0] = list_of(t->in.counts, to, each);
    list[1] = list_of(t->in.offsets, to, each);
    list[2] = list_of(t->out.counts, from, each);
    list[3] = list_of(t->out.offsets, from, each);
    list[4] = list_of(tells, to, sizeof(int));
    list[5] = list_of(hears, from, sizeof(int));
    for (int i = 0; i < LISTS; i++)
        if (list[i].bytes > LIST_NUMBERS * (i < 4 ? each : sizeof(int))) return false;
    return true;
}

/* What the count and all tables make, to be found by. Each number maps what there was before it one
 * to one: where the tables are the same, so is the count. */
static uint64_t tables_hash(uint64_t count, const struct straight_list list[LISTS])
{
    const uint64_t odd = UINT64_C(0xc4ceb9fe1a85ec53);
    uint64_t h = count, two;
    uint32_t one;
    for (int i = 0; i < LISTS; i++) {
        const unsigned char *at = list[i].at;
        size_t left = list[i].bytes;
        for (; left >= sizeof(two); left -= sizeof(two), at += sizeof(two)) {
            memcpy(&two, at, sizeof(two));
            h = (h ^ two) * odd;
        }
        if (left == 0) continue;
        memcpy(&one, at, sizeof(one));
        h = (h ^ one) * odd;
    }
    return h;
}

static __attribute__((noinline)) bool tables_same(const struct straight_list a[LISTS],
                                                  const struct straight_list b[LISTS])
{
    for (int i = 0; i < LISTS; i++)
        if (a[i].bytes != b[i].bytes || (a[i].bytes && memcmp(a[i].at, b[i].at, a[i].bytes) != 0))
            return false;
    return true;
}

/* ----------------------------------------------------------------------------------------- run */

/* The buffers are such that nothing is to be said about them, and the tables are the same. */
static inline bool straight_fits(const struct straight *s, const struct straight_call *call)
{
    uintptr_t in = (uintptr_t)call->in, out = (uintptr_t)call->out;
    if (s->in_bytes && (!in || call->in == SINEW_IN_PLACE)) return false;
    if (s->out_bytes && (!out || call->out == SINEW_IN_PLACE)) return false;
    if (s->in_bytes && s->out_bytes && in < out + s->out_bytes && out < in + s->in_bytes)
        return false;
    return !call->lists || tables_same(s->list, call->lists);
}

static inline const struct straight *straight_find(const struct straight_table *t, uint64_t kind,
                                                   uint64_t count)
{
    struct straight *const *set = t->call[straight_set(straight_hash(kind, count))];
    for (int i = 0; i < WAYS; i++)
        if (set[i] && set[i]->kind == kind && set[i]->count == count) return set[i];
    return NULL;
}

/* A call under way. */
struct straight_at {
    struct sinew_team *team;
    const struct straight *s;
    unsigned char *base[BUFFER_COUNT];
    struct collective_key key;
};

static inline unsigned char *straight_place(const struct straight_at *at, unsigned buffer,
                                            uint32_t offset)
{
    unsigned char *base = at->base[buffer];
    return base ? base + offset : NULL;
}

/* d = what arrived, or that (+) b. */
static inline void straight_arrived(const struct straight_at *at, const struct straight_step *step,
                                    const void *arrived, size_t len)
{
    size_t count = step->count;
    unsigned char *d = straight_place(at, step->d, step->at_d);
    if (step->kind == OP_RECV) {
        copy_short(d, arrived, len);
    } else if (count) {
        const void *b = straight_place(at, step->b, step->at_b);
        at->s->reduction.kernel(d, step->a_is_left ? arrived : b, step->a_is_left ? b : arrived,
                                count);
    }
}

/* A call that went the executor's way has kept what came for this one: if that had to go there,
 * too, it would keep what comes for the next. */
static __attribute__((noinline)) bool straight_kept(const struct straight_at *at,
                                                    const struct straight_step *step)
{
    _Alignas(64) unsigned char arrived[STRAIGHT_BYTES_TCP];
    size_t len = step->count * at->s->element_bytes;
    bool adds = step->kind == OP_RECV_REDUCE;
    void *to = adds ? arrived : straight_place(at, step->d, step->at_d);
    if (!collective_take_kept(at->team, to, len, (int)step->peer, &at->key)) return false;
    if (adds) straight_arrived(at, step, arrived, len);
    return true;
}

static bool straight_receive(const struct straight_at *at, const struct straight_step *step)
{
    struct collective_lent m;
    size_t len = step->count * at->s->element_bytes;
    if (!collective_await_short(at->team, len, (int)step->peer, &at->key, &m)) return false;
    straight_arrived(at, step, m.body, len);
    collective_taken(&m);
    return true;
}

static void straight_local(const struct straight_at *at, const struct straight_step *step)
{
    size_t count = step->count;
    if (count == 0 || step->kind == OP_NOP) return;
    unsigned char *d = straight_place(at, step->d, step->at_d);
    const unsigned char *a = straight_place(at, step->a, step->at_a);
    if (step->kind == OP_COPY) {
        copy_short(d, a, count * at->s->element_bytes);
    } else {
        const unsigned char *b = straight_place(at, step->b, step->at_b);
        at->s->reduction.kernel(d, step->a_is_left ? a : b, step->a_is_left ? b : a, count);
    }
}

/* How many steps went that way. */
static uint32_t straight_steps(struct straight_at *at)
{
    const struct straight *s = at->s;
    for (uint32_t i = 0; i < s->steps; i++) {
        const struct straight_step *step = &s->step[i];
        size_t len = step->count * s->element_bytes;
        at->key.step = step->ordinal;
        at->key.digest = message_digest(s->digest, len);
        if (step->kind == OP_SEND) {
            const void *a = straight_place(at, step->a, step->at_a);
            if (!collective_send_short(at->team, a, len, (int)step->peer, &at->key)) return i;
        } else if (step->kind == OP_RECV || step->kind == OP_RECV_REDUCE) {
            if (!straight_receive(at, step) && !straight_kept(at, step)) return i;
        } else {
            straight_local(at, step);
        }
    }
    return s->steps;
}

/* What is left. */
static int straight_otherwise(const struct straight_at *at, const struct straight_call *call,
                              uint32_t done, struct past_calls *calls)
{
    struct call general = at->s->call;
    struct remainder remainder = { at->key.sequence, done, at->s->tmp };
    general.in = call->in;
    general.out = call->out;
    int status = execution_resume(at->team, &general, &remainder);
    if (status < 0 && agree_fail(calls, &at->s->record, remainder.sequence, status))
        collective_cancel(at->team, remainder.sequence, status); /* what has come for it */
    return status;
}

bool straight_run(struct sinew_team *team, const struct straight_call *call, int *status)
{
    uint32_t sequence;
    struct team_cache *learned = team ? *team_view_cache(team) : NULL;
    if (!learned) return false;
    const struct straight_table *t = LIST_OWNER(learned, struct straight_table, base);
    const struct straight *s = straight_find(t, call->kind, call->count);
    if (!s || !straight_fits(s, call) || t->calls->is_untold || t->calls->early_from ||
        !collective_begin(team, &sequence))
        return false;
    struct straight_at at = { .team = team,
                              .s = s,
                              .base = { [BUFFER_IN] = (unsigned char *)(uintptr_t)call->in,
                                        [BUFFER_OUT] = call->out,
                                        [BUFFER_TMP] = s->tmp },
                              .key = { .sequence = sequence } };
    uint32_t done = straight_steps(&at);
    *status = 0;
    if (done == s->steps)
        agree_past(t->calls, &s->record, sequence);
    else
        *status = straight_otherwise(&at, call, done, t->calls);
    return true;
}

bool straight_run_tables(struct sinew_team *team, struct straight_call call,
                         const struct straight_tables *tables, int *status)
{
    struct straight_list list[LISTS];
    if (!team || !*team_view_cache(team)) return false;
    if (!tables_lists(tables, (size_t)sinew_size(team), list)) return false;
    call.count = tables_hash(call.count, list);
    call.lists = list;
    return straight_run(team, &call, status);
}

/* --------------------------------------------------------------------------------------- learn */

static void learned_free(const struct world *world, struct straight *s)
{
    if (s) world_release(world, s, s->bytes);
}

static void table_destroy(struct team_cache *base)
{
    struct straight_table *t = LIST_OWNER(base, struct straight_table, base);
    for (int i = 0; i < SETS * WAYS; i++) learned_free(t->world, t->call[i / WAYS][i % WAYS]);
    world_release(t->world, t, sizeof(*t));
}

static struct straight_table *table_of(struct sinew_team *team)
{
    struct team_cache **slot = team_view_cache(team);
    if (*slot) return LIST_OWNER(*slot, struct straight_table, base);
    const struct world *world = team_world(team);
    struct cache *cache = cache_of(team);
    struct straight_table *t = cache ? world_allocate(world, sizeof(*t)) : NULL;
    if (!t) return NULL;
    t->calls = &cache->calls;
    t->base.destroy = table_destroy;
    t->world = world;
    *slot = &t->base;
    return t;
}

/* Bytes from the buffer's beginning, and of the whole place; false: not for here. */
static bool learn_place(const struct bound *b, const struct step *step, enum op_field f,
                        uint8_t *buffer, uint32_t *at, size_t *count)
{
    size_t first;
    *buffer = (uint8_t)op_buffer(step->op, f);
    if (*buffer == BUFFER_NONE) return true;
    first = buffer_place(&b->buffer[*buffer], step->at[f], step->op->n, count);
    *at = (uint32_t)(first * b->call.element_bytes);
    bool apart = b->buffer[*buffer].table && step->op->n > 1 && op_kind(step->op) == OP_COPY;
    return first * b->call.element_bytes <= UINT32_MAX && !apart;
}

static bool learn_step(const struct bound *b, const struct step *step, size_t most,
                       struct straight_step *out)
{
    enum op_kind kind = op_kind(step->op);
    size_t count = 0;
    *out = (struct straight_step){ .kind = (uint8_t)kind,
                                   .a_is_left = op_flags(step->op) & OP_A_LEFT,
                                   .peer = step->at[FIELD_PEER],
                                   .ordinal = step->at[kind == OP_SEND ? FIELD_D : FIELD_A] };
    if (kind == OP_NOP) return true;
    if (!learn_place(b, step, FIELD_A, &out->a, &out->at_a, &count) ||
        !learn_place(b, step, FIELD_B, &out->b, &out->at_b, &count) ||
        !learn_place(b, step, FIELD_D, &out->d, &out->at_d, &count))
        return false;
    out->count = count;
    return count * b->call.element_bytes <= most;
}

/* How many steps; 0: too many, or one that does not go this way. */
static uint32_t learn_steps(const struct sinew_team *team, const struct bound *b,
                            struct straight_step step[STEPS])
{
    size_t most = strcmp(team_link(team), "tcp") == 0 ? STRAIGHT_BYTES_TCP : STRAIGHT_BYTES;
    struct cursor cursor = { 0 };
    struct step next;
    uint32_t n = 0;
    for (; cursor_next(b->schedule, &cursor, &next); n++)
        if (n == STEPS || !learn_step(b, &next, most, &step[n])) return 0;
    return n;
}

/* Bytes of TMP; more than TMP_BYTES: it does not go this way. */
static size_t learn_tmp(const struct bound *b)
{
    const struct buffer *tmp = &b->buffer[BUFFER_TMP];
    if (tmp->blocks == 0) return 0;
    size_t elements = tmp->whole * tmp->blocks + tmp->rest;
    return elements > TMP_BYTES ? SIZE_MAX : elements * b->call.element_bytes;
}

/* As straight_call has it before tables come into it. */
static uint64_t learn_count(const struct call *call)
{
    switch (call->collective) {
    case COLLECTIVE_GATHERV:
    case COLLECTIVE_ALLGATHERV:
        return call->in_count;
    case COLLECTIVE_SCATTERV:
    case COLLECTIVE_REDUCE_SCATTER_BLOCK:
        return call->out_count;
    case COLLECTIVE_REDUCE_SCATTER:
        return 0;
    default:
        return call->agreed;
    }
}

static bool learn_may(const struct bound *b)
{
    const struct call *call = &b->call;
    if (!call->comes_again || call->own || b->tiles > 1) return false;
    if (b->schedule->blocks[BUFFER_CNT]) return false; /* lengths that come in messages */
    if (call->type > 255 || call->op > 255 || (call->op && !b->reduction.kernel)) return false;
    return learn_tmp(b) <= TMP_BYTES;
}

static size_t learn_round(size_t bytes)
{
    return (bytes + TMP_ALIGN - 1) / TMP_ALIGN * TMP_ALIGN;
}

/* Its tables, from `at` on, are those of its call. */
static void learn_lists(struct straight *s, const struct straight_list list[LISTS],
                        unsigned char *at)
{
    for (int i = 0; i < LISTS; i++) {
        s->list[i] = (struct straight_list){ list[i].at ? at : NULL, list[i].bytes };
        if (list[i].bytes) memcpy(at, list[i].at, list[i].bytes);
        at += list[i].bytes;
    }
    s->call.in_parts = (struct parts){ s->list[0].at, s->list[1].at };
    s->call.out_parts = (struct parts){ s->list[2].at, s->list[3].at };
    if (!s->call.graph) return;
    s->graph = *s->call.graph;
    s->graph.to = s->list[4].at;
    s->graph.from = s->list[5].at;
    s->call.graph = &s->graph;
}

static struct straight *learn(const struct sinew_team *team, const struct world *world,
                              const struct bound *b, const struct straight_list list[LISTS])
{
    struct straight_step step[STEPS];
    const struct call *call = &b->call;
    uint32_t n = learn_steps(team, b, step);
    size_t lists = 0;
    for (int i = 0; i < LISTS; i++) lists += list[i].bytes;
    size_t head = learn_round(sizeof(struct straight) + n * sizeof(step[0]) + lists);
    size_t bytes = head + learn_tmp(b);
    struct straight *s = n ? world_allocate_aligned(world, TMP_ALIGN, bytes) : NULL;
    if (!s) return NULL;
    *s = (struct straight){ .element_bytes = call->element_bytes,
                            .steps = n,
                            .digest = b->digest,
                            .record = agree_record(team, call, 0, b->digest),
                            .call = *call,
                            .reduction = b->reduction,
                            .bytes = bytes };
    bool scatters = call->out == SINEW_IN_PLACE; /* of a call in place it has the input */
    if (call->in && (!call->in_place || scatters))
        s->in_bytes = call->in_count * call->element_bytes;
    size_t out = call->out_count;
    if (call->in_place && call->in_count > out) out = call->in_count;
    if (call->out && !scatters) s->out_bytes = out * call->element_bytes;
    memcpy(s->step, step, n * sizeof(step[0]));
    learn_lists(s, list, (unsigned char *)&s->step[n]);
    if (bytes > head) s->tmp = (unsigned char *)s + head;
    return s;
}

/* Whether it was missed not long ago. */
static bool learn_missed(uint64_t missed[WAYS], uint64_t hash)
{
    if (missed[0] == hash) return true;
    bool again = missed[1] == hash;
    missed[1] = missed[0];
    missed[0] = hash;
    return again;
}

/* In the place of the same call, as it was before, or of the one learned first. */
static void learn_keep(const struct straight_table *t, struct straight *set[WAYS],
                       struct straight *s)
{
    bool same = set[0] && set[0]->kind == s->kind && set[0]->count == s->count;
    learned_free(t->world, set[same ? 0 : 1]);
    if (!same) set[1] = set[0];
    set[0] = s;
}

void straight_learn(struct sinew_team *team, const struct bound *b)
{
    const struct call *call = &b->call;
    struct straight_tables tables = { call->in_parts, call->out_parts, call->graph };
    struct straight_list list[LISTS];
    if (!learn_may(b) || !tables_lists(&tables, (size_t)sinew_size(team), list)) return;
    struct straight_table *t = table_of(team);
    if (!t) return;
    uint64_t kind =
        straight_kind(call->collective, call->type, call->op, call->root, call->in_place);
    uint64_t count = tables_hash(learn_count(call), list), hash = straight_hash(kind, count);
    uint32_t set = straight_set(hash);
    if (!learn_missed(t->missed[set], hash)) return;
    struct straight *s = learn(team, t->world, b, list);
    if (!s) return;
    s->kind = kind;
    s->count = count;
    learn_keep(t, t->call[set], s);
}
