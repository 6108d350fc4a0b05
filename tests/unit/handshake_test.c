/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handshake: who knows the secret and is who he should be gets in; everybody and everything
 * else is refused by at least one end, and neither end ever takes a byte that is not the
 * handshake's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/handshake.h"
#include "sinew/sinew.h"

enum { SERVER_RANK = 5, CLIENT_RANK = 2, SIZE = 8 };
static const uint64_t SERVER_EPOCH = 0x1122334455667788, CLIENT_EPOCH = 99;
static const uint8_t secret[32] = "a secret of thirty-two bytes...";
static const uint8_t other_secret[32] = "a secret of thirty-two bytes..!";

struct pair {
    struct handshake client, server;
};

static struct handshake_identity identity(int rank, uint64_t epoch)
{
    return (struct handshake_identity){ rank, SIZE, epoch, HANDSHAKE_LINK, 0 };
}

static void begin(struct handshake *h, enum handshake_role role, const uint8_t *key)
{
    bool client = role == HANDSHAKE_CLIENT;
    struct handshake_identity me =
        client ? identity(CLIENT_RANK, CLIENT_EPOCH) : identity(SERVER_RANK, SERVER_EPOCH);
    assert_int_equal(handshake_begin(h, role, &world_real, key, &me, client ? SERVER_RANK : -1,
                                     client ? SERVER_EPOCH : 0),
                     0);
}

static void begin_mode(struct handshake *h, enum handshake_role role, unsigned modes)
{
    bool client = role == HANDSHAKE_CLIENT;
    struct handshake_identity me =
        client ? identity(CLIENT_RANK, CLIENT_EPOCH) : identity(SERVER_RANK, SERVER_EPOCH);
    me.modes = modes;
    assert_int_equal(handshake_begin(h, role, &world_real, secret, &me, -1, 0), 0);
}

static void begin_pair(struct pair *p, const uint8_t *client_key, const uint8_t *server_key)
{
    begin(&p->client, HANDSHAKE_CLIENT, client_key);
    begin(&p->server, HANDSHAKE_SERVER, server_key);
}

/* What a wire between the ends may do to the bytes that go one way. */
struct wire {
    size_t flip_at; /* this byte, counted from the first; SIZE_MAX: none */
    uint8_t flip;
    size_t cut_at;    /* nothing from here on */
    size_t slice;     /* at most so many at once */
    size_t carried;   /* so far */
    uint8_t log[512]; /* what came out at the far end */
};

static struct wire clean(void)
{
    return (struct wire){ .flip_at = SIZE_MAX, .cut_at = SIZE_MAX, .slice = 512 };
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Carry what `from` has to say to `to`, never more than it wants; true if anything moved. */
static bool carry(struct handshake *from, struct handshake *to, struct wire *w)
{
    const void *bytes;
    uint8_t copy[512];
    size_t waiting = handshake_output(from, &bytes);
    size_t n = least(least(waiting, handshake_wants(to)), w->slice);
    n = least(n, w->cut_at > w->carried ? w->cut_at - w->carried : 0);
    if (n == 0) return false;
    memcpy(copy, bytes, n);
    if (w->flip_at >= w->carried && w->flip_at < w->carried + n)
        copy[w->flip_at - w->carried] ^= w->flip;
    memcpy(w->log + w->carried, copy, n);
    handshake_sent(from, n);
    handshake_input(to, copy, n);
    w->carried += n;
    return true;
}

static void run(struct pair *p, struct wire *up, struct wire *down)
{
    while (carry(&p->client, &p->server, up) || carry(&p->server, &p->client, down)) continue;
}

/* The outcome of an end that hears nothing more. */
static int outcome(struct handshake *h)
{
    return handshake_input(h, NULL, 0);
}

static void run_clean(struct pair *p)
{
    struct wire up = clean(), down = clean();
    run(p, &up, &down);
}

static void assert_refused(struct handshake *h, int status, const char *text)
{
    assert_int_equal(outcome(h), status);
    if (!strstr(h->why.text, text)) fail_msg("'%s' is not in '%s'", text, h->why.text);
    assert_int_equal(h->peer.size, 0); /* nobody is believed */
    assert_int_equal(handshake_wants(h), 0);
}

static void assert_done(struct pair *p)
{
    assert_int_equal(outcome(&p->client), 0);
    assert_int_equal(outcome(&p->server), 0);
    assert_int_equal(p->client.peer.rank, SERVER_RANK);
    assert_true(p->client.peer.epoch == SERVER_EPOCH);
    assert_int_equal(p->server.peer.rank, CLIENT_RANK);
    assert_true(p->server.peer.epoch == CLIENT_EPOCH);
    assert_int_equal(p->server.peer.size, SIZE);
    assert_int_equal(p->client.version, HANDSHAKE_VERSION_MAX);
    assert_int_equal(handshake_wants(&p->client), 0);
    assert_int_equal(handshake_wants(&p->server), 0);
}

static void same_secret_is_done(void **state)
{
    static const uint8_t wiped[32];
    struct pair p;
    (void)state;
    begin_pair(&p, secret, secret);
    run_clean(&p);
    assert_done(&p);
    assert_memory_equal(p.client.secret, wiped, 32);
    assert_memory_equal(p.server.secret, wiped, 32);
}

static void slices_of_one_byte_are_done(void **state)
{
    struct pair p;
    struct wire up = clean(), down = clean();
    (void)state;
    up.slice = down.slice = 1;
    begin_pair(&p, secret, secret);
    run(&p, &up, &down);
    assert_done(&p);
}

static void no_secret_anywhere_is_done(void **state)
{
    struct pair p;
    struct wire up = clean(), down = clean();
    (void)state;
    begin_pair(&p, NULL, NULL);
    run(&p, &up, &down);
    assert_done(&p);
    assert_int_equal(up.carried, HANDSHAKE_HELLO);
    assert_int_equal(down.carried, HANDSHAKE_HELLO);
}

static void another_secret_is_refused(void **state)
{
    struct pair p;
    const void *bytes;
    (void)state;
    begin_pair(&p, secret, other_secret);
    run_clean(&p);
    assert_refused(&p.client, SINEW_EAUTH, "does not know this job's secret");
    assert_int_equal(handshake_output(&p.client, &bytes), 0); /* and learns no proof of ours */
    assert_int_equal(outcome(&p.server), SINEW_PENDING);
}

static void a_client_with_another_secret_is_refused(void **state)
{
    struct handshake server, client;
    const void *bytes;
    uint8_t nonsense[HANDSHAKE_PROOF] = { 1, 2, 3 };
    (void)state;
    begin(&server, HANDSHAKE_SERVER, secret);
    begin(&client, HANDSHAKE_CLIENT, other_secret);
    size_t n = handshake_output(&client, &bytes);
    assert_int_equal(handshake_input(&server, bytes, n), SINEW_PENDING);
    assert_int_equal(handshake_input(&server, nonsense, sizeof(nonsense)), SINEW_EAUTH);
    assert_refused(&server, SINEW_EAUTH, "rank 2");
}

static void a_secret_on_one_side_is_refused_by_both(void **state)
{
    struct pair p;
    (void)state;
    begin_pair(&p, NULL, secret);
    run_clean(&p);
    assert_refused(&p.server, SINEW_EAUTH, "rank 2 comes without the job secret");
    assert_refused(&p.client, SINEW_EAUTH, "rank 5 asks for the job secret");
    begin_pair(&p, secret, NULL);
    run_clean(&p);
    assert_refused(&p.server, SINEW_EAUTH, "rank 2 asks for the job secret");
    assert_refused(&p.client, SINEW_EAUTH, "rank 5 comes without the job secret");
}

static void recorded_bytes_are_refused(void **state)
{
    struct pair p, again;
    struct wire up = clean(), down = clean();
    (void)state;
    begin_pair(&p, secret, secret);
    run(&p, &up, &down);
    assert_done(&p);
    begin_pair(&again, secret, secret);
    assert_int_equal(handshake_input(&again.server, up.log, HANDSHAKE_HELLO), SINEW_PENDING);
    assert_int_equal(handshake_input(&again.server, up.log + HANDSHAKE_HELLO, HANDSHAKE_PROOF),
                     SINEW_EAUTH);
    assert_int_equal(handshake_input(&again.client, down.log, HANDSHAKE_HELLO), SINEW_PENDING);
    assert_int_equal(handshake_input(&again.client, down.log + HANDSHAKE_HELLO, HANDSHAKE_PROOF),
                     SINEW_EAUTH);
}

static void reflected_bytes_are_refused(void **state)
{
    struct handshake client, server;
    struct pair p;
    const void *bytes;
    uint8_t proof[HANDSHAKE_PROOF];
    (void)state;
    begin(&client, HANDSHAKE_CLIENT, secret);
    size_t n = handshake_output(&client, &bytes);
    assert_int_equal(handshake_input(&client, bytes, n), SINEW_EPROTO);
    assert_refused(&client, SINEW_EPROTO, "our own role");

    /* The server's own proof, sent back as the client's. */
    begin_pair(&p, secret, secret);
    n = handshake_output(&p.client, &bytes);
    assert_int_equal(handshake_input(&p.server, bytes, n), SINEW_PENDING);
    assert_int_equal(handshake_output(&p.server, &bytes), HANDSHAKE_HELLO + HANDSHAKE_PROOF);
    memcpy(proof, (const uint8_t *)bytes + HANDSHAKE_HELLO, sizeof(proof));
    assert_int_equal(handshake_input(&p.server, proof, sizeof(proof)), SINEW_EAUTH);

    /* One server's hello to another server. */
    begin_pair(&p, secret, secret);
    begin(&server, HANDSHAKE_SERVER, secret);
    n = handshake_output(&p.client, &bytes);
    handshake_input(&server, bytes, n);
    handshake_output(&server, &bytes);
    assert_int_equal(handshake_input(&p.server, bytes, HANDSHAKE_HELLO), SINEW_EPROTO);
}

static void every_truncation_is_unfinished(void **state)
{
    size_t total[2] = { HANDSHAKE_HELLO + HANDSHAKE_PROOF, HANDSHAKE_HELLO + HANDSHAKE_PROOF };
    (void)state;
    for (int way = 0; way < 2; way++) {
        for (size_t cut = 0; cut < total[way]; cut++) {
            struct pair p;
            struct wire wires[2] = { clean(), clean() };
            wires[way].cut_at = cut;
            begin_pair(&p, secret, secret);
            run(&p, &wires[0], &wires[1]);
            assert_int_equal(outcome(way == 0 ? &p.server : &p.client), SINEW_PENDING);
            assert_true(handshake_wants(way == 0 ? &p.server : &p.client) > 0);
        }
    }
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        for (size_t bit = 0; bit < 8 * (HANDSHAKE_HELLO + HANDSHAKE_PROOF); bit++) {
            struct pair p;
            struct wire wires[2] = { clean(), clean() };
            wires[way].flip_at = bit / 8;
            wires[way].flip = (uint8_t)(1 << bit % 8);
            begin_pair(&p, secret, secret);
            run(&p, &wires[0], &wires[1]);
            if (outcome(&p.client) == 0 && outcome(&p.server) == 0)
                fail_msg("way %d, bit %zu flipped, and both ends are done", way, bit);
            assert_true(outcome(&p.client) < 0 || outcome(&p.server) < 0);
            assert_true(outcome(way == 0 ? &p.server : &p.client) != 0);
        }
    }
}

/* A man in the middle who makes the client look older or newer is noticed, although both ends would
 * accept such a version. */
static void changed_versions_are_refused(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct pair p;
        struct wire wires[2] = { clean(), clean() };
        wires[way].flip_at = 10; /* the low byte of the highest version grows */
        wires[way].flip = 64;
        begin_pair(&p, secret, secret);
        run(&p, &wires[0], &wires[1]);
        assert_refused(&p.client, SINEW_EAUTH, "changes bytes on the way");
    }
}

static void foreign_versions_are_named_by_both(void **state)
{
    struct pair p;
    struct wire up = clean(), down = clean();
    (void)state;
    begin_pair(&p, secret, secret);
    up.flip_at = down.flip_at = 11; /* versions 4 to 260 … */
    up.flip = down.flip = 1;
    p.client.out[8] = 200; /* … become 200 to 260 */
    p.server.transcript[HANDSHAKE_HELLO + 8] = 200;
    run(&p, &up, &down);
    assert_refused(&p.server, SINEW_EVERSION, "versions 200 to 260");
    assert_refused(&p.client, SINEW_EVERSION, "versions 200 to 260");
}

/* Every former version, for its frames would be taken for something else: refused by an end of this
 * one, whoever of the two has connected. */
static void former_versions_are_refused(void **state)
{
    (void)state;
    for (int version = 1; version < HANDSHAKE_VERSION_MIN; version++) {
        for (int way = 0; way < 2; way++) {
            struct pair p;
            char words[64];
            begin_pair(&p, secret, secret);
            struct wire up = clean(), down = clean(), *old = way == 0 ? &up : &down;
            uint8_t *hello = way == 0 ? p.client.out : p.server.transcript + HANDSHAKE_HELLO;
            assert_int_equal(hello[8], HANDSHAKE_VERSION_MIN);
            hello[8] = (uint8_t)version; /* what it says it knows at least … */
            old->flip_at = 10;           /* … and at most */
            old->flip = (uint8_t)(HANDSHAKE_VERSION_MAX ^ version);
            run(&p, &up, &down);
            snprintf(words, sizeof(words), "versions %d to %d, this library %d to %d: run the same release",
                     version, version, HANDSHAKE_VERSION_MIN, HANDSHAKE_VERSION_MAX);
            assert_refused(way == 0 ? &p.server : &p.client, SINEW_EVERSION, words);
        }
    }
}

static void another_rank_is_refused(void **state)
{
    struct pair p;
    struct handshake_identity wrong = identity(4, SERVER_EPOCH);
    (void)state;
    begin(&p.client, HANDSHAKE_CLIENT, secret);
    handshake_begin(&p.server, HANDSHAKE_SERVER, &world_real, secret, &wrong, -1, 0);
    run_clean(&p);
    assert_refused(&p.client, SINEW_EAUTH, "rank 4 answers where rank 5 was expected");
}

static void another_epoch_is_refused(void **state)
{
    struct pair p;
    struct handshake_identity wrong = identity(SERVER_RANK, SERVER_EPOCH + 1);
    (void)state;
    begin(&p.client, HANDSHAKE_CLIENT, secret);
    handshake_begin(&p.server, HANDSHAKE_SERVER, &world_real, secret, &wrong, -1, 0);
    run_clean(&p);
    assert_refused(&p.client, SINEW_EAUTH, "another process is in its place");
}

static void a_server_may_expect_too(void **state)
{
    struct pair p;
    struct handshake_identity me = identity(SERVER_RANK, SERVER_EPOCH);
    (void)state;
    begin(&p.client, HANDSHAKE_CLIENT, secret);
    handshake_begin(&p.server, HANDSHAKE_SERVER, &world_real, secret, &me, 3, 0);
    run_clean(&p);
    assert_refused(&p.server, SINEW_EAUTH, "rank 2 answers where rank 3 was expected");
    assert_int_equal(outcome(&p.client), SINEW_PENDING); /* it got a hello, and no proof */
}

static void another_purpose_is_refused(void **state)
{
    struct pair p;
    struct handshake_identity launcher = { -1, SIZE, 0, HANDSHAKE_LAUNCH, 0 };
    (void)state;
    begin(&p.client, HANDSHAKE_CLIENT, secret);
    assert_int_equal(
        handshake_begin(&p.server, HANDSHAKE_SERVER, &world_real, secret, &launcher, -1, 0), 0);
    run_clean(&p);
    assert_refused(&p.server, SINEW_EPROTO, "wants a link between ranks, this end is the launcher");
    assert_refused(&p.client, SINEW_EPROTO, "wants the launcher, this end is a link between ranks");
}

static void another_size_is_refused(void **state)
{
    struct pair p;
    struct handshake_identity wrong = identity(SERVER_RANK, SERVER_EPOCH);
    (void)state;
    wrong.size = SIZE + 1;
    begin(&p.client, HANDSHAKE_CLIENT, secret);
    handshake_begin(&p.server, HANDSHAKE_SERVER, &world_real, secret, &wrong, -1, 0);
    run_clean(&p);
    assert_refused(&p.server, SINEW_EAUTH, "the peer's job has 8 ranks, this one 9");
    assert_refused(&p.client, SINEW_EAUTH, "the peer's job has 9 ranks, this one 8");
}

static void impossible_ranks_are_refused(void **state)
{
    static const int ranks[] = { SIZE, -1, INT32_MAX, INT32_MIN };
    (void)state;
    for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
        struct handshake h;
        struct pair p;
        struct handshake_identity wrong = identity(ranks[i], 1);
        assert_int_equal(handshake_begin(&h, HANDSHAKE_CLIENT, &world_real, NULL, &wrong, -1, 0),
                         SINEW_EINVAL);
        begin_pair(&p, NULL, NULL);
        for (int b = 0; b < 4; b++) p.client.out[16 + b] = (uint8_t)((uint32_t)ranks[i] >> (8 * b));
        run_clean(&p);
        assert_refused(&p.server, SINEW_EPROTO, "calls itself rank");
    }
}

static void strangers_are_told_nothing(void **state)
{
    static const char request[HANDSHAKE_HELLO] = "GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n";
    struct handshake server;
    const void *bytes;
    (void)state;
    begin(&server, HANDSHAKE_SERVER, secret);
    assert_int_equal(handshake_input(&server, request, sizeof(request)), SINEW_EPROTO);
    assert_refused(&server, SINEW_EPROTO, "does not speak Sinew");
    assert_int_equal(handshake_output(&server, &bytes), 0);
}

/* Who speaks first and then waits is not waited for. */
static void a_few_strange_words_are_enough(void **state)
{
    struct handshake client;
    (void)state;
    begin(&client, HANDSHAKE_CLIENT, secret);
    assert_int_equal(handshake_input(&client, "S", 1), SINEW_PENDING);
    assert_int_equal(handshake_input(&client, "SH-2.0-x\r\n", 10), SINEW_EPROTO);
    assert_refused(&client, SINEW_EPROTO, "does not speak Sinew");
}

static void more_than_wanted_is_refused(void **state)
{
    struct pair p;
    const void *bytes;
    uint8_t more[HANDSHAKE_HELLO + 1] = { 0 };
    (void)state;
    begin_pair(&p, secret, secret);
    memcpy(more, p.client.out, HANDSHAKE_HELLO);
    assert_int_equal(handshake_input(&p.server, more, sizeof(more)), SINEW_EPROTO);
    assert_int_equal(handshake_output(&p.server, &bytes), 0);
    begin_pair(&p, secret, secret);
    run_clean(&p);
    assert_int_equal(handshake_input(&p.server, more, 1), SINEW_EPROTO);
}

/* RFC 4231 has no 32-byte key; this vector is of HMAC-SHA-256 with key 00 01 … 1f over "abc". */
static void hmac_is_the_standard_one(void **state)
{
    static const uint8_t expected[32] = { 0xf0, 0x13, 0x37, 0x29, 0xc4, 0x16, 0x3d, 0xed,
                                          0xe8, 0x1e, 0x21, 0xcd, 0x47, 0x83, 0x92, 0x56,
                                          0xda, 0x58, 0x17, 0x12, 0x38, 0xc8, 0xa0, 0xd8,
                                          0x74, 0x39, 0x7c, 0x73, 0xb1, 0x4e, 0x1e, 0x47 };
    uint8_t key[32], out[32];
    struct why why;
    (void)state;
    for (int i = 0; i < 32; i++) key[i] = (uint8_t)i;
    assert_int_equal(handshake_hmac(key, "abc", 3, out, &why), 0);
    assert_memory_equal(out, expected, 32);
}

/* RFC 5869, A.1: the first block of its output. */
static void hkdf_is_the_standard_one(void **state)
{
    static const uint8_t expected[32] = { 0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a,
                                          0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36, 0x2f, 0x2a,
                                          0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c,
                                          0x5d, 0xb0, 0x2d, 0x56, 0xec, 0xc4, 0xc5, 0xbf };
    uint8_t salt[32] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, input[22], info[10], out[32];
    struct why why;
    (void)state;
    memset(input, 0x0b, sizeof(input));
    for (int i = 0; i < 10; i++) info[i] = (uint8_t)(0xf0 + i);
    assert_int_equal(handshake_hkdf(salt, input, sizeof(input), info, sizeof(info), out, &why), 0);
    assert_memory_equal(out, expected, 32);
    assert_int_equal(handshake_hkdf(salt, input, 22, info, HANDSHAKE_INFO_MAX + 1, out, &why),
                     SINEW_EINVAL);
}

/* Both get the same key, and another one for every connection. */
static void encryption_gets_a_key_of_its_own(void **state)
{
    struct pair p, q;
    (void)state;
    begin_mode(&p.client, HANDSHAKE_CLIENT, HANDSHAKE_ENCRYPT);
    begin_mode(&p.server, HANDSHAKE_SERVER, HANDSHAKE_ENCRYPT | HANDSHAKE_CHECKSUM);
    q = p;
    run_clean(&p);
    assert_done(&p);
    assert_int_equal(p.client.modes, HANDSHAKE_ENCRYPT | HANDSHAKE_CHECKSUM);
    assert_int_equal(p.server.modes, p.client.modes);
    assert_memory_equal(p.client.key, p.server.key, 32);
    begin_mode(&q.server, HANDSHAKE_SERVER, HANDSHAKE_ENCRYPT);
    run_clean(&q);
    assert_done(&q);
    assert_memory_not_equal(p.client.key, q.client.key, 32);
    assert_memory_equal(q.client.key, q.server.key, 32);
}

static void encryption_on_one_side_is_refused_by_both(void **state)
{
    struct pair p;
    (void)state;
    begin_mode(&p.client, HANDSHAKE_CLIENT, HANDSHAKE_ENCRYPT);
    begin_mode(&p.server, HANDSHAKE_SERVER, 0);
    run_clean(&p);
    assert_refused(&p.server, SINEW_EAUTH, "rank 2 has security=encrypt, this process authenticate");
    assert_refused(&p.client, SINEW_EAUTH, "rank 5 has security=authenticate, this process encrypt");
}

/* Who takes the wish for encryption, or for checksums, out of both hellos is noticed. */
static void modes_cannot_be_taken_away(void **state)
{
    static const uint8_t modes[] = { HANDSHAKE_ENCRYPT, HANDSHAKE_CHECKSUM };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pair p;
        struct wire up = clean(), down = clean();
        up.flip_at = down.flip_at = 14;
        up.flip = down.flip = modes[i];
        begin_mode(&p.client, HANDSHAKE_CLIENT, modes[i]);
        begin_mode(&p.server, HANDSHAKE_SERVER, modes[i]);
        run(&p, &up, &down);
        assert_true(outcome(&p.client) < 0);
        assert_true(outcome(&p.server) != 0);
    }
}

static int no_random(void *arg, void *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return SINEW_EIO;
}

static void no_randomness_is_an_error(void **state)
{
    struct world world = world_real;
    struct handshake h;
    struct handshake_identity me = identity(0, 1);
    (void)state;
    world.random = no_random;
    assert_int_equal(handshake_begin(&h, HANDSHAKE_CLIENT, &world, secret, &me, -1, 0), SINEW_EIO);
    assert_refused(&h, SINEW_EIO, "random");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_secret_is_done),
        cmocka_unit_test(slices_of_one_byte_are_done),
        cmocka_unit_test(no_secret_anywhere_is_done),
        cmocka_unit_test(another_secret_is_refused),
        cmocka_unit_test(a_client_with_another_secret_is_refused),
        cmocka_unit_test(a_secret_on_one_side_is_refused_by_both),
        cmocka_unit_test(recorded_bytes_are_refused),
        cmocka_unit_test(reflected_bytes_are_refused),
        cmocka_unit_test(every_truncation_is_unfinished),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(changed_versions_are_refused),
        cmocka_unit_test(foreign_versions_are_named_by_both),
        cmocka_unit_test(former_versions_are_refused),
        cmocka_unit_test(another_rank_is_refused),
        cmocka_unit_test(another_epoch_is_refused),
        cmocka_unit_test(a_server_may_expect_too),
        cmocka_unit_test(another_purpose_is_refused),
        cmocka_unit_test(another_size_is_refused),
        cmocka_unit_test(impossible_ranks_are_refused),
        cmocka_unit_test(strangers_are_told_nothing),
        cmocka_unit_test(a_few_strange_words_are_enough),
        cmocka_unit_test(more_than_wanted_is_refused),
        cmocka_unit_test(hmac_is_the_standard_one),
        cmocka_unit_test(hkdf_is_the_standard_one),
        cmocka_unit_test(encryption_gets_a_key_of_its_own),
        cmocka_unit_test(encryption_on_one_side_is_refused_by_both),
        cmocka_unit_test(modes_cannot_be_taken_away),
        cmocka_unit_test(no_randomness_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
