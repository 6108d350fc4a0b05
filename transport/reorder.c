/* SPDX-License-Identifier: BSD-3-Clause */
/* reorder.c - see reorder.h */
#include "transport/reorder.h"

#include <string.h>

#include "sinew/sinew.h"

int reorder_keep(struct reorder *r, const struct world *w, uint32_t seq, const void *header,
                 size_t header_len, const void *data, size_t len)
{
    struct kept **place = &r->at[seq % REORDER_WINDOW];
    if (*place || len > r->most - r->bytes) return SINEW_EPROTO;
    struct kept *kept = world_allocate(w, sizeof(*kept) + header_len + len);
    if (!kept) return SINEW_ENOMEM;
    kept->header_len = header_len;
    kept->len = len;
    memcpy(kept->bytes, header, header_len);
    if (len) memcpy(kept->bytes + header_len, data, len);
    *place = kept;
    r->n++;
    r->bytes += len;
    return 0;
}

static struct kept *take(struct reorder *r, struct kept **place)
{
    struct kept *kept = *place;
    if (!kept) return NULL;
    *place = NULL;
    r->n--;
    r->bytes -= kept->len;
    return kept;
}

struct kept *reorder_take(struct reorder *r, uint32_t seq)
{
    return r->n ? take(r, &r->at[seq % REORDER_WINDOW]) : NULL;
}

struct kept *reorder_take_any(struct reorder *r)
{
    for (uint32_t i = 0; r->n && i < REORDER_WINDOW; i++) {
        struct kept *kept = take(r, &r->at[i]);
        if (kept) return kept;
    }
    return NULL;
}

void reorder_release(const struct world *w, struct kept *kept)
{
    world_release(w, kept, sizeof(*kept) + kept->header_len + kept->len);
}
