/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One rank calls a collective otherwise than the others: another count, type, operator, root,
 * level, algorithm, table of lengths or graph, another collective, or two in another order. It and
 * some other rank are told SINEW_EMISMATCH with both ranks' arguments, by that call or by the next;
 * nobody waits for ever, nobody succeeds with wrong data; and once everyone has made as many calls,
 * the team is as before.
 *
 * Every other round ranks only poll, with sinew_test(). And what no call follows: two roots that
 * are both done are logged; whoever waits for a rank that has freed the team is told; whoever is
 * told first and leaves is not taken for the reason.
 *
 * All collectives at once, each on a team of its own: what has to be waited for, a second each
 * time, is waited for once.
 *
 *     test-collective-mismatches --kind K --transport T [--all] [--seed S]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/coll_rank.h"
#include "tests/support/job.h"

enum difference { COUNT, TYPE, OPERATOR, ROOT, LEVEL, ALGORITHM, SEED, OTHER, ORDER, DIFFERENCES };
static const char *const names[] = { "count",     "type",   "operator", "root", "level",
                                     "algorithm", "tables", "another",  "order" };

enum { CALLS = 8, TEAMS = COLLECTIVE_END - 1, SECONDS_MOST = 40, WORD_MEET = JOB_WORDS - 1 };

struct round {
    enum difference what;
    int odd; /* the rank that differs */
    int turn; /* of the collective's algorithms */
    bool polls;
};

/* One collective on its own team. */
struct stage {
    struct sinew_team *team, *view;
    struct kase k, mine;
    struct rank_state r;
    struct sinew_request *req;
    int calls, mismatches; /* made, and of them how many were told */
    bool applies;
};

static const struct algorithm *nth_algorithm(enum collective c, int turn)
{
    int n = 0;
    for (uint32_t i = 0; i < algorithm_count; i++) n += algorithms[i].collective == c;
    turn %= n;
    for (uint32_t i = 0;; i++)
        if (algorithms[i].collective == c && turn-- == 0) return &algorithms[i];
}

/* false: this difference makes none here. */
static bool differ(const struct round *round, struct kase *k)
{
    const struct algorithm *own = nth_algorithm(k->collective, round->turn);
    const struct algorithm *other = nth_algorithm(k->collective, round->turn + 1);
    switch (round->what) {
    case COUNT:
        k->count += k->collective != COLLECTIVE_BARRIER;
        return k->collective != COLLECTIVE_BARRIER;
    case TYPE:
        k->type = SINEW_U32;
        return case_has_arithmetic(k);
    case OPERATOR:
        k->op = SINEW_MAX;
        return case_has_arithmetic(k);
    case ROOT:
        k->root = (k->root + 1) % k->size;
        return case_has_root(k);
    case ALGORITHM:
        k->algorithm = other->name;
        return own != other;
    case SEED:
        k->seed++;
        return k->collective >= COLLECTIVE_GATHERV;
    case LEVEL:
        return true;
    default:
        return k->collective != COLLECTIVE_BARRIER;
    }
}

/* Whether the ranks that may disagree do is a matter of chance. */
static bool by_chance(const struct round *round, const struct stage *st)
{
    return round->what == SEED || (round->what == COUNT && st->k.collective >= COLLECTIVE_GATHERV);
}

static void stage_open(struct job_rank *me, struct stage *st, enum collective c)
{
    const struct round *round = me->arg;
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    int members[JOB_RANKS_MAX];
    for (int r = 0; r < me->size; r++) members[r] = r;
    *st = (struct stage){ .k = { .collective = c,
                                 .algorithm = nth_algorithm(c, round->turn)->name,
                                 .size = me->size,
                                 .count = 33,
                                 .root = round->turn % me->size,
                                 .seed = 4711 } };
    if (c == COLLECTIVE_BARRIER) st->k.count = 0;
    if (case_has_arithmetic(&st->k)) st->k.type = SINEW_I32, st->k.op = SINEW_SUM;
    st->mine = st->k;
    struct kase theirs = st->k;
    st->applies = differ(round, &theirs);
    if (me->rank == round->odd) st->mine = theirs;
    if (me->rank == round->odd && round->what == LEVEL) how.level = SINEW_LEVEL_REPEATABLE;
    how.algorithm = st->mine.algorithm;
    CHECK_OK(me, sinew_team_subset(sinew_world(me->s), members, me->size, &st->team));
    CHECK_OK(me, sinew_team_view(st->team, &how, &st->view));
    CHECK(me, rank_prepare(&st->r, &st->mine, st->view, me->rank));
    rank_fill(&st->r);
}

static void stage_close(struct job_rank *me, struct stage *st)
{
    CHECK(me, rank_release(&st->r));
    CHECK_OK(me, sinew_team_free(&st->view));
    CHECK_OK(me, sinew_team_free(&st->team));
}

/* Which of its calls is the collective; the others are barriers. */
static int turn_of(const struct job_rank *me)
{
    const struct round *round = me->arg;
    if (me->rank != round->odd || round->what < OTHER) return 0;
    return round->what == ORDER ? 1 : CALLS;
}

static int stage_call(struct job_rank *me, struct stage *st)
{
    if (st->calls++ == turn_of(me)) return rank_call(&st->r, &st->req);
    return sinew_barrier(st->team, &st->req);
}

/* The text has two different calls, or says what else was different. */
static void check_text(struct job_rank *me, const struct stage *st)
{
    const struct round *round = me->arg;
    const char *why = sinew_why(me->s), *first = strstr(why, " called ");
    const char *second = first ? strstr(first + 1, " called ") : NULL;
    char odd[32];
    snprintf(odd, sizeof(odd), "rank %d of", round->odd);
    bool other = strstr(why, "different lengths") || strstr(why, "no such message");
    if (!second || !strstr(why, odd) || !strstr(why, collective_name(st->k.collective)) ||
        (!other && !strncmp(first, second, strcspn(first, ","))&& round->what < TYPE))
        job_fail(me, __FILE__, __LINE__, "%s of %s: the text is: %s", names[round->what],
                 collective_name(st->k.collective), why);
}

static void stage_result(struct job_rank *me, struct stage *st, int status)
{
    const struct round *round = me->arg;
    bool collective = st->calls - 1 == turn_of(me), odd = me->rank == round->odd;
    CHECK(me, status == 0 || status == SINEW_EMISMATCH);
    if (status == SINEW_EMISMATCH) {
        check_text(me, st);
        st->mismatches++;
    }
    if (status == 0 && collective && !odd && !by_chance(round, st)) {
        const char *wrong = rank_wrong(&st->r);
        if (wrong)
            job_fail(me, __FILE__, __LINE__, "%s of %s by %s: %s, and no word of it",
                     names[round->what], collective_name(st->k.collective), st->k.algorithm, wrong);
    }
    if (st->calls == CALLS && status != 0)
        job_fail(me, __FILE__, __LINE__, "%s of %s by %s: never well again: %s", names[round->what],
                 collective_name(st->k.collective), st->k.algorithm, sinew_why(me->s));
}

/* Makes calls until one is under way, or all are made. */
static void stage_go_on(struct job_rank *me, struct stage *st)
{
    while (st->applies && st->calls < CALLS && !st->req) {
        int status = stage_call(me, st);
        if (status <= 0) stage_result(me, st, status);
    }
}

/* The next one that has an outcome, in *status; TEAMS: all have. */
static int next_done(struct job_rank *me, struct stage *st, int *status)
{
    const struct round *round = me->arg;
    struct sinew_request *req[TEAMS];
    int which;
    for (int i = 0; i < TEAMS; i++) req[i] = st[i].req;
    if (!round->polls) {
        *status = sinew_wait_any(req, TEAMS, &which, SINEW_FOREVER);
        if (which >= 0) st[which].req = NULL;
        return which < 0 ? TEAMS : which;
    }
    for (;;) {
        bool open = false;
        for (int i = 0; i < TEAMS; i++) {
            if (!st[i].req) continue;
            open = true;
            *status = sinew_test(&st[i].req);
            if (*status <= 0) return i;
        }
        if (!open) return TEAMS;
        job_pause(me, 1000000);
    }
}

/* For the nth time. */
static void meet(struct job_rank *me, int nth)
{
    atomic_fetch_add(&me->words[WORD_MEET], 1);
    while (atomic_load(&me->words[WORD_MEET]) < nth * me->size) {
        CHECK(me, sinew_progress(me->s) >= 0);
        job_pause(me, 20000);
    }
}

static void play(struct job_rank *me)
{
    const struct round *round = me->arg;
    struct stage *st = calloc(TEAMS, sizeof(*st));
    struct sinew_options o = SINEW_OPTIONS_INIT;
    int status;
    o.stall_report = SINEW_NEVER;
    job_open(me, &o);
    for (int i = 0; i < TEAMS; i++) stage_open(me, &st[i], (enum collective)(i + 1));
    int64_t began = job_now(me);
    for (int i = 0; i < TEAMS; i++) stage_go_on(me, &st[i]);
    for (int which; (which = next_done(me, st, &status)) < TEAMS;) {
        stage_result(me, &st[which], status);
        stage_go_on(me, &st[which]);
    }
    CHECK(me, job_now(me) - began < (int64_t)SECONDS_MOST * job_patience() * 1000000000);
    for (int i = 0; i < TEAMS; i++)
        atomic_fetch_add(&me->words[2 * i + (me->rank == round->odd)], st[i].mismatches);
    meet(me, 1);
    for (int i = 0; i < TEAMS; i++) {
        bool told[2] = { atomic_load(&me->words[2 * i]) > 0,
                         atomic_load(&me->words[2 * i + 1]) > 0 };
        if (st[i].applies && (told[0] != told[1] || !by_chance(round, &st[i])))
            for (int k = 0; k < 2; k++)
                if (!told[k])
                    job_fail(me, __FILE__, __LINE__, "%s of %s by %s: %s was not told",
                             names[round->what], collective_name(st[i].k.collective),
                             st[i].k.algorithm, k ? "who differs" : "nobody else");
        stage_close(me, &st[i]);
    }
    meet(me, 2);
    free(st);
    job_close(me, me->s);
}

/* --------------------------------------------------------------------------- no call comes after
 * it */

/* Each is a root of its own, and done at once. One at least hears of the other, and says so. */
static void play_two_roots(struct job_rank *me)
{
    char buf[8] = "eight by";
    job_open(me, NULL);
    CHECK_OK(me, sinew_barrier(sinew_world(me->s), NULL));
    CHECK_OK(me, sinew_bcast(sinew_world(me->s), buf, sizeof(buf), me->rank, NULL));
    meet(me, 1);
    job_close(me, me->s);
    atomic_fetch_add(&me->words[0], job_log_count(me, "did not agree"));
    atomic_fetch_add(&me->words[1], 1);
    while (atomic_load(&me->words[1]) < me->size) job_pause(me, 20000);
    CHECK(me, atomic_load(&me->words[0]) > 0);
}

/* One calls another collective than all others, and everyone leaves as soon as it is told. Nobody
 * takes that for the reason. */
static void play_who_is_told_leaves(struct job_rank *me)
{
    const struct round *round = me->arg;
    int in = 1, out = 0, status;
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    for (int i = 0; i < me->size; i++) /* who was never met is told nothing */
        CHECK_OK(me, sinew_bcast(world, &in, sizeof(in), i, NULL));
    meet(me, 1);
    if (me->rank == round->odd)
        status = sinew_allreduce(world, &in, &out, 1, SINEW_I32, SINEW_SUM, NULL);
    else
        status = sinew_barrier(world, NULL);
    if (status != SINEW_EMISMATCH || !strstr(sinew_why(me->s), "called"))
        job_fail(me, __FILE__, __LINE__, "rank %d: %d: %s", me->rank, status, sinew_why(me->s));
    job_close(me, me->s);
}

/* Rank 0 frees the team before the others' collective: of a message, of a long one, polling. */
static void play_freed(struct job_rank *me)
{
    enum { LONG = 1 << 20 };
    char *buf = calloc(1, LONG);
    struct sinew_options o = SINEW_OPTIONS_INIT;
    o.stall_report = SINEW_NEVER;
    job_open(me, &o);
    for (int i = 0; i < 4; i++) {
        struct sinew_team *team = NULL;
        struct sinew_request *req = NULL;
        int members[] = { 0, 1 }, status;
        CHECK_OK(me, sinew_team_subset(sinew_world(me->s), members, 2, &team));
        if (me->rank == 1) {
            status = i < 2 ? sinew_barrier(team, &req) : sinew_bcast(team, buf, LONG, 1, &req);
            while (status > 0 && i % 2) {
                status = sinew_test(&req);
                job_pause(me, 1000000);
            }
            if (status > 0) status = sinew_wait(&req);
            if (status != SINEW_EMISMATCH || !strstr(sinew_why(me->s), "has freed the team"))
                job_fail(me, __FILE__, __LINE__, "%d: %d: %s", i, status, sinew_why(me->s));
        }
        CHECK_OK(me, sinew_team_free(&team));
        meet(me, i + 1);
    }
    free(buf);
    job_close(me, me->s);
}

static bool play_leaving(struct job_options *o)
{
    enum { RANKS = 5 };
    o->ranks = RANKS;
    for (int odd = 0; odd < RANKS; odd++) {
        const struct round round = { .odd = odd };
        o->arg = &round;
        if (job_run(o, play_who_is_told_leaves)) continue;
        fprintf(stderr, "rank %d differs, and who is told leaves\n", odd);
        return false;
    }
    return true;
}

static bool play_alone(struct job_options *o, void (*body)(struct job_rank *), const char *name)
{
    static const struct round none;
    o->ranks = 2;
    o->arg = &none;
    if (job_run(o, body)) return true;
    fprintf(stderr, "%s\n", name);
    return false;
}

/* All kinds of difference; or, where a second takes a second, some of them. */
static bool is_played(const struct job_options *o, bool all, int what)
{
    return all || o->kind == JOB_SIM || what == COUNT || what == ROOT || what == ORDER;
}

static bool play_round(struct job_options *o, int what, int size, int turn, bool polls)
{
    struct round round = { .what = (enum difference)what,
                           .turn = turn,
                           .polls = polls,
                           .odd = (what + turn) % size };
    o->ranks = size;
    o->arg = &round;
    if (job_run(o, play)) return true;
    fprintf(stderr, "%s, %d ranks, rank %d differs, algorithms %d\n", names[what], size, round.odd,
            turn);
    return false;
}

int main(int argc, char **argv)
{
    struct job_options o = { .kind = JOB_SIM, .transport = "sim", .timeout_s = 300 };
    bool all = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0)
            all = true;
        else if (i + 1 == argc)
            return 2;
        else if (strcmp(argv[i], "--kind") == 0)
            o.kind = (enum job_kind)job_kind_named(argv[++i]);
        else if (strcmp(argv[i], "--transport") == 0)
            o.transport = argv[++i];
        else if (strcmp(argv[i], "--seed") == 0)
            o.seed = strtoull(argv[++i], NULL, 0);
        else
            return 2;
    }
    if (!o.seed) o.seed = job_seed();
    static const int sizes[] = { 5, 2, 3, 8 };
    int rounds = 0, turns = all && o.kind == JOB_SIM ? 5 : 1;
    int teams = o.kind != JOB_SIM ? 1 : all ? 4 : 2;
    for (int what = 0; what < DIFFERENCES; what++)
        for (int s = 0; s < teams; s++)
            for (int turn = what; turn < what + turns && is_played(&o, all, what); turn++, rounds++)
                if (!play_round(&o, what, sizes[s], turn, rounds % 2)) return 1;
    if (!play_leaving(&o)) return 1;
    if (!play_alone(&o, play_two_roots, "two roots")) return 1;
    if (!play_alone(&o, play_freed, "a team that was freed")) return 1;
    printf("%d rounds of %d collectives, seed %llu\n", rounds, TEAMS, (unsigned long long)o.seed);
    return 0;
}
