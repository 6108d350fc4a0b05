/* SPDX-License-Identifier: BSD-3-Clause */
#include "messaging/envelope.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct envelope e;
    size_t used = envelope_decode(bytes, len, &e);
    PROMISE(used <= len);
    return 0;
}
