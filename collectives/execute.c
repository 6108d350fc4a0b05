/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * execute.c - one loop that carries out any schedule
 *
 * The unrolled schedule, for one tile after the other, passes through a window of 64 instances.
 * What is in it starts as soon as its dependencies are done, in whatever order completions come;
 * `base` is the first instance that is not done, and nothing behind it is remembered:
 *
 *        done          base                    tail        not yet looked at
 *     ------------+-------------------------------+--------------------------
 *                 | each: issued? arrived? done?  |
 *                 +-------------------------------+
 *
 * RECV_REDUCE receives into one of a few stages as soon as one is free, in order, and reduces once
 * its dependencies are done; so a sender never waits for what guards the operands. If they are done
 * before, and the links can do that, what comes is reduced piece by piece as it lands, without a
 * stage. Stages and all other memory: scratch.h.
 *
 * After a failure nothing more is started, what is under way is cancelled, and the operation ends
 * when the last completion has come: not before are the buffers the user's again.
 */
#include "collectives/execute.h"

#include <string.h>

#include "collectives/cache.h"
#include "collectives/operators.h"
#include "collectives/pattern/flat.h"
#include "collectives/places.h"
#include "collectives/reduce.h"
#include "collectives/scratch.h"
#include "collectives/straight.h"

enum { WINDOW = WINDOW_STEPS };
_Static_assert(WINDOW <= 64, "a bit for each");

struct instance {
    struct completion completion;
    struct execution *execution;
    struct step step;
    int stage; /* of a RECV_REDUCE under way, or -1 */
    struct landing landing;
    bool lands; /* it is reduced when it is here    */
};

struct execution {
    struct list idle;
    struct sinew_team *team;
    struct cache *cache;
    struct cached_schedule *cached;
    struct bound b;
    struct scratch scratch;

    /* of the round */
    struct sinew_request *request;
    struct agreement agreement;
    uint32_t sequence;
    const struct remainder *remainder; /* of what goes on here; NULL: all of it */
    int status;
    bool cancelled, exhausted;
    bool advancing;       /* inside execution_advance(): completions only leave word */
    bool again;           /* something became done since the pass began              */
    uint32_t stages_used; /* bits */
    uint32_t outstanding; /* messages under way */
    struct cursor cursor;
    uint64_t base, tail;            /* instances                       */
    uint64_t issued, arrived, done; /* bits, by instance modulo WINDOW */
    uint64_t asked; /* likewise: its peer was asked, and has not answered */
    struct instance window[WINDOW];
};

/* Where field `f` of an instance lies, and how many elements it has. */
static unsigned char *execution_place(const struct execution *e, const struct step *step,
                                      enum op_field f, size_t *count)
{
    const struct buffer *b = &e->b.buffer[op_buffer(step->op, f)];
    size_t first = buffer_place(b, step->at[f], step->op->n, count);
    return b->base ? b->base + first * e->b.call.element_bytes : NULL;
}

/* -------------------------------------------------------------------------------- one instance */

static uint64_t window_bit(uint64_t instance)
{
    return (uint64_t)1 << (instance % WINDOW);
}

static bool instance_ready(const struct execution *e, uint64_t i)
{
    const struct step *step = &e->window[i % WINDOW].step;
    for (int d = 0; d < 2; d++) {
        uint32_t back = step->dep[d];
        if (back && i - e->base >= back && !(e->done & window_bit(i - back))) return false;
    }
    return true;
}

static void instance_done(struct execution *e, uint64_t i)
{
    e->done |= window_bit(i);
    e->again = true;
}

/* The operation ends when `peer` has said what it called. */
static void execution_disagree(struct execution *e, int peer, int status, uint64_t bytes)
{
    e->status = status;
    agree_inquire(&e->agreement, peer, status, bytes);
    operation_conclude(e->request, AGREE_ANSWER_NS);
}

/* Where its message did not fit, or was refused, the peer says why. */
static void instance_failed(struct execution *e, uint64_t i, int status)
{
    const struct step *step = &e->window[i % WINDOW].step;
    size_t count;
    if (e->status < 0) return;
    e->status = status == SINEW_ESTATE ? SINEW_EMISMATCH : status; /* ESTATE: it freed the team */
    if (status == SINEW_ESTATE) agree_freed(&e->agreement, (int)step->at[FIELD_PEER]);
    if (status != SINEW_EMISMATCH && status != SINEW_ECANCELED) return;
    execution_place(e, step, op_kind(step->op) == OP_SEND ? FIELD_A : FIELD_D, &count);
    execution_disagree(e, (int)step->at[FIELD_PEER], status, count * e->b.call.element_bytes);
}

/* What a finished message means for its instance. */
static void instance_moved(struct execution *e, uint64_t i, int status)
{
    if (status < 0) {
        instance_failed(e, i, status);
    } else if (op_kind(e->window[i % WINDOW].step.op) == OP_RECV_REDUCE &&
               !e->window[i % WINDOW].lands) {
        e->arrived |= window_bit(i);
        e->again = true;
    } else {
        instance_done(e, i);
    }
}

/* Start the message of instance i: a send from, or a receive into, `buffer`. */
static void instance_message(struct execution *e, uint64_t i, void *buffer, size_t elements)
{
    struct instance *in = &e->window[i % WINDOW];
    bool sends = op_kind(in->step.op) == OP_SEND;
    size_t len = elements * e->b.call.element_bytes;
    struct collective_key key = { e->sequence, in->step.at[sends ? FIELD_D : FIELD_A],
                                  in->step.tile, message_digest(e->b.digest, len) };
    int peer = (int)in->step.at[FIELD_PEER];
    e->issued |= window_bit(i);
    e->outstanding++;
    struct completion *c = &in->completion;
    int status =
        sends       ? collective_send(e->team, buffer, len, peer, &key, c)
        : in->lands ? collective_recv_landing(e->team, &in->landing, buffer, len, peer, &key, c)
                    : collective_recv(e->team, buffer, len, peer, &key, c);
    if (status > 0) return;
    e->outstanding--;
    instance_moved(e, i, status);
}

static bool stage_take(struct execution *e, struct instance *in)
{
    for (uint32_t s = 0; s < e->scratch.stage_count; s++) {
        if (e->stages_used >> s & 1) continue;
        e->stages_used |= (uint32_t)1 << s;
        in->stage = (int)s;
        return true;
    }
    return false;
}

static unsigned char *stage_at(const struct execution *e, int stage)
{
    return e->scratch.stages ? e->scratch.stages + (size_t)stage * e->scratch.stage_bytes : NULL;
}

/* d = what arrived (+) b, from byte `offset` on. */
static void instance_reduce(const struct execution *e, const struct step *step, size_t offset,
                            const void *arrived, size_t count)
{
    size_t ignored;
    bool left = op_flags(step->op) & OP_A_LEFT;
    unsigned char *d = execution_place(e, step, FIELD_D, &ignored);
    const unsigned char *mine = execution_place(e, step, FIELD_B, &ignored);
    if (count == 0) return;
    d += offset;
    mine += offset;
    reduction_run(&e->b.reduction, d, left ? arrived : mine, left ? mine : arrived, count);
}

static void instance_land(struct landing *landing, size_t offset, const void *piece, size_t len)
{
    struct instance *in = LIST_OWNER(landing, struct instance, landing);
    const struct execution *e = in->execution;
    instance_reduce(e, &in->step, offset, piece, len / e->b.call.element_bytes);
}

static void instance_reduce_arrived(struct execution *e, uint64_t i)
{
    struct instance *in = &e->window[i % WINDOW];
    size_t count;
    execution_place(e, &in->step, FIELD_D, &count);
    instance_reduce(e, &in->step, 0, stage_at(e, in->stage), count);
    e->stages_used &= ~((uint32_t)1 << in->stage);
    in->stage = -1;
    instance_done(e, i);
}

/* false: no stage was free, later ones must not overtake. */
static bool instance_receive_reduce(struct execution *e, uint64_t i, bool may_post)
{
    struct instance *in = &e->window[i % WINDOW];
    if (!(e->issued & window_bit(i))) {
        size_t count;
        execution_place(e, &in->step, FIELD_D, &count);
        in->lands = e->scratch.lands && instance_ready(e, i);
        if (!in->lands && (!may_post || !stage_take(e, in))) return false;
        instance_message(e, i, in->lands ? e->scratch.room : stage_at(e, in->stage), count);
    }
    if (e->arrived & window_bit(i) && instance_ready(e, i)) instance_reduce_arrived(e, i);
    return true;
}

/* Blocks of a table may lie apart: one by one. */
static void instance_copy(const struct execution *e, const struct instance *in)
{
    const struct step *step = &in->step;
    bool apart = e->b.buffer[op_buffer(step->op, FIELD_A)].table ||
                 e->b.buffer[op_buffer(step->op, FIELD_D)].table;
    uint32_t times = apart ? step->op->n : 1;
    struct op op = *step->op;
    struct step one = *step;
    if (apart) op.n = 1;
    one.op = &op;
    for (uint32_t i = 0; i < times; i++, one.at[FIELD_A]++, one.at[FIELD_D]++) {
        size_t count;
        void *d = execution_place(e, &one, FIELD_D, &count);
        const void *a = execution_place(e, &one, FIELD_A, &count);
        if (count) memcpy(d, a, count * e->b.call.element_bytes);
    }
}

/* All lengths have come. */
static void instance_counts(struct execution *e)
{
    const struct extent *known = e->b.buffer[BUFFER_OUT].table;
    int other = scratch_counts_differ(&e->b);
    if (other >= 0)
        execution_disagree(e, other, SINEW_EMISMATCH,
                           known ? known[other].count : e->b.call.out_count);
    else
        e->status = scratch_counts_bind(&e->scratch, &e->b, e->cache->world);
    if (e->status == SINEW_ENOMEM)
        team_refuse(e->team, e->status, "%s by %s: no memory for the parts of %u ranks",
                    collective_name(e->b.call.collective), algorithms[e->b.call.algorithm].name,
                    e->b.schedule->blocks[BUFFER_TMP]);
}

static void instance_local(struct execution *e, uint64_t i)
{
    const struct instance *in = &e->window[i % WINDOW];
    const struct step *step = &in->step;
    size_t count;
    unsigned char *d = execution_place(e, &in->step, FIELD_D, &count);
    const unsigned char *a = execution_place(e, &in->step, FIELD_A, &count);
    if (op_kind(step->op) == OP_COPY) instance_copy(e, in);
    if (op_flags(step->op) & OP_COUNTS) instance_counts(e);
    if (op_kind(step->op) == OP_REDUCE && count) {
        const unsigned char *b = execution_place(e, &in->step, FIELD_B, &count);
        bool left = op_flags(step->op) & OP_A_LEFT;
        reduction_run(&e->b.reduction, d, left ? a : b, left ? b : a, count);
    }
    instance_done(e, i);
}

static void instance_start(struct execution *e, uint64_t i)
{
    const struct instance *in = &e->window[i % WINDOW];
    enum op_kind kind = op_kind(in->step.op);
    size_t count;
    if (e->issued & window_bit(i) || !instance_ready(e, i)) return;
    if (kind == OP_SEND || kind == OP_RECV) {
        void *buffer = execution_place(e, &in->step, kind == OP_SEND ? FIELD_A : FIELD_D, &count);
        instance_message(e, i, buffer, count);
    } else {
        instance_local(e, i);
    }
}

/* ---------------------------------------------------------------------------------- the window */

static bool window_full(const struct execution *e)
{
    if (e->tail - e->base >= WINDOW) return true;
    const struct op *last = e->tail > e->base ? e->window[(e->tail - 1) % WINDOW].step.op : NULL;
    return last && op_flags(last) & OP_FENCE; /* a fence lets nobody past until it stands first */
}

/* Forget what is done at the front, take in what comes next. */
static void window_move(struct execution *e)
{
    while (e->base < e->tail && e->done & window_bit(e->base)) {
        uint64_t bit = window_bit(e->base++);
        e->issued &= ~bit;
        e->arrived &= ~bit;
        e->done &= ~bit;
        e->asked &= ~bit;
    }
    while (!e->exhausted && !window_full(e)) {
        struct instance *in = &e->window[e->tail % WINDOW];
        in->stage = -1;
        in->lands = false;
        if (cursor_next_tiled(e->b.schedule, e->b.tiles, &e->cursor, &in->step))
            e->tail++;
        else
            e->exhausted = true;
    }
}

/* Start what can be; true: another pass may start more. */
static bool window_pass(struct execution *e)
{
    bool may_post = true;
    e->again = false;
    window_move(e);
    for (uint64_t i = e->base; i < e->tail && e->status == 0; i++) {
        const struct op *op = e->window[i % WINDOW].step.op;
        if (e->done & window_bit(i)) continue;
        if (op_kind(op) == OP_RECV_REDUCE)
            may_post = instance_receive_reduce(e, i, may_post);
        else if (!(op_flags(op) & OP_FENCE) || i == e->base)
            instance_start(e, i);
    }
    return e->again && e->status == 0;
}

static void execution_advance(struct execution *e)
{
    e->advancing = true;
    while (e->status == 0 && window_pass(e)) {
    }
    if (e->status < 0 && !e->cancelled) {
        e->cancelled = true;
        collective_cancel(e->team, e->sequence, e->status);
    }
    e->advancing = false;
}

static bool execution_over(const struct execution *e)
{
    if (e->status < 0) return e->outstanding == 0 && !e->agreement.awaits;
    return e->exhausted && e->base == e->tail && e->outstanding == 0;
}

/* As far as it goes; the request ends with it. */
static void execution_go_on(struct execution *e)
{
    execution_advance(e);
    if (!execution_over(e)) return;
    agree_end(&e->agreement, e->status);
    operation_end(e->request, e->status);
}

static void execution_ended(struct completion *c, int status)
{
    struct instance *in = LIST_OWNER(c, struct instance, completion);
    struct execution *e = in->execution;
    e->outstanding--;
    instance_moved(e, (uint64_t)(in - e->window), status);
    if (!e->advancing) execution_go_on(e);
}

/* ------------------------------------------------------------------------------- the operation */

/* Begin where somebody else left off. */
static void execution_skip(struct execution *e, const struct remainder *r)
{
    struct step step;
    e->sequence = r->sequence;
    while (e->base < r->done && cursor_next(e->b.schedule, &e->cursor, &step)) e->base++;
    e->tail = e->base;
}

static int execution_start(void *state, struct sinew_request *request)
{
    struct execution *e = state;
    e->request = request;
    e->cancelled = e->exhausted = false;
    e->stages_used = e->outstanding = 0;
    e->cursor = (struct cursor){ 0 };
    e->base = e->tail = 0;
    e->issued = e->arrived = e->done = e->asked = 0;
    if (e->remainder)
        execution_skip(e, e->remainder);
    else
        e->sequence = team_next_collective(e->team);
    e->status = agree_begin(&e->agreement, &e->cache->calls, e->team, &e->b.call, e->sequence,
                            e->b.digest);
    execution_advance(e);
    if (!execution_over(e)) return SINEW_PENDING;
    agree_end(&e->agreement, e->status);
    return e->status;
}

static void execution_delete(struct cache *cache, struct execution *e)
{
    scratch_release(&e->scratch, cache->world, 0);
    world_release(cache->world, e, sizeof(*e));
}

void execution_free(struct cache *cache, struct list *idle_entry)
{
    execution_delete(cache, LIST_OWNER(idle_entry, struct execution, idle));
}

static void execution_release(void *state)
{
    struct execution *e = state;
    struct cache *cache = e->cache;
    cache_put(cache, e->cached);
    if (e->b.call.own) e->b.call.own->users--;
    scratch_release(&e->scratch, cache->world, CACHE_SCRATCH);
    if (cache->idle_count < CACHE_EXECUTIONS) {
        list_append(&cache->idle, &e->idle);
        cache->idle_count++;
    } else {
        execution_delete(cache, e);
    }
    if (--cache->users == 0 && cache->orphan) cache_release(cache);
}

static void execution_cancel(void *state, int status)
{
    struct execution *e = state;
    if (e->status == 0) e->status = status;
    e->agreement.awaits = 0;
    execution_go_on(e);
}

void execution_give_up(struct agreement *a, int status)
{
    execution_cancel(LIST_OWNER(a, struct execution, agreement), status);
}

/* A message of instance i is under way. */
static bool instance_waits(const struct execution *e, uint64_t i)
{
    return e->issued & window_bit(i) && !((e->arrived | e->done) & window_bit(i)) &&
           (op_kind(e->window[i % WINDOW].step.op) == OP_SEND ||
            op_receives(e->window[i % WINDOW].step.op));
}

static void execution_stalled(void *state)
{
    struct execution *e = state;
    for (uint64_t i = e->base; i < e->tail && e->status == 0; i++) {
        if (!instance_waits(e, i) || e->asked & window_bit(i)) continue;
        e->asked |= window_bit(i);
        agree_ask(&e->agreement, (int)e->window[i % WINDOW].step.at[FIELD_PEER]);
    }
}

bool execution_answered(struct agreement *a, int peer)
{
    struct execution *e = LIST_OWNER(a, struct execution, agreement);
    bool receives = false;
    for (uint64_t i = e->base; i < e->tail; i++) {
        const struct step *step = &e->window[i % WINDOW].step;
        if (!instance_waits(e, i) || step->at[FIELD_PEER] != (uint32_t)peer) continue;
        e->asked &= ~window_bit(i);
        receives |= op_receives(step->op);
    }
    return receives;
}

bool execution_has_sent(struct agreement *a, int peer)
{
    const struct execution *e = LIST_OWNER(a, struct execution, agreement);
    if (!e->exhausted || e->status < 0) return false;
    for (uint64_t i = e->base; i < e->tail; i++) {
        const struct step *step = &e->window[i % WINDOW].step;
        bool sends = op_kind(step->op) == OP_SEND && step->at[FIELD_PEER] == (uint32_t)peer;
        if (sends && !(e->done & window_bit(i))) return false;
    }
    return true;
}

/* "bcast of 64 bytes by binomial, step 2: waits for rank 5 (and for 1 more messages)" */
static void execution_describe(const void *state, struct text *text)
{
    const struct execution *e = state;
    const struct call *call = &e->b.call;
    text_add(text, "%s", collective_name(call->collective));
    if (call->type)
        text_add(text, " of %zu x %zu bytes", call->in_count, call->element_bytes);
    else if (call->collective != COLLECTIVE_BARRIER)
        text_add(text, " of %zu bytes", call->in_count);
    text_add(text, " by %s", algorithms[call->algorithm].name);
    if (e->status < 0) return; /* what it waited for is over */
    for (uint64_t i = e->base; i < e->tail; i++) {
        const struct step *step = &e->window[i % WINDOW].step;
        if (!(e->issued & window_bit(i)) || (e->arrived | e->done) & window_bit(i)) continue;
        text_add(text, ", step %llu: %s ", (unsigned long long)i + 1,
                 op_receives(step->op) ? "waits for" : "sends to");
        team_describe_rank(e->team, (int)step->at[FIELD_PEER], text);
        if (e->outstanding > 1) text_add(text, " (and for %u more messages)", e->outstanding - 1);
        agree_describe(&e->agreement, text);
        return;
    }
}

static void execution_explain(const void *state, struct text *text)
{
    const struct execution *e = state;
    if (e->status < 0) agree_explain(&e->agreement, text);
}

static bool execution_uses(const void *state, const void *from, size_t len)
{
    const struct execution *e = state;
    const struct call *call = &e->b.call;
    return operation_begins_in(call->in, from, len) || operation_begins_in(call->out, from, len);
}

static const struct operation_ops execution_ops = {
    .start = execution_start,
    .cancel = execution_cancel,
    .release = execution_release,
    .describe = execution_describe,
    .explain = execution_explain,
    .stalled = execution_stalled,
    .uses = execution_uses,
};

static struct execution *execution_take(struct cache *cache)
{
    struct list *entry = list_take(&cache->idle);
    if (entry) {
        cache->idle_count--;
        return LIST_OWNER(entry, struct execution, idle);
    }
    struct execution *e = world_allocate(cache->world, sizeof(*e));
    if (!e) return NULL;
    list_init(&e->idle);
    list_init(&e->agreement.entry);
    e->cache = cache;
    for (int i = 0; i < WINDOW; i++) {
        e->window[i].execution = e;
        e->window[i].completion.ended = execution_ended;
        e->window[i].landing.land = instance_land;
    }
    return e;
}

/* An execution of the call, bound; NULL with *status. */
static struct execution *execution_new(struct sinew_team *team, const struct call *call,
                                       int *status)
{
    const char *name = collective_name(call->collective);
    struct cached_schedule *cached;
    struct cache *cache = cache_of(team);
    *status = SINEW_ENOMEM;
    if (!cache) {
        team_refuse(team, SINEW_ENOMEM, "%s: no memory for the team's cache", name);
        return NULL;
    }
    *status = cache_get(cache, team, call, &cached);
    if (*status < 0) return NULL;
    struct execution *e = execution_take(cache);
    if (!e) {
        cache_put(cache, cached);
        *status = team_refuse(team, SINEW_ENOMEM, "%s: no memory for an operation", name);
        return NULL;
    }
    cache->users++;
    if (call->own) call->own->users++;
    e->team = team;
    e->cached = cached;
    e->remainder = NULL;
    e->b.schedule = cached->schedule;
    e->b.call = *call;
    e->b.tiles = parameter_tiles(call->parameter);
    e->b.digest = call_digest(call, team_level(team));
    *status = scratch_bind(&e->scratch, &e->b, e->team, e->cache->world);
    if (*status == 0) return e;
    execution_release(e);
    return NULL;
}

int execution_run(struct sinew_team *team, const struct call *call, struct sinew_request **req)
{
    int status;
    struct execution *e = execution_new(team, call, &status);
    if (!e) return status;
    if (!req) straight_learn(team, &e->b);
    return operation_run(team, &execution_ops, e, req);
}

int execution_resume(struct sinew_team *team, const struct call *call,
                     const struct remainder *remainder)
{
    int status;
    struct execution *e = execution_new(team, call, &status);
    if (!e) return status;
    e->remainder = remainder;
    if (remainder->tmp) e->b.buffer[BUFFER_TMP].base = remainder->tmp;
    return operation_run(team, &execution_ops, e, NULL);
}
