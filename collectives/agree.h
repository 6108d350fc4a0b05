/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_AGREE_H
#define COLLECTIVES_AGREE_H
/*
 * agree.h - whether all ranks have called the same: who finds that they have not says so
 *
 * Messages carry a digest of the call. Where two ends differ, or a rank has waited in vain for a
 * second, the two exchange their records of the call in words (messaging/operation.h), and both
 * calls end with SINEW_EMISMATCH and both records in the text. A rank whose part was over already,
 * as that of a sender of short messages is, hears it from its next collective on that team. A rank
 * that gave up for any reason says so to those who ask, whose calls then end as its own did. Of a
 * disagreement it tells all members it has met, unasked: it may be about to leave. Who has not made
 * that call yet ends it as soon as it does.
 *
 * What was found and no later call may tell is logged, too, as a warning.
 *
 * A word is empty ("nothing was called here yet"), one byte ("the team was freed here"), or 144
 * bytes:
 *
 *   byte 0      1       2      4        8          16      24               64               144
 *        | what | state | zero | status | two ranks | bytes | speaker's record | their records |
 *
 *   what    1 ASK: I wait for you   2 TELL: an answer   3 DIFFERS: what you sent does not fit
 *           4 NEWS: I have given up; for those whose part is not over
 *   state   of the speaker's call   0 it comes later (the record: what came before, or zeros)
 *                                   1 under way   2 its part is done   3 given up, with `status`
 *                                   4 under way, and it sends nothing more to whom it says so
 *   ranks   GIVEN_UP: of the team, who called what their records say and do not agree; or -1, -1
 *   bytes   DIFFERS: how long the speaker takes the message to be
 *
 * A call that goes straight (straight.h) is never under way for others: nothing is heard until it
 * is over, or the executor has what is left of it, which then begins here under the same number.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/text.h"
#include "collectives/collective.h"
#include "collectives/records.h"
#include "messaging/operation.h"

/* Two ranks, and what each has called. */
struct disagreement {
    int32_t rank[2]; /* -1: none */
    struct record call[2];
};

/* A call that is over. */
struct past {
    struct record call;
    int32_t status; /* 0, or why it was given up */
    bool is_told;   /* it was not, and the next call was told that it should have been */
    bool is_logged; /* likewise, by a warning                                          */
    struct disagreement found; /* if given up */
};

enum { ASKERS = 8, PASTS = 16 };
/* How long a call that is to end waits for the other's record. */
enum { AGREE_ANSWER_NS = 1000000000 };

/* What a team remembers of its calls: part of its cache. */
struct past_calls {
    int rank, size; /* of this one, in the team */
    const struct log *log;
    struct list running; /* struct agreement */
    struct past past[PASTS];
    uint32_t ended;
    bool is_untold; /* the next call is told of this, found when our part was over: */
    struct disagreement untold;
    int early_from; /* 1 + who said, before our call of that number, that it gave up; or 0 */
    uint32_t early_sequence;
    uint8_t early[COLLECTIVE_WORD_MAX]; /* its word, sound */
};

/* A call under way: part of its execution. */
struct agreement {
    struct list entry; /* past_calls->running, or none */
    struct past_calls *calls;
    struct sinew_team *team;
    struct record mine;
    int awaits;    /* 1 + the rank whose record is still to come before it ends, or 0 */
    int with;      /* 1 + the rank that ended it, or 0 */
    int asked;     /* 1 + the rank that was last heard of, for describe; or 0 */
    int32_t their_status; /* with: why it gave up, if that is why this ends; else 0 */
    bool before;   /* what was found is of an earlier call */
    bool unsent;   /* with: it has sent all, and nothing more will come */
    bool freed;    /* with: it has freed the team */
    uint8_t state; /* asked: of its call */
    uint8_t next_asker;
    int askers[ASKERS]; /* 1 + rank: they wait for this one */
    /* From here on only what is said above to be there: */
    struct disagreement found; /* if it is given up */
    struct record last;        /* of asked */
    uint64_t expects;          /* with: how long it takes the message to be */
};

void agree_init(struct past_calls *calls, const struct sinew_team *team);

/* A round begins. 0; or < 0 and it is to end at once: what came out about the call before. */
int agree_begin(struct agreement *a, struct past_calls *calls, struct sinew_team *team,
                const struct call *call, uint32_t sequence, uint32_t digest);
/* As others hear of a call; `mine` of a round. */
struct record agree_record(const struct sinew_team *team, const struct call *call,
                           uint32_t sequence, uint32_t digest);
/* A call that went straight is over. */
static inline void agree_past(struct past_calls *calls, const struct record *call,
                              uint32_t sequence)
{
    struct past *past = &calls->past[calls->ended++ % PASTS];
    past->call = *call;
    past->call.sequence = sequence;
    past->status = 0;
    past->is_told = past->is_logged = false;
}
/* The rest of one could not begin: it was given up, true. Unless it did begin, and is over. */
bool agree_fail(struct past_calls *calls, const struct record *call, uint32_t sequence, int status);
/* It ends with `status`: those who have asked are told, and of a disagreement everyone who was
 * met. */
void agree_end(struct agreement *a, int status);
/* Who disagreed about what, if that ended it. Until the next round. */
void agree_explain(const struct agreement *a, struct text *t);

/* A message to or from `peer` did not fit, or was refused: it is asked for its record. `bytes` is
 * how long that message is taken to be here. */
void agree_inquire(struct agreement *a, int peer, int status, uint64_t bytes);
/* Nothing that is sent to `peer` in this team will be received. */
void agree_freed(struct agreement *a, int peer);
/* It is waited for in vain. */
void agree_ask(struct agreement *a, int peer);
/* What is known of whom it waits for. */
void agree_describe(const struct agreement *a, struct text *text);

/* As struct team_cache has them. */
int agree_told(struct past_calls *calls, int from, uint32_t sequence, const void *word, size_t len,
               void *answer);
int agree_stray(struct past_calls *calls, int from, uint32_t sequence, void *word);

/* In execute.c: the call ends with `status`. */
void execution_give_up(struct agreement *a, int status);
/* `peer` has answered; whether a receive from it is still posted. */
bool execution_answered(struct agreement *a, int peer);
/* Whether all that this rank sends to `peer` in it has gone. */
bool execution_has_sent(struct agreement *a, int peer);

#endif
