/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_HANDSHAKE_H
#define BASE_HANDSHAKE_H
/*
 * handshake.h - mutual authentication over a byte stream, with no I/O of its own
 *
 * Both ends prove that they know the job secret (HMAC-SHA-256, RFC 2104, over the whole transcript: both
 * hellos with versions, purpose, ranks, size, epochs and nonces), before any other byte is parsed. The
 * proofs of the two directions differ, so a reflected one is refused. Without a secret (security none) the
 * hellos are exchanged and checked, and nothing is proven. docs/PROTOCOL.md draws the bytes.
 *
 * libcrypto is opened (dlopen) at the first handshake with a secret; not found is SINEW_ENOTSUP.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "base/world.h"

enum handshake_role { HANDSHAKE_CLIENT, HANDSHAKE_SERVER };
enum handshake_purpose { HANDSHAKE_LINK = 1, HANDSHAKE_LAUNCH = 2 };

enum { HANDSHAKE_NONCE = 32, HANDSHAKE_PROOF = 32, HANDSHAKE_BUFFER = 256 };

struct handshake_identity {
    int rank, size;
    uint64_t epoch;
    enum handshake_purpose purpose;
};

struct handshake {
    enum handshake_role role;
    int step;
    bool has_secret;
    uint8_t secret[32];
    struct handshake_identity mine, peer; /* peer: valid when done */
    int expect_rank;                      /* -1: whoever proves himself; else any other is refused */
    uint64_t expect_epoch;                /* 0: any */
    uint8_t transcript[HANDSHAKE_BUFFER]; /* both hellos, client's first */
    uint8_t in[HANDSHAKE_BUFFER], out[HANDSHAKE_BUFFER];
    size_t in_len, out_len, out_sent;
    struct why why;
};

/* secret NULL: none. The structure must not be moved afterwards. < 0: no randomness, no libcrypto. */
int handshake_begin(struct handshake *h, enum handshake_role role, const struct world *world,
                    const uint8_t *secret, const struct handshake_identity *mine, int expect_rank,
                    uint64_t expect_epoch);

/* Bytes waiting to be sent; handshake_sent() says how many went. */
size_t handshake_output(struct handshake *h, const void **bytes);
void handshake_sent(struct handshake *h, size_t len);

/* How many bytes at most the handshake wants next: read no more than this, what follows is not its. */
size_t handshake_wants(const struct handshake *h);

/* Bytes that came. 0: done, both ends are who they say (output may still be waiting);
 * > 0: more is needed; SINEW_EAUTH, SINEW_EVERSION, SINEW_EPROTO: refuse; h->why says why. */
int handshake_input(struct handshake *h, const void *bytes, size_t len);

/* HMAC-SHA-256, for other parts that need one. 0 or SINEW_ENOTSUP (no libcrypto). */
int handshake_hmac(const uint8_t key[32], const void *bytes, size_t len, uint8_t out[32],
                   struct why *why);

#endif
