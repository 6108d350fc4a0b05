/* SPDX-License-Identifier: BSD-3-Clause */
/* messaging_hostile_short.c - the short way: order, room, and windows of receives */
#include "tests/unit/messaging_hostile.h"

static void say_sync_then_eager(struct fake *f)
{
    f->in_progress = NULL;
    uint8_t more[8] = { 9 };
    say(f, &(struct words){ .rank = 1,
                            .kind = KIND_SYNC,
                            .tag = 5,
                            .more = more,
                            .more_len = 8,
                            .blen = 1,
                            .fill = 'a' });
    say_eager(f, 1, 5, 1, 'b');
}

/* One round brings a message that the short way does not take, and one that it would. */
static void a_blocking_receive_takes_the_first(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    char in = 0;
    move(f);
    f->in_progress = say_sync_then_eager;
    assert_int_equal(sinew_recv(team, &in, 1, 1, 5, NULL, NULL), 0);
    assert_int_equal(in, 'a');
    assert_int_equal(sinew_recv(team, &in, 1, 1, 5, NULL, NULL), 0);
    assert_int_equal(in, 'b');
}

/* Transports decide by it how long messages travel. */
static void transports_know_at_open_whether_ranks_outnumber_the_cores(void **unused)
{
    (void)unused;
    for (int cores = 1; cores <= RANKS + 1; cores++) {
        void *state;
        assert_int_equal(open_fake_on(&state, cores), 0);
        bool crowded = ((struct fake *)state)->crowded;
        close_fake(&state);
        assert_int_equal(crowded, RANKS > cores);
    }
}

/* Credit is set aside for short messages only where they can be sent. */
static void a_link_without_short_messages_leaves_the_window_whole(void **state)
{
    struct fake *f = *state;
    f->s->transport[0]->caps.expects = true;
    meet(f);
    say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .credit = 80, .team = 32 });
    move(f);
    const struct peer *p = f->s->peer[1];
    assert_non_null(p->quick_in);
    assert_int_equal(p->window_blocks[SPACE_USER], 160);
    assert_int_equal(p->mine.blocks[SPACE_USER], 159); /* meeting it took one */
}

/* As a link that has such hands it up: its head is the key. */
static void say_short(struct fake *f, int rank, uint32_t tag, size_t blen, uint8_t fill)
{
    struct packet *p = say_eager(f, rank, tag, blen, fill);
    p->hlen = TRANSPORT_SHORT_HEAD;
    wire_put64(p->head, envelope_key(0, tag));
}

/* Whatever way a short message comes, a window met in order is never filed. */
static void short_messages_meet_a_window(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    struct sinew_status st[3];
    struct sinew_request *req[3];
    char in[3][8] = { "" };
    const int32_t some = 0;
    move(f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sinew_recv(team, in[i], i == 2 ? 4 : 8, 1, 7, &st[i], &req[i]),
                         SINEW_PENDING);
    const struct peer *p = f->s->peer[1];
    p->out->shorts = &some;
    for (int i = 0; i < 3; i++) {
        assert_non_null(p->window);
        say_short(f, 1, 7, 8, (uint8_t)(i + 1));
        move(f);
        assert_int_equal(p->filed, 0);
        const struct packet *credit = told(f, 1, KIND_CREDIT); /* for its block */
        assert_true(credit == &f->sent[f->sents - 1] && wire_get16(credit->head + 3) == 1);
    }
    assert_null(p->window);
    assert_int_equal(sinew_wait(&req[0]), 0);
    assert_int_equal(sinew_wait(&req[1]), 0);
    assert_int_equal(sinew_wait(&req[2]), SINEW_ETRUNCATED);
    assert_true(in[0][7] == 1 && in[1][7] == 2 && in[2][3] == 3 && in[2][4] == 0);
    assert_true(st[1].bytes == 8 && st[2].bytes == 4 && st[2].sent == 8);
    rank_2_is_well(f);
}

static void say_stuck_of(struct fake *f, int rank, uint32_t tag)
{
    say(f, &(struct words){ .rank = rank, .kind = KIND_STUCK, .tag = tag });
    move(f);
}

static void say_stuck(struct fake *f, int rank)
{
    say_stuck_of(f, rank, 1);
}

/* The upper half of a CREDIT's team is what the window has grown by; 0: none was told. */
static uint32_t growth_told(const struct fake *f, int rank)
{
    const struct link *l = f->s->peer[rank]->out;
    uint32_t all = 0;
    for (int i = 0; i < f->sents; i++)
        if (f->sent[i].link == l && f->sent[i].head[2] == KIND_CREDIT)
            all += wire_get32(f->sent[i].head + 8) >> 16;
    return all;
}

/* The lower half of its tag, by how many users' messages more may be announced. */
static uint32_t announcements_told(const struct fake *f, int rank)
{
    const struct link *l = f->s->peer[rank]->out;
    uint32_t all = 0;
    for (int i = 0; i < f->sents; i++)
        if (f->sent[i].link == l && f->sent[i].head[2] == KIND_CREDIT)
            all += wire_get16(f->sent[i].head + 12);
    return all;
}

enum { MORE_ANNOUNCED = 64 - 16, GROWN_BYTES = 262144 + MORE_ANNOUNCED * BLOCK_BYTES };

/* Whose messages are taken as they come, and who waits for room all the same, gets more of it,
 * once; and then that much can be kept. */
static void a_stream_gets_more_room_once(void **state)
{
    enum { MESSAGES = 12, LEN = 16000 };
    struct fake *f = *state;
    static uint8_t in[LEN];
    struct sinew_team *team = meet(f);
    move(f);
    const struct peer *p = f->s->peer[1];
    uint64_t memory = f->s->counters.memory_bytes;
    for (int i = 0; i < 3; i++) {
        say_stuck(f, 1);
        assert_int_equal(growth_told(f, 1), 262144 / BLOCK_BYTES);
        assert_int_equal(f->s->counters.memory_bytes, memory + GROWN_BYTES);
    }
    for (int i = 0; i < MESSAGES; i++) say_eager(f, 1, 3, LEN, (uint8_t)(i + 1));
    move(f);
    assert_true(p->blocks_total - p->blocks_free == MESSAGES * blocks_of(LEN));
    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(sinew_recv(team, in, LEN, 1, 3, NULL, NULL), 0);
        assert_true(in[0] == i + 1 && in[LEN / 2] == i + 1 && in[LEN - 1] == i + 1);
    }
    assert_int_equal(p->blocks_free, p->blocks_total);
    assert_true(linked(f, 1));
    rank_2_is_well(f);
}

/* It may announce 64 at once then, each of which finds its block, whatever else lies here. */
static void a_stream_announces_more(void **state)
{
    enum { LEN = 16000 };
    struct fake *f = *state;
    meet(f);
    move(f);
    const struct peer *p = f->s->peer[1];
    assert_int_equal(announcements_told(f, 1), 16 - 1); /* the first is had from the start */
    for (int i = 0; i < 3; i++) {
        say_stuck(f, 1);
        assert_int_equal(announcements_told(f, 1), 16 - 1 + MORE_ANNOUNCED);
    }
    for (int i = 0; i < (160 + 768) / (int)blocks_of(LEN); i++) say_eager(f, 1, 3, LEN, 1);
    for (uint32_t i = 0; i < 64; i++) announce(f, 100 + i, 100000, 0, 0);
    move(f);
    assert_int_equal(p->announcements, 64);
    assert_true(linked(f, 1));
    f->s->peer[2]->context->config.unexpected_requests = 100; /* it has more already */
    say_stuck(f, 2);
    assert_int_equal(growth_told(f, 2), 262144 / BLOCK_BYTES);
    assert_int_equal(announcements_told(f, 2), 16 - 1);
    rank_2_is_well(f);
}

/* An announcement takes one block, so few are used by a flood of them; it gets nothing until they
 * were heard. */
static void what_nobody_clears_announces_no_more(void **state)
{
    enum { ANNOUNCED = 8, LEN = 100000 };
    struct fake *f = *state;
    static uint8_t in[LEN];
    struct sinew_request *req[ANNOUNCED];
    struct sinew_team *team = meet(f);
    move(f);
    for (uint32_t i = 0; i < ANNOUNCED; i++) announce(f, 100 + i, LEN, 0, 0);
    say_stuck(f, 1);
    assert_int_equal(growth_told(f, 1), 0);
    for (int i = 0; i < ANNOUNCED; i++)
        assert_int_equal(sinew_recv(team, in, LEN, 1, 100 + i, NULL, &req[i]), SINEW_PENDING);
    say_stuck(f, 1);
    assert_int_equal(f->s->peer[1]->announcements, 0);
    assert_int_equal(announcements_told(f, 1), 16 - 1 + MORE_ANNOUNCED);
    end_link(f->link[0][1], SINEW_EPEER, GONE_DIED);
    move(f);
    for (int i = 0; i < ANNOUNCED; i++) assert_int_equal(sinew_wait(&req[i]), SINEW_EPEER);
}

/* The other end: with the growth as many more go at once. */
static void more_announcements_go_when_granted(void **state)
{
    enum { SENDS = 24, LEN = 100000 };
    struct fake *f = *state;
    static uint8_t out[LEN];
    struct sinew_request *req[SENDS];
    struct sinew_team *team = meet(f);
    move(f);
    say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .tag = 15 });
    move(f);
    for (int i = 0; i < SENDS; i++)
        assert_int_equal(sinew_send(team, out, LEN, 1, 5, &req[i]), SINEW_PENDING);
    const struct peer *p = f->s->peer[1];
    assert_false(list_empty(&p->queue[SPACE_USER]));
    uint64_t before = f->s->counters.rendezvous_sent;
    say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .team = 1024 << 16, .tag = 48 });
    move(f);
    assert_true(list_empty(&p->queue[SPACE_USER]) && linked(f, 1));
    assert_int_equal(f->s->counters.rendezvous_sent, before + SENDS - 16);
    end_link(f->link[0][1], SINEW_EPEER, GONE_DIED);
    move(f);
    for (int i = 0; i < SENDS; i++) assert_int_equal(sinew_wait(&req[i]), SINEW_EPEER);
}

/* What a window that has grown is told alone is as rare as it is large: a CREDIT that comes first
 * sends a collective's straight call the general way. */
static void room_of_a_grown_window_is_told_less_often(void **state)
{
    enum { LEN = 4096, MESSAGES = 64 };
    struct fake *f = *state;
    static uint8_t in[LEN];
    struct sinew_team *team = meet(f);
    int times[2] = { 0, 0 };
    f->s->peer[1]->out->transport->caps.holds = true; /* a message is a system call */
    for (int grown = 0; grown < 2; grown++) {
        for (int i = 0; i < MESSAGES; i++) {
            int before = f->sents;
            say_eager(f, 1, 3, LEN, 1);
            assert_int_equal(sinew_recv(team, in, LEN, 1, 3, NULL, NULL), 0);
            times[grown] += f->sents > before;
        }
        say_stuck(f, 1);
    }
    assert_in_range(times[1], 1, times[0] / 4);
}

/* Who sends what nobody takes waits, as ever; and where there is no memory nothing is lost. */
static void what_nobody_takes_gets_no_more_room(void **state)
{
    struct fake *f = *state;
    meet(f);
    for (int i = 0; i < 2; i++) say_eager(f, 1, 3, 16000, 1);
    say_stuck(f, 1);
    assert_int_equal(growth_told(f, 1), 0);
    assert_null(f->s->peer[1]->more_blocks);
    f->s->grown = 8; /* as many as may */
    say_stuck(f, 2);
    assert_int_equal(growth_told(f, 2), 0);
    f->s->grown = 0;
    assert_true(linked(f, 1) && linked(f, 2));
}

/* A collective's messages come before they are asked for: whose were received for long gets more
 * room, whatever lies here; and nobody of whom little was, even if nothing lies here: such are all
 * who send once to a root. No receive is asked what it wants. */
static void collectives_that_wait_get_more_room(void **state)
{
    enum { LEN = 16000 };
    struct fake *f = *state;
    static uint8_t in[LEN];
    struct sinew_team *team = meet(f);
    for (int i = 0; i < 2; i++) say_eager(f, 1, 3, LEN, 1);
    for (int received = 0; received < STREAM_BYTES; received += LEN) {
        say_stuck_of(f, 1, STUCK_COLLECTIVE);
        assert_int_equal(growth_told(f, 1), 0);
        assert_int_equal(sinew_recv(team, in, LEN, 1, 3, NULL, NULL), 0);
        say_eager(f, 1, 3, LEN, 1);
        move(f);
    }
    say_stuck_of(f, 1, STUCK_COLLECTIVE);
    assert_int_equal(growth_told(f, 1), 262144 / BLOCK_BYTES);
    assert_int_equal(f->s->stuck_peers, 0);
    say_stuck_of(f, 2, STUCK_COLLECTIVE); /* nothing of it lies here */
    assert_int_equal(growth_told(f, 2), 0);
    assert_int_equal(f->s->grown, 1);
    assert_true(linked(f, 1) && linked(f, 2));
}

/* A peer that is gone keeps neither its place among those that have more room nor the memory,
 * except under what it has left and is still to be received. */
static void who_is_gone_gives_its_room_back(void **state)
{
    enum { LEN = 16000, MORE = GROWN_BYTES };
    struct fake *f = *state;
    static uint8_t in[LEN];
    struct sinew_team *team = meet(f);
    say_stuck(f, 1);
    assert_int_equal(growth_told(f, 1), 262144 / BLOCK_BYTES);
    for (uint8_t i = 1; i <= 2; i++) say_eager(f, 1, 3, LEN, i);
    move(f);
    end_link(f->link[0][1], SINEW_EPEER, GONE_DIED);
    move(f);
    uint64_t before = f->s->counters.memory_bytes;
    for (uint8_t i = 1; i <= 2; i++) {
        assert_int_equal(f->s->grown, 1);
        assert_int_equal(f->s->counters.memory_bytes, before);
        assert_int_equal(sinew_recv(team, in, LEN, 1, 3, NULL, NULL), 0);
        assert_true(in[0] == i && in[LEN - 1] == i);
    }
    assert_int_equal(f->s->grown, 0);
    assert_int_equal(f->s->counters.memory_bytes, before - MORE);
    say_stuck(f, 2);
    assert_int_equal(f->s->grown, 1);
    end_link(f->link[0][2], 0, GONE_LEFT);
    move(f);
    assert_int_equal(f->s->grown, 0); /* at once: nothing of it lies here */
}

/* Bytes that come with what is no message to anybody are not listened to. */
static void what_nobody_receives_is_no_stream(void **state)
{
    enum { LEN = 16000 };
    struct fake *f = *state;
    const uint8_t nobody[8] = { 77 };
    meet(f);
    for (int sent = 0; sent < 2 * STREAM_BYTES; sent += LEN) {
        say(f, &(struct words){
                   .rank = 1, .kind = KIND_ACK, .more = nobody, .more_len = 8, .blen = LEN });
        move(f);
    }
    assert_true(f->s->peer[1]->bytes_in >= STREAM_BYTES && linked(f, 1));
    say_stuck_of(f, 1, STUCK_COLLECTIVE);
    assert_int_equal(growth_told(f, 1), 0);
}

/* The other end of it. */
static void a_window_grows_by_what_is_granted(void **state)
{
    struct fake *f = *state;
    meet(f);
    move(f);
    const struct peer *p = f->s->peer[1];
    uint32_t window = p->window_blocks[SPACE_USER], mine = p->mine.blocks[SPACE_USER];
    uint32_t collective = p->window_blocks[SPACE_COLLECTIVE];
    say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .team = 102 << 16 });
    move(f);
    assert_int_equal(p->window_blocks[SPACE_USER], window + 77);
    assert_int_equal(p->mine.blocks[SPACE_USER], mine + 77);
    assert_int_equal(p->window_blocks[SPACE_COLLECTIVE], collective + 25);
    assert_true(linked(f, 1));
}

static void nothing_ended(struct completion *c, int status)
{
    (void)c;
    (void)status;
}

static int waits_told(const struct fake *f)
{
    int n = 0;
    for (int i = 0; i < f->sents; i++)
        n += f->sent[i].head[2] == KIND_STUCK &&
             wire_get32(f->sent[i].head + 12) == STUCK_COLLECTIVE;
    return n;
}

/* One send that waits, or is announced, to rank 1, which has had so much. */
static void send_of_collective(struct fake *f, size_t len, uint64_t sent)
{
    static struct completion c[64]; /* they outlive what is under way */
    static uint8_t out[FAKE_BODY];
    static uint32_t n;
    struct completion *mine = &c[n % 64];
    struct collective_key key = { .sequence = 1, .step = n++ };
    f->s->peer[1]->whole_out.bytes = sent;
    mine->ended = nothing_ended;
    assert_int_equal(collective_send(sinew_world(f->s), out, len, 1, &key, mine), SINEW_PENDING);
}

/* One block less than a message of 3500 bytes takes. */
static void use_up_room(struct fake *f)
{
    struct peer *p = f->s->peer[1];
    move(f);
    p->mine.blocks[SPACE_COLLECTIVE] = blocks_of(3500) - 1;
}

/* A collective's message for which there is no credit says so, of a stream, and not with each that
 * follows; and who hears nothing does not go on for ever. */
static void a_collective_that_waits_says_so(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    use_up_room(f);
    send_of_collective(f, 3500, 100);
    assert_int_equal(waits_told(f), 0);
    for (uint32_t more = 1; more < 20; more++) {
        for (int i = 0; i < 2; i++) {
            send_of_collective(f, 3500, (uint64_t)more * 2 * STREAM_BYTES);
            assert_in_range(waits_told(f), 1, 8);
        }
    }
    assert_int_equal(waits_told(f), 8);
    collective_cancel(team, 1, SINEW_ECANCELED);
}

/* One that is announced because the window is small says so, too. */
static void a_collective_that_is_announced_says_so(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    move(f);
    send_of_collective(f, 10240, 2 * STREAM_BYTES);
    assert_non_null(told(f, 1, KIND_COLL_RTS));
    assert_int_equal(waits_told(f), 1);
    collective_cancel(team, 1, SINEW_ECANCELED);
}

/* Nor do those for which more room is of no use. */
static void a_collective_that_waits_for_no_room_says_nothing(void **state)
{
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    struct peer *p = f->s->peer[1];
    move(f);
    p->out->transport->caps.eager_max = 10000;
    send_of_collective(f, 10240, 2 * STREAM_BYTES); /* the link has no room for it */
    assert_int_equal(p->mine.requests[SPACE_COLLECTIVE], 0);
    p->out->transport->caps.eager_max = FAKE_BODY;
    send_of_collective(f, 10240, 4 * STREAM_BYTES); /* waits to be announced */
    assert_false(list_empty(&p->queue[SPACE_COLLECTIVE]));
    use_up_room(f);
    send_of_collective(f, 3500, 6 * STREAM_BYTES); /* and this one behind it */
    assert_int_equal(waits_told(f), 0);
    collective_cancel(team, 1, SINEW_ECANCELED);
}

/* In a window that has grown a collective's message may be twice as long without being announced,
 * over a link that takes as much at once; a user's may not. */
static void a_grown_window_announces_less(void **state)
{
    enum { LEN = 2 * FAKE_BODY };
    struct fake *f = *state;
    static uint8_t out[LEN + 1];
    static struct completion c;
    struct sinew_team *team = meet(f);
    const struct peer *p = f->s->peer[1];
    struct collective_key key = { .sequence = 1 };
    c.ended = nothing_ended;
    move(f);
    p->out->transport->caps.eager_max = p->out->transport->caps.copy_max = LEN;
    say(f, &(struct words){ .rank = 1, .kind = KIND_CREDIT, .team = 1024 << 16 });
    move(f);
    assert_int_equal(collective_send(team, out, LEN, 1, &key, &c), 0);
    assert_int_equal(told(f, 1, KIND_COLL)->blen, LEN);
    assert_int_equal(send_eager_limit(p, SPACE_USER), FAKE_BODY);
    assert_in_range(send_eager_limit(f->s->peer[2], SPACE_COLLECTIVE), 0, FAKE_BODY);
    key.step++;
    assert_int_equal(collective_send(team, out, LEN + 1, 1, &key, &c), SINEW_PENDING);
    assert_non_null(told(f, 1, KIND_COLL_RTS));
    collective_cancel(team, 1, SINEW_ECANCELED);
}

static int credits_told(const struct fake *f)
{
    int n = 0;
    for (int i = 0; i < f->sents; i++)
        n += f->sent[i].link->rank == 1 && f->sent[i].head[2] == KIND_CREDIT;
    return n;
}

/* Half of what a collective's window has grown to goes along with what this end sends, for a
 * message of its own costs as much as any there; more does not, or the sender would wait for it. */
static void credit_of_a_grown_window_goes_along(void **state)
{
    enum { LEN = 10240 };
    struct fake *f = *state;
    static uint8_t in[LEN];
    static struct completion c;
    struct sinew_team *team = meet(f);
    c.ended = nothing_ended;
    move(f);
    f->s->peer[1]->out->transport->caps.holds = true;
    say_stuck(f, 1);
    int before = credits_told(f);
    for (uint32_t i = 1; i * blocks_of(LEN) < 160 + blocks_of(LEN); i++) {
        struct collective_key key = { .sequence = i };
        assert_int_equal(credits_told(f), before);
        assert_int_equal(collective_recv(team, in, LEN, 1, &key, &c), SINEW_PENDING);
        say(f, &(struct words){ .rank = 1, .kind = KIND_COLL, .tag = i, .blen = LEN });
        assert_true(sinew_progress(f->s) >= 0);
    }
    assert_int_equal(credits_told(f), before + 1);
}

static const struct collective_key kept_key = { .sequence = 3, .step = 5, .digest = 7 };
enum { KEPT = 600 };

/* A collective's message from rank 1 with the full head, or, short, as one line; it is kept. */
static void keep(struct fake *f, uint8_t kind, size_t len)
{
    const uint8_t more[16] = { 9, [9] = 1 }; /* of an announcement: its request, and 256 bytes */
    struct packet *p = say(f, &(struct words){ .rank = 1,
                                               .kind = kind,
                                               .tag = kept_key.sequence,
                                               .more = more,
                                               .more_len = kind == KIND_COLL ? 0 : sizeof(more),
                                               .blen = kind == KIND_COLL ? len : 0,
                                               .fill = 0x5a });
    wire_put32(p->head + 16, kept_key.step);
    wire_put32(p->head + 24, kept_key.digest);
    move(f);
    assert_int_equal(f->s->match.kept_count, 1);
}

static void keep_line(struct fake *f, size_t len)
{
    struct packet *p = say_eager(f, 1, 0, SHORT_MATCH + len, 0x5a);
    p->hlen = TRANSPORT_SHORT_HEAD;
    wire_put64(p->head, envelope_key(ENVELOPE_OF_COLLECTIVE, kept_key.sequence));
    wire_put32(p->body, kept_key.step);
    wire_put32(p->body + 4, kept_key.digest);
    move(f);
    assert_int_equal(f->s->match.kept_count, 1);
}

static void take_kept(struct fake *f, size_t len, enum space credit)
{
    struct peer *p = f->s->peer[1];
    uint8_t in[KEPT + 1] = { 0 };
    uint32_t owed = p->owed.blocks[credit];
    struct flow before = peer_received(p);
    struct sinew_team *team = sinew_world(f->s);
    assert_int_equal(p->blocks_total - p->blocks_free, blocks_of(len));
    assert_true(collective_take_kept(team, in, len, 1, &kept_key));
    assert_true(in[0] == 0x5a && in[len - 1] == 0x5a && in[len] == 0);
    assert_int_equal(p->blocks_free, p->blocks_total);
    assert_int_equal(p->owed.blocks[credit], owed + blocks_of(len));
    struct flow now = peer_received(p);
    assert_true(now.messages == before.messages + 1 && now.bytes == before.bytes + len);
    assert_int_equal(f->s->match.kept_count, 0);
    assert_false(collective_take_kept(team, in, len, 1, &kept_key));
}

/* What was kept of a collective is taken without a request, once, and its room is whole again. */
static void what_was_kept_is_taken_the_short_way(void **state)
{
    struct fake *f = *state;
    const int32_t some = 0;
    meet(f);
    move(f);
    for (int i = 0; i < 3; i++) {
        keep(f, KIND_COLL, KEPT);
        take_kept(f, KEPT, SPACE_COLLECTIVE);
    }
    f->s->peer[1]->out->shorts = &some;
    keep_line(f, 24);
    take_kept(f, 24, SPACE_USER);
    assert_true(linked(f, 1));
}

/* What is not that very message stays where it is, for the general way, which says what is
 * wrong. */
static void only_the_very_message_is_taken(void **state)
{
    struct fake *f = *state;
    uint8_t in[KEPT];
    struct sinew_team *team = meet(f);
    move(f);
    keep(f, KIND_COLL, KEPT);
    struct collective_key other[] = { kept_key, kept_key, kept_key, kept_key };
    other[0].digest++;
    other[1].step++;
    other[2].sequence++;
    other[3].tile++;
    for (int i = 0; i < 4; i++)
        assert_false(collective_take_kept(team, in, KEPT, 1, &other[i]));
    assert_false(collective_take_kept(team, in, KEPT - 1, 1, &kept_key));
    assert_false(collective_take_kept(team, in, KEPT, 2, &kept_key));
    take_kept(f, KEPT, SPACE_COLLECTIVE);
    keep(f, KIND_COLL_RTS, 256);
    assert_false(collective_take_kept(team, in, 256, 1, &kept_key));
    assert_false(collective_take_kept(team, in, 0, 1, &kept_key));
    assert_int_equal(f->s->match.kept_count, 1);
}

/* As much as is worth telling is owed: the answer takes it along; without one the next look
 * tells. */
static void an_answer_takes_the_credit_along(void **state)
{
    enum { LONG = 8192 };
    struct fake *f = *state;
    struct sinew_team *team = meet(f);
    uint8_t *in = test_malloc(FAKE_BODY), one = 0;
    move(f);
    int told_before = credits_told(f);
    say_eager(f, 1, 5, LONG, 'a');
    assert_int_equal(sinew_recv(team, in, LONG, 1, 5, NULL, NULL), 0);
    assert_int_equal(credits_told(f), told_before);
    assert_int_equal(sinew_send(team, &one, 1, 1, 6, NULL), 0);
    const struct packet *answer = told(f, 1, KIND_EAGER);
    assert_int_equal(wire_get16(answer->head + 3), blocks_of(LONG));

    say_eager(f, 1, 5, LONG, 'b');
    assert_int_equal(sinew_recv(team, in, LONG, 1, 5, NULL, NULL), 0);
    assert_int_equal(credits_told(f), told_before);
    say_eager(f, 1, 5, 1, 'c');
    assert_int_equal(sinew_recv(team, in, LONG, 1, 5, NULL, NULL), 0);
    assert_int_equal(credits_told(f), told_before + 1);
    assert_int_equal(wire_get16(told(f, 1, KIND_CREDIT)->head + 3), blocks_of(LONG));

    move(f); /* and the one for 'c' */
    told_before = credits_told(f);
    say_eager(f, 1, 5, FAKE_BODY, 'd');
    assert_int_equal(sinew_recv(team, in, FAKE_BODY, 1, 5, NULL, NULL), 0);
    assert_int_equal(credits_told(f), told_before);
    assert_int_equal(sinew_send(team, &one, 1, 1, 6, NULL), 0);
    test_free(in);
}

/* A user's window that is half used up is told of at once, however many announcements there may be:
 * else who sends the longest would wait for a call that may never come. */
static void a_half_empty_window_is_told_at_once(void **state)
{
    struct fake *f = *state;
    static uint8_t in[2][FAKE_BODY];
    struct sinew_request *recv[2];
    f->s->config.unexpected_requests = 256;
    struct sinew_team *team = meet(f);
    move(f);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sinew_recv(team, in[i], FAKE_BODY, 1, 5, NULL, &recv[i]), SINEW_PENDING);
    int before = credits_told(f);
    for (int i = 0; i < 2; i++) say_eager(f, 1, 5, FAKE_BODY, 'a');
    assert_true(sinew_progress(f->s) >= 0);
    assert_int_equal(credits_told(f), before + 1);
    assert_int_equal(sinew_wait_all(recv, 2, NULL, 0), 0);
}

int hostile_short(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_blocking_receive_takes_the_first),
        CASE(a_link_without_short_messages_leaves_the_window_whole),
        CASE(short_messages_meet_a_window),
        CASE(a_stream_gets_more_room_once),
        CASE(a_stream_announces_more),
        CASE(what_nobody_clears_announces_no_more),
        CASE(more_announcements_go_when_granted),
        CASE(room_of_a_grown_window_is_told_less_often),
        CASE(who_is_gone_gives_its_room_back),
        CASE(what_nobody_takes_gets_no_more_room),
        CASE(collectives_that_wait_get_more_room),
        CASE(what_nobody_receives_is_no_stream),
        CASE(a_collective_that_waits_says_so),
        CASE(a_collective_that_is_announced_says_so),
        CASE(a_collective_that_waits_for_no_room_says_nothing),
        CASE(what_was_kept_is_taken_the_short_way),
        CASE(only_the_very_message_is_taken),
        CASE(a_window_grows_by_what_is_granted),
        CASE(a_grown_window_announces_less),
        CASE(credit_of_a_grown_window_goes_along),
        CASE(an_answer_takes_the_credit_along),
        CASE(a_half_empty_window_is_told_at_once),
        cmocka_unit_test(transports_know_at_open_whether_ranks_outnumber_the_cores),
    };
    return cmocka_run_group_tests_name("the short way", cases, NULL, NULL);
}
