/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two ends of tcp, over real sockets, through a proxy of our own that resets, stalls, slices and
 * delays as a seed says: every message and every put arrives whole, once and in order, and what is
 * for a landing comes to it so.
 */
#include "tests/unit/tcp_end.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS INT64_C(1000000)

enum { RELAYS = 64, RELAY_BUFFER = 64 * 1024, PUTS = 4, PUT_LEN = 700000, STEPS = 1500 };

struct relay {
    int fd[2]; /* -1: none; from[i] was read from fd[i] */
    uint8_t from[2][RELAY_BUFFER];
    size_t at[2], len[2];
    bool ended[2];
    int stalled; /* steps */
};

struct proxy {
    int listener;
    union place target;
    struct relay relay[RELAYS];
};

static struct {
    struct seed *seed;
    bool is_kind, swallows, deaf; /* what comes stays in the proxy; nobody new is let in */
    size_t flips_from;    /* in pieces that long one bit is turned, 0: in none */
    uint64_t flip_rarity; /* once in so many */
    uint64_t resets, stalls, slices, flips;
} network;

/* From now on the end is reached through the proxy, and says so to its peers. */
static void proxy_open(struct proxy *p, struct end *e)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    p->target = end_address(e);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(p->listener, 64), 0);
    getsockname(p->listener, (struct sockaddr *)&at, &len);
    end_reached_at(e, &(union place){ .v4 = at });
    for (int i = 0; i < RELAYS; i++) p->relay[i].fd[0] = p->relay[i].fd[1] = -1;
}

static void relay_close(struct relay *r, bool reset)
{
    const struct linger none = { .l_onoff = 1 };
    for (int i = 0; i < 2; i++) {
        if (reset && r->fd[i] >= 0)
            setsockopt(r->fd[i], SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        if (r->fd[i] >= 0) close(r->fd[i]);
        r->fd[i] = -1;
    }
}

static void proxy_close(struct proxy *p)
{
    for (int i = 0; i < RELAYS; i++) relay_close(&p->relay[i], true);
    close(p->listener);
}

static void proxy_accept(struct proxy *p)
{
    struct relay *r = NULL;
    for (int i = 0; i < RELAYS && !r; i++)
        if (p->relay[i].fd[0] < 0) r = &p->relay[i];
    int fd = r && !network.deaf ? accept4(p->listener, NULL, NULL, SOCK_NONBLOCK) : -1;
    if (fd < 0) return;
    r->fd[0] = fd;
    r->fd[1] = socket(AF_INET, SOCK_STREAM, 0);
    r->at[0] = r->at[1] = r->len[0] = r->len[1] = 0;
    r->ended[0] = r->ended[1] = false;
    r->stalled = 0;
    if (connect(r->fd[1], &p->target.any, place_len(&p->target)) < 0) relay_close(r, true);
}

static size_t slice(size_t most)
{
    if (network.is_kind || most < 2 || seed_below(network.seed, 3)) return most;
    network.slices++;
    return 1 + (size_t)seed_below(network.seed, most < 2000 ? most : 2000);
}

static void turn_a_bit(uint8_t *bytes, size_t len)
{
    if (!network.flips_from || len < network.flips_from) return;
    if (seed_below(network.seed, network.flip_rarity)) return;
    network.flips++;
    bytes[seed_below(network.seed, len)] ^= (uint8_t)(1u << seed_below(network.seed, 8));
}

static bool relay_move(struct relay *r, int i)
{
    if (r->len[i] == 0 && !r->ended[i]) {
        ssize_t n = recv(r->fd[i], r->from[i], slice(RELAY_BUFFER), MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) return false;
        r->ended[i] = n == 0;
        r->at[i] = 0;
        r->len[i] = n > 0 ? (size_t)n : 0;
        turn_a_bit(r->from[i], r->len[i]);
    }
    if (r->len[i] > 0 && !network.swallows) {
        ssize_t n = send(r->fd[!i], r->from[i] + r->at[i], slice(r->len[i]),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return false;
        r->at[i] += n > 0 ? (size_t)n : 0;
        r->len[i] -= n > 0 ? (size_t)n : 0;
    }
    return !(r->ended[i] && r->len[i] == 0);
}

static void relay_step(struct relay *r)
{
    if (r->fd[0] < 0) return;
    if (!network.is_kind && seed_below(network.seed, 150) == 0) {
        network.resets++;
        relay_close(r, seed_below(network.seed, 4) != 0);
        return;
    }
    if (!network.is_kind && seed_below(network.seed, 100) == 0) {
        network.stalls++;
        r->stalled = (int)seed_below(network.seed, 60);
    }
    if (r->stalled-- > 0) return;
    if (!relay_move(r, 0) || !relay_move(r, 1)) relay_close(r, false);
}

static void proxy_step(struct proxy *p)
{
    proxy_accept(p);
    for (int i = 0; i < RELAYS; i++) relay_step(&p->relay[i]);
}

/* --- traffic ---------------------------------------------------------------------------------- */

struct pair {
    struct end *end[2];
    struct proxy proxy[2];
    struct put *put[2][PUTS];
    uint64_t key[2][PUTS];
};

static void pair_step(struct pair *p)
{
    int s = (int)seed_below(network.seed, 2);
    clock_advance((int64_t)seed_below(network.seed, 400) * MS / 100);
    for (int i = 0; i < 2; i++) proxy_step(&p->proxy[i]);
    struct tcp_link *l = p->end[s]->view[!s].link;
    if (l && l->state == LINK_UP && seed_below(network.seed, 4) == 0)
        end_peek(p->end[s], !s, seed_below(network.seed, 2));
    end_progress(p->end[s], seed_below(network.seed, 2) && l ? &l->base : NULL);
}

static void pair_traffic(struct pair *p)
{
    int s = (int)seed_below(network.seed, 2);
    struct end *e = p->end[s];
    int i = (int)seed_below(network.seed, PUTS);
    bool is_short = seed_below(network.seed, 8);
    if (e->view[!s].downs) fail_msg("down: %s", e->view[!s].why);
    size_t len = (size_t)seed_below(network.seed, is_short ? 300 : TCP_EAGER_MAX);
    int rc = end_send(e, !s, len);
    assert_true(rc == 0 || rc == TRANSPORT_AGAIN);
    if (seed_below(network.seed, 20) || !e->done[i]) return;
    /* What it carried before has come: the flush below waits for the last only. */
    size_t put_len = 1 + (size_t)seed_below(network.seed, PUT_LEN);
    p->key[s][i] = seed_next(network.seed);
    fill(p->put[s][i]->source, put_len, p->key[s][i]);
    rc = put_start(p->put[s][i], e, !s, 0, put_len, (uint64_t)i);
    assert_true(rc == 0 || rc == TRANSPORT_PENDING);
}

static bool pair_is_done(const struct pair *p)
{
    for (int s = 0; s < 2; s++) {
        if (p->end[!s]->view[s].received != p->end[s]->view[!s].sent) return false;
        for (int i = 0; i < PUTS; i++)
            if (!p->end[s]->done[i]) return false;
    }
    return true;
}

static void pair_until(struct pair *p, bool (*done)(const struct pair *), const char *what)
{
    int64_t until = world_real.now(NULL) + 20000 * MS;
    for (;; pair_step(p)) {
        for (int s = 0; s < 2; s++)
            if (p->end[s]->view[!s].downs) fail_msg("%s: down: %s", what, p->end[s]->view[!s].why);
        if (done(p)) return;
        if (world_real.now(NULL) > until) fail_msg("in vain waited for %s", what);
    }
}

static bool pair_is_up(const struct pair *p)
{
    return p->end[0]->view[1].is_up && p->end[1]->view[0].is_up;
}

static void pair_close(struct pair *p)
{
    for (int s = 0; s < 2; s++) {
        proxy_close(&p->proxy[s]);
        end_close(p->end[s]);
    }
}

struct totals {
    uint64_t losses, resent, discarded, damages;
};

static void pair_run(struct seed *seed, uint64_t flip_rarity, struct totals *totals)
{
    static struct pair p;
    memset(&p, 0, sizeof(p));
    network.seed = seed;
    network.is_kind = false;
    network.flips_from = 0; /* a link that is not up yet is refused for good */
    network.flip_rarity = flip_rarity;
    for (int s = 0; s < 2; s++) {
        p.end[s] = end_open(s, 100 + (uint64_t)s, end_secret);
        if (flip_rarity) p.end[s]->config.checksum = true;
        p.end[s]->config.repair_deadline = 60 * CONFIG_SECOND; /* encryption takes more rounds */
        proxy_open(&p.proxy[s], p.end[s]);
    }
    end_connect(p.end[0], p.end[1]);
    if (seed_below(seed, 2)) end_connect(p.end[1], p.end[0]);
    pair_until(&p, pair_is_up, "the link");
    if (flip_rarity) network.flips_from = 1;
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < PUTS; i++) {
            p.put[s][i] = i % 2 ? put_new_landing(p.end[s], p.end[!s], !s, PUT_LEN)
                                : put_new(p.end[s], p.end[!s], !s, PUT_LEN);
            p.end[s]->done[i] = 1;
        }
    for (int step = 0; step < STEPS; step++) {
        if (seed_below(seed, 2)) pair_traffic(&p);
        pair_step(&p);
    }
    /* a put that was copied is done at once: what is sent last comes behind it */
    for (int s = 0; s < 2; s++)
        WHILE (end_send(p.end[s], !s, 1) == TRANSPORT_AGAIN) pair_step(&p);
    pair_until(&p, pair_is_done, "what was sent");
    network.is_kind = true;
    for (int s = 0; s < 2; s++) {
        struct tcp_link *l = p.end[s]->view[!s].link;
        totals->losses += l->losses;
        totals->resent += l->session.resent;
        totals->discarded += l->session.discarded;
        totals->damages += l->damages;
        for (int i = 0; i < PUTS; i++) {
            if (p.put[s][i]->op.len)
                assert_true(filled(p.put[s][i]->target, p.put[s][i]->op.len, p.key[s][i]));
            /* Nothing lands twice, though fragments come again. */
            if (p.put[s][i]->mine.landing)
                assert_int_equal(p.put[s][i]->landed, p.put[s][i]->put);
            put_free(p.put[s][i], p.end[s], p.end[!s]);
        }
    }
    pair_close(&p);
}

static int rounds = 80;

static void everything_arrives_through_a_hostile_network(void **state)
{
    struct seed seed = seed_from_environment("tcp proxy");
    struct totals totals = { 0 };
    (void)state;
    for (int i = 0, tried = 0; i < rounds; tried++) {
        struct seed own = { seed_next(&seed) };
        struct totals before = totals;
        if (tried > 2 * rounds) fail_msg("most seeds lose nothing: they show nothing");
        pair_run(&own, 0, &totals);
        i += totals.losses > before.losses && totals.resent > before.resent;
    }
    print_message("%d seeds: %llu resets, %llu stalls, %llu slices; %llu lines lost, %llu frames "
                  "sent again, %llu discarded\n",
                  rounds, (unsigned long long)network.resets, (unsigned long long)network.stalls,
                  (unsigned long long)network.slices, (unsigned long long)totals.losses,
                  (unsigned long long)totals.resent, (unsigned long long)totals.discarded);
    assert_true(network.resets > 0 && network.stalls > 0 && totals.discarded > 0);
}

/* What comes is what was sent, or does not come yet: with checksums nothing else can be. */
static void turned_bits_are_noticed_and_sent_again(void **state)
{
    struct seed seed = seed_from_environment("tcp bits");
    struct totals totals = { 0 };
    (void)state;
    network.flips = 0;
    for (int i = 0; i < rounds / 4 || (totals.damages == 0 && i < 200); i++) {
        struct seed own = { seed_next(&seed) };
        pair_run(&own, 300, &totals);
    }
    print_message("%llu bits turned, %llu lines lost by that, %llu frames sent again\n",
                  (unsigned long long)network.flips, (unsigned long long)totals.damages,
                  (unsigned long long)totals.resent);
    /* The others were reset before they came. */
    assert_true(totals.damages > 0 && totals.damages <= network.flips);
}

static bool pair_is_down(const struct pair *p)
{
    return p->end[0]->view[1].downs && p->end[1]->view[0].downs;
}

/* A network that does nothing but what it is told to; with checksums where bits are to be
 * turned. */
static void pair_open_kind(struct pair *p, struct seed *seed, bool checked)
{
    memset(p, 0, sizeof(*p));
    network.seed = seed;
    network.is_kind = true;
    network.flips_from = 0;
    for (int s = 0; s < 2; s++) {
        p->end[s] = end_open(s, 100 + (uint64_t)s, end_secret);
        p->end[s]->config.checksum = checked && s == 0; /* it is enough if one wants it */
        proxy_open(&p->proxy[s], p->end[s]);
    }
    end_connect(p->end[0], p->end[1]);
    pair_until(p, pair_is_up, "the link");
}

/*
 * A bit of what end 0 has just sent is turned and lies at end 1, which does not look. Whichever end
 * began the line, it may lead through either proxy.
 */
static void pair_turn_a_bit(struct pair *p)
{
    int64_t until = world_real.now(NULL) + 20000 * MS;
    uint64_t flips = network.flips;
    network.flips_from = 1000;
    network.flip_rarity = 1;
    while (network.flips == flips) {
        end_progress(p->end[0], NULL);
        if (p->end[0]->view[1].link->line != LINE_OPEN) end_progress(p->end[1], NULL);
        for (int s = 0; s < 2; s++) proxy_step(&p->proxy[s]);
        if (world_real.now(NULL) > until) fail_msg("what was sent passes no proxy");
    }
    network.flips_from = 0;
    for (int n = 0; n < 10; n++)
        for (int s = 0; s < 2; s++) proxy_step(&p->proxy[s]);
}

/* It is found in what had arrived before the line broke: it ends there, and all comes by the
 * next. */
static void a_bit_turned_on_a_line_that_is_lost_already(void **state)
{
    struct seed seed = seed_from_environment("tcp lost bit");
    static struct pair p;
    int noticed = 0;
    (void)state;
    pair_open_kind(&p, &seed, true);
    p.put[0][0] = put_new(p.end[0], p.end[1], 1, PUT_LEN);
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < PUTS; i++) p.end[s]->done[i] = 1;
    for (int i = 0; i < 40; i++) {
        struct tcp_link *l = p.end[1]->view[0].link;
        uint64_t damages = l->damages;
        if (i % 2) {
            assert_int_equal(end_send(p.end[0], 1, 20000), 0);
        } else {
            p.key[0][0] = seed_next(&seed);
            fill(p.put[0][0]->source, 20000, p.key[0][0]);
            assert_true(put_start(p.put[0][0], p.end[0], 1, 0, 20000, 0) >= 0);
        }
        assert_int_equal(end_send(p.end[0], 1, 30), 0);
        pair_turn_a_bit(&p);
        line_failed(l, ECONNRESET, "sending");
        pair_until(&p, pair_is_done, "what was sent");
        noticed += l->damages > damages;
        assert_true(filled(p.put[0][0]->target, 20000, p.key[0][0]));
    }
    print_message("of 40 bits turned on such lines %d were noticed there\n", noticed);
    assert_true(noticed > 20); /* else another line was open by then, on which all came */
    put_free(p.put[0][0], p.end[0], p.end[1]);
    pair_close(&p);
}

/* A frame that never comes whole is an error with rank and number, not an endless repair. */
static void a_frame_that_is_damaged_again_and_again_is_an_error(void **state)
{
    struct seed seed = seed_from_environment("tcp same bit");
    static struct pair p;
    (void)state;
    pair_open_kind(&p, &seed, true);
    network.flips_from = 1000;
    network.flip_rarity = 1;
    assert_int_equal(end_send(p.end[0], 1, 30), 0);
    assert_int_equal(end_send(p.end[0], 1, 20000), 0);
    for (int64_t until = world_real.now(NULL) + 20000 * MS; !pair_is_down(&p); pair_step(&p))
        if (world_real.now(NULL) > until) fail_msg("it is repaired for ever");
    assert_int_equal(p.end[1]->view[0].received, 1);
    assert_int_equal(p.end[1]->view[0].status, SINEW_EPROTO);
    assert_non_null(strstr(p.end[1]->view[0].why, "rank 0 at"));
    assert_non_null(strstr(p.end[1]->view[0].why, "frame 2, was damaged on the way 4 times"));
    assert_int_equal(p.end[0]->view[1].status, SINEW_EPEER);
    pair_close(&p);
}

/* End 0 sends five messages and leaves; all of it stays in the proxy. */
static void leave_into_the_proxy(struct pair *p, struct seed *seed)
{
    int64_t until = world_real.now(NULL) + 20000 * MS;
    pair_open_kind(p, seed, false);
    assert_true(p->end[0]->view[1].link->relayed && p->end[1]->view[0].link->relayed);
    network.swallows = true;
    for (int i = 0; i < 5; i++) assert_int_equal(end_send(p->end[0], 1, 300), 0);
    transport_tcp.disconnect(&p->end[0]->view[1].link->base, DISCONNECT_DRAIN);
    while (!p->end[0]->view[1].link->bye_taken) {
        end_progress(p->end[0], NULL);
        for (int s = 0; s < 2; s++) proxy_step(&p->proxy[s]);
        if (world_real.now(NULL) > until) fail_msg("the proxy takes no goodbye");
    }
    assert_int_equal(p->end[1]->view[0].received, 0);
}

/* The relay loses what its kernel had taken, by a reset or a FIN: who leaves is still there to send
 * it again, however long the relay is away, and goes at the peer's word. */
static void leave_behind_a_relay(struct seed *seed, bool reset)
{
    static struct pair p;
    leave_into_the_proxy(&p, seed);
    struct end *leaves = p.end[0], *stays = p.end[1];
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < RELAYS; i++) relay_close(&p.proxy[s].relay[i], reset);
    for (int i = 0; i < 5; i++) end_progress(leaves, NULL);
    clock_advance(3 * TCP_LEAVE_PATIENCE);
    for (int i = 0; i < 5; i++) end_progress(leaves, NULL);
    assert_int_equal(leaves->view[1].downs, 0);
    network.swallows = false;
    int64_t until = world_real.now(NULL) + 20000 * MS, began = clock_now();
    for (; !pair_is_down(&p); pair_step(&p)) {
        network.deaf = stays->view[0].downs; /* its word has to be under way */
        if (world_real.now(NULL) > until) fail_msg("leaving does not end");
    }
    assert_int_equal(stays->view[0].received, 5);
    assert_int_equal(stays->view[0].gone, GONE_LEFT);
    assert_int_equal(leaves->view[1].status, 0);
    network.deaf = false;
    if (clock_now() - began > 5000 * MS) fail_msg("leaving waits for what has come");
    pair_close(&p);
}

/* A peer that computes, or a relay that stands still. */
static void without_a_word_who_leaves_by_a_relay_waits_a_second(void **state)
{
    struct seed seed = seed_from_environment("tcp leaving in vain");
    static struct pair p;
    (void)state;
    leave_into_the_proxy(&p, &seed);
    struct end *leaves = p.end[0];
    clock_advance(TCP_LEAVE_PATIENCE / 2);
    for (int i = 0; i < 5; i++) end_progress(leaves, NULL);
    assert_int_equal(leaves->view[1].downs, 0);
    clock_advance(TCP_LEAVE_PATIENCE / 2);
    ENDS_UNTIL(leaves->view[1].downs, leaves);
    assert_int_equal(leaves->view[1].status, 0);
    network.swallows = false;
    pair_close(&p);
}

static void what_a_relay_has_taken_and_lost_comes_again(void **state)
{
    struct seed seed = seed_from_environment("tcp leaving by a relay");
    (void)state;
    for (int i = 0; i < 10; i++) leave_behind_a_relay(&seed, i % 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives_through_a_hostile_network),
        cmocka_unit_test(turned_bits_are_noticed_and_sent_again),
        cmocka_unit_test(a_bit_turned_on_a_line_that_is_lost_already),
        cmocka_unit_test(a_frame_that_is_damaged_again_and_again_is_an_error),
        cmocka_unit_test(what_a_relay_has_taken_and_lost_comes_again),
        cmocka_unit_test(without_a_word_who_leaves_by_a_relay_waits_a_second),
    };
    if (argc > 1) rounds = atoi(argv[1]);
    return cmocka_run_group_tests_name("tcp through a proxy", tests, NULL, NULL);
}
