/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan_compare.c - all algorithms of a collective side by side: simulated, predicted, drawn
 */
#include "plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sinew/sinew.h"

enum { ROWS = 24, SIZES = 21, FIRST_SIZE = 8, INSTANCES_MOST = 1 << 24 };

/* What one algorithm takes at one size, us; negative: it cannot, `why` says so. */
struct figure {
    double simulated, predicted;
    uint64_t sent;
    uint32_t between; /* blocks of TMP */
    char why[WHY_MAX];
};

struct comparison {
    const struct plan_options *o;
    struct algorithm of[ROWS];
    uint32_t rows, sizes;
    uint64_t bytes[SIZES];
    struct figure at[ROWS][SIZES];
};

/* Rings and the like, of many ranks: more operations than are worth a simulation's memory. */
static bool compare_is_long(const struct algorithm *a, uint32_t ranks)
{
    struct work w = a->work(ranks, 1, a->initial ? a->initial : 2);
    return w.messages * ranks > INSTANCES_MOST;
}

static struct situation compare_situation(const struct plan_options *o, uint64_t bytes)
{
    return (struct situation){ .size = o->ranks,
                               .bytes = bytes,
                               .link = o->link,
                               .rules = o->rules,
                               .crowded = o->crowded,
                               .has_arithmetic = collective_adds(o->collective) };
}

static void compare_one(const struct comparison *c, const struct algorithm *a, uint64_t bytes,
                        struct figure *f)
{
    const struct plan_options *o = c->o;
    struct situation at = compare_situation(o, bytes);
    struct plan p;
    struct simulation s;
    *f = (struct figure){ .simulated = -1 };
    f->predicted = algorithm_time(a, a->initial, &at) / 1000;
    if (compare_is_long(a, o->ranks)) {
        snprintf(f->why, sizeof(f->why), "too many operations to simulate");
        return;
    }
    struct algorithm tiled = *a;
    tiled.initial = algorithm_tiles(a, a->initial, bytes);
    if (plan_make(&p, &tiled, o->ranks, o->root, o->in_place, f->why) < 0) return;
    if (simulate(&p, &o->model, bytes, &s, f->why) == 0) {
        f->simulated = (double)s.finish[s.last_rank] / 1e6;
        f->sent = s.bytes;
        f->between = p.lane[s.last_rank].blocks[BUFFER_TMP];
        simulation_free(&s, p.size);
    }
    plan_free(&p);
}

/* With the initial parameters. */
static void compare_rows(struct comparison *c)
{
    for (uint32_t i = 0; i < algorithm_count && c->rows < ROWS; i++)
        if (algorithms[i].collective == c->o->collective) c->of[c->rows++] = algorithms[i];
    for (uint32_t r = 0; r < c->rows; r++)
        for (uint32_t s = 0; s < c->sizes; s++)
            compare_one(c, &c->of[r], c->bytes[s], &c->at[r][s]);
}

/* As --algorithm takes it; with tiles, if there is one size. */
static const char *compare_name(const struct comparison *c, uint32_t row, char *name)
{
    const struct algorithm *a = &c->of[row];
    uint64_t bytes = c->sizes == 1 ? c->bytes[0] : 0;
    return algorithm_text(a, algorithm_tiles(a, a->initial, bytes), name);
}

static void print_one_size(const struct comparison *c)
{
    char name[ALGORITHM_NAME_MAX];
    struct situation at = compare_situation(c->o, c->bytes[0]);
    struct choice choice = algorithm_choose(c->o->collective, &at);
    printf("%-26s %12s %12s %14s %10s\n", collective_name(c->o->collective), "us", "predicted",
           "bytes sent", "TMP");
    for (uint32_t r = 0; r < c->rows; r++) {
        const struct figure *f = &c->at[r][0];
        if (f->simulated < 0)
            printf("%-26s %s\n", compare_name(c, r, name), f->why);
        else
            printf("%-26s %12.3f %12.3f %14llu %10u\n", compare_name(c, r, name), f->simulated,
                   f->predicted, (unsigned long long)f->sent, f->between);
    }
    printf("chosen over %s: %s, by %s\n", c->o->link,
           algorithm_text(&algorithms[choice.algorithm], choice.parameter, name), choice.by);
}

/* A line for each size, a column for each algorithm; the least of a line has a star. */
static void print_sizes(const struct comparison *c)
{
    char name[ALGORITHM_NAME_MAX];
    printf("%s among %u ranks, simulated us\n%10s", collective_name(c->o->collective), c->o->ranks,
           "bytes");
    for (uint32_t r = 0; r < c->rows; r++) printf(" %20.20s", compare_name(c, r, name));
    printf("  chosen over %s\n", c->o->link);
    for (uint32_t s = 0; s < c->sizes; s++) {
        struct situation at = compare_situation(c->o, c->bytes[s]);
        struct choice choice = algorithm_choose(c->o->collective, &at);
        double least = INFINITY;
        printf("%10llu", (unsigned long long)c->bytes[s]);
        for (uint32_t r = 0; r < c->rows; r++)
            if (c->at[r][s].simulated >= 0 && c->at[r][s].simulated < least)
                least = c->at[r][s].simulated;
        for (uint32_t r = 0; r < c->rows; r++) {
            const struct figure *f = &c->at[r][s];
            if (f->simulated < 0)
                printf(" %20s", "-");
            else
                printf(" %19.3f%s", f->simulated, f->simulated <= least ? "*" : " ");
        }
        printf("  %s, by %s\n",
               algorithm_text(&algorithms[choice.algorithm], choice.parameter, name), choice.by);
    }
}

/* -----------------------------------------------------------------------------------------
 * drawn */

enum { LEFT = 70, TOP = 40, WIDE = 640, HIGH = 420, KEY = 200 };

struct axes {
    double low, high; /* log10 of us */
    double first, last; /* log2 of bytes */
};

static double axis_x(const struct axes *a, uint64_t bytes)
{
    return LEFT + (log2((double)bytes) - a->first) / (a->last - a->first) * WIDE;
}

static double axis_y(const struct axes *a, double us)
{
    return TOP + HIGH - (log10(us) - a->low) / (a->high - a->low) * HIGH;
}

static struct axes axes_of(const struct comparison *c)
{
    struct axes a = { 9, -9, log2((double)c->bytes[0]), log2((double)c->bytes[c->sizes - 1]) };
    for (uint32_t r = 0; r < c->rows; r++)
        for (uint32_t s = 0; s < c->sizes; s++) {
            double us = c->at[r][s].simulated;
            if (us <= 0) continue;
            if (floor(log10(us)) < a.low) a.low = floor(log10(us));
            if (ceil(log10(us)) > a.high) a.high = ceil(log10(us));
        }
    return a;
}

static void draw_axes(FILE *f, const struct axes *a, const struct comparison *c)
{
    for (double e = a->low; e <= a->high; e++) {
        double y = axis_y(a, pow(10, e));
        fprintf(f, "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#ddd'/>\n", LEFT, y,
                LEFT + WIDE, y);
        const char *unit = e >= 6 ? "s" : e >= 3 ? "ms" : "us";
        fprintf(f, "<text x='%d' y='%.1f' text-anchor='end'>%g %s</text>\n", LEFT - 6, y + 4,
                pow(10, e >= 6 ? e - 6 : e >= 3 ? e - 3 : e), unit);
    }
    for (uint32_t s = 0; s < c->sizes; s += 2) {
        uint64_t b = c->bytes[s];
        double x = axis_x(a, b);
        fprintf(f, "<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='#eee'/>\n", x, TOP, x,
                TOP + HIGH);
        fprintf(f, "<text x='%.1f' y='%d' text-anchor='middle'>%llu%s</text>\n", x, TOP + HIGH + 18,
                (unsigned long long)(b >= 1 << 20 ? b >> 20 : b >= 1 << 10 ? b >> 10 : b),
                b >= 1 << 20 ? "M" : b >= 1 << 10 ? "K" : "");
    }
}

static void draw_line(FILE *f, const struct axes *a, const struct comparison *c, uint32_t r)
{
    static const char *const colours[] = { "#4477aa", "#ee6677", "#228833", "#ccbb44",
                                           "#66ccee", "#aa3377", "#000000" };
    char name[ALGORITHM_NAME_MAX];
    const char *dash = r >= 7 ? " stroke-dasharray='6 3'" : "", *colour = colours[r % 7];
    double y = TOP + 18.0 * r;
    fprintf(f, "<polyline fill='none' stroke='%s' stroke-width='2'%s points='", colour, dash);
    for (uint32_t s = 0; s < c->sizes; s++)
        if (c->at[r][s].simulated > 0)
            fprintf(f, "%.1f,%.1f ", axis_x(a, c->bytes[s]), axis_y(a, c->at[r][s].simulated));
    fprintf(f, "'/>\n<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='%s' stroke-width='2'%s/>\n",
            LEFT + WIDE + 16, y, LEFT + WIDE + 40, y, colour, dash);
    fprintf(f, "<text x='%d' y='%.1f'>%s</text>\n", LEFT + WIDE + 46, y + 4,
            compare_name(c, r, name));
}

static int draw_sizes(const struct comparison *c)
{
    FILE *f = fopen(c->o->svg, "w");
    if (!f) {
        fprintf(stderr, "sinew-plan: cannot write %s\n", c->o->svg);
        return 1;
    }
    struct axes a = axes_of(c);
    fprintf(f,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
            "font-family='sans-serif' font-size='12'>\n<rect width='100%%' height='100%%' fill='white'/>\n"
            "<text x='%d' y='22' font-size='15'>%s among %u ranks, simulated</text>\n",
            LEFT + WIDE + KEY, TOP + HIGH + 30, LEFT, collective_name(c->o->collective),
            c->o->ranks);
    draw_axes(f, &a, c);
    for (uint32_t r = 0; r < c->rows; r++) draw_line(f, &a, c, r);
    fprintf(f, "</svg>\n");
    return fclose(f) == 0 ? 0 : 1;
}

int run_compare(const struct plan_options *o)
{
    static struct comparison c;
    bool one = o->has_bytes || o->collective == COLLECTIVE_BARRIER;
    c.o = o;
    c.sizes = one ? 1 : SIZES;
    for (uint32_t s = 0; s < c.sizes; s++)
        c.bytes[s] = one ? o->bytes : (uint64_t)FIRST_SIZE << s;
    compare_rows(&c);
    if (one)
        print_one_size(&c);
    else
        print_sizes(&c);
    return !one && o->svg ? draw_sizes(&c) : 0;
}
