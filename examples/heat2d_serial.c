/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heat2d_serial.c - the same plate without ranks, blocks or halos, to compare with
 */
#include "heat2d.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* The plate with its cold rim: cell (x, y) is at (y + 1) * stride + x + 1. */
struct plate {
    struct heat_grid grid;
    size_t stride;
    double *now, *next;
    uint8_t *source; /* 1 where the word is, laid out like the cells */
};

static void plate_step(struct plate *p)
{
    for (int y = 0; y < p->grid.height; y++) {
        size_t row = ((size_t)y + 1) * p->stride + 1;
        for (size_t i = row; i < row + (size_t)p->grid.width; i++) {
            double mean = ((p->now[i - p->stride] + p->now[i + p->stride]) +
                           (p->now[i - 1] + p->now[i + 1])) * 0.25;
            p->next[i] = p->source[i] ? 1.0 : mean;
        }
    }
}

static double plate_change(const struct plate *p)
{
    double most = 0;
    size_t cells = p->stride * ((size_t)p->grid.height + 2);
    for (size_t i = 0; i < cells; i++) most = fmax(most, fabs(p->next[i] - p->now[i]));
    return most;
}

static void plate_run(struct plate *p, const struct heat_options *opt, struct heat_outcome *outcome)
{
    for (int step = 1; step <= opt->steps; step++) {
        plate_step(p);
        bool look = step % HEAT_LOOK_EVERY == 0 || step == opt->steps;
        if (look) *outcome = (struct heat_outcome){ step, plate_change(p) };
        double *old = p->now;
        p->now = p->next;
        p->next = old;
        if (look && outcome->change <= opt->tolerance) return;
    }
}

/* The cells alone, without the rim. */
static double *plate_cells(const struct plate *p)
{
    size_t width = (size_t)p->grid.width, height = (size_t)p->grid.height;
    double *cells = malloc(width * height * sizeof(double));
    for (size_t y = 0; cells && y < height; y++)
        for (size_t x = 0; x < width; x++)
            cells[y * width + x] = p->now[(y + 1) * p->stride + x + 1];
    return cells;
}

double *heat_serial(const struct heat_options *opt, struct heat_outcome *outcome)
{
    struct plate p = { .grid = { opt->width, opt->height, 1, 1 } };
    double *cells = NULL;
    p.stride = (size_t)opt->width + 2;
    size_t all = p.stride * ((size_t)opt->height + 2);
    p.now = calloc(all, sizeof(double));
    p.next = calloc(all, sizeof(double));
    p.source = calloc(all, 1);
    if (p.now && p.next && p.source) {
        for (int y = 0; y < opt->height; y++)
            for (int x = 0; x < opt->width; x++) {
                size_t i = ((size_t)y + 1) * p.stride + (size_t)x + 1;
                p.source[i] = heat_is_source(&p.grid, x, y);
                p.now[i] = p.source[i];
            }
        plate_run(&p, opt, outcome);
        cells = plate_cells(&p);
    }
    free(p.now);
    free(p.next);
    free(p.source);
    return cells;
}
