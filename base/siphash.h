/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H
/*
 * siphash.h - SipHash-2-4: a keyed hash that nobody without the key can compute or foresee
 *
 * J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012. For proofs
 * and keys that need no library; 64 bits each, so whoever wants more takes two with two keys.
 */
#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_KEY = 16 };

uint64_t siphash(const uint8_t key[SIPHASH_KEY], const void *bytes, size_t len);

#endif
