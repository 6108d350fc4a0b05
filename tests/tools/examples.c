/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * examples.c - the examples work: ring adds up; heat2d computes the same bits however it is cut,
 * its check notices a missing exchange, and its image is a PNG
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "run.h"

#ifdef TOOLS_PNG
#include <png.h>
#endif

#ifdef TOOLS_FULL_SIZE
#define HEAT "heat2d"
#define HEAT_SHORTER "heat2d --steps 500"
#else
#define HEAT "heat2d --size 97x61 --steps 300" /* what a sanitizer or a debug build can do */
#define HEAT_SHORTER HEAT
#endif
#define HEAT_SMALL "heat2d --size 97x61 --steps 300"

static struct run r;
static const char *const transports[] = { "shm", "tcp" };
enum { TRANSPORTS = 2 };

static char directory[] = "/tmp/sinew-examples-XXXXXX";
static char image[64];

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory)) return -1;
    snprintf(image, sizeof(image), "%s/plate.png", directory);
    return 0;
}

static int remove_directory(void **state)
{
    char other[64];
    (void)state;
    snprintf(other, sizeof(other), "%s/plate.ppm", directory);
    unlink(other);
    unlink(image);
    return rmdir(directory);
}

static void ring_adds_up_the_ranks(void **state)
{
    (void)state;
    run_line(&r, "ring");
    run_expect(&r, 0);
    assert_string_equal(r.out, "1 ranks, and their numbers add up to 0\n");
    for (int t = 0; t < TRANSPORTS; t++) {
        run_ranks(&r, 4, transports[t], "ring");
        run_expect(&r, 0);
        assert_string_equal(r.out, "4 ranks, and their numbers add up to 6\n");
    }
}

/* All steps on 4 ranks; the edges that others exchange are as many in each step. */
static void heat_is_the_same_bits_on_any_ranks(void **state)
{
    static const int ranks[] = { 1, 2, 4, 6, 8 };
    (void)state;
    for (int t = 0; t < TRANSPORTS; t++)
        for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
            run_ranks(&r, ranks[i], transports[t], "%s --check --out %s",
                      ranks[i] == 4 ? HEAT : HEAT_SHORTER, image);
            run_expect(&r, 0);
            assert_non_null(strstr(r.out, "check: the same bits"));
        }
}

/* Plates that do not divide evenly, and blocks one cell wide. */
static void heat_can_be_cut_anyhow(void **state)
{
    static const char *const sizes[] = { "8x8", "9x31", "64x8", "101x103" };
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int ranks = 3; ranks <= 7; ranks += 2) {
            run_ranks(&r, ranks, "", "heat2d --size %s --steps 120 --check --out %s", sizes[i],
                      image);
            run_expect(&r, 0);
        }
}

/* What --check is worth: one exchange left out in the middle of the run must be seen. */
static void a_missing_exchange_is_noticed(void **state)
{
    (void)state;
    for (int ranks = 2; ranks <= 4; ranks += 2) {
        run_ranks(&r, ranks, "", HEAT_SMALL " --check --skip-halo --out %s", image);
        run_expect(&r, 1);
        assert_non_null(strstr(r.out, "check: FAILED"));
    }
}

static void heat_stops_when_nothing_changes(void **state)
{
    (void)state;
    run_ranks(&r, 2, "", "heat2d --size 16x16 --steps 50000 --check --out %s", image);
    run_expect(&r, 0);
    assert_non_null(strstr(r.out, "(converged)"));
    assert_null(strstr(r.out, " 50000 steps"));
}

static void the_image_is_a_png_with_cold_and_hot(void **state)
{
    (void)state;
#ifdef TOOLS_PNG
    run_ranks(&r, 4, "", HEAT_SMALL " --out %s", image);
    run_expect(&r, 0);
    png_image png;
    memset(&png, 0, sizeof(png));
    png.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&png, image)) fail_msg("%s: %s", image, png.message);
    assert_int_equal(png.width, 97);
    assert_int_equal(png.height, 61);
    png.format = PNG_FORMAT_RGB;
    static uint8_t rgb[97 * 61 * 3];
    if (!png_image_finish_read(&png, NULL, rgb, 0, NULL)) fail_msg("%s: %s", image, png.message);
    assert_true(rgb[0] < 16 && rgb[1] < 16 && rgb[2] < 80); /* the corner is cold */
    int hot = 0;
    for (size_t i = 0; i < sizeof(rgb); i += 3)
        if (rgb[i] > 240 && rgb[i + 1] > 240) hot++;
    assert_true(hot > 50);
#else
    print_message("libpng-dev was missing when this was built\n");
    skip();
#endif
}

static void an_image_that_cannot_be_written_fails(void **state)
{
    (void)state;
    run_ranks(&r, 2, "", "heat2d --size 16x16 --steps 10 --out %s/none/plate.png", directory);
    run_expect(&r, 1);
    assert_non_null(strstr(r.err, "/none/plate"));
}

static void bad_arguments_are_refused_with_their_bounds(void **state)
{
    static const char *const cases[][2] = {
        { "--size 7x9", "from 8 to 16384" },   { "--size 1000", "from 8 to 16384" },
        { "--size 9x9x9", "from 8 to 16384" }, { "--steps 0", "from 1 to" },
        { "--steps many", "from 1 to" },       { "--tolerance -1", "from 0 to 1" },
        { "--nonsense", "nonsense" },          { "stray", "stray" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run_line(&r, "heat2d %s", cases[i][0]);
        run_expect(&r, 2);
        if (!strstr(r.err, cases[i][1])) fail_msg("heat2d %s said: %s", cases[i][0], r.err);
    }
    run_line(&r, "heat2d --help");
    run_expect(&r, 0);
    assert_null(strstr(r.out, "skip"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_adds_up_the_ranks),
        cmocka_unit_test(heat_is_the_same_bits_on_any_ranks),
        cmocka_unit_test(heat_can_be_cut_anyhow),
        cmocka_unit_test(a_missing_exchange_is_noticed),
        cmocka_unit_test(heat_stops_when_nothing_changes),
        cmocka_unit_test(the_image_is_a_png_with_cold_and_hot),
        cmocka_unit_test(an_image_that_cannot_be_written_fails),
        cmocka_unit_test(bad_arguments_are_refused_with_their_bounds),
    };
    return cmocka_run_group_tests_name("examples", tests, make_directory, remove_directory);
}
