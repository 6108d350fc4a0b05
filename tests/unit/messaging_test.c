/* SPDX-License-Identifier: BSD-3-Clause */
/* What messaging is made of, each part alone: envelopes, blocks of unexpected messages,
 * matching. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "messaging/context.h"

/* ---- envelopes ------------------------------------------------------------------------------- */

static void envelope_survives_the_wire(void **state)
{
    (void)state;
    for (uint8_t kind = KIND_EAGER; kind <= KIND_LAST; kind++) {
        struct envelope e = { .seq = 0xfedc,
                              .credit = 0x1234,
                              .kind = kind,
                              .length = 0xabcdef,
                              .team = 0xffffffff,
                              .tag = 0x80000001,
                              .step = 7,
                              .tile = 9,
                              .digest = 11 };
        struct envelope got;
        uint8_t bytes[TRANSPORT_HEAD_MAX];
        size_t n = envelope_encode(bytes, &e);
        bool small = envelope_size(kind) == ENVELOPE_SMALL;
        assert_int_equal(n, small ? 16 : 28);
        assert_int_equal(envelope_decode(bytes, n, &got), n);
        if (small) e.step = e.tile = e.digest = 0;
        assert_int_equal(got.seq, e.seq);
        assert_int_equal(got.credit, e.credit);
        assert_int_equal(got.kind, e.kind);
        assert_int_equal(got.length, e.length);
        assert_int_equal(got.team, e.team);
        assert_int_equal(got.tag, e.tag);
        assert_int_equal(got.step, e.step);
        assert_int_equal(got.tile, e.tile);
        assert_int_equal(got.digest, e.digest);
    }
}

static void envelope_bytes_are_as_drawn(void **state)
{
    (void)state;
    const uint8_t drawn[16] = { 0x02, 0x01, KIND_EAGER, 0x04, 0x03, 0x07, 0x06, 0x05,
                                0x0b, 0x0a, 0x09, 0x08, 0x0f, 0x0e, 0x0d, 0x0c };
    struct envelope e = { .seq = 0x0102, .kind = KIND_EAGER, .credit = 0x0304, .length = 0x050607,
                          .team = 0x08090a0b, .tag = 0x0c0d0e0f };
    uint8_t bytes[TRANSPORT_HEAD_MAX];
    assert_int_equal(envelope_encode(bytes, &e), 16);
    assert_memory_equal(bytes, drawn, 16);
}

static void envelope_refuses_short_and_unknown(void **state)
{
    (void)state;
    struct envelope e = { .kind = KIND_COLL }, got;
    uint8_t bytes[TRANSPORT_HEAD_MAX];
    size_t n = envelope_encode(bytes, &e);
    for (size_t len = 0; len < n; len++) assert_int_equal(envelope_decode(bytes, len, &got), 0);
    for (int kind = 0; kind < 256; kind++) {
        bytes[2] = (uint8_t)kind;
        bool known = kind >= KIND_EAGER && kind <= KIND_LAST;
        assert_int_equal(envelope_decode(bytes, sizeof(bytes), &got) > 0, known);
    }
}

/* ---- unexpected messages --------------------------------------------------------------------- */

struct fixture {
    struct sinew s;
    struct peer p;
    uint32_t open;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    f->s.world = &world_real;
    f->s.size = 4;
    match_init(&f->s.match);
    f->s.match.open = &f->open;
    f->p.context = &f->s;
    f->p.rank = 2;
    f->p.blocks_total = 64;
    assert_int_equal(unexpected_open(&f->p), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->p.blocks_free, f->p.blocks_total);
    world_release(&world_real, f->p.blocks, 0);
    test_free(f);
    return 0;
}

static void fill(uint8_t *bytes, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

/* The sender pays blocks_of(len); the receiver must find exactly that. */
static void blocks_cost_what_the_sender_pays(void **state)
{
    struct fixture *f = *state;
    static uint8_t in[64 * 256], out[64 * 256];
    for (size_t len = 0; blocks_of(len) <= f->p.blocks_total; len += 1 + len / 9) {
        fill(in, len, (uint32_t)len);
        struct unexpected *u = unexpected_new(&f->p, in, len);
        assert_non_null(u);
        assert_int_equal(f->p.blocks_total - f->p.blocks_free, blocks_of(len));
        memset(out, 0x5a, sizeof(out));
        unexpected_copy(&f->p, u, out, len);
        assert_memory_equal(in, out, len);
        assert_int_equal(out[len], 0x5a);
        assert_int_equal(unexpected_free(&f->p, u), blocks_of(len));
    }
}

static void blocks_run_out_and_come_back(void **state)
{
    struct fixture *f = *state;
    struct unexpected *u[64];
    uint8_t body[BLOCK_FIRST + 1] = { 0 };
    for (int i = 0; i < 64; i++) assert_non_null(u[i] = unexpected_new(&f->p, body, 8));
    assert_null(unexpected_new(&f->p, body, 0));
    unexpected_free(&f->p, u[17]);
    assert_null(unexpected_new(&f->p, body, sizeof(body))); /* two blocks, one is free */
    assert_non_null(u[17] = unexpected_new(&f->p, body, BLOCK_FIRST));
    for (int i = 0; i < 64; i++) unexpected_free(&f->p, u[(i * 5) % 64]);
}

/* ---- matching -------------------------------------------------------------------------------- */

static struct unexpected *arrive(struct fixture *f, uint32_t team, uint32_t tag)
{
    struct unexpected *u = unexpected_new(&f->p, NULL, 0);
    assert_non_null(u);
    u->kind = KIND_EAGER;
    u->team = team;
    u->tag = tag;
    match_keep(&f->s.match, u);
    return u;
}

static struct match_key key_of(int source, uint32_t team, uint32_t tag, bool any_tag)
{
    return (struct match_key){ .source = source, .team = team, .tag = tag, .any_tag = any_tag };
}

static void arrivals_match_in_order(void **state)
{
    struct fixture *f = *state;
    struct match *m = &f->s.match;
    struct unexpected *a = arrive(f, 1, 5), *b = arrive(f, 1, 6), *c = arrive(f, 1, 5);
    struct match_key exact = key_of(2, 1, 5, false), any_tag = key_of(2, 1, 0, true);
    struct match_key any = key_of(SINEW_ANY_RANK, 1, 0, true), other = key_of(2, 3, 5, false);
    assert_ptr_equal(match_unexpected(m, &exact), a);
    assert_ptr_equal(match_unexpected(m, &any_tag), a);
    assert_ptr_equal(match_unexpected(m, &any), a);
    assert_null(match_unexpected(m, &other));
    unexpected_free(&f->p, a);
    assert_ptr_equal(match_unexpected(m, &any), b);
    assert_ptr_equal(match_unexpected(m, &exact), c);
    unexpected_free(&f->p, b);
    unexpected_free(&f->p, c);
    assert_null(match_unexpected(m, &any));
}

/* A message that several posted receives accept goes to the one posted first, wildcard or not. */
static void posted_match_in_post_order(void **state)
{
    struct fixture *f = *state;
    struct match *m = &f->s.match;
    struct sinew_request r[4] = { { .key = key_of(2, 1, 5, false) },
                                  { .key = key_of(SINEW_ANY_RANK, 1, 5, false) },
                                  { .key = key_of(2, 1, 0, true) },
                                  { .key = key_of(2, 1, 5, false) } };
    struct match_key message = key_of(2, 1, 5, false);
    struct peer sender = { .rank = 2 };
    for (int i = 0; i < 4; i++) r[i].peer = &sender;
    for (int first = 0; first < 4; first++) {
        for (int i = 0; i < 4; i++) match_post(m, &r[(first + i) % 4]);
        for (int i = 0; i < 4; i++) {
            struct sinew_request *got = match_posted(m, &message);
            assert_ptr_equal(got, &r[(first + i) % 4]);
            match_unpost(m, got);
        }
        assert_null(match_posted(m, &message));
    }
}

static void collectives_are_in_a_space_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct match *m = &f->s.match;
    struct unexpected *u = unexpected_new(&f->p, NULL, 0);
    u->kind = KIND_COLL;
    u->team = 1;
    u->tag = 5;
    match_keep(m, u);
    struct match_key any = key_of(SINEW_ANY_RANK, 1, 0, true), exact = key_of(2, 1, 5, false);
    assert_null(match_unexpected(m, &any));
    assert_null(match_unexpected(m, &exact));
    exact.space = SPACE_COLLECTIVE;
    assert_ptr_equal(match_unexpected(m, &exact), u);
    exact.tile = 1;
    assert_null(match_unexpected(m, &exact));
    unexpected_free(&f->p, u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelope_survives_the_wire),
        cmocka_unit_test(envelope_bytes_are_as_drawn),
        cmocka_unit_test(envelope_refuses_short_and_unknown),
        cmocka_unit_test_setup_teardown(blocks_cost_what_the_sender_pays, setup, teardown),
        cmocka_unit_test_setup_teardown(blocks_run_out_and_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(arrivals_match_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(posted_match_in_post_order, setup, teardown),
        cmocka_unit_test_setup_teardown(collectives_are_in_a_space_of_their_own, setup, teardown),
    };
    return cmocka_run_group_tests_name("messaging", tests, NULL, NULL);
}
