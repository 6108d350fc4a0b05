/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_MESSAGING_FAKE_H
#define TESTS_UNIT_MESSAGING_FAKE_H
/*
 * messaging_fake.h - messaging over transports that the test plays itself
 *
 * Rank 0 of three. Every message that "comes" is written by the test, byte by byte, when it says
 * so; what messaging sends is kept for it to look at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"
#include "messaging/context.h"
#include "messaging/origin.h"

enum { RANKS = 3, FAKES = 2, SENT_MAX = 512, COMING_MAX = 512, FAKE_BODY = 16384, EPOCH = 7 };

struct packet {
    struct link *link;
    uint8_t head[TRANSPORT_HEAD_MAX];
    size_t hlen, blen;
    uint8_t *body;
};

struct fake {
    struct sinew *s;
    struct link *link[FAKES][RANKS]; /* there is one                                   */
    const struct link *going;        /* its `down` is under way                        */
    bool up[FAKES][RANKS], ending[FAKES][RANKS];
    int status[FAKES][RANKS];
    enum gone gone[FAKES][RANKS];
    uint16_t seq[RANKS];
    struct packet coming[COMING_MAX], sent[SENT_MAX];
    int comings, sents, connects, polls[FAKES];
    bool crowded; /* what the transports were told at open        */
    bool silent; /* connects are not answered */
    bool full;   /* nothing can be sent       */
    bool has_left[RANKS]; /* as the launcher says */
    bool put_pending, dereg_again;
    int reg_fails;
    struct rma *rma;
    struct link *rma_link;
    int64_t now;
    void (*in_progress)(struct fake *f);
    const struct link *hinted; /* the last that a progress was to look at first */
    void (*in_yield)(struct fake *f);
    void (*in_sleep)(struct fake *f); /* NULL: nobody would end that sleep */
};

struct words {
    int rank, fake;
    uint8_t kind;
    uint16_t credit;
    uint32_t team, tag;
    const uint8_t *more;
    size_t more_len;
    size_t blen;
    uint8_t fill;
    const uint8_t *body; /* NULL: filled */
};

struct packet *say(struct fake *f, const struct words *w);
struct packet *say_eager(struct fake *f, int rank, uint32_t tag, size_t blen, uint8_t fill);
struct packet *say_numbers(struct fake *f, int rank, uint8_t kind, uint32_t tag, int n, uint64_t a,
                           uint64_t b, uint64_t c);
struct packet *say_nack(struct fake *f, int rank, uint64_t number, uint8_t whose, int status);
struct packet *say_cts(struct fake *f, int rank, uint32_t space, uint64_t number, uint64_t accepted,
                       uint8_t transport);
const struct packet *told(struct fake *f, int rank, uint8_t kind);
struct sinew_team *meet(struct fake *f);
void move(struct fake *f);
bool linked(const struct fake *f, int rank);
void rank_2_is_well(struct fake *f);
int open_fake(void **state);
int open_fake_on(void **state, int cores);
int open_fake_together(void **state, int cores); /* all ranks have the same cores */
int open_fake_told(void **state, const char *settings, int cores); /* likewise */
int open_fake_wired(void **state); /* the second transport is wired, and preferred */
int open_fake_wired_encrypted(void **state); /* likewise, and security is encrypt */
int close_fake(void **state);
void end_link(struct link *l, int status, enum gone gone);

#endif
