/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_SCRATCH_H
#define COLLECTIVES_SCRATCH_H
/*
 * scratch.h - the memory a call needs between its input and its output
 *
 *     memory   +--------+--------------+------+--------+--------+--
 *              | tables | TMP, or CNT  | room | stage  | stage  | ...
 *              +--------+--------------+------+--------+--------+--
 *     late     +--------+-----+
 *              | table  | TMP |   where the lengths of TMP's blocks come in messages
 *              +--------+-----+
 *
 * Tables say where the blocks of v-variants lie. A message that is to be reduced lands piece by
 * piece through `room` (base/landing.h) where links can do that, else in a stage.
 */
#include "base/world.h"
#include "collectives/execute.h"

struct scratch {
    unsigned char *memory;
    size_t bytes;
    unsigned char *late;
    size_t late_bytes;
    unsigned char *stages; /* stage_count of them */
    size_t stage_bytes;
    uint32_t stage_count;
    bool lands;          /* what is ready when it is received needs no stage */
    unsigned char *room; /* used by one landing at a time */
    size_t room_bytes;
};

/* Memory for b's call and schedule, of what was there before if that is enough; and b's buffers and
 * reduction. 0, or SINEW_ENOMEM with its text. */
int scratch_bind(struct scratch *m, struct bound *b, struct sinew_team *team,
                 const struct world *world);
/* What has more than `most` bytes. */
void scratch_release(struct scratch *m, const struct world *world, size_t most);

/* Lengths that come in messages. The team rank whose count is not what is known of it; -1: none. */
int scratch_counts_differ(const struct bound *b);
/* They are all here, from other processes: TMP's memory. 0 or SINEW_ENOMEM. */
int scratch_counts_bind(struct scratch *m, struct bound *b, const struct world *world);

#endif
