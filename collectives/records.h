/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_RECORDS_H
#define COLLECTIVES_RECORDS_H
/*
 * records.h - what a rank called, for other ranks and for people
 *
 *   | sequence u32 | digest u32 | collective u8 | level u8 | algorithm u16 | type i32 |
 *   | operator i32 | root i32 | agreed u64 | count u64 |          40 bytes, little-endian
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "base/wire.h"

struct record {
    uint32_t sequence, digest;
    uint8_t collective, level; /* collective 0: there is none */
    uint16_t algorithm;
    int32_t type, op, root;
    uint64_t agreed, count; /* count: of the rank's own input, in elements */
};

enum { RECORD_BYTES = 40 };

void record_put(uint8_t bytes[RECORD_BYTES], const struct record *r);
/* false: no record. Numbers that only names are made of may be anything. */
bool record_take(struct wire_reader *w, struct record *r);

/* "i64", of enum sinew_type; NULL: it is none of them. */
const char *type_name(int type);

/* The same, "records of 24 bytes", or "type 99"; and "sum", or "operator 256". */
void type_text(struct text *t, int type);
void operator_text(struct text *t, int op);

/* "allreduce 5 of 1 x i64, sum, by recursive-doubling" */
void record_text(const struct record *r, struct text *t);

#endif
