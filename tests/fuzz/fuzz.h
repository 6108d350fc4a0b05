/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H
/*
 * fuzz.h - what the harnesses share; libFuzzer calls LLVMFuzzerTestOneInput() with bytes it makes
 * up
 *
 * A harness feeds them to a decoder as if a peer had sent them, and aborts where a promise does not
 * hold. The sanitizers find the rest.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define PROMISE(expr)                                                      \
    do {                                                                   \
        if (!(expr)) {                                                     \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #expr); \
            abort();                                                       \
        }                                                                  \
    } while (0)

#endif
