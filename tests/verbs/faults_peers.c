/* SPDX-License-Identifier: BSD-3-Clause */
/* faults_peers.c - a peer whose messages break the protocol costs its own link, and nobody else
 * anything */
#include "tests/seed.h"
#include "tests/verbs/faults.h"
#include "transport/verbs/internal.h"

/* Bytes that the next message has in place of its own; internal.h draws them. */
static struct {
    int at, n;
    uint8_t bytes[4];
    uint32_t len; /* 0: as it was */
} change;

static void change_once(uint8_t *bytes, uint32_t *len)
{
    memcpy(bytes + change.at, change.bytes, (size_t)change.n);
    if (change.len) *len = change.len;
    fake_knobs.alter = NULL;
}

static void open_two(struct end e[2])
{
    fake_knobs.prompt = true;
    ends_open(e);
    ends_connect(e, 0);
    ends_connect(e, 1);
    assert_int_equal(end_send(&e[0], 0, 0, 300), 0);
    ENDS_UNTIL(e, e[1].link[0].received == 1);
}

/* The other link of the two carries messages as ever. */
static void close_two(struct end e[2])
{
    assert_int_equal(end_send(&e[0], 1, 0, 300), 0);
    ENDS_UNTIL(e, e[1].link[1].received == 1);
    assert_int_equal(e[1].link[1].downs, 0);
    ends_close(e);
}

static void what_breaks_the_protocol_ends_the_link(void **state)
{
    static const struct {
        int at, n;
        uint8_t bytes[4];
        uint32_t len;
        const char *words;
    } lies[] = {
        { 0, 1, { 3 }, 0, "is not followed by the next one" },
        { 4, 4, { 1, 0, 0, 0 }, 0, "takes credit back" },
        { 4, 4, { 0, 0, 0, 0x40 }, 0, "takes credit back" },
        { 12, 1, { 1 }, 0, "has heard of credits that were never sent" },
        { 14, 1, { 9 }, 0, "is of no known kind" },
        { 14, 1, { VERBS_CREDIT }, 0, "is longer than its kind" },
        { 14, 1, { VERBS_BYE }, 0, "is longer than its kind" },
        { 15, 1, { TRANSPORT_HEAD_MAX + 1 }, 0, "has an impossible head" },
        { 15, 1, { 5 }, VERBS_HEADER + 4, "has an impossible head" },
        { 0, 0, { 0 }, VERBS_HEADER - 1, "is too short" },
        { 15, 1, { 3 }, 0, "was refused: its bytes break the protocol" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct end e[2];
        fake_reset();
        open_two(e);
        change.at = lies[i].at;
        change.n = lies[i].n;
        change.len = lies[i].len;
        memcpy(change.bytes, lies[i].bytes, 4);
        fake_knobs.alter = change_once;
        assert_int_equal(end_send(&e[0], 0, 1, 300), 0);
        ENDS_UNTIL(e, e[1].link[0].downs);
        assert_int_equal(e[1].link[0].status, SINEW_EPROTO);
        assert_int_equal(e[1].link[0].received, 1);
        contains(e[1].link[0].why, "rank 0 on fake0 port 1: message");
        contains(e[1].link[0].why, lies[i].words);
        close_two(e);
    }
}

/* Of another link, or one that came before: it is as if it had not come. */
static void what_is_not_of_this_link_is_dropped(void **state)
{
    static const struct {
        int at;
        uint8_t byte;
    } strange[] = { { 8, 0 }, { 0, 1 } };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct end e[2];
        fake_reset();
        open_two(e);
        change.at = strange[i].at;
        change.n = 1;
        change.len = 0;
        change.bytes[0] = strange[i].byte;
        fake_knobs.alter = change_once;
        assert_int_equal(end_send(&e[0], 0, 1, 300), 0);
        ends_settle(e);
        assert_int_equal(e[1].link[0].received, 1);
        assert_int_equal(e[1].link[0].downs, 0);
        close_two(e);
    }
}

/* Who sends one more than he was given credit for. There is a receive for it, which is for other
 * things. */
static void what_comes_without_credit_ends_the_link(void **state)
{
    struct end e[2];
    (void)state;
    fake_knobs.prompt = true;
    ends_open(e);
    ends_connect(e, 0);
    ends_connect(e, 1);
    struct verbs_link *l = (struct verbs_link *)e[0].link[0].link;
    int credits = (int)l->allowed;
    l->allowed++;
    for (int i = 0; i <= credits; i++) assert_int_equal(end_send(&e[0], 0, i, 10), 0);
    ENDS_UNTIL(e, e[1].link[0].downs);
    assert_int_equal(e[1].link[0].status, SINEW_EPROTO);
    contains(e[1].link[0].why, "came without credit");
    assert_int_equal(fake_stats().not_ready, 0);
    close_two(e);
}

/* ---- any bytes ------------------------------------------------------------------------------- */

static struct seed seed;

static void garble(uint8_t *bytes, uint32_t *len)
{
    if (seed_below(&seed, 8)) return;
    for (uint64_t n = 1 + seed_below(&seed, 3); n > 0; n--) {
        uint64_t at = seed_below(&seed, 20);
        if (at < *len)
            bytes[at] = (uint8_t)(seed_below(&seed, 2) ? seed_next(&seed) : seed_below(&seed, 4));
    }
    if (seed_below(&seed, 4) == 0) *len = (uint32_t)seed_below(&seed, *len + 1);
}

static unsigned sum;

static int look_at_all(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                       struct lease *lease)
{
    (void)l;
    (void)lease;
    for (size_t i = 0; i < hlen; i++) sum += ((const uint8_t *)head)[i];
    for (size_t i = 0; i < blen; i++) sum += ((const uint8_t *)body)[i];
    return seed_below(&seed, 50) ? 0 : SINEW_EPROTO;
}

/* The sanitizers see what is read that was not sent. */
static void any_bytes_are_borne(void **state)
{
    struct end e[2];
    (void)state;
    seed = seed_from_environment("any bytes");
    for (int round = 0; round < 200; round++) {
        fake_reset();
        fake_knobs.prompt = true;
        ends_prepare(e);
        for (int i = 0; i < 2; i++) {
            e[i].up.recv = look_at_all;
            e[i].config.verbs_srq = round % 2;
            assert_int_equal(end_open(&e[i], NULL), 0);
        }
        ends_connect(e, 0);
        fake_knobs.alter = garble;
        for (int i = 0; i < 200 && e[0].link[0].link; i++) {
            (void)end_send(&e[0], 0, i, seed_below(&seed, 3000));
            if (e[1].link[0].link) (void)end_send(&e[1], 0, i, seed_below(&seed, 300));
            ends_turn(e);
        }
        ends_close(e);
    }
}

int faults_of_peers(void)
{
    const struct CMUnitTest cases[] = {
        FAULT(what_breaks_the_protocol_ends_the_link),
        FAULT(what_is_not_of_this_link_is_dropped),
        FAULT(what_comes_without_credit_ends_the_link),
        FAULT(any_bytes_are_borne),
    };
    return cmocka_run_group_tests_name("peers", cases, NULL, NULL);
}
