/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * digest.c - the arguments of a call in 32 bits, carried by each of its messages
 *
 * Part of the wire: ranks that compute it differently would not understand each other.
 */
#include "collectives/collective.h"

/* A bijective mixer (the finaliser of MurmurHash3), so that every input bit reaches every output
 * bit. */
static uint64_t digest_mix(uint64_t h)
{
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

uint32_t call_digest(const struct call *call, int level)
{
    uint64_t words[] = {
        (uint64_t)call->collective | (uint64_t)call->algorithm << 8 | (uint64_t)level << 24 |
            (uint64_t)call->parameter << 32,
        (uint64_t)call->type << 32 | (uint32_t)call->op,
        (uint64_t)call->root,
        call->agreed,
    };
    uint64_t h = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        h = digest_mix(h + UINT64_C(0x9e3779b97f4a7c15) + words[i]);
    return (uint32_t)(h ^ h >> 32);
}

uint64_t counts_digest(const size_t *counts, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++)
        h = digest_mix(h + UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)counts[i]);
    return h;
}

uint32_t message_digest(uint32_t digest, size_t len)
{
    return digest + (uint32_t)len * UINT32_C(0x9e3779b1);
}
