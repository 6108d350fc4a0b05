/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes wrong in a collective: it ends on every rank, with a reason, nothing under way and no
 * memory kept. Arguments that cannot be are refused with a text that names them, and cost nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectives/cache.h"
#include "tests/support/coll_case.h"

static const uint64_t seed_base = 20260712;

/* Starts the case on all ranks; what each one's outcome was is in ranks[].status afterwards. */
static void run_to_the_end(struct kase *k, struct fake *f, struct rank_state *ranks)
{
    for (int r = 0; r < k->size; r++) {
        rank_make(&ranks[r], k, f, r);
        rank_fill(&ranks[r]);
        fake_view(f, r, false, k->algorithm);
    }
    for (int r = 0; r < k->size; r++) ranks[r].status = rank_call(&ranks[r], &ranks[r].req);
    while (fake_progress(f)) {
    }
    for (int r = 0; r < k->size; r++) {
        if (ranks[r].status > 0) ranks[r].status = sinew_test(&ranks[r].req);
        assert_true(ranks[r].status <= 0);
        assert_null(ranks[r].req);
        rank_free(&ranks[r]);
    }
}

/* The Nth message call fails, at once or later, for every N there is: everyone ends. */
static void a_failing_message_ends_it_everywhere(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < algorithm_count; a++)
        for (int later = 0; later < 2; later++)
            for (uint64_t n = 1, more = 1; more; n++) {
                static struct rank_state ranks[RANKS_MAX];
                struct kase k = { .collective = algorithms[a].collective,
                                  .size = 6,
                                  .count = 30,
                                  .algorithm = algorithms[a].name,
                                  .type = SINEW_I32,
                                  .op = SINEW_SUM,
                                  .seed = seed_base + n };
                uint64_t none = 0;
                if (!case_has_arithmetic(&k)) case_pick(&k, &none);
                struct fake_options options = { .seed = k.seed,
                                                .size = k.size,
                                                .eager_bytes = n % 2 ? 64 : 0,
                                                .at_once = 50,
                                                .fail_after = n,
                                                .fail_later = later,
                                                .one_at_a_time = true };
                struct fake *f = fake_new(&options);
                int failed = 0;
                run_to_the_end(&k, f, ranks);
                for (int r = 0; r < k.size; r++) failed += ranks[r].status == SINEW_EPEER;
                more = fake_messages(f) >= n;
                assert_true((failed > 0) == (more != 0));
                fake_free(f);
            }
}

/* A deadline passes on one rank, after any number of events: it ends there, and with it everywhere.
 */
static void a_deadline_ends_it(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < algorithm_count; a++)
        for (int events = 0, passed = 1; passed; events++) {
            static struct rank_state ranks[RANKS_MAX];
            struct kase k = { .collective = algorithms[a].collective,
                              .size = 5,
                              .count = 30,
                              .algorithm = algorithms[a].name,
                              .seed = seed_base };
            uint64_t random = 3;
            case_pick(&k, &random);
            struct fake_options options = {
                .seed = 7, .size = k.size, .at_once = 30, .one_at_a_time = true
            };
            struct fake *f = fake_new(&options);
            for (int r = 0; r < k.size; r++) {
                rank_make(&ranks[r], &k, f, r);
                rank_fill(&ranks[r]);
                fake_view(f, r, false, k.algorithm);
                ranks[r].status = rank_call(&ranks[r], &ranks[r].req);
                assert_true(ranks[r].status >= 0);
            }
            for (int i = 0; i < events; i++) fake_progress(f);
            passed = fake_is_active(ranks[2].req);
            if (passed) fake_deadline(ranks[2].req);
            while (fake_progress(f)) {
            }
            for (int r = 0; r < k.size; r++) {
                int status = sinew_test(&ranks[r].req);
                assert_true(status <= 0);
                if (r == 2) assert_int_equal(status, passed ? SINEW_ETIMEDOUT : 0);
                rank_free(&ranks[r]);
            }
            fake_free(f);
        }
}

/* One rank calls with another count, type, operator or root: told, not waited for. */
static void different_arguments_are_a_mismatch(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < algorithm_count; a++)
        for (int what = 0; what < 4; what++) {
            static struct rank_state ranks[RANKS_MAX];
            struct kase k[2] = { { .collective = algorithms[a].collective,
                                   .size = 5,
                                   .count = 30,
                                   .algorithm = algorithms[a].name,
                                   .seed = seed_base } };
            uint64_t random = 1;
            case_pick(&k[0], &random);
            k[1] = k[0];
            if (what == 0 && k[0].collective != COLLECTIVE_BARRIER) k[1].count++;
            if (what == 1 && case_has_arithmetic(&k[0])) k[1].type = k[0].type % 10 + 1;
            if (what == 2 && case_has_arithmetic(&k[0])) k[1].op = k[0].op % 4 + 1;
            if (what == 3 && case_has_root(&k[0])) k[1].root = 2;
            if (memcmp(&k[0], &k[1], sizeof(k[0])) == 0) continue;
            struct fake_options options = {
                .seed = 5, .size = 5, .eager_bytes = 0, .at_once = 50, .one_at_a_time = true
            };
            struct fake *f = fake_new(&options);
            int mismatches = 0;
            for (int r = 0; r < 5; r++) {
                rank_make(&ranks[r], &k[r == 3], f, r);
                rank_fill(&ranks[r]);
                fake_view(f, r, false, k[0].algorithm);
            }
            for (int r = 0; r < 5; r++) ranks[r].status = rank_call(&ranks[r], &ranks[r].req);
            while (fake_progress(f)) {
            }
            for (int r = 0; r < 5; r++) {
                if (ranks[r].status > 0) ranks[r].status = sinew_test(&ranks[r].req);
                mismatches += ranks[r].status == SINEW_EMISMATCH;
            }
            /* Another root may leave ranks that wait for each other and exchange nothing: they
             * ask. */
            for (int r = 0; r < 5; r++) fake_stalled(ranks[r].req);
            while (fake_progress(f)) {
            }
            for (int r = 0; r < 5; r++) {
                int status = ranks[r].req ? sinew_test(&ranks[r].req) : 0;
                mismatches += status == SINEW_EMISMATCH;
                if (what != 3) assert_true(status <= 0);
            }
            assert_true(mismatches > 0);
            fake_fail_waiting(f);
            for (int r = 0; r < 5; r++) {
                assert_true(sinew_test(&ranks[r].req) <= 0);
                rank_free(&ranks[r]);
            }
            fake_free(f);
        }
}

/* Words of anybody, in the middle of a call and after it: refused, or understood; and whatever they
 * say, the call ends, with a text. */
static void words_are_not_believed(void **state)
{
    (void)state;
    uint64_t random = seed_base;
    unsigned refused = 0, heard = 0;
    for (int round = 0; round < 4000; round++) {
        struct fake_options options = { .seed = fake_random(&random), .size = 3 };
        struct fake *f = fake_new(&options);
        struct sinew_request *req[3] = { NULL };
        double in[4] = { 1, 2, 3, 4 }, out[3][4];
        for (int r = 0; r < 3; r++) assert_true(sinew_barrier(fake_team(f, r), &req[r]) >= 0);
        while (fake_progress(f)) {
        }
        for (int r = 0; r < 3; r++) assert_int_equal(sinew_test(&req[r]), 0);
        for (int r = 0; r < 2; r++)
            assert_true(sinew_allreduce(fake_team(f, r), in, out[r], 4, SINEW_F64, SINEW_SUM,
                                        &req[r]) > 0);
        struct team_cache *cache = *team_cache(fake_team(f, 0));
        unsigned char word[COLLECTIVE_WORD_MAX], answer[COLLECTIVE_WORD_MAX];
        int len = cache->stray(cache, 0, 1, word); /* of the barrier, which is over: a sound one */
        assert_true(len > 0);
        for (uint64_t n = fake_random(&random) % 4; n > 0; n--)
            word[fake_random(&random) % (uint64_t)len] = (unsigned char)fake_random(&random);
        if (fake_random(&random) % 8 == 0) len = (int)(fake_random(&random) % COLLECTIVE_WORD_MAX);
        for (uint32_t sequence = 0; sequence < 4; sequence++) {
            int n = cache->told(cache, 1 + (int)(fake_random(&random) % 2), sequence, word,
                                (size_t)len, answer);
            assert_true(n == SINEW_EPROTO || (n >= 0 && n <= COLLECTIVE_WORD_MAX));
            refused += n < 0;
            heard += n >= 0;
        }
        while (fake_progress(f)) {
        }
        int status = sinew_allreduce(fake_team(f, 2), in, out[2], 4, SINEW_F64, SINEW_SUM, &req[2]);
        assert_true(status >= 0 || status == SINEW_EMISMATCH);
        for (int r = 0; r < 3; r++) fake_stalled(req[r]);
        while (fake_progress(f)) {
        }
        fake_fail_waiting(f);
        for (int r = 0; r < 3; r++) assert_true(sinew_test(&req[r]) <= 0);
        fake_free(f);
    }
    assert_true(refused > 1000 && heard > 1000);
}

/* A call that went straight is known when others speak of it later, and what they say is told
 * once. */
static void what_went_straight_is_remembered(void **state)
{
    (void)state;
    enum { CALLS = 3 }; /* the last of them is straight */
    struct fake_options options = {
        .seed = seed_base, .size = 2, .eager_bytes = 64, .at_once = 100
    };
    struct fake *f = fake_new(&options);
    unsigned char word[COLLECTIVE_WORD_MAX], answer[COLLECTIVE_WORD_MAX];
    uint64_t bytes = 7;
    for (int rank = 0; rank < 2; rank++)
        for (int i = 0; i < CALLS; i++)
            assert_int_equal(sinew_bcast(fake_team(f, rank), &bytes, sizeof(bytes), 0, NULL), 0);
    assert_int_equal(fake_straight(f), 1);
    for (int rank = 0; rank < 2; rank++) {
        struct team_cache *cache = *team_cache(fake_team(f, rank));
        int len = cache->stray(cache, 0, CALLS, word); /* "what you sent does not fit" */
        assert_true(len > 0);
        assert_int_equal(cache->told(cache, 1 - rank, CALLS, word, (size_t)len, answer), len);
        assert_int_equal(sinew_bcast(fake_team(f, rank), &bytes, sizeof(bytes), 0, NULL),
                         SINEW_EMISMATCH);
    }
    while (fake_progress(f)) { /* each tells the other that it gave up */
    }
    fake_free(f);
}

/* What is done again must not be taken for what was called: every length of a block is its own. */
struct blocks_rank {
    struct fake *f;
    int rank;
    bool wrong;
};

static void *blocks_thread(void *arg)
{
    enum { SHORT = 4, LONG = 2 * SHORT };
    struct blocks_rank *me = arg;
    struct sinew_team *team = fake_team(me->f, me->rank);
    int64_t in[2 * LONG], out[LONG];
    for (int i = 0; i < 2 * LONG; i++) in[i] = i + 1;
    fake_lock(me->f);
    for (int call = 0; call < 6; call++) {
        size_t n = call < 3 ? SHORT : LONG;
        memset(out, 0, sizeof(out));
        me->wrong |= sinew_reduce_scatter_block(team, in, out, n, SINEW_I64, SINEW_SUM, NULL) != 0;
        for (size_t i = 0; i < n; i++)
            me->wrong |= out[i] != 2 * in[(size_t)me->rank * n + i];
    }
    fake_unlock(me->f);
    return NULL;
}

static void a_longer_block_is_another_call(void **state)
{
    (void)state;
    struct fake_options options = {
        .seed = seed_base, .size = 2, .eager_bytes = 256, .at_once = 100
    };
    struct fake *f = fake_new(&options);
    struct blocks_rank rank[2];
    pthread_t thread[2];
    for (int r = 0; r < 2; r++) {
        rank[r] = (struct blocks_rank){ f, r, false };
        assert_int_equal(pthread_create(&thread[r], NULL, blocks_thread, &rank[r]), 0);
    }
    for (int r = 0; r < 2; r++) pthread_join(thread[r], NULL);
    assert_false(rank[0].wrong || rank[1].wrong);
    assert_true(fake_straight(f) > 0);
    fake_free(f);
}

/* A call that comes again is refused as the first one was for what its buffers cannot be. */
static void buffers_that_cannot_be_are_refused_again(void **state)
{
    (void)state;
    struct fake_options options = {
        .seed = seed_base, .size = 2, .eager_bytes = 256, .at_once = 100
    };
    struct fake *f = fake_new(&options);
    struct sinew_team *root = fake_team(f, 0);
    void *here = SINEW_IN_PLACE;
    int64_t in[4] = { 1, 2, 3, 4 };
    for (int i = 0; i < 3; i++)
        assert_int_equal(sinew_bcast(root, in, sizeof(in), 0, NULL), 0);
    assert_int_equal(fake_straight(f), 1);
    assert_int_equal(sinew_bcast(root, here, sizeof(in), 0, NULL), SINEW_EINVAL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sinew_scatter(root, in, 16, here, 0, NULL), 0);
    assert_int_equal(fake_straight(f), 2);
    assert_int_equal(sinew_scatter(root, NULL, 16, here, 0, NULL), SINEW_EINVAL);
    assert_int_equal(sinew_scatter(root, here, 16, here, 0, NULL), SINEW_EINVAL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sinew_reduce(root, in, NULL, 4, SINEW_I64, SINEW_SUM, 1, NULL), 0);
    assert_int_equal(fake_straight(f), 3);
    assert_int_equal(sinew_reduce(root, here, in, 4, SINEW_I64, SINEW_SUM, 1, NULL), SINEW_EINVAL);
    fake_fail_waiting(f);
    fake_free(f);
    options.size = 1;
    f = fake_new(&options);
    struct sinew_team *alone = fake_team(f, 0);
    int64_t out[4];
    for (int i = 0; i < 4; i++) {
        bool again = i == 3;
        int expected = again ? SINEW_EINVAL : 0;
        assert_int_equal(sinew_allgather(alone, in, sizeof(in), again ? here : out, NULL),
                         expected);
        assert_int_equal(sinew_allreduce(alone, again ? here : in, again ? here : out, 4, SINEW_I64,
                                         SINEW_SUM, NULL),
                         expected);
    }
    fake_free(f);
}

/* Any two calls that take turns go straight both: neither makes the other one forgotten. */
static void two_calls_by_turns_are_both_remembered(void **state)
{
    (void)state;
    enum { LENGTHS = 40, CALLS = 4 }; /* of each, the last two straight */
    char bytes[LENGTHS + 1] = "";
    for (size_t len = 2; len <= LENGTHS; len++) {
        struct fake_options options = {
            .seed = seed_base, .size = 2, .eager_bytes = 64, .at_once = 100
        };
        struct fake *f = fake_new(&options);
        for (int i = 0; i < CALLS; i++) {
            assert_int_equal(sinew_bcast(fake_team(f, 0), bytes, 1, 0, NULL), 0);
            assert_int_equal(sinew_bcast(fake_team(f, 0), bytes, len, 0, NULL), 0);
        }
        assert_int_equal(fake_straight(f), 2 * (CALLS - 2));
        for (int i = 0; i < CALLS; i++) {
            assert_int_equal(sinew_bcast(fake_team(f, 1), bytes, 1, 0, NULL), 0);
            assert_int_equal(sinew_bcast(fake_team(f, 1), bytes, len, 0, NULL), 0);
        }
        fake_free(f);
    }
}

/* One that began straight, and whose rest cannot begin, is given up: what waits for it does not
 * wait on. */
static void a_rest_without_memory_is_given_up(void **state)
{
    (void)state;
    int before = 0;
    for (int fails = 0; fails < 2; fails++) {
        struct fake_options options = { .seed = seed_base,
                                        .size = 2,
                                        .eager_bytes = 16,
                                        .at_once = 100,
                                        .fail_allocation = fails ? before + 1 : 0 };
        struct fake *f = fake_new(&options);
        struct sinew_team *team[] = { fake_team(f, 0), fake_team(f, 1) };
        struct sinew_request *barrier[2] = { NULL }, *req = NULL;
        uint64_t bytes[4] = { 1 };
        for (int i = 0; i < 2; i++) {
            assert_true(sinew_bcast(team[1], bytes, sizeof(bytes), 1, &req) > 0);
            assert_int_equal(sinew_bcast(team[0], bytes, sizeof(bytes), 1, NULL), 0);
            assert_int_equal(sinew_wait(&req), 0);
        }
        assert_true(sinew_barrier(team[0], &barrier[0]) > 0); /* it has what would be used again */
        assert_true(sinew_barrier(team[1], &barrier[1]) >= 0);
        assert_true(sinew_bcast(team[1], bytes, sizeof(bytes), 1, &req) > 0);
        before = fake_allocations(f);
        assert_int_equal(sinew_bcast(team[0], bytes, sizeof(bytes), 1, NULL),
                         fails ? SINEW_ENOMEM : 0);
        while (fake_progress(f)) {
        }
        for (int r = 0; r < 2; r++) assert_int_equal(sinew_test(&barrier[r]), 0);
        int status = sinew_test(&req);
        assert_true(fails ? status < 0 : status == 0);
        fake_free(f);
    }
}

/* Every allocation fails once: refused with ENOMEM and text, and the next call works. What a call
 * that comes again would be remembered by it does without. */
static void no_memory_is_refused_and_forgotten(void **state)
{
    enum { TO_REMEMBER = 4 }; /* the table, and a call each of three collectives */
    int unnoticed = 0;
    (void)state;
    for (int n = 1, more = 1; more; n++) {
        struct fake_options options = { .size = 1, .fail_allocation = n };
        struct fake *f = fake_new(&options);
        struct sinew_team *team = fake_team(f, 0), *out = NULL;
        double in[40] = { 1 }, to[40];
        int failures = 0;
        for (int round = 0; round < 2; round++) {
            int status[] = {
                sinew_barrier(team, NULL),
                sinew_allreduce(team, in, to, 40, SINEW_F64, SINEW_SUM, NULL),
                sinew_allgather(team, in, sizeof(in), to, NULL),
                sinew_team_split(team, 1, 0, &out),
            };
            if (out) sinew_team_free(&out);
            for (int i = 0; i < 4; i++) {
                if (status[i] == 0) continue;
                assert_int_equal(status[i], SINEW_ENOMEM);
                assert_non_null(strstr(fake_why(f), "no memory"));
                failures++;
            }
        }
        more = fake_allocations(f) >= n;
        assert_in_range(failures, 0, more);
        unnoticed += more - failures;
        fake_free(f);
    }
    assert_int_equal(unnoticed, TO_REMEMBER);
}

/* Long vectors, every root, many at once: what is kept afterwards is the cache's documented sum. */
static void kept_memory_is_bounded(void **state)
{
    (void)state;
    enum { RANKS = 32, COUNT = 20000, AT_ONCE = 12 };
    struct fake_options options = { .size = RANKS, .at_once = 50, .eager_bytes = 1000 };
    struct fake *f = fake_new(&options);
    struct sinew_request *req[RANKS][AT_ONCE];
    double *in = calloc(COUNT, sizeof(double));
    double *out = calloc((size_t)RANKS * AT_ONCE * COUNT, sizeof(double));
    for (int round = 0; round < RANKS; round += AT_ONCE) {
        for (int r = 0; r < RANKS; r++)
            for (int i = 0; i < AT_ONCE; i++)
                assert_true(sinew_reduce(fake_team(f, r), in,
                                         out + (size_t)(r * AT_ONCE + i) * COUNT, i % 2 ? COUNT : 3,
                                         SINEW_F64, SINEW_MAX, (round + i) % RANKS,
                                         &req[r][i]) >= 0);
        while (fake_progress(f)) {
        }
        for (int r = 0; r < RANKS; r++)
            for (int i = 0; i < AT_ONCE; i++) assert_int_equal(sinew_test(&req[r][i]), 0);
    }
    size_t schedule = 4096, execution = 8192;
    assert_in_range(fake_allocated(f) / RANKS, 1,
                    CACHE_SCHEDULES * schedule + CACHE_EXECUTIONS * (CACHE_SCRATCH + execution));
    free(in);
    free(out);
    fake_free(f);
}

/* ------------------------------------------------------------------------------------------
 * refusals */

static void assert_refused(struct fake *f, int status, int wanted, const char *text)
{
    assert_int_equal(status, wanted);
    if (!strstr(fake_why(f), text)) fail_msg("'%s' does not say '%s'", fake_why(f), text);
}

static void impossible_arguments_are_refused(void **state)
{
    (void)state;
    struct fake_options options = { .size = 3 };
    struct fake *f = fake_new(&options);
    struct sinew_team *t = fake_team(f, 1), *out = NULL;
    struct sinew_request *req = NULL;
    char in[64] = { 0 }, to[64];
    const char *inside = "must be a rank from 0 to 2";
    int twice[] = { 0, 2, 0 }, beyond[] = { 0, 3 };

    assert_int_equal(sinew_barrier(NULL, &req), SINEW_EINVAL);
    assert_refused(f, sinew_bcast(t, to, 8, 3, &req), SINEW_EINVAL, inside);
    assert_refused(f, sinew_bcast(t, to, 8, -1, &req), SINEW_EINVAL, "root is -1");
    assert_refused(f, sinew_bcast(t, NULL, 8, 0, &req), SINEW_EINVAL, "buf is NULL");
    assert_refused(f, sinew_bcast(t, to, SIZE_MAX, 0, &req), SINEW_EINVAL, "len is");
    assert_refused(f, sinew_bcast(t, (void *)(uintptr_t)SINEW_IN_PLACE, 8, 0, &req), SINEW_EINVAL,
                   "SINEW_IN_PLACE");
    assert_refused(f, sinew_reduce(t, in, to, 2, SINEW_I32, SINEW_SUM, 7, &req), SINEW_EINVAL,
                   inside);
    assert_refused(f, sinew_reduce(t, SINEW_IN_PLACE, to, 2, SINEW_I32, SINEW_SUM, 0, &req),
                   SINEW_EINVAL, "in must not be SINEW_IN_PLACE here");
    assert_refused(f, sinew_reduce(t, in, NULL, 2, SINEW_I32, SINEW_SUM, 1, &req), SINEW_EINVAL,
                   "out is NULL");
    assert_refused(f, sinew_allreduce(t, in, to, 2, 0, SINEW_SUM, &req), SINEW_EINVAL, "type is 0");
    assert_refused(f, sinew_allreduce(t, in, to, 2, 99, SINEW_SUM, &req), SINEW_EINVAL,
                   "type is 99");
    assert_refused(f, sinew_allreduce(t, in, to, 2, SINEW_I8, 0, &req), SINEW_EINVAL, "op is 0");
    assert_refused(f, sinew_allreduce(t, in, to, 2, SINEW_I8, 99, &req), SINEW_EINVAL, "op is 99");
    assert_refused(f, sinew_allreduce(t, in, to, 2, SINEW_C64, SINEW_MAX, &req), SINEW_EINVAL,
                   "the operator max makes no sense of c64");
    assert_refused(f, sinew_allreduce(t, in, to, 2, SINEW_F32, SINEW_BXOR, &req), SINEW_EINVAL,
                   "makes no sense");
    assert_refused(f, sinew_allreduce(t, in, to, SIZE_MAX / 4, SINEW_I64, SINEW_SUM, &req),
                   SINEW_EINVAL, "count is");
    assert_refused(f, sinew_allreduce(t, to, to + 4, 2, SINEW_I32, SINEW_SUM, &req), SINEW_EINVAL,
                   "overlap");
    assert_refused(f, sinew_allgather(t, in, SIZE_MAX / 3, to, &req), SINEW_EINVAL, "len is");
    assert_refused(f, sinew_allgather(t, to + 8, 8, to, &req), SINEW_EINVAL, "overlap");
    assert_refused(f, sinew_allgather(t, NULL, 8, to, &req), SINEW_EINVAL, "in is NULL");
    assert_refused(f, sinew_gather(t, in, 8, to, 5, &req), SINEW_EINVAL, inside);
    assert_refused(f, sinew_gather(t, SINEW_IN_PLACE, 8, to, 0, &req), SINEW_EINVAL,
                   "SINEW_IN_PLACE");
    assert_refused(f, sinew_team_split(t, 0, 0, NULL), SINEW_EINVAL, "out is NULL");
    assert_refused(f, sinew_team_subset(t, NULL, 1, &out), SINEW_EINVAL, "ranks is NULL");
    assert_refused(f, sinew_team_subset(t, twice, 0, &out), SINEW_EINVAL, "from 1 to 3");
    assert_refused(f, sinew_team_subset(t, twice, 4, &out), SINEW_EINVAL, "from 1 to 3");
    assert_refused(f, sinew_team_subset(t, twice, 3, &out), SINEW_EINVAL, "twice");
    assert_refused(f, sinew_team_subset(t, beyond, 2, &out), SINEW_EINVAL, "ranks[1] is 3");
    fake_view(f, 1, false, "no-such");
    assert_refused(f, sinew_bcast(t, to, 8, 0, &req), SINEW_EINVAL, "binomial, scatter-ring");
    assert_null(req);
    assert_null(out);
    assert_int_equal(fake_messages(f), 0);
    fake_free(f);
}

static void nothing(void *arg, const void *left, void *right, size_t count, int type)
{
    (void)arg, (void)left, (void)right, (void)count, (void)type;
}

/* Operators are numbered as they are made, are refused where they do not fit, and stay while they
 * are used. */
static void operators_of_ones_own(void **state)
{
    (void)state;
    struct fake_options options = { .size = 3 };
    struct fake *f = fake_new(&options);
    struct sinew_team *t = fake_team(f, 1);
    struct sinew *s = fake_context(f, 1);
    struct sinew_request *req = NULL;
    int first, second, none = 77;
    char in[8] = { 0 }, out[8];
    assert_int_equal(sinew_operator(NULL, nothing, NULL, 1, &first), SINEW_EINVAL);
    assert_refused(f, sinew_operator(s, NULL, NULL, 1, &first), SINEW_EINVAL, "function is NULL");
    assert_refused(f, sinew_operator(s, nothing, NULL, 1, NULL), SINEW_EINVAL, "op is NULL");
    assert_int_equal(sinew_operator(s, nothing, NULL, 1, &first), 0);
    assert_int_equal(sinew_operator(s, nothing, NULL, 0, &second), 0);
    assert_int_equal(second, first + 1);
    assert_refused(f, sinew_operator_free(s, &none), SINEW_EINVAL, "77 is no operator");
    assert_refused(f, sinew_allreduce(t, in, out, 1, SINEW_RECORD(4097), first, &req), SINEW_EINVAL,
                   "type is");
    assert_refused(f, sinew_allreduce(t, in, out, 1, SINEW_RECORD(8), SINEW_SUM, &req),
                   SINEW_EINVAL, "makes no sense");
    fake_view(f, 1, false, "ring");
    assert_refused(f, sinew_allreduce(t, in, out, 1, SINEW_RECORD(8), second, &req), SINEW_EINVAL,
                   "'ring' does not keep the ranks' order");
    fake_level(f, 1, SINEW_LEVEL_PORTABLE);
    assert_refused(f, sinew_allreduce(t, in, out, 1, SINEW_F64, SINEW_SUM, &req), SINEW_EINVAL,
                   "bracket by the aligned tree");
    fake_level(f, 1, SINEW_LEVEL_IDENTICAL);
    fake_view(f, 1, true, NULL);
    assert_int_equal(sinew_allreduce(t, in, out, 1, SINEW_RECORD(8), second, &req), 0);
    assert_refused(f, sinew_operator_free(s, &second), SINEW_EBUSY, "1 operations use");
    assert_int_equal(sinew_request_free(&req), 0);
    assert_int_equal(sinew_operator_free(s, &second), 0);
    assert_int_equal(second, 0);
    assert_refused(f, sinew_allreduce(t, in, out, 1, SINEW_I8, first + 1, &req), SINEW_EINVAL,
                   "op is");
    assert_int_equal(sinew_operator(s, nothing, NULL, 0, &second), 0);
    assert_int_equal(second, first + 2); /* never used again */
    fake_free(f);
}

/* Tables and graphs that cannot be. */
static void impossible_tables_are_refused(void **state)
{
    (void)state;
    struct fake_options options = { .size = 3 };
    struct fake *f = fake_new(&options);
    struct sinew_team *t = fake_team(f, 1);
    struct sinew_request *req = NULL;
    char in[64] = { 0 }, to[64];
    size_t lens[] = { 4, 8, 4 }, huge[] = { 4, 8, SIZE_MAX }, far[] = { 0, 8, SIZE_MAX - 3 };
    int ranks[] = { 0, 3 };
    struct sinew_graph graph = { ranks, ranks, 1, 2 };
    assert_refused(f, sinew_gatherv(t, in, 8, to, NULL, NULL, 1, &req), SINEW_EINVAL,
                   "lens is NULL");
    assert_refused(f, sinew_gatherv(t, in, 7, to, lens, NULL, 1, &req), SINEW_EINVAL,
                   "len is 7, but lens[1], which is mine, is 8");
    assert_refused(f, sinew_scatterv(t, in, huge, NULL, to, 8, 1, &req), SINEW_EINVAL, "lens[2]");
    assert_refused(f, sinew_scatterv(t, in, lens, NULL, in + 8, 8, 1, &req), SINEW_EINVAL,
                   "overlap");
    assert_refused(f, sinew_scatter(t, NULL, 8, to, 1, &req), SINEW_EINVAL, "in is NULL");
    assert_refused(f, sinew_scatter(t, in, 8, SINEW_IN_PLACE, 0, &req), SINEW_EINVAL,
                   "out must not be SINEW_IN_PLACE here");
    assert_refused(f, sinew_allgatherv(t, in, 4, to, lens, NULL, &req), SINEW_EINVAL,
                   "which is mine, is 8");
    assert_refused(f, sinew_allgatherv(t, in, 8, to, lens, far, &req), SINEW_EINVAL, "lens[2]");
    assert_refused(f, sinew_alltoallv(t, in, lens, NULL, to, far, NULL, &req), SINEW_EINVAL,
                   "out_lens[2]");
    assert_refused(f, sinew_reduce_scatter(t, in, to, huge, SINEW_F64, SINEW_SUM, &req),
                   SINEW_EINVAL, "counts[2]");
    assert_refused(f, sinew_neighbour_allgather(t, NULL, in, 8, to, &req), SINEW_EINVAL,
                   "graph is NULL");
    assert_refused(f, sinew_neighbour_allgather(t, &graph, in, 8, to, &req), SINEW_EINVAL,
                   "graph->from[1] is 3");
    graph.from_count = -1;
    assert_refused(f, sinew_neighbour_alltoall(t, &graph, in, 8, to, &req), SINEW_EINVAL,
                   "from_count is -1");
    assert_null(req);
    assert_int_equal(fake_messages(f), 0);
    fake_free(f);
}

/* An operation says what it is and whom it waits for; once it has failed, the failure says the
 * rest. */
static void an_operation_describes_itself(void **state)
{
    (void)state;
    struct fake_options options = { .size = 4 };
    struct fake *f = fake_new(&options);
    struct sinew_request *req[3];
    double in = 1, out;
    static const char *const lines[] = {
        "allreduce of 1 x 8 bytes by recursive-doubling, step 1: sends to rank 0",
        "barrier by dissemination, step 1: sends to rank 2 (and for 2 more messages)",
        "bcast of 8 bytes by binomial, step 1: waits for rank 0",
    };
    struct sinew_team *team = fake_team(f, 1);
    fake_view(f, 1, false, "recursive-doubling");
    assert_true(sinew_allreduce(team, &in, &out, 1, SINEW_F64, SINEW_SUM, &req[0]) > 0);
    fake_view(f, 1, false, "dissemination");
    assert_true(sinew_barrier(team, &req[1]) > 0);
    fake_view(f, 1, false, "binomial");
    assert_true(sinew_bcast(team, &out, sizeof(out), 0, &req[2]) > 0);
    for (int i = 0; i < 3; i++) {
        char line[200];
        struct text text = text_into(line, sizeof(line));
        fake_describe(req[i], &text);
        assert_int_equal(strncmp(line, lines[i], strlen(lines[i])), 0);
    }
    fake_deadline(req[2]);
    char line[200];
    struct text text = text_into(line, sizeof(line));
    fake_describe(req[2], &text);
    assert_string_equal(line, "bcast of 8 bytes by binomial");
    assert_int_equal(sinew_test(&req[2]), SINEW_ETIMEDOUT);
    fake_fail_waiting(f);
    assert_int_equal(sinew_test(&req[0]), SINEW_EPEER);
    assert_int_equal(sinew_test(&req[1]), SINEW_EPEER);
    fake_free(f);
}

/* ---------------------------------------------------------------------------------------------
 * teams */

struct splitter {
    struct fake *f;
    int rank, status;
    struct sinew_team *split, *subset;
    bool differ; /* rank 1 gives another list */
};

enum { SPLIT_RANKS = 11 };

static void *split_thread(void *arg)
{
    struct splitter *s = arg;
    int list[] = { 7, 0, 3, s->differ && s->rank == 1 ? 5 : 4 };
    struct sinew_team *team = fake_team(s->f, s->rank);
    fake_lock(s->f);
    s->status =
        sinew_team_split(team, s->rank % 3 - (s->rank == 6 ? 7 : 0), -s->rank / 4, &s->split);
    if (s->status == 0) s->status = sinew_team_subset(team, list, 4, &s->subset);
    fake_unlock(s->f);
    return NULL;
}

static void run_split(struct splitter *s, struct fake *f, bool differ)
{
    pthread_t thread[SPLIT_RANKS];
    for (int r = 0; r < SPLIT_RANKS; r++) {
        s[r] = (struct splitter){ .f = f, .rank = r, .differ = differ };
        assert_int_equal(pthread_create(&thread[r], NULL, split_thread, &s[r]), 0);
    }
    for (int r = 0; r < SPLIT_RANKS; r++) pthread_join(thread[r], NULL);
}

static void assert_members(const struct sinew_team *team, const int *members, int n, int me)
{
    assert_int_equal(sinew_size(team), n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(sinew_team_translate(team, i, NULL), members[i]);
        if (members[i] == me) assert_int_equal(sinew_rank(team), i);
    }
}

/* Members by colour, ordered by key, then rank; one id, never seen by any of the parent. */
static void splits_and_subsets(void **state)
{
    (void)state;
    static const int colour0[] = { 9, 0, 3 }, colour1[] = { 10, 4, 7, 1 }, colour2[] = { 8, 5, 2 };
    static const int subset[] = { 7, 0, 3, 4 };
    struct fake_options options = {
        .seed = seed_base, .size = SPLIT_RANKS, .eager_bytes = 64, .at_once = 50
    };
    struct fake *f = fake_new(&options);
    struct splitter s[SPLIT_RANKS];
    uint32_t least = 0;
    for (int r = 0; r < SPLIT_RANKS; r++)
        if (team_next_id(fake_team(f, r)) > least) least = team_next_id(fake_team(f, r));
    run_split(s, f, false);
    for (int r = 0; r < SPLIT_RANKS; r++) {
        assert_int_equal(s[r].status, 0);
        assert_int_equal(team_next_id(fake_team(f, r)), least + 2);
        if (r == 6) {
            assert_null(s[r].split);
        } else if (r % 3 == 0) {
            assert_members(s[r].split, colour0, 3, r);
        } else {
            assert_members(s[r].split, r % 3 == 1 ? colour1 : colour2, r % 3 == 1 ? 4 : 3, r);
        }
        bool in = r == 7 || r == 0 || r == 3 || r == 4;
        assert_int_equal(s[r].subset != NULL, in);
        if (in) assert_members(s[r].subset, subset, 4, r);
        sinew_team_free(&s[r].split);
        sinew_team_free(&s[r].subset);
    }
    run_split(s, f, true);
    for (int r = 0; r < SPLIT_RANKS; r++) {
        assert_int_equal(s[r].status, SINEW_EMISMATCH);
        assert_null(s[r].subset);
        sinew_team_free(&s[r].split);
    }
    fake_free(f);
}

/* A call that comes again goes straight, if it is not longer than what its link takes at once. */
static void how_long_goes_straight_is_the_links_to_say(void **state)
{
    enum { LONGER = 32769 };
    static const struct {
        const char *link;
        size_t bytes;
        bool straight;
    } cases[] = { { "shm", 16384, true }, { "shm", 16385, false },
                  { "tcp", 16385, true }, { "tcp", 32768, true }, { "tcp", LONGER, false } };
    static char in[LONGER], out[LONGER];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_options options = { .seed = 1, .size = 2, .eager_bytes = LONGER,
                                        .at_once = 100, .link = cases[i].link };
        struct fake *f = fake_new(&options);
        for (int r = 0; r < 2; r++) fake_view(f, r, false, "binomial");
        for (int call = 1; call <= 4; call++) {
            memset(in, call, sizeof(in));
            assert_int_equal(sinew_bcast(fake_team(f, 0), in, cases[i].bytes, 0, NULL), 0);
            assert_int_equal(sinew_bcast(fake_team(f, 1), out, cases[i].bytes, 0, NULL), 0);
            assert_memory_equal(out, in, cases[i].bytes);
        }
        assert_int_equal(fake_straight(f) > 0, cases[i].straight);
        fake_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_message_ends_it_everywhere),
        cmocka_unit_test(a_deadline_ends_it),
        cmocka_unit_test(different_arguments_are_a_mismatch),
        cmocka_unit_test(words_are_not_believed),
        cmocka_unit_test(what_went_straight_is_remembered),
        cmocka_unit_test(a_longer_block_is_another_call),
        cmocka_unit_test(two_calls_by_turns_are_both_remembered),
        cmocka_unit_test(a_rest_without_memory_is_given_up),
        cmocka_unit_test(buffers_that_cannot_be_are_refused_again),
        cmocka_unit_test(no_memory_is_refused_and_forgotten),
        cmocka_unit_test(kept_memory_is_bounded),
        cmocka_unit_test(impossible_arguments_are_refused),
        cmocka_unit_test(operators_of_ones_own),
        cmocka_unit_test(impossible_tables_are_refused),
        cmocka_unit_test(an_operation_describes_itself),
        cmocka_unit_test(splits_and_subsets),
        cmocka_unit_test(how_long_goes_straight_is_the_links_to_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
