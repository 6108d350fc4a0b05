/* SPDX-License-Identifier: BSD-3-Clause */
#include "sinew/sinew.h"
#include "tests/fuzz/fuzz.h"
#include "transport/shm/hello.h"
#include "transport/shm/host.h"

/* byte 0: as an answer 1, with a secret 2. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const uint8_t secret[32] = { 7 };
    struct hello_packet packet, first = { { 0 } };
    struct hello hello;
    struct host_address address;
    struct why why;
    if (len < 1) return 0;
    host_address_decode(bytes + 1, len - 1, &address, &why);
    if (len < 1 + HELLO_LEN) return 0;
    memcpy(packet.bytes, bytes + 1, HELLO_LEN);
    bool has_secret = bytes[0] & 2;
    int rc = hello_decode(&packet, has_secret ? secret : NULL, bytes[0] & 1 ? &first : NULL, &hello,
                          &why);
    PROMISE(rc <= 0 && (rc == 0 || why.text[0]));
    return 0;
}
