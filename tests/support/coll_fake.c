/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/coll_fake.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/list.h"

enum { FAKE_MEMBERS = 80 };

/* One end of a message: sends and receives meet by (from, to, key). */
struct end {
    struct list entry;
    bool receives;
    int rank, peer; /* whose end, and who is at the other */
    struct collective_key key;
    void *buffer; /* of a send that has ended already: a copy of ours */
    struct landing *landing; /* of a receive, or NULL */
    size_t len;
    struct completion *c; /* NULL: ended already */
};

/* What may happen next: two ends meet, or a completion is delivered. */
struct event {
    struct end *send, *receive; /* or NULL */
    struct completion *c;
    int rank, status;
    struct word *word; /* or NULL */
};

/* A word from rank `from` to the event's rank; free() is due. */
struct word {
    int from;
    uint32_t sequence;
    size_t len;
    unsigned char bytes[COLLECTIVE_WORD_MAX];
};

struct sinew {
    struct sinew_team *world;
};

struct sinew_team {
    struct sinew context;
    struct fake *fake;
    int level;
    int rank, size;
    uint32_t sequence, next_id;
    struct team_cache *cache, *view_cache;
    bool persistent;
    const char *algorithm;
    int outstanding; /* completions owed */
    uint32_t id;
    int members[FAKE_MEMBERS];
};

struct sinew_request {
    const struct operation_ops *ops;
    void *state;
    struct sinew_team *team;
    bool persistent, active;
    int status;
};

struct fake {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct fake_options options;
    uint64_t random, messages, straight;
    struct list ends; /* that wait for their other end */
    struct event *events;
    size_t event_count, event_cap;
    uint32_t dead_sequence[FAKE_MEMBERS]; /* a rank that gave up this collective */
    bool dead[FAKE_MEMBERS];
    struct sinew_team team[FAKE_MEMBERS];
    char why[512];
    struct world world;
    int allocations;
    size_t allocated; /* bytes not given back */
};

uint64_t fake_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool fake_chance(struct fake *f, unsigned percent)
{
    return fake_random(&f->random) % 100 < percent;
}

static void *fake_allocate(void *arg, size_t align, size_t size)
{
    struct fake *f = arg;
    if (++f->allocations == f->options.fail_allocation) return NULL;
    f->allocated += size;
    return world_real.allocate(world_real.arg, align, size);
}

static void fake_release(void *arg, void *memory, size_t size)
{
    struct fake *f = arg;
    assert_true(size <= f->allocated);
    f->allocated -= size;
    world_real.release(world_real.arg, memory, size);
}

struct fake *fake_new(const struct fake_options *options)
{
    struct fake *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->options = *options;
    f->random = options->seed;
    f->world = world_real;
    f->world.arg = f;
    f->world.allocate = fake_allocate;
    f->world.release = fake_release;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->moved, NULL);
    list_init(&f->ends);
    for (int r = 0; r < options->size; r++) {
        struct sinew_team *t = &f->team[r];
        t->fake = f;
        t->rank = r;
        t->size = options->size;
        t->level = SINEW_LEVEL_IDENTICAL;
        t->context.world = t;
        t->next_id = 1 + (uint32_t)(fake_random(&f->random) % 9);
        for (int i = 0; i < options->size; i++) t->members[i] = i;
    }
    return f;
}

static void team_end(struct sinew_team *t)
{
    assert_int_equal(t->outstanding, 0);
    if (t->view_cache) t->view_cache->destroy(t->view_cache);
    if (t->cache) t->cache->destroy(t->cache);
}

void fake_free(struct fake *f)
{
    for (int r = 0; r < f->options.size; r++) team_end(&f->team[r]);
    assert_int_equal(f->event_count, 0);
    assert_int_equal(f->allocated, 0);
    assert_true(list_empty(&f->ends));
    pthread_cond_destroy(&f->moved);
    pthread_mutex_destroy(&f->lock);
    free(f->events);
    free(f);
}

struct sinew_team *fake_team(struct fake *f, int rank)
{
    return &f->team[rank];
}
void fake_lock(struct fake *f)
{
    pthread_mutex_lock(&f->lock);
}
void fake_unlock(struct fake *f)
{
    pthread_mutex_unlock(&f->lock);
}
const char *fake_why(struct fake *f)
{
    return f->why;
}
size_t fake_allocated(const struct fake *f)
{
    return f->allocated;
}
int fake_allocations(const struct fake *f)
{
    return f->allocations;
}
uint64_t fake_straight(const struct fake *f)
{
    return f->straight;
}
uint64_t fake_messages(const struct fake *f)
{
    return f->messages;
}

void fake_view(struct fake *f, int rank, bool persistent, const char *algorithm)
{
    struct team_cache **cache = &f->team[rank].view_cache;
    if (*cache) (*cache)->destroy(*cache);
    *cache = NULL;
    f->team[rank].persistent = persistent;
    f->team[rank].algorithm = algorithm;
}

/* ------------------------------------------------------------------------------------- messages */

static void event_add(struct fake *f, struct event e)
{
    if (f->event_count == f->event_cap) {
        f->event_cap = 2 * f->event_cap + 64;
        f->events = realloc(f->events, f->event_cap * sizeof(e));
        assert_non_null(f->events);
    }
    f->events[f->event_count++] = e;
    pthread_cond_broadcast(&f->moved);
}

static void completion_add(struct fake *f, int rank, struct completion *c, int status)
{
    if (c) event_add(f, (struct event){ .c = c, .rank = rank, .status = status });
}

static struct event event_take(struct fake *f)
{
    size_t i = fake_random(&f->random) % f->event_count;
    struct event e = f->events[i];
    f->events[i] = f->events[--f->event_count];
    return e;
}

static struct end *end_find(struct fake *f, const struct end *mine)
{
    for (struct list *l = f->ends.next; l != &f->ends; l = l->next) {
        struct end *e = LIST_OWNER(l, struct end, entry);
        if (e->receives != mine->receives && e->rank == mine->peer && e->peer == mine->rank &&
            e->key.sequence == mine->key.sequence && e->key.step == mine->key.step &&
            e->key.tile == mine->key.tile)
            return e;
    }
    return NULL;
}

static void end_free(struct end *e)
{
    list_remove(&e->entry);
    if (!e->c) free(e->buffer);
    free(e);
}

/* Both ends are there: move the bytes, give the outcome. */
static int end_meet(const struct end *send, const struct end *receive)
{
    if (send->key.digest != receive->key.digest) return SINEW_EMISMATCH;
    size_t n = send->len < receive->len ? send->len : receive->len;
    struct landing *landing = receive->landing;
    for (size_t at = 0, part; landing && at < n; at += part) {
        part = n - at < LANDING_ALIGN ? n - at : LANDING_ALIGN;
        landing->land(landing, at, (const char *)send->buffer + at, part);
    }
    if (n && !landing) memcpy(receive->buffer, send->buffer, n);
    return send->len > receive->len ? SINEW_ETRUNCATED : 0;
}

/* A new end: it waits, or fake_progress() will bring it together with the one that waited for it.
 */
static void end_add(struct fake *f, struct end end, struct end *other)
{
    struct end *e = calloc(1, sizeof(*e));
    assert_non_null(e);
    *e = end;
    list_init(&e->entry);
    if (!other) {
        list_append(&f->ends, &e->entry);
        return;
    }
    list_remove(&other->entry);
    event_add(
        f, (struct event){ .send = e->receives ? other : e, .receive = e->receives ? e : other });
}

static int message(struct sinew_team *team, struct end end)
{
    struct fake *f = team->fake;
    assert_in_range(end.peer, 0, team->size - 1);
    if (++f->messages == f->options.fail_after) {
        if (!f->options.fail_later) return SINEW_EPEER;
        team->outstanding++;
        completion_add(f, team->rank, end.c, SINEW_EPEER);
        return SINEW_PENDING;
    }
    end.rank = team->rank;
    struct end *other = end_find(f, &end);
    if (end.receives && other && !other->c && fake_chance(f, f->options.at_once)) {
        int status = end_meet(other, &end);
        end_free(other);
        return status;
    }
    if (!end.receives && end.len <= f->options.eager_bytes && fake_chance(f, f->options.at_once)) {
        end.buffer = memcpy(malloc(end.len + 1), end.len ? end.buffer : "", end.len);
        end.c = NULL;
        end_add(f, end, other);
        return 0;
    }
    team->outstanding++;
    end_add(f, end, other);
    return SINEW_PENDING;
}

int collective_send(struct sinew_team *team, const void *buf, size_t len, int to,
                    const struct collective_key *key, struct completion *c)
{
    return message(
        team, (struct end){
                  .peer = to, .key = *key, .buffer = (void *)(uintptr_t)buf, .len = len, .c = c });
}

int collective_recv(struct sinew_team *team, void *buf, size_t cap, int from,
                    const struct collective_key *key, struct completion *c)
{
    return message(
        team, (struct end){
                  .receives = true, .peer = from, .key = *key, .buffer = buf, .len = cap, .c = c });
}

int collective_recv_landing(struct sinew_team *team, struct landing *landing, void *room,
                            size_t len, int from, const struct collective_key *key,
                            struct completion *c)
{
    (void)room;
    return message(team, (struct end){ .receives = true,
                                       .peer = from,
                                       .key = *key,
                                       .landing = landing,
                                       .len = len,
                                       .c = c });
}

bool collective_lands(const struct sinew_team *team)
{
    return team->fake->options.lands;
}

/* The short way: taken when it is there, now and then. */
bool collective_begin(struct sinew_team *team, uint32_t *sequence)
{
    if (!fake_chance(team->fake, team->fake->options.at_once)) return false;
    *sequence = ++team->sequence;
    return true;
}

bool collective_send_short(struct sinew_team *team, const void *buf, size_t len, int to,
                           const struct collective_key *key)
{
    struct fake *f = team->fake;
    struct end end = { .rank = team->rank, .peer = to, .key = *key, .len = len };
    assert_in_range(to, 0, team->size - 1);
    if (len > f->options.eager_bytes || !fake_chance(f, f->options.at_once)) return false;
    struct end *other = end_find(f, &end);
    end.buffer = memcpy(malloc(len + 1), len ? buf : "", len);
    end_add(f, end, other);
    f->straight++;
    return true;
}

bool collective_await_short(struct sinew_team *team, size_t len, int from,
                            const struct collective_key *key, struct collective_lent *m)
{
    struct end end = { .receives = true, .rank = team->rank, .peer = from, .key = *key };
    struct end *send = end_find(team->fake, &end);
    assert_in_range(from, 0, team->size - 1);
    if (!send || send->c || send->len != len || send->key.digest != key->digest) return false;
    if (!fake_chance(team->fake, team->fake->options.at_once)) return false;
    *m = (struct collective_lent){ .body = send->buffer, .peer = (struct peer *)(void *)send };
    return true;
}

void collective_taken(const struct collective_lent *m)
{
    end_free((struct end *)(void *)m->peer);
}

/* Kept by chance, too. */
bool collective_take_kept(struct sinew_team *team, void *buf, size_t len, int from,
                          const struct collective_key *key)
{
    struct collective_lent m;
    if (!collective_await_short(team, len, from, key, &m)) return false;
    if (len) memcpy(buf, m.body, len);
    collective_taken(&m);
    return true;
}

void collective_tell(struct sinew_team *team, int to, uint32_t sequence, const void *word,
                     size_t len)
{
    struct word *w = calloc(1, sizeof(*w));
    assert_in_range(to, 0, team->size - 1);
    assert_in_range(len, 0, COLLECTIVE_WORD_MAX);
    *w = (struct word){ .from = team->rank, .sequence = sequence, .len = len };
    if (len) memcpy(w->bytes, word, len);
    event_add(team->fake, (struct event){ .rank = to, .word = w });
}

static void word_hear(struct fake *f, struct event e)
{
    struct sinew_team *team = &f->team[e.rank];
    struct word *w = e.word;
    unsigned char answer[COLLECTIVE_WORD_MAX];
    int n = 0;
    if (team->cache)
        n = team->cache->told(team->cache, w->from, w->sequence, w->bytes, w->len, answer);
    assert_true(n >= 0);
    if (n > 0 || (!team->cache && w->len))
        collective_tell(team, w->from, w->sequence, answer, (size_t)n);
    free(w);
}

void collective_cancel(struct sinew_team *team, uint32_t sequence, int status)
{
    (void)status;
    struct fake *f = team->fake;
    f->dead[team->rank] = true;
    f->dead_sequence[team->rank] = sequence;
    struct list *next, cancelled;
    list_init(&cancelled);
    for (struct list *l = f->ends.next; l != &f->ends; l = next) {
        struct end *e = LIST_OWNER(l, struct end, entry);
        next = l->next;
        if (e->rank != team->rank || e->key.sequence != sequence || !e->c) continue;
        list_remove(&e->entry);
        list_append(&cancelled, &e->entry);
    }
    while ((next = list_take(&cancelled))) { /* ends now, inside this call */
        struct end *e = LIST_OWNER(next, struct end, entry);
        struct completion *c = e->c;
        end_free(e);
        team->outstanding--;
        c->ended(c, SINEW_ECANCELED);
    }
}

/* What waits for a rank that gave up fails. */
static bool fail_orphans(struct fake *f)
{
    bool any = false;
    struct list *next;
    for (struct list *l = f->ends.next; l != &f->ends; l = next) {
        struct end *e = LIST_OWNER(l, struct end, entry);
        next = l->next;
        if (!f->dead[e->peer] || f->dead_sequence[e->peer] != e->key.sequence) continue;
        completion_add(f, e->rank, e->c, SINEW_EPEER);
        end_free(e);
        any = true;
    }
    return any;
}

bool fake_progress(struct fake *f)
{
    if (f->event_count == 0 && !fail_orphans(f)) return false;
    if (f->event_count == 0) return true;
    struct event e = event_take(f);
    if (e.word) {
        word_hear(f, e);
    } else if (e.send) {
        int status = end_meet(e.send, e.receive);
        completion_add(f, e.send->rank, e.send->c, status);
        completion_add(f, e.receive->rank, e.receive->c, status);
        end_free(e.send);
        end_free(e.receive);
    } else {
        f->team[e.rank].outstanding--;
        e.c->ended(e.c, e.status);
    }
    pthread_cond_broadcast(&f->moved);
    return true;
}

void fake_fail_waiting(struct fake *f)
{
    while (!list_empty(&f->ends)) {
        struct end *e = LIST_OWNER(f->ends.next, struct end, entry);
        completion_add(f, e->rank, e->c, SINEW_EPEER);
        end_free(e);
        while (fake_progress(f)) {
        }
    }
}

/* ----------------------------------------------------------------------------------- operations */

static int request_begin(struct sinew_request *r)
{
    r->active = true;
    int status = r->ops->start(r->state, r);
    if (status <= 0) r->active = false;
    return status;
}

void operation_end(struct sinew_request *request, int status)
{
    assert_true(request->active);
    if (request->team->fake->options.one_at_a_time) assert_int_equal(request->team->outstanding, 0);
    request->active = false;
    request->status = status;
}

static void request_delete(struct sinew_request *r)
{
    r->ops->release(r->state);
    free(r);
}

static bool request_idle(struct sinew_request *r)
{
    return !r->active;
}

/* Waits until the request is no longer active: other ranks are other threads, or fake_progress()
 * does it all. */
static void request_wait(struct sinew_request *r)
{
    struct fake *f = r->team->fake;
    while (!request_idle(r))
        if (!fake_progress(f)) pthread_cond_wait(&f->moved, &f->lock);
}

int operation_run(struct sinew_team *team, const struct operation_ops *ops, void *state,
                  struct sinew_request **req)
{
    struct sinew_request *r = calloc(1, sizeof(*r));
    *r = (struct sinew_request){ .ops = ops, .state = state, .team = team };
    if (req && team->persistent) {
        r->persistent = true;
        *req = r;
        return 0;
    }
    int status = request_begin(r);
    if (status <= 0) {
        request_delete(r);
        if (status == 0 && req) *req = NULL;
        return status;
    }
    if (req) {
        *req = r;
        return status;
    }
    request_wait(r);
    status = r->status;
    request_delete(r);
    return status;
}

int sinew_start(struct sinew_request *req)
{
    int status = request_begin(req);
    if (status <= 0) req->status = status;
    return status;
}

int sinew_wait(struct sinew_request **req)
{
    if (!*req) return 0;
    request_wait(*req);
    int status = (*req)->status;
    if ((*req)->persistent) return status;
    request_delete(*req);
    *req = NULL;
    return status;
}

int sinew_test(struct sinew_request **req)
{
    if (!*req) return 0;
    return request_idle(*req) ? sinew_wait(req) : SINEW_PENDING;
}

int sinew_request_free(struct sinew_request **req)
{
    if (*req) request_delete(*req);
    *req = NULL;
    return 0;
}

/* No time passes here, and every word is answered. */
void operation_conclude(struct sinew_request *request, int64_t patience)
{
    assert_true(request != NULL && patience > 0);
}

void fake_stalled(struct sinew_request *request)
{
    if (fake_is_active(request)) request->ops->stalled(request->state);
}

void fake_deadline(struct sinew_request *request)
{
    request->ops->cancel(request->state, SINEW_ETIMEDOUT);
}

bool fake_is_active(const struct sinew_request *request)
{
    return request && request->active;
}

void fake_describe(struct sinew_request *request, struct text *text)
{
    request->ops->describe(request->state, text);
}

/* --------------------------------------------------------------------------------------------
 * teams */

int sinew_rank(const struct sinew_team *team)
{
    return team->rank;
}
int sinew_size(const struct sinew_team *team)
{
    return team->size;
}
uint32_t team_next_collective(struct sinew_team *team)
{
    return ++team->sequence;
}
int team_level(const struct sinew_team *team)
{
    return team->level;
}
struct sinew *team_context(const struct sinew_team *team)
{
    return fake_context(team->fake, team->rank);
}
struct sinew_team *sinew_world(struct sinew *s)
{
    return s ? s->world : NULL;
}
struct sinew *fake_context(struct fake *f, int rank)
{
    return &f->team[rank].context;
}
void fake_level(struct fake *f, int rank, int level)
{
    fake_view(f, rank, f->team[rank].persistent, f->team[rank].algorithm);
    f->team[rank].level = level;
}
bool team_is_crowded(const struct sinew_team *team)
{
    return team->fake->options.crowded;
}
uint32_t team_cores(const struct sinew_team *team)
{
    (void)team;
    return 2;
}

const char *team_link(const struct sinew_team *team)
{
    return team->fake->options.link ? team->fake->options.link : "shm";
}

uint32_t team_node(const struct sinew_team *team)
{
    return team->fake->options.node;
}

const char *team_rules(const struct sinew_team *team)
{
    return team->fake->options.rules ? team->fake->options.rules : "";
}

const char *team_algorithm(const struct sinew_team *team)
{
    return team->algorithm;
}
struct team_cache **team_cache(struct sinew_team *team)
{
    return &team->cache;
}
struct team_cache **team_view_cache(struct sinew_team *team)
{
    return &team->view_cache;
}
void team_describe_rank(const struct sinew_team *team, int rank, struct text *text)
{
    (void)team;
    text_add(text, "rank %d", rank);
}

uint32_t team_next_id(struct sinew_team *parent)
{
    return parent->next_id;
}
int team_enter(struct sinew_team *team, int blocking)
{
    (void)team;
    (void)blocking;
    return 0;
}

const struct log *team_log(const struct sinew_team *team)
{
    (void)team;
    return NULL;
}

const struct world *team_world(const struct sinew_team *team)
{
    return &team->fake->world;
}

void team_reserve_id(struct sinew_team *parent, uint32_t id)
{
    if (parent->next_id <= id) parent->next_id = id + 1;
}

/* New teams know their members and their id; nothing is sent in them. */
int team_make(struct sinew_team *parent, uint32_t id, const int *members, int n,
              struct sinew_team **out)
{
    *out = NULL;
    if (n == 0) return 0;
    struct sinew_team *t = calloc(1, sizeof(*t));
    *t = (struct sinew_team){ .fake = parent->fake, .size = n, .id = id, .rank = -1 };
    for (int i = 0; i < n; i++) {
        t->members[i] = members[i];
        if (members[i] == parent->rank) t->rank = i;
    }
    assert_in_range(t->rank, 0, n - 1);
    *out = t;
    return 0;
}

int sinew_team_translate(const struct sinew_team *other, int rank, const struct sinew_team *team)
{
    (void)team; /* always to the world */
    return other->members[rank];
}

int sinew_team_free(struct sinew_team **team)
{
    if (*team) team_end(*team);
    free(*team);
    *team = NULL;
    return 0;
}

int team_refuse(struct sinew_team *team, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(team->fake->why, sizeof(team->fake->why), format, args);
    va_end(args);
    return status;
}
