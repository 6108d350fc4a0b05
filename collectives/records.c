/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/records.h"

#include "collectives/collective.h"
#include "sinew/sinew.h"

void record_put(uint8_t bytes[RECORD_BYTES], const struct record *r)
{
    wire_put32(bytes, r->sequence);
    wire_put32(bytes + 4, r->digest);
    bytes[8] = r->collective;
    bytes[9] = r->level;
    wire_put16(bytes + 10, r->algorithm);
    wire_put32(bytes + 12, (uint32_t)r->type);
    wire_put32(bytes + 16, (uint32_t)r->op);
    wire_put32(bytes + 20, (uint32_t)r->root);
    wire_put64(bytes + 24, r->agreed);
    wire_put64(bytes + 32, r->count);
}

bool record_take(struct wire_reader *w, struct record *r)
{
    r->sequence = wire_take32(w);
    r->digest = wire_take32(w);
    r->collective = wire_take8(w);
    r->level = wire_take8(w);
    r->algorithm = wire_take16(w);
    r->type = (int32_t)wire_take32(w);
    r->op = (int32_t)wire_take32(w);
    r->root = (int32_t)wire_take32(w);
    r->agreed = wire_take64(w);
    r->count = wire_take64(w);
    return !w->bad && r->collective < COLLECTIVE_END;
}

const char *type_name(int type)
{
    static const char *const names[] = {
        [SINEW_I8] = "i8",           [SINEW_I16] = "i16",         [SINEW_I32] = "i32",
        [SINEW_I64] = "i64",         [SINEW_U8] = "u8",           [SINEW_U16] = "u16",
        [SINEW_U32] = "u32",         [SINEW_U64] = "u64",         [SINEW_F32] = "f32",
        [SINEW_F64] = "f64",         [SINEW_F16] = "f16",         [SINEW_BF16] = "bf16",
        [SINEW_C32] = "c32",         [SINEW_C64] = "c64",         [SINEW_F32_I32] = "f32_i32",
        [SINEW_F64_I32] = "f64_i32", [SINEW_I32_I32] = "i32_i32", [SINEW_I64_I32] = "i64_i32",
    };
    return type >= SINEW_I8 && type <= SINEW_I64_I32 ? names[type] : NULL;
}

void type_text(struct text *t, int type)
{
    if (type_name(type))
        text_add(t, "%s", type_name(type));
    else if (sinew_type_size(type))
        text_add(t, "records of %zu bytes", sinew_type_size(type));
    else
        text_add(t, "type %d", type);
}

void operator_text(struct text *t, int op)
{
    static const char *const names[] = {
        [SINEW_SUM] = "sum",       [SINEW_PROD] = "prod",     [SINEW_MIN] = "min",
        [SINEW_MAX] = "max",       [SINEW_MINLOC] = "minloc", [SINEW_MAXLOC] = "maxloc",
        [SINEW_BAND] = "band",     [SINEW_BOR] = "bor",       [SINEW_BXOR] = "bxor",
        [SINEW_LAND] = "land",     [SINEW_LOR] = "lor",       [SINEW_LXOR] = "lxor",
    };
    if (op >= SINEW_SUM && op <= SINEW_LXOR)
        text_add(t, "%s", names[op]);
    else
        text_add(t, "operator %d", op);
}

void record_text(const struct record *r, struct text *t)
{
    enum collective c = (enum collective)r->collective;
    text_add(t, "%s %u", collective_name(c), r->sequence);
    if (r->type) {
        text_add(t, " of %llu x ", (unsigned long long)r->count);
        type_text(t, r->type);
        text_add(t, ", ");
        operator_text(t, r->op);
    } else if (c != COLLECTIVE_BARRIER) {
        text_add(t, " of %llu bytes", (unsigned long long)r->count);
    }
    if (c == COLLECTIVE_REDUCE_SCATTER || c == COLLECTIVE_ALLGATHERV)
        text_add(t, " (counts %08x)", (uint32_t)r->agreed);
    if (collective_has_root(c)) text_add(t, ", root %d", r->root);
    if (r->algorithm < algorithm_count) text_add(t, ", by %s", algorithms[r->algorithm].name);
    if (r->level == SINEW_LEVEL_REPEATABLE) text_add(t, ", repeatable");
    if (r->level == SINEW_LEVEL_PORTABLE) text_add(t, ", portable");
}
