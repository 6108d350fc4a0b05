/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_TOOLS_JSON_H
#define TESTS_TOOLS_JSON_H
/*
 * json.h - one flat JSON object, strictly: strings and numbers, no nesting, nothing behind it
 */
#include <stdbool.h>

enum { JSON_FIELDS_MAX = 24, JSON_TEXT_MAX = 2048 };

struct json_field {
    char key[64], text[JSON_TEXT_MAX]; /* a string's contents, or the number as written */
    bool is_string;
    double number;
};

struct json {
    int n;
    struct json_field field[JSON_FIELDS_MAX];
};

/* False if the line is anything else. */
bool json_parse(const char *line, struct json *out);

/* The field of that key, which must be there. */
const struct json_field *json_get(const struct json *j, const char *key);
const char *json_text(const struct json *j, const char *key);
double json_number(const struct json *j, const char *key);

/* The keys are these, in this order, and no more: "test, transport, ranks". */
void json_expect_keys(const struct json *j, const char *keys);

#endif
