/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_HANDSHAKE_H
#define BASE_HANDSHAKE_H
/*
 * handshake.h - mutual authentication over a byte stream, with no I/O of its own
 *
 * Both ends prove that they know the job secret (HMAC-SHA-256, RFC 2104, over the whole transcript:
 * both hellos with versions, purpose, ranks, size, epochs and nonces), before any other byte is
 * parsed. The proofs of the two directions differ, so a reflected one is refused. Without a secret
 * (security none) the hellos are exchanged and checked, and nothing is proven.
 *
 *      client                          server
 *      hello (64 bytes)         ->
 *                               <-     hello (64), with a secret also proof (32)
 *      with a secret proof (32) ->
 *
 *  hello, little-endian
 *  byte 0       8        10       12     13        14      15   16     20     24      32
 *       | magic | oldest | newest | role | purpose | flags | 0  | rank | size | epoch | nonce (32) |
 *
 *  oldest and newest: the protocol versions the sender knows.
 *  flags: 1 the sender has a secret, and the modes below. proof = HMAC(secret, label of the
 *  direction in 32 bytes, both hellos, the client's first). The version is the highest that both
 *  know; as both ranges and all flags are proven, nobody in between can talk the two down.
 *
 *  Encryption is asked for by both or by neither. What follows is then TLS 1.3 with a key of this
 *  connection alone: HKDF-SHA-256 (RFC 5869) of the secret, with label and both hellos as info.
 *  So TLS never sees a byte of somebody who has not proven that he knows the secret.
 *
 *  A server that refuses a hello still has its own to send (never a proof): with it the other end
 *  can say the reason too. The secret is wiped when the outcome is known.
 *
 * libcrypto is opened (dlopen) at the first handshake with a secret; not found is SINEW_ENOTSUP. A
 * server then begins with HANDSHAKE_LACKS, which needs none, so that whoever comes hears why there
 * is no link.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "base/world.h"

enum handshake_role { HANDSHAKE_CLIENT, HANDSHAKE_SERVER };
enum handshake_purpose { HANDSHAKE_LINK = 1, HANDSHAKE_LAUNCH = 2 };
enum handshake_mode { /* bits of `flags` */
    HANDSHAKE_ENCRYPT = 2,  /* TLS follows; the other end must want it too          */
    HANDSHAKE_CHECKSUM = 4, /* every frame has a checksum; it is enough if one wants */
    /* OpenSSL is missing: nothing comes of it but that both ends know why */
    HANDSHAKE_LACKS = 8,
};

enum { HANDSHAKE_NONCE = 32, HANDSHAKE_PROOF = 32, HANDSHAKE_HELLO = 64, HANDSHAKE_BUFFER = 256 };
enum { HANDSHAKE_VERSION_MIN = 4, HANDSHAKE_VERSION_MAX = 4 }; /* of the protocol after it */

struct handshake_identity {
    int rank, size; /* rank -1: a launcher, which is none (HANDSHAKE_LAUNCH only) */
    uint64_t epoch;
    enum handshake_purpose purpose;
    unsigned modes; /* enum handshake_mode */
};

struct handshake {
    enum handshake_role role;
    int step;    /* what is expected next, see handshake.c */
    int status;  /* of a refusal, kept */
    int version; /* agreed; valid when done */
    unsigned modes; /* agreed; valid when done */
    bool has_secret;
    uint8_t secret[32];
    uint8_t key[32]; /* with HANDSHAKE_ENCRYPT agreed: of this connection; the caller wipes it */
    struct handshake_identity mine, peer; /* peer: valid when done, zero before */
    int expect_rank;                      /* -1: whoever proves himself; others are refused */
    uint64_t expect_epoch;                /* 0: any */
    uint8_t transcript[HANDSHAKE_BUFFER]; /* both hellos, client's first */
    uint8_t in[HANDSHAKE_BUFFER], out[HANDSHAKE_BUFFER];
    size_t in_len, out_len, out_sent;
    struct why why;
};

/* secret NULL: none. The structure must not be moved afterwards. < 0: SINEW_EINVAL for an
 * impossible identity, SINEW_EIO no randomness, SINEW_ENOTSUP no libcrypto; h->why says which. */
int handshake_begin(struct handshake *h, enum handshake_role role, const struct world *world,
                    const uint8_t *secret, const struct handshake_identity *mine, int expect_rank,
                    uint64_t expect_epoch);

/* Bytes waiting to be sent, also after a refusal; handshake_sent() says how many went. */
size_t handshake_output(struct handshake *h, const void **bytes);
void handshake_sent(struct handshake *h, size_t len);

/* How many bytes at most the handshake wants next: read no more than this, what follows is not
 * its. 0 when the outcome is known. */
size_t handshake_wants(const struct handshake *h);

/* Bytes that came. 0: done, both ends are who they say (output may still be waiting);
 * > 0: more is needed; SINEW_EAUTH, SINEW_EVERSION, SINEW_EPROTO: refuse, and so for ever; h->why
 * says why. More bytes than were wanted are SINEW_EPROTO. */
int handshake_input(struct handshake *h, const void *bytes, size_t len);

/* The rank that the peer calls itself, proven or not, for deciding what to say of it; -1: it has
 * not said yet. */
int handshake_claimed_rank(const struct handshake *h);

/* HMAC-SHA-256, for other parts that need one. 0 or SINEW_ENOTSUP (no libcrypto). */
int handshake_hmac(const uint8_t key[32], const void *bytes, size_t len, uint8_t out[32],
                   struct why *why);

/* HKDF-SHA-256 (RFC 5869), one block of output; a shorter salt is filled up with zeros. info_len <=
 * HANDSHAKE_INFO_MAX. 0 or SINEW_ENOTSUP (no libcrypto). */
enum { HANDSHAKE_INFO_MAX = 256 };
int handshake_hkdf(const uint8_t salt[32], const void *secret, size_t len, const void *info,
                   size_t info_len, uint8_t out[32], struct why *why);

#endif
