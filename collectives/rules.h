/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_RULES_H
#define COLLECTIVES_RULES_H
/*
 * rules.h - the file of the setting collective_rules: models of links, and who is chosen when
 *
 *   { "links": { "shm": { "latency_ns": 120, "overhead_ns": 90, "byte_ns": 0.11, … } },
 *     "rules": [ { "collective": "allreduce", "link": "shm", "ranks": [2, 8],
 *                  "bytes": [0, 2047], "crowded": false, "algorithm": "recursive-multiplying:4" } ]
 *                  }
 *
 * What is left out of a link is the built-in value; what is left out of a rule is anything; a field
 * that is not known is an error. The first rule that fits decides, if its algorithm keeps what the
 * call needs; then the model. The file must be the same on all ranks: if it is not, calls end in
 * SINEW_EMISMATCH. Reading it needs cJSON, which is looked for when a file is named.
 */
#include "base/text.h"
#include "base/world.h"
#include "collectives/model.h"

enum { RULES_MAX = 1024, RULE_LINKS_MAX = 16 };

struct rule {
    enum collective collective;
    char link[LINK_NAME_MAX]; /* "": any                          */
    uint64_t ranks[2], bytes[2]; /* from, to                      */
    int crowded;              /* 0, 1; -1: whatever               */
    uint32_t algorithm, parameter;
};

struct rules {
    uint32_t links, count;
    size_t size; /* of this allocation */
    struct link_model link[RULE_LINKS_MAX];
    struct rule rule[];
};

/* 0 and *rules, rules_free() is due; SINEW_EINVAL, SINEW_ENOENT, SINEW_ENOTSUP, SINEW_ENOMEM with
 * why, which names file, place and what was expected. */
int rules_load(const struct world *world, const char *file, struct rules **rules, struct why *why);
void rules_free(const struct world *world, struct rules *rules);

/* Text that was read, as a file has it; for tests and tools. */
int rules_parse(const struct world *world, const char *file, const char *text, size_t len,
                struct rules **rules, struct why *why);

/* The model of a link, from the rules (may be NULL) or built in. */
const struct link_model *rules_link(const struct rules *rules, const char *name);

#endif
