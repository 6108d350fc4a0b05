/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_SHM_HELLO_H
#define TRANSPORT_SHM_HELLO_H
/*
 * hello.h - the packets that make a link, on a SOCK_SEQPACKET socket
 *
 *   0       4         6      7       8      12     16   20        24
 *   | magic | version | kind | flags | size | from | to | segment |
 *   24      32     40      56         64         80
 *   | epoch | name | nonce | self     | proof 16 |
 *
 * HELLO   from the side that connects, with its segment, eventfd and pidfd: everything in one
 *         packet.
 * ACCEPT  the answer, with eventfd and pidfd; from here on both sides use the rings.
 * REFUSE  the answer otherwise; `segment` holds a status, and `flags` HELLO_CROSSED when the link
 *         will come of the other side's attempt.
 *
 * `self` is where the sender's memory holds its epoch: who can read that there can read its memory.
 *
 * `name` is the listening socket's, random and as published. The proof is SipHash-2-4 twice, keyed
 * by the one and the other half of the job secret: 128 bits, and no library is needed for it.
 * HELLO's covers its own first 64 bytes, ACCEPT's covers those of HELLO and its own, with the
 * nonces of both and the kind, so neither can be reflected or moved to another rank, epoch or
 * socket. Replaying a HELLO needs a descriptor of a process of the same user; the epochs then end
 * it. All integers are little-endian.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "base/world.h"

enum { HELLO_LEN = 80, HELLO_SIGNED = 64, HELLO_PROOF = HELLO_LEN - HELLO_SIGNED };
enum { HELLO_VERSION = 5, HELLO_DESCRIPTORS = 3 };

enum hello_kind { HELLO_HELLO = 1, HELLO_ACCEPT = 2, HELLO_REFUSE = 3 };

enum hello_flags {
    HELLO_PROVEN = 1,     /* the proof is there                                  */
    HELLO_MEMBARRIER = 2, /* the sender's sends need no fence: it is registered  */
    HELLO_PIDFD = 4,      /* a pidfd comes along                                 */
    HELLO_CROSSED = 8,
};

struct hello {
    uint8_t kind, flags;
    uint32_t size, from, to;
    uint32_t segment; /* its length; of REFUSE: the status */
    uint64_t epoch, name;
    uint8_t nonce[16];
    uint64_t self;
};

struct hello_packet {
    uint8_t bytes[HELLO_LEN];
};

/* secret NULL: no proof. `to` is the packet answered, NULL for HELLO. */
void hello_encode(struct hello_packet *out, const struct hello *hello, const uint8_t *secret,
                  const struct hello_packet *to);

/* SINEW_EPROTO, SINEW_EVERSION; SINEW_EAUTH: no proof, or one by another secret. */
int hello_decode(const struct hello_packet *in, const uint8_t *secret,
                 const struct hello_packet *to, struct hello *hello, struct why *why);

/* 0, > 0: the socket is full; < 0. */
int hello_send(int fd, const struct hello_packet *packet, const int *descriptors, int n,
               struct why *why);

/* 0: a packet and *n descriptors, which are the caller's; > 0: nothing yet; SINEW_EPEER: the other
 * end is closed; SINEW_EPROTO: something else came, and is gone with its descriptors. */
int hello_receive(int fd, struct hello_packet *packet, int descriptors[HELLO_DESCRIPTORS], int *n,
                  struct why *why);

#endif
