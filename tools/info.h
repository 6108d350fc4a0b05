/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TOOLS_INFO_H
#define TOOLS_INFO_H
/*
 * info.h - what the parts of sinew-info share
 *
 * Everything it tells is an item: a section, a name in it, a value. For people sections become
 * headings; for programs each item is one JSON object on a line of its own.
 */
#include <stdbool.h>

#include "base/config.h"

struct info {
    bool json;
    const char *section; /* the heading printed last; NULL: none yet */
    struct config config;
    struct config_sources sources;
};

enum { INFO_VALUE_MAX = 8192 };

/* info_output.c */
void info_item(struct info *info, const char *section, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A JSON string with its quotes, to standard output. */
void info_json_string(const char *text);

/* info_host.c, info_cores.c: this machine, and what this process may have of it. */
void info_host(struct info *info);
void info_cores(struct info *info);
void info_launcher(struct info *info);

/* info_transports.c: which of them work here, and which would be chosen. */
void info_transports(struct info *info);

/* info_rdma.c: is RDMA ready, and if not, why; as seen below root ("": this host). */
void info_rdma(struct info *info, const char *root);

/* info_route.c: how TCP would go to a host; false if it is out of reach. */
bool info_route(struct info *info, const char *host);

/* info_config.c: the one table. */
void info_config(const struct info *info);

#endif
