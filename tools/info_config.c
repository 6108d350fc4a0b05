/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info_config.c - the table behind options, SINEW_* variables and sinewrun --set
 */
#include "info.h"

#include <stdio.h>
#include <string.h>

static const char *const sources[] = {
    [CONFIG_BY_DEFAULT] = "default",
    [CONFIG_BY_OPTION] = "option",
    [CONFIG_BY_SETTINGS] = "settings",
    [CONFIG_BY_ENVIRONMENT] = "environment",
};

static void config_json(const struct config_row *row)
{
    const char *const fields[][2] = {
        { "name", row->name },   { "value", row->value },           { "default", row->initial },
        { "range", row->range }, { "source", sources[row->source] }, { "text", row->text },
    };
    printf("{\"section\": \"config\"");
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        printf(", \"%s\": ", fields[i][0]);
        info_json_string(fields[i][1]);
    }
    printf("}\n");
}

/* Columns as wide as what stands in them. */
struct widths {
    int name, value, initial, range;
};

static int wider(int width, const char *text)
{
    int len = (int)strlen(text);
    return len > width ? len : width;
}

static struct widths config_widths(const struct info *info)
{
    struct config_row row;
    struct widths w = { 4, 5, 7, 5 };
    for (int i = 0; config_row(&info->config, &info->sources, i, &row); i++) {
        w.name = wider(w.name, row.name);
        w.value = wider(w.value, row.value);
        w.initial = wider(w.initial, row.initial);
        w.range = wider(w.range, row.range);
    }
    return w;
}

void info_config(const struct info *info)
{
    struct config_row row;
    struct widths w = config_widths(info);
    if (!info->json)
        printf("%-*s  %-*s  %-*s  %-*s  %-11s  %s\n", w.name, "name", w.value, "value", w.initial,
               "default", w.range, "range", "from", "what it is");
    for (int i = 0; config_row(&info->config, &info->sources, i, &row); i++) {
        if (info->json)
            config_json(&row);
        else
            printf("%-*s  %-*s  %-*s  %-*s  %-11s  %s\n", w.name, row.name, w.value, row.value,
                   w.initial, row.initial, w.range, row.range, sources[row.source], row.text);
    }
    if (!info->json)
        printf("\nTo change one: SINEW_NAME=value in the environment, sinewrun --set name=value,\n"
               "or sinew_options, and its field settings. From the weakest: default, a field of\n"
               "sinew_options, settings, the environment; --set puts it into the environment of the\n"
               "ranks, and wins over what is there. SINEW_SECURITY cannot loosen what the program asks.\n"
               "\n"
               "In the environment alone, to join a job without sinewrun (docs/launching.md):\n"
               "SINEW_RENDEZVOUS=HOST:PORT SINEW_RANK=R SINEW_SIZE=N SINEW_SECRET_FILE=FILE\n");
}
