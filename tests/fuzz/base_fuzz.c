/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every decoder of base, fed with bytes that are nearly right: mutated from good ones, as pure
 * noise is refused by the first check. What is accepted must be what was meant; what is refused
 * must leave nothing behind. Under the sanitizers a read or write out of place is a failure as
 * well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/config.h"
#include "base/frame.h"
#include "base/handshake.h"
#include "tests/seed.h"

enum { FRAMES = 300000, HANDSHAKES = 2000, SETTINGS = 100000, LOADS = 20000 };

/* Small numbers and the edges of the types are likelier than anything else. */
static uint64_t some_number(struct seed *s)
{
    static const uint64_t edges[] = { 0,      1,         0x7f,       0xff,      0x7fff,
                                      0xffff, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX };
    if (seed_below(s, 2)) return seed_below(s, 300);
    return edges[seed_below(s, sizeof(edges) / sizeof(edges[0]))];
}

static void frames(void **state)
{
    struct seed s = seed_from_environment("frames");
    int accepted = 0;
    (void)state;
    for (int i = 0; i < FRAMES; i++) {
        uint8_t bytes[FRAME_HEADER], again[FRAME_HEADER];
        struct why why;
        struct frame f = { .length = (uint32_t)some_number(&s),
                           .kind = (uint8_t)seed_next(&s),
                           .head = (uint8_t)some_number(&s),
                           .flags = seed_below(&s, 4) ? 0 : (uint16_t)some_number(&s),
                           .epoch = seed_next(&s),
                           .sequence = some_number(&s),
                           .acknowledged = seed_next(&s) };
        uint32_t most = (uint32_t)some_number(&s);
        frame_encode(bytes, &f);
        if (seed_below(&s, 4) == 0) bytes[seed_below(&s, FRAME_HEADER)] ^= (uint8_t)seed_next(&s);
        int rc = frame_decode(bytes, most, &f, &why);
        assert_true(rc == 0 || rc == SINEW_EPROTO);
        if (rc < 0) continue;
        accepted++;
        assert_true(f.length <= most && f.head <= f.length && (f.flags & ~FRAME_URGENT) == 0);
        frame_encode(again, &f);
        assert_memory_equal(again, bytes, sizeof(bytes));
    }
    assert_in_range(accepted, FRAMES / 20, FRAMES * 19 / 20);
}

static int seeded_random(void *arg, void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) ((uint8_t *)bytes)[i] = (uint8_t)seed_next(arg);
    return 0;
}

/* Move bytes in slices of any length, now and then changed; returns how many were changed. */
static int carry(struct seed *s, struct handshake *from, struct handshake *to, unsigned rarity)
{
    const void *bytes;
    uint8_t copy[HANDSHAKE_BUFFER];
    int changed = 0;
    size_t n = handshake_output(from, &bytes), wants = handshake_wants(to);
    if (n > wants) n = wants;
    if (n == 0) return 0;
    n = 1 + seed_below(s, n);
    memcpy(copy, bytes, n);
    for (size_t i = 0; i < n; i++) {
        if (seed_below(s, rarity)) continue;
        uint8_t before = copy[i];
        copy[i] = seed_below(s, 2) ? (uint8_t)some_number(s) : (uint8_t)seed_next(s);
        changed += copy[i] != before;
    }
    handshake_sent(from, n);
    int rc = handshake_input(to, copy, n);
    assert_true(rc <= SINEW_PENDING);
    assert_true(handshake_wants(to) <= HANDSHAKE_HELLO);
    assert_true(rc == SINEW_PENDING || handshake_wants(to) == 0);
    if (rc < 0) assert_int_equal(handshake_input(to, copy, 0), rc); /* refused for ever */
    return changed;
}

static void handshakes(void **state)
{
    static const uint8_t secret[32] = { 7 };
    struct seed s = seed_from_environment("handshakes");
    struct world world = world_real;
    int done = 0, refused = 0;
    (void)state;
    world.arg = &s;
    world.random = seeded_random;
    for (int i = 0; i < HANDSHAKES; i++) {
        struct handshake ends[2];
        unsigned rarity = 20 + (unsigned)seed_below(&s, 500);
        int changed = 0, last = 0;
        for (int e = 0; e < 2; e++) {
            struct handshake_identity me = { e, 2, 10 + (uint64_t)e, HANDSHAKE_LINK, 0 };
            assert_int_equal(handshake_begin(&ends[e], e ? HANDSHAKE_SERVER : HANDSHAKE_CLIENT,
                                             &world, secret, &me, -1, 0),
                             0);
        }
        for (int idle = 0; idle < 8; last ^= 1) {
            const void *unused;
            size_t before = handshake_output(&ends[last], &unused);
            changed += carry(&s, &ends[last], &ends[!last], rarity);
            idle = handshake_output(&ends[last], &unused) == before ? idle + 1 : 0;
        }
        int outcomes[2] = { handshake_input(&ends[0], NULL, 0),
                            handshake_input(&ends[1], NULL, 0) };
        bool both = outcomes[0] == 0 && outcomes[1] == 0;
        if (both != (changed == 0))
            fail_msg("handshake %d: %d bytes changed, done: %d", i, changed, both);
        both ? done++ : refused++;
    }
    assert_true(done > HANDSHAKES / 20 && refused > HANDSHAKES / 20);
}

static void some_text(struct seed *s, char *out, size_t cap)
{
    static const char *const pieces[] = {
        "1",   "8",        "16",           "K",          "M",           "G",     "s",
        "ms",  "us",       "ns",           ".",          "-",           ",",     "=",
        "shm", "tcp",      "sim",          "ucx",        "none",        "never", "single",
        "0",   "99999999", "eager_bytes=", "log_level=", "transports=", " ",     "\xff"
    };
    size_t n = seed_below(s, 6);
    if (seed_below(s, 100) == 0) n = 40;
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const char *piece = pieces[seed_below(s, sizeof(pieces) / sizeof(pieces[0]))];
        if (strlen(out) + strlen(piece) + 1 < cap) strcat(out, piece);
    }
}

static void assert_in_its_range(const struct config *c)
{
    struct config again;
    struct config_row row;
    struct why why;
    memset(&again, 0, sizeof(again));
    for (int i = 0; config_row(c, NULL, i, &row); i++)
        if (config_set(&again, row.name, row.value, &why) != 0) fail_msg("%s", why.text);
    assert_memory_equal(&again, c, sizeof(again));
}

static void settings(void **state)
{
    struct seed s = seed_from_environment("settings");
    struct config c, before;
    struct config_row row;
    struct why why;
    int rows = 0, accepted = 0;
    (void)state;
    assert_int_equal(config_load(&c, NULL, NULL, NULL, NULL, &why), 0);
    while (config_row(&c, NULL, rows, &row)) rows++;
    for (int i = 0; i < SETTINGS; i++) {
        char name[64], value[512];
        config_row(&c, NULL, (int)seed_below(&s, (uint64_t)rows), &row);
        snprintf(name, sizeof(name), "%s", row.name);
        if (seed_below(&s, 10) == 0) name[seed_below(&s, strlen(name) + 1)] = (char)seed_next(&s);
        some_text(&s, value, sizeof(value));
        before = c;
        int rc = config_set(&c, name, value, &why);
        assert_true(rc == 0 || rc == SINEW_EINVAL || rc == SINEW_ENOTSUP || rc == SINEW_ENOENT);
        if (rc < 0) {
            assert_memory_equal(&c, &before, sizeof(c));
            assert_true(why.text[0]);
        } else {
            accepted++;
            assert_in_its_range(&c);
        }
    }
    assert_in_range(accepted, SETTINGS / 50, SETTINGS * 49 / 50);
}

static void whole_configurations(void **state)
{
    struct seed s = seed_from_environment("whole_configurations");
    struct config c;
    struct why why;
    int accepted = 0;
    (void)state;
    for (int i = 0; i < LOADS; i++) {
        struct sinew_options o = SINEW_OPTIONS_INIT;
        char list[512], text[512], variable[600];
        char *environment[] = { variable, NULL };
        some_text(&s, list, sizeof(list));
        some_text(&s, text, sizeof(text));
        snprintf(variable, sizeof(variable), "SINEW_%s%s", seed_below(&s, 2) ? "EAGER_BYTES=" : "",
                 text);
        if (seed_below(&s, 2)) o.settings = list;
        if (seed_below(&s, 2)) o.log_level = (int)some_number(&s);
        int rc = config_load(&c, &o, environment, NULL, NULL, &why);
        assert_true(rc == 0 || rc == SINEW_EINVAL || rc == SINEW_ENOTSUP);
        if (rc < 0) continue;
        accepted++;
        assert_in_its_range(&c);
    }
    assert_in_range(accepted, LOADS / 50, LOADS * 49 / 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames),
        cmocka_unit_test(handshakes),
        cmocka_unit_test(settings),
        cmocka_unit_test(whole_configurations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
