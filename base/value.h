/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H
/*
 * value.h - numbers, sizes and times as people write them
 *
 * Exact: what is printed reads back as the same value, no locale and no floating point is involved.
 */
#include <stdbool.h>
#include <stdint.h>

enum { VALUE_TEXT_MAX = 32 };

/* The whole text must be the value; *value is written on success only. */
bool value_parse_number(const char *text, int64_t *value); /* -12                                 */
bool value_parse_size(const char *text, int64_t *value);   /* 8, 1.5K, 1M, 2G: powers of 1024     */
bool value_parse_time(const char *text, int64_t *value);   /* 1.5s, 20ms, 3us, 5ns, never         */

/* Into the caller's buffer, which is returned. */
const char *value_print_size(int64_t value, char out[VALUE_TEXT_MAX]);
const char *value_print_time(int64_t value, char out[VALUE_TEXT_MAX]); /* INT64_MAX: never */

#endif
