/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_REORDER_H
#define TRANSPORT_REORDER_H
/*
 * reorder.h - messages that came before their turn, over what keeps no order
 *
 * Every message has a sequence number. One whose turn it is never comes here. The others are
 * copied, header and data, and each is taken out when all before it have been: at most
 * REORDER_WINDOW of them, at places seq % REORDER_WINDOW, and `most` bytes. The sender's window
 * sees to it that an honest one never needs more.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/world.h"

enum { REORDER_WINDOW = 256 }; /* a power of two */

struct kept {
    size_t header_len, len;
    uint8_t bytes[]; /* header, data */
};

struct reorder {
    uint32_t n;
    size_t bytes, most;
    struct kept *at[REORDER_WINDOW];
};

/* seq is of the REORDER_WINDOW that follow the last one taken. 0; SINEW_EPROTO: there is one of
 * that number, or too many bytes; SINEW_ENOMEM. Data that is not a copy's matter: len 0. */
int reorder_keep(struct reorder *r, const struct world *w, uint32_t seq, const void *header,
                 size_t header_len, const void *data, size_t len);
/* That of this number, to be released when it has been dealt with; NULL: it has not come. */
struct kept *reorder_take(struct reorder *r, uint32_t seq);
void reorder_release(const struct world *w, struct kept *kept);
/* Any of them, in the order of places, for the end: NULL when none is left. */
struct kept *reorder_take_any(struct reorder *r);

/* That of this number, which stays; NULL: it has not come. */
static inline const struct kept *reorder_look(const struct reorder *r, uint32_t seq)
{
    return r->n ? r->at[seq % REORDER_WINDOW] : NULL;
}

#endif
