/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/verbs/offer.h"

#include <string.h>

#include "base/wire.h"
#include "sinew/sinew.h"
#include "transport/verbs/devices.h"

enum { WINDOW_MAX = 65536 };

size_t offer_encode(uint8_t out[OFFER_LEN], const struct offer *o)
{
    memset(out, 0, OFFER_LEN);
    out[0] = OFFER_VERSION;
    out[1] = o->kind;
    wire_put64(out + 8, o->attempt);
    wire_put64(out + 16, o->answers);
    if (o->kind != TELL_OFFER) return OFFER_HEAD;
    wire_put32(out + 24, o->qpn);
    wire_put32(out + 28, o->psn);
    memcpy(out + 32, o->gid.raw, 16);
    wire_put16(out + 48, o->lid);
    out[50] = o->mtu;
    out[51] = o->layer;
    out[52] = o->reads;
    wire_put16(out + 54, o->port);
    wire_put32(out + 56, o->window);
    wire_put32(out + 60, o->rkey);
    wire_put64(out + 64, o->flush);
    return OFFER_LEN;
}

static int offer_decode_rest(const uint8_t *in, struct offer *o, struct why *why)
{
    o->qpn = wire_get32(in + 24);
    o->psn = wire_get32(in + 28);
    memcpy(o->gid.raw, in + 32, 16);
    o->lid = wire_get16(in + 48);
    o->mtu = in[50];
    o->layer = in[51];
    o->reads = in[52];
    o->port = wire_get16(in + 54);
    o->window = wire_get32(in + 56);
    o->rkey = wire_get32(in + 60);
    o->flush = wire_get64(in + 64);
    if (o->qpn >> 24 || o->psn >> 24 || o->mtu < IBV_MTU_256 || o->mtu > IBV_MTU_4096 ||
        o->window == 0 || o->window > WINDOW_MAX || o->reads == 0)
        return why_set(why, SINEW_EPROTO,
                       "the counterpart offers queue pair %u, MTU code %u, window %u, %u reads: "
                       "out of range", o->qpn, o->mtu, o->window, o->reads);
    return 0;
}

int offer_decode(const void *bytes, size_t len, struct offer *o, struct why *why)
{
    const uint8_t *in = bytes;
    *o = (struct offer){ 0 };
    if (len < OFFER_HEAD)
        return why_set(why, SINEW_EPROTO, "the counterpart told %zu bytes, too few", len);
    if (in[0] != OFFER_VERSION)
        return why_set(why, SINEW_EVERSION, "the counterpart speaks version %u, this is %d", in[0],
                       OFFER_VERSION);
    o->kind = in[1];
    o->attempt = wire_get64(in + 8);
    o->answers = wire_get64(in + 16);
    size_t want = o->kind == TELL_OFFER ? OFFER_LEN : OFFER_HEAD;
    if (o->kind < TELL_OFFER || o->kind > TELL_READY || o->attempt == 0 || len != want)
        return why_set(why, SINEW_EPROTO, "the counterpart told %zu bytes of kind %u", len, in[1]);
    return o->kind == TELL_OFFER ? offer_decode_rest(in, o, why) : 0;
}

size_t gid_encode(uint8_t out[ADDRESS_LEN_MAX], uint8_t layer, const union ibv_gid *gid)
{
    out[0] = OFFER_VERSION;
    out[1] = layer;
    if (layer == IBV_LINK_LAYER_INFINIBAND) {
        memcpy(out + 2, gid->raw, 8);
        return 10;
    }
    if (gid_is_ipv4(gid)) {
        memcpy(out + 2, gid->raw + 12, 4);
        return 6;
    }
    memcpy(out + 2, gid->raw, 16);
    return 18;
}

int gid_decode(const void *bytes, size_t len, uint8_t *layer, union ibv_gid *gid,
                   struct why *why)
{
    const uint8_t *in = bytes;
    memset(gid, 0, sizeof(*gid));
    if (len < 2 || in[0] != OFFER_VERSION)
        return why_set(why, SINEW_EVERSION, "not an RDMA address of this version");
    bool infiniband = in[1] == IBV_LINK_LAYER_INFINIBAND;
    if (!(infiniband && len == 10) &&
        !(in[1] == IBV_LINK_LAYER_ETHERNET && (len == 6 || len == 18)))
        return why_set(why, SINEW_EINVAL, "not an RDMA address: %zu bytes, layer %u", len, in[1]);
    *layer = in[1];
    if (len == 6) {
        gid->raw[10] = gid->raw[11] = 0xff;
        memcpy(gid->raw + 12, in + 2, 4);
    } else {
        memcpy(gid->raw, in + 2, len - 2);
    }
    return 0;
}
