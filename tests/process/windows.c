/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * windows.c - receives that are posted ahead, and the short way: order, what a dying peer leaves,
 * what a lying one does, and what is what_is_cut_is_counted_as_received
 */
#include <dirent.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "messaging/context.h"
#include "messaging/wired.h"
#include "tests/process/cases.h"
#include "tests/support/bounded.h"

enum { LONG = 200000, VECTOR = 1024, ROUNDS = 64 };

/* Whether the peers' kernels have all that this process has written to connections. */
static bool all_is_taken(void)
{
    DIR *dir = opendir("/proc/self/fd");
    bool taken = true;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int fd = atoi(e->d_name), protocol = 0, left = 0;
        socklen_t len = sizeof(protocol);
        if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0) continue;
        if (protocol == IPPROTO_TCP && ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0) taken = false;
    }
    if (dir) closedir(dir);
    return taken;
}

/* A kernel that is short of time delivers later, even within a host. */
static void await_delivery(struct job_rank *me)
{
    while (!all_is_taken()) job_yield(me);
}

/* Two receives that match the same messages, posted in this order: the first gets the first. */
static void in_order(struct job_rank *me, size_t len, int how)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    meet_all(me, world);
    struct sinew_view_options o = SINEW_VIEW_OPTIONS_INIT;
    struct sinew_team *view = NULL;
    o.deadline = 20 * SECOND;
    CHECK_OK(me, sinew_team_view(world, &o, &view));
    struct sinew_request *req[2] = { 0 };
    char *a = malloc(LONG), *b = malloc(LONG);
    if (me->rank == 0) {
        job_await(me, 1, 1);
        if (how == 1) CHECK_OK(me, sinew_send(world, "x", 1, 1, 9, NULL)); /* another one first */
        job_fill(a, len, 0, 1, 1);
        job_fill(b, len, 0, 1, 2);
        CHECK(me, sinew_send(world, a, len, 1, 5, &req[0]) >= 0);
        CHECK(me, sinew_send(world, b, len, 1, 5, &req[1]) >= 0);
        CHECK_OK(me, sinew_wait_all(req, 2, NULL, SINEW_FOREVER));
    } else {
        CHECK_IS(me, sinew_recv(world, a, LONG, 0, 5, NULL, &req[0]), SINEW_PENDING);
        if (how != 2) {
            CHECK_IS(me, sinew_recv(view, b, LONG, 0, 5, NULL, &req[1]), SINEW_PENDING);
            atomic_store(&me->words[1], 1);
        } else {
            atomic_store(&me->words[1], 1);
            CHECK_OK(me, sinew_recv(world, b, LONG, 0, 5, NULL, NULL)); /* blocking */
        }
        if (how == 1) CHECK_OK(me, sinew_recv(world, &o, 1, 0, 9, NULL, NULL));
        CHECK_OK(me, sinew_wait_all(req, 2, NULL, SINEW_FOREVER));
        CHECK_CONTENT(me, a, len, 0, 1, 1);
        CHECK_CONTENT(me, b, len, 0, 1, 2);
    }
    CHECK_OK(me, sinew_team_free(&view));
    free(a);
    free(b);
    job_barrier(me);
    job_close(me, me->s);
}
static void long_messages_in_order(struct job_rank *me)
{
    in_order(me, LONG, 0);
}
static void filed_windows_come_first(struct job_rank *me)
{
    in_order(me, 8, 1);
}
static void a_window_before_a_blocking_receive(struct job_rank *me)
{
    in_order(me, LONG, 2);
}

/* Cancelling one files the window behind a newer one. */
static void cancelling_files_in_order(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    meet_all(me, world);
    struct sinew_view_options o = SINEW_VIEW_OPTIONS_INIT;
    struct sinew_team *view = NULL;
    o.deadline = 20 * SECOND;
    CHECK_OK(me, sinew_team_view(world, &o, &view));
    struct sinew_request *req[3] = { 0 };
    char a = 0, b = 0, c = 0;
    if (me->rank == 0) {
        job_await(me, 1, 1);
        CHECK_OK(me, sinew_send(world, "1", 1, 1, 5, NULL));
        CHECK_OK(me, sinew_send(world, "2", 1, 1, 5, NULL));
    } else {
        CHECK_IS(me, sinew_recv(world, &a, 1, 0, 5, NULL, &req[0]), SINEW_PENDING);
        CHECK_IS(me, sinew_recv(world, &c, 1, 0, 77, NULL, &req[2]), SINEW_PENDING);
        CHECK_IS(me, sinew_recv(view, &b, 1, 0, 5, NULL, &req[1]), SINEW_PENDING);
        CHECK_OK(me, sinew_cancel(req[2]));
        CHECK_IS(me, sinew_wait(&req[2]), SINEW_ECANCELED);
        atomic_store(&me->words[1], 1);
        CHECK_OK(me, sinew_wait_all(req, 2, NULL, SINEW_FOREVER));
        CHECK_EQ(me, a, '1');
        CHECK_EQ(me, b, '2');
    }
    CHECK_OK(me, sinew_team_free(&view));
    job_barrier(me);
    job_close(me, me->s);
}

/* What a dead peer sent before comes first, to a window too. Sent it is when the other kernel has
 * it: one's own drops what waits there when a process dies that has not read all it was sent. */
static void drained(struct job_rank *me, bool window, size_t len)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    enum { N = 10 };
    struct sinew_request *req[N] = { 0 };
    char in[N][4096];
    meet_all(me, world);
    if (me->rank == 0) {
        job_await(me, 2, 1);
        for (uint64_t i = 0; i < N; i++) give(me, world, len, 1, i);
        await_delivery(me);
        atomic_store(&me->words[1], 1);
        job_kill(me, 0);
    }
    if (window)
        for (int i = 0; i < N; i++)
            CHECK_IS(me, sinew_recv(world, in[i], 4096, 0, 0, NULL, &req[i]), SINEW_PENDING);
    if (me->round == 0) sinew_arm(me->s, NULL); /* the caller sleeps on its own */
    atomic_store(&me->words[2], 1);
    job_await(me, 1, 1);
    for (int i = 0; i < 100; i++) job_pause(me, 1 * MS); /* computes, while the other dies */
    int result[N];
    if (window) {
        sinew_wait_all(req, N, result, SINEW_FOREVER);
        for (int i = 0; i < N; i++)
            if (result[i] != 0)
                job_fail(me, __FILE__, __LINE__, "message %d of %d: %s: %s", i, N,
                         sinew_strstatus(result[i]), sinew_why(me->s));
    } else {
        for (int i = 0; i < N; i++) CHECK_OK(me, sinew_recv(world, in[i], 4096, 0, 0, NULL, NULL));
    }
    for (uint64_t i = 0; i < N; i++) CHECK_CONTENT(me, in[i], len, 0, 1, i);
    job_close(me, me->s);
}
static void a_death_cuts_no_window_off(struct job_rank *me)
{
    drained(me, true, 8);
}
static void a_death_cuts_no_long_window_off(struct job_rank *me)
{
    drained(me, true, 1000);
}
static void a_death_cuts_no_receive_off(struct job_rank *me)
{
    drained(me, false, 8);
}

/* A close that is refused names the receive that is done too. */
static void a_close_names_what_is_done(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    struct sinew_request *req = NULL;
    char c;
    meet_all(me, world);
    if (me->rank == 0) {
        CHECK_OK(me, sinew_recv(world, &c, 1, 1, 1, NULL, NULL));
        CHECK_OK(me, sinew_send(world, "x", 1, 1, 1234, NULL));
    }
    if (me->rank == 1) {
        CHECK_IS(me, sinew_recv(world, &c, 1, 0, 1234, NULL, &req), SINEW_PENDING);
        uint64_t before = 0, now = 0;
        CHECK_OK(me, sinew_counter(me->s, "messages_received", &before));
        CHECK_OK(me, sinew_send(world, "p", 1, 0, 1, NULL)); /* posted */
        while (now <= before) {
            sinew_progress(me->s);
            sinew_counter(me->s, "messages_received", &now);
        }
        CHECK_IS(me, sinew_close(me->s), SINEW_EBUSY);
        check_why(me, "1234");
        CHECK_OK(me, sinew_wait(&req));
    }
    job_barrier(me);
    job_close(me, me->s);
}

/* ---- random: the order of matching from one rank is determined, whatever the timing ---------- */
enum { M = 400, TAGS = 3, OPEN = 24, NOBODY = 99 };
static const size_t lengths[] = { 0, 1, 8, 40, 41, 100, 1000, 3000, 9000, 20000 };
static uint64_t mix(uint64_t *x)
{
    *x += 0x9e3779b97f4a7c15ull;
    uint64_t z = *x;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}
struct msg {
    int tag;
    size_t len;
    bool sync;
};
static void make(int source, int round, struct msg *m)
{
    uint64_t x = job_seed() * 1000003u + (uint64_t)source * 77 + (uint64_t)round * 1299709u;
    bool small = mix(&x) % 2;
    for (int i = 0; i < M; i++) {
        m[i].tag = (int)(mix(&x) % TAGS);
        m[i].len = lengths[mix(&x) % (small ? 6 : 10)];
        m[i].sync = mix(&x) % 12 == 0;
    }
}
struct open {
    struct sinew_request *req;
    struct sinew_status st;
    char *buf;
    int source, want;
    bool dummy;
};
static void finish(struct job_rank *me, struct open *o, struct msg (*m)[M], int status)
{
    if (o->dummy) {
        CHECK_EQ(me, status, SINEW_ECANCELED);
    } else {
        CHECK_EQ(me, status, 0);
        CHECK_EQ(me, o->st.sent, m[o->source][o->want].len);
        CHECK_EQ(me, o->st.tag, m[o->source][o->want].tag);
        CHECK_EQ(me, o->st.rank, o->source);
        CHECK_EQ(me, o->st.code, 0);
        CHECK_CONTENT(me, o->buf, m[o->source][o->want].len, o->source, me->rank,
                      (uint64_t)o->want);
    }
    free(o->buf);
    memset(o, 0, sizeof(*o));
}

static void send_all(struct job_rank *me, struct sinew_team *world, const struct msg *mine,
                     uint64_t *x)
{
    struct sinew_request *req[M];
    char *bufs[M];
    for (int i = 0; i < M; i++) {
        bufs[i] = malloc(mine[i].len + 1);
        job_fill(bufs[i], mine[i].len, me->rank, 2, (uint64_t)i);
        req[i] = NULL;
        CHECK(me, (mine[i].sync ? sinew_send_sync : sinew_send)(world, bufs[i], mine[i].len, 2,
                                                                mine[i].tag, &req[i]) >= 0);
        if (mix(x) % 4 == 0) sinew_progress(me->s);
        if (mix(x) % 9 == 0) job_yield(me);
    }
    CHECK_OK(me, sinew_wait_all(req, M, NULL, SINEW_FOREVER));
    for (int i = 0; i < M; i++) free(bufs[i]);
}

struct receiver {
    struct sinew_team *world, *view, *dup;
    struct msg (*m)[M];
    bool taken[2][M];
    int left[2];
};

/* A receive of a random kind, and which message must be its. */
static void receive_one(struct job_rank *me, struct receiver *r, struct open *at, uint64_t *x)
{
    int src = r->left[0] && (!r->left[1] || mix(x) % 2) ? 0 : 1;
    int tag = mix(x) % 10 == 0 ? -1 : (int)(mix(x) % TAGS), want = -1;
    for (int i = 0; i < M && want < 0; i++)
        if (!r->taken[src][i] && (tag < 0 || r->m[src][i].tag == tag)) want = i;
    if (want < 0) return;
    r->taken[src][want] = true;
    r->left[src]--;
    *at = (struct open){ .buf = malloc(20001), .source = src, .want = want };
    struct sinew_team *t = mix(x) % 6 == 0 ? r->view : r->world;
    bool blocking = mix(x) % 8 == 0;
    int rc = sinew_recv(t, at->buf, 20000, src, tag, &at->st, blocking ? NULL : &at->req);
    CHECK(me, rc >= 0);
    if (rc == 0) finish(me, at, r->m, rc);
}

static void post_for_nobody(struct job_rank *me, struct receiver *r, struct open *at, uint64_t *x)
{
    struct sinew_team *t = mix(x) % 2 ? r->dup : r->world;
    *at = (struct open){ .buf = malloc(1), .dummy = true };
    CHECK(me, sinew_recv(t, at->buf, 1, (int)(mix(x) % 2), NOBODY, &at->st, &at->req) > 0);
}

static void end_one(struct job_rank *me, struct receiver *r, struct open *at, bool waits)
{
    if (!at->req) return;
    if (at->dummy) CHECK_OK(me, sinew_cancel(at->req));
    int rc = waits || at->dummy ? sinew_wait(&at->req) : sinew_test(&at->req);
    if (rc <= 0) finish(me, at, r->m, rc);
}

static void receive_all(struct job_rank *me, struct receiver *r, uint64_t *x)
{
    struct open o[OPEN];
    struct sinew_status st;
    memset(o, 0, sizeof(o));
    while (r->left[0] + r->left[1] > 0) {
        unsigned what = (unsigned)(mix(x) % 16);
        struct open *at = &o[mix(x) % OPEN];
        if (what < 11 && !at->req)
            receive_one(me, r, at, x);
        else if (what == 11 && !at->req)
            post_for_nobody(me, r, at, x);
        else if (what == 12)
            sinew_progress(me->s);
        else if (what == 13)
            CHECK(me, sinew_probe(r->world, (int)(mix(x) % 2), SINEW_ANY_TAG, &st, NULL, 0) >= 0);
        else
            end_one(me, r, at, what != 14);
    }
    for (int i = 0; i < OPEN; i++) end_one(me, r, &o[i], true);
}

static void receives_of_any_kind_match_in_order(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    struct msg m[2][M];
    struct receiver r = { .world = world, .m = m, .left = { M, M } };
    struct sinew_view_options options = SINEW_VIEW_OPTIONS_INIT;
    int all[3] = { 0, 1, 2 };
    uint64_t x = job_seed() * 31 + (uint64_t)me->round * 7919 + (uint64_t)me->rank;
    make(0, me->round, m[0]);
    make(1, me->round, m[1]);
    meet_all(me, world);
    options.deadline = 40 * SECOND;
    CHECK_OK(me, sinew_team_subset(world, all, 3, &r.dup));
    CHECK_OK(me, sinew_team_view(world, &options, &r.view));
    if (me->rank < 2)
        send_all(me, world, m[me->rank], &x);
    else
        receive_all(me, &r, &x);
    /* Answers that had no room yet go out only while their rank is inside Sinew. */
    CHECK_OK(me, sinew_barrier(world, NULL));
    CHECK_OK(me, sinew_team_free(&r.view));
    CHECK_OK(me, sinew_team_free(&r.dup));
    job_barrier(me);
    job_close(me, me->s);
}

/* A pair that is to have a wired link has gone over to it, and rank 0 knows that it has: until then
 * its sends do not go the short way. */
static bool has_settled(const struct sinew_team *world)
{
    const struct peer *p = world->core->context->peer[1];
    return !p->wired || p->wired->none || (p->wired->moved && !p->ahead);
}

static void settle(struct job_rank *me, struct sinew_team *world)
{
    int32_t settled = 0;
    WHILE(!settled) {
        settled = me->rank == 0 && has_settled(world);
        CHECK_OK(me, sinew_bcast(world, &settled, sizeof(settled), 0, NULL));
    }
}

/* A peer that lies in the head of a message that may go the short way: how = 0 sequence, 1 credit,
 * 2 length; ways of receiving. */
static void liar(struct job_rank *me, int how, bool blocking)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    static const char bad[TRANSPORT_SHORT + 16] = "bad";
    meet_all(me, world);
    settle(me, world);
    if (me->rank == 0) {
        job_await(me, 3, 1);
        for (int i = 0; i < 3; i++) CHECK_OK(me, sinew_send(world, "ok", 2, 1, 5, NULL));
        struct peer *p = world->core->context->peer[1];
        CHECK(me, p->quick_below > 0);
        if (how == 0) p->messages_out += 7;
        if (how == 1) p->owed.blocks[0] = 60000;
        if (how == 2) p->owed.blocks[0] |= 1u << 20; /* runs into the length */
        CHECK_OK(me, sinew_send(world, bad, sizeof(bad), 1, 5, NULL));
        atomic_store(&me->words[1], 1);
        job_await(me, 2, 1);
        job_exit(me);
    }
    char in[5][sizeof(bad)] = { "" };
    struct sinew_request *req[5] = { 0 };
    int result[5];
    if (!blocking) {
        for (int i = 0; i < 5; i++)
            CHECK_IS(me, sinew_recv(world, in[i], sizeof(bad), 0, 5, NULL, &req[i]),
                     SINEW_PENDING);
        atomic_store(&me->words[3], 1);
        job_await(me, 1, 1);
        sinew_wait_all(req, 5, result, SINEW_FOREVER);
        for (int i = 0; i < 5; i++) CHECK_EQ(me, result[i], i < 3 ? 0 : SINEW_EPEER);
    } else {
        atomic_store(&me->words[3], 1);
        job_await(me, 1, 1);
        for (int i = 0; i < 5; i++)
            CHECK_IS(me, sinew_recv(world, in[i], sizeof(bad), 0, 5, NULL, NULL),
                     i < 3 ? 0 : SINEW_EPEER);
    }
    check_why(me, "protocol");
    atomic_store(&me->words[2], 1);
    job_close(me, me->s);
}
static void a_number_lies_to_a_window(struct job_rank *me)
{
    liar(me, 0, false);
}

static void a_number_lies_to_a_receive(struct job_rank *me)
{
    liar(me, 0, true);
}

static void a_credit_lies_to_a_window(struct job_rank *me)
{
    liar(me, 1, false);
}

static void a_credit_lies_to_a_receive(struct job_rank *me)
{
    liar(me, 1, true);
}

static void a_length_lies_to_a_window(struct job_rank *me)
{
    liar(me, 2, false);
}

static void a_length_lies_to_a_receive(struct job_rank *me)
{
    liar(me, 2, true);
}

/* What was cut is what_is_cut_is_counted_as_received as far as it was received, in whichever way.
 */
static void what_is_cut_is_counted_as_received(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    meet_all(me, world);
    enum { K = 30 };
    char buf[200] = "";
    uint64_t m0, b0, m1, b1;
    CHECK_OK(me, sinew_counter(me->s, me->rank ? "messages_received" : "messages_sent", &m0));
    CHECK_OK(me, sinew_counter(me->s, me->rank ? "bytes_received" : "bytes_sent", &b0));
    for (int i = 0; i < K; i++) {
        if (me->rank == 0) {
            CHECK_OK(me, sinew_send(world, buf, 100, 1, 5, NULL));
        } else {
            struct sinew_request *req = NULL;
            struct sinew_status st;
            if (i % 3 == 0) {
                CHECK_IS(me, sinew_recv(world, buf, 60, 0, 5, &st, NULL), SINEW_ETRUNCATED);
            } else {
                int rc = sinew_recv(world, buf, 60, 0, 5, &st, &req);
                CHECK(me, rc > 0);
                CHECK_IS(me, sinew_wait(&req), SINEW_ETRUNCATED);
            }
            CHECK_EQ(me, st.code, SINEW_ETRUNCATED);
            CHECK_EQ(me, st.bytes, 60);
            CHECK_EQ(me, st.sent, 100);
        }
    }
    CHECK_OK(me, sinew_counter(me->s, me->rank ? "messages_received" : "messages_sent", &m1));
    CHECK_OK(me, sinew_counter(me->s, me->rank ? "bytes_received" : "bytes_sent", &b1));
    CHECK_EQ(me, m1 - m0, K);
    CHECK_EQ(me, b1 - b0, K * (me->rank ? 60 : 100));
    job_barrier(me);
    job_close(me, me->s);
}

/* Control messages stand before the message when the peer dies. */
static void a_death_behind_controls_cuts_nothing_off(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    meet_all(me, world);
    char c = 0;
    if (me->rank == 0) {
        struct sinew_request *req[4] = { 0 };
        char in;
        for (int i = 0; i < 4; i++) CHECK(me, sinew_recv(world, &in, 1, 1, 3, NULL, &req[i]) >= 0);
        CHECK_OK(me, sinew_wait_all(req, 4, NULL, SINEW_FOREVER)); /* four ACKs go out */
        CHECK_OK(me, sinew_send(world, "z", 1, 1, 0, NULL));
        await_delivery(me);
        atomic_store(&me->words[1], 1);
        job_kill(me, 0);
    }
    struct sinew_request *req[4] = { 0 };
    for (int i = 0; i < 4; i++) CHECK(me, sinew_send_sync(world, "y", 1, 0, 3, &req[i]) >= 0);
    sinew_arm(me->s, NULL);
    job_await(me, 1, 1);
    for (int i = 0; i < 100; i++) job_pause(me, 1 * MS);
    CHECK_OK(me, sinew_recv(world, &c, 1, 0, 0, NULL, NULL));
    CHECK_EQ(me, c, 'z');
    CHECK_OK(me, sinew_wait_all(req, 4, NULL, SINEW_FOREVER));
    job_close(me, me->s);
}

/* ---- collectives that go straight (messaging/straight.c) ------------------------------------- */

/* Whether they can, here. */
static bool goes_straight(const struct job_rank *me)
{
    const struct peer *p = me->s->peer[1 - me->rank];
    return p->quick_in && p->quick_in->transport->caps.lends && !me->s->takes_turns;
}

/* Calls with these arguments are known to both. */
static void straight_begin(struct job_rank *me, struct sinew_team *world, float v[2][VECTOR])
{
    meet_all(me, world);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(me, sinew_reduce(world, v[0], v[1], VECTOR, SINEW_F32, SINEW_SUM, 0, NULL));
        CHECK_OK(me, sinew_bcast(world, v[0], sizeof(v[0]), 0, NULL));
    }
    job_barrier(me);
}

/* A message is taken where it lies although room is given back before it. */
static void room_given_back_is_in_nobodys_way(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    float v[2][VECTOR] = { { 1 } };
    straight_begin(me, world, v);
    struct peer *p = me->s->peer[1 - me->rank];
    uint64_t before = p->general_in.bytes;
    if (me->rank == 1)
        outgoing_grant(p);
    else
        job_await(me, 1, 1);
    CHECK_OK(me, sinew_reduce(world, v[0], v[1], VECTOR, SINEW_F32, SINEW_SUM, 0, NULL));
    if (me->rank == 1) {
        await_delivery(me);
        atomic_store(&me->words[1], 1);
    }
    if (goes_straight(me)) CHECK_EQ(me, p->general_in.bytes, before);
    job_barrier(me);
    job_close(me, me->s);
}

/* A root that never receives uses up its window again and again. */
static void a_root_takes_the_room_it_is_given(struct job_rank *me)
{
    struct sinew_team *world = sinew_world(job_open(me, NULL));
    float v[2][VECTOR] = { { 1 } };
    straight_begin(me, world, v);
    struct peer *p = me->s->peer[1 - me->rank];
    uint64_t before = p->general_out.bytes;
    for (int i = 1; i <= ROUNDS; i++) {
        CHECK_OK(me, sinew_bcast(world, v[0], sizeof(v[0]), 0, NULL));
        if (me->rank == 0) {
            job_await(me, 1, i);
        } else {
            outgoing_grant(p);
            await_delivery(me);
            atomic_store(&me->words[1], i);
        }
    }
    if (me->rank == 0 && goes_straight(me)) CHECK_EQ(me, p->general_out.bytes, before);
    job_barrier(me);
    job_close(me, me->s);
}

const struct suite_case process_windows[] = {
    { "room given back is in nobody's way", room_given_back_is_in_nobodys_way, 2, 2,
      SUITE_PROCESSES, 0, 0, 0 },
    { "a root takes the room it is given", a_root_takes_the_room_it_is_given, 2, 2,
      SUITE_PROCESSES, 0, 0, 0 },
    { "a number lies to a window", a_number_lies_to_a_window, 2, 2, SUITE_PROCESSES, 0, 0, 0 },
    { "a number lies to a receive", a_number_lies_to_a_receive, 2, 2, SUITE_PROCESSES, 0, 0, 0 },
    { "a credit lies to a window", a_credit_lies_to_a_window, 2, 2, SUITE_PROCESSES, 0, 0, 0 },
    { "a credit lies to a receive", a_credit_lies_to_a_receive, 2, 2, SUITE_PROCESSES, 0, 0, 0 },
    { "a length lies to a window", a_length_lies_to_a_window, 2, 2, SUITE_PROCESSES, 0, 0, 0 },
    { "a length lies to a receive", a_length_lies_to_a_receive, 2, 2, SUITE_PROCESSES, 0, 0, 0 },
    { "what is cut is counted as received", what_is_cut_is_counted_as_received, 2, 2, 0, 0, 0, 0 },
    { "a death behind controls cuts nothing off", a_death_behind_controls_cuts_nothing_off, 2, 2,
      SUITE_PROCESSES, 0, 0, 0 },
    { "receives of any kind match in order", receives_of_any_kind_match_in_order, 3, 3, 0, 0, 0,
      40 },
    { "long messages in order", long_messages_in_order, 2, 2, 0, 0, 0, 0 },
    { "filed windows come first", filed_windows_come_first, 2, 2, 0, 0, 0, 0 },
    { "a window before a blocking receive", a_window_before_a_blocking_receive, 2, 2, 0, 0, 0, 0 },
    { "cancelling files in order", cancelling_files_in_order, 2, 2, 0, 0, 0, 0 },
    { "a death cuts no window off", a_death_cuts_no_window_off, 2, 2, SUITE_PROCESSES, 0, 0, 0 },
    { "a death cuts no long window off", a_death_cuts_no_long_window_off, 2, 2, SUITE_PROCESSES, 0,
      0, 0 },
    { "a death cuts no receive off", a_death_cuts_no_receive_off, 2, 2, SUITE_PROCESSES, 0, 0, 0 },
    { "a close names what is done", a_close_names_what_is_done, 2, 2, 0, 0, 0, 0 },
    SUITE_END,
};
