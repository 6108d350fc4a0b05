/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open.c - joining and leaving the job
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "messaging/context.h"
#include "messaging/origin.h"

extern char **environ;

/* The text of this thread's last failed open: there is no context to keep it. */
static _Thread_local struct why last_open;

/* ---- parts of a context ---------------------------------------------------------------------- */

/* Ours here, nobody's in a forked child. */
static int own_process(struct sinew *s)
{
    if (s->world != &world_real) {
        s->state = world_allocate(s->world, sizeof(*s->state));
    } else {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        void *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        s->state = at == MAP_FAILED ? NULL : at;
        if (s->state) madvise(at, page, MADV_WIPEONFORK);
    }
    if (!s->state) return context_fail(s, SINEW_ENOMEM, "no memory for a context");
    s->state->is_owned = 1;
    s->match.open = &s->state->open;
    return 0;
}

static void disown_process(struct sinew *s)
{
    if (!s->state) return;
    if (s->world != &world_real)
        world_release(s->world, s->state, sizeof(*s->state));
    else
        munmap(s->state, (size_t)sysconf(_SC_PAGESIZE));
}

static struct sinew *context_new(const struct world *world)
{
    struct sinew *s = world_allocate(world, sizeof(*s));
    if (!s) return NULL;
    s->world = world;
    s->counters.memory_bytes = sizeof(*s);
    s->epoll_fd = -1;
    match_init(&s->match);
    list_init(&s->teams);
    list_init(&s->handles);
    list_init(&s->deferrals);
    list_init(&s->owing);
    list_init(&s->timed);
    list_init(&s->operations);
    list_init(&s->dead_links);
    list_init(&s->revoking);
    list_init(&s->messages);
    list_init(&s->memories);
    return s;
}

/* What an abandoned context still has under way: nobody will look at it any more. */
static void release_requests(struct sinew *s)
{
    for (uint32_t i = 0; i < s->requests.chunks; i++)
        for (int j = 0; j < REQUEST_CHUNK; j++) {
            struct sinew_request *r = &s->requests.chunk[i][j];
            if (r->state == STATE_FREE) continue;
            if (r->parked) self_release(r->parked);
            if (r->ops) r->ops->release(r->state_of);
        }
    message_release_all(s);
    memory_release_all(s);
}

static void context_destroy(struct sinew *s)
{
    release_requests(s);
    wait_close(s);
    team_destroy_all(s);
    for (int rank = 0; s->peer && rank < s->size; rank++)
        if (s->peer[rank]) peer_destroy(s->peer[rank]);
    wireup_deferred(s);
    transports_close(s);
    if (s->launch) s->launch->ops->close(s->launch);
    request_pool_destroy(s);
    context_release(s, s->peer, (size_t)s->size * sizeof(*s->peer));
    disown_process(s);
    world_release(s->world, s, sizeof(*s));
}

/* ---- open ------------------------------------------------------------------------------------ */

static int join(struct sinew *s, const struct sinew_options *options, int64_t until)
{
    int rc = 0;
    if (!s->launch) rc = launch_open(s->world, &s->config, options, until, &s->launch, &s->why);
    if (rc) return rc;
    s->rank = s->launch->rank;
    s->size = s->launch->size;
    s->exchange_polls = options && options->exchange && options->exchange->failed;
    snprintf(s->log.prefix, sizeof(s->log.prefix), "sinew[%d]: ", s->rank);
    if (s->size > 1 && s->config.security != SINEW_SECURITY_NONE && !s->launch->has_secret)
        return context_fail(s, SINEW_EAUTH,
                            "the launcher gives this job no secret, so peers cannot be told from "
                            "strangers; give one, or choose security = none");
    s->peer = context_allocate(s, (size_t)s->size * sizeof(*s->peer));
    if (!s->peer) return context_fail(s, SINEW_ENOMEM, "no memory for %d ranks", s->size);
    while (rc == 0 && s->epoch == 0)
        rc = s->world->random(s->world->arg, &s->epoch, sizeof(s->epoch));
    return rc ? context_fail(s, rc, "the system gives no random numbers") : 0;
}

static int publish(struct sinew *s, int64_t until)
{
    struct launch *launch = s->launch;
    uint8_t record[RECORD_MAX];
    size_t len = 0;
    struct why why = { "" };
    int rc = choose_record(s, record, &len, &why);
    if (rc) return context_fail(s, rc, "%s", why.text);
    rc = launch->ops->put(launch, record, len);
    if (rc == 0) rc = launch->ops->fence(launch, until);
    if (rc) return context_fail(s, rc, "%s: %s", launch->ops->name, launch->why.text);
    crowd_count(s);
    return 0;
}

static int context_start(struct sinew *s, const struct origin *origin,
                         const struct sinew_options *options)
{
    struct config *c = &s->config;
    s->log = (struct log){ .level = LOG_WARNING, .prefix = "sinew: " };
    if (options) {
        s->log.write = options->log;
        s->log.arg = options->log_arg;
    }
    int rc = config_load(c, options, origin->environment, &s->log, &s->sources, &s->why);
    if (rc) return rc;
    s->log.level = (int)c->log_level;
    rc = own_process(s);
    int64_t until = world_now(s->world) + c->setup_deadline;
    if (rc == 0) rc = join(s, options, until);
    if (rc == 0) crowd_name(s); /* transports ask whether there are cores for all */
    if (rc == 0) rc = transports_open(s, origin->transports);
    if (rc) return rc;
    rc = publish(s, until);
    if (rc == 0) rc = team_open_world(s);
    if (rc == 0) rc = collectives_open(s->world_team);
    if (rc == 0) rc = wait_open(s);
    return rc;
}

int context_open(const struct sinew_options *given, const struct origin *origin, struct sinew **out)
{
    struct sinew_options whole;
    const struct sinew_options *options = given ? &whole : NULL;
    struct sinew *s = context_new(origin->world);
    if (!s) {
        if (origin->launch) origin->launch->ops->close(origin->launch);
        return why_set(&last_open, SINEW_ENOMEM, "sinew_open: no memory for a context");
    }
    s->launch = origin->launch;
    int rc = options ? config_options(given, &whole, &s->why) : 0;
    if (rc == 0) rc = context_start(s, origin, options);
    if (rc) {
        last_open = s->why;
        why_wrap(&last_open, rc, "sinew_open");
        s->closing = true;
        context_destroy(s);
        return rc;
    }
    *out = s;
    return 0;
}

int sinew_open(const struct sinew_options *options, struct sinew **s)
{
    struct origin origin = { .world = &world_real, .environment = environ };
    if (!s) return why_set(&last_open, SINEW_EINVAL, "sinew_open: s is NULL");
    return context_open(options, &origin, s);
}

/* ---- close ----------------------------------------------------------------------------------- */

static int refuse_close(struct sinew *s)
{
    char text[WHY_MAX];
    struct text t = text_into(text, sizeof(text));
    int shown = 0;
    for (uint32_t i = 0; i < s->requests.chunks && shown < 3; i++)
        for (int j = 0; j < REQUEST_CHUNK && shown < 3; j++) {
            const struct sinew_request *r = &s->requests.chunk[i][j];
            if (r->state == STATE_FREE) continue;
            text_add(&t, "%s", shown++ ? ", " : ": ");
            request_describe(r, &t);
        }
    return context_fail(s, SINEW_EBUSY,
                        "sinew_close: requests, messages or memories still live, %u in all%s; "
                        "wait for requests, receive what a matched probe took, free memories first",
                        request_live(s, NULL), text);
}

struct waiting_links {
    struct waiting base;
    struct sinew *context;
};

static bool links_ready(struct waiting *w)
{
    return !wireup_links_left(LIST_OWNER(w, struct waiting_links, base)->context);
}

static void links_describe(const struct waiting *w, struct text *t)
{
    (void)w;
    text_add(t, "the peers' kernels to take what was sent, to close");
}

/* Control messages that a stuck link could not take yet belong to what was promised. */
static bool controls_waiting(const struct sinew *s)
{
    for (int rank = 0; rank < s->size; rank++) {
        const struct peer *p = s->peer[rank];
        if (!p || p->state == PEER_GONE) continue;
        if ((p->out && !list_empty(&p->controls)) || !wired_settled(p)) return true;
    }
    return false;
}

static const struct waiting_kind links_kind = { .describe = links_describe };

static bool controls_ready(struct waiting *w)
{
    return !controls_waiting(LIST_OWNER(w, struct waiting_links, base)->context);
}

static void disconnect_all(struct sinew *s, enum disconnect_how how)
{
    for (int rank = 0; rank < s->size; rank++) {
        struct peer *p = s->peer[rank];
        if (p && rank != s->rank) wireup_disconnect(p, how);
    }
}

static void leave(struct sinew *s)
{
    struct waiting_links w = { { .ready = links_ready, .kind = &links_kind }, s };
    int64_t until = world_now(s->world) + s->config.repair_deadline;
    w.base.ready = controls_ready;
    wait_until(s, &w.base, until);
    s->closing = true;
    w.base.ready = links_ready;
    disconnect_all(s, DISCONNECT_DRAIN);
    if (wait_until(s, &w.base, until) == 0) return;
    disconnect_all(s, DISCONNECT_NOW);
    wait_until(s, &w.base, until + s->config.repair_deadline);
}

int sinew_close(struct sinew *s)
{
    if (!s) return 0;
    int rc = context_check(s, true);
    if (rc) return rc;
    if (request_live(s, NULL)) return refuse_close(s);
    leave(s);
    context_destroy(s);
    return 0;
}

void sinew_abandon(struct sinew *s)
{
    if (!s || s->state->in_progress || s->state->in_callback) return;
    if (!s->state->is_owned) {
        /* A forked child: what the transports share belongs to the parent, so its copy just stays.
         */
        s->launch->ops->abandon(s->launch);
        return;
    }
    s->closing = true;
    disconnect_all(s, DISCONNECT_NOW);
    for (int rounds = 0; rounds < 1000 && wireup_links_left(s); rounds++) context_progress(s, NULL);
    s->launch->ops->abandon(s->launch);
    s->launch = NULL;
    context_destroy(s);
}

int sinew_abort(struct sinew *s, int status, const char *text)
{
    if (!s) return SINEW_EINVAL;
    int rc = context_check(s, false);
    if (rc) return rc;
    rc = s->launch->ops->abort(s->launch, status, text ? text : "");
    return rc ? context_fail(s, rc, "sinew_abort: %s: %s", s->launch->ops->name,
                             s->launch->why.text)
              : 0;
}

/* ---- seeing inside --------------------------------------------------------------------------- */

const char *sinew_why(struct sinew *s)
{
    const char *text = s ? s->why.text : last_open.text;
    return text[0] ? text : "no failure";
}

static const struct {
    const char *name;
    size_t offset;
} counter_table[] = {
#define COUNTER_ROW(name) { #name, offsetof(struct counters, name) },
    COUNTER_LIST(COUNTER_ROW)
#undef COUNTER_ROW
};

enum { COUNTERS = sizeof(counter_table) / sizeof(counter_table[0]) };

const char *sinew_counter_name(int index)
{
    return index >= 0 && index < (int)COUNTERS ? counter_table[index].name : NULL;
}

int sinew_counter(struct sinew *s, const char *name, uint64_t *value)
{
    if (!s) return SINEW_EINVAL;
    if (!name || !value)
        return context_fail(s, SINEW_EINVAL, "sinew_counter: name and value must not be NULL");
    for (int i = 0; i < (int)COUNTERS; i++) {
        if (strcmp(counter_table[i].name, name)) continue;
        struct counters now = s->counters;
        quick_count(s, &now);
        memcpy(value, (const char *)&now + counter_table[i].offset, sizeof(*value));
        return 0;
    }
    return context_fail(s, SINEW_ENOENT, "sinew_counter: no counter is called \"%.60s\"", name);
}
