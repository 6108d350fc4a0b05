/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim.c - ranks, the baton and virtual time
 *
 * A rank that waits becomes the scheduler: it takes events from the heap, lets those of the wire
 * happen, and at the first that wakes a rank hands that rank the baton (or keeps it, if it is
 * itself). So there is no scheduler thread, and a rank that is next anyway pays nothing. All
 * threads are pinned to one core, where handing over costs a tenth of what it costs across two.
 *
 * A rank ends by returning from its body, by a crash or with a failed run. The latter two happen
 * inside rank_wait(): longjmp to the bottom of its stack, so that no more library code runs.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/sim/internal.h"

enum { RANK_STACK_BYTES = 4 << 20 };

/* ---- random and time ------------------------------------------------------------------------- */

uint64_t sim_draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void sim_schedule(struct sim *s, struct event *e, int64_t time)
{
    e->time = time;
    e->sequence = s->sequence++;
    if (!heap_insert(&s->heap, e)) {
        sim_fail(s, SINEW_ENOMEM, "no memory for the events under way");
        return;
    }
    s->in_flight += e->wire;
}

void sim_unschedule(struct sim *s, struct event *e)
{
    if (!e->at) return;
    heap_remove(&s->heap, e);
    s->in_flight -= e->wire;
}

void *sim_allocate(struct sim *s, size_t size)
{
    void *memory = calloc(1, size);
    if (memory) return memory;
    sim_fail(s, SINEW_ENOMEM, "no memory for %zu bytes on the wire", size);
    return NULL;
}

/* ---- a failed run ---------------------------------------------------------------------------- */

static const char *activity_name(enum activity a)
{
    static const char *const names[] = { "has not started",
                                         "runs",
                                         "polls in vain",
                                         "yields in vain",
                                         "sleeps",
                                         "computes",
                                         "waits in the fence of the launcher",
                                         "has ended" };
    return names[a];
}

/* What lies at its links: unread, or refused by a full window. */
static void rank_describe_links(const struct sim_rank *r, struct text *t)
{
    for (struct list *i = r->ports.next; i != &r->ports; i = i->next) {
        struct port *p = LIST_OWNER(i, struct port, entry);
        for (struct list *j = p->ends.next; j != &p->ends; j = j->next) {
            struct end *e = LIST_OWNER(j, struct end, entry);
            int peer = end_peer(e)->rank;
            if (!list_empty(&e->inbox)) text_add(t, ", has not read from rank %d", peer);
            if (e->refused) text_add(t, ", was refused by the window to rank %d", peer);
            if (e->state == END_CONNECTING) text_add(t, ", connects to rank %d", peer);
        }
    }
}

static void sim_describe(struct sim *s, struct text *t)
{
    char duration[TEXT_DURATION_MAX];
    for (int i = 0; i < s->opt.ranks; i++) {
        struct sim_rank *r = &s->ranks[i];
        if (r->activity == ENDED) continue;
        text_add(t, "; rank %d %s, nothing achieved since %s", i, activity_name(r->activity),
                 text_duration(r->idle_since, duration));
        rank_describe_links(r, t);
    }
}

void sim_fail(struct sim *s, int status, const char *format, ...)
{
    char duration[TEXT_DURATION_MAX];
    va_list list;
    if (s->over) return;
    s->over = true;
    s->status = status;
    struct text t = text_into(s->result->text, sizeof(s->result->text));
    char cause[256];
    va_start(list, format);
    vsnprintf(cause, sizeof(cause), format, list);
    va_end(list);
    text_add(&t, "sim (seed %llu) at %s: %s", (unsigned long long)s->opt.seed,
             text_duration(s->now, duration), cause);
    sim_describe(s, &t);
}

static bool sim_computes(const struct sim *s)
{
    for (int i = 0; i < s->opt.ranks; i++)
        if (s->ranks[i].activity == COMPUTING) return true;
    return false;
}

static void sim_fail_by_silence(struct sim *s)
{
    s->result->deadlock = true;
    sim_fail(s, SINEW_ESTATE, "deadlock: everyone waits, nothing is in flight, no deadline is due");
}

static void sim_fail_by_time(struct sim *s)
{
    s->result->out_of_time = true;
    s->result->deadlock = s->in_flight == 0 && !sim_computes(s);
    sim_fail(s, SINEW_ESTATE, "the limit of virtual time is reached%s",
             s->result->deadlock ? " with nothing in flight" : "");
}

/* ---- the baton ------------------------------------------------------------------------------- */

static struct sim_rank *sim_any_live(struct sim *s)
{
    for (int i = 0; i < s->opt.ranks; i++)
        if (s->ranks[i].activity != ENDED) return &s->ranks[i];
    return NULL;
}

static void sim_trace(struct sim *s, uint64_t what)
{
    s->hash = (s->hash ^ what) * 0x100000001b3u;
}

/* Let things happen until a rank is to run. NULL: none is left. */
static struct sim_rank *sim_next(struct sim *s)
{
    while (s->live > 0 && !s->over) {
        struct event *e = heap_first(&s->heap);
        if (!e) {
            sim_fail_by_silence(s);
            break;
        }
        if (e->time > s->opt.time_limit_ns) {
            sim_fail_by_time(s);
            break;
        }
        sim_unschedule(s, e);
        if (e->time > s->now) s->now = e->time;
        s->result->events++;
        sim_trace(s, (uint64_t)s->now);
        if (e->fire) {
            s->quiet_since = s->now;
            e->fire(s, e);
            continue;
        }
        struct sim_rank *r = LIST_OWNER(e, struct sim_rank, wake);
        if (r->activity != POLLING && r->activity != YIELDING) s->quiet_since = s->now;
        sim_trace(s, (uint64_t)r->rank);
        return r;
    }
    return sim_any_live(s);
}

static void sem_wait_fully(sem_t *sem)
{
    while (sem_wait(sem)) continue;
}

static void rank_leave_if_doomed(struct sim_rank *me)
{
    if (me->doomed || me->sim->over) longjmp(me->leave, 1);
}

void rank_wait(struct sim_rank *me, enum activity activity, int64_t until)
{
    struct sim *s = me->sim;
    rank_leave_if_doomed(me);
    me->activity = activity;
    if (until != INT64_MAX) {
        me->wake.tie = 1 + (uint32_t)(sim_draw(&s->random) >> 33);
        sim_schedule(s, &me->wake, until);
    }
    struct sim_rank *next = sim_next(s);
    if (next != me) {
        sem_post(&next->baton);
        sem_wait_fully(&me->baton);
    }
    rank_leave_if_doomed(me);
    me->activity = RUNNING;
    if (s->now > me->now) me->now = s->now;
}

void rank_catch_up(struct sim_rank *me)
{
    struct sim *s = me->sim;
    if (me->now > s->now || s->over || me->doomed) rank_wait(me, RUNNING, me->now);
}

void rank_rouse(struct sim_rank *r)
{
    struct sim *s = r->sim;
    if (r->activity != SLEEPING && r->activity != FENCING) return;
    if (r->wake.at && r->wake.time <= s->now) return;
    sim_unschedule(s, &r->wake);
    r->wake.tie = 1 + (uint32_t)(sim_draw(&s->random) >> 33);
    sim_schedule(s, &r->wake, s->now);
}

/* When something other than a vain poll will happen next. */
static int64_t sim_horizon(const struct sim *s)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < s->heap.count; i++) {
        const struct event *e = s->heap.at[i];
        if (!e->fire) {
            enum activity a = LIST_OWNER(e, struct sim_rank, wake)->activity;
            if (a == POLLING || a == YIELDING) continue;
        }
        if (e->time < least) least = e->time;
    }
    return least;
}

/*
 * A vain poll takes SIM_POLL_NS. Only when nothing has been in flight for SIM_QUIET_NS does it take
 * a sixteenth of the silence, but not beyond the next thing that will happen: a rank that polls
 * through a minute of another's computing, or for a message that never comes, costs hundreds of
 * polls, not 10^9.
 */
void rank_poll(struct sim_rank *me, enum activity activity)
{
    struct sim *s = me->sim;
    int64_t cost = SIM_POLL_NS, quiet = me->now - s->quiet_since;
    if (s->in_flight == 0 && quiet > SIM_QUIET_NS) {
        int64_t left = sim_horizon(s) - me->now;
        cost = quiet / 16 < left ? quiet / 16 : left;
        if (cost < SIM_POLL_NS) cost = SIM_POLL_NS;
    }
    rank_wait(me, activity, me->now + cost);
}

/* ---- the world of a rank --------------------------------------------------------------------- */

static int64_t world_sim_now(void *arg)
{
    return ((struct sim_rank *)arg)->now;
}

static int world_sim_random(void *arg, void *bytes, size_t len)
{
    struct sim_rank *me = arg;
    uint8_t *to = bytes;
    while (len > 0) {
        uint64_t word = sim_draw(&me->random);
        size_t n = len < sizeof(word) ? len : sizeof(word);
        memcpy(to, &word, n);
        to += n;
        len -= n;
    }
    return 0;
}

static void *world_sim_allocate(void *arg, size_t align, size_t size)
{
    return arena_allocate(&((struct sim_rank *)arg)->arena, align, size);
}

static void world_sim_release(void *arg, void *memory, size_t size)
{
    struct sim_rank *me = arg;
    const char *wrong = arena_release(&me->arena, memory, size);
    if (wrong)
        sim_fail(me->sim, SINEW_ESTATE, "rank %d released %s (%zu bytes)", me->rank, wrong, size);
}

static void world_sim_yield(void *arg)
{
    rank_poll(arg, YIELDING);
}

/* Whether an event has come that this rank has not looked at: then a real epoll would not sleep
 * either. */
static bool rank_has_work(const struct sim_rank *r)
{
    for (struct list *i = r->ports.next; i != &r->ports; i = i->next) {
        const struct port *p = LIST_OWNER(i, struct port, entry);
        if (!list_empty(&p->ready) || !list_empty(&p->requests)) return true;
    }
    return r->launched && r->deaths_known > 0;
}

static void world_sim_sleep(void *arg, int epoll_fd, int64_t until)
{
    struct sim_rank *me = arg;
    (void)epoll_fd;
    rank_catch_up(me);
    if (until <= me->now || rank_has_work(me))
        rank_poll(me, YIELDING);
    else
        rank_wait(me, SLEEPING, until);
}

struct sim_rank *rank_of_world(const struct world *w)
{
    return w && w->now == world_sim_now ? w->arg : NULL;
}

static struct world rank_world(struct sim_rank *r)
{
    return (struct world){
        .arg = r,
        .now = world_sim_now,
        .random = world_sim_random,
        .allocate = world_sim_allocate,
        .release = world_sim_release,
        .yield = world_sim_yield,
        .sleep = world_sim_sleep,
    };
}

/* ---- what a body may call -------------------------------------------------------------------- */

int sim_rank(const struct sim_rank *me)
{
    return me->rank;
}
int sim_size(const struct sim_rank *me)
{
    return me->sim->opt.ranks;
}
int64_t sim_now(struct sim_rank *me)
{
    return me->now;
}
uint64_t sim_random(struct sim_rank *me)
{
    return sim_draw(&me->random);
}
const struct world *sim_world(struct sim_rank *me)
{
    return &me->world;
}
size_t sim_live_bytes(const struct sim_rank *me)
{
    return me->arena.live_bytes;
}
size_t sim_peak_bytes(const struct sim_rank *me)
{
    return me->arena.peak_bytes;
}
void sim_fail_allocation(struct sim_rank *me, uint64_t nth)
{
    me->arena.until_failure = nth;
}

void sim_compute(struct sim_rank *me, int64_t ns)
{
    rank_catch_up(me);
    if (ns > 0) rank_wait(me, COMPUTING, me->now + ns);
    me->idle_since = me->now;
}

void sim_crash(struct sim_rank *me, int rank)
{
    struct sim *s = me->sim;
    if (rank < 0 || rank >= s->opt.ranks) return;
    struct sim_rank *r = &s->ranks[rank];
    rank_catch_up(me);
    if (r->activity == ENDED || r->doomed) return;
    r->doomed = true;
    rank_vanish(r, s->now, true);
    if (r == me) longjmp(me->leave, 1);
    sim_unschedule(s, &r->wake);
    sim_schedule(s, &r->wake, s->now);
}

/* ---- the threads ----------------------------------------------------------------------------- */

/* The end of a rank, whatever ended it. Whoever left a transport or its launcher open was not in
 * order. */
static void rank_end(struct sim_rank *me)
{
    struct sim *s = me->sim;
    bool returned = !me->doomed && !s->over;
    if (returned) {
        bool in_order = list_empty(&me->ports) && !me->launched;
        s->result->leaked_bytes += me->arena.live_bytes;
        if (!in_order) rank_vanish(me, me->now, true);
    } else if (!me->doomed) {
        rank_vanish(me, me->now, false);
    }
    sim_unschedule(s, &me->wake);
    arena_free(&me->arena);
    me->activity = ENDED;
    s->live--;
}

static void *rank_main(void *arg)
{
    struct sim_rank *me = arg;
    struct sim *s = me->sim;
    sem_wait_fully(&me->baton);
    if (!setjmp(me->leave) && !s->over && !me->doomed) {
        me->activity = RUNNING;
        if (s->now > me->now) me->now = s->now;
        s->body(me, s->arg);
        rank_catch_up(me); /* what it did last takes its time too */
    }
    rank_end(me);
    struct sim_rank *next = sim_next(s);
    sem_post(next ? &next->baton : &s->done);
    return NULL;
}

static void rank_init(struct sim *s, int rank)
{
    struct sim_rank *r = &s->ranks[rank];
    uint64_t state = s->opt.seed ^ ((uint64_t)rank + 1) * 0xd1342543de82ef95u;
    r->sim = s;
    r->rank = rank;
    r->random = sim_draw(&state);
    r->world = rank_world(r);
    r->death = (uint8_t *)(s->ranks + s->opt.ranks) + (size_t)rank * (size_t)s->opt.ranks;
    r->wake.tie = 1 + (uint32_t)(sim_draw(&s->random) >> 33);
    arena_init(&r->arena);
    list_init(&r->ports);
    sem_init(&r->baton, 0, 0);
}

static void attributes_init(pthread_attr_t *attributes)
{
    cpu_set_t one;
    int core = sched_getcpu();
    pthread_attr_init(attributes);
    pthread_attr_setstacksize(attributes, RANK_STACK_BYTES);
    CPU_ZERO(&one);
    if (core < 0 || core >= CPU_SETSIZE) return;
    CPU_SET((size_t)core, &one);
    pthread_attr_setaffinity_np(attributes, sizeof(one), &one);
}

/* Threads that could not be started end the run; those that were leave again at once. */
static void sim_go(struct sim *s)
{
    pthread_attr_t attributes;
    int started = 0;
    attributes_init(&attributes);
    while (started < s->opt.ranks) {
        struct sim_rank *r = &s->ranks[started];
        if (pthread_create(&r->thread, &attributes, rank_main, r)) break;
        sim_schedule(s, &r->wake, 0);
        started++;
    }
    pthread_attr_destroy(&attributes);
    if (started < s->opt.ranks) sim_fail(s, SINEW_ENOMEM, "no thread for rank %d", started);
    for (int i = started; i < s->opt.ranks; i++) s->ranks[i].activity = ENDED;
    s->live = started;
    struct sim_rank *first = sim_next(s);
    if (first) {
        sem_post(&first->baton);
        sem_wait_fully(&s->done);
    }
    for (int i = 0; i < started; i++) pthread_join(s->ranks[i].thread, NULL);
}

static struct sim_options options_with_defaults(const struct sim_options *given)
{
    struct sim_options o = *given;
    if (o.latency_ns == 0) o.latency_ns = 1000;
    if (o.jitter_ns == 0) o.jitter_ns = o.latency_ns;
    if (o.jitter_ns < 0) o.jitter_ns = 0;
    if (o.gap_ns_per_byte <= 0) o.gap_ns_per_byte = 0.1;
    if (o.overhead_ns == 0) o.overhead_ns = 100;
    if (o.window_bytes == 0) o.window_bytes = 32 << 10;
    if (o.eager_max == 0) o.eager_max = 16 << 10;
    if (o.copy_max == 0 || o.copy_max > o.eager_max) o.copy_max = o.eager_max;
    if (o.detect_ns == 0) o.detect_ns = 1000000;
    if (o.time_limit_ns == 0) o.time_limit_ns = 86400 * (int64_t)1000000000;
    return o;
}

static int sim_init(struct sim *s)
{
    size_t n = (size_t)s->opt.ranks;
    s->random = s->opt.seed;
    s->hash = 0xcbf29ce484222325u;
    list_init(&s->channels);
    list_init(&s->leases);
    s->ranks = calloc(1, n * sizeof(*s->ranks) + n * n);
    s->cut = calloc(n, n);
    if (!s->ranks || !s->cut) {
        free(s->ranks);
        free(s->cut);
        return SINEW_ENOMEM;
    }
    sem_init(&s->done, 0, 0);
    for (int i = 0; i < s->opt.ranks; i++) rank_init(s, i);
    return 0;
}

static void sim_close(struct sim *s)
{
    wire_free(s);
    for (int i = 0; i < s->opt.ranks; i++) sem_destroy(&s->ranks[i].baton);
    sem_destroy(&s->done);
    free(s->heap.at);
    free(s->cut);
    free(s->ranks);
}

int sim_run(const struct sim_options *options, void (*body)(struct sim_rank *me, void *arg),
            void *arg, struct sim_result *result)
{
    struct sim_result unwanted;
    if (options->ranks < 1) return SINEW_EINVAL;
    if (!result) result = &unwanted;
    memset(result, 0, sizeof(*result));
    struct sim s = {
        .opt = options_with_defaults(options), .body = body, .arg = arg, .result = result
    };
    int status = sim_init(&s);
    if (status < 0) return status;
    sim_go(&s);
    result->now_ns = s.now;
    result->trace_hash = s.hash;
    sim_close(&s);
    return s.status;
}
