/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_VERBS_OFFER_H
#define TRANSPORT_VERBS_OFFER_H
/*
 * offer.h - what two ends tell each other over the control link, and an address
 *
 *  address | 1 version | 1 layer | 4, 8 or 16: of an IPv4-mapped GID its end, of InfiniBand its
 *          subnet prefix, of others all |
 *
 *  tell    byte 0        1      2        3     4             8         16
 *               | version| kind | 0      | 0   | 0           | attempt | answers |
 *  and of an OFFER, from byte
 *               24    28    32    48    50    51      52       53   54      56       60     64
 *               | qpn | psn | gid | lid | mtu | layer | reads  | 0  | port  | window | rkey | flush |
 *
 *  `attempt` names this end's link, drawn at random; `answers` is the other's, 0 when none was
 *  heard of yet. READY counts only for the two that it names. `reads`: how many reads this end
 *  answers at once. `window`: messages it may be sent at first. `rkey` and `flush`: 8 bytes of its
 *  memory that anybody may read, to learn that what was put before is there. `port`, if not 0:
 *  librdmacm listens there, at the address `gid`, and is to connect the queue pairs (cm.c); both
 *  ends say so, or neither.
 */
#include "base/text.h"
#include "transport/verbs/api.h"

enum { OFFER_VERSION = 2, OFFER_HEAD = 24, OFFER_LEN = 72, ADDRESS_LEN_MAX = 18 };

enum offer_kind { TELL_OFFER = 1, TELL_READY = 2 };

struct offer {
    uint8_t kind;
    uint64_t attempt, answers;
    uint32_t qpn, psn, window, rkey;
    union ibv_gid gid;
    uint16_t lid, port;
    uint8_t mtu, layer, reads;
    uint64_t flush;
};

size_t offer_encode(uint8_t out[OFFER_LEN], const struct offer *o);
/* SINEW_EPROTO, SINEW_EVERSION with the reason. */
int offer_decode(const void *bytes, size_t len, struct offer *o, struct why *why);

size_t gid_encode(uint8_t out[ADDRESS_LEN_MAX], uint8_t layer, const union ibv_gid *gid);
int gid_decode(const void *bytes, size_t len, uint8_t *layer, union ibv_gid *gid,
                   struct why *why);

#endif
