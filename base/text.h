/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H
/*
 * text.h - bounded text, for failures and reports
 *
 * A `struct why` collects "outer: inner: cause". The cause is said where it happens; each caller
 * that knows more puts its own words in front. What does not fit is cut, and "..." stands in its
 * place.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

enum { WHY_MAX = 512 };

struct why {
    char text[WHY_MAX];
};

/* Replace the text. A NULL why is allowed and ignored. Returns `status`, so that a failing function
 * can end in it. */
int why_set(struct why *why, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put words in front: "format: what was there". Returns `status`. */
int why_wrap(struct why *why, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Text that grows into a caller's buffer and counts what it would need. */
struct text {
    char *at;
    size_t cap, need; /* need: bytes so far, without the terminator, also those that did not fit */
};

struct text text_into(char *buffer, size_t cap);
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Where some of it did not fit, "..." ends it. */
void text_mark_cut(const struct text *t);

/* A duration for people: "1.5 s", "20 ms". Into the caller's buffer, which is returned. */
enum { TEXT_DURATION_MAX = 32 };
const char *text_duration(int64_t ns, char buffer[TEXT_DURATION_MAX]);

#endif
