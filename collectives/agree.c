/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/agree.h"

#include <stddef.h>
#include <string.h>

#include "base/wire.h"
#include "collectives/records.h"

enum what { WHAT_ASK = 1, WHAT_TELL, WHAT_DIFFERS, WHAT_NEWS };
/* SENT: under way, and nothing more goes from there to whom it is said. FREED is not said so. */
enum state { LATER, UNDER_WAY, DONE, GIVEN_UP, SENT, FREED };
enum { WORD_BYTES = 24 + 3 * RECORD_BYTES };
_Static_assert((int)WORD_BYTES <= (int)COLLECTIVE_WORD_MAX, "a word fits");

struct heard {
    enum what what;
    enum state state;
    int32_t status;
    uint64_t bytes;
    struct record mine;
    struct disagreement found;
};

static const struct disagreement nothing_found = { .rank = { -1, -1 } };

/* ----------------------------------------------------------------------------------- the bytes */

static void word_put(uint8_t word[WORD_BYTES], const struct heard *h)
{
    memset(word, 0, WORD_BYTES);
    word[0] = (uint8_t)h->what;
    word[1] = (uint8_t)h->state;
    wire_put32(word + 4, (uint32_t)h->status);
    for (int i = 0; i < 2; i++) wire_put32(word + 8 + 4 * i, (uint32_t)h->found.rank[i]);
    wire_put64(word + 16, h->bytes);
    record_put(word + 24, &h->mine);
    for (int i = 0; i < 2; i++) record_put(word + 24 + (1 + i) * RECORD_BYTES, &h->found.call[i]);
}

/* Of another process: everything is checked before it is used. */
static bool word_take(const void *bytes, size_t len, int size, struct heard *h)
{
    struct wire_reader w = wire_read(bytes, len);
    *h = (struct heard){ .what = WHAT_TELL, .state = LATER, .found = nothing_found };
    if (len == 1) h->state = FREED;
    if (len <= 1) return true;
    uint8_t what = wire_take8(&w), state = wire_take8(&w);
    uint16_t zero = wire_take16(&w);
    h->status = (int32_t)wire_take32(&w);
    for (int i = 0; i < 2; i++) h->found.rank[i] = (int32_t)wire_take32(&w);
    h->bytes = wire_take64(&w);
    bool sound = record_take(&w, &h->mine);
    for (int i = 0; i < 2; i++) {
        int rank = h->found.rank[i];
        sound &= record_take(&w, &h->found.call[i]) && rank >= -1 && rank < size;
        sound &= (rank >= 0) == (h->found.call[i].collective != 0);
    }
    h->what = (enum what)what;
    h->state = (enum state)state;
    if (!sound || w.left || zero || what < WHAT_ASK || what > WHAT_NEWS || state > SENT ||
        (h->found.rank[0] < 0) != (h->found.rank[1] < 0))
        return false;
    if (state != LATER && h->mine.collective == 0) return false;
    if (state == GIVEN_UP && (h->status >= 0 || h->status < SINEW_EABORTED)) return false;
    if (h->status == SINEW_ETIMEDOUT) h->status = SINEW_ECANCELED; /* their deadline is not ours */
    return true;
}

static struct heard about_running(const struct agreement *a, enum what what)
{
    struct heard h = { .what = what, .state = UNDER_WAY, .mine = a->mine, .found = nothing_found };
    return h;
}

static struct heard about_past(const struct past *past, enum what what)
{
    bool whole = past->status >= 0;
    return (struct heard){ .what = what,
                           .state = whole ? DONE : GIVEN_UP,
                           .status = past->status,
                           .mine = past->call,
                           .found = whole ? nothing_found : past->found };
}

static void agree_say(const struct agreement *a, int peer, const struct heard *h)
{
    uint8_t word[WORD_BYTES];
    word_put(word, h);
    collective_tell(a->team, peer, a->mine.sequence, word, sizeof(word));
}

/* -------------------------------------------------------------------------------------- memory */

void agree_init(struct past_calls *calls, const struct sinew_team *team)
{
    calls->rank = sinew_rank(team);
    calls->size = sinew_size(team);
    calls->log = team_log(team);
    list_init(&calls->running);
}

static struct agreement *running_find(const struct past_calls *calls, uint32_t sequence)
{
    for (struct list *l = calls->running.next; l != &calls->running; l = l->next) {
        struct agreement *a = LIST_OWNER(l, struct agreement, entry);
        if (a->mine.sequence == sequence) return a;
    }
    return NULL;
}

static struct past *past_find(struct past_calls *calls, uint32_t sequence)
{
    uint32_t known = calls->ended < PASTS ? calls->ended : PASTS;
    for (uint32_t i = 1; i <= known; i++) {
        struct past *past = &calls->past[(calls->ended - i) % PASTS];
        if (past->call.sequence == sequence) return past;
    }
    return NULL;
}

/* As its caller thinks of it. */
static uint64_t call_count(const struct call *call)
{
    bool uneven = (call->collective >= COLLECTIVE_GATHERV &&
                   call->collective <= COLLECTIVE_ALLTOALLV) ||
                  call->collective == COLLECTIVE_NEIGHBOUR_ALLTOALLV;
    if (call->type) return call->in_count;
    if (uneven) return call->in_count ? call->in_count : call->out_count;
    return call->agreed;
}

struct record agree_record(const struct sinew_team *team, const struct call *call,
                           uint32_t sequence, uint32_t digest)
{
    return (struct record){ .sequence = sequence,
                            .digest = digest,
                            .collective = (uint8_t)call->collective,
                            .level = (uint8_t)team_level(team),
                            .algorithm = (uint16_t)call->algorithm,
                            .type = call->type,
                            .op = call->op,
                            .root = call->root,
                            .agreed = call->agreed,
                            .count = call_count(call) };
}

bool agree_fail(struct past_calls *calls, const struct record *call, uint32_t sequence, int status)
{
    if (past_find(calls, sequence)) return false;
    struct past *past = &calls->past[calls->ended % PASTS];
    agree_past(calls, call, sequence);
    past->status = status;
    past->found = nothing_found;
    return true;
}

/* Whether it speaks of this rank's call of that number. */
static bool names_us(const struct past_calls *calls, const struct disagreement *found,
                     uint32_t sequence)
{
    for (int i = 0; i < 2; i++)
        if (found->rank[i] == calls->rank && found->call[i].sequence == sequence) return true;
    return false;
}

static int ended_by(struct agreement *a, int from, const struct heard *h)
{
    a->with = from + 1;
    a->expects = h->bytes;
    if (h->state != LATER)
        a->found = (struct disagreement){ { from, sinew_rank(a->team) }, { h->mine, a->mine } };
    return SINEW_EMISMATCH;
}

/* `from` gave up the same call: so does this one, and says why; unless it was because of this
 * one. */
static int given_up_by(struct agreement *a, int from, const struct heard *h)
{
    bool by_us = names_us(a->calls, &h->found, a->mine.sequence);
    if (by_us && (h->found.rank[0] == from || h->found.rank[1] == from))
        return ended_by(a, from, h);
    a->with = from + 1;
    a->found = h->found;
    a->their_status = h->status;
    return h->status;
}

static int heard_early(struct agreement *a)
{
    struct heard h;
    int from = a->calls->early_from - 1;
    a->calls->early_from = 0;
    word_take(a->calls->early, WORD_BYTES, a->calls->size, &h);
    return h.mine.digest == a->mine.digest ? given_up_by(a, from, &h) : ended_by(a, from, &h);
}

int agree_begin(struct agreement *a, struct past_calls *calls, struct sinew_team *team,
                const struct call *call, uint32_t sequence, uint32_t digest)
{
    a->calls = calls;
    a->team = team;
    a->mine = agree_record(team, call, sequence, digest);
    memset(&a->awaits, 0, offsetof(struct agreement, found) - offsetof(struct agreement, awaits));
    a->found = nothing_found;
    list_append(&calls->running, &a->entry);
    if (calls->early_from && calls->early_sequence == sequence) return heard_early(a);
    if ((int32_t)(sequence - calls->early_sequence) > 0) calls->early_from = 0;
    if (!calls->is_untold) return 0;
    calls->is_untold = false;
    a->before = true;
    a->found = calls->untold;
    return SINEW_EMISMATCH;
}

/* ---------------------------------------------------------------------------------- the outcome */

static void add_rank(struct text *t, const struct agreement *a, int rank)
{
    team_describe_rank(a->team, rank, t);
}

/* "rank 1 called allreduce …, rank 0 called bcast …" */
static void add_both(struct text *t, const struct agreement *a)
{
    for (int i = 0; i < 2; i++) {
        if (i) text_add(t, ", ");
        add_rank(t, a, a->found.rank[i]);
        text_add(t, " called ");
        record_text(&a->found.call[i], t);
    }
    if (a->found.call[0].digest != a->found.call[1].digest) return;
    if (a->unsent)
        text_add(t, ": the former has sent all of its part, and no such message");
    else
        text_add(t, ": they have different lengths for a message between them");
    if (a->with && !a->their_status && !a->unsent)
        text_add(t, "; the former, %llu bytes", (unsigned long long)a->expects);
}

void agree_explain(const struct agreement *a, struct text *t)
{
    bool found = a->found.rank[0] >= 0;
    if (a->before) text_add(t, "an earlier call, whose part was over here, did not agree: ");
    if (found) add_both(t, a);
    if (!a->with || (found && !a->their_status)) return;
    text_add(t, found ? "; this rank waited for " : "");
    add_rank(t, a, a->with - 1);
    if (found) return;
    if (a->freed)
        text_add(t, ", which this one waited for, has freed the team: it has called fewer collectives "
                    "in it");
    else if (a->their_status)
        text_add(t, ", which this one waited for, gave up: %s", sinew_strerror(a->their_status));
    else
        text_add(t, " called another collective, or this one with other arguments, and has not "
                    "said which");
}

static void tell_askers(const struct agreement *a, const struct past *past)
{
    struct heard h = about_past(past, WHAT_TELL);
    for (int i = 0; i < ASKERS; i++)
        if (a->askers[i]) agree_say(a, a->askers[i] - 1, &h);
}

/* Not who was never met: among many ranks those are most. */
static void tell_all(const struct agreement *a, const struct past *past)
{
    struct heard h = about_past(past, WHAT_NEWS);
    for (int i = 0; i < a->calls->size; i++)
        if (i != a->calls->rank) agree_say(a, i, &h);
}

void agree_end(struct agreement *a, int status)
{
    struct past_calls *calls = a->calls;
    list_remove(&a->entry);
    struct past *past = &calls->past[calls->ended++ % PASTS];
    past->call = a->mine;
    past->status = status;
    past->is_told = past->is_logged = false;
    if (status >= 0) return;
    past->found = a->found.rank[0] < 0 ? nothing_found : a->found;
    if (status == SINEW_EMISMATCH)
        tell_all(a, past);
    else
        tell_askers(a, past);
}

/* ------------------------------------------------------------------------------------- to ask */

void agree_inquire(struct agreement *a, int peer, int status, uint64_t bytes)
{
    struct heard h = about_running(a, status == SINEW_EMISMATCH ? WHAT_DIFFERS : WHAT_ASK);
    h.bytes = bytes;
    a->awaits = a->with = peer + 1;
    agree_say(a, peer, &h);
}

void agree_freed(struct agreement *a, int peer)
{
    a->freed = true;
    a->with = peer + 1;
}

void agree_ask(struct agreement *a, int peer)
{
    struct heard h = about_running(a, WHAT_ASK);
    agree_say(a, peer, &h);
}

void agree_describe(const struct agreement *a, struct text *text)
{
    if (!a->asked) return;
    text_add(text, "; ");
    add_rank(text, a, a->asked - 1);
    if (a->state == UNDER_WAY || a->state == SENT) {
        text_add(text, " is in it, too");
    } else if (a->state == DONE) {
        text_add(text, " has done its part");
    } else if (a->last.collective == 0) {
        text_add(text, " has called none yet");
    } else {
        text_add(text, " has not called it yet: its last was ");
        record_text(&a->last, text);
    }
}

/* ------------------------------------------------------------------------------------ to be
 * told */

/* What `from` says of the call that is under way here: how this one ends, or 0. */
static int heard_running(struct agreement *a, int from, const struct heard *h)
{
    bool called = h->state != LATER && h->state != FREED;
    bool same = called && h->mine.digest == a->mine.digest;
    bool waits = execution_answered(a, from);
    if (h->state == FREED) {
        if (!waits && a->awaits != from + 1) return 0;
        a->awaits = 0;
        agree_freed(a, from);
        return SINEW_EMISMATCH;
    }
    if (a->awaits) { /* its record, before it ends */
        a->awaits = 0;
        return same && h->state == GIVEN_UP ? given_up_by(a, from, h) : ended_by(a, from, h);
    }
    if (called && !same) return ended_by(a, from, h);
    if (same && h->state == GIVEN_UP) return given_up_by(a, from, h);
    /* It has sent all: what is waited for would be here. */
    bool sent = h->state == DONE || h->state == SENT;
    bool unsent = same && sent && (waits || h->what == WHAT_DIFFERS);
    if (unsent || (same && h->what == WHAT_DIFFERS)) {
        a->unsent = unsent;
        return ended_by(a, from, h);
    }
    a->asked = from + 1;
    a->state = (uint8_t)h->state;
    a->last = h->mine;
    return 0;
}

/* For whoever makes no further call. */
static void log_untold(const struct past_calls *calls, struct past *past)
{
    char theirs[WHY_MAX], mine[WHY_MAX];
    struct text t = text_into(theirs, sizeof(theirs)), m = text_into(mine, sizeof(mine));
    if (past->is_logged) return;
    past->is_logged = true;
    record_text(&calls->untold.call[0], &t);
    record_text(&calls->untold.call[1], &m);
    log_line(calls->log, LOG_WARNING,
             "a collective that is over here did not agree: rank %d of its team called %.200s, "
             "rank %d, this one, %.200s", calls->untold.rank[0], theirs, calls->rank, mine);
}

/* Our part is over; the next call is told, once. */
static void heard_late(struct past_calls *calls, struct past *past, int from,
                       const struct heard *h)
{
    if (past->status < 0 || past->is_told || calls->is_untold) return;
    if (h->state == LATER || h->state == FREED) return;
    if (h->what != WHAT_DIFFERS && h->mine.digest == past->call.digest &&
        !names_us(calls, &h->found, past->call.sequence))
        return;
    calls->untold = (struct disagreement){ { from, calls->rank }, { h->mine, past->call } };
    calls->is_untold = past->is_told = true;
    log_untold(calls, past);
}

static int answer_put(const struct heard *h, void *answer)
{
    word_put(answer, h);
    return WORD_BYTES;
}

/* What this rank has to say to `from` of the call. */
static int answer_about(struct past_calls *calls, int from, uint32_t sequence, enum what what,
                        void *answer)
{
    struct agreement *a = running_find(calls, sequence);
    const struct past *past = past_find(calls, sequence);
    struct heard h = { .what = what, .found = nothing_found };
    if (a) {
        h = about_running(a, what);
        if (execution_has_sent(a, from)) h.state = SENT;
    } else if (past) {
        h = about_past(past, what);
    } else if (!list_empty(&calls->running)) {
        h.mine = LIST_OWNER(calls->running.prev, const struct agreement, entry)->mine;
    } else if (calls->ended) {
        h.mine = calls->past[(calls->ended - 1) % PASTS].call;
    }
    return answer_put(&h, answer);
}

static void asker_add(struct agreement *a, int from)
{
    for (int i = 0; i < ASKERS; i++)
        if (a->askers[i] == from + 1) return;
    a->askers[a->next_asker++ % ASKERS] = from + 1;
}

/* Of a call that comes later here; of several the first. */
static void keep_early(struct past_calls *calls, int from, uint32_t sequence, const void *word)
{
    const struct past *last = &calls->past[(calls->ended - 1) % PASTS];
    if (calls->ended && (int32_t)(sequence - last->call.sequence) <= 0) return; /* long ago */
    if (calls->early_from && (int32_t)(sequence - calls->early_sequence) >= 0) return;
    calls->early_from = from + 1;
    calls->early_sequence = sequence;
    memcpy(calls->early, word, WORD_BYTES);
}

int agree_told(struct past_calls *calls, int from, uint32_t sequence, const void *word, size_t len,
               void *answer)
{
    struct heard h;
    struct agreement *a = running_find(calls, sequence);
    struct past *past = a ? NULL : past_find(calls, sequence);
    int status = 0;
    if (!word_take(word, len, calls->size, &h)) return SINEW_EPROTO;
    if (past && h.what != WHAT_NEWS) heard_late(calls, past, from, &h); /* its part was whole */
    if (!a && !past && h.state == GIVEN_UP && h.status == SINEW_EMISMATCH)
        keep_early(calls, from, sequence, word);
    if (a && h.what == WHAT_ASK) asker_add(a, from);
    if (a && (a->awaits ? a->awaits == from + 1 : !a->with)) status = heard_running(a, from, &h);
    if (status < 0) execution_give_up(a, status); /* the answer is of how it ended */
    if (h.what == WHAT_TELL || h.what == WHAT_NEWS) return 0;
    return answer_about(calls, from, sequence, WHAT_TELL, answer);
}

/* What is over and was whole has no use for it. */
static void log_stray(const struct past_calls *calls, struct past *past, int from)
{
    char mine[WHY_MAX];
    struct text m = text_into(mine, sizeof(mine));
    if (past->is_logged || past->status < 0) return;
    past->is_logged = true;
    record_text(&past->call, &m);
    log_line(calls->log, LOG_WARNING,
             "a collective that is over here did not agree: rank %d of its team has sent a message "
             "of it that rank %d, this one, did not expect, having called %.200s", from, calls->rank,
             mine);
}

int agree_stray(struct past_calls *calls, int from, uint32_t sequence, void *word)
{
    struct past *past = past_find(calls, sequence);
    if (running_find(calls, sequence)) return 0;
    if (!past) return SINEW_ESTATE; /* long ago */
    log_stray(calls, past, from);
    return answer_about(calls, from, sequence, past->status < 0 ? WHAT_TELL : WHAT_DIFFERS, word);
}
