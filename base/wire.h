/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H
/*
 * wire.h - little-endian integers in byte strings, and a reader that cannot run over the end
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t wire_get16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t wire_get32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t wire_get64(const void *p)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
#else
    const uint8_t *b = p;
    return (uint64_t)wire_get32(b) | (uint64_t)wire_get32(b + 4) << 32;
#endif
}

static inline void wire_put16(void *p, uint16_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
}

static inline void wire_put32(void *p, uint32_t v)
{
    uint8_t *b = p;
    for (int i = 0; i < 4; i++) b[i] = (uint8_t)(v >> (8 * i));
}

static inline void wire_put64(void *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(p, &v, sizeof(v));
#else
    uint8_t *b = p;
    for (int i = 0; i < 8; i++) b[i] = (uint8_t)(v >> (8 * i));
#endif
}

/* Takes fields off the front of a byte string. Once short, it stays bad and yields zeros. */
struct wire_reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static inline struct wire_reader wire_read(const void *bytes, size_t len)
{
    return (struct wire_reader){ bytes, len, false };
}

static inline const void *wire_take(struct wire_reader *r, size_t len)
{
    static const uint8_t zeros[16];
    if (r->bad || r->left < len) {
        r->bad = true;
        return len <= sizeof(zeros) ? zeros : NULL;
    }
    const uint8_t *at = r->at;
    r->at += len;
    r->left -= len;
    return at;
}

static inline uint8_t wire_take8(struct wire_reader *r)
{
    return *(const uint8_t *)wire_take(r, 1);
}
static inline uint16_t wire_take16(struct wire_reader *r) { return wire_get16(wire_take(r, 2)); }
static inline uint32_t wire_take32(struct wire_reader *r) { return wire_get32(wire_take(r, 4)); }
static inline uint64_t wire_take64(struct wire_reader *r) { return wire_get64(wire_take(r, 8)); }

#endif
