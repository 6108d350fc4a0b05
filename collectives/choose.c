/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * choose.c - which algorithm: the first rule that fits, else what the model says is fastest
 *
 * The answer is a function of what all ranks know alike, so they choose alike. What ranks that take
 * turns on few cores would choose instead is taken only if it brackets alike: how many cores there
 * are changes no bit of a result.
 */
#include "collectives/choose.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collectives/pattern/flat.h"
#include "collectives/pattern/multiplying.h"
#include "sinew/sinew.h"

enum {
    KIB = 1024,
    DIRECT_UP_TO = 4,
    CROWD_BYTES = 2 * KIB,
    PIECE_LEAST = 32 * KIB,
    PAIR_PIECE_LEAST =
        1024 * KIB,             /* of a whole vector between two ranks: pieces hide nothing but
                                   adding, and what comes is added as it lands, or part by part */
    TWO_TURNS_BLOCK = 16 * KIB, /* of everyone with everyone, at most                     */
    TWO_TURNS_WHOLE = 7680, /* longer messages are announced as long as the window has not grown,
                               and then it is no two turns                            */
    CROWD_PIECE = 4 * KIB,  /* of a block that goes straight, …                       */
    CROWD_MESSAGES = 32,    /* … if so many are all in one of the two turns           */
};
_Static_assert(2 * CROWD_MESSAGES <= WINDOW_STEPS, "both turns are one program that goes straight");
/* What goes at once over shared memory, and how much of it before the receiver gives room back;
 * and what goes at once over TCP. */
enum { AT_ONCE = 16 * KIB, ALL_AT_ONCE = 64 * KIB, TCP_AT_ONCE = 32 * KIB };
/* A half in so many pieces goes without an answer, and leaves room for one of the other half. */
enum { HALF_PIECES = 3 };
_Static_assert((HALF_PIECES + 1) * AT_ONCE <= ALL_AT_ONCE, "as it says");
/* All links of so many ranks have windows that grow, and most of so many: GROWN_MAX of
 * messaging/peer.c. */
enum { GROWN_RANKS = 9, AT_ONCE_RANKS = 12 };

/* Those whose name says for how many ranks they are. */
static uint32_t ranks_most(const struct algorithm *a)
{
    if (a->generate == generate_barrier_flat) return FLAT_RANKS;
    if (a->generate == generate_allreduce_flat) return FLAT_RANKS;
    if (a->generate == generate_allreduce_direct) return DIRECT_RANKS;
    if (a->generate == generate_allreduce_allgather) return GATHERED_RANKS;
    if (a->generate == generate_allreduce_pairwise) return PAIRWISE_RANKS;
    if (a->generate == generate_reduce_scatter_pairwise) return PAIRWISE_RANKS;
    if (a->generate == generate_reduce_pairwise) return PAIRWISE_RANKS;
    return UINT32_MAX;
}

/* Where all vectors come to one rank at once: memory, and messages that nobody has asked for
 * yet. */
static bool gathers_too_much(const struct algorithm *a, const struct situation *at)
{
    return (a->generate == generate_allreduce_allgather ||
            a->generate == generate_allreduce_direct || a->generate == generate_allreduce_flat) &&
           at->bytes * at->size > 64 * KIB;
}

const char *algorithm_objection(const struct algorithm *a, const struct situation *at)
{
    if (at->need & ALIGNED && !(a->flags & ALIGNED)) return "does not bracket by the aligned tree";
    if (at->need & KEEPS_ORDER && !(a->flags & KEEPS_ORDER))
        return "does not keep the ranks' order";
    if (at->size > ranks_most(a)) return "is for fewer ranks";
    if (gathers_too_much(a, at)) return "brings all vectors to one rank";
    if (a->parameter == PARAMETER_NODE && at->node == 0) return "is for ranks in order on nodes";
    return NULL;
}

/* 0: each rank has one. */
static uint32_t shared_cores(const struct situation *at)
{
    if (!at->crowded) return 0;
    return at->cores ? at->cores : 2;
}

double algorithm_time(const struct algorithm *a, uint32_t parameter, const struct situation *at)
{
    struct work w = a->work(at->size, (double)at->bytes, parameter_number(parameter));
    w.one_busy = collective_has_root(a->collective);
    return model_time(rules_link(at->rules, at->link), rules_link(at->rules, "shm"), &w, at->size,
                      shared_cores(at));
}

/* Whether so many pieces are worth trying: not short ones, unless they are the longest that need
 * not be announced, and that costs the ends. Over shared memory two: a ring holds three of them,
 * and a call's last one may meet the first of the next. */
static bool piece_fits(const struct situation *at, uint32_t parts, uint32_t pieces)
{
    uint64_t least = at->size == 2 && parts == 1 ? PAIR_PIECE_LEAST : PIECE_LEAST;
    uint64_t piece = at->bytes / parts / pieces;
    const struct link_model *m = rules_link(at->rules, at->link);
    double length = (double)piece;
    bool at_once = m->ask_ns > 0 && length < m->long_bytes && 2 * length >= m->long_bytes;
    if (!strcmp(at->link, "shm") && (pieces > 2 || at->size > AT_ONCE_RANKS)) at_once = false;
    return pieces == 1 || piece >= least || (at_once && parts > 2);
}

/* The parameter with which it is fastest. */
static struct choice algorithm_best(uint32_t index, const struct situation *at)
{
    const struct algorithm *a = &algorithms[index];
    static const uint32_t radices[] = { 2, 4, 8, 16, 0 };
    static const uint32_t pieces[] = { 1, 2, 4, 8, 16, 32, 64, 0 };
    bool in_pieces = a->parameter == PARAMETER_PIECES;
    uint32_t parts = in_pieces && a->initial == 1 ? at->size : 1; /* each rank's part is cut */
    uint32_t only[] = { a->parameter == PARAMETER_NODE ? at->node : a->initial, 0 };
    const uint32_t *try = a->parameter == PARAMETER_RADIX    ? radices
                          : in_pieces                       ? pieces
                                                             : only;
    struct choice best = { index, only[0], INFINITY, NULL };
    for (int i = 0; i == 0 || try[i]; i++) {
        bool small = in_pieces && !piece_fits(at, parts, try[i]);
        double ns = small ? INFINITY : algorithm_time(a, try[i], at);
        if (ns < best.ns) best = (struct choice){ index, try[i], ns, NULL };
    }
    return best;
}

/* Whether all results have the aligned tree's bits among so many ranks, by any parameter that is
 * tried: of recursive multiplying these are powers of two. */
static bool gives_aligned(const struct algorithm *a, uint32_t size)
{
    bool doubles = a->generate == generate_allreduce_doubling ||
                   a->generate == generate_allreduce_rabenseifner;
    bool multiplies = a->generate == generate_allreduce_multiplying;
    bool whole = (size & (size - 1)) == 0 || (multiplies && size <= MULTIPLYING_RANKS);
    return a->flags & ALIGNED || ((doubles || multiplies) && whole);
}

/* What it costs depends on lengths that one rank alone knows: it is for whoever names it. */
static bool only_named(const struct algorithm *a)
{
    return a->generate == generate_gatherv_binomial || a->generate == generate_scatterv_binomial;
}

/* Whole vectors to everybody, or to one: where ranks take turns choose_crowded() says when, as
 * measured; what each has to keep until its turn is not in the model. */
static bool only_short(const struct algorithm *a, const struct situation *at)
{
    return at->crowded && (a->generate == generate_allreduce_direct ||
                           a->generate == generate_allreduce_flat);
}

/* By the model two ranks have no second round, as they would for halves: what one sends whole the
 * other adds as it comes, which costs less than the model has for adding. Measured; where halves win
 * choose_unannounced() has them. */
static bool only_more(const struct algorithm *a, const struct situation *at)
{
    return at->size == 2 && a->generate == generate_allreduce_pairwise;
}

/* The fastest of those that `like` (may be NULL) allows: itself, or what gives the same bits. */
static struct choice choose_fastest(enum collective collective, const struct situation *at,
                                    const struct algorithm *like)
{
    struct choice best = { 0, 0, INFINITY, "the model" };
    for (uint32_t i = 0; i < algorithm_count; i++) {
        const struct algorithm *a = &algorithms[i];
        if (a->collective != collective || only_named(a) || algorithm_objection(a, at)) continue;
        if (only_short(a, at) || only_more(a, at)) continue;
        if (like && a != like && !(gives_aligned(a, at->size) && gives_aligned(like, at->size)))
            continue;
        struct choice c = algorithm_best(i, at);
        if (c.ns < best.ns) best = (struct choice){ i, c.parameter, c.ns, best.by };
    }
    return best;
}

/* Short messages where ranks take turns: measured, as the model does not count whose turn it is. */
static bool choose_crowded(enum collective collective, const struct situation *at,
                           struct choice *choice)
{
    const char *name = at->size <= DIRECT_UP_TO ? "direct" : "flat";
    bool barrier = collective == COLLECTIVE_BARRIER;
    if (!barrier && collective != COLLECTIVE_ALLREDUCE) return false;
    if (at->size <= 2 || at->size > FLAT_RANKS || at->bytes > CROWD_BYTES) return false;
    if (!barrier && !gives_aligned(&algorithms[choice->algorithm], at->size)) return false;
    choice->algorithm = (uint32_t)algorithm_find(collective, name);
    choice->parameter = algorithms[choice->algorithm].initial;
    choice->by = "short messages of ranks that take turns on few cores";
    choice->ns = algorithm_time(&algorithms[choice->algorithm], choice->parameter, at);
    return true;
}

/* How many pieces of each block go straight; 1: not so many as it would take, or it is short. */
static uint64_t two_turns_pieces(const struct situation *at)
{
    uint64_t pieces = (at->bytes / at->size + CROWD_PIECE - 1) / CROWD_PIECE;
    return pieces && 2 * (at->size - 1) * pieces <= CROWD_MESSAGES ? pieces : 1;
}

/* Nothing of it is announced, whoever shares cores. */
static bool two_turns_fit(const struct situation *at)
{
    uint64_t block = at->bytes / at->size;
    return at->bytes > 2 * CROWD_BYTES && block <= TWO_TURNS_BLOCK &&
           block / two_turns_pieces(at) <= TWO_TURNS_WHOLE;
}

/* Whose rounds wait for each other, each for up to two messages of another rank: its counted work
 * is what it would take if nobody waited, a quarter to a half less than simulated. */
static bool rounds_wait(const struct algorithm *a)
{
    return a->generate == generate_allreduce_circulant;
}

/*
 * What is chosen where each rank has a core decides the bits, so it decides what is left to ranks
 * that take turns: for them two turns, of everyone with everyone, are best. It is preferred over
 * shared memory where it costs an eighth more at most, or a quarter more than one whose rounds
 * wait; where each rank has a core, too, which pay the eighth for nothing: were it looked at, how
 * many cores there are would change bits.
 */
static struct choice prefer_two_turns(enum collective collective, const struct situation *alone,
                                      struct choice best)
{
    if (collective != COLLECTIVE_ALLREDUCE || strcmp(alone->link, "shm")) return best;
    uint32_t index = (uint32_t)algorithm_find(collective, "pairwise");
    if (only_more(&algorithms[index], alone)) return best;
    bool waits = rounds_wait(&algorithms[best.algorithm]);
    if (!waits && !two_turns_fit(alone)) return best;
    if (algorithm_objection(&algorithms[index], alone)) return best;
    struct choice two = algorithm_best(index, alone);
    two.by = best.by;
    return two.ns <= best.ns * (waits ? 5.0 / 4 : 9.0 / 8) ? two : best;
}

/* Each block in pieces that go straight, if all of them can; and whole where some would be
 * announced, as that takes turns. The bits are the same in any number. */
static void crowd_pieces(const struct situation *at, struct choice *choice)
{
    const struct algorithm *a = &algorithms[choice->algorithm];
    bool pairwise = a->generate == generate_allreduce_pairwise;
    bool adds = pairwise || a->generate == generate_reduce_pairwise ||
                a->generate == generate_reduce_scatter_pairwise;
    uint64_t pieces = two_turns_pieces(at);
    if (!adds || strcmp(at->link, "shm") != 0) return; /* elsewhere a piece costs a message more */
    if (at->size > GROWN_RANKS) choice->parameter = 1;
    if (pairwise && pieces > 1) choice->parameter = (uint32_t)pieces;
}

/* Two ranks: several messages at once instead of one that is announced. Measured. */
static bool choose_unannounced(enum collective collective, const struct situation *at,
                               struct choice *choice)
{
    bool one_way = collective == COLLECTIVE_BCAST || collective == COLLECTIVE_REDUCE;
    bool over_tcp = strcmp(at->link, "tcp") == 0;
    if (!one_way && collective != COLLECTIVE_ALLTOALL && collective != COLLECTIVE_ALLGATHER)
        return false;
    if (at->size != 2 || at->crowded) return false;
    if (!over_tcp && strcmp(at->link, "shm") != 0) return false;
    if (at->bytes <= 2 * AT_ONCE || at->bytes > ALL_AT_ONCE) return false;
    uint32_t pieces = over_tcp ? ALL_AT_ONCE / TCP_AT_ONCE : ALL_AT_ONCE / AT_ONCE;
    uint32_t index = (uint32_t)algorithm_find(collective, one_way ? "chain" : "pairwise");
    if (algorithm_objection(&algorithms[index], at)) return false;
    *choice = (struct choice){ index, pieces, algorithm_time(&algorithms[index], pieces, at),
                               one_way ? "two ranks, of whom one sends what need not be announced"
                                       : "two ranks, who send what need not be announced" };
    return true;
}

/* What two ranks add up for each other: halves, each in pieces that go at once. Measured; they add
 * as the whole would, left to right. */
static bool choose_half_pieces(enum collective collective, const struct situation *at,
                               struct choice *choice)
{
    bool all = collective == COLLECTIVE_ALLREDUCE; /* whose whole vector goes at once, if it can */
    if (!all && collective != COLLECTIVE_REDUCE_SCATTER &&
        collective != COLLECTIVE_REDUCE_SCATTER_BLOCK)
        return false;
    if (at->size != 2 || at->crowded || strcmp(at->link, "shm") != 0) return false;
    if (at->bytes <= (all ? AT_ONCE : 2 * AT_ONCE) || at->bytes > 2 * AT_ONCE * HALF_PIECES)
        return false;
    uint32_t pieces = (uint32_t)((at->bytes + 2 * AT_ONCE - 1) / (2 * AT_ONCE));
    uint32_t index = (uint32_t)algorithm_find(collective, "pairwise");
    if (algorithm_objection(&algorithms[index], at)) return false;
    *choice = (struct choice){ index, pieces, algorithm_time(&algorithms[index], pieces, at),
                               "two ranks, whose halves need not be announced" };
    return true;
}

/* Two ranks over TCP: both halves go at once where the whole is announced, and that takes two more
 * system calls than the second round does. Measured; of two ranks all algorithms give the same
 * bits. */
static bool choose_halves(enum collective collective, const struct situation *at,
                          struct choice *choice)
{
    if (collective != COLLECTIVE_ALLREDUCE || at->size != 2 || strcmp(at->link, "tcp") != 0 ||
        at->crowded)
        return false;
    if (at->bytes <= TCP_AT_ONCE || at->bytes > 2 * TCP_AT_ONCE) return false;
    uint32_t halves = (uint32_t)algorithm_find(collective, "rabenseifner");
    if (algorithm_objection(&algorithms[halves], at)) return false;
    *choice = (struct choice){ halves, algorithms[halves].initial,
                               algorithm_time(&algorithms[halves], algorithms[halves].initial, at),
                               "two ranks, whose halves need not be announced" };
    return true;
}

static struct choice choose_by_model(enum collective collective, const struct situation *at)
{
    struct situation alone = *at;
    bool adds = at->has_arithmetic;
    alone.crowded = false;
    struct choice best;
    if (choose_unannounced(collective, at, &best) || choose_half_pieces(collective, at, &best) ||
        choose_halves(collective, at, &best))
        return best;
    best = prefer_two_turns(collective, &alone, choose_fastest(collective, &alone, NULL));
    if (!at->crowded || choose_crowded(collective, at, &best)) return best;
    struct choice crowded =
        choose_fastest(collective, at, adds ? &algorithms[best.algorithm] : NULL);
    if (crowded.algorithm == best.algorithm) crowded.parameter = best.parameter;
    crowd_pieces(at, &crowded);
    return crowded;
}

static bool rule_fits(const struct rule *r, enum collective collective,
                      const struct situation *at)
{
    return r->collective == collective && at->size >= r->ranks[0] && at->size <= r->ranks[1] &&
           at->bytes >= r->bytes[0] && at->bytes <= r->bytes[1] &&
           (r->crowded < 0 || r->crowded == at->crowded) &&
           (!r->link[0] || !strcmp(r->link, at->link)) &&
           !algorithm_objection(&algorithms[r->algorithm], at);
}

static struct choice choose_untiled(enum collective collective, const struct situation *at)
{
    for (uint32_t i = 0; at->rules && i < at->rules->count; i++) {
        const struct rule *r = &at->rules->rule[i];
        if (!rule_fits(r, collective, at)) continue;
        return (struct choice){ r->algorithm, r->parameter,
                                algorithm_time(&algorithms[r->algorithm], r->parameter, at),
                                "a rule of collective_rules" };
    }
    return choose_by_model(collective, at);
}

struct choice algorithm_choose(enum collective collective, const struct situation *at)
{
    struct choice c = choose_untiled(collective, at);
    c.parameter = algorithm_tiles(&algorithms[c.algorithm], c.parameter, at->bytes);
    return c;
}

/* --- told ------------------------------------------------------------------------------------- */

void choice_explain(enum collective collective, const struct situation *at,
                    const struct choice *choice, struct text *text)
{
    char name[ALGORITHM_NAME_MAX];
    algorithm_text(&algorithms[choice->algorithm], choice->parameter, name);
    text_add(text, "%s of %llu bytes among %u ranks over %s%s: %s, by %s\n",
             collective_name(collective), (unsigned long long)at->bytes, at->size, at->link,
             at->crowded ? " that take turns on few cores" : "", name, choice->by);
    for (uint32_t i = 0; i < algorithm_count; i++) {
        const struct algorithm *a = &algorithms[i];
        if (a->collective != collective) continue;
        const char *no = algorithm_objection(a, at);
        struct choice c = algorithm_best(i, at);
        algorithm_text(a, c.parameter, name);
        if (no)
            text_add(text, "  %-24s %s\n", a->name, no);
        else
            text_add(text, "  %-24s %.2f us predicted; %s round%s, %s bytes: %s\n", name,
                     c.ns / 1000, a->rounds, strcmp(a->rounds, "1") ? "s" : "", a->bytes, a->when);
    }
}
