/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes through a tcp link arrives whole, once and in order, however the kernel cuts it; a put
 * lands where its key says and nowhere else, and a flush means that it has landed.
 */
#include "tests/unit/tcp_end.h"

#include <linux/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PUT_MAX = 8 * 1024 * 1024 };

/* What the kernel is given of one put's memory, and how many bodies in one call: in place of
 * libc's. */
static struct {
    const struct put *put;
    size_t out, in, bodies;
} watched;

static size_t watched_part(const uint8_t *from, size_t len, const struct iovec *v, int n,
                           size_t moved)
{
    size_t found = 0;
    for (int i = 0; i < n && moved > 0; i++) {
        size_t part = v[i].iov_len < moved ? v[i].iov_len : moved;
        const uint8_t *at = v[i].iov_base;
        if (from && at >= from && at < from + len) found += part;
        moved -= part;
    }
    return found;
}

static void watched_sent(const struct iovec *v, int n, ssize_t moved)
{
    const struct put *p = watched.put;
    size_t bodies = 0;
    for (int i = 0; i < n; i++) bodies += v[i].iov_len > 65536;
    if (bodies > watched.bodies) watched.bodies = bodies;
    if (p && moved > 0) watched.out += watched_part(p->source, p->op.len, v, n, (size_t)moved);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    ssize_t n = syscall(SYS_sendmsg, fd, m, flags);
    watched_sent(m->msg_iov, (int)m->msg_iovlen, n);
    return n;
}

ssize_t send(int fd, const void *from, size_t len, int flags)
{
    ssize_t n = syscall(SYS_sendto, fd, from, len, flags, NULL, 0);
    struct iovec v = { (void *)(uintptr_t)from, len };
    watched_sent(&v, 1, n);
    return n;
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    ssize_t n = syscall(SYS_recvmsg, fd, m, flags);
    const struct put *p = watched.put;
    if (p && n > 0)
        watched.in += watched_part(p->target, p->op.len, m->msg_iov, (int)m->msg_iovlen, (size_t)n);
    return n;
}

static struct end *ends[2];

static int join(void **state)
{
    (void)state;
    ends[0] = end_open(0, 100, end_secret);
    ends[1] = end_open(1, 101, end_secret);
    ends_join(ends[0], ends[1]);
    return 0;
}

static int part(void **state)
{
    (void)state;
    end_close(ends[0]);
    end_close(ends[1]);
    return 0;
}

static void every_size_arrives(void **state)
{
    static const size_t sizes[] = { 0, 1, 7, 8, 63, 64, 255, 256, 4095, 4096, 4097, 16384,
                                    TCP_EAGER_MAX - 1, TCP_EAGER_MAX };
    struct end *a = ends[0], *b = ends[1];
    (void)state;
    for (size_t i = 0; i < 20 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        int rc;
        WHILE ((rc = end_send(a, 1, sizes[i * 5 % (sizeof(sizes) / sizeof(sizes[0]))])) ==
               TRANSPORT_AGAIN) {
            end_progress(b, NULL);
            end_progress(a, &a->view[1].link->base);
        }
        assert_int_equal(rc, 0);
    }
    ENDS_UNTIL(b->view[0].received == a->view[1].sent, a, b);
    struct link *l = &a->view[1].link->base;
    assert_int_equal(transport_tcp.send(l, "", 0, a, TCP_EAGER_MAX + 1, NULL, 0), SINEW_EINVAL);
}

/* Taken where they lie, by nothing else: more than both ends' windows hold, so what is taken so is
 * acknowledged. */
static void what_is_peeked_at_is_taken_in_order(void **state)
{
    static const size_t sizes[] = { 0, 8, 300, 4096, 16384, TCP_EAGER_MAX };
    struct end *a = ends[0], *b = ends[1];
    (void)state;
    for (size_t i = 0; i < 3000; i++) {
        int rc;
        WHILE ((rc = end_send(a, 1, sizes[i % 6])) == TRANSPORT_AGAIN) {
            end_peek(b, 0, true);
            end_progress(a, &a->view[1].link->base);
        }
        assert_int_equal(rc, 0);
        if (i % 3 == 0) end_peek(b, 0, true);
    }
    WHILE (b->view[0].received < a->view[1].sent) {
        if (end_peek(b, 0, true) != 0) end_progress(a, NULL);
    }
}

/* What was brought by a peek and left, or stands behind what was taken, is handed up, though no
 * event tells of it, and nobody sleeps past it. */
static void what_a_peek_leaves_is_handed_up(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    (void)state;
    for (int taken = 0; taken < 3; taken++) {
        for (int i = 0; i < 3; i++) assert_int_equal(end_send(a, 1, 100), 0);
        WHILE (end_peek(b, 0, false) != 0) continue;
        for (int i = 0; i < taken; i++) WHILE (end_peek(b, 0, true) != 0) continue;
        assert_int_equal(transport_tcp.arm(&b->t->base), 1);
        ENDS_UNTIL(b->view[0].received == a->view[1].sent, b);
    }
    WHILE (transport_tcp.arm(&b->t->base) != 0) end_progress(b, NULL);
}

/* Who only looks so gets what is held here on its way, by the general way. */
static void nobody_waits_past_what_is_held(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    (void)state;
    assert_int_equal(end_hold(b, 0, 8, 1), TRANSPORT_HELD);
    assert_int_equal(end_peek(b, 0, true), TRANSPORT_NOT_THIS);
    end_progress(b, NULL);
    assert_int_equal(b->done[1], 1);
    assert_int_equal(end_peek(b, 0, true), TRANSPORT_NOTHING);
    ENDS_UNTIL(a->view[1].received == b->view[0].sent, a);
}

/* A peer that is gone is no silence. */
static void the_end_of_a_line_is_not_peeked_at(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    (void)state;
    assert_int_equal(end_send(a, 1, 100), 0);
    transport_tcp.disconnect(&a->view[1].link->base, DISCONNECT_DRAIN);
    ENDS_UNTIL(!a->view[1].link, a);
    WHILE (end_peek(b, 0, true) != TRANSPORT_NOT_THIS) continue;
    ENDS_UNTIL(b->view[0].downs, b);
    assert_int_equal(b->view[0].received, 1);
    assert_int_equal(b->view[0].gone, GONE_LEFT);
}

/* Nor is anybody else's link forgotten where looks of both kinds take turns. */
static void others_are_heard_beside_peeks(void **state)
{
    struct end *a = ends[0], *b = ends[1], *c = end_open(2, 102, end_secret);
    struct link *l = &b->view[0].link->base;
    (void)state;
    ends_join(c, b);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(end_send(c, 1, 100), 0);
        for (int looks = 0; looks < 1000 && b->view[2].received < i; looks++) {
            assert_int_equal(end_peek(b, 0, true), TRANSPORT_NOTHING);
            end_progress(b, l);
        }
        assert_int_equal(b->view[2].received, i);
        end_progress(b, l); /* the other half of all looks */
    }
    end_close(c);
    ENDS_UNTIL(!b->view[2].link, b);
    assert_int_equal(a->view[1].downs, 0);
}

static unsigned segments_sent(const struct tcp_link *l)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof(info);
    assert_int_equal(getsockopt(l->source.fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_data_segs_out;
}

/* What is held back goes by one call, and what came is taken by one; and the socket delays
 * nothing. */
static void many_small_messages_are_one_segment(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct tcp_link *l = a->view[1].link;
    enum { RUN = 60 };
    int nodelay = 0;
    socklen_t len = sizeof(nodelay);
    (void)state;
    for (int i = 0; i < 20; i++) end_progress(i % 2 ? a : b, NULL); /* all acknowledged */
    unsigned before = segments_sent(l);
    for (int i = 0; i < RUN; i++) assert_int_equal(end_hold(a, 1, 8, 1), TRANSPORT_HELD);
    assert_int_equal(segments_sent(l), before);
    end_progress(a, &l->base);
    if (!l->tls) assert_int_equal(segments_sent(l), before + 1);
    assert_int_equal(a->done[1], 1); /* the last one's, for all */
    end_progress(b, &b->view[0].link->base);
    if (!l->tls) assert_int_equal(b->view[0].received, RUN);
    ENDS_UNTIL(b->view[0].received == RUN, a, b);
    assert_int_equal(getsockopt(l->source.fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
    assert_true(nodelay);
}

/* Nobody reads: at some time nothing more is taken; when it is read, `room` comes and all arrives.
 * */
static void a_full_link_says_so_and_tells_when_it_is_not(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    int rc;
    (void)state;
    for (int round = 0; round < 3; round++) {
        while ((rc = end_send(a, 1, (size_t)(round * 3000 + 5))) == 0)
            assert_true(a->view[1].sent < 1000000);
        assert_int_equal(rc, TRANSPORT_AGAIN);
        int rooms = a->view[1].rooms;
        for (int i = 0; i < 10; i++) end_progress(a, NULL);
        if (a->view[1].rooms == rooms) assert_int_equal(end_send(a, 1, 9000), TRANSPORT_AGAIN);
        ENDS_UNTIL(a->view[1].rooms > rooms, a, b);
        assert_int_equal(end_send(a, 1, 5), 0);
        ENDS_UNTIL(b->view[0].received == a->view[1].sent, a, b);
    }
}

static void puts_of_every_size_land(void **state)
{
    static const size_t sizes[] = { 0,      1,      15,     4096,    65535,
                                    262143, 262144, 262145, 1000000, 1048576, 1048577, PUT_MAX };
    struct end *a = ends[0], *b = ends[1];
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t len = sizes[i];
        struct put *p = put_new(a, b, 1, len);
        fill(p->source, len, i);
        p->target[len] = 0x5a;
        int rc = put_start(p, a, 1, 0, len, i);
        assert_true(rc == 0 || rc == TRANSPORT_PENDING);
        ENDS_UNTIL(a->done[i] == 1, a, b);
        assert_int_equal(a->done_status[i], 0);
        memset(p->source, 0xee, len); /* ours again */
        end_send(a, 1, 3);            /* put_ordered: it is seen after the put */
        ENDS_UNTIL(b->view[0].received == a->view[1].sent, a, b);
        assert_true(filled(p->target, len, i));
        assert_int_equal(p->target[len], 0x5a);
        put_free(p, a, b);
    }
}

/* No copy of ours: a receive that expects nothing may bring the beginning of the first fragment,
 * and of the others 512 bytes at most come along with what precedes them. */
static void a_long_put_goes_from_and_to_the_users_memory(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    (void)state;
    bool copied = a->view[1].link->tls; /* TLS has to */
    struct put *p = put_new(a, b, 1, PUT_MAX);
    fill(p->source, PUT_MAX, 1);
    watched.put = p;
    watched.out = watched.in = 0;
    put_start(p, a, 1, 0, PUT_MAX, 1);
    ENDS_UNTIL(a->done[1] == 1, a, b);
    watched.put = NULL;
    assert_true(filled(p->target, PUT_MAX, 1));
    assert_int_equal(watched.out, copied ? 0 : PUT_MAX);
    if (!copied)
        assert_in_range(watched.in, PUT_MAX - TCP_READ - PUT_MAX / TCP_FRAGMENT * 512, PUT_MAX);
    put_free(p, a, b);
}

/* The most that one call was given, of puts that had waited for the socket. */
static size_t puts_by_one_call(struct end *a, struct end *b)
{
    enum { N = 16, LEN = 512 * 1024 };
    struct put *p[N];
    watched.bodies = 0;
    a->view[1].link->blocked = true;
    for (int i = 0; i < N; i++) {
        p[i] = put_new(a, b, 1, LEN);
        fill(p[i]->source, LEN, (uint64_t)i);
        put_start(p[i], a, 1, 0, LEN, (uint64_t)i);
    }
    end_progress(a, &a->view[1].link->base);
    for (int i = 0; i < N; i++) ENDS_UNTIL(a->done[i] == 1, a, b);
    for (int i = 0; i < N; i++) {
        a->done[i] = 0;
        assert_true(filled(p[i]->target, LEN, (uint64_t)i));
        put_free(p[i], a, b);
    }
    return watched.bodies;
}

/* More within a host than between two, where it takes longer to send them. */
static void several_puts_go_by_one_call(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct tcp_link *l = a->view[1].link;
    (void)state;
    bool in_pieces = l->tls || l->session.sums;
    assert_true(l->within_host && b->view[0].link->within_host);
    size_t within = puts_by_one_call(a, b);
    l->within_host = false;
    size_t between = puts_by_one_call(a, b);
    assert_true(in_pieces ? within <= 1 && between <= 1 : within == 8 && between == 4);
}

/* The most that one call was given while these puts, or the first alone, were under way. */
static size_t puts_together(struct put *there, struct put *back, size_t len)
{
    struct end *a = ends[0], *b = ends[1];
    watched.bodies = 0;
    put_start(there, a, 1, 0, len, 0);
    b->done[0] = !back;
    if (back) put_start(back, b, 0, 0, len, 0);
    ENDS_UNTIL(a->done[0] && b->done[0], a, b);
    return watched.bodies;
}

/* Who is sent bodies while it sends some writes one at once, from the second time on; memory that
 * is there for others, or what came before, is no reason alone. */
static void puts_both_ways_go_one_by_one(void **state)
{
    enum { LEN = 4 << 20 };
    struct end *a = ends[0], *b = ends[1];
    struct tcp_link *l = a->view[1].link;
    (void)state;
    if (l->tls || l->session.sums) return; /* as they are always */
    size_t many = LEN / TCP_FRAGMENT_MAX;
    struct put *there = put_new(a, b, 1, LEN), *back = put_new(b, a, 0, LEN);
    fill(there->source, LEN, 1);
    fill(back->source, LEN, 2);
    assert_int_equal(puts_together(there, back, LEN), many);
    for (int i = 0; i < 3; i++) assert_int_equal(puts_together(there, back, LEN), 1);
    assert_true(filled(there->target, LEN, 1) && filled(back->target, LEN, 2));
    assert_int_equal(puts_together(there, NULL, LEN), 1); /* they came until now */
    assert_int_equal(puts_together(there, NULL, LEN), many);
    assert_int_equal(puts_together(there, back, LEN), many);
    put_free(back, b, a);
    assert_int_equal(puts_together(there, NULL, LEN), many);
    put_free(there, a, b);
}

/* In order, out of the buffer: nothing of it is received anywhere else, or waits to be given on. */
static void what_is_for_a_landing_is_fed_to_it(void **state)
{
    static const size_t sizes[] = { 1, 63, 64, 65, 4096, 65535, 65537, 262145, 1048577, PUT_MAX };
    struct end *a = ends[0], *b = ends[1];
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct put *p = put_new_landing(a, b, 1, sizes[i]);
        fill(p->source, sizes[i], i);
        watched.put = p;
        watched.in = 0;
        int rc = put_start(p, a, 1, 0, sizes[i], 1);
        assert_true(rc == 0 || rc == TRANSPORT_PENDING);
        end_send(a, 1, 10);
        ENDS_UNTIL(a->done[1] && b->view[0].received == a->view[1].sent, a, b);
        assert_true(filled(p->target, sizes[i], i));
        if (p->mine.landing) assert_true(p->landed == sizes[i] && watched.in == 0);
        watched.put = NULL;
        put_free(p, a, b);
    }
}

/* Half of it has landed when the region goes: the rest goes nowhere. */
static void after_dereg_nothing_is_fed(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct put *p = put_new_landing(a, b, 1, PUT_MAX);
    (void)state;
    fill(p->source, PUT_MAX, 5);
    assert_int_equal(put_start(p, a, 1, 0, PUT_MAX, 1), TRANSPORT_PENDING);
    WHILE (p->mine.landing && p->landed < PUT_MAX / 4) {
        end_progress(a, NULL);
        end_progress(b, NULL);
    }
    assert_int_equal(transport_tcp.dereg(&b->t->base, &p->mine), 0);
    uint64_t landed = p->landed;
    ENDS_UNTIL(a->done[1], a, b);
    end_send(a, 1, 10);
    ENDS_UNTIL(b->view[0].received == a->view[1].sent, a, b);
    assert_true(p->landed == landed && b->view[0].downs == 0);
    put_free(p, a, b);
}

static void a_part_lands_at_its_offset(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct put *p = put_new(a, b, 1, 1000);
    (void)state;
    fill(p->source, 100, 7);
    put_start(p, a, 1, 900, 100, 1);
    end_send(a, 1, 3);
    ENDS_UNTIL(b->view[0].received == 1, a, b);
    assert_true(filled(p->target + 900, 100, 7));
    for (int i = 0; i < 900; i++) assert_int_equal(p->target[i], 0);
    assert_int_equal(put_start(p, a, 1, 901, 100, 2), SINEW_EINVAL);
    assert_int_equal(put_start(p, a, 1, UINT64_MAX, 2, 2), SINEW_EINVAL);
    put_free(p, a, b);
}

/* Messages get in between the fragments of a long put, both ways at once: the first few go by one
 * call. */
static void messages_pass_between_fragments(void **state)
{
    enum { LEN = 3 * PUT_MAX };
    struct end *a = ends[0], *b = ends[1];
    struct put *there = put_new(a, b, 1, LEN), *back = put_new(b, a, 0, LEN);
    uint64_t early = 0;
    (void)state;
    fill(there->source, LEN, 1);
    fill(back->source, LEN, 2);
    assert_int_not_equal(there->source[LEN - 1], 0);
    put_start(there, a, 1, 0, LEN, 1);
    put_start(back, b, 0, 0, LEN, 1);
    WHILE (!a->done[1] || !b->done[1]) {
        if (a->view[1].sent < 100000) end_send(a, 1, 100);
        end_send(b, 0, 1000);
        end_progress(a, NULL);
        end_progress(b, NULL);
        if (!there->target[LEN - 1]) early = b->view[0].received; /* it is not there yet */
    }
    end_send(a, 1, 1);
    ENDS_UNTIL(b->view[0].received == a->view[1].sent, a, b);
    ENDS_UNTIL(a->view[1].received == b->view[0].sent, a, b);
    assert_true(early > 0);
    assert_true(filled(there->target, LEN, 1));
    assert_true(filled(back->target, LEN, 2));
    put_free(there, a, b);
    put_free(back, b, a);
}

/* Who is in the middle of sending a body can wait to hear that the one before has come. */
static void in_the_middle_of_a_body_nothing_is_acknowledged(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct put *first = put_new(a, b, 1, 2 * TCP_PUT_COPY), *second = put_new(a, b, 1, PUT_MAX);
    struct tcp_link *l = b->view[0].link;
    uint64_t before = l->session.received;
    (void)state;
    put_start(first, a, 1, 0, 2 * TCP_PUT_COPY, 1); /* lent: its end is urgent */
    put_start(second, a, 1, 0, PUT_MAX, 2);
    ENDS_UNTIL(l->session.received > before, a, b);
    assert_true(l->stream.land_left > 0);
    assert_true(session_owes_ack(&l->session));
    ENDS_UNTIL(a->done[1] && a->done[2], a, b);
    put_free(first, a, b);
    put_free(second, a, b);
}

static void a_flush_means_it_has_landed(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct put *p = put_new(a, b, 1, 1000);
    (void)state;
    assert_int_equal(transport_tcp.flush(&a->view[1].link->base, 8), 0); /* nothing to wait for */
    fill(p->source, 1000, 9);
    assert_int_equal(put_start(p, a, 1, 0, 1000, 1), 0);
    assert_int_equal(transport_tcp.flush(&a->view[1].link->base, 9), TRANSPORT_PENDING);
    for (int i = 0; i < 100; i++) end_progress(a, NULL);
    assert_int_equal(a->done[9], 0); /* b has not looked */
    ENDS_UNTIL(a->done[9], a, b);
    assert_int_equal(a->done_status[9], 0);
    assert_true(filled(p->target, 1000, 9));
    assert_int_equal(transport_tcp.flush(&a->view[1].link->base, 10), 0);
    put_free(p, a, b);
}

static void more_flushes_than_places_are_told_to_wait(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct put *p = put_new(a, b, 1, 1000);
    uint64_t cookie = 10;
    int rc;
    (void)state;
    WHILE (true) {
        put_start(p, a, 1, 0, 10, 1);
        if ((rc = transport_tcp.flush(&a->view[1].link->base, cookie)) != TRANSPORT_PENDING) break;
        cookie++;
    }
    assert_int_equal(rc, TRANSPORT_AGAIN);
    assert_int_equal(cookie, 10 + TCP_FLUSHES);
    ENDS_UNTIL(a->done[cookie - 1] && a->view[1].rooms, a, b);
    assert_int_equal(transport_tcp.flush(&a->view[1].link->base, cookie), TRANSPORT_PENDING);
    ENDS_UNTIL(a->done[cookie], a, b);
    for (uint64_t i = 10; i <= cookie; i++) assert_int_equal(a->done[i], 1);
    put_free(p, a, b);
}

static void a_key_never_granted_costs_the_link_only(void **state)
{
    struct end *a = ends[0], *b = ends[1], *c = end_open(2, 102, end_secret);
    struct put *p = put_new(a, b, 1, 1000);
    (void)state;
    ends_join(c, b);
    p->theirs.id ^= UINT64_C(1) << 50;
    put_start(p, a, 1, 0, 100, 1);
    ENDS_UNTIL(b->view[0].downs && a->view[1].downs, a, b, c);
    assert_int_equal(b->view[0].status, SINEW_EPROTO);
    assert_non_null(strstr(b->view[0].why, "never granted"));
    for (int i = 0; i < 1000; i++) assert_int_equal(p->target[i], 0);
    end_send(c, 1, 10);
    ENDS_UNTIL(b->view[2].received == 1, b, c);
    put_free(p, a, b);
    end_close(c);
}

static void a_put_past_its_region_is_refused(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct put *p = put_new(a, b, 1, 1000);
    (void)state;
    p->theirs.len = 2000; /* the peer lies to itself */
    put_start(p, a, 1, 950, 51, 1);
    ENDS_UNTIL(b->view[0].downs && a->view[1].downs, a, b);
    assert_int_equal(b->view[0].status, SINEW_EPROTO);
    for (int i = 0; i < 1000; i++) assert_int_equal(p->target[i], 0);
    put_free(p, a, b);
}

static void a_key_that_cannot_be_right_is_refused_here(void **state)
{
    struct end *a = ends[0];
    struct region r = { .len = 100, .key_len = 16 };
    (void)state;
    assert_int_equal(transport_tcp.reg(&a->t->base, &a->view[1].link->base, &r), SINEW_EINVAL);
    r.key_len = 15;
    assert_int_equal(transport_tcp.reg(&a->t->base, &a->view[1].link->base, &r), SINEW_EINVAL);
}

/* Half of it has landed when the region goes: the rest goes nowhere, and the link lives. */
static void after_dereg_nothing_lands(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct put *p = put_new(a, b, 1, PUT_MAX);
    (void)state;
    memset(p->source, 0x77, PUT_MAX);
    assert_int_equal(put_start(p, a, 1, 0, PUT_MAX, 1), TRANSPORT_PENDING);
    assert_int_equal(transport_tcp.dereg(&a->t->base, &p->theirs), TRANSPORT_AGAIN); /* under way */
    WHILE (p->target[PUT_MAX / 4] == 0) {
        end_progress(a, NULL);
        end_progress(b, NULL);
    }
    assert_int_equal(transport_tcp.dereg(&b->t->base, &p->mine), 0);
    memset(p->target, 0, PUT_MAX);
    struct region next = { .base = p->target, .len = PUT_MAX }; /* the same place in the table */
    assert_int_equal(transport_tcp.reg(&b->t->base, NULL, &next), 0);
    end_send(a, 1, 10);
    ENDS_UNTIL(a->done[1], a, b);
    end_send(a, 1, 10);
    ENDS_UNTIL(b->view[0].received == a->view[1].sent, a, b);
    for (size_t i = 0; i < PUT_MAX; i++)
        if (p->target[i]) fail_msg("byte %zu landed after dereg", i);
    assert_int_equal(b->view[0].downs, 0);
    assert_int_equal(transport_tcp.dereg(&b->t->base, &next), 0);
    put_free(p, a, b);
}

static void what_is_under_way_when_a_link_dies_is_given_back(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct put *p = put_new(a, b, 1, PUT_MAX);
    (void)state;
    assert_int_equal(put_start(p, a, 1, 0, PUT_MAX, 1), TRANSPORT_PENDING);
    assert_int_equal(transport_tcp.flush(&a->view[1].link->base, 2), TRANSPORT_PENDING);
    transport_tcp.disconnect(&b->view[0].link->base, DISCONNECT_NOW);
    ENDS_UNTIL(a->view[1].downs && b->view[0].downs, a, b);
    assert_int_equal(a->done[1], 1);
    assert_int_equal(a->done_status[1], SINEW_EPEER);
    assert_int_equal(a->done[2], 1);
    assert_int_equal(a->done_status[2], SINEW_EPEER);
    put_free(p, a, b);
}

/* A waiter must not take it for idleness when bytes move and no upcall tells. */
static void parts_of_a_put_are_no_idleness(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct put *p = put_new(a, b, 1, PUT_MAX);
    int busy[2] = { 0, 0 };
    (void)state;
    fill(p->source, PUT_MAX, 3);
    assert_int_equal(put_start(p, a, 1, 0, PUT_MAX, 1), TRANSPORT_PENDING);
    WHILE (!a->done[1]) {
        for (int i = 0; i < 2; i++) {
            uint64_t before = b->view[0].link->stream.land_offset;
            int moved = end_progress(ends[i], NULL);
            if (i == 1 && b->view[0].link->stream.land_offset != before) assert_true(moved > 0);
            busy[i] += moved > 0;
        }
    }
    assert_true(busy[0] >= 2 && busy[1] >= 2);
    assert_int_equal(end_progress(a, NULL) + end_progress(a, NULL), 0);
    ENDS_UNTIL(end_progress(b, NULL) == 0, b);
    put_free(p, a, b);
}

static void drain_delivers_puts_too(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    struct put *p = put_new(a, b, 1, PUT_MAX);
    (void)state;
    fill(p->source, PUT_MAX, 3);
    assert_int_equal(put_start(p, a, 1, 0, PUT_MAX, 1), TRANSPORT_PENDING);
    transport_tcp.disconnect(&a->view[1].link->base, DISCONNECT_DRAIN);
    ENDS_UNTIL(a->view[1].downs && b->view[0].downs, a, b);
    assert_int_equal(a->done_status[1], 0);
    assert_int_equal(a->view[1].status, 0);
    assert_int_equal(b->view[0].gone, GONE_LEFT);
    assert_true(filled(p->target, PUT_MAX, 3));
    put_free(p, a, b);
}

static void bytes_messaging_cannot_read_cost_the_link(void **state)
{
    struct end *a = ends[0], *b = ends[1];
    (void)state;
    b->breaks = true;
    end_send(a, 1, 10);
    ENDS_UNTIL(b->view[0].downs && a->view[1].downs, a, b);
    assert_int_equal(b->view[0].status, SINEW_EPROTO);
}

/* Everything at once, drawn. */
static void random_traffic(void **state)
{
    struct seed seed = seed_from_environment("tcp stream");
    struct put *puts[2][8];
    uint64_t key[2][8] = { 0 };
    (void)state;
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < 8; i++) {
            puts[s][i] = put_new(ends[s], ends[!s], !s, 600000);
            ends[s]->done[i] = 1;
        }
    for (int step = 0; step < 60000; step++) {
        int s = (int)seed_below(&seed, 2);
        struct end *e = ends[s];
        uint64_t what = seed_below(&seed, 100);
        if (what < 40) {
            size_t len = seed_below(&seed, seed_below(&seed, 10) ? 300 : TCP_EAGER_MAX + 1);
            int rc = end_send(e, !s, len);
            assert_true(rc == 0 || rc == TRANSPORT_AGAIN);
        } else if (what < 43) {
            uint64_t i = seed_below(&seed, 8);
            struct put *p = puts[s][i];
            if (!e->done[i]) continue;
            size_t len = (size_t)1 << seed_below(&seed, 20);
            if (len > 600000) len = 600000;
            key[s][i] = seed_next(&seed);
            fill(p->source, len, key[s][i]);
            put_start(p, e, !s, 0, len, i);
        } else if (what < 45) {
            transport_tcp.flush(&e->view[!s].link->base, 100);
        } else if (what < 60) {
            end_peek(e, !s, what < 56);
        } else {
            end_progress(e, what < 80 ? &e->view[!s].link->base : NULL);
        }
    }
    ENDS_UNTIL(ends[0]->view[1].received == ends[1]->view[0].sent &&
                   ends[1]->view[0].received == ends[0]->view[1].sent, ends[0], ends[1]);
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < 8; i++) {
            struct put *p = puts[s][i];
            ENDS_UNTIL(ends[s]->done[i], ends[0], ends[1]);
            ends[s]->done[200 + i] = 0;
            if (transport_tcp.flush(&ends[s]->view[!s].link->base, (uint64_t)(200 + i)) != 0)
                ENDS_UNTIL(ends[s]->done[200 + i], ends[0], ends[1]);
            if (p->op.len) assert_true(filled(p->target, p->op.len, key[s][i]));
            put_free(p, ends[s], ends[!s]);
        }
    assert_true(ends[0]->view[1].received > 1000);
}

#define LINKED(test) cmocka_unit_test_setup_teardown(test, join, part)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINKED(every_size_arrives),
        LINKED(what_is_peeked_at_is_taken_in_order),
        LINKED(what_a_peek_leaves_is_handed_up),
        LINKED(nobody_waits_past_what_is_held),
        LINKED(the_end_of_a_line_is_not_peeked_at),
        LINKED(others_are_heard_beside_peeks),
        LINKED(many_small_messages_are_one_segment),
        LINKED(a_full_link_says_so_and_tells_when_it_is_not),
        LINKED(puts_of_every_size_land),
        LINKED(a_long_put_goes_from_and_to_the_users_memory),
        LINKED(several_puts_go_by_one_call),
        LINKED(puts_both_ways_go_one_by_one),
        LINKED(what_is_for_a_landing_is_fed_to_it),
        LINKED(after_dereg_nothing_is_fed),
        LINKED(a_part_lands_at_its_offset),
        LINKED(messages_pass_between_fragments),
        LINKED(in_the_middle_of_a_body_nothing_is_acknowledged),
        LINKED(a_flush_means_it_has_landed),
        LINKED(more_flushes_than_places_are_told_to_wait),
        LINKED(a_key_never_granted_costs_the_link_only),
        LINKED(a_put_past_its_region_is_refused),
        LINKED(a_key_that_cannot_be_right_is_refused_here),
        LINKED(after_dereg_nothing_lands),
        LINKED(what_is_under_way_when_a_link_dies_is_given_back),
        LINKED(parts_of_a_put_are_no_idleness),
        LINKED(drain_delivers_puts_too),
        LINKED(bytes_messaging_cannot_read_cost_the_link),
        LINKED(random_traffic),
    };
    return cmocka_run_group_tests_name("tcp streams", tests, NULL, NULL);
}
