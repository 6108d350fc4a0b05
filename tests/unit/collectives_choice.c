/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rule files: the first rule that fits decides, if its algorithm keeps what the call needs; models
 * of links are read; whatever is wrong in one is named with file and place. And words: what was
 * chosen, and what is predicted of the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/world.h"
#include "collectives/choose.h"
#include "sinew/sinew.h"

static struct rules *parsed(const char *text)
{
    struct rules *rules = NULL;
    struct why why = { "" };
    int status = rules_parse(&world_real, "job.json", text, strlen(text), &rules, &why);
    if (status == SINEW_ENOTSUP) skip();
    if (status < 0) fail_msg("%s", why.text);
    return rules;
}

static const char text[] =
    "{ \"links\": { \"tcp\": { \"latency_ns\": 1e9, \"overhead_ns\": 0 } },\n"
    "  \"rules\": [\n"
    "    { \"collective\": \"allreduce\", \"ranks\": [4, 8], \"bytes\": [0, 1023],\n"
    "      \"algorithm\": \"ring:4\" },\n"
    "    { \"collective\": \"allreduce\", \"link\": \"shm\", \"algorithm\": \"rabenseifner\" },\n"
    "    { \"collective\": \"barrier\", \"crowded\": true, \"algorithm\": \"dissemination:3\" } ] }\n";

static void chosen(struct rules *rules, enum collective collective, struct situation at,
                   const char *name, uint32_t parameter)
{
    at.rules = rules;
    at.has_arithmetic = collective_adds(collective);
    struct choice choice = algorithm_choose(collective, &at);
    assert_string_equal(algorithms[choice.algorithm].name, name);
    if (parameter) assert_int_equal(parameter_number(choice.parameter), parameter);
}

static void the_first_rule_that_fits_decides(void **state)
{
    (void)state;
    struct rules *rules = parsed(text);
    struct situation at = { .size = 4, .bytes = 1023, .link = "tcp" };
    chosen(rules, COLLECTIVE_ALLREDUCE, at, "ring", 4);
    at.need = KEEPS_ORDER | ALIGNED; /* neither rule can */
    chosen(rules, COLLECTIVE_ALLREDUCE, at, "direct", 0);
    at = (struct situation){ .size = 9, .bytes = 8, .link = "shm" };
    chosen(rules, COLLECTIVE_ALLREDUCE, at, "rabenseifner", 0);
    at.crowded = true;
    chosen(rules, COLLECTIVE_BARRIER, at, "dissemination", 3);
    at.crowded = false;
    chosen(rules, COLLECTIVE_BARRIER, at, "dissemination", 0);
    rules_free(&world_real, rules);
}

/* With rounds that cost a second the fewest are chosen, whatever they carry. */
static void links_are_as_the_file_says(void **state)
{
    (void)state;
    struct rules *rules = parsed(text);
    assert_true(rules_link(rules, "tcp")->latency_ns > 1e8);
    assert_true(rules_link(rules, "shm") == link_model_find("shm"));
    assert_true(rules_link(rules, "tcp")->byte_ns > 0); /* what it leaves out is as built in */
    struct situation at = { .size = 16, .bytes = 1 << 20, .link = "tcp" };
    chosen(rules, COLLECTIVE_BCAST, at, "k-nomial", 16);
    rules_free(&world_real, rules);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        { "{\n \"rules\": [\n oops ] }", "job.json, line 3: this is no JSON" },
        { "[]", "an object is wanted" },
        { "{ \"rules\": {} }", "an array \"rules\"" },
        { "{ \"links\": { \"shm\": 3 } }", "links.shm is no object" },
        { "{ \"links\": { \"shm\": { \"byte_ns\": -1 } } }", "links.shm.byte_ns must be a number" },
        { "{ \"rules\": [ {} ] }", "rule 1: \"collective\" is missing" },
        { "{ \"rules\": [ { \"collective\": \"allsum\" } ] }", "rule 1: \"collective\" is allsum" },
        { "{ \"rules\": [ { \"collective\": \"bcast\", \"algorithm\": \"best\" } ] }",
          "\"algorithm\" is best, it must be one of: binomial, scatter-ring" },
        { "{ \"rules\": [ { \"collective\": \"bcast\", \"algorithm\": \"binomial:3\" } ] }",
          "\"algorithm\" is binomial:3" },
        { "{ \"rules\": [ { \"collective\": \"bcast\", \"algorithm\": \"k-nomial:17\" } ] }",
          "\"algorithm\" is k-nomial:17" },
        { "{ \"rules\": [ { \"collective\": \"bcast\", \"algorithm\": \"binomial\", "
          "\"ranks\": [2] } ] }",
          "\"ranks\" must be [from, to]" },
        { "{ \"rules\": [ { \"collective\": \"bcast\", \"algorithm\": \"binomial\", "
          "\"crowded\": 1 } ] }",
          "\"crowded\" must be true or false" },
        { "{ \"rules\": [ { \"collective\": \"bcast\", \"algorithm\": \"binomial\", "
          "\"link\": 3 } ] }",
          "rule 1: \"link\" must be a name" },
        { "{ \"rules\": [ { \"collective\": \"bcast\", \"algorithm\": \"binomial\", "
          "\"ranks\": [8, 2] } ] }",
          "rule 1: \"ranks\" must be [from, to]" },
        /* Who misspells what a rule is for must not get one for everything. */
        { "{ \"rules\": [ { \"collective\": \"bcast\", \"algorithm\": \"binomial\", "
          "\"rank\": [2, 8] } ] }",
          "rule 1 has a field that is none of: collective, algorithm, link, ranks, bytes, crowded" },
        { "{ \"rules\": [ { \"collective\": \"bcast\", \"algorithm\": \"binomial\", "
          "\"bytes\": [0, 8], \"bytes\": [9, 99] } ] }",
          "rule 1 has a field that is none of: collective, algorithm, link, ranks, bytes, crowded" },
        { "{ \"rule\": [] }", "the file has a field that is none of: links, rules" },
        { "{ \"links\": { \"smh\": { \"byte_ns\": 1 } } }", "links has a field that is none of: " },
        { "{ \"links\": { \"shm\": { \"bytes_ns\": 1 } } }",
          "links.shm has a field that is none of: latency_ns, overhead_ns" },
        { "{ \"rules\": [] }\n{ \"rules\": [] }", "job.json, line 2: this is no JSON" },
        { "", "job.json, line 1: this is no JSON" },
    };
    rules_free(&world_real, parsed("{}"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rules *rules = NULL;
        struct why why = { "" };
        size_t len = strlen(bad[i].text);
        assert_int_equal(rules_parse(&world_real, "job.json", bad[i].text, len, &rules, &why),
                         SINEW_EINVAL);
        assert_null(rules);
        if (!strstr(why.text, bad[i].words)) fail_msg("'%s' is not in: %s", bad[i].words, why.text);
    }
    struct rules *rules = NULL;
    struct why why = { "" };
    assert_int_equal(rules_load(&world_real, "/no/such/file", &rules, &why), SINEW_ENOENT);
    assert_non_null(strstr(why.text, "/no/such/file cannot be read"));
}

/* What two ranks of a core each send one way over shared memory goes in pieces that nobody
 * announces; never where a level or an operator of the user's asks for more than a chain keeps. */
static void one_way_of_two_ranks_is_not_announced(void **state)
{
    (void)state;
    for (enum collective c = COLLECTIVE_BCAST; c <= COLLECTIVE_REDUCE; c++) {
        struct situation at = { .size = 2, .bytes = 65536, .link = "shm" };
        chosen(NULL, c, at, "chain", 4);
        at.need = KEEPS_ORDER;
        if (c == COLLECTIVE_REDUCE) chosen(NULL, c, at, "chain", 4);
        at.need = KEEPS_ORDER | ALIGNED;
        if (c == COLLECTIVE_REDUCE) chosen(NULL, c, at, "binomial", 0);
        at = (struct situation){ .size = 2, .bytes = 65537, .link = "shm" };
        chosen(NULL, c, at, "binomial", 0);
        at = (struct situation){ .size = 2, .bytes = 65536, .link = "shm", .crowded = true };
        chosen(NULL, c, at, "binomial", 0);
    }
}

/* Nor what they exchange. */
static void exchanges_of_two_ranks_are_not_announced(void **state)
{
    static const enum collective both[] = { COLLECTIVE_ALLGATHER, COLLECTIVE_ALLTOALL };
    static const char *const announced[] = { "ring", "pairwise" };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct situation at = { .size = 2, .bytes = 65536, .link = "shm" };
        chosen(NULL, both[i], at, "pairwise", 4);
        at.bytes = 32769;
        chosen(NULL, both[i], at, "pairwise", 4);
        at.link = "tcp"; /* whose messages may be longer */
        chosen(NULL, both[i], at, "pairwise", 2);
        at.bytes = 65537;
        chosen(NULL, both[i], at, announced[i], (uint32_t)i);
        at.link = "shm";
        at.bytes = 32769;
        at.crowded = true;
        chosen(NULL, both[i], at, announced[i], (uint32_t)i);
    }
}

/* Nor the halves of what they add up for each other; who needs an order or the aligned tree, or
 * shares a core, is not asked to. */
static void halves_of_two_ranks_go_in_pieces(void **state)
{
    static const enum collective three[] = { COLLECTIVE_REDUCE_SCATTER,
                                             COLLECTIVE_REDUCE_SCATTER_BLOCK,
                                             COLLECTIVE_ALLREDUCE };
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct situation at = { .size = 2, .bytes = 65536, .link = "shm" };
        chosen(NULL, three[i], at, "pairwise", 2);
        at.bytes = 32769;
        chosen(NULL, three[i], at, "pairwise", 2);
        at.bytes = 98304;
        chosen(NULL, three[i], at, "pairwise", 3);
        at.need = KEEPS_ORDER | ALIGNED;
        chosen(NULL, three[i], at, "tree", 0);
    }
    struct situation at = { .size = 2, .bytes = 16385, .link = "shm" };
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "pairwise", 1);
    at.bytes = 16384;
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "recursive-doubling", 0);
    at.bytes = 98305;
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "recursive-doubling", 0);
    at = (struct situation){ .size = 2, .bytes = 65536, .link = "shm", .crowded = true };
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "recursive-doubling", 0);
}

/* An allreduce of two ranks over TCP goes in halves where these need not be announced and the whole
 * would be, whatever is asked for. */
static void halves_of_two_ranks_are_not_announced(void **state)
{
    (void)state;
    struct situation at = { .size = 2, .bytes = 65536, .link = "tcp" };
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "rabenseifner", 0);
    at.need = KEEPS_ORDER;
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "rabenseifner", 0);
    at.bytes = 32768;
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "recursive-doubling", 0);
    at.bytes = 65537;
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "recursive-doubling", 0);
}

/* What goes one way goes in two, on the same ground. */
static void two_pieces_to_one_rank_are_not_announced(void **state)
{
    (void)state;
    struct situation at = { .size = 2, .bytes = 65536, .link = "tcp" };
    chosen(NULL, COLLECTIVE_BCAST, at, "chain", 2);
    chosen(NULL, COLLECTIVE_ALLTOALL, at, "pairwise", 2);
    chosen(NULL, COLLECTIVE_REDUCE, at, "chain", 2);
    at = (struct situation){ .size = 2, .bytes = 65537, .link = "tcp" };
    chosen(NULL, COLLECTIVE_BCAST, at, "binomial", 0);
}

/* What is put between and added costs little: so it is no reason to cut a vector that is short. */
static void prices_of_tcp_are_those_measured(void **state)
{
    (void)state;
    struct situation at = { .size = 2, .bytes = 256 << 10, .link = "tcp" };
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "recursive-doubling", 0);
    at.bytes = 8 << 20;
    chosen(NULL, COLLECTIVE_REDUCE, at, "chain", 4);
}

static void a_choice_is_explained(void **state)
{
    (void)state;
    char words[4096];
    struct text t = text_into(words, sizeof(words));
    struct situation at = { .size = 6, .bytes = 1 << 20, .link = "tcp", .has_arithmetic = true };
    at.need = KEEPS_ORDER;
    struct choice choice = algorithm_choose(COLLECTIVE_ALLREDUCE, &at);
    choice_explain(COLLECTIVE_ALLREDUCE, &at, &choice, &t);
    assert_non_null(strstr(words, "allreduce of 1048576 bytes among 6 ranks over tcp: "));
    assert_non_null(strstr(words, ", by the model\n"));
    assert_non_null(strstr(words, "  ring                     does not keep the ranks' order\n"));
    assert_non_null(strstr(words, "  allgather-reduce         brings all vectors to one rank\n"));
    assert_non_null(strstr(words, " us predicted; "));
}

/* 64 KiB among ranks that share memory: everyone with everyone, with a core for each as well, or
 * the number of cores would change bits; where they take turns, in pieces that go straight. */
static void ranks_that_take_turns_have_two(void **state)
{
    (void)state;
    static const uint32_t pieces[][2] = { { 3, 6 }, { 4, 4 }, { 8, 2 }, { 16, 1 } };
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct situation at = { .size = pieces[i][0], .bytes = 64 << 10, .link = "shm" };
        chosen(NULL, COLLECTIVE_ALLREDUCE, at, "pairwise", at.size == 3 ? 2 : 1);
        at.crowded = true;
        chosen(NULL, COLLECTIVE_ALLREDUCE, at, "pairwise", pieces[i][1]);
    }
    /* Of ten ranks no block is cut: one of 7.5 KiB goes whole. One of 8 KiB is announced, and so
     * are all that are longer; but circulant, the next best, has rounds that wait as well. */
    static const uint32_t odd[] = { 3, 5, 6, 7, 10, 12, 20 }, kib[] = { 256, 512, 1024 };
    struct situation ten = { .size = 10, .bytes = 10 * 7680, .link = "shm" };
    chosen(NULL, COLLECTIVE_ALLREDUCE, ten, "pairwise", 1);
    for (size_t i = 0; i < 3 * sizeof(odd) / sizeof(odd[0]); i++) {
        uint32_t bytes = kib[i % 3] << 10;
        struct situation long_one = { .size = odd[i / 3], .bytes = bytes, .link = "shm" };
        chosen(NULL, COLLECTIVE_ALLREDUCE, long_one, "pairwise", 0);
        long_one.crowded = true;
        chosen(NULL, COLLECTIVE_ALLREDUCE, long_one, "pairwise", 0);
    }
    struct situation wired = { .size = 12, .bytes = 1 << 20, .link = "tcp" };
    chosen(NULL, COLLECTIVE_ALLREDUCE, wired, "pairwise", 0);
    wired.size = 40; /* more than pairwise is for */
    chosen(NULL, COLLECTIVE_ALLREDUCE, wired, "circulant", 0);
    /* What is announced takes more turns, whatever the order: nothing is given up for that. */
    struct situation at = { .size = 8, .bytes = 1 << 20, .link = "shm" };
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "rabenseifner", 0);
}

/* 16 KiB go at once over shared memory where windows have grown, and blocks that are longer go in two
 * pieces that do: with a core each, and in turns unless some of the ranks' windows do not grow. */
static void blocks_that_go_at_once_need_two_turns(void **state)
{
    (void)state;
    static const struct {
        uint32_t size, kib, alone, in_turns;
    } at_once[] = { { 8, 128, 1, 1 }, { 8, 256, 2, 2 }, { 4, 128, 2, 2 },
                    { 7, 128, 2, 2 }, { 12, 256, 2, 1 } };
    for (size_t i = 0; i < sizeof(at_once) / sizeof(at_once[0]); i++) {
        struct situation at = { .size = at_once[i].size,
                                .bytes = at_once[i].kib * UINT64_C(1024),
                                .link = "shm" };
        chosen(NULL, COLLECTIVE_ALLREDUCE, at, "pairwise", at_once[i].alone);
        chosen(NULL, COLLECTIVE_REDUCE_SCATTER, at, "pairwise", at_once[i].alone);
        at.crowded = true;
        chosen(NULL, COLLECTIVE_ALLREDUCE, at, "pairwise", at_once[i].in_turns);
        chosen(NULL, COLLECTIVE_REDUCE_SCATTER, at, "pairwise", at_once[i].in_turns);
    }
    struct situation at = { .size = 16, .bytes = 512 << 10, .link = "shm" };
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "rabenseifner", 0);
    for (at.size = 2, at.bytes = 1024; at.bytes <= 16384; at.bytes *= 2)
        chosen(NULL, COLLECTIVE_ALLREDUCE, at, "recursive-doubling", 0);
    at = (struct situation){ .size = 8, .bytes = 16 << 10, .link = "shm" };
    chosen(NULL, COLLECTIVE_ALLGATHER, at, "pairwise", 1);
}

/* A core does what each of its ranks has to: nobody sends whole vectors to everybody where parts
 * are to be had with the same bits, and over TCP nothing is cut that does not go straight. */
static void a_crowd_shares_its_cores(void **state)
{
    (void)state;
    for (uint64_t bytes = 8192; bytes <= 32768; bytes *= 2) {
        struct situation at = { .size = 16, .bytes = bytes, .link = "shm", .crowded = true };
        const char *best = bytes > 16384 ? "rabenseifner" : "recursive-doubling";
        chosen(NULL, COLLECTIVE_ALLREDUCE, at, best, 0);
        at.cores = 8;
        at.has_arithmetic = true;
        struct choice choice = algorithm_choose(COLLECTIVE_ALLREDUCE, &at);
        assert_string_not_equal(algorithms[choice.algorithm].name, "recursive-multiplying");
    }
    struct situation few = { .size = 16, .bytes = 4096, .link = "shm", .crowded = true };
    chosen(NULL, COLLECTIVE_ALLREDUCE, few, "recursive-doubling", 0);
    few = (struct situation){ .size = 4, .bytes = 16384, .link = "tcp", .crowded = true };
    chosen(NULL, COLLECTIVE_ALLREDUCE, few, "recursive-doubling", 0);
    few = (struct situation){ .size = 7, .bytes = 1024, .link = "shm", .crowded = true };
    chosen(NULL, COLLECTIVE_ALLREDUCE, few, "flat", 0);
    struct situation at = { .size = 8, .bytes = 16384, .link = "tcp", .crowded = true };
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "recursive-doubling", 0);
    at.bytes = 65536;
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "rabenseifner", 0);
    at.size = 4;
    chosen(NULL, COLLECTIVE_ALLREDUCE, at, "pairwise", 1);
    struct situation two = { .size = 16, .bytes = 8192, .link = "shm", .crowded = true };
    struct situation eight = two;
    two.cores = 2;
    eight.cores = 8;
    int i = algorithm_find(COLLECTIVE_ALLREDUCE, "recursive-doubling");
    assert_true(i >= 0);
    assert_true(algorithm_time(&algorithms[i], 0, &two) ==
                4 * algorithm_time(&algorithms[i], 0, &eight));
    i = algorithm_find(COLLECTIVE_REDUCE, "binomial"); /* its root's work is nobody else's */
    assert_true(i >= 0);
    assert_true(algorithm_time(&algorithms[i], 0, &two) <
                4 * algorithm_time(&algorithms[i], 0, &eight));
}

/* Over a network, where the ranks of a team are on nodes in order; where they are not, never. */
static void ranks_on_nodes_have_two_levels(void **state)
{
    (void)state;
    for (enum collective c = COLLECTIVE_BCAST; c <= COLLECTIVE_ALLREDUCE; c++) {
        struct situation at = { .size = 16, .bytes = 8, .link = "tcp", .node = 4 };
        chosen(NULL, c, at, "two-level", 4);
        at.node = 0;
        struct choice choice = algorithm_choose(c, &at);
        assert_string_not_equal(algorithms[choice.algorithm].name, "two-level");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_fits_decides),
        cmocka_unit_test(links_are_as_the_file_says),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(one_way_of_two_ranks_is_not_announced),
        cmocka_unit_test(exchanges_of_two_ranks_are_not_announced),
        cmocka_unit_test(halves_of_two_ranks_go_in_pieces),
        cmocka_unit_test(halves_of_two_ranks_are_not_announced),
        cmocka_unit_test(two_pieces_to_one_rank_are_not_announced),
        cmocka_unit_test(prices_of_tcp_are_those_measured),
        cmocka_unit_test(a_choice_is_explained),
        cmocka_unit_test(ranks_that_take_turns_have_two),
        cmocka_unit_test(blocks_that_go_at_once_need_two_turns),
        cmocka_unit_test(a_crowd_shares_its_cores),
        cmocka_unit_test(ranks_on_nodes_have_two_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
