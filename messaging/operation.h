/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MESSAGING_OPERATION_H
#define MESSAGING_OPERATION_H
/*
 * operation.h - what messaging offers to collectives
 *
 * Messages in the collective space (which receives never see), and user-visible operations made of
 * many of them. Everything here is called by the context's thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/landing.h"
#include "base/log.h"
#include "base/text.h"
#include "base/world.h"
#include "sinew/sinew.h"

/* Told when something that was under way has ended; always from inside progress, never from inside
 * the call that started it. It may send and receive again at once; it must not wait. */
struct completion {
    void (*ended)(struct completion *c, int status);
};

/* What a message of a collective is matched by, beside team and source. All ranks count alike. */
struct collective_key {
    uint32_t sequence; /* of the collective in its team: team_next_collective()                  */
    uint32_t step;     /* ordinal of the message between this pair, in this direction            */
    uint32_t tile;
    uint32_t digest;   /* of the arguments; a different one on the other side is EMISMATCH       */
};

/* 0: done, the buffer is free, c will not be called. > 0: c will be. < 0: refused, sinew_why() says
 * why. `to` and `from` are team ranks, one's own included. A receive longer than the message is
 * fine; a shorter one ends in SINEW_ETRUNCATED. There is no limit on messages under way. */
int collective_send(struct sinew_team *team, const void *buf, size_t len, int to,
                    const struct collective_key *key, struct completion *c);
int collective_recv(struct sinew_team *team, void *buf, size_t cap, int from,
                    const struct collective_key *key, struct completion *c);

/* The same, but what comes goes to `landing`; room: see base/landing.h. From another rank, and only
 * where collective_lands(): the links to all members, which are there, can do that. */
int collective_recv_landing(struct sinew_team *team, struct landing *landing, void *room,
                            size_t len, int from, const struct collective_key *key,
                            struct completion *c);
bool collective_lands(const struct sinew_team *team);

/* Give up what is under way in this collective, which ends with `status`: receives and sends end
 * with SINEW_ECANCELED now, but for bodies on their way, which end by themselves. What had come for
 * it is dropped, and senders who wait are told the status (SINEW_ECANCELED for a deadline). */
void collective_cancel(struct sinew_team *team, uint32_t sequence, int status);

/* A word about a collective, from rank to rank, beside its messages and in order with them: never
 * waits, needs no room at the other end, and may be lost where too many wait for room. Its bytes
 * are the collectives' own affair; none at all says that no collective was called in that team yet,
 * and one alone that it was freed. A message of a collective to such a rank may end with
 * SINEW_ESTATE. */
enum { COLLECTIVE_WORD_MAX = 160 };
void collective_tell(struct sinew_team *team, int to, uint32_t sequence, const void *word,
                     size_t len);

/*
 * The short way, for a blocking collective that does one thing after the other: messages that need
 * no request. What is not so simple is refused, as if nobody had asked, and goes the general way,
 * with the same sequence and step.
 */
/* Whether such a collective may begin now, and its sequence. */
bool collective_begin(struct sinew_team *team, uint32_t *sequence);
/* true: sent, the buffer is free. */
bool collective_send_short(struct sinew_team *team, const void *buf, size_t len, int to,
                           const struct collective_key *key);
/* A message where it lies, in memory that its sender may be able to write. */
struct collective_lent {
    const void *body;
    struct peer *peer; /* this and what follows: messaging's */
    uint64_t word;
    size_t len;
};
/* Wait for it, but not for long; true: it is there, of `len` bytes, and collective_taken() is the
 * next call. */
bool collective_await_short(struct sinew_team *team, size_t len, int from,
                            const struct collective_key *key, struct collective_lent *m);
void collective_taken(const struct collective_lent *m);
/* One that came before: whoever waited otherwise has kept it. false: it is not there, or not such a
 * one. */
bool collective_take_kept(struct sinew_team *team, void *buf, size_t len, int from,
                          const struct collective_key *key);

/* An operation the user waits for. The state is the maker's. */
struct operation_ops {
    /* Begin a round. 0: finished; > 0: operation_end() will be called, from inside progress; < 0:
     * failed. */
    int (*start)(void *state, struct sinew_request *request);
    /* The deadline has passed: end soon, with operation_end(); from inside progress or a wait. */
    void (*cancel)(void *state, int status);
    /* The request is gone (consumed, or freed when persistent): the state may be released. Every
     * successful operation_run() ends in exactly one. */
    void (*release)(void *state);
    /* For the stall report and sinew_why(): "allreduce 3 of 8 bytes, step 2 of 4: waits for rank
     * 5". */
    void (*describe)(const void *state, struct text *text);
    /* Why it failed, if it knows better than sinew_why() did when it ended; else nothing. Or
     * NULL. */
    void (*explain)(const void *state, struct text *text);
    /* It is under way for a second, or has been waited for in vain so long, and again after each
     * further one. NULL: nothing to do. */
    void (*stalled)(void *state);
    /* Whether one of the user's buffers, of this round or of a later one, begins in these bytes. */
    bool (*uses)(const void *state, const void *from, size_t len);
};

static inline bool operation_begins_in(const void *buf, const void *from, size_t len)
{
    return (uintptr_t)buf - (uintptr_t)from < len;
}

/* Run an operation as sinew.h promises: blocking (req NULL), with a request, or, through a
 * persistent view, leaving an idle request. On < 0 release() has been called too. */
int operation_run(struct sinew_team *team, const struct operation_ops *ops, void *state,
                  struct sinew_request **req);
void operation_end(struct sinew_request *request, int status);
/* Its outcome is known and no deadline changes it; but cancel() comes after `patience` nanoseconds
 * if it has not ended by then. */
void operation_conclude(struct sinew_request *request, int64_t patience);

/* The context the team belongs to. */
struct sinew *team_context(const struct sinew_team *team);

/* The team as collectives need it. Views share what belongs to the members (sequence, cache). */
const struct world *team_world(const struct sinew_team *team);
const struct log *team_log(const struct sinew_team *team);
uint32_t team_next_collective(struct sinew_team *team); /* 1, 2, 3 …; wraps past 0                */
int team_level(const struct sinew_team *team);          /* enum sinew_level, resolved             */
const char *team_algorithm(const struct sinew_team *team); /* of the view; NULL: choose           */

/* All members share the cores of one host with more ranks of the job than cores. All answer
 * alike. */
bool team_is_crowded(const struct sinew_team *team);
/* How many cores these are. All answer alike, if it is so. */
uint32_t team_cores(const struct sinew_team *team);

/* What carries data between all members, as far as all can know it alike: "shm", "tcp" … */
const char *team_link(const struct sinew_team *team);
/* Members stand on nodes in order, so many on each and on the last one perhaps fewer; 0: they do
 * not, or on one alone. All answer alike. */
uint32_t team_node(const struct sinew_team *team);
/* The file of the setting collective_rules; "": none. */
const char *team_rules(const struct sinew_team *team);
/* Of the collectives, called when the world is there: reads that file, so that sinew_open() tells
 * what is wrong in it. */
int collectives_open(struct sinew_team *world);

/* One slot for the collectives' own cache of schedules; destroy is called when the team goes. The
 * others are called from inside progress, about what team rank `from` has sent. */
struct team_cache {
    void (*destroy)(struct team_cache *cache);
    /* A word, from outside: len <= COLLECTIVE_WORD_MAX. The length of what is put into `answer`, 0
     * for none, or SINEW_EPROTO. */
    int (*told)(struct team_cache *cache, int from, uint32_t sequence, const void *word, size_t len,
                void *answer);
    /* A message of a collective that was begun here, and that no receive waits for. 0: keep it.
     * Else it is dropped, > 0 is the length of the word for its sender. */
    int (*stray)(struct team_cache *cache, int from, uint32_t sequence, void *word);
};
struct team_cache **team_cache(struct sinew_team *team);
/* The same for what belongs to one view, or to the team looked at without one. */
struct team_cache **team_view_cache(struct sinew_team *team);

/* Members are team ranks of the parent, in the new order; 0 members gives *out NULL. `id` is the
 * same on all members and from team_next_id(). Local: no communication. */
uint32_t team_next_id(struct sinew_team *parent); /* the least id this process has never seen     */
/* ids up to and with it are used now */
void team_reserve_id(struct sinew_team *parent, uint32_t id);
int team_make(struct sinew_team *parent, uint32_t id, const int *members, int n,
              struct sinew_team **out);

/* "rank 2", or where a team is not the world "rank 0 of team 1 (rank 2 of the job)". */
void team_describe_rank(const struct sinew_team *team, int rank, struct text *text);

/* Fail an argument check: sets sinew_why(), returns `status`. The text names argument and
 * bounds. */
int team_refuse(struct sinew_team *team, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether a blocking call would be allowed now: 0, or SINEW_ESTATE (in a callback, forked). */
int team_enter(struct sinew_team *team, int blocking);

#endif
