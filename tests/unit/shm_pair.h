/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_SHM_PAIR_H
#define TESTS_UNIT_SHM_PAIR_H
/*
 * shm_pair.h - ranks of the shm transport in one process, driven by hand, with their upcalls
 * recorded
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "tests/support/bounded.h"
#include "transport/shm/link.h"
#include "transport/shm/shm.h"

enum { END_RANKS = 4 };

struct end;

/* What messaging would keep of a peer. */
struct peer {
    struct end *end;
    struct shm_link *link; /* NULL: none */
    int ups, downs, rooms, status;
    enum gone gone;
    char why[WHY_MAX];
    uint64_t messages, expected, bytes, dones, done_cookie;
    int done_status;
    struct shm_link *to_free;
};

struct end {
    struct shm_transport *t;
    struct peer peers[END_RANKS];
    bool refuses; /* the link upcall answers NULL */
    int links;    /* link upcalls */
    int upcalls;  /* since progress began */
    int (*recv)(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body, size_t blen);
    void (*room)(struct peer *p);
    void (*done)(struct peer *p, uint64_t cookie, int status);
    void *arg;
    struct config config;
};

/* Opened; secret NULL: none. */
void end_open(struct end *e, int rank, int size, const uint8_t *secret);
/* With a mapper of the test's. */
void end_open_mapped(struct end *e, int rank, int size, const uint8_t *secret,
                     const struct segment_mapper *mapper);
void end_connect(struct end *e, int rank, const struct end *to);
void end_connect_address(struct end *e, int rank, const void *address, size_t len);
int end_progress(struct end *e);
void end_disconnect(struct end *e, int rank, enum disconnect_how how);
void end_close(struct end *e);

/* Two ends in turn until `p` says so; fails after 10 seconds, naming `what`. */
#define UNTIL(condition, a, b)                                                                     \
    do {                                                                                           \
        int64_t until_ = world_now(&world_real) + 10 * CONFIG_SECOND;                              \
        while (!(condition)) {                                                                     \
            end_progress(a);                                                                       \
            end_progress(b);                                                                       \
            if (world_now(&world_real) > until_) fail_msg("in vain: %s", #condition);              \
        }                                                                                          \
    } while (0)

/* Both up, rank 0 having connected rank 1. */
void pair_up(struct end *a, struct end *b, const uint8_t *secret);
/* b's `mine` is granted to a, who has it as `theirs`. */
void pair_grant(struct end *a, struct end *b, struct region *mine, struct region *theirs);
/* Both links ended in order, both transports closed. */
void pair_down(struct end *a, struct end *b);

int send_to(struct end *e, int rank, const void *head, size_t hlen, const void *body, size_t blen);
/* As a recv: sends back what came. */
int peer_echo(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body, size_t blen);

/* Set-up and tear-down of a test: as many descriptors after it as before. */
int end_no_residue(void **state);
int count_descriptors(void);
uint8_t pattern(uint64_t n, size_t i);
/* The next random number; *state is not 0. */
uint64_t seeded(uint64_t *state);

#endif
