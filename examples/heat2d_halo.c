/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heat2d_halo.c - the edges travel while the inner cells are computed
 *
 * Rows lie together in memory and are sent from where they are; columns are packed first. At the
 * rim the neighbour is SINEW_NO_RANK: such an operation completes at once and the halo stays 0.
 */
#include "heat2d.h"

#include <stdlib.h>

enum side { NORTH, SOUTH, WEST, EAST };

/* The tag says in which direction a message goes, the way its sender sees it. */
static const int64_t opposite[HEAT_SIDES] = { SOUTH, NORTH, EAST, WEST };

bool heat_halo_make(struct heat_halo *h, const struct heat_block *b, const struct heat_grid *grid,
                    struct sinew_team *team)
{
    int me = sinew_rank(team), column = me % grid->px, row = me / grid->px;
    *h = (struct heat_halo){ .team = team };
    h->to[NORTH] = row > 0 ? me - grid->px : SINEW_NO_RANK;
    h->to[SOUTH] = row < grid->py - 1 ? me + grid->px : SINEW_NO_RANK;
    h->to[WEST] = column > 0 ? me - 1 : SINEW_NO_RANK;
    h->to[EAST] = column < grid->px - 1 ? me + 1 : SINEW_NO_RANK;
    bool made = true;
    for (int i = 0; i < 2; i++) {
        h->column_out[i] = calloc((size_t)b->height, sizeof(double));
        h->column_in[i] = calloc((size_t)b->height, sizeof(double));
        made = made && h->column_out[i] && h->column_in[i];
    }
    return made;
}

void heat_halo_free(struct heat_halo *h)
{
    for (int i = 0; i < 2; i++) {
        free(h->column_out[i]);
        free(h->column_in[i]);
    }
}

static int halo_exchange(struct heat_halo *h, enum side side, const double *out, double *in, int n)
{
    size_t len = (size_t)n * sizeof(double);
    struct sinew_request **requests = &h->requests[2 * side];
    int status = sinew_recv(h->team, in, len, h->to[side], opposite[side], NULL, &requests[0]);
    if (status < 0) return status;
    return sinew_send(h->team, out, len, h->to[side], side, &requests[1]);
}

int heat_halo_start(struct heat_halo *h, const struct heat_block *b)
{
    int last_row = b->height - 1, last_column = b->width - 1, status;
    for (int y = 0; y < b->height; y++) {
        h->column_out[0][y] = *heat_cell(b, b->now, 0, y);
        h->column_out[1][y] = *heat_cell(b, b->now, last_column, y);
    }
    status = halo_exchange(h, NORTH, heat_cell(b, b->now, 0, 0), heat_cell(b, b->now, 0, -1),
                           b->width);
    if (status < 0) return status;
    status = halo_exchange(h, SOUTH, heat_cell(b, b->now, 0, last_row),
                           heat_cell(b, b->now, 0, b->height), b->width);
    if (status < 0) return status;
    status = halo_exchange(h, WEST, h->column_out[0], h->column_in[0], b->height);
    if (status < 0) return status;
    return halo_exchange(h, EAST, h->column_out[1], h->column_in[1], b->height);
}

int heat_halo_finish(struct heat_halo *h, const struct heat_block *b)
{
    int status = sinew_wait_all(h->requests, 2 * HEAT_SIDES, NULL, SINEW_FOREVER);
    if (status < 0) return status;
    for (int y = 0; y < b->height; y++) {
        *heat_cell(b, b->now, -1, y) = h->column_in[0][y];
        *heat_cell(b, b->now, b->width, y) = h->column_in[1][y];
    }
    return 0;
}
