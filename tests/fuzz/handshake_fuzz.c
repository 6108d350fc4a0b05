/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/handshake.h"
#include "sinew/sinew.h"
#include "tests/fuzz/fuzz.h"

static int no_surprise(void *arg, void *bytes, size_t len)
{
    (void)arg;
    memset(bytes, 7, len);
    return 0;
}

/* byte 0: role 1, secret 2, encrypt 4, expects a rank 8; byte 1: length of slices; then the
 * peer's. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const uint8_t secret[32] = { 7 };
    struct world world = world_real;
    struct handshake h;
    const void *out;
    if (len < 2) return 0;
    uint8_t how = bytes[0];
    size_t slice = (size_t)bytes[1] + 1, at = 2;
    bool has_secret = how & 2;
    struct handshake_identity me = { 1, 4, 99, HANDSHAKE_LINK,
                                     has_secret && how & 4 ? HANDSHAKE_ENCRYPT : 0 };
    world.random = no_surprise;
    PROMISE(handshake_begin(&h, how & 1 ? HANDSHAKE_SERVER : HANDSHAKE_CLIENT, &world,
                            has_secret ? secret : NULL, &me, how & 8 ? 2 : -1, 0) == 0);
    while (at < len && handshake_wants(&h) > 0) {
        size_t n = len - at < slice ? len - at : slice;
        if (n > handshake_wants(&h)) n = handshake_wants(&h);
        int rc = handshake_input(&h, bytes + at, n);
        at += n;
        PROMISE(rc <= SINEW_PENDING);
        PROMISE(rc == SINEW_PENDING || handshake_wants(&h) == 0);
        if (rc == 0) {
            PROMISE(!has_secret); /* nobody guesses an HMAC */
            PROMISE(h.peer.size == 4 && h.peer.rank >= 0 && h.peer.rank < 4);
            PROMISE(!(how & 8) || h.peer.rank == 2);
        }
        if (rc < 0) PROMISE(h.why.text[0] && handshake_input(&h, bytes, 0) == rc);
    }
    PROMISE(handshake_output(&h, &out) <= HANDSHAKE_BUFFER);
    return 0;
}
