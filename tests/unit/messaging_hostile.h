/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_MESSAGING_HOSTILE_H
#define TESTS_UNIT_MESSAGING_HOSTILE_H
/*
 * messaging_hostile.h - the stories of messaging-hostile: each runs its cases, and returns how many
 * failed. Rank 1 misbehaves; rank 2 must never notice.
 */
#include "tests/unit/messaging_fake.h"

int hostile_links(void);
int hostile_long(void);
int hostile_waits(void);
int hostile_short(void);

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_fake, close_fake)

/* Memory for a long message. */
extern char lent[100000];

/* `rank` has a link by the other transport too. */
void second_link(struct fake *f, int rank);
/* Rank 1 announces `length` bytes, the first `begun` of which come along. */
void announce(struct fake *f, uint32_t tag, uint64_t length, size_t begun, uint8_t fill);
/* What was told last, of a kind that begins with a request's number: that. */
uint64_t number_sent(struct fake *f, int rank, uint8_t kind);
/* A send of all that is lent, with tag 5, that waits for its clearance; as numbered on the wire. */
struct sinew_request *ask_rank_2(struct fake *f, uint64_t *number);

#endif
