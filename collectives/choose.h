/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_CHOOSE_H
#define COLLECTIVES_CHOOSE_H
/*
 * choose.h - which algorithm, and why
 */
#include <string.h>

#include "base/text.h"
#include "collectives/rules.h"

/* What a choice depends on; all ranks know it alike. */
struct situation {
    uint32_t size;
    uint64_t bytes; /* of one rank's input                                                   */
    bool crowded;   /* all ranks are on one host, and take turns on its cores                */
    uint32_t cores; /* these, if so; 0: two                                                  */
    bool has_arithmetic;
    unsigned need; /* enum algorithm_flag                                                   */
    const char *link; /* between them, as in model.h                                        */
    uint32_t node;    /* ranks on each node, in order; 0: otherwise                         */
    const struct rules *rules; /* or NULL                                                   */
};

struct choice {
    uint32_t algorithm, parameter;
    double ns;      /* predicted                        */
    const char *by; /* what decided: a constant text    */
};

/* One that has all that is needed. */
struct choice algorithm_choose(enum collective collective, const struct situation *at);

/* Why it is out of the question, a constant text; NULL: it is not. */
const char *algorithm_objection(const struct algorithm *a, const struct situation *at);
/* ns, as the model predicts. */
double algorithm_time(const struct algorithm *a, uint32_t parameter, const struct situation *at);

/* Lines: what was chosen and why, then each candidate and what was predicted of it. */
void choice_explain(enum collective collective, const struct situation *at,
                    const struct choice *choice, struct text *text);

#endif
