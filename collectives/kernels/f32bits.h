/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * f32bits.h - a float and its bits
 */
ALWAYS_INLINE float f32_of(uint32_t b)
{
    float v;
    memcpy(&v, &b, sizeof(v));
    return v;
}
ALWAYS_INLINE uint32_t f32_bits(float v)
{
    uint32_t b;
    memcpy(&b, &v, sizeof(b));
    return b;
}
