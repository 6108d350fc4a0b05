/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_COLL_LAYOUT_H
#define TESTS_SUPPORT_COLL_LAYOUT_H
/*
 * coll_layout.h - what a case's ranks hold: which parts of which lengths, and where they must end
 * up
 *
 * Written from the words of sinew.h, in plain loops; knows nothing of schedules.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectives/collective.h"
#include "sinew/sinew.h"

enum { RANKS_MAX = 33, PARTS_MAX = 4 * RANKS_MAX };

enum mode { NONBLOCKING, PERSISTENT, BLOCKING };

struct kase {
    enum collective collective;
    const char *algorithm; /* NULL: chosen */
    int size, root, type, op;
    size_t count; /* elements, or bytes where there is no arithmetic; of a part, where there are */
    bool in_place;
    enum mode mode;
    uint64_t seed;
    uint64_t round; /* of a persistent one: other contents, the same lengths */
    bool wild;      /* floats: any bits, so that only sameness is checked */
};

/* Parts of a buffer, in elements. */
struct layout {
    int n;
    size_t counts[PARTS_MAX], offsets[PARTS_MAX], end;
    bool apart; /* not one after the other: offsets are needed */
};

/* The type of operands of the operator that does not commute: OWN_OPERATOR. */
#define OWN_TYPE SINEW_RECORD(8)
enum { OWN_OPERATOR = 256 };

size_t case_element_bytes(const struct kase *k);
bool case_has_root(const struct kase *k);
bool case_has_arithmetic(const struct kase *k);
/* Whether this rank's call is in place. */
bool case_placed(const struct kase *k, int rank);
/* The name of an algorithm with one of a few parameters and numbers of tiles, by `turn`: "bruck",
 * "bruck:3", "tree/7" …. */
const char *case_variant(uint32_t algorithm, uint64_t turn);
/* The parameter of such a one, with the tiles. */
uint32_t case_parameter(const struct algorithm *a, uint64_t turn);
/* Whether there are others than the first. */
bool case_has_variants(const struct algorithm *a);
/* A random type and operator, if the collective has them; a barrier gets count 0. */
void case_pick(struct kase *k, uint64_t *random);

void case_in(const struct kase *k, int rank, struct layout *l);
void case_out(const struct kase *k, int rank, struct layout *l);
/* The neighbours of a rank: those it tells, or hears. Their number. */
int case_neighbours(const struct kase *k, int rank, bool heard, int ranks[PARTS_MAX]);
/* Part `i` of rank `rank`'s output is part *part of rank *from's input; false: it is none. Of
 * collectives without arithmetic. */
bool case_source(const struct kase *k, int rank, int i, int *from, int *part);
/* Of those with: the ranks [0, *n) combine. */
int case_operands(const struct kase *k, int rank);

/* Values that any bracketing combines to the same, or any bits. */
void case_fill(const struct kase *k, int rank, unsigned char *at, size_t elements);

/* The operator that does not commute, on pairs of uint32_t: x -> a x + b, one after the other. */
void case_compose(void *arg, const void *left, void *right, size_t count, int type);

/* splitmix64 */
uint64_t case_random(uint64_t *state);

#endif
