/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heat2d.c - heat on a plate, computed by a grid of ranks; see heat2d.h
 */
#include "heat2d.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct heat {
    struct heat_options opt;
    struct sinew *s;
    struct sinew_team *world;
    struct heat_grid grid;
    struct heat_block block;
    struct heat_halo halo;
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The cells that need the halo: the outermost of the block. */
static void heat_step_edges(struct heat_block *b)
{
    int last_row = b->height - 1, last_column = b->width - 1;
    heat_step(b, 0, b->width, 0, 1);
    if (last_row > 0) heat_step(b, 0, b->width, last_row, b->height);
    heat_step(b, 0, 1, 1, last_row);
    if (last_column > 0) heat_step(b, last_column, b->width, 1, last_row);
}

/* One step: the edges travel while the inside is computed. */
static int heat_advance(struct heat *h, bool exchange)
{
    struct heat_block *b = &h->block;
    int status = exchange ? heat_halo_start(&h->halo, b) : 0;
    if (status < 0) return status;
    heat_step(b, 1, b->width - 1, 1, b->height - 1);
    if (exchange) status = heat_halo_finish(&h->halo, b);
    if (status < 0) return status;
    heat_step_edges(b);
    heat_sources(b, &h->grid, b->next);
    return 0;
}

static int heat_run(struct heat *h, struct heat_outcome *outcome)
{
    for (int step = 1; step <= h->opt.steps; step++) {
        bool skip = h->opt.skip_halo && step == h->opt.steps / 2;
        int status = heat_advance(h, !skip);
        if (status < 0) return status;

        bool look = step % HEAT_LOOK_EVERY == 0 || step == h->opt.steps;
        if (look) {
            *outcome = (struct heat_outcome){ step, heat_change(&h->block) };
            status = sinew_allreduce(h->world, SINEW_IN_PLACE, &outcome->change, 1, SINEW_F64,
                                     SINEW_MAX, NULL);
            if (status < 0) return status;
        }
        double *old = h->block.now;
        h->block.now = h->block.next;
        h->block.next = old;
        if (look && outcome->change <= h->opt.tolerance) return 0;
    }
    return 0;
}

/* A block arrives as its rows one after the other; put them where they belong on the plate. */
static void heat_place(const struct heat *h, int rank, const double *from, double *plate)
{
    struct heat_block b;
    heat_block_place(&b, &h->grid, rank);
    for (int y = 0; y < b.height; y++)
        memcpy(plate + (size_t)(b.y0 + y) * (size_t)h->grid.width + (size_t)b.x0,
               from + (size_t)y * (size_t)b.width, (size_t)b.width * sizeof(double));
}

/* All blocks to rank 0, each in as much room as the largest needs. *plate is made there only. */
static int heat_gather(const struct heat *h, double **plate)
{
    const struct heat_block *b = &h->block;
    const struct heat_grid *g = &h->grid;
    int ranks = sinew_size(h->world), status = SINEW_ENOMEM;
    bool root = sinew_rank(h->world) == 0;
    size_t room = (size_t)((g->width + g->px - 1) / g->px) *
                  (size_t)((g->height + g->py - 1) / g->py);
    double *mine = calloc(room, sizeof(double));
    double *all = root ? malloc((size_t)ranks * room * sizeof(double)) : NULL;
    double *whole = root ? malloc((size_t)g->width * (size_t)g->height * sizeof(double)) : NULL;
    if (!mine || (root && (!all || !whole))) goto done;

    for (int y = 0; y < b->height; y++)
        memcpy(mine + (size_t)y * (size_t)b->width, heat_cell(b, b->now, 0, y),
               (size_t)b->width * sizeof(double));
    status = sinew_gather(h->world, mine, room * sizeof(double), all, 0, NULL);
    for (int rank = 0; root && status == 0 && rank < ranks; rank++)
        heat_place(h, rank, all + (size_t)rank * room, whole);
    if (status == 0) {
        *plate = whole;
        whole = NULL;
    }
done:
    free(mine);
    free(all);
    free(whole);
    return status;
}

static bool heat_same(const struct heat *h, const double *plate, const struct heat_outcome *outcome)
{
    struct heat_outcome alone = { 0 };
    double *serial = heat_serial(&h->opt, &alone);
    size_t n = (size_t)h->opt.width * (size_t)h->opt.height, different = 0, first = 0;
    if (!serial) return fprintf(stderr, "heat2d: no memory for the serial run\n"), false;
    for (size_t i = n; i-- > 0;) {
        if (memcmp(&serial[i], &plate[i], sizeof(double)) == 0) continue;
        different++;
        first = i;
    }
    free(serial);
    if (different > 0)
        printf("  check: FAILED, %zu of %zu cells differ, first at x %zu, y %zu\n", different, n,
               first % (size_t)h->opt.width, first / (size_t)h->opt.width);
    else if (alone.steps != outcome->steps)
        printf("  check: FAILED, %d steps, and %d alone\n", outcome->steps, alone.steps);
    else
        printf("  check: the same bits as computed by one rank alone\n");
    return different == 0 && alone.steps == outcome->steps;
}

/* Rank 0 tells, checks and draws. */
static bool heat_report(const struct heat *h, const double *plate,
                        const struct heat_outcome *outcome, double took)
{
    double cells = (double)h->opt.width * h->opt.height * outcome->steps;
    printf("heat2d: %d x %d cells on %d x %d ranks\n", h->grid.width, h->grid.height, h->grid.px,
           h->grid.py);
    printf("  %d steps in %.2f s, %.0f million cells a second; last change %.2e (%s)\n",
           outcome->steps, took, cells / took / 1e6, outcome->change,
           outcome->change <= h->opt.tolerance ? "converged" : "still warming");
    bool good = !h->opt.check || heat_same(h, plate, outcome);
    return heat_image_write(h->opt.out, plate, h->opt.width, h->opt.height) && good;
}

static int heat_fail(const struct heat *h, const char *what, int status)
{
    fprintf(stderr, "heat2d: rank %d: %s: %s: %s\n", sinew_rank(h->world), what,
            sinew_strerror(status), sinew_why(h->s));
    return 1;
}

static int heat_main(struct heat *h)
{
    struct heat_outcome outcome = { 0 };
    double *plate = NULL;
    int me = sinew_rank(h->world);
    heat_grid_cut(&h->grid, h->opt.width, h->opt.height, sinew_size(h->world));
    if (h->grid.px == 0)
        return fprintf(stderr, "heat2d: %d ranks cannot share %d x %d cells; use fewer\n",
                       sinew_size(h->world), h->opt.width, h->opt.height), 1;
    if (!heat_block_make(&h->block, &h->grid, me) ||
        !heat_halo_make(&h->halo, &h->block, &h->grid, h->world))
        return heat_fail(h, "block", SINEW_ENOMEM);

    int status = sinew_barrier(h->world, NULL);
    if (status < 0) return heat_fail(h, "barrier", status);
    double start = seconds();
    status = heat_run(h, &outcome);
    if (status < 0) return heat_fail(h, "step", status);
    double took = seconds() - start;
    status = heat_gather(h, &plate);
    if (status < 0) return heat_fail(h, "gather", status);
    bool good = me > 0 || heat_report(h, plate, &outcome, took);
    free(plate);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct heat h = { 0 };
    int code = 0;
    if (!heat_options_parse(&h.opt, argc, argv, &code)) return code;
    if (sinew_open(NULL, &h.s) < 0) return fprintf(stderr, "heat2d: %s\n", sinew_why(NULL)), 1;
    h.world = sinew_world(h.s);

    code = heat_main(&h);
    if (sinew_close(h.s) < 0) sinew_abandon(h.s); /* a failed step leaves requests on the halo */
    heat_halo_free(&h.halo);
    heat_block_free(&h.block);
    return code;
}
