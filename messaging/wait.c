/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.c - the one home of waiting
 *
 * Spin on progress; then yield; then arm every transport and sleep on one epoll. Where ranks
 * outnumber the cores there is nothing to spin for: yield at once. Every IDLE_POLLS empty polls the
 * clock is read and rare matters are seen to. A wait longer than stall_report says who waits for
 * whom, then again after ten times as long. Nothing here waits without looking at deadlines and the
 * deaths of peers.
 */
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cores.h"
#include "messaging/context.h"

enum {
    IDLE_POLLS = 256,
    QUICK_POLLS = 256, /* see quick.c */
    SPINS = 20000,     /* polls, or … */
    SPIN_NS = 500000,  /* … so long, whichever comes first: a poll may be a system call     */
    YIELDS = 20,
    LAUNCHER_POLL_MS = 100, /* how often a provider without a descriptor is asked */
    STALL_FACTOR = 10,
};

bool wait_crowded(const struct sinew *s)
{
    int here = s->launch->ranks_here > 0 ? s->launch->ranks_here : s->size;
    return here > (s->launch->cores_here > 0 ? s->launch->cores_here : cores_allowed());
}

static void watch(struct sinew *s, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    if (fd >= 0 && s->epoll_fd >= 0) epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int wait_open(struct sinew *s)
{
    s->spins = s->config.poll_spins >= 0 ? s->config.poll_spins : wait_crowded(s) ? 0 : SPINS;
    s->has_deadline = s->config.deadline != INT64_MAX;
    s->yields = s->config.poll_yields >= 0 ? s->config.poll_yields : YIELDS;
    s->quick_polls = s->spins >= QUICK_POLLS ? QUICK_POLLS : 1;
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
    w->describe(w, &t);
    report_peer(s, &t);
    if (!anyone_gone(s))
        text_add(&t, " (no failure; the other side may be computing, or waiting for this one)");
    s->counters.stall_reports++;
    s->state->in_callback = true;
    log_line(&s->log, LOG_ERROR, "stall: %s", line);
    s->state->in_callback = false;
}

struct stall {
    int64_t began, after; /* after: how long a wait is reported next */
};

static void stall_step(struct sinew *s, struct waiting *w, struct stall *stall, int64_t now)
{
    if (stall->after == INT64_MAX || now - stall->began < stall->after) return;
    report(s, w, now - stall->began);
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
    if (arm_all(s)) return;
    until = sooner(until, wait_next_deadline(s));
    if (stall->after < INT64_MAX - stall->began) until = sooner(until, stall->began + stall->after);
    s->counters.sleeps++;
    s->world->sleep(s->world->arg, s->epoll_fd, until);
}

/* A link may go while one waits; the peer stays. */
static int look(struct sinew *s, const struct waiting *w)
{
    return context_progress(s, w->from ? w->from->out : NULL);
}

int wait_until(struct sinew *s, struct waiting *w, int64_t until)
{
    struct stall stall = { 0, s->config.stall_report };
    int64_t idle = 0, idle_since = 0;
    unsigned busy = 0;
    if (w->ready(w)) return 0;
    while (look(s, w) > 0 || w->ready(w)) {
        if (w->ready(w)) return 0;
        if (++busy % IDLE_POLLS == 0) break;
    }
    stall.began = world_now(s->world);
    for (;;) {
        if (look(s, w) > 0) {
            if (w->ready(w)) return 0;
            idle = idle_since = 0;
            if (++busy % IDLE_POLLS) continue; /* time passes for the busy too */
        } else {
            idle++;
        }
        bool tired = idle > s->spins;
        if (!tired && idle % IDLE_POLLS) continue;
        if (context_idle_step(s) > 0 || w->ready(w)) {
            if (w->ready(w)) return 0;
            continue;
        }
        int64_t now = world_now(s->world);
        if (now >= until) return SINEW_PENDING;
        stall_step(s, w, &stall, now);
        if (idle_since == 0) idle_since = now;
        if (!tired && now - idle_since > SPIN_NS) idle = s->spins;
        if (idle > s->spins + s->yields)
            doze(s, until, &stall);
        else if (tired)
            s->world->yield(s->world->arg);
    }
}

static int64_t time_after(struct sinew *s, int64_t patience)
{
    if (patience == SINEW_FOREVER) return INT64_MAX;
    int64_t now = world_now(s->world);
    return patience > INT64_MAX - now ? INT64_MAX : now + patience;
}

int wait_patiently(struct sinew *s, struct waiting *w, int64_t patience)
{
    if (patience > 0) return wait_until(s, w, time_after(s, patience));
    if (w->ready(w)) return 0;
    if (context_progress(s, NULL) == 0) context_idle_step(s);
    return w->ready(w) ? 0 : SINEW_PENDING;
}

/* ---- requests -------------------------------------------------------------------------------- */

struct waiting_requests {
    struct waiting base;
    struct sinew_request **reqs;
    int n;
    bool all;   /* wait for all of them, else for one */
    int passed; /* all: the first ones that are known to be final */
};

static bool is_final(const struct sinew_request *r)
{
    return !r || r->state == STATE_DONE || r->state == STATE_IDLE;
}

static bool requests_ready(struct waiting *w)
{
    struct waiting_requests *q = LIST_OWNER(w, struct waiting_requests, base);
    if (q->all) {
        while (q->passed < q->n && is_final(q->reqs[q->passed])) q->passed++;
        return q->passed == q->n;
    }
    for (int i = 0; i < q->n; i++)
        if (q->reqs[i] && q->reqs[i]->state == STATE_DONE) return true;
    return false;
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
}

static int wait_many(struct sinew *s, struct sinew_request **reqs, int n, bool all,
                     int64_t patience)
{
    struct waiting_requests q = {
        .base = { .ready = requests_ready, .describe = requests_describe },
        .reqs = reqs,
        .n = n,
        .all = all,
    };
    if (n == 1 && reqs[0]) q.base.from = reqs[0]->peer;
    return wait_patiently(s, &q.base, patience);
}

int wait_request(struct sinew_request *r)
{
    struct sinew_request *one = r;
    if (!is_final(r)) wait_many(r->context, &one, 1, true, SINEW_FOREVER);
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
    rc = r->state == STATE_DONE ? 0 : wait_many(r->context, req, 1, true, patience);
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

static struct sinew *context_of(struct sinew_request *reqs[], int n)
{
    for (int i = 0; i < n; i++)
        if (reqs[i]) return reqs[i]->context;
    return NULL;
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
    rc = wait_many(s, reqs, n, false, patience);
    if (rc) return rc;
    for (int i = 0; i < n; i++) {
        if (!reqs[i] || reqs[i]->state != STATE_DONE) continue;
        *index = i;
        return request_consume(&reqs[i]);
    }
    return SINEW_PENDING;
}

int sinew_wait_all(struct sinew_request *reqs[], int n, int results[], int64_t patience)
{
    if (n < 0 || (!reqs && n > 0)) return SINEW_EINVAL;
    struct sinew *s = context_of(reqs, n);
    int rc = s ? context_check(s, true) : 0;
    if (rc) return rc;
    int late = s ? wait_many(s, reqs, n, true, patience) : 0;
    int first = 0;
    for (int i = 0; i < n; i++) {
        struct sinew_request *r = reqs[i];
        int status = !r || r->state == STATE_IDLE ? 0 : SINEW_PENDING;
        if (r && r->state == STATE_DONE) status = request_consume(&reqs[i]);
        if (results) results[i] = status;
        if (status < 0 && first == 0) first = status;
    }
    return late > 0 ? late : first;
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
