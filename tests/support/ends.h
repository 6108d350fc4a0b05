/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_ENDS_H
#define TESTS_SUPPORT_ENDS_H
/*
 * ends.h - two ends of wired links in one thread, with the control link between them
 *
 * What either tells is handed to the other at the next turn. Every upcall is recorded; messages
 * carry their number.
 */
#include "base/config.h"
#include "tests/support/bounded.h"
#include "transport/transport.h"

/* What they are links of; the test program has it. */
struct ends_of {
    const struct transport_ops *ops;
    /* of what is allocated, and whatever else counts it down, this one fails; 0: none */
    int *fail_at;
    void (*check)(void); /* nothing is left, nothing was misused */
};
extern const struct ends_of ends_of;

enum { END_LINKS = 8, END_TELLS = 32 };

struct end_link {
    struct link *link;
    int ups, downs, status, received, undone, undone_first, rooms, dones, done_status;
    enum gone gone;
    char why[WHY_MAX];
};

struct end {
    const struct transport_ops *ops; /* ends_of's, unless changed before end_open() */
    struct transport *t;
    struct transport_up up;
    struct config config;
    struct log log;
    struct end *other;
    struct end_link link[END_LINKS]; /* by the rank at its other end */
    struct {
        int rank;
        size_t len;
        uint8_t bytes[TRANSPORT_TELL_MAX];
    } told[END_TELLS]; /* not yet handed over */
    int tells, rank, size; /* size: of the job; END_LINKS unless changed before end_open() */
    bool deaf; /* what is told to it is lost */
};

/* The clock is ahead by that much, and more with each yield. */
extern int64_t ends_skipped_ns;
/* It fails the allocation that ends_of.fail_at says. */
extern const struct world world_failing;

void ends_prepare(struct end e[2]); /* with the default configuration; then end_open() */
int end_open(struct end *e, struct why *why); /* what open() said, and why */
void ends_open(struct end e[2]);
void end_close(struct end *e);      /* cuts what is linked */
void ends_close(struct end e[2]);   /* and checks that nothing is left */
/* A link with number `rank`, at this end: what connect() said. */
int end_connect(struct end *e, int rank);
void ends_connect(struct end e[2], int rank); /* at both, until up */
void end_turn(struct end *e);                 /* progress, then what it was told */
void ends_turn(struct end e[2]);
void ends_settle(struct end e[2]); /* some turns */
int end_send(struct end *e, int rank, int number, size_t blen);
/* Before a test: the clock as it is, bytes that tell where they stand, and none. */
void ends_fresh(uint8_t *from, size_t from_len, void *to, size_t to_len);
void contains(const char *text, const char *words); /* or the test fails */

#define ENDS_UNTIL(e, expr)                                            \
    do {                                                               \
        int turns_ = 0;                                                \
        for (; !(expr) && turns_ < 20000; turns_++) ends_turn(e);      \
        if (turns_ == 20000) fail_msg("in vain waited for: %s", #expr); \
    } while (0)

#endif
