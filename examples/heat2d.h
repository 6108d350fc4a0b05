/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXAMPLES_HEAT2D_H
#define EXAMPLES_HEAT2D_H
/*
 * heat2d.h - heat in a cold plate with a glowing word in it, computed by a grid of ranks
 *
 * Every step replaces each cell by the mean of its four neighbours (Jacobi; the explicit scheme of
 * the heat equation at its largest stable step). Cells of the word stay at 1, the rim outside the
 * plate at 0.
 *
 * The plate is cut into px x py blocks, one per rank, each kept with a border one cell wide, the
 * halo, that holds the neighbours' edges:
 *
 *        . n n n n .      n, s: rows of the ranks above and below
 *        w c c c c e      w, e: columns of the ranks left and right
 *        w c c c c e      c:    this rank's own cells
 *        . s s s s .      .:    never used
 *
 * A cell is ((north + south) + (west + east)) * 0.25, wherever it is computed: no sum depends on
 * how the plate is cut and no product is added to, so every decomposition gives the same bits.
 */
#include <stdbool.h>
#include <stddef.h>

#include <sinew/sinew.h>

struct heat_options {
    int width, height, steps;
    double tolerance;
    const char *out;
    bool check, skip_halo;
};

/* How the plate is cut. Same on all ranks. */
struct heat_grid {
    int width, height; /* of the plate, in cells */
    int px, py;        /* ranks across and down  */
};

/* One rectangle of cells [x0, x1) x [y0, y1), with its halo. */
struct heat_block {
    int x0, x1, y0, y1;
    int width, height;  /* of the block                                     */
    size_t stride;      /* cells from one row to the next, halo included    */
    double *now, *next; /* (width + 2) x (height + 2) each                  */
};

/* What a run came to. */
struct heat_outcome {
    int steps;
    double change; /* the largest of any cell in the last step looked at */
};

enum { HEAT_LOOK_EVERY = 100 }; /* steps between two looks at the change */

/* heat2d_options.c: false, with the exit status, when there is nothing to run. */
bool heat_options_parse(struct heat_options *opt, int argc, char **argv, int *status);

/* heat2d_block.c */
void heat_grid_cut(struct heat_grid *grid, int width, int height, int ranks);
void heat_block_place(struct heat_block *b, const struct heat_grid *grid, int rank); /* no cells */
bool heat_block_make(struct heat_block *b, const struct heat_grid *grid, int rank);
void heat_block_free(struct heat_block *b);
bool heat_is_source(const struct heat_grid *grid, int x, int y);
void heat_sources(const struct heat_block *b, const struct heat_grid *grid, double *cells);
/* Rows [y0, y1) x columns [x0, x1) of the block, 0 being its first own row and column. */
void heat_step(struct heat_block *b, int x0, int x1, int y0, int y1);
double heat_change(const struct heat_block *b);
static inline double *heat_cell(const struct heat_block *b, double *cells, int x, int y)
{
    return cells + (size_t)(y + 1) * b->stride + (size_t)(x + 1);
}

/* heat2d_halo.c: the edges of `now` to the four neighbours, and theirs into the halo. */
enum { HEAT_SIDES = 4 };
struct heat_halo {
    struct sinew_team *team;
    int to[HEAT_SIDES]; /* SINEW_NO_RANK at the rim */
    double *column_out[2], *column_in[2];
    struct sinew_request *requests[2 * HEAT_SIDES];
};
bool heat_halo_make(struct heat_halo *h, const struct heat_block *b, const struct heat_grid *grid,
                    struct sinew_team *team);
void heat_halo_free(struct heat_halo *h);
int heat_halo_start(struct heat_halo *h, const struct heat_block *b);
int heat_halo_finish(struct heat_halo *h, const struct heat_block *b);

/* heat2d_serial.c: the whole plate by one plain loop; width x height cells, NULL without memory. */
double *heat_serial(const struct heat_options *opt, struct heat_outcome *outcome);

/* heat2d_image.c: PNG, or PPM in a build without libpng. */
bool heat_image_write(const char *path, const double *cells, int width, int height);

#endif
