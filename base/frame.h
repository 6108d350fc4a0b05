/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_FRAME_H
#define BASE_FRAME_H
/*
 * frame.h - what follows the handshake on every byte stream of ours, links and launch alike
 *
 *  byte  0        4     5     6        8          16          24           32
 *        | length | kind| head| flags  | epoch    | sequence  | acknowledged | payload: length bytes …
 *
 *  little-endian. `length` counts the payload; its first `head` bytes are the message's head.
 *  `epoch` is the sender's; `sequence` counts the sender's numbered frames from 1 (0: not
 *  numbered); `acknowledged` is the highest sequence that the sender has received in order.
 *
 *  Where checksums are agreed on (links between ranks only), between header and payload:
 *
 *        | of the payload u32 | of the header and the word before u32 |      CRC-32C both
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum { FRAME_HEADER = 32, FRAME_SUMS = 8 };

enum frame_kind {
    FRAME_MESSAGE = 1, /* head and body of one message                                    */
    FRAME_PUT = 2,     /* u64 region, u64 offset, then bytes that land there              */
    FRAME_ACK = 3,     /* only the header                                                 */
    FRAME_BYE = 4,     /* the sender leaves; nothing follows                              */
    FRAME_JOIN = 5,    /* first on a connection: which session this is, and how far it is */
    FRAME_WELCOME = 6, /* its answer                                                      */
    FRAME_LAUNCH = 16, /* and above: between launchers and ranks, see launch/             */
};

enum frame_flag {
    FRAME_URGENT = 1, /* the sender waits to hear it acknowledged */
};

struct frame {
    uint32_t length;
    uint8_t kind, head;
    uint16_t flags;
    uint64_t epoch, sequence, acknowledged;
};

void frame_encode(uint8_t out[FRAME_HEADER], const struct frame *frame);

/* SINEW_EPROTO with the reason for a payload over length_max, a head over its length, unknown
 * flags. The caller checks kind, epoch and sequence. */
int frame_decode(const uint8_t in[FRAME_HEADER], uint32_t length_max, struct frame *frame,
                 struct why *why);

/* The sums behind a header; `payload`: that of the payload. frame_is_whole: they fit the header. */
void frame_sum(uint8_t out[FRAME_HEADER + FRAME_SUMS], uint32_t payload);
bool frame_is_whole(const uint8_t in[FRAME_HEADER + FRAME_SUMS], uint32_t *payload);

#endif
