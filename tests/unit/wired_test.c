/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wired links in virtual time: they come up while messages flow both ways, are refused, break in
 * the middle of anything, at any moment, and come again. What is sent is received: once, in order,
 * intact, and no buffer is touched after its receive is over.
 *
 * wired_test [SEEDS [FIRST]]
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "messaging/origin.h"
#include "tests/seed.h"
#include "transport/sim/sim.h"

enum { RANKS_MAX = 4, LEN_MAX = 200000, PARALLEL = 3, MS = 1000000 };
#define SECOND 1000000000LL

enum end { END_CLOSE, END_CUT, END_CRASH, END_ABANDON };

struct plan {
    uint64_t seed;
    int ranks, rounds, breaks; /* breaks: one in so many rounds; 0: never */
    enum end end;
    bool alone; /* data may take nothing else */
    bool may_be_unreachable;
    char failure[1024];
    uint64_t switched, broken, resent, read;
    char log[65536];
    size_t log_len;
};

static void complain(struct plan *p, const struct sim_rank *me, const char *format, ...)
{
    va_list args;
    if (p->failure[0]) return;
    int n = snprintf(p->failure, sizeof(p->failure), "rank %d: ", sim_rank(me));
    va_start(args, format);
    vsnprintf(p->failure + n, sizeof(p->failure) - (size_t)n, format, args);
    va_end(args);
}

static void log_to_plan(void *arg, int level, const char *line)
{
    struct plan *p = arg;
    size_t room = sizeof(p->log) - p->log_len;
    (void)level;
    int n = snprintf(p->log + p->log_len, room, "%s\n", line);
    if (n > 0 && (size_t)n < room) p->log_len += (size_t)n;
}

/* The same on both sides. */
static uint64_t dice(const struct plan *p, int from, int to, int round, int which)
{
    struct seed s = { p->seed * 1000003 +
                      (uint64_t)((from * 8 + to) * 100000 + round * 16 + which) };
    seed_next(&s);
    return seed_next(&s);
}

static size_t length(const struct plan *p, int from, int to, int round, int which)
{
    static const size_t upto[] = { 1, 41, 300, 4000, 16385, 40000, LEN_MAX };
    uint64_t d = dice(p, from, to, round, which);
    return (d >> 16) % upto[d % 7];
}

static void fill(const struct plan *p, uint8_t *buf, size_t len, int from, int to, int round,
                 int which)
{
    struct seed s = { dice(p, from, to, round, which) ^ 0x5555 };
    for (size_t i = 0; i < len; i += 8) {
        uint64_t v = seed_next(&s);
        memcpy(buf + i, &v, len - i < 8 ? len - i : 8);
    }
}

struct rank {
    struct plan *plan;
    struct sim_rank *me;
    struct sinew *s;
    uint8_t *in[RANKS_MAX][PARALLEL], *out[RANKS_MAX][PARALLEL], *wanted;
};

static bool over(const struct rank *r, int status)
{
    /* Who cannot reach one of them leaves the others. */
    if (status == SINEW_EPEER) return r->plan->end != END_CLOSE || r->plan->may_be_unreachable;
    return status == SINEW_EUNREACHABLE && r->plan->may_be_unreachable;
}

/* All messages of one round to and from everybody; false: it is over. */
static bool exchange(struct rank *r, int round)
{
    struct plan *p = r->plan;
    struct sinew_team *world = sinew_world(r->s);
    struct sinew_request *req[2 * RANKS_MAX * PARALLEL] = { NULL };
    struct sinew_status status[RANKS_MAX][PARALLEL];
    int me = sim_rank(r->me), n = 0, results[2 * RANKS_MAX * PARALLEL] = { 0 };
    bool receive_first = sim_random(r->me) % 2;
    for (int phase = 0; phase < 2; phase++)
        for (int other = 0; other < p->ranks; other++)
            for (int i = 0; i < PARALLEL && other != me; i++, n++) {
                size_t len = length(p, me, other, round, i);
                bool receives = (phase == 0) == receive_first;
                if (!receives) fill(p, r->out[other][i], len, me, other, round, i);
                results[n] = receives ? sinew_recv(world, r->in[other][i], LEN_MAX, other, i,
                                                   &status[other][i], &req[n])
                                      : sinew_send(world, r->out[other][i], len, other, i, &req[n]);
                if (results[n] < 0 && !over(r, results[n]))
                    complain(p, r->me, "round %d: posting gave %s: %s", round,
                             sinew_strstatus(results[n]), sinew_why(r->s));
                if (sim_random(r->me) % 8 == 0) sinew_progress(r->s);
                if (p->breaks && sim_random(r->me) % (uint64_t)p->breaks == 0)
                    sim_break(r->me, me, other);
            }
    bool well = true;
    for (int i = 0; i < n; i++) {
        int rc = results[i] < 0 ? results[i] : sinew_wait(&req[i]);
        if (rc < 0 && !over(r, rc))
            complain(p, r->me, "round %d: waiting gave %s: %s", round, sinew_strstatus(rc),
                     sinew_why(r->s));
        well &= rc == 0;
    }
    for (int other = 0; well && other < p->ranks; other++)
        for (int i = 0; i < PARALLEL && other != me; i++) {
            size_t len = length(p, other, me, round, i);
            fill(p, r->wanted, len, other, me, round, i);
            if (status[other][i].bytes != len || memcmp(r->in[other][i], r->wanted, len) != 0)
                complain(p, r->me, "round %d: message %d from %d is wrong: %zu bytes, wanted %zu",
                         round, i, other, (size_t)status[other][i].bytes, len);
            memset(r->in[other][i], 0xee, LEN_MAX);
        }
    return well;
}

/* Nothing lands any more in what a receive has given back. */
static void check_untouched(struct rank *r)
{
    for (int other = 0; other < r->plan->ranks; other++)
        for (int i = 0; i < PARALLEL && other != sim_rank(r->me); i++)
            for (size_t k = 0; k < LEN_MAX; k++)
                if (r->in[other][i][k] != 0xee) {
                    complain(r->plan, r->me, "byte %zu of a buffer was touched afterwards", k);
                    return;
                }
}

static uint64_t count(struct sinew *s, const char *name)
{
    uint64_t value = 0;
    sinew_counter(s, name, &value);
    return value;
}

static int open_rank(struct rank *r)
{
    static const struct transport_ops *const both[] = { &transport_sim_wired, &transport_sim,
                                                        NULL };
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct origin origin = { sim_world(r->me), both, NULL, NULL };
    int rc = sim_launch(r->me, &origin.launch);
    o.security = SINEW_SECURITY_NONE;
    o.stall_report = SINEW_NEVER;
    o.log_level = 3;
    o.log = log_to_plan;
    o.log_arg = r->plan;
    if (r->plan->alone) o.transports = "sim_wired";
    if (rc == 0) rc = context_open(&o, &origin, &r->s);
    if (rc) complain(r->plan, r->me, "open gave %d: %s", rc, sinew_why(NULL));
    return rc;
}

static void leave(struct rank *r)
{
    struct plan *p = r->plan;
    p->switched += count(r->s, "links_switched");
    p->broken += count(r->s, "links_broken");
    p->resent += count(r->s, "messages_resent");
    p->read += count(r->s, "rendezvous_read");
    if (p->end == END_ABANDON && sim_rank(r->me) == 0) {
        sinew_abandon(r->s);
        return;
    }
    int rc = sinew_close(r->s);
    if (rc) complain(p, r->me, "close gave %d: %s", rc, sinew_why(r->s));
}

static void body(struct sim_rank *me, void *arg)
{
    struct plan *p = arg;
    static uint8_t all[RANKS_MAX][RANKS_MAX][PARALLEL][2][LEN_MAX], wants[RANKS_MAX][LEN_MAX];
    uint8_t(*memory)[PARALLEL][2][LEN_MAX] = all[sim_rank(me)], *wanted = wants[sim_rank(me)];
    struct rank r = { .plan = p, .me = me, .wanted = wanted };
    for (int i = 0; i < RANKS_MAX; i++)
        for (int j = 0; j < PARALLEL; j++) {
            r.in[i][j] = memory[i][j][0];
            r.out[i][j] = memory[i][j][1];
        }
    if (open_rank(&r)) return;
    int last = p->rounds / 2;
    for (int round = 0; round < p->rounds && !p->failure[0]; round++) {
        if (p->end == END_CUT && sim_rank(me) == 0 && round == last) sim_cut(me, 0, 1);
        if (p->end == END_CRASH && sim_rank(me) == 0 && round == last) {
            if (sim_random(me) % 2) sinew_progress(r.s);
            sim_crash(me, 0);
        }
        if (p->end == END_ABANDON && sim_rank(me) == 0 && round == last) break;
        if (sim_random(me) % 4 == 0) sim_compute(me, (int64_t)(sim_random(me) % MS));
        if (!exchange(&r, round)) break;
        if (p->end == END_CLOSE && sim_random(me) % 4 == 0) check_untouched(&r);
    }
    leave(&r);
}

/* ---- one seed -------------------------------------------------------------------------------- */

static void choose(struct plan *p, struct sim_options *o, uint64_t seed)
{
    struct seed s = { seed };
    *p = (struct plan){ .seed = seed };
    *o = (struct sim_options){ .seed = seed };
    p->ranks = seed_below(&s, 4) ? 2 : 3;
    p->rounds = 2 + (int)seed_below(&s, 8);
    p->breaks = seed_below(&s, 3) ? 2 + (int)seed_below(&s, 20) : 0;
    p->alone = seed_below(&s, 3) == 0;
    p->end = seed_below(&s, 4) ? END_CLOSE : (enum end)(1 + seed_below(&s, 3));
    o->ranks = p->ranks;
    o->latency_ns = 200 + (int64_t)seed_below(&s, 5000);
    o->jitter_ns = (int64_t)seed_below(&s, 20000);
    o->puts_unordered = seed_below(&s, 2);
    o->reads = seed_below(&s, 2);
    o->wired_fails = seed_below(&s, 4) ? 0 : 1 + (uint32_t)seed_below(&s, 3);
    o->window_bytes = 1000 + seed_below(&s, 60000);
    o->begin_max = seed_below(&s, 2) ? UINT32_C(1024) << seed_below(&s, 4) : 0;
    o->time_limit_ns = 1000 * SECOND;
    p->may_be_unreachable = p->alone && (o->wired_fails || p->breaks || p->end != END_CLOSE);
}

static void run(struct plan *p, uint64_t seed, bool loud)
{
    struct sim_options o;
    struct sim_result result = { 0 };
    choose(p, &o, seed);
    int rc = sim_run(&o, body, p, &result);
    if (rc && !p->failure[0])
        snprintf(p->failure, sizeof(p->failure), "sim_run gave %d: %.900s", rc, result.text);
    if (result.leaked_bytes && p->end != END_CRASH && !p->failure[0])
        snprintf(p->failure, sizeof(p->failure), "%llu bytes leaked",
                 (unsigned long long)result.leaked_bytes);
    if (loud || p->failure[0]) fputs(p->log, stderr);
    if (p->failure[0])
        fail_msg("seed %llu (%d ranks, breaks %d, alone %d, end %d, reads %d, unordered %d, fails %u): %s",
                 (unsigned long long)seed, p->ranks, p->breaks, p->alone, p->end, o.reads,
                 o.puts_unordered, o.wired_fails, p->failure);
}

static uint64_t seeds = 600, first = 0;

static void whatever_breaks_messages_arrive_once_in_order_intact(void **state)
{
    static struct plan p;
    (void)state;
    struct seed s = seed_from_environment("wired");
    uint64_t from = first ? first : seed_next(&s) % 1000000000;
    uint64_t switched = 0, broken = 0, resent = 0, read = 0;
    for (uint64_t i = 0; i < seeds; i++) {
        run(&p, from + i, seeds == 1);
        switched += p.switched;
        broken += p.broken;
        resent += p.resent;
        read += p.read;
    }
    printf("%llu seeds from %llu: %llu times over to a wired link, %llu back, %llu messages sent again, "
           "%llu read\n",
           (unsigned long long)seeds, (unsigned long long)from, (unsigned long long)switched,
           (unsigned long long)broken, (unsigned long long)resent, (unsigned long long)read);
    if (seeds < 100) return;
    assert_true(switched > seeds && broken > seeds / 10 && resent > seeds / 10 &&
                read > seeds / 10);
}

/* Found by seed: the last messages were lost with the wire, a goodbye came through behind them. */
static void an_end_that_is_broken_confirms_no_goodbye(void **state)
{
    static struct plan p;
    (void)state;
    run(&p, 200824078, false);
}

int main(int argc, char **argv)
{
    if (argc > 1) seeds = strtoull(argv[1], NULL, 0);
    if (argc > 2) first = strtoull(argv[2], NULL, 0);
    /* One rank runs at a time: handing over is cheapest on one core. */
    cpu_set_t one;
    CPU_ZERO(&one);
    int here = sched_getcpu();
    CPU_SET((size_t)(here < 0 ? 0 : here), &one);
    sched_setaffinity(0, sizeof(one), &one);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_breaks_messages_arrive_once_in_order_intact),
        cmocka_unit_test(an_end_that_is_broken_confirms_no_goodbye),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
