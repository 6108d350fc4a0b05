/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * random_messages.c - the soak: many random messages arrive intact, in order, however they are
 * received
 *
 *     test-random-messages --kind sim|threads|processes --transport NAME
 *                          [--messages N] [--ranks N] [--seed S] [--memory plain|shared]
 *
 * Lengths are 70 % up to 256 bytes, 29 % log-uniform to 16 KiB, 1 % 64 KiB to 1 MiB. Length, tag
 * and manner of message number q from s to d are a hash of (seed, s, d, q), which both sides
 * compute, and the content is job_fill(s, d, q). Without --ranks the messages are shared out over
 * jobs of 2, 3, 5 and 8 ranks.
 *
 * With --memory shared every SHARED_EACH-th sender's buffer comes from sinew_memory_alloc(), and is
 * freed now and then.
 *
 * Why it cannot deadlock, whatever is bounded in between:
 *
 *  - Nobody blocks in a send: each rank has a window of nonblocking ones, and goes on receiving.
 *  - A receive that has been posted can match. Messages come in classes (source, tag), whose
 * numbers still to come are known. A receive is posted only while, for each posted one, the
 * messages left in the classes it matches are at least as many as the posted receives that match
 * any of these: each of those takes one message at most, so one is left for it.
 *  - But its message may be far behind others that nobody has asked for and that fill the budget.
 * So who has received nothing for a while cancels what has not matched, and goes on with probes,
 * which take whatever has come. That a cancelled receive never eats a message is so tested as well.
 *
 * Order: receives that match the same class are matched in the order they were posted, so
 * completions are looked at in that order, and the messages of a class must then come in the order
 * they were sent.
 *
 * Half arrive unexpected: a rank alternates at random between receives posted ahead, and messages
 * received only once a probe has seen them. And at first everyone sends a burst to its neighbour
 * that nobody receives yet, more than the budget for unexpected bytes: a counter must say so.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/job.h"
#include "transport/sim/sim.h"

enum {
    TAGS = 4,
    SEND_WINDOW = 48,
    BURST = 400,
    RING = 12,
    IDLE_MOST = 300, /* rounds in vain until receives are taken back */
    VAIN_MOST = 2,   /* sends looked at in vain in a round */
    PHASE = 24,      /* messages received in one manner before the next is drawn */
    LENGTH_MAX = 1 << 20,
    SHARED_EACH = 6,
    SHARED_USES = 100, /* then it is freed, and allocated anew */
    WORD_BURST = 0,
    WORD_FULL = 1,
    WORD_PROBED = 2,
    WORD_DONE = 3,
    WORD_READ = 4,
};

static const char counter_full[] = "unexpected_full";

struct plan {
    uint64_t seed;
    uint64_t per_pair;
    bool shared, reads; /* reads: some messages are read where they are */
};

/* One message that is known to both sides. */
struct item {
    size_t len;
    int tag;
    bool sync;
};

struct sending {
    struct sinew_request *req;
    char *buf;
    struct sinew_memory *memory; /* NULL: buf is malloc's */
    int uses;
};

/* A receive posted ahead. */
struct posted {
    struct sinew_request *req;
    struct sinew_status status;
    int from;
    int64_t tag;
    char *buf;
    int outcome; /* SINEW_PENDING until final */
};

struct player {
    struct job_rank *me;
    const struct plan *plan;
    struct sinew_team *world;
    struct sending sending[BURST];
    int sending_most, sending_now;
    int sending_next; /* where to look next, round and round */
    uint64_t sent[JOB_RANKS_MAX];
    uint64_t to_send;
    uint64_t left[JOB_RANKS_MAX][TAGS]; /* messages of a class that have not been looked at    */
    uint64_t next[JOB_RANKS_MAX][TAGS]; /* the least number that the next of a class can have */
    uint64_t to_receive;
    struct posted ring[RING]; /* first is the oldest */
    int first, count;
    bool ahead, takes_back;
    int phase_left, idle;
    uint64_t probed, cancelled;
};

static uint64_t hash(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static size_t log_uniform(uint64_t random, double least, double most)
{
    double u = (double)(random >> 11) / (double)(1ull << 53);
    return (size_t)(least * exp(u * log(most / least)));
}

static struct item item_of(const struct plan *plan, int source, int to, uint64_t number)
{
    uint64_t h = hash(hash(plan->seed ^ (uint64_t)(source * 64 + to) << 48) + number);
    unsigned kind = (unsigned)(h % 100);
    struct item item = { 0, (int)(h >> 8) % TAGS, (h >> 16) % 16 == 0 };
    h = hash(h);
    if (kind < 70)
        item.len = h % 257;
    else if (kind < 99)
        item.len = log_uniform(h, 257, 16384);
    else
        item.len = log_uniform(h, 65536, LENGTH_MAX);
    if (item.tag < 0) item.tag += TAGS;
    return item;
}

/* ---- sending ----------------------------------------------------------------------------------
 */

static void buffer_open(struct player *p, struct sending *slot, size_t len)
{
    int index = (int)(slot - p->sending);
    if (!p->plan->shared || index % SHARED_EACH || index >= SEND_WINDOW) {
        slot->buf = malloc(len + 1);
    } else {
        if (slot->uses++ % SHARED_USES == 0) {
            CHECK_OK(p->me, sinew_memory_free(&slot->memory));
            CHECK_OK(p->me, sinew_memory_alloc(p->world, LENGTH_MAX + 1, 0, &slot->memory));
        }
        slot->buf = (char *)sinew_memory_address(slot->memory);
    }
    CHECK(p->me, slot->buf != NULL);
}

static void buffer_close(struct sending *slot)
{
    if (!slot->memory) free(slot->buf);
    slot->buf = NULL;
}

static void send_start(struct player *p, struct sending *slot, int to)
{
    struct job_rank *me = p->me;
    uint64_t number = p->sent[to]++;
    struct item item = item_of(p->plan, me->rank, to, number);
    buffer_open(p, slot, item.len);
    job_fill(slot->buf, item.len, me->rank, to, number);
    slot->req = NULL;
    int status = item.sync
                     ? sinew_send_sync(p->world, slot->buf, item.len, to, item.tag, &slot->req)
                     : sinew_send(p->world, slot->buf, item.len, to, item.tag, &slot->req);
    if (status < 0) CHECK_OK(me, status);
    p->to_send--;
    if (status > 0) {
        p->sending_now++;
        return;
    }
    memset(slot->buf, 0x5a, item.len); /* done: mine again */
    buffer_close(slot);
}

static int send_target(struct player *p)
{
    int n = p->me->size, to = (int)job_below(p->me, (uint64_t)n);
    for (int i = 0; i < n; i++, to = (to + 1) % n)
        if (to != p->me->rank && p->sent[to] < p->plan->per_pair) return to;
    return -1;
}

/* Each test in vain has moved everything that could move, so a few of them are enough for a
 * round. */
static void sends_move(struct player *p)
{
    int in_vain = 0;
    for (int i = 0; i < p->sending_most && in_vain < VAIN_MOST; i++) {
        int index = p->sending_next % p->sending_most;
        p->sending_next = index + 1;
        struct sending *slot = &p->sending[index];
        if (slot->req) {
            int status = sinew_test(&slot->req);
            if (status > 0) {
                in_vain++;
                continue;
            }
            CHECK_OK(p->me, status);
            p->sending_now--;
            buffer_close(slot);
        }
        if (index < SEND_WINDOW && p->to_send > 0 && job_below(p->me, 4) > 0)
            send_start(p, slot, send_target(p));
    }
    if (p->sending_most > SEND_WINDOW && p->sending_now == 0) p->sending_most = SEND_WINDOW;
}

static void send_burst(struct player *p)
{
    int to = (p->me->rank + 1) % p->me->size;
    for (int i = 0; i < BURST && p->sent[to] < p->plan->per_pair; i++)
        send_start(p, &p->sending[i], to);
    p->sending_most = BURST;
    atomic_fetch_add(&p->me->words[WORD_BURST], 1);
    while (atomic_load(&p->me->words[WORD_BURST]) < p->me->size) {
        int made = sinew_progress(p->me->s);
        CHECK(p->me, made >= 0);
        if (made == 0) job_yield(p->me);
    }
}

/* ---- receiving --------------------------------------------------------------------------------
 */

static bool matches(int from, int64_t tag, int source, int source_tag)
{
    return (from == SINEW_ANY_RANK || from == source) &&
           (tag == SINEW_ANY_TAG || tag == source_tag);
}

static bool overlap(const struct posted *a, const struct posted *b)
{
    return (a->from == b->from || a->from == SINEW_ANY_RANK || b->from == SINEW_ANY_RANK) &&
           (a->tag == b->tag || a->tag == SINEW_ANY_TAG || b->tag == SINEW_ANY_TAG);
}

static uint64_t left_for(const struct player *p, int from, int64_t tag)
{
    uint64_t left = 0;
    for (int s = 0; s < p->me->size; s++)
        for (int t = 0; t < TAGS; t++)
            if (matches(from, tag, s, t)) left += p->left[s][t];
    return left;
}

/* Whether every receive posted would still be sure of a message with the last one in the ring. */
static bool all_are_sure(const struct player *p)
{
    for (int i = 0; i < p->count; i++) {
        const struct posted *a = &p->ring[(p->first + i) % RING];
        uint64_t rivals = 0;
        for (int j = 0; j < p->count; j++) rivals += overlap(a, &p->ring[(p->first + j) % RING]);
        if (left_for(p, a->from, a->tag) < rivals) return false;
    }
    return true;
}

static void draw_form(struct player *p, int *from, int64_t *tag)
{
    uint64_t r = job_random(p->me);
    *from = r & 1 ? SINEW_ANY_RANK : (int)((r >> 8) % (uint64_t)p->me->size);
    *tag = r & 2 ? SINEW_ANY_TAG : (int64_t)((r >> 32) % TAGS);
}

/* One more receive ahead, if one can be. */
static bool post_one(struct player *p)
{
    if (p->count == RING) return false;
    struct posted *slot = &p->ring[(p->first + p->count) % RING];
    p->count++;
    for (int attempt = 0;; attempt++) {
        draw_form(p, &slot->from, &slot->tag);
        if (attempt == 8) {
            slot->from = SINEW_ANY_RANK;
            slot->tag = SINEW_ANY_TAG;
        }
        if (all_are_sure(p)) break;
        if (attempt == 8) {
            p->count--;
            return false;
        }
    }
    slot->outcome = sinew_recv(p->world, slot->buf, LENGTH_MAX, slot->from, slot->tag,
                               &slot->status, &slot->req);
    CHECK(p->me, slot->outcome >= 0);
    return true;
}

/* What has been received must be the next of its class. */
static void received(struct player *p, const struct sinew_status *status, const char *buf)
{
    struct job_rank *me = p->me;
    int s = status->rank, t = (int)status->tag;
    CHECK_EQ(me, status->code, 0);
    CHECK(me, s >= 0 && s < me->size && s != me->rank && t >= 0 && t < TAGS);
    CHECK(me, p->left[s][t] > 0);
    uint64_t number = p->next[s][t];
    struct item item;
    while ((item = item_of(p->plan, s, me->rank, number)).tag != t) number++;
    CHECK_EQ(me, status->sent, item.len);
    CHECK_EQ(me, status->bytes, item.len);
    CHECK_CONTENT(me, buf, item.len, s, me->rank, number);
    p->next[s][t] = number + 1;
    p->left[s][t]--;
    p->to_receive--;
    p->phase_left--;
    p->idle = 0;
}

/* What has not matched is given up; what has will complete. */
static void take_back(struct player *p)
{
    p->takes_back = true;
    for (int i = 0; i < p->count; i++) {
        struct posted *slot = &p->ring[(p->first + i) % RING];
        if (slot->outcome <= 0 || sinew_cancel(slot->req) < 0) continue;
        slot->outcome = sinew_wait(&slot->req);
        CHECK_IS(p->me, slot->outcome, SINEW_ECANCELED);
        CHECK_EQ(p->me, slot->status.code, SINEW_ECANCELED);
        p->cancelled++;
    }
}

static void receive_ahead(struct player *p)
{
    while (!p->takes_back && p->phase_left > p->count && post_one(p)) {
    }
    if (!p->takes_back && ++p->idle > IDLE_MOST) take_back(p);
    while (p->count > 0) {
        struct posted *oldest = &p->ring[p->first];
        if (oldest->outcome > 0) oldest->outcome = sinew_test(&oldest->req);
        if (oldest->outcome > 0) return;
        p->first = (p->first + 1) % RING;
        p->count--;
        if (oldest->outcome == SINEW_ECANCELED) continue;
        CHECK_OK(p->me, oldest->outcome);
        CHECK(p->me,
              matches(oldest->from, oldest->tag, oldest->status.rank, (int)oldest->status.tag));
        received(p, &oldest->status, oldest->buf);
    }
    if (!p->takes_back) return;
    p->takes_back = p->ahead = false;
}

/* Wait for a receive of a message that is here already; its sender may need this rank's sends to
 * move. */
static void finish(struct player *p, int status, struct sinew_request **req)
{
    CHECK(p->me, status >= 0);
    while (*req) {
        status = sinew_test(req);
        if (status > 0) sends_move(p);
    }
    CHECK_OK(p->me, status);
}

static void receive_probed(struct player *p)
{
    struct sinew_message *message = NULL;
    struct sinew_request *req = NULL;
    struct sinew_status seen, status;
    bool take = job_below(p->me, 2) == 0;
    char *buf = p->ring[0].buf;
    int from;
    int64_t tag;
    draw_form(p, &from, &tag);
    if (left_for(p, from, tag) == 0) return;
    int found = sinew_probe(p->world, from, tag, &seen, take ? &message : NULL, 0);
    CHECK(p->me, found >= 0);
    if (found > 0) return;
    CHECK(p->me, matches(from, tag, seen.rank, (int)seen.tag));
    int got = take ? sinew_message_recv(&message, buf, seen.bytes, &status, &req)
                   : sinew_recv(p->world, buf, seen.bytes, seen.rank, seen.tag, &status, &req);
    finish(p, got, &req);
    CHECK_EQ(p->me, status.rank, seen.rank);
    CHECK_EQ(p->me, status.tag, seen.tag);
    CHECK_EQ(p->me, status.bytes, seen.bytes);
    received(p, &status, buf);
    p->probed++;
}

static void receives_move(struct player *p)
{
    if (p->to_receive == 0) return;
    if (p->phase_left == 0) {
        p->takes_back = false;
        p->ahead = job_below(p->me, 2) == 0;
        p->phase_left = p->to_receive < PHASE ? (int)p->to_receive : PHASE;
    }
    if (p->ahead)
        receive_ahead(p);
    else
        receive_probed(p);
}

/* ---- the whole ----------------------------------------------------------------------------------
 */

static void player_open(struct player *p, struct job_rank *me)
{
    struct sinew_options o = SINEW_OPTIONS_INIT;
    memset(p, 0, sizeof(*p));
    p->me = me;
    p->plan = me->arg;
    p->world = sinew_world(job_open(me, &o));
    p->to_send = p->to_receive = p->plan->per_pair * (uint64_t)(me->size - 1);
    p->sending_most = SEND_WINDOW;
    for (int s = 0; s < me->size; s++)
        for (uint64_t q = 0; s != me->rank && q < p->plan->per_pair; q++)
            p->left[s][item_of(p->plan, s, me->rank, q).tag]++;
    for (int i = 0; i < RING; i++) {
        p->ring[i].buf = malloc(LENGTH_MAX);
        CHECK(me, p->ring[i].buf != NULL);
    }
}

static void player_close(struct player *p)
{
    struct job_rank *me = p->me;
    uint64_t full = 0, read = 0;
    CHECK_OK(me, sinew_counter(me->s, counter_full, &full));
    CHECK_OK(me, sinew_counter(me->s, "rendezvous_read", &read));
    atomic_fetch_add(&me->words[WORD_READ], (int64_t)read);
    atomic_fetch_add(&me->words[WORD_FULL], (int64_t)full);
    atomic_fetch_add(&me->words[WORD_PROBED], (int64_t)p->probed);
    CHECK(me, sinew_probe(p->world, SINEW_ANY_RANK, SINEW_ANY_TAG, NULL, NULL, 0) != 0);
    for (int i = 0; i < RING; i++) free(p->ring[i].buf);
    for (int i = 0; i < BURST; i++) CHECK_OK(me, sinew_memory_free(&p->sending[i].memory));
    job_close(me, me->s);
    atomic_fetch_add(&me->words[WORD_DONE], 1);
    if (me->rank > 0) return;
    job_await(me, WORD_DONE, me->size);
    double all = (double)p->plan->per_pair * me->size * (me->size - 1);
    printf("%d ranks, %.0f messages, %.0f %% probed before they were received, budget full %lld "
           "times, %lld read in place\n",
           me->size, all, 100.0 * (double)atomic_load(&me->words[WORD_PROBED]) / all,
           (long long)atomic_load(&me->words[WORD_FULL]),
           (long long)atomic_load(&me->words[WORD_READ]));
    fflush(stdout);
    CHECK(me, atomic_load(&me->words[WORD_FULL]) > 0);
    CHECK(me, (double)atomic_load(&me->words[WORD_PROBED]) > 0.3 * all);
    CHECK(me, !p->plan->reads || (double)atomic_load(&me->words[WORD_READ]) > 0.01 * all);
}

static void play(struct job_rank *me)
{
    struct player *p = malloc(sizeof(*p));
    CHECK(me, p != NULL);
    player_open(p, me);
    send_burst(p);
    while (p->to_send > 0 || p->sending_now > 0 || p->to_receive > 0) {
        int made = sinew_progress(me->s);
        CHECK(me, made >= 0);
        sends_move(p);
        receives_move(p);
        if (made == 0) job_yield(me);
    }
    player_close(p);
    free(p);
}

/* Simulated: some are read, some begin with their announcement, some do neither. */
static const struct sim_options *wire_of(int ranks)
{
    static const struct sim_options reads = { .reads = true, .eager_max = 2048 };
    static const struct sim_options begins = { .begin_max = 2048, .eager_max = 2048 };
    static const struct sim_options both = { .reads = true, .begin_max = 4096, .eager_max = 4096 };
    return ranks == 2 ? &begins : ranks == 3 ? &reads : ranks == 5 ? &both : NULL;
}

static bool play_job(struct job_options o, uint64_t messages, int ranks, bool shared)
{
    uint64_t pairs = (uint64_t)(ranks * (ranks - 1));
    struct plan plan = { o.seed + (uint64_t)ranks, (messages + pairs - 1) / pairs, shared, shared };
    o.ranks = ranks;
    o.arg = &plan;
    o.sim = wire_of(ranks);
    if (o.kind == JOB_SIM && o.sim) plan.reads = o.sim->reads;
    return job_run(&o, play);
}

int main(int argc, char **argv)
{
    static const int several[] = { 2, 3, 5, 8 };
    struct job_options o = { .kind = JOB_SIM, .transport = "sim", .timeout_s = 3600 };
    uint64_t messages = 100000;
    int ranks = 0;
    bool shared = false;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--kind") == 0)
            o.kind = (enum job_kind)job_kind_named(argv[i + 1]);
        else if (strcmp(argv[i], "--transport") == 0)
            o.transport = argv[i + 1];
        else if (strcmp(argv[i], "--messages") == 0)
            messages = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--ranks") == 0)
            ranks = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            o.seed = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--memory") == 0)
            shared = strcmp(argv[i + 1], "shared") == 0;
        else
            return 2;
    }
    if (!o.seed) o.seed = job_seed();
    if (ranks > 0) return play_job(o, messages, ranks, shared) ? 0 : 1;
    for (int i = 0; i < 4; i++)
        if (!play_job(o, messages / 4, several[i], shared)) return 1;
    return 0;
}
