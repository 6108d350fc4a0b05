/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.c - the one home of waiting
 *
 * Spin on progress; then yield; then arm every transport and sleep on one epoll. Where ranks
 * outnumber the cores, one look around and the next one's turn: yield at once. But a crowd may be
 * asleep: a yield that comes back sooner than the core could change hands found nobody, and after
 * some of these in a row there is something to spin for, a little. Every IDLE_POLLS empty polls the
 * clock is read and rare matters are seen to. A wait longer than stall_report says who waits for
 * whom, then again after ten times as long. Nothing here waits without looking at deadlines and the
 * deaths of peers.
 */
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/relax.h"
#include "messaging/context.h"

enum {
    IDLE_POLLS = 256,
    QUICK_POLLS = 256, /* see quick.c */
    QUICK_ALONE = 1024, /* receives of the short way, then others are seen to */
    SPINS = 20000,     /* polls, or … */
    SPIN_NS = 500000,  /* … so long, whichever comes first: a poll may be a system call     */
    SPINS_ALONE = 256, /* in a crowd, after …                              */
    TURNS_ALONE = 16,  /* … waits or yields in a row that met nobody,      */
    ALONE_NS = 1000,   /* … as they took less than this: two switches don't */
    TURNS_AWAKE = 1024, /* yields to somebody until one sleeps once, see should_move() */
    YIELDS = 20,
    LAUNCHER_POLL_MS = 100, /* how often a provider without a descriptor is asked */
    STALL_FACTOR = 10,
    ASK_MS = 1000, /* in vain, before those one waits for are asked, and between */
};

bool wait_crowded(const struct sinew *s)
{
    return s->launch->ranks_here > s->cores || s->ranks_here > s->cores;
}

static void set_spins(struct sinew *s, int64_t spins)
{
    s->spins = spins;
    s->quick_polls = spins >= QUICK_POLLS ? QUICK_POLLS : 1;
}

static void watch(struct sinew *s, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    if (fd >= 0 && s->epoll_fd >= 0) epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int wait_open(struct sinew *s)
{
    bool told = s->config.poll_spins >= 0;
    set_spins(s, told ? s->config.poll_spins : wait_crowded(s) ? 0 : SPINS);
    s->yields = s->config.poll_yields >= 0 ? s->config.poll_yields : YIELDS;
    s->takes_turns = !told && s->ranks_here > s->cores;
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0)
        return context_fail(s, SINEW_ELIMIT, "no descriptor left for waiting: raise `ulimit -n`");
    for (int i = 0; i < s->transports; i++) watch(s, s->transport[i]->fd);
    watch(s, s->launch->fd);
    return 0;
}

void wait_close(struct sinew *s)
{
    if (s->epoll_fd >= 0) close(s->epoll_fd);
    s->epoll_fd = -1;
}

int64_t wait_next_deadline(const struct sinew *s)
{
    int64_t next = INT64_MAX;
    for (const struct list *l = s->timed.next; l != &s->timed; l = l->next) {
        const struct sinew_request *r = LIST_OWNER(l, const struct sinew_request, timed);
        if (r->deadline < next) next = r->deadline;
    }
    for (const struct list *l = s->operations.next; l != &s->operations; l = l->next) {
        const struct sinew_request *r = LIST_OWNER(l, const struct sinew_request, attached);
        if (r->asks && r->asks < next) next = r->asks;
    }
    if (s->launch->ops->failed && s->launch->fd < 0 && s->exchange_polls) {
        int64_t ask = world_now(s->world) + (int64_t)LAUNCHER_POLL_MS * 1000000;
        if (ask < next) next = ask;
    }
    return next;
}

/* 0: everything is armed and nothing is there; > 0: there is something. */
static int arm_all(struct sinew *s)
{
    for (int i = 0; i < s->transports; i++)
        if (s->transport[i]->ops->arm(s->transport[i]) != 0) return 1;
    return 0;
}

/* ---- the stall report ------------------------------------------------------------------------ */

static bool anyone_gone(const struct sinew *s)
{
    return s->counters.peers_left + s->counters.peers_died > 0;
}

static void report_peer(const struct sinew *s, struct text *t)
{
    for (int rank = 0; rank < s->size; rank++) {
        const struct peer *p = s->peer[rank];
        if (!p || rank == s->rank) continue;
        bool queued =
            !list_empty(&p->queue[SPACE_USER]) || !list_empty(&p->queue[SPACE_COLLECTIVE]);
        if (p->state == PEER_GONE)
            text_add(t, "; %s", peer_gone_text(p));
        else if (queued || !list_empty(&p->attached))
            text_add(t, "; rank %d (%s): %s", rank, p->out ? p->out->ops->name : "no link",
                     queued ? "messages wait for its room" : "a long message is under way");
    }
}

static void report(struct sinew *s, const struct waiting *w, int64_t waited)
{
    char line[1024], duration[TEXT_DURATION_MAX];
    struct text t = text_into(line, sizeof(line));
    text_add(&t, "rank %d has waited %s for: ", s->rank, text_duration(waited, duration));
    w->kind->describe(w, &t);
    report_peer(s, &t);
    if (!anyone_gone(s))
        text_add(&t, " (no failure; the other side may be computing, or waiting for this one)");
    s->counters.stall_reports++;
    s->state->in_callback = true;
    log_line(&s->log, LOG_ERROR, "stall: %s", line);
    s->state->in_callback = false;
}

struct stall {
    int64_t began; /* when the clock was first looked at     */
    int64_t after; /* how long a wait is reported next       */
    int64_t ask;   /* … or before others are asked           */
};

static void stall_step(struct sinew *s, struct waiting *w, struct stall *stall, int64_t now)
{
    int64_t waited = now - stall->began;
    if (waited >= stall->ask) {
        const int64_t each = (int64_t)ASK_MS * 1000000;
        stall->ask = w->kind->stalled && w->kind->stalled(w) ? waited + each : INT64_MAX;
    }
    if (stall->after == INT64_MAX || waited < stall->after) return;
    report(s, w, waited);
    /* Of a waiter that was away itself, the reports it has missed are not caught up on. */
    while (stall->after <= waited)
        stall->after =
            stall->after > INT64_MAX / STALL_FACTOR ? INT64_MAX : stall->after * STALL_FACTOR;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void doze(struct sinew *s, int64_t until, const struct stall *stall)
{
    /* No event tells when a region is free: it is looked for again. */
    if (!list_empty(&s->revoking)) {
        s->world->yield(s->world->arg);
        return;
    }
    context_tell_credit(s);
    if (arm_all(s)) return;
    until = sooner(until, wait_next_deadline(s));
    int64_t next = sooner(stall->after, stall->ask);
    if (next < INT64_MAX - stall->began) until = sooner(until, stall->began + next);
    s->counters.sleeps++;
    s->world->sleep(s->world->arg, s->epoll_fd, until);
    s->polls = s->idle_steps = 0; /* whoever woke us is heard in the next round */
}

/* A link may go while one waits; the peer stays. */
static int look(struct sinew *s, const struct waiting *w)
{
    return context_progress(s, w->from ? w->from->out : NULL);
}

/* Before the processor is given away every link is looked at: a poll takes one cold link in
 * turn. */
static int look_around(struct sinew *s, const struct waiting *w)
{
    uint64_t more = s->spins > 0 ? 0 : s->counters.peers_met;
    int events = look(s, w);
    for (; more > 0 && events == 0; more--) events = context_look_again(s);
    return events;
}

/* A wait in vain, so far. */
struct patience {
    int64_t polls, yields, since; /* since: when the clock was first looked at; 0: not yet */
};

/* Whether it is time to do something else than poll; who is told how often counts polls alone. */
static bool tired(const struct sinew *s, struct patience *p, int64_t now)
{
    bool derived = s->config.poll_spins < 0;
    if (derived && p->polls <= s->spins && now - p->since > SPIN_NS) p->polls = s->spins + 1;
    return p->polls > s->spins;
}

/* Among others: whether somebody else had the core, or it was ours alone. */
static void note_turn(struct sinew *s, bool alone)
{
    if (!s->takes_turns) return;
    s->turns_alone = alone ? s->turns_alone + 1 : 0;
    s->turns_shared = alone ? 0 : s->turns_shared + 1;
    set_spins(s, s->turns_alone >= TURNS_ALONE ? SPINS_ALONE : 0);
}

static void give_way(struct sinew *s, struct patience *p, int64_t now)
{
    p->yields++;
    s->counters.yields++;
    s->world->yield(s->world->arg);
    if (!s->takes_turns) return;
    bool alone = world_now(s->world) - now < ALONE_NS;
    note_turn(s, alone);
    if (alone && now - p->since <= SPIN_NS) p->polls = p->yields = 0;
}

bool wait_shortly(struct sinew *s, struct shortly *w)
{
    if (++w->polls < s->quick_polls) {
        cpu_relax();
        return true;
    }
    /* deaths and deadlines are not seen */
    int64_t yields = s->yields < YIELDS ? s->yields : YIELDS;
    if (!s->takes_turns || w->yields++ >= yields || s->turns_shared >= TURNS_AWAKE) return false;
    int64_t now = world_now(s->world);
    w->polls = 0;
    s->counters.yields++;
    s->world->yield(s->world->arg);
    note_turn(s, world_now(s->world) - now < ALONE_NS);
    return true;
}

/*
 * Who only yields stays where it is: two ranks may take turns on one core for seconds while another
 * core is idle. Who is woken is put on an idle one, so now and then one sleeps.
 */
static bool should_move(struct sinew *s)
{
    if (s->turns_shared < TURNS_AWAKE) return false;
    s->turns_shared = 0;
    return true;
}

int wait_until(struct sinew *s, struct waiting *w, int64_t until)
{
    struct stall stall = { 0, s->config.stall_report,
                           w->kind->stalled ? (int64_t)ASK_MS * 1000000 : INT64_MAX };
    struct patience idle = { 0, 0, 0 };
    uint64_t yields = s->counters.yields;
    unsigned busy = 0;
    if (w->ready(w)) return 0;
    while (look(s, w) > 0 || w->ready(w)) {
        if (w->ready(w)) return 0;
        if (++busy % IDLE_POLLS == 0) break;
    }
    for (;;) {
        if (look_around(s, w) > 0) {
            if (w->ready(w)) {
                if (s->counters.yields == yields) note_turn(s, true); /* others are elsewhere */
                return 0;
            }
            idle = (struct patience){ 0, 0, 0 };
            if (++busy % IDLE_POLLS) continue; /* time passes for the busy too */
        } else if (++idle.polls <= s->spins && idle.polls % IDLE_POLLS) {
            continue;
        }
        int rare = context_idle_step(s);
        if (w->ready(w)) return 0;
        int64_t now = world_now(s->world);
        if (now >= until) return SINEW_PENDING;
        if (stall.began == 0) {
            int rc = w->kind->hopeless ? w->kind->hopeless(w) : 0;
            if (rc) return rc;
            stall.began = now;
        }
        stall_step(s, w, &stall, now);
        if (rare > 0) continue;
        if (idle.since == 0) idle.since = now;
        if (!tired(s, &idle, now)) continue;
        if (idle.yields < s->yields && !should_move(s))
            give_way(s, &idle, now);
        else
            doze(s, until, &stall);
    }
}

static int64_t time_after(struct sinew *s, int64_t patience)
{
    if (patience == SINEW_FOREVER) return INT64_MAX;
    int64_t now = world_now(s->world);
    return patience > INT64_MAX - now ? INT64_MAX : now + patience;
}

/* Who only ever waits for one link, and never in vain, must not starve the others. */
void wait_see_others(struct sinew *s)
{
    if (s->state->until_general > 0) return;
    s->state->until_general = QUICK_ALONE;
    context_progress(s, NULL);
    context_idle_step(s);
}

int wait_patiently(struct sinew *s, struct waiting *w, int64_t patience)
{
    wait_see_others(s);
    if (patience > 0) return wait_until(s, w, time_after(s, patience));
    if (w->ready(w)) return 0;
    context_look(s);
    if (w->ready(w)) return 0;
    int rc = w->kind->hopeless ? w->kind->hopeless(w) : 0;
    return rc ? rc : SINEW_PENDING;
}

/* ---- requests -------------------------------------------------------------------------------- */

struct waiting_requests {
    struct waiting base;
    struct sinew_request **reqs;
    int n;
    /* For all of them: */
    int passed; /* the first ones, final and consumed */
    int failed; /* the first failure of these          */
    int *results;
};

static bool is_final(const struct sinew_request *r)
{
    return !r || r->state == STATE_DONE || r->state == STATE_IDLE;
}

static bool one_ready(struct waiting *w)
{
    struct waiting_requests *q = LIST_OWNER(w, struct waiting_requests, base);
    for (int i = 0; i < q->n; i++)
        if (q->reqs[i] && q->reqs[i]->state == STATE_DONE) return true;
    return false;
}

/* The first failure is the outcome of all, so sinew_why() keeps its text. */
static __attribute__((noinline)) int consume_one(struct waiting_requests *q,
                                                 struct sinew_request **req)
{
    struct sinew *s = (*req)->context;
    if ((*req)->status >= 0) return request_consume(req);
    struct why first = s->why;
    int status = request_consume(req);
    if (q->failed == 0)
        q->failed = status;
    else
        s->why = first;
    return status;
}

/* Consumes each, in their order, as soon as it is final; nothing is awaited of a copy of a handle
 * whose request is over, which may have been one of these. */
static bool all_ready(struct waiting *w)
{
    struct waiting_requests *q = LIST_OWNER(w, struct waiting_requests, base);
    struct sinew_request **reqs = q->reqs;
    int i = q->passed, n = q->n, *results = q->results;
    for (; i < n; i++) {
        struct sinew_request *r = reqs[i];
        int status = 0;
        if (r && r->state == STATE_DONE && r->plain) {
            request_free_plain(r);
            reqs[i] = NULL;
        } else if (!is_final(r)) {
            break;
        } else if (r && r->state == STATE_DONE) {
            status = consume_one(q, &reqs[i]);
        }
        if (results) results[i] = status;
    }
    q->passed = i;
    w->from = i < n ? reqs[i]->peer : NULL;
    return i == n || reqs[i]->state == STATE_FREE;
}

/* Sends that receivers have not matched, and nothing else: then ranks may wait for each other in a
 * ring. */
static bool sends_unmatched(const struct waiting_requests *q)
{
    bool any = false;
    for (int i = 0; i < q->n; i++) {
        const struct sinew_request *r = q->reqs[i];
        if (is_final(r)) continue;
        if (r->kind != REQUEST_SEND || r->space != SPACE_USER) return false;
        if (r->state != STATE_ASKING && r->state != STATE_QUEUED) return false;
        any = any || r->state == STATE_ASKING;
    }
    return any;
}

static void requests_describe(const struct waiting *w, struct text *t)
{
    const struct waiting_requests *q = LIST_OWNER(w, const struct waiting_requests, base);
    int shown = 0, open = 0;
    for (int i = 0; i < q->n; i++) {
        if (is_final(q->reqs[i])) continue;
        if (open++ >= 4) continue;
        if (shown++) text_add(t, ", ");
        request_describe(q->reqs[i], t);
    }
    if (open > shown) text_add(t, " and %d more", open - shown);
    if (sends_unmatched(q))
        text_add(t, "; if the receiver is sending, too, one of both has to receive first: "
                    "sinew_sendrecv(), or sends with a request, do not wait for each other");
}

/* A copy of a handle whose request is over: nothing will happen to it. */
static int requests_hopeless(const struct waiting *w)
{
    const struct waiting_requests *q = LIST_OWNER(w, const struct waiting_requests, base);
    int rc = 0;
    for (int i = 0; i < q->n && rc == 0; i++)
        if (q->reqs[i]) rc = request_refuse_ended(q->reqs[i], "test or wait");
    return rc;
}

static bool requests_stalled(const struct waiting *w)
{
    const struct waiting_requests *q = LIST_OWNER(w, const struct waiting_requests, base);
    bool any = false;
    for (int i = 0; i < q->n; i++) {
        struct sinew_request *r = q->reqs[i];
        if (is_final(r) || r->kind != REQUEST_OPERATION || !r->ops->stalled) continue;
        r->ops->stalled(r->state_of);
        any = true;
    }
    return any;
}

static const struct waiting_kind waiting_requests_kind = {
    .describe = requests_describe,
    .stalled = requests_stalled,
    .hopeless = requests_hopeless,
};

/* Whose messages it waits for, where there is one it can be. */
static struct peer *awaited_peer(const struct sinew_request *r)
{
    if (r->kind != REQUEST_OPERATION) return r->peer;
    const struct team_core *core = r->team->core;
    return core->size == 2 ? core->peer[1 - core->rank] : NULL;
}

static int wait_first(struct sinew *s, struct sinew_request **reqs, int n, int64_t patience)
{
    struct waiting_requests q = {
        .base = { .ready = one_ready, .kind = &waiting_requests_kind },
        .reqs = reqs,
        .n = n,
    };
    if (n == 1 && reqs[0]) q.base.from = awaited_peer(reqs[0]);
    return wait_patiently(s, &q.base, patience);
}

int wait_request(struct sinew_request *r)
{
    struct sinew_request *one = r;
    if (!is_final(r)) wait_first(r->context, &one, 1, SINEW_FOREVER);
    return request_consume(&one);
}

static int wait_one(struct sinew_request **req, int64_t patience)
{
    if (!req) return SINEW_EINVAL;
    struct sinew_request *r = *req;
    if (!r) return 0;
    int rc = context_check(r->context, true);
    if (rc) return rc;
    if (r->state == STATE_IDLE) return 0;
    rc = r->state == STATE_DONE ? 0 : wait_first(r->context, req, 1, patience);
    return rc ? rc : request_consume(req);
}

int sinew_test(struct sinew_request **req)
{
    return wait_one(req, 0);
}

int sinew_wait(struct sinew_request **req)
{
    return wait_one(req, SINEW_FOREVER);
}

int sinew_wait_for(struct sinew_request **req, int64_t patience)
{
    return wait_one(req, patience);
}

/* NULL: no request is there. */
static struct sinew *context_of(struct sinew_request *reqs[], int n)
{
    int i = 0;
    while (i < n && !reqs[i]) i++;
    return i < n ? reqs[i]->context : NULL;
}

int sinew_wait_any(struct sinew_request *reqs[], int n, int *index, int64_t patience)
{
    if (n < 0 || !index || (!reqs && n > 0)) return SINEW_EINVAL;
    struct sinew *s = context_of(reqs, n);
    *index = -1;
    if (!s) return 0;
    int rc = context_check(s, true);
    if (rc) return rc;
    bool active = false;
    for (int i = 0; i < n; i++) active |= reqs[i] && reqs[i]->state != STATE_IDLE;
    if (!active) return 0;
    rc = wait_first(s, reqs, n, patience);
    if (rc) return rc;
    for (int i = 0; i < n; i++) {
        if (!reqs[i] || reqs[i]->state != STATE_DONE) continue;
        *index = i;
        return request_consume(&reqs[i]);
    }
    return SINEW_PENDING;
}

/* Patience is over, or a handle has ended: those behind one that is not final may be. */
static void consume_rest(struct waiting_requests *q)
{
    for (int i = q->passed; i < q->n; i++) {
        struct sinew_request *r = q->reqs[i];
        int status = is_final(r) ? 0 : r->state == STATE_FREE ? SINEW_EINVAL : SINEW_PENDING;
        if (r && r->state == STATE_DONE) status = consume_one(q, &q->reqs[i]);
        if (q->results) q->results[i] = status;
    }
}

int sinew_wait_all(struct sinew_request *reqs[], int n, int results[], int64_t patience)
{
    if (n < 0 || (!reqs && n > 0)) return SINEW_EINVAL;
    struct waiting_requests q = {
        .base = { .ready = all_ready, .kind = &waiting_requests_kind },
        .reqs = reqs,
        .n = n,
        .results = results,
    };
    struct sinew *s = context_of(reqs, n);
    int rc = s ? context_check(s, true) : 0;
    if (rc) return rc;
    if (!s) { /* sends that were done at once, mostly */
        if (results && n > 0) memset(results, 0, (size_t)n * sizeof(*results));
        return 0;
    }
    int late = wait_patiently(s, &q.base, patience);
    if (late == 0 && q.passed < n) late = requests_hopeless(&q.base);
    if (late == 0) return q.failed;
    if (late < 0) q.failed = late; /* its text stays */
    consume_rest(&q);
    return late;
}

/* ---- the caller's own loop ------------------------------------------------------------------- */

int sinew_fd(struct sinew *s)
{
    return s ? s->epoll_fd : SINEW_EINVAL;
}

int sinew_arm(struct sinew *s, int64_t *timeout)
{
    if (!s) return SINEW_EINVAL;
    int rc = context_check(s, true);
    if (rc) return rc;
    s->idle_steps = 0; /* the caller sleeps: this is the moment to hear of everything */
    if (context_idle_step(s) > 0 || !list_empty(&s->deferrals) || !list_empty(&s->revoking) ||
        arm_all(s))
        return SINEW_PENDING;
    if (timeout) {
        int64_t next = wait_next_deadline(s);
        int64_t now = next == INT64_MAX ? 0 : world_now(s->world);
        *timeout = next == INT64_MAX ? SINEW_FOREVER : next > now ? next - now : 0;
    }
    return 0;
}
