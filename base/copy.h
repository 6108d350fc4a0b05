/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_COPY_H
#define BASE_COPY_H
/*
 * copy.h - memcpy() for what is mostly short
 *
 * Up to 64 bytes: two or four moves of one width that may overlap, no call, no loop. The usual
 * lengths of a message come first.
 */
#include <stddef.h>
#include <string.h>

static inline void copy_ends(char *to, const char *from, size_t len, size_t width)
{
    char first[16], last[16];
    memcpy(first, from, width);
    memcpy(last, from + len - width, width);
    memcpy(to, first, width);
    memcpy(to + len - width, last, width);
}

/* At most 64 bytes. */
static inline void copy_line(void *to, const void *from, size_t len)
{
    char *t = to;
    const char *f = from;
    if (__builtin_constant_p(len)) {
        if (len > 0) memcpy(to, from, len); /* from may be NULL then */
    } else if (__builtin_expect(len == 8, 1)) { /* a number: by far the most */
        memcpy(t, f, 8);
    } else if (len - 8 <= 8) {
        copy_ends(t, f, len, 8);
    } else if (len > 32) {
        copy_ends(t, f, 32, 16);
        copy_ends(t + len - 32, f + len - 32, 32, 16);
    } else if (len > 16) {
        copy_ends(t, f, len, 16);
    } else if (len >= 4) {
        copy_ends(t, f, len, 4);
    } else if (len >= 2) {
        copy_ends(t, f, len, 2);
    } else if (len == 1) {
        *t = *f;
    }
}

static inline void copy_short(void *to, const void *from, size_t len)
{
    if (len <= 64)
        copy_line(to, from, len);
    else
        memcpy(to, from, len);
}

#endif
