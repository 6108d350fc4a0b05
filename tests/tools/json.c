/* SPDX-License-Identifier: BSD-3-Clause */
#include "json.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void skip_blanks(const char **at)
{
    while (**at == ' ' || **at == '\t') (*at)++;
}

static bool take(const char **at, char c)
{
    skip_blanks(at);
    if (**at != c) return false;
    (*at)++;
    return true;
}

/* One character of a string, escapes included. */
static bool string_char(const char **at, char *out)
{
    static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if ((unsigned char)**at < 0x20) return false;
    if (**at != '\\') {
        *out = *(*at)++;
        return true;
    }
    char escape = (*at)[1];
    const char *known = escape ? strchr(escapes, escape) : NULL;
    if (known) {
        *out = meant[known - escapes];
        *at += 2;
        return true;
    }
    char digits[5] = "";
    if (escape != 'u') return false;
    for (int i = 0; i < 4; i++) {
        digits[i] = (*at)[2 + i];
        if (!isxdigit((unsigned char)digits[i])) return false;
    }
    long code = strtol(digits, NULL, 16);
    *out = code > 0 && code < 128 ? (char)code : '?';
    *at += 6;
    return true;
}

static bool string_parse(const char **at, char *out, size_t cap)
{
    size_t n = 0;
    if (!take(at, '"')) return false;
    while (**at != '"')
        if (n + 1 >= cap || !string_char(at, &out[n++])) return false;
    (*at)++;
    out[n] = '\0';
    return true;
}

static bool number_parse(const char **at, struct json_field *field)
{
    char *end;
    if (!isdigit((unsigned char)**at) && **at != '-') return false;
    field->number = strtod(*at, &end);
    size_t len = (size_t)(end - *at);
    if (len == 0 || len >= sizeof(field->text)) return false;
    memcpy(field->text, *at, len);
    field->text[len] = '\0';
    *at = end;
    return true;
}

static bool field_parse(const char **at, struct json_field *field)
{
    if (!string_parse(at, field->key, sizeof(field->key)) || !take(at, ':')) return false;
    skip_blanks(at);
    field->is_string = **at == '"';
    if (field->is_string) return string_parse(at, field->text, sizeof(field->text));
    return number_parse(at, field);
}

bool json_parse(const char *line, struct json *out)
{
    out->n = 0;
    if (!take(&line, '{')) return false;
    do {
        if (out->n == JSON_FIELDS_MAX || !field_parse(&line, &out->field[out->n])) return false;
        out->n++;
    } while (take(&line, ','));
    if (!take(&line, '}')) return false;
    skip_blanks(&line);
    return *line == '\0';
}

const struct json_field *json_get(const struct json *j, const char *key)
{
    for (int i = 0; i < j->n; i++)
        if (strcmp(j->field[i].key, key) == 0) return &j->field[i];
    fail_msg("there is no key %s", key);
    return NULL;
}

const char *json_text(const struct json *j, const char *key)
{
    const struct json_field *field = json_get(j, key);
    if (!field->is_string) fail_msg("%s is not a string", key);
    return field->text;
}

double json_number(const struct json *j, const char *key)
{
    const struct json_field *field = json_get(j, key);
    if (field->is_string) fail_msg("%s is not a number", key);
    return field->number;
}

void json_expect_keys(const struct json *j, const char *keys)
{
    char found[1024] = "";
    for (int i = 0; i < j->n; i++) {
        size_t used = strlen(found);
        snprintf(found + used, sizeof(found) - used, "%s%s", i > 0 ? ", " : "", j->field[i].key);
    }
    assert_string_equal(found, keys);
}
