/* SPDX-License-Identifier: BSD-3-Clause */
#include "messaging/envelope.h"

#include "base/wire.h"

size_t envelope_encode(uint8_t *out, const struct envelope *e)
{
    wire_put64(out, envelope_word(e->seq, e->kind, e->credit, e->length));
    wire_put32(out + 8, e->team);
    wire_put32(out + 12, e->tag);
    if (envelope_size(e->kind) == ENVELOPE_SMALL) return ENVELOPE_SMALL;
    wire_put32(out + 16, e->step);
    wire_put32(out + 20, e->tile);
    wire_put32(out + 24, e->digest);
    return ENVELOPE_COLLECTIVE;
}

size_t envelope_decode(const uint8_t *in, size_t len, struct envelope *e)
{
    if (len < ENVELOPE_SMALL) return 0;
    uint64_t word = wire_get64(in);
    *e = (struct envelope){
        .seq = (uint16_t)word,
        .kind = (uint8_t)(word >> 16),
        .credit = (uint16_t)(word >> 24),
        .length = (uint32_t)(word >> 40),
        .team = wire_get32(in + 8),
        .tag = wire_get32(in + 12),
    };
    if (e->kind < KIND_EAGER || e->kind > KIND_LAST) return 0;
    if (envelope_size(e->kind) == ENVELOPE_SMALL) return ENVELOPE_SMALL;
    if (len < ENVELOPE_COLLECTIVE) return 0;
    e->step = wire_get32(in + 16);
    e->tile = wire_get32(in + 20);
    e->digest = wire_get32(in + 24);
    return ENVELOPE_COLLECTIVE;
}
