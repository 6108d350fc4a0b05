/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_scribble_test.c - a peer that is another process writes what it likes into the shared memory,
 * while the victim runs
 *
 *   noise   random words, lengths and bytes, anywhere
 *   flips   every slot always holds a message that is new, of two lengths in turn: what is read
 *           twice is read differently
 *   puts    the same with two places in a region, each of which is allowed, and not the mix of both
 *
 * The victim must end the link or go on; a third rank's link must not notice; nothing outside the
 * region may change. The address sanitizer sees the rest: all memory here is of exact length.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/wire.h"
#include "tests/seed.h"
#include "tests/unit/shm_pair.h"

enum manner { NOISE, FLIPS, PUTS };
enum { REGION = 65536, ENOUGH = 640 /* messages taken */, LONG = SEGMENT_FRAGMENT };

/* --- the hostile process ---------------------------------------------------------------------- */

static uint64_t slot_word(uint32_t index, uint64_t kind, uint64_t hlen, uint64_t blen)
{
    return ring_due(index, (uint8_t)kind, (size_t)hlen) | blen << 32;
}

static void write_noise(uint8_t *segment, struct seed *seed)
{
    size_t ring = ring_bytes(&segment_shape), slots = 256 + SEGMENT_SLOTS * RING_LINE;
    uint64_t r = seed_next(seed), v = seed_next(seed);
    size_t at = (size_t)(r >> 8) % (r & 1 ? slots : ring);
    at = (at + (r & 2 ? ring : 0)) & ~(size_t)7;
    if (r & 4) at &= ~(size_t)63;      /* a word of a slot, */
    if (r & 8) v &= 0x003f3fff3f03ffff; /* with plausible lengths */
    if (r & 8) v |= 0x8000;             /* and turn */
    if (r & 16) v = at % RING_LINE ? v & 0xff : v;
    memcpy(segment + at, &v, 8);
}

/* All slots of one lap, again and again, until the victim has taken them. */
static void write_flips(uint8_t *segment, uint32_t lap, const struct region *region)
{
    uint8_t head[24];
    struct ring *ring = segment_ring(segment, 0);
    if (region) memcpy(head, region->key, 16);
    for (int flip = 0;
         (uint16_t)shared_load_acquire32(&ring->returned) < (lap + 1) * SEGMENT_SLOTS;
         flip++) {
        for (uint32_t i = 0; i < SEGMENT_SLOTS; i++) {
            bool is_long = (flip + (int)i) % 2;
            uint64_t word = slot_word(lap * SEGMENT_SLOTS + i, SHM_MESSAGE, is_long ? 64 : 16,
                                      is_long ? SEGMENT_EAGER_MAX : 8);
            if (!is_long && flip % 4 < 2)
                word = slot_word(lap * SEGMENT_SLOTS + i, SHM_SHORT, 8, flip % 4 ? 8 : 49);
            if (region) {
                wire_put64(head + 16, is_long ? 0 : REGION - 8);
                memcpy(ring->slots[i].data, head, sizeof(head));
                word = slot_word(lap * SEGMENT_SLOTS + i, SHM_PUT, 24, is_long ? LONG : 8);
            }
            atomic_store_explicit(&ring->slots[i].word, word, memory_order_relaxed);
        }
    }
}

static _Noreturn void hostile_run(const struct end *victim, enum manner manner,
                                  const struct region *region, struct seed seed)
{
    struct end me;
    end_open(&me, 0, 3, NULL);
    end_connect(&me, 1, victim);
    WHILE (me.peers[1].ups == 0) end_progress(&me);
    uint8_t *segment = me.peers[1].link->segment;
    uint64_t one = 1;
    for (uint32_t n = 0;; n++) {
        if (manner == NOISE)
            write_noise(segment, &seed);
        else
            write_flips(segment, n, manner == PUTS ? region : NULL);
        if (n % 64 == 0 && write(me.peers[1].link->peer_wake, &one, 8) < 0) continue;
    }
}

/* --- the victim ------------------------------------------------------------------------------- */

static int read_all(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body,
                    size_t blen)
{
    volatile uint8_t sum = 0;
    (void)p;
    for (size_t i = 0; i < hlen; i++) sum = (uint8_t)(sum + head[i]);
    for (size_t i = 0; i < blen; i++) sum = (uint8_t)(sum + body[i]);
    return 0;
}

/* Until the link has ended, or held for long enough. Returns the messages taken. */
static uint32_t victim_run(struct end *v, enum manner manner, struct seed *seed)
{
    static uint8_t bytes[SEGMENT_EAGER_MAX];
    int64_t until = world_now(&world_real) + (manner == NOISE ? 20000000 : 10 * CONFIG_SECOND);
    uint32_t taken = 0;
    while (v->peers[0].link && taken < ENOUGH && world_now(&world_real) < until) {
        struct shm_link *l = v->peers[0].link;
        if (manner == NOISE) {
            size_t len = (size_t)seed_below(seed, sizeof(bytes) + 1);
            transport_shm.send(&l->base, "head", 4, bytes, len, NULL, 0);
            if (seed_below(seed, 16) == 0) transport_shm.arm(&v->t->base);
        }
        end_progress(v);
        if (v->peers[0].link) taken = l->rx.next;
    }
    return taken;
}

static void check_third(struct end *v, struct end *third)
{
    uint64_t n = v->peers[2].messages, back = third->peers[1].messages;
    assert_int_equal(send_to(third, 1, "ok", 2, NULL, 0), 0);
    assert_int_equal(send_to(v, 2, "ok", 2, NULL, 0), 0);
    UNTIL(v->peers[2].messages == n + 1 && third->peers[1].messages == back + 1, v, third);
}

/* Its memory has exactly the length of the region, and so has what surrounds it. */
struct guarded {
    uint8_t *before, *region, *after;
};

static void guarded_check(struct guarded *g)
{
    for (size_t i = 0; i < REGION; i++) assert_true(g->before[i] == 0x11 && g->after[i] == 0x11);
    free(g->before);
    free(g->region);
    free(g->after);
}

static struct guarded guarded_make(void)
{
    struct guarded g = { malloc(REGION), malloc(REGION), malloc(REGION) };
    memset(g.before, 0x11, REGION);
    memset(g.region, 0, REGION);
    memset(g.after, 0x11, REGION);
    return g;
}

struct tally {
    int ended;
    uint64_t taken;
};

static void scribbled(enum manner manner, struct seed *seed, struct tally *tally)
{
    struct end v, third;
    struct guarded g = guarded_make();
    struct region mine = { .base = g.region, .len = REGION };
    end_open(&v, 1, 3, NULL);
    end_open(&third, 2, 3, NULL);
    end_connect(&third, 1, &v);
    UNTIL(third.peers[1].ups && v.peers[2].ups, &v, &third);
    v.recv = read_all;
    assert_int_equal(transport_shm.reg(&v.t->base, NULL, &mine), 0);
    struct seed of_child = { seed_next(seed) };
    pid_t child = bounded_fork();
    if (child == 0) hostile_run(&v, manner, &mine, of_child);
    UNTIL(v.peers[0].ups == 1, &v, &third);
    tally->taken += victim_run(&v, manner, seed);
    tally->ended += v.peers[0].link == NULL;
    if (v.peers[0].downs) assert_int_equal(v.peers[0].status, SINEW_EPROTO);
    check_third(&v, &third);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    UNTIL(!v.peers[0].link, &v, &third);
    assert_int_equal(v.peers[0].downs, 1);
    check_third(&v, &third);
    assert_int_equal(transport_shm.dereg(&v.t->base, &mine), 0);
    end_disconnect(&v, 2, DISCONNECT_DRAIN);
    UNTIL(!v.peers[2].link && !third.peers[1].link, &v, &third);
    end_close(&third);
    end_close(&v);
    guarded_check(&g);
}

/* More often until as many links as that have ended: a scribbler that gets no processor hits
 * nothing. */
static struct tally scribbled_often(enum manner manner, const char *name, int times, int ended)
{
    struct seed seed = seed_from_environment(name);
    struct tally tally = { 0 };
    int i = 0;
    for (; i < times || (tally.ended < ended && i < 5 * times); i++)
        scribbled(manner, &seed, &tally);
    print_message("%s: %d links of %d ended, %llu messages taken\n", name, tally.ended, i,
                  (unsigned long long)tally.taken);
    return tally;
}

static void test_noise_harms_its_own_link_only(void **state)
{
    (void)state;
    assert_true(scribbled_often(NOISE, "noise", 60, 6).ended > 5); /* else it does not hit */
}

static void test_lengths_that_flip_are_read_once(void **state)
{
    (void)state;
    assert_true(scribbled_often(FLIPS, "flips", 20, 0).taken > 20 * ENOUGH / 2);
}

static void test_places_that_flip_are_read_once(void **state)
{
    (void)state;
    assert_true(scribbled_often(PUTS, "puts", 40, 1).ended > 0); /* some saw the mix, refused */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, end_no_residue, end_no_residue)
    const struct CMUnitTest tests[] = {
        TEST(test_noise_harms_its_own_link_only),
        TEST(test_lengths_that_flip_are_read_once),
        TEST(test_places_that_flip_are_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
