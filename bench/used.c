/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * used.c - which transports carried the data: what sinew_explain() says, not what was asked for
 *
 * Its text has a line "  NAME: in use" for a peer that was met. Peers that this rank never met
 * carried nothing of it and are left out.
 */
#include "perf.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_LEN = 16 };

static bool used_find(const char *text, char name[NAME_MAX_LEN])
{
    const char *mark = strstr(text, ": in use\n"), *at = mark;
    if (!mark) return false;
    while (at > text && at[-1] != ' ' && at[-1] != '\n') at--;
    snprintf(name, NAME_MAX_LEN, "%.*s", (int)(mark - at), at);
    return true;
}

static void used_add(char out[PERF_TRANSPORT_MAX], const char *name)
{
    size_t len = strlen(out);
    if (strstr(out, name)) return;
    snprintf(out + len, PERF_TRANSPORT_MAX - len, "%s%s", len > 0 ? "+" : "", name);
}

void used_transports(const struct perf *p, size_t bytes, char out[PERF_TRANSPORT_MAX])
{
    char text[PERF_TEXT_MAX], name[NAME_MAX_LEN];
    out[0] = '\0';
    for (int rank = 0; rank < p->size; rank++) {
        if (rank == p->rank) continue;
        perf_check(p, sinew_explain(p->world, rank, bytes, text, sizeof(text), NULL), "explain");
        if (used_find(text, name)) used_add(out, name);
    }
    if (!out[0]) used_add(out, p->size == 1 ? "self" : "none");
}
