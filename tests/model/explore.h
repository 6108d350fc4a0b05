/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_MODEL_EXPLORE_H
#define TESTS_MODEL_EXPLORE_H
/*
 * explore.h - every execution of a few threads, by going back to the last choice
 *
 * A thread is a stack of its own; it stops before each step that others can notice, and at each of
 * these stops and whenever a load may read several messages there is a choice. An execution is run
 * again from its start with the same choices up to the last that has another answer left.
 *
 * A state that was met before is not explored again. It consists of the memory (memory.h), and of
 * what each thread has observed since it last said that nothing but some bytes of it mattered
 * (explore_state); two that differ are told apart but for a collision of 64-bit hashes. A search
 * that had to stop early says so: cut_off.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scenario {
    const char *name;
    int threads;
    void (*reset)(const struct scenario *s); /* calls memory_reset() and memory_location() */
    void (*run)(const struct scenario *s, int me);
    void (*end)(const struct scenario *s); /* when every thread has returned; may be NULL */
    const void *arg;
    bool is_large; /* for the long tier */
};

struct outcome {
    bool failed, cut_off;
    uint64_t executions; /* run, to their end or to a state met before */
    uint64_t ended;      /* … to their end                            */
    uint64_t states, steps;
    char property[240]; /* which failed, and how */
};

/* Explore all of it, or up to the first failure, which is run once more and printed step by step if
 * `trace`. */
void explore(const struct scenario *s, bool trace, struct outcome *out);
/* From now on, explore states that were met before too: slow, and the same outcome. */
void explore_forget(bool forgets);

/* --- for threads and the memory --- */
int explore_me(void);
/* One of 0 .. count - 1; all are tried. */
int explore_choose(int count);
/* The same, where the running thread knows which. */
int explore_pick(int count);
/* A step that others can notice comes. */
void explore_step(void);
/* What the running thread has learned: its further course depends on it. */
void explore_observe(uint64_t value);
/* Its further course depends on these bytes alone and on where it is, which `place` names. */
void explore_state(int place, const void *bytes, size_t len);
void explore_state_more(const void *bytes, size_t len);
/* Poll: begin, and wait for news when nothing was found and nothing was changed. */
void explore_poll(void);
void explore_await(void);
/* Sleep until woken. */
void explore_sleep(void);
/* The running thread may wake so many times without being woken. */
void explore_allow_chance(int times);
void explore_wake(int thread);
/* The execution is wrong. Does not return. */
_Noreturn void explore_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Say what a step does, when it is wanted. */
bool explore_traces(void);
void explore_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t explore_hash(uint64_t hash, const void *bytes, size_t len);
static inline uint64_t explore_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

#endif
