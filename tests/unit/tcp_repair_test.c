/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two sessions over a network in virtual time, which loses connections at any byte, delays and
 * reorders attempts, lets late ones arrive, and restarts processes: every message is taken once and
 * in order, nothing hangs, and a restarted process is never taken for the one before.
 *
 * A connection is two queues of bytes. What the transport does with sockets is done here with them,
 * and everything it decides with session.h and repair.h is decided by them here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sinew/sinew.h"
#include "tests/seed.h"
#include "transport/tcp/repair.h"

#define MS INT64_C(1000000)
#define DEADLINE (15000 * MS)

enum { PIPE = 20000, LINES = 8, MESSAGES = 120, BODY_MAX = 3000, PUT_HEAD = 8 };

struct pipe {
    uint8_t bytes[PIPE];
    size_t len;
    int64_t open_at; /* delayed until then */
};

/* from[i]: what end i has sent. */
struct line {
    struct pipe from[2];
    int client;
    bool used, joined[2]; /* by end: it has dealt with the first frame */
    bool closed[2];       /* by end */
    bool cut;             /* no more goes in, what is in may be read */
    uint64_t epoch[2];
};

struct end {
    struct session session;
    struct repair repair;
    struct line *line;     /* open */
    struct line *attempt;  /* own, not answered */
    int64_t next_at, attempt_at;
    uint32_t attempts, peer_attempt;
    uint64_t sent, taken;  /* messages */
    uint8_t in[PIPE];
    size_t in_len;
    uint64_t lent_out;
    bool restarted, told_gone, begun;
};

struct net {
    struct seed *seed;
    int64_t now;
    struct line lines[LINES];
    struct end end[2];
    uint64_t cuts, joins_late, gone;
};

static uint8_t content[2][MESSAGES + 1][BODY_MAX];

static size_t message_len(uint64_t number)
{
    return (size_t)(number * 7919 % BODY_MAX);
}

static bool message_is_lent(uint64_t number)
{
    return number % 3 == 0 && message_len(number) > 100;
}

static struct line *line_free(struct net *net)
{
    for (int i = 0; i < LINES; i++) {
        struct line *l = &net->lines[i];
        if (!l->used || (l->closed[0] && l->closed[1])) {
            memset(l, 0, sizeof(*l));
            l->used = true;
            return l;
        }
    }
    return NULL;
}

static bool line_put(struct net *net, struct line *l, int who, const void *bytes, size_t len)
{
    struct pipe *p = &l->from[who];
    if (l->cut || l->closed[!who]) return false;
    if (p->len + len > PIPE) return false;
    memcpy(p->bytes + p->len, bytes, len);
    if (p->len == 0) p->open_at = net->now + (int64_t)seed_below(net->seed, 3) * MS / 4;
    p->len += len;
    return true;
}

static size_t line_get(struct net *net, struct line *l, int who, void *bytes, size_t max)
{
    struct pipe *p = &l->from[!who];
    if (net->now < p->open_at || p->len == 0) return 0;
    size_t n = p->len < max ? p->len : max;
    if (seed_below(net->seed, 2)) n = 1 + (size_t)seed_below(net->seed, n);
    memcpy(bytes, p->bytes, n);
    memmove(p->bytes, p->bytes + n, p->len - n);
    p->len -= n;
    return n;
}

static void end_lose(struct net *net, int who)
{
    struct end *e = &net->end[who];
    if (e->line) e->line->closed[who] = true;
    if (e->attempt) e->attempt->closed[who] = true;
    if (e->in_len > 0) e->session.discarded++;
    e->line = e->attempt = NULL;
    e->in_len = 0;
}

static void end_repair(struct net *net, int who)
{
    struct end *e = &net->end[who];
    end_lose(net, who);
    repair_begin(&e->repair, net->now, DEADLINE, 0);
    e->next_at = net->now;
}

static void end_failed(struct net *net, int who)
{
    struct end *e = &net->end[who];
    end_lose(net, who);
    e->next_at = repair_failed(&e->repair, net->now, seed_next(net->seed));
}

static void end_say(struct net *net, int who, struct line *l, enum frame_kind kind)
{
    struct end *e = &net->end[who];
    uint8_t bytes[JOIN_FRAME];
    struct join join = { .mine = e->session.mine, .yours = e->session.theirs,
                         .received = e->session.received, .attempt = e->attempts };
    session_join_encode(bytes, kind, e->session.my_epoch, &join);
    line_put(net, l, who, bytes, sizeof(bytes));
}

static void end_attempt(struct net *net, int who)
{
    struct end *e = &net->end[who];
    struct line *l = line_free(net);
    repair_attempt(&e->repair, net->now, REPAIR_ANSWER_NS);
    if (!l) {
        end_failed(net, who);
        return;
    }
    l->client = who;
    l->epoch[0] = net->end[0].session.my_epoch;
    l->epoch[1] = net->end[1].session.my_epoch;
    e->attempts++;
    e->attempt = l;
    e->attempt_at = net->now;
    repair_held(&e->repair, net->now);
    end_say(net, who, l, FRAME_JOIN);
    if (seed_below(net->seed, 4) == 0) { /* it will come late: others may be before it */
        l->from[who].open_at = net->now + (int64_t)seed_below(net->seed, 300) * MS;
        net->joins_late++;
    }
}

/* A byte says no, as GREETING_… do. */
static void end_refuse(struct net *net, int who, struct line *l, enum verdict verdict)
{
    uint8_t no = (uint8_t)verdict;
    line_put(net, l, who, &no, 1);
    l->closed[who] = true;
}

static void end_take(struct net *net, int who, struct line *l, const struct join *join)
{
    struct end *e = &net->end[who];
    struct why why;
    end_lose(net, who);
    e->peer_attempt = join->attempt;
    e->session.peer_epoch = l->epoch[!who];
    if (session_resume(&e->session, join, &why) < 0) fail_msg("resume: %s", why.text);
    e->line = l;
    e->begun = true;
    l->joined[0] = l->joined[1] = true;
    end_say(net, who, l, FRAME_WELCOME);
}

static void end_accept(struct net *net, int who, struct line *l)
{
    struct end *e = &net->end[who];
    uint8_t bytes[JOIN_FRAME];
    struct join join;
    struct why why;
    if (net->now < l->from[!who].open_at || l->from[!who].len < JOIN_FRAME) {
        if (l->closed[!who] && l->from[!who].len < JOIN_FRAME) l->closed[who] = true;
        return;
    }
    memcpy(bytes, l->from[!who].bytes, JOIN_FRAME);
    l->from[!who].len = 0; /* it says no more before it is answered */
    if (l->epoch[who] != e->session.my_epoch) { /* meant for the process before */
        l->closed[who] = true;
        return;
    }
    assert_int_equal(session_join_decode(bytes, FRAME_JOIN, l->epoch[!who], &join, &why), 0);
    if (e->session.peer_epoch && e->session.peer_epoch != l->epoch[!who]) {
        e->told_gone = true; /* another process has taken its place */
        end_refuse(net, who, l, VERDICT_BUSY);
        return;
    }
    const struct repair_end view = {
        .session = &e->session,
        .attempt_stands = e->attempt && repair_stands(who, !who, e->attempt_at, net->now),
        .peer_attempt = e->peer_attempt,
    };
    enum verdict verdict = repair_judge(&view, &join);
    if (verdict == VERDICT_TAKE) {
        end_take(net, who, l, &join);
    } else {
        e->session.discarded += verdict == VERDICT_STALE;
        end_refuse(net, who, l, verdict);
    }
}

static void end_answered(struct net *net, int who)
{
    struct end *e = &net->end[who];
    struct line *l = e->attempt;
    struct pipe *p = &l->from[!who];
    uint8_t bytes[JOIN_FRAME];
    struct join join;
    struct why why;
    if (l->cut || (l->closed[!who] && p->len == 0)) {
        end_failed(net, who);
        return;
    }
    if (net->now < p->open_at || (p->len < JOIN_FRAME && !l->closed[!who])) return;
    if (p->len < JOIN_FRAME) {
        if (p->bytes[0] == VERDICT_UNKNOWN) e->told_gone = true;
        repair_answered(&e->repair, net->now, DEADLINE);
        end_failed(net, who);
        return;
    }
    memcpy(bytes, p->bytes, JOIN_FRAME);
    memmove(p->bytes, p->bytes + JOIN_FRAME, p->len - JOIN_FRAME);
    p->len -= JOIN_FRAME;
    if (e->session.peer_epoch && e->session.peer_epoch != l->epoch[!who]) {
        e->told_gone = true;
        return;
    }
    assert_int_equal(session_join_decode(bytes, FRAME_WELCOME, l->epoch[!who], &join, &why), 0);
    assert_true(session_is(&e->session, &join));
    e->session.peer_epoch = l->epoch[!who];
    if (session_resume(&e->session, &join, &why) < 0) fail_msg("resume: %s", why.text);
    e->peer_attempt = join.attempt;
    e->line = l;
    e->attempt = NULL;
    e->begun = true;
}

/* --- traffic ---------------------------------------------------------------------------------- */

static void end_send_next(int who, struct end *e)
{
    uint64_t number = e->sent + 1;
    size_t len = message_len(number);
    const uint8_t *body = content[who][number];
    struct frame f = { .kind = FRAME_MESSAGE, .length = (uint32_t)len };
    if (number > MESSAGES) return;
    if (message_is_lent(number)) {
        f = (struct frame){ .kind = FRAME_PUT, .length = (uint32_t)(PUT_HEAD + len),
                            .flags = FRAME_URGENT };
        if (!session_append_lent(&e->session, &f, "put head", PUT_HEAD, body, len,
                                 (void *)(uintptr_t)number))
            return;
        e->lent_out++;
    } else if (!session_append(&e->session, &f, NULL, 0, body, len, false)) {
        return;
    }
    e->sent++;
}

static void end_write(struct net *net, int who)
{
    struct end *e = &net->end[who];
    struct frame ack = { .kind = FRAME_ACK };
    struct iovec v[8];
    void *owner;
    int count;
    while (session_returned(&e->session, &owner)) e->lent_out--;
    if (session_owes_ack(&e->session)) session_append(&e->session, &ack, NULL, 0, NULL, 0, true);
    session_gather(&e->session, v, 8, &count);
    for (int i = 0; i < count; i++) {
        size_t n = v[i].iov_len;
        if (n == 0) continue;
        if (seed_below(net->seed, 3) == 0) n = 1 + (size_t)seed_below(net->seed, n);
        if (!line_put(net, e->line, who, v[i].iov_base, n)) return;
        session_sent(&e->session, n);
        if (n < v[i].iov_len) return;
    }
}

static void end_take_message(struct net *net, int who, const struct frame *f, const uint8_t *bytes)
{
    struct end *e = &net->end[who];
    uint64_t number = e->taken + 1;
    size_t head = f->kind == FRAME_PUT ? PUT_HEAD : 0;
    assert_true(number <= MESSAGES);
    assert_int_equal(f->kind, message_is_lent(number) ? FRAME_PUT : FRAME_MESSAGE);
    assert_int_equal(f->length - head, message_len(number));
    assert_memory_equal(bytes + head, content[!who][number], f->length - head);
    e->taken++;
}

static void end_read(struct net *net, int who)
{
    struct end *e = &net->end[who];
    struct frame f;
    struct why why;
    e->in_len += line_get(net, e->line, who, e->in + e->in_len, sizeof(e->in) - e->in_len);
    while (e->in_len >= FRAME_HEADER) {
        assert_int_equal(frame_decode(e->in, PIPE, &f, &why), 0);
        size_t len = FRAME_HEADER + (size_t)f.length;
        if (e->in_len < len) return;
        int rc = session_check(&e->session, &f, &why);
        if (rc < 0) fail_msg("end %d: %s", who, why.text);
        if (rc == 0 && f.kind != FRAME_ACK) end_take_message(net, who, &f, e->in + FRAME_HEADER);
        if (rc == 0) session_received(&e->session, &f);
        memmove(e->in, e->in + len, e->in_len - len);
        e->in_len -= len;
    }
}

static void end_step(struct net *net, int who)
{
    struct end *e = &net->end[who];
    for (int i = 0; i < LINES; i++) {
        struct line *l = &net->lines[i];
        if (l->used && l->client != who && !l->joined[who] && !l->closed[who])
            end_accept(net, who, l);
    }
    if (seed_below(net->seed, 2)) end_send_next(who, e);
    if (e->line) {
        end_read(net, who);
        end_write(net, who);
        bool drained = e->line->from[!who].len == 0;
        if (drained && (e->line->cut || e->line->closed[!who])) end_repair(net, who);
    } else if (e->attempt) {
        end_answered(net, who);
    } else if (net->now >= e->next_at) {
        if (repair_is_over(&e->repair, net->now)) fail_msg("end %d gave up", who);
        end_attempt(net, who);
    }
}

static void net_cut(struct net *net)
{
    struct line *l = net->end[seed_below(net->seed, 2)].line;
    if (!l || seed_below(net->seed, 3) == 0) l = &net->lines[seed_below(net->seed, LINES)];
    if (!l->used || l->cut) return;
    l->cut = true;
    for (int i = 0; i < 2; i++) { /* anything of what is under way may be lost */
        if (l->from[i].len > 0) l->from[i].len = (size_t)seed_below(net->seed, l->from[i].len + 1);
        if (l->from[i].len < JOIN_FRAME && !l->joined[!i]) l->from[i].len = 0;
    }
    net->cuts += l->joined[0];
}

static void end_open(struct net *net, int who, uint64_t epoch)
{
    struct why why;
    struct end *e = &net->end[who];
    *e = (struct end){ .restarted = e->restarted };
    assert_int_equal(session_begin(&e->session, &world_real, epoch, &why), 0);
    repair_begin(&e->repair, net->now, DEADLINE, 0);
    e->next_at = net->now + (int64_t)seed_below(net->seed, 3) * MS;
}

static void net_open(struct net *net, struct seed *seed)
{
    memset(net, 0, sizeof(*net));
    net->seed = seed;
    for (int i = 0; i < 2; i++) end_open(net, i, 100 + (uint64_t)i);
}

static void net_close(struct net *net)
{
    for (int i = 0; i < 2; i++) session_release(&net->end[i].session, &world_real);
}

static bool net_is_done(const struct net *net)
{
    for (int i = 0; i < 2; i++)
        if (net->end[i].taken < MESSAGES || net->end[i].lent_out > 0) return false;
    return true;
}

static void net_step(struct net *net)
{
    net->now += (int64_t)seed_below(net->seed, 1000) * MS / 1000;
    end_step(net, (int)seed_below(net->seed, 2));
}

struct totals {
    uint64_t cuts, late, resent, discarded, gone;
};

static void run_losses(struct seed *seed, struct totals *totals)
{
    static struct net net;
    uint64_t cut_one_in = 5 + seed_below(seed, 200);
    net_open(&net, seed);
    for (int step = 0; !net_is_done(&net); step++) {
        /* In the end the network is good: then all has to arrive. */
        if (step < 8000 && seed_below(seed, cut_one_in) == 0) net_cut(&net);
        if (step > 200000)
            fail_msg("it hangs: %llu and %llu of %d taken", (unsigned long long)net.end[0].taken,
                     (unsigned long long)net.end[1].taken, MESSAGES);
        net_step(&net);
        for (int i = 0; i < 2; i++) assert_false(net.end[i].told_gone);
    }
    totals->cuts += net.cuts;
    totals->late += net.joins_late;
    for (int i = 0; i < 2; i++) {
        totals->resent += net.end[i].session.resent;
        totals->discarded += net.end[i].session.discarded;
    }
    net_close(&net);
}

/* One end starts anew in the middle: the other hears so, and takes nothing of the new one's. */
static void run_restart(struct seed *seed, struct totals *totals)
{
    static struct net net;
    int who = (int)seed_below(seed, 2);
    net_open(&net, seed);
    uint64_t after = 50 + seed_below(seed, 600);
    for (uint64_t i = 0; i < after || !(net.end[0].begun && net.end[1].begun); i++) net_step(&net);
    struct end *stays = &net.end[!who];
    uint64_t taken = stays->taken;
    end_lose(&net, who);
    session_release(&net.end[who].session, &world_real);
    end_open(&net, who, 200);
    for (int step = 0; !stays->told_gone; step++) {
        if (step > 100000) fail_msg("a restart is not noticed");
        if (stays->line && !stays->line->closed[who]) end_repair(&net, !who);
        net_step(&net);
        assert_false(net.end[who].begun);
        assert_int_equal(net.end[who].taken, 0);
    }
    assert_true(stays->taken >= taken);
    totals->gone++;
    net_close(&net);
}

static void run_all(struct seed *seed, int rounds, void (*run)(struct seed *, struct totals *),
                    struct totals *totals)
{
    for (int i = 0; i < rounds; i++) {
        struct seed own = { seed_next(seed) };
        run(&own, totals);
    }
}

static int rounds = 2000;

static void losses_at_any_byte_lose_double_and_reorder_nothing(void **state)
{
    struct seed seed = seed_from_environment("tcp losses");
    struct totals totals = { 0 };
    (void)state;
    run_all(&seed, rounds, run_losses, &totals);
    print_message("%d seeds: %llu connections lost, %llu late attempts, %llu frames sent again, "
                  "%llu discarded\n",
                  rounds, (unsigned long long)totals.cuts, (unsigned long long)totals.late,
                  (unsigned long long)totals.resent, (unsigned long long)totals.discarded);
    assert_true(totals.cuts > (uint64_t)rounds && totals.late > 0);
    assert_true(totals.resent > (uint64_t)rounds && totals.discarded > 0);
}

static void a_restarted_process_is_never_taken_for_the_one_before(void **state)
{
    struct seed seed = seed_from_environment("tcp restarts");
    struct totals totals = { 0 };
    (void)state;
    run_all(&seed, rounds / 4, run_restart, &totals);
    assert_int_equal(totals.gone, rounds / 4);
}

static void attempts_back_off_and_end_at_the_deadline(void **state)
{
    struct repair r = { 0 };
    int64_t now = 1000 * MS, before = 0;
    (void)state;
    repair_begin(&r, now, DEADLINE, 0);
    assert_false(repair_is_over(&r, now + 2 * DEADLINE)); /* one is always made */
    while (!repair_is_over(&r, now)) {
        repair_attempt(&r, now, REPAIR_ANSWER_NS);
        int64_t next = repair_failed(&r, now, 1234567891011);
        assert_true(next > now && next - now <= REPAIR_PAUSE_MAX * 5 / 4);
        if (next < 1000 * MS + DEADLINE) assert_true(next - now >= before * 3 / 4);
        before = next - now;
        now = next;
    }
    assert_int_equal(now, 1000 * MS + DEADLINE);
    assert_true(r.attempts >= 15 && r.attempts <= 30);
}

/* Its kernel has accepted, its process computes: time stands still, and then goes on. */
static void a_process_that_computes_costs_no_time(void **state)
{
    struct repair r = { 0 };
    (void)state;
    repair_begin(&r, 0, DEADLINE, 0);
    repair_attempt(&r, 1 * MS, REPAIR_ANSWER_NS);
    repair_held(&r, 2 * MS);
    int64_t next = repair_failed(&r, 1000 * DEADLINE, 0);
    assert_true(next > 1000 * DEADLINE);
    assert_false(repair_is_over(&r, next));
    repair_attempt(&r, next, REPAIR_ANSWER_NS);
    for (int i = 0; i < 100; i++) next = repair_failed(&r, next, 0);
    assert_true(repair_is_over(&r, next));
}

#define EVERY (62 * MS)

static int64_t look(struct silence *s, int64_t at, struct silence_signs signs)
{
    return silence_look(s, at, EVERY, &signs);
}

static void silence_counts_only_while_an_answer_is_due(void **state)
{
    struct silence s = { 0 };
    const int64_t t = 9000 * MS;
    (void)state;
    assert_int_equal(look(&s, 100 * MS, (struct silence_signs){ .heard_ago = 99 * MS }), 0);
    struct silence_signs due = { .unacknowledged = 1, .resent = 1, .heard_ago = 5000 * MS };
    assert_int_equal(look(&s, t, due), 0); /* due from now */
    assert_int_equal(look(&s, t + 60 * MS, due), 60 * MS);
    assert_int_equal(look(&s, t + 120 * MS, due), 120 * MS);
    due.heard_ago = 20 * MS; /* one came */
    assert_int_equal(look(&s, t + 180 * MS, due), 0);
    due.heard_ago = 80 * MS;
    assert_int_equal(look(&s, t + 240 * MS, due), 60 * MS);
    assert_int_equal(look(&s, t + 300 * MS, (struct silence_signs){ .heard_ago = 140 * MS }), 0);
    due.heard_ago = 200 * MS; /* and anew */
    assert_int_equal(look(&s, t + 360 * MS, due), 0);
    assert_int_equal(silence_patience(DEADLINE), 1000 * MS);
    assert_int_equal(silence_patience(500 * MS), 250 * MS);
}

/* Nothing proves that one segment, or one probe of a full window, has been received at all, or must
 * be answered: the second one after an answer may come within the 500 ms in which no other is
 * given. */
static void silence_needs_proof_that_the_kernel_asked_again(void **state)
{
    struct silence s = { 0 };
    struct silence_signs signs = { .unacknowledged = 3, .heard_ago = 9000 * MS };
    int64_t now = 10000 * MS;
    (void)state;
    for (int i = 0; i < 100; i++) assert_int_equal(look(&s, now += EVERY, signs), 0);
    signs.resent = 1;
    assert_int_equal(look(&s, now += EVERY, signs), 100 * EVERY);

    s = (struct silence){ 0 };
    signs = (struct silence_signs){ .probes = 1, .heard_ago = 9000 * MS };
    for (int i = 0; i < 14; i++) assert_int_equal(look(&s, now += EVERY, signs), 0);
    signs.heard_ago = 10 * MS; /* the next is answered */
    signs.probes = 0;
    assert_int_equal(look(&s, now += EVERY, signs), 0);
    signs = (struct silence_signs){ .probes = 2, .heard_ago = 9000 * MS };
    look(&s, now += EVERY, signs);
    assert_int_equal(look(&s, now += EVERY, signs), EVERY);
}

/* The peer's host is heard, but does not hear: it sends again what this one's answer does not
 * reach. */
static void silence_is_also_what_hears_nothing(void **state)
{
    struct silence s = { 0 };
    struct silence_signs signs = { .unacknowledged = 3, .heard_ago = EVERY / 2 };
    int64_t now = 100000 * MS, silent = 0;
    (void)state;
    for (signs.resent = 0; signs.resent < 4; signs.resent++)
        for (int i = 0; i < 20; i++) assert_int_equal(look(&s, now += EVERY, signs), 0);
    for (int i = 0; i < 8; i++) silent = look(&s, now += EVERY, signs);
    assert_int_equal(silent, 8 * EVERY);
    signs.resent = 0; /* one of them has been acknowledged */
    assert_int_equal(look(&s, now += EVERY, signs), 0);
}

/* Ten seconds without a processor, stopped, or in a computation: the peer gets its time anyway. */
static void silence_is_not_the_time_in_which_nobody_looked(void **state)
{
    struct silence s = { 0 };
    struct silence_signs signs = { .unacknowledged = 1, .resent = 1, .heard_ago = 60000 * MS };
    int64_t now = 100000 * MS, silent = 0;
    int looks = 0;
    (void)state;
    look(&s, now, signs);
    for (; silent < silence_patience(500 * MS); looks++)
        silent = look(&s, now += 10000 * MS, signs);
    assert_true(looks >= 2);
    /* Other data was due before: that it was acknowledged meanwhile is heard of, by its time. */
    s = (struct silence){ 0 };
    look(&s, now, signs);
    signs.heard_ago = 249 * MS;
    assert_int_equal(look(&s, now + 250 * MS, signs), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attempts_back_off_and_end_at_the_deadline),
        cmocka_unit_test(a_process_that_computes_costs_no_time),
        cmocka_unit_test(silence_counts_only_while_an_answer_is_due),
        cmocka_unit_test(silence_needs_proof_that_the_kernel_asked_again),
        cmocka_unit_test(silence_is_also_what_hears_nothing),
        cmocka_unit_test(silence_is_not_the_time_in_which_nobody_looked),
        cmocka_unit_test(losses_at_any_byte_lose_double_and_reorder_nothing),
        cmocka_unit_test(a_restarted_process_is_never_taken_for_the_one_before),
    };
    struct seed seed = { 1 };
    for (int who = 0; who < 2; who++)
        for (int i = 0; i <= MESSAGES; i++)
            for (size_t k = 0; k < BODY_MAX; k++) content[who][i][k] = (uint8_t)seed_next(&seed);
    if (argc > 1) rounds = atoi(argv[1]);
    return cmocka_run_group_tests_name("tcp sessions in virtual time", tests, NULL, NULL);
}
