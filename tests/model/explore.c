/* SPDX-License-Identifier: BSD-3-Clause */
#undef _FORTIFY_SOURCE /* its longjmp() knows of one stack only */
#include "tests/model/explore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "tests/model/memory.h"

enum {
    STACK_BYTES = 64 * 1024,
    CHOICES_MAX = 1024,
    STEPS_MAX = 2000, /* of one execution: more is a loop that goes nowhere */
    STATES_MAX = 1 << 23,
};

enum standing { STANDS_READY, STANDS_AWAITING, STANDS_ASLEEP, STANDS_DONE };
enum ending { ENDS_DONE, ENDS_KNOWN, ENDS_FAILED, ENDS_CUT };

struct fiber {
    jmp_buf entry, at;
    bool is_started;
    ucontext_t context;
    char *stack;
    enum standing standing;
    uint64_t observed, observed_at_poll;
    int wakes, spurious; /* tokens; times it may yet wake without one */
};

struct choice {
    uint8_t chosen, count;
};

static struct {
    const struct scenario *scenario;
    struct outcome *out;
    struct fiber fiber[MEMORY_THREADS];
    jmp_buf home;
    int me;
    struct choice choices[CHOICES_MAX];
    int depth, replay, steps; /* choices made; … of which given; steps of this execution */
    bool traces, forgets;
    uint64_t *states; /* hash table of their hashes; 0: free */
    size_t states_cap;
} run;

/* --- states ----------------------------------------------------------------------------------- */

uint64_t explore_hash(uint64_t hash, const void *bytes, size_t len)
{
    const char *at = bytes;
    uint64_t word = 0;
    for (; len >= 8; at += 8, len -= 8) {
        memcpy(&word, at, 8);
        hash = explore_mix(hash, word);
    }
    word = 0;
    memcpy(&word, at, len);
    return explore_mix(hash, word ^ (uint64_t)len << 56);
}

static bool states_put(uint64_t hash)
{
    size_t i = hash & (run.states_cap - 1);
    for (; run.states[i]; i = (i + 1) & (run.states_cap - 1))
        if (run.states[i] == hash) return false;
    run.states[i] = hash;
    return true;
}

static void states_grow(void)
{
    uint64_t *old = run.states;
    size_t old_cap = run.states_cap;
    run.states_cap = old_cap * 2;
    run.states = calloc(run.states_cap, sizeof(uint64_t));
    if (!run.states) abort();
    for (size_t i = 0; i < old_cap; i++)
        if (old[i]) states_put(old[i]);
    free(old);
}

static uint64_t state_hash(void)
{
    unsigned living = 0;
    for (int t = 0; t < run.scenario->threads; t++)
        living |= (unsigned)(run.fiber[t].standing != STANDS_DONE) << t;
    uint64_t hash = memory_hash(living);
    for (int t = 0; t < run.scenario->threads; t++) {
        const struct fiber *f = &run.fiber[t];
        hash = explore_mix(hash, f->observed);
        hash = explore_mix(hash, (uint64_t)f->standing << 32 | (uint64_t)f->is_started << 24 |
                                     (uint64_t)f->wakes << 16 |
                                     (uint64_t)f->spurious);
    }
    hash = explore_mix(hash, hash >> 32);
    return hash ? hash : 1;
}

/* --- one execution ---------------------------------------------------------------------------- */

static _Noreturn void execution_end(enum ending ending) { _longjmp(run.home, (int)ending + 1); }

void explore_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(run.out->property, sizeof(run.out->property), format, args);
    va_end(args);
    execution_end(ENDS_FAILED);
}

bool explore_traces(void) { return run.traces; }

void explore_say(const char *format, ...)
{
    va_list args;
    if (!run.traces) return;
    printf("    thread %d: ", run.me);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

int explore_me(void) { return run.me; }

int explore_choose(int count)
{
    if (count == 1) return 0;
    if (run.depth < run.replay) return run.choices[run.depth++].chosen;
    if (run.depth == CHOICES_MAX || count > UINT8_MAX) execution_end(ENDS_CUT);
    run.choices[run.depth++] = (struct choice){ 0, (uint8_t)count };
    return 0;
}

static bool fiber_can_run(int thread)
{
    const struct fiber *f = &run.fiber[thread];
    switch (f->standing) {
    case STANDS_READY:
        return true;
    case STANDS_AWAITING:
        return memory_has_news(thread);
    case STANDS_ASLEEP:
        return f->wakes > 0 || f->spurious > 0;
    default:
        return false;
    }
}

static void stuck(void)
{
    char text[160] = "";
    size_t len = 0;
    for (int t = 0; t < run.scenario->threads; t++) {
        const char *what = run.fiber[t].standing == STANDS_ASLEEP     ? "sleeps"
                           : run.fiber[t].standing == STANDS_AWAITING ? "polls in vain"
                                                                      : "is done";
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s thread %d %s", len ? "," : "",
                                t, what);
    }
    explore_fail("stuck:%s", text);
}

/* Who goes on: the running thread first, if it can. */
static int execution_pick(void)
{
    int able[MEMORY_THREADS], count = 0, done = 0, threads = run.scenario->threads;
    for (int i = 0; i < threads; i++) {
        int t = (run.me + i) % threads;
        if (fiber_can_run(t)) able[count++] = t;
        done += run.fiber[t].standing == STANDS_DONE;
    }
    if (done == threads) execution_end(ENDS_DONE);
    /* A sleeper that nobody wakes is stuck, though it could wake by chance. */
    bool moves = false;
    for (int i = 0; i < count; i++)
        moves = moves || run.fiber[able[i]].standing != STANDS_ASLEEP || run.fiber[able[i]].wakes;
    if (!moves) stuck();
    return able[explore_choose(count)];
}

static __attribute__((noinline)) void fiber_switch(int from, int to)
{
    struct fiber *next = &run.fiber[to];
    run.me = to;
    if (from >= 0 && _setjmp(run.fiber[from].at)) return;
    if (next->is_started) _longjmp(next->at, 1);
    next->is_started = true;
    _longjmp(next->entry, 1);
}

static void execution_go_on(bool is_new)
{
    int from = is_new ? -1 : run.me;
    if (++run.steps > STEPS_MAX) execution_end(ENDS_CUT);
    if (run.depth >= run.replay && !run.traces) {
        run.out->steps++;
        if (!run.forgets && !states_put(state_hash())) execution_end(ENDS_KNOWN);
        if (++run.out->states * 2 > run.states_cap) states_grow();
        if (run.out->states > STATES_MAX) execution_end(ENDS_CUT);
    }
    int to = execution_pick();
    if (to != from) fiber_switch(from, to);
}

void explore_step(void)
{
    execution_go_on(false);
    explore_observe(1); /* that it was made: a store tells its thread nothing else */
}

static void fiber_main(void)
{
    if (_setjmp(run.fiber[run.me].entry) == 0) _longjmp(run.home, 1);
    run.scenario->run(run.scenario, run.me);
    run.fiber[run.me].standing = STANDS_DONE;
    explore_say("is done");
    execution_go_on(false);
    abort();
}

static void fiber_make(struct fiber *f)
{
    f->stack = malloc(STACK_BYTES);
    if (!f->stack || getcontext(&f->context) < 0) abort();
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&f->context, fiber_main, 0);
    if (_setjmp(run.home) == 0) setcontext(&f->context);
}

static void fibers_make(void)
{
    for (run.me = 0; run.me < MEMORY_THREADS; run.me++)
        if (!run.fiber[run.me].stack) fiber_make(&run.fiber[run.me]);
}

static enum ending execution_run(void)
{
    int ended = _setjmp(run.home);
    if (ended == 0) {
        run.depth = run.steps = run.me = 0;
        for (int t = 0; t < MEMORY_THREADS; t++) {
            struct fiber *f = &run.fiber[t];
            f->is_started = false;
            f->standing = STANDS_READY;
            f->observed = f->observed_at_poll = 0;
            f->wakes = 0;
            f->spurious = 0;
        }
        run.scenario->reset(run.scenario);
        execution_go_on(true);
    }
    if (ended == ENDS_DONE + 1 && run.scenario->end) {
        if (_setjmp(run.home)) return ENDS_FAILED;
        run.scenario->end(run.scenario);
    }
    return (enum ending)(ended - 1);
}

/* --- all of them ------------------------------------------------------------------------------ */

static bool choices_next(void)
{
    int n = run.depth;
    while (n > 0 && run.choices[n - 1].chosen + 1 == run.choices[n - 1].count) n--;
    if (n == 0) return false;
    run.choices[n - 1].chosen++;
    run.replay = n;
    return true;
}

void explore_forget(bool forgets) { run.forgets = forgets; }

void explore(const struct scenario *s, bool trace, struct outcome *out)
{
    enum ending ending;
    *out = (struct outcome){ 0 };
    fibers_make();
    run.scenario = s;
    run.out = out;
    run.replay = 0;
    run.traces = false;
    run.states_cap = 1 << 12;
    run.states = calloc(run.states_cap, sizeof(uint64_t));
    if (!run.states) abort();
    do {
        ending = execution_run();
        out->executions++;
        out->ended += ending == ENDS_DONE;
        out->cut_off = out->cut_off || ending == ENDS_CUT;
    } while (ending != ENDS_FAILED && out->states <= STATES_MAX && choices_next());
    free(run.states);
    run.states = NULL;
    out->failed = ending == ENDS_FAILED;
    if (!out->failed || !trace) return;
    printf("  %s: %s\n", s->name, out->property);
    run.replay = run.depth;
    run.traces = true;
    execution_run();
    run.traces = false;
}

/* --- for threads ------------------------------------------------------------------------------ */

void explore_observe(uint64_t value)
{
    struct fiber *f = &run.fiber[run.me];
    f->observed = explore_mix(f->observed, value);
}

void explore_state(int place, const void *bytes, size_t len)
{
    run.fiber[run.me].observed = explore_hash((uint64_t)place + 1, bytes, len);
}

void explore_state_more(const void *bytes, size_t len)
{
    struct fiber *f = &run.fiber[run.me];
    f->observed = explore_hash(f->observed, bytes, len);
}

void explore_poll(void)
{
    run.fiber[run.me].observed_at_poll = run.fiber[run.me].observed;
    memory_mark(run.me);
}

void explore_await(void)
{
    struct fiber *f = &run.fiber[run.me];
    f->observed = f->observed_at_poll;
    f->standing = STANDS_AWAITING;
    execution_go_on(false);
    f = &run.fiber[run.me];
    f->standing = STANDS_READY;
    memory_take_news(run.me);
}

int explore_pick(int count)
{
    int chosen = explore_choose(count);
    explore_observe((uint64_t)chosen);
    return chosen;
}

void explore_allow_chance(int times) { run.fiber[run.me].spurious = times; }

void explore_sleep(void)
{
    struct fiber *f = &run.fiber[run.me];
    f->standing = STANDS_ASLEEP;
    explore_say("falls asleep");
    execution_go_on(false);
    f = &run.fiber[run.me];
    f->standing = STANDS_READY;
    bool by_chance = f->wakes == 0 || (f->spurious > 0 && explore_choose(2) == 1);
    if (by_chance)
        f->spurious--;
    else
        f->wakes = 0; /* as an eventfd: all at once */
    explore_observe(2);
    explore_say(by_chance ? "wakes by chance" : "wakes");
}

void explore_wake(int thread)
{
    explore_step();
    run.fiber[thread].wakes = 1;
    explore_say("wakes thread %d", thread);
}
