/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/coll_layout.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

uint64_t case_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t mix(const struct kase *k, int a, int b)
{
    uint64_t state = k->seed ^ (uint64_t)a << 20 ^ (uint64_t)b << 40 ^ 0x5151;
    return case_random(&state);
}

size_t case_element_bytes(const struct kase *k)
{
    return k->type ? sinew_type_size(k->type) : 1;
}

bool case_has_root(const struct kase *k)
{
    switch (k->collective) {
    case COLLECTIVE_BCAST:
    case COLLECTIVE_REDUCE:
    case COLLECTIVE_GATHER:
    case COLLECTIVE_GATHERV:
    case COLLECTIVE_SCATTER:
    case COLLECTIVE_SCATTERV:
        return true;
    default:
        return false;
    }
}

bool case_has_arithmetic(const struct kase *k)
{
    switch (k->collective) {
    case COLLECTIVE_REDUCE:
    case COLLECTIVE_ALLREDUCE:
    case COLLECTIVE_REDUCE_SCATTER:
    case COLLECTIVE_REDUCE_SCATTER_BLOCK:
    case COLLECTIVE_SCAN:
    case COLLECTIVE_EXSCAN:
        return true;
    default:
        return false;
    }
}

static bool has_neighbours(const struct kase *k)
{
    return k->collective >= COLLECTIVE_NEIGHBOUR_ALLGATHER;
}

bool case_placed(const struct kase *k, int rank)
{
    bool scan = k->collective == COLLECTIVE_SCAN || k->collective == COLLECTIVE_EXSCAN;
    if (!k->in_place || k->collective == COLLECTIVE_BCAST || has_neighbours(k)) return false;
    if (k->collective == COLLECTIVE_BARRIER || (scan && rank % 3 == 2)) return false;
    return !case_has_root(k) || rank == k->root;
}

/* -------------------------------------------------------------------------------------
 * parameters */

enum { VARIANTS = 4 };

uint32_t case_parameter(const struct algorithm *a, uint64_t turn)
{
    static const uint32_t others[][VARIANTS] = {
        [PARAMETER_NONE] = { 0, 0, 0, 0 },
        [PARAMETER_RADIX] = { 0, 3, 8, 5 },
        [PARAMETER_PIECES] = { 0, 1, 3, 5 },
        [PARAMETER_NODE] = { 0, 1, 3, 8 },
    };
    static const uint32_t tiles[VARIANTS] = { 0, 2, 3, 7 };
    uint64_t v = turn % VARIANTS;
    if (v == 0) return a->initial;
    uint32_t number = a->parameter == PARAMETER_NONE ? a->initial : others[a->parameter][v];
    return a->flags & TILED ? number | tiles[v] << 16 : number;
}

bool case_has_variants(const struct algorithm *a)
{
    return a->parameter != PARAMETER_NONE || a->flags & TILED;
}

const char *case_variant(uint32_t algorithm, uint64_t turn)
{
    static char names[128][VARIANTS][ALGORITHM_NAME_MAX];
    const struct algorithm *a = &algorithms[algorithm];
    if (!case_has_variants(a) || turn % VARIANTS == 0) return a->name;
    return algorithm_text(a, case_parameter(a, turn), names[algorithm][turn % VARIANTS]);
}

/* -------------------------------------------------------------------------------------- lengths */

/* What `from` has for `to`. */
static size_t part(const struct kase *k, int from, int to)
{
    switch (k->collective) {
    case COLLECTIVE_GATHERV:
    case COLLECTIVE_ALLGATHERV:
        to = 0;
        break;
    case COLLECTIVE_SCATTERV:
    case COLLECTIVE_REDUCE_SCATTER:
        from = 0;
        break;
    case COLLECTIVE_ALLTOALLV:
        if (k->in_place && from > to) return part(k, to, from);
        break;
    case COLLECTIVE_NEIGHBOUR_ALLTOALLV:
        break;
    default:
        return k->count;
    }
    uint64_t random = mix(k, from, to);
    return random % 4 == 0 ? 0 : (size_t)(random / 4 % (2 * k->count + 1));
}

static void layout_add(struct layout *l, size_t count)
{
    l->offsets[l->n] = l->end;
    l->counts[l->n++] = count;
    l->end += count;
}

/* In some cases: the other way round, with gaps. */
static void layout_spread(const struct kase *k, struct layout *l)
{
    bool has_offsets =
        (k->collective >= COLLECTIVE_GATHERV && k->collective <= COLLECTIVE_ALLTOALLV) ||
        k->collective == COLLECTIVE_NEIGHBOUR_ALLTOALLV;
    if (!has_offsets || k->seed % 3 == 0 || l->n < 2) return;
    l->apart = true;
    l->end = 0;
    for (int i = l->n; i-- > 0; l->end += l->counts[i] + 3) l->offsets[i] = l->end;
}

void case_in(const struct kase *k, int rank, struct layout *l)
{
    int ranks[PARTS_MAX], n;
    l->n = 0;
    l->end = 0;
    l->apart = false;
    switch (k->collective) {
    case COLLECTIVE_BARRIER:
    case COLLECTIVE_BCAST:
        if (rank == k->root) layout_add(l, k->count);
        break;
    case COLLECTIVE_SCATTER:
    case COLLECTIVE_SCATTERV:
        if (rank != k->root) break;
        /* fall through */
    case COLLECTIVE_ALLTOALL:
    case COLLECTIVE_ALLTOALLV:
    case COLLECTIVE_REDUCE_SCATTER:
    case COLLECTIVE_REDUCE_SCATTER_BLOCK:
        for (int r = 0; r < k->size; r++) layout_add(l, part(k, rank, r));
        layout_spread(k, l);
        break;
    case COLLECTIVE_NEIGHBOUR_ALLTOALL:
    case COLLECTIVE_NEIGHBOUR_ALLTOALLV:
        n = case_neighbours(k, rank, false, ranks);
        for (int i = 0; i < n; i++) layout_add(l, part(k, rank, ranks[i]));
        layout_spread(k, l);
        break;
    default:
        layout_add(l, part(k, rank, 0));
    }
}

void case_out(const struct kase *k, int rank, struct layout *l)
{
    int ranks[PARTS_MAX], n;
    l->n = 0;
    l->end = 0;
    l->apart = false;
    switch (k->collective) {
    case COLLECTIVE_BARRIER:
        break;
    case COLLECTIVE_REDUCE:
        if (rank == k->root) layout_add(l, k->count);
        break;
    case COLLECTIVE_GATHER:
    case COLLECTIVE_GATHERV:
        if (rank != k->root) break;
        /* fall through */
    case COLLECTIVE_ALLGATHER:
    case COLLECTIVE_ALLGATHERV:
    case COLLECTIVE_ALLTOALL:
    case COLLECTIVE_ALLTOALLV:
        for (int r = 0; r < k->size; r++) layout_add(l, part(k, r, rank));
        layout_spread(k, l);
        break;
    case COLLECTIVE_SCATTER:
    case COLLECTIVE_SCATTERV:
        if (!case_placed(k, rank)) layout_add(l, part(k, k->root, rank));
        break;
    case COLLECTIVE_REDUCE_SCATTER:
        layout_add(l, part(k, 0, rank));
        break;
    case COLLECTIVE_NEIGHBOUR_ALLGATHER:
    case COLLECTIVE_NEIGHBOUR_ALLTOALL:
    case COLLECTIVE_NEIGHBOUR_ALLTOALLV:
        n = case_neighbours(k, rank, true, ranks);
        for (int i = 0; i < n; i++) layout_add(l, part(k, ranks[i], rank));
        layout_spread(k, l);
        break;
    default:
        layout_add(l, k->count);
    }
}

/* ----------------------------------------------------------------------------------- neighbours */

/* A random graph, edges up to twice, oneself too; each rank has its own order of them. */
int case_neighbours(const struct kase *k, int rank, bool heard, int ranks[PARTS_MAX])
{
    int n = 0;
    uint64_t random = mix(k, rank, heard ? 1001 : 1000);
    for (int other = 0; other < k->size; other++) {
        uint64_t times = (heard ? mix(k, other, rank) : mix(k, rank, other)) >> 32;
        for (uint64_t t = 0; t < (times % 4 == 3 ? 2 : times % 4 == 2); t++) {
            int swap = (int)(case_random(&random) % (uint64_t)(n + 1));
            ranks[n++] = ranks[swap];
            ranks[swap] = other;
        }
    }
    return n;
}

bool case_source(const struct kase *k, int rank, int i, int *from, int *part_of_it)
{
    int ranks[PARTS_MAX], n, times = 0;
    *from = k->root;
    *part_of_it = 0;
    switch (k->collective) {
    case COLLECTIVE_BCAST:
        return true;
    case COLLECTIVE_SCATTER:
    case COLLECTIVE_SCATTERV:
        *part_of_it = rank;
        return true;
    case COLLECTIVE_ALLTOALL:
    case COLLECTIVE_ALLTOALLV:
        *part_of_it = rank;
        *from = i;
        return true;
    case COLLECTIVE_GATHER:
    case COLLECTIVE_GATHERV:
    case COLLECTIVE_ALLGATHER:
    case COLLECTIVE_ALLGATHERV:
        *from = i;
        return true;
    case COLLECTIVE_NEIGHBOUR_ALLGATHER:
    case COLLECTIVE_NEIGHBOUR_ALLTOALL:
    case COLLECTIVE_NEIGHBOUR_ALLTOALLV:
        break;
    default:
        return false;
    }
    n = case_neighbours(k, rank, true, ranks);
    *from = ranks[i];
    for (int j = 0; j < i; j++) times += ranks[j] == *from;
    if (k->collective == COLLECTIVE_NEIGHBOUR_ALLGATHER) return true;
    n = case_neighbours(k, *from, false, ranks);
    for (int j = 0; j < n; j++)
        if (ranks[j] == rank && times-- == 0) *part_of_it = j;
    return true;
}

int case_operands(const struct kase *k, int rank)
{
    if (k->collective == COLLECTIVE_SCAN) return rank + 1;
    if (k->collective == COLLECTIVE_EXSCAN) return rank;
    return k->size;
}

/* --------------------------------------------------------------------------------------- values */

void case_pick(struct kase *k, uint64_t *random)
{
    k->type = k->op = 0;
    if (k->collective == COLLECTIVE_BARRIER) k->count = 0;
    if (!case_has_arithmetic(k)) return;
    uint32_t parameter;
    int algorithm = k->algorithm ? algorithm_parse(k->collective, k->algorithm, &parameter) : 0;
    bool ordered = !k->algorithm || algorithms[algorithm].flags & KEEPS_ORDER;
    if (ordered && case_random(random) % 8 == 0) {
        k->type = OWN_TYPE;
        k->op = OWN_OPERATOR;
        return;
    }
    k->type = SINEW_I8 + (int)(case_random(random) % 18);
    int operators = k->type <= SINEW_U64 ? 10 : k->type <= SINEW_BF16 ? 4 : 2;
    int op = SINEW_SUM + (int)(case_random(random) % (uint64_t)operators);
    if (k->type >= SINEW_F32_I32) op += SINEW_MINLOC - SINEW_SUM;
    k->op = k->type <= SINEW_U64 && op >= SINEW_MINLOC ? op + 2 : op;
}

/* Small integers, exact in every format, as their sums are; for products powers of two. */
static double tame(const struct kase *k, uint64_t random)
{
    static const double factors[] = { 1, -1, 2, 0.5, 1, 1, -1, 1 };
    if (k->op == SINEW_PROD) return factors[random % 8];
    return (double)(random % 15) - 7;
}

static uint16_t half_of(double v, int fraction_bits, int bias)
{
    int exponent;
    if (v == 0) return 0;
    double fraction = frexp(fabs(v), &exponent); /* 0.5 to 1 */
    uint32_t bits = (uint32_t)ldexp(2 * fraction - 1, fraction_bits);
    return (uint16_t)((v < 0 ? 0x8000u : 0) | (uint32_t)(exponent - 1 + bias) << fraction_bits |
                      bits);
}

/* One element of the type, from random bits. */
static void fill_element(const struct kase *k, unsigned char *at, uint64_t *random)
{
    double d = tame(k, case_random(random)), zero = 0;
    bool product = k->op == SINEW_PROD; /* of complex ones: no zero that may have either sign */
    if (product && k->type >= SINEW_C32) d = fabs(d);
    float f = (float)d, no = 0;
    uint16_t half;
    int32_t index = (int32_t)(case_random(random) % 50);
    int64_t whole = (int64_t)d;
    int32_t less = (int32_t)d;
    bool turned = !product && case_random(random) % 2;
    switch (k->type) {
    case SINEW_F32:
        memcpy(at, &f, 4);
        break;
    case SINEW_F64:
        memcpy(at, &d, 8);
        break;
    case SINEW_F16:
    case SINEW_BF16:
        half = k->type == SINEW_F16 ? half_of(d, 10, 15) : half_of(d, 7, 127);
        memcpy(at, &half, 2);
        break;
    case SINEW_C32:
        memcpy(at, turned ? &no : &f, 4);
        memcpy(at + 4, turned ? &f : &no, 4);
        break;
    case SINEW_C64:
        memcpy(at, turned ? &zero : &d, 8);
        memcpy(at + 8, turned ? &d : &zero, 8);
        break;
    case SINEW_F32_I32:
        memcpy(at, &f, 4);
        memcpy(at + 4, &index, 4);
        break;
    case SINEW_I32_I32:
        memcpy(at, &less, 4);
        memcpy(at + 4, &index, 4);
        break;
    case SINEW_F64_I32:
        memcpy(at, &d, 8);
        memcpy(at + 8, &index, 4);
        memset(at + 12, 0, 4);
        break;
    case SINEW_I64_I32:
        memcpy(at, &whole, 8);
        memcpy(at + 8, &index, 4);
        memset(at + 12, 0, 4);
        break;
    default:
        break;
    }
}

void case_fill(const struct kase *k, int rank, unsigned char *at, size_t elements)
{
    uint64_t random = (k->seed + k->round) ^ (uint64_t)rank * 0x10001;
    size_t each = case_element_bytes(k);
    if (!k->wild && k->type >= SINEW_F32 && k->type <= SINEW_I64_I32) {
        for (size_t i = 0; i < elements; i++) fill_element(k, at + i * each, &random);
        return;
    }
    for (size_t i = 0; i < elements * each; i += 8) {
        uint64_t bits = case_random(&random);
        memcpy(at + i, &bits, elements * each - i < 8 ? elements * each - i : 8);
    }
}

void case_compose(void *arg, const void *left, void *right, size_t count, int type)
{
    const unsigned char *l = left;
    unsigned char *r = right;
    (void)type;
    ++*(int *)arg;
    for (size_t i = 0; i < count; i++, l += 8, r += 8) {
        uint32_t x[2], y[2]; /* first x, then y: y0 (x0 t + x1) + y1 */
        memcpy(x, l, 8);
        memcpy(y, r, 8);
        y[1] += y[0] * x[1];
        y[0] *= x[0];
        memcpy(r, y, 8);
    }
}
