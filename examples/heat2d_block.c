/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heat2d_block.c - one rank's share of the plate: cut it out, heat it, step it
 */
#include "heat2d.h"

#include <stdint.h>
#include <stdlib.h>

/* What glows, in spots; a spot is as many cells as fit the plate, and hot in its middle. */
enum { WORD_WIDTH = 33, WORD_HEIGHT = 7, WORD_MARGIN = 3 };
static const char *const word[WORD_HEIGHT] = {
    ".####..#####..#...#..#####..#...#",
    "#........#....##..#..#......#...#",
    "#........#....##..#..#......#...#",
    ".###.....#....#.#.#..####...#.#.#",
    "....#....#....#..##..#......#.#.#",
    "....#....#....#..##..#......##.##",
    "####...#####..#...#..#####..#...#",
};

/* The place of the word on the plate, in cells. */
struct word_place {
    int x, y, spot_width, spot_height;
    int cold_x, cold_y; /* cells of a spot that are not hot: at either side, top and bottom */
};

static struct word_place word_place(const struct heat_grid *grid)
{
    struct word_place at;
    at.spot_width = grid->width / (WORD_WIDTH + 2 * WORD_MARGIN);
    at.spot_height = grid->height / (WORD_HEIGHT + 2 * WORD_MARGIN);
    if (at.spot_width < 1) at.spot_width = 1;
    if (at.spot_height < 1) at.spot_height = 1;
    if (at.spot_height > 2 * at.spot_width) at.spot_height = 2 * at.spot_width;
    at.cold_x = at.spot_width / 4;
    at.cold_y = at.spot_height / 4;
    at.x = (grid->width - WORD_WIDTH * at.spot_width) / 2;
    at.y = (grid->height - WORD_HEIGHT * at.spot_height) / 2;
    return at;
}

bool heat_is_source(const struct heat_grid *grid, int x, int y)
{
    struct word_place at = word_place(grid);
    if (x < at.x || y < at.y) return false;
    int column = (x - at.x) / at.spot_width, row = (y - at.y) / at.spot_height;
    if (column >= WORD_WIDTH || row >= WORD_HEIGHT || word[row][column] != '#') return false;
    int inside_x = (x - at.x) % at.spot_width, inside_y = (y - at.y) % at.spot_height;
    return inside_x >= at.cold_x && inside_x < at.spot_width - at.cold_x &&
           inside_y >= at.cold_y && inside_y < at.spot_height - at.cold_y;
}

static int clamp(int value, int least, int most)
{
    return value < least ? least : value > most ? most : value;
}

/* One spot, as much of it as lies in the block. */
static void heat_spot(const struct heat_block *b, double *cells, int x, int y,
                      const struct word_place *at)
{
    int x0 = clamp(x + at->cold_x, b->x0, b->x1);
    int x1 = clamp(x + at->spot_width - at->cold_x, b->x0, b->x1);
    int y0 = clamp(y + at->cold_y, b->y0, b->y1);
    int y1 = clamp(y + at->spot_height - at->cold_y, b->y0, b->y1);
    for (int row = y0; row < y1; row++)
        for (int column = x0; column < x1; column++)
            *heat_cell(b, cells, column - b->x0, row - b->y0) = 1.0;
}

void heat_sources(const struct heat_block *b, const struct heat_grid *grid, double *cells)
{
    struct word_place at = word_place(grid);
    for (int row = 0; row < WORD_HEIGHT; row++)
        for (int column = 0; column < WORD_WIDTH; column++)
            if (word[row][column] == '#')
                heat_spot(b, cells, at.x + column * at.spot_width, at.y + row * at.spot_height,
                          &at);
}

/* The cut with the shortest seams; px is 0 when there are more ranks than cells to cut. */
void heat_grid_cut(struct heat_grid *grid, int width, int height, int ranks)
{
    int64_t best = INT64_MAX;
    *grid = (struct heat_grid){ .width = width, .height = height };
    for (int px = 1; px <= ranks; px++) {
        int py = ranks / px;
        if (px * py != ranks || px > width || py > height) continue;
        int64_t seams = (int64_t)(px - 1) * height + (int64_t)(py - 1) * width;
        if (seams >= best) continue;
        best = seams;
        grid->px = px;
        grid->py = py;
    }
}

static int cut(int cells, int parts, int i)
{
    return (int)((int64_t)cells * i / parts);
}

void heat_block_place(struct heat_block *b, const struct heat_grid *grid, int rank)
{
    int column = rank % grid->px, row = rank / grid->px;
    b->x0 = cut(grid->width, grid->px, column);
    b->x1 = cut(grid->width, grid->px, column + 1);
    b->y0 = cut(grid->height, grid->py, row);
    b->y1 = cut(grid->height, grid->py, row + 1);
    b->width = b->x1 - b->x0;
    b->height = b->y1 - b->y0;
    b->stride = (size_t)b->width + 2;
}

bool heat_block_make(struct heat_block *b, const struct heat_grid *grid, int rank)
{
    heat_block_place(b, grid, rank);
    size_t cells = b->stride * ((size_t)b->height + 2);
    b->now = calloc(cells, sizeof(double));
    b->next = calloc(cells, sizeof(double));
    if (!b->now || !b->next) return false;
    heat_sources(b, grid, b->now);
    return true;
}

void heat_block_free(struct heat_block *b)
{
    free(b->now);
    free(b->next);
}

static void heat_row(double *restrict out, const double *restrict north,
                     const double *restrict here, const double *restrict south, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = ((north[i] + south[i]) + (here[i - 1] + here[i + 1])) * 0.25;
}

void heat_step(struct heat_block *b, int x0, int x1, int y0, int y1)
{
    for (int y = y0; y < y1; y++)
        heat_row(heat_cell(b, b->next, x0, y), heat_cell(b, b->now, x0, y - 1),
                 heat_cell(b, b->now, x0, y), heat_cell(b, b->now, x0, y + 1), x1 - x0);
}

double heat_change(const struct heat_block *b)
{
    double most = 0;
    for (int y = 0; y < b->height; y++) {
        const double *now = heat_cell(b, b->now, 0, y), *next = heat_cell(b, b->next, 0, y);
        for (int x = 0; x < b->width; x++) {
            double change = next[x] > now[x] ? next[x] - now[x] : now[x] - next[x];
            if (change > most) most = change;
        }
    }
    return most;
}
