/* SPDX-License-Identifier: BSD-3-Clause */
#include "info.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { NAME_WIDTH = 12 };

void info_json_string(const char *text)
{
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            printf("\\%c", *at);
        else if (*at < 0x20)
            printf("\\u%04x", *at);
        else
            putchar(*at);
    }
    putchar('"');
}

/* Further lines of a value stand under its first. */
static void info_indented(const char *value)
{
    for (const char *at = value; *at; at++) {
        putchar(*at);
        if (*at == '\n') printf("  %*s ", NAME_WIDTH, "");
    }
    putchar('\n');
}

void info_item(struct info *info, const char *section, const char *name, const char *format, ...)
{
    char value[INFO_VALUE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    text_mark_cut(&(struct text){ value, sizeof(value), n > 0 ? (size_t)n : 0 });

    if (info->json) {
        printf("{\"section\": ");
        info_json_string(section);
        printf(", \"name\": ");
        info_json_string(name);
        printf(", \"value\": ");
        info_json_string(value);
        printf("}\n");
        return;
    }
    if (!info->section || strcmp(info->section, section) != 0)
        printf("%s%s\n", info->section ? "\n" : "", section);
    info->section = section;
    printf("  %-*s ", NAME_WIDTH, name);
    info_indented(value);
}
