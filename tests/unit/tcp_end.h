/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TCP_END_H
#define TESTS_UNIT_TCP_END_H
/*
 * tcp_end.h - ends of tcp in one process and one thread, with a clock that can be moved
 *
 * A message carries its number and its length is in its head; every received one is checked against
 * the number that is due and a content made from sender, receiver and number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/config.h"
#include "tests/seed.h"
#include "tests/support/bounded.h"
#include "transport/tcp/internal.h"

enum { ENDS_MAX = 4, COOKIES_MAX = 1024 };

struct end;

/* One end's view of another. */
struct view {
    struct tcp_link *link; /* NULL before and after */
    uint64_t epoch;        /* given to link() */
    int links, ups, downs, rooms, status;
    enum gone gone;
    uint64_t sent, received;
    bool is_up, to_free;
    char why[WHY_MAX];
};

struct end {
    struct tcp *t;
    struct config config;
    struct log log;
    struct world world;
    struct transport_up up;
    int rank;
    bool refuses, breaks;
    struct view view[ENDS_MAX];
    int done[COOKIES_MAX], done_status[COOKIES_MAX];
    int upcalls, log_lines;
    char last_log[1024];
};

extern const uint8_t end_secret[32];

/* Moves every end's clock. */
void clock_advance(int64_t ns);
int64_t clock_now(void);

struct end *end_open(int rank, uint64_t epoch, const uint8_t *secret);
/* Links that are left are cut first. */
void end_close(struct end *e);
union place end_address(const struct end *e); /* the first one */
void end_reached_at(struct end *e, const union place *at); /* from now on it says so */
int end_connect(struct end *from, const struct end *to); /* what connect() said */
int end_progress(struct end *e, struct link *l);         /* checks the upcall count */

/* Progress all of the ends in turn until expr holds; fails the test when nothing comes of it. */
#define ENDS_UNTIL(expr, ...)                                                                      \
    do {                                                                                           \
        struct end *ends_[] = { __VA_ARGS__ };                                                     \
        int64_t until_ = world_real.now(NULL) + 20 * INT64_C(1000000000);                          \
        while (!(expr)) {                                                                          \
            if (world_real.now(NULL) > until_) fail_msg("in vain waited for: %s", #expr);          \
            for (size_t i_ = 0; i_ < sizeof(ends_) / sizeof(ends_[0]); i_++)                       \
                end_progress(ends_[i_], NULL);                                                     \
        }                                                                                          \
    } while (0)

/* Connect and wait until both are up. */
void ends_join(struct end *a, struct end *b);

/* A stranger's socket, connected, that does not wait; and whether the other end has let go of
 * it. */
int raw_connect(const struct end *to);
bool raw_is_closed(int fd);

/* The next message to rank, of blen bytes: what send() said. */
int end_send(struct end *from, int to, size_t blen);
int end_hold(struct end *from, int to, size_t blen, uint64_t cookie); /* may be held back */

/* What peek() said of the next message from there; lent, it is as it should be, and taken or
 * left. */
int end_peek(struct end *e, int from, bool take);

void fill(uint8_t *to, size_t len, uint64_t key);
bool filled(const uint8_t *at, size_t len, uint64_t key);

/* Memory of a, and of b that a may put into. */
struct put {
    struct region mine, theirs;
    uint8_t *source, *target;
    struct rma op;
    struct landing landing;
    size_t next;          /* where the next piece belongs, if it is not of another put */
    uint64_t put, landed; /* bytes, of all that were started */
};

struct put *put_new(struct end *a, struct end *b, int to, size_t len);
/* The same, but what is put is given to a landing, which checks that it comes in order and copies
 * it to the target; unless the link checks it as a whole. */
struct put *put_new_landing(struct end *a, struct end *b, int to, size_t len);
void put_free(struct put *p, struct end *a, struct end *b);
/* What rma() said; a->done[cookie] is set when it is done, at once or later. */
int put_start(struct put *p, struct end *a, int to, uint64_t offset, size_t len, uint64_t cookie);

#endif
