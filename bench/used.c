/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * used.c - which transports carried the data: what sinew_explain() says, not what was asked for
 */
#include "perf.h"

#include <stdio.h>
#include <string.h>

/* The name in the line "chosen: NAME …"; 0 when there is none. */
static int used_chosen(const char *text, char name[16])
{
    const char *at = strstr(text, "chosen: ");
    return at ? sscanf(at, "chosen: %15[a-z0-9]", name) == 1 : 0;
}

static void used_add(char out[PERF_TRANSPORT_MAX], const char *name)
{
    size_t len = strlen(out);
    if (strstr(out, name)) return;
    snprintf(out + len, PERF_TRANSPORT_MAX - len, "%s%s", len > 0 ? "+" : "", name);
}

void used_transports(const struct perf *p, size_t bytes, char out[PERF_TRANSPORT_MAX])
{
    char text[4096], name[16];
    out[0] = '\0';
    for (int rank = 0; rank < p->size; rank++) {
        if (rank == p->rank) continue;
        perf_check(p, sinew_explain(p->world, rank, bytes, text, sizeof(text), NULL), "explain");
        used_add(out, used_chosen(text, name) ? name : "unknown");
    }
    if (p->size == 1) used_add(out, "self");
}
