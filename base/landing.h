/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_LANDING_H
#define BASE_LANDING_H
/*
 * landing.h - somebody who takes a long message piece by piece, as it comes, in place of a buffer
 *
 * Each byte comes once and in order; a piece begins at a multiple of LANDING_ALIGN. The pieces lie
 * in memory that the sender may be able to write. What has landed when a message fails is not
 * undone.
 */
#include <stddef.h>

enum {
    LANDING_ALIGN = 64,
    LANDING_ROOM = 32768, /* the buffer given along, or the message if that is shorter: for pieces
                             that cannot be had where they are */
};

struct landing {
    void (*land)(struct landing *landing, size_t offset, const void *piece, size_t len);
};

#endif
