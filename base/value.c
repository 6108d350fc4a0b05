/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/value.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: printing takes the first that divides. */
static const struct unit sizes[] = {
    { "G", 1 << 30 }, { "M", 1 << 20 }, { "K", 1 << 10 }, { "", 1 }
};
static const struct unit times[] = {
    { "s", 1000000000 }, { "ms", 1000000 }, { "us", 1000 }, { "ns", 1 }
};
enum { UNITS = 4 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Decimal digits from *at, which moves behind them; false without one or above INT64_MAX. */
static bool take_digits(const char **at, int64_t *value)
{
    int64_t v = 0;
    if (!is_digit(**at)) return false;
    for (; is_digit(**at); ++*at)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **at - '0', &v))
            return false;
    *value = v;
    return true;
}

bool value_parse_number(const char *text, int64_t *value)
{
    bool negative = *text == '-';
    int64_t v;
    if (negative) text++;
    if (!take_digits(&text, &v) || *text) return false;
    *value = negative ? -v : v;
    return true;
}

/* ".25" of a unit: as many digits as there are, each worth a tenth of the one before; false if one
 * is worth less than a whole number of the smallest unit. */
static bool take_fraction(const char **at, int64_t factor, int64_t *value)
{
    int64_t divisor = 1, digits = 0;
    if (!is_digit(*++*at)) return false;
    for (; is_digit(**at); ++*at) {
        if (divisor > 100000000) return false;
        divisor *= 10;
        digits = digits * 10 + (**at - '0');
    }
    if (digits * factor % divisor) return false; /* < 10^9 * 2^30: no overflow */
    *value = digits * factor / divisor;
    return true;
}

static const struct unit *find_unit(const struct unit units[UNITS], const char *name)
{
    for (int i = 0; i < UNITS; i++)
        if (strcmp(units[i].name, name) == 0) return &units[i];
    return NULL;
}

static bool parse_units(const struct unit units[UNITS], const char *text, int64_t *value)
{
    int64_t whole, part = 0;
    if (!take_digits(&text, &whole)) return false;
    const struct unit *unit = find_unit(units, text + strspn(text, ".0123456789"));
    if (!unit) return false;
    if (*text == '.' && !take_fraction(&text, unit->factor, &part)) return false;
    if (strcmp(text, unit->name) != 0) return false;
    if (__builtin_mul_overflow(whole, unit->factor, &whole)) return false;
    return !__builtin_add_overflow(whole, part, value);
}

bool value_parse_size(const char *text, int64_t *value)
{
    int64_t v;
    if (!parse_units(sizes, text, &v)) return false;
    *value = v;
    return true;
}

bool value_parse_time(const char *text, int64_t *value)
{
    int64_t v = INT64_MAX;
    if (strcmp(text, "never") != 0 && !parse_units(times, text, &v)) return false;
    *value = v;
    return true;
}

static const char *print_units(const struct unit units[UNITS], int64_t value, char *out)
{
    int i = value == 0 ? UNITS - 1 : 0;
    while (value % units[i].factor) i++;
    snprintf(out, VALUE_TEXT_MAX, "%" PRId64 "%s", value / units[i].factor, units[i].name);
    return out;
}

const char *value_print_size(int64_t value, char out[VALUE_TEXT_MAX])
{
    return print_units(sizes, value, out);
}

const char *value_print_time(int64_t value, char out[VALUE_TEXT_MAX])
{
    return value == INT64_MAX ? strcpy(out, "never") : print_units(times, value, out);
}
