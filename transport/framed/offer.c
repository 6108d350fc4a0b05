/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offer.c - what an end tells its counterpart: its address in the fabric, and how to name this link
 *
 *    byte  0  1        2  3  4       8        16      20
 *          | 1 | version | 0 | 0 | link 4 | token 8 | len 4 | at 4 | part of the address …
 *
 * The address may be longer than one tell: then it comes in parts, in order. It comes from a rank
 * that has proved to know the job's secret.
 */
#include <string.h>

#include "base/wire.h"
#include "transport/framed/framed.h"

enum { OFFER_KIND = 1, OFFER_VERSION = 1 };

size_t offer_encode(uint8_t out[TRANSPORT_TELL_MAX], const struct offer *o)
{
    out[0] = OFFER_KIND;
    out[1] = OFFER_VERSION;
    out[2] = out[3] = 0;
    wire_put32(out + 4, o->link);
    wire_put64(out + 8, o->token);
    wire_put32(out + 16, o->len);
    wire_put32(out + 20, o->at);
    memcpy(out + OFFER_HEADER, o->part, o->part_len);
    return OFFER_HEADER + o->part_len;
}

int offer_decode(const void *bytes, size_t len, struct offer *o, struct why *why)
{
    struct wire_reader r = wire_read(bytes, len);
    uint8_t kind = wire_take8(&r), version = wire_take8(&r);
    uint16_t zero = wire_take16(&r);
    o->link = wire_take32(&r);
    o->token = wire_take64(&r);
    o->len = wire_take32(&r);
    o->at = wire_take32(&r);
    o->part_len = r.left;
    o->part = r.at;
    if (r.bad || kind != OFFER_KIND || zero)
        return why_set(why, SINEW_EPROTO, "its counterpart told %zu bytes that are no offer", len);
    if (version != OFFER_VERSION)
        return why_set(why, SINEW_EVERSION,
                       "its counterpart offers by version %u of these links, "
                       "this one knows %d",
                       version, OFFER_VERSION);
    if (o->len == 0 || o->len > FRAMED_ADDRESS_MAX || o->at > o->len || o->part_len == 0 ||
        o->part_len > o->len - o->at || o->token == 0)
        return why_set(why, SINEW_EPROTO,
                       "its counterpart offers %zu bytes at %u of an address of "
                       "%u",
                       o->part_len, o->at, o->len);
    return 0;
}
