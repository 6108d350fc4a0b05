/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch_node.c - one place in the tree: news reaches everyone once, a neighbour speaks for its own
 * ranks only, and bytes that break the protocol cost the connection they came over and nothing else
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/wire.h"
#include "launch/node.h"
#include "tests/seed.h"
#include "tests/support/bounded.h"

enum { SIZE = 6, PEERS = 3 };

/* A node with three neighbours: ranks 0-1, ranks 2-4 and upstream; rank 5 is the node's own. */
struct scene {
    struct node node;
    struct node_peer peers[PEERS];
    struct channel ends[PEERS]; /* the neighbours' sides */
    int lost[PEERS], exited, left, aborted;
};

static void on_lost(void *arg, struct node_peer *peer)
{
    struct scene *s = arg;
    s->lost[peer - s->peers]++;
    channel_close(&peer->channel);
}

static void on_exited(void *arg, const struct launch_exit *how)
{
    (void)how;
    ((struct scene *)arg)->exited++;
}

static void on_left(void *arg, int rank)
{
    (void)rank;
    ((struct scene *)arg)->left++;
}

static void on_aborted(void *arg, int status, const char *text)
{
    (void)status;
    (void)text;
    ((struct scene *)arg)->aborted++;
}

static const struct node_events events = { on_left, on_exited, on_aborted, on_lost };

static void scene_make(struct scene *s)
{
    static const int first[PEERS] = { 0, 2, 0 }, count[PEERS] = { 2, 3, SIZE };
    memset(s, 0, sizeof(*s));
    assert_int_equal(node_init(&s->node, &world_real, SIZE, &events, s), 0);
    for (int i = 0; i < PEERS; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        channel_init(&s->peers[i].channel, &world_real, pair[0], LAUNCH_OUT_LIMIT);
        channel_init(&s->ends[i], &world_real, pair[1], LAUNCH_OUT_LIMIT);
        s->peers[i].first = i == 2 ? 5 : first[i];
        s->peers[i].count = i == 2 ? 1 : count[i];
        s->peers[i].upstream = i == 2;
        node_attach(&s->node, &s->peers[i]);
    }
}

static void scene_end(struct scene *s)
{
    for (int i = 0; i < PEERS; i++) {
        if (!s->lost[i]) {
            node_detach(&s->peers[i]);
            channel_close(&s->peers[i].channel);
        }
        channel_close(&s->ends[i]);
    }
    node_fini(&s->node);
}

static void run(struct scene *s)
{
    WHILE (node_progress(&s->node, 1000) > 0) {
    }
}

static void say(struct scene *s, int peer, int kind, int rank, const void *more, size_t len)
{
    uint8_t payload[LAUNCH_PAYLOAD_MAX];
    wire_put32(payload, (uint32_t)rank);
    if (len > 0) memcpy(payload + 4, more, len);
    assert_int_equal(channel_send(&s->ends[peer], kind, payload, 4 + len), 0);
    run(s);
}

/* The next frame at a neighbour: its kind and rank; 0: none, < 0: the connection ended. */
static int heard(struct scene *s, int peer, int *rank)
{
    struct frame frame;
    const uint8_t *payload;
    int rc = channel_receive(&s->ends[peer], &frame, &payload);
    if (rc <= 0) return rc;
    *rank = (int32_t)wire_get32(payload);
    return frame.kind;
}

static void news_reaches_the_others_once(void **state)
{
    struct scene s;
    int rank = -1;
    (void)state;
    scene_make(&s);
    say(&s, 1, LAUNCH_RECORD, 3, "three", 5);
    for (int peer = 0; peer < PEERS; peer++) {
        assert_int_equal(heard(&s, peer, &rank), peer == 1 ? 0 : LAUNCH_RECORD);
        if (peer != 1) assert_int_equal(rank, 3);
        assert_int_equal(heard(&s, peer, &rank), 0);
    }
    assert_int_equal(s.node.ranks[3].len, 5);
    assert_memory_equal(s.node.ranks[3].record, "three", 5);
    scene_end(&s);
}

static void late_neighbours_hear_what_was(void **state)
{
    struct scene s;
    struct node_peer late = { .first = 5, .count = 1 };
    int pair[2], rank;
    static const uint8_t how[8] = { LAUNCH_DIED | LAUNCH_FAILED, 3 };
    (void)state;
    scene_make(&s);
    say(&s, 0, LAUNCH_RECORD, 1, NULL, 0);
    say(&s, 0, LAUNCH_LEFT, 1, NULL, 0);
    say(&s, 2, LAUNCH_ABORT, 77, "why", 3);
    say(&s, 1, LAUNCH_EXIT, 4, how, sizeof(how));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    channel_init(&late.channel, &world_real, pair[0], LAUNCH_OUT_LIMIT);
    node_attach(&s.node, &late);
    channel_close(&s.ends[0]);
    channel_init(&s.ends[0], &world_real, pair[1], LAUNCH_OUT_LIMIT);
    static const int kinds[] = { LAUNCH_RECORD, LAUNCH_LEFT, LAUNCH_EXIT, LAUNCH_ABORT, 0 };
    static const int ranks[] = { 1, 1, 4, 77, 77 };
    for (int i = 0; i < 5; i++) {
        assert_int_equal(heard(&s, 0, &rank), kinds[i]);
        assert_int_equal(rank, ranks[i]);
    }
    node_detach(&late);
    channel_close(&late.channel);
    scene_end(&s);
}

/* Each of these costs the speaker its connection, and changes nothing that is known. */
static void nobody_speaks_for_others(void **state)
{
    static const struct {
        int peer, kind, rank;
        size_t len;
    } bad[] = {
        { 0, LAUNCH_RECORD, 2, 4 },    { 0, LAUNCH_RECORD, -1, 4 },
        { 0, LAUNCH_RECORD, SIZE, 4 }, { 0, LAUNCH_RECORD, 0, 65 },
        { 1, LAUNCH_LEFT, 1, 0 },      { 1, LAUNCH_LEFT, 2, 1 },
        { 2, LAUNCH_LEFT, 5, 0 },      { 2, LAUNCH_RECORD, 5, 1 },
        { 1, LAUNCH_EXIT, 5, 8 },      { 1, LAUNCH_EXIT, 2, 7 },
        { 0, LAUNCH_EXIT, 0, 9 },      { 0, LAUNCH_JOIN, 0, 8 },
        { 0, LAUNCH_WELCOME, 0, 12 },  { 0, LAUNCH_ABORT, 1, 600 },
        { 0, FRAME_MESSAGE, 0, 0 },    { 0, 255, 0, 0 },
    };
    static const uint8_t zeros[LAUNCH_PAYLOAD_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct scene s;
        int rank;
        scene_make(&s);
        say(&s, bad[i].peer, bad[i].kind, bad[i].rank, zeros, bad[i].len);
        for (int peer = 0; peer < PEERS; peer++) {
            if (s.lost[peer] != (peer == bad[i].peer)) fail_msg("case %zu, peer %d", i, peer);
            if (peer != bad[i].peer) assert_int_equal(heard(&s, peer, &rank), 0);
        }
        for (int r = 0; r < SIZE; r++) assert_int_equal(s.node.ranks[r].flags, 0);
        assert_int_equal(s.exited + s.left + s.aborted, 0);
        scene_end(&s);
    }
}

static void second_records_are_refused(void **state)
{
    struct scene s;
    (void)state;
    scene_make(&s);
    say(&s, 0, LAUNCH_RECORD, 0, "a", 1);
    assert_int_equal(s.lost[0], 0);
    say(&s, 0, LAUNCH_RECORD, 0, "b", 1);
    assert_int_equal(s.lost[0], 1);
    assert_int_equal(s.node.ranks[0].record[0], 'a');
    assert_int_equal(s.node.records, 1);
    scene_end(&s);
}

static void each_death_is_told_once(void **state)
{
    static const uint8_t how[8] = { LAUNCH_DIED, 0 };
    struct scene s;
    (void)state;
    scene_make(&s);
    say(&s, 1, LAUNCH_EXIT, 4, how, sizeof(how));
    say(&s, 1, LAUNCH_EXIT, 2, how, sizeof(how));
    say(&s, 1, LAUNCH_EXIT, 4, how, sizeof(how));
    assert_int_equal(node_died(&s.node), 2);
    assert_int_equal(node_died(&s.node), 4);
    assert_int_equal(node_died(&s.node), -1);
    scene_end(&s);
}

/* Those that left, or whose end is known, are not lost with their connection. */
static void burying_spares_those_that_left(void **state)
{
    static const uint8_t how[8] = { LAUNCH_FAILED, 1 };
    struct scene s;
    (void)state;
    scene_make(&s);
    say(&s, 1, LAUNCH_LEFT, 2, NULL, 0);
    say(&s, 1, LAUNCH_EXIT, 3, how, sizeof(how));
    node_bury(&s.node, 2, 3);
    assert_int_equal(node_died(&s.node), 4);
    assert_int_equal(node_died(&s.node), -1);
    scene_end(&s);
}

static void fence_names_the_missing(void **state)
{
    char missing[64];
    struct scene s;
    (void)state;
    scene_make(&s);
    node_put(&s.node, 5, NULL, 0);
    say(&s, 0, LAUNCH_RECORD, 1, NULL, 0);
    node_missing(&s.node, missing, sizeof(missing));
    assert_string_equal(missing, "0, 2-4");
    assert_int_equal(node_fence(&s.node, 0, NULL), SINEW_ETIMEDOUT);
    assert_non_null(strstr(s.node.why.text, "2 of 6 ranks have come, missing: rank 0, 2-4"));
    say(&s, 1, LAUNCH_LEFT, 3, NULL, 0);
    assert_int_equal(node_fence(&s.node, INT64_MAX, NULL), SINEW_ELAUNCH);
    assert_non_null(strstr(s.node.why.text, "rank 3 gave up"));
    scene_end(&s);
}

/* Whatever bytes come, whole frames or not: the node stands, and the other neighbours keep theirs.
 */
static void noise_costs_its_own_connection(void **state)
{
    struct seed seed = seed_from_environment("noise_costs_its_own_connection");
    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct scene s;
        uint8_t bytes[512];
        size_t len = 1 + seed_below(&seed, sizeof(bytes) - 1);
        int rank;
        scene_make(&s);
        for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)seed_next(&seed);
        if (round % 2) { /* nearly right: a frame of ours with a random payload */
            struct frame frame = { .length = (uint32_t)seed_below(&seed, 100),
                                   .kind = (uint8_t)(LAUNCH_JOIN + seed_below(&seed, 9)) };
            frame_encode(bytes, &frame);
            wire_put32(bytes + FRAME_HEADER, (uint32_t)seed_below(&seed, SIZE + 2));
        }
        assert_int_equal(send(s.ends[0].fd, bytes, len, MSG_NOSIGNAL), len);
        close(s.ends[0].fd);
        s.ends[0].fd = -1;
        run(&s);
        assert_int_equal(s.lost[0], 1);
        assert_int_equal(s.lost[1] + s.lost[2], 0);
        for (int r = 2; r < SIZE; r++) assert_int_equal(s.node.ranks[r].flags, 0);
        WHILE (heard(&s, 1, &rank) > 0) {
        }
        assert_false(s.ends[1].ended);
        scene_end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(news_reaches_the_others_once),
        cmocka_unit_test(late_neighbours_hear_what_was),
        cmocka_unit_test(nobody_speaks_for_others),
        cmocka_unit_test(second_records_are_refused),
        cmocka_unit_test(each_death_is_told_once),
        cmocka_unit_test(burying_spares_those_that_left),
        cmocka_unit_test(fence_names_the_missing),
        cmocka_unit_test(noise_costs_its_own_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
