/* SPDX-License-Identifier: BSD-3-Clause */
#include "messaging_fake.h"

#include "transport/stub.h"

/* ---- a wire that the test holds in its hands ---- */

static struct fake *fake; /* the tables below have no other way to it */

static int fake_of(const struct transport *t)
{
    return t->ops->id - 1;
}

static bool second_is_wired, all_together; /* read while a context opens */

static int fake_open(struct transport *t)
{
    t->caps = (struct transport_caps){ .eager_max = FAKE_BODY,
                                       .copy_max = FAKE_BODY,
                                       .put_ordered = true,
                                       .wired = second_is_wired && fake_of(t) == 1 };
    t->address_len = 1;
    fake->crowded = t->opt.crowded;
    return 0;
}

static void fake_close(struct transport *t)
{
    (void)t;
}

static int fake_reach(struct transport *t, const void *address, size_t len, struct why *why)
{
    (void)t, (void)address, (void)len, (void)why;
    return 1;
}

static int fake_connect(struct link *l, const void *bytes, size_t len)
{
    (void)bytes, (void)len;
    fake->connects++;
    if (fake->link[fake_of(l->transport)][l->rank] == l) return 0; /* what its counterpart told */
    assert_null(fake->link[fake_of(l->transport)][l->rank]);
    fake->link[fake_of(l->transport)][l->rank] = l;
    return 0;
}

void end_link(struct link *l, int status, enum gone gone)
{
    int i = fake_of(l->transport);
    if (fake->ending[i][l->rank]) return;
    fake->ending[i][l->rank] = true;
    fake->status[i][l->rank] = status;
    fake->gone[i][l->rank] = gone;
}

static void fake_disconnect(struct link *l, enum disconnect_how how)
{
    end_link(l, 0, how == DISCONNECT_DEAD ? GONE_DIED : GONE_LEFT);
}

static int fake_send(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                     struct region *region, uint64_t cookie)
{
    (void)region, (void)cookie;
    if (fake->ending[fake_of(l->transport)][l->rank]) return SINEW_EPEER;
    if (fake->full) return TRANSPORT_AGAIN;
    assert_in_range(fake->sents, 0, SENT_MAX - 1);
    assert_in_range(hlen, 0, TRANSPORT_HEAD_MAX);
    struct packet *p = &fake->sent[fake->sents++];
    *p = (struct packet){ .link = l, .hlen = hlen, .blen = blen };
    memcpy(p->head, head, hlen);
    p->body = malloc(blen + 1);
    if (blen) memcpy(p->body, body, blen);
    return 0;
}

/* Where the test says that messages are lent: the first that comes, where it lies. */
static struct packet *next_of(const struct link *l)
{
    for (int n = 0; n < fake->comings; n++)
        if (fake->coming[n].link == l) return &fake->coming[n];
    return NULL;
}

static int fake_peek(struct link *l, struct peeked *m)
{
    const struct packet *p = next_of(l);
    if (!p) return TRANSPORT_NOTHING;
    *m = (struct peeked){ .head = p->head, .body = p->body, .hlen = p->hlen, .blen = p->blen };
    return 0;
}

static void fake_drop(struct link *l)
{
    struct packet *p = next_of(l);
    assert_non_null(p);
    free(p->body);
    p->link = NULL;
}

static int fake_rma(struct link *l, struct rma *op)
{
    fake->rma = op;
    fake->rma_link = l;
    return fake->put_pending ? TRANSPORT_PENDING : 0;
}

static int fake_flush(struct link *l, uint64_t cookie)
{
    (void)l, (void)cookie;
    return 0;
}

static int fake_reg(struct transport *t, struct link *l, struct region *region)
{
    if (!l && fake->reg_fails) return SINEW_ELIMIT;
    if (!l) region->key[0] = t->ops->id;
    if (!l) region->key_len = 1;
    return 0;
}

/* Whom it was for may be gone: then messaging has said so. */
static int fake_dereg(struct transport *t, struct region *region)
{
    const struct link *reader = region->reader;
    assert_true(!reader || reader == fake->going || reader == fake->link[fake_of(t)][1] ||
                reader == fake->link[fake_of(t)][2]);
    return fake->dereg_again ? TRANSPORT_AGAIN : 0;
}

static int bring_up(struct transport *t)
{
    int i = fake_of(t), upcalls = 0;
    for (int rank = 0; rank < RANKS && !fake->silent; rank++) {
        if (!fake->link[i][rank] || fake->up[i][rank] || fake->ending[i][rank]) continue;
        fake->up[i][rank] = true;
        t->up->up(fake->link[i][rank]);
        upcalls++;
    }
    return upcalls;
}

static int hand_up(struct transport *t)
{
    int upcalls = 0;
    for (int n = 0; n < fake->comings; n++) {
        struct packet *p = &fake->coming[n];
        if (!p->link || p->link->transport != t) continue;
        struct link *l = p->link;
        p->link = NULL;
        int rc = t->up->recv(l, p->head, p->hlen, p->body, p->blen, NULL);
        free(p->body);
        if (rc < 0) end_link(l, rc, GONE_BROKEN);
        upcalls++;
    }
    return upcalls;
}

static int take_down(struct transport *t)
{
    int i = fake_of(t), upcalls = 0;
    for (int rank = 0; rank < RANKS; rank++) {
        struct link *l = fake->link[i][rank];
        if (!l || !fake->ending[i][rank]) continue;
        fake->link[i][rank] = NULL;
        fake->up[i][rank] = fake->ending[i][rank] = false;
        if (fake->rma && fake->rma_link == l) {
            struct rma *rma = fake->rma;
            fake->rma = NULL;
            t->up->done(l, rma->cookie, SINEW_EPEER);
        }
        fake->going = l;
        t->up->down(l, fake->status[i][rank], fake->gone[i][rank]);
        fake->going = NULL;
        upcalls++;
    }
    return upcalls;
}

static int fake_progress(struct transport *t, struct link *hint)
{
    assert_true(!hint || hint == fake->link[fake_of(t)][hint->rank]); /* not a link of the past */
    fake->polls[fake_of(t)]++;
    if (hint) fake->hinted = hint;
    if (fake->in_progress) fake->in_progress(fake);
    int upcalls = bring_up(t) + hand_up(t);
    return upcalls + take_down(t);
}

static int fake_arm(struct transport *t)
{
    (void)t;
    return 0;
}

#define FAKE(number, is_control)                                                          \
    {                                                                                     \
        .name = "fake" #number, .id = number, .control = is_control,                      \
        .transport_size = sizeof(struct transport),                                       \
        .link_size = sizeof(struct link), .open = fake_open, .close = fake_close,         \
        .reach = fake_reach, .connect = fake_connect, .disconnect = fake_disconnect,      \
        .send = fake_send, .allow = stub_allow, .send_short = stub_send_short,            \
        .take_short = stub_take_short, .peek = fake_peek, .drop = fake_drop,              \
        .rma = fake_rma, .flush = fake_flush, .reg = fake_reg,                            \
        .dereg = fake_dereg, .progress = fake_progress, .arm = fake_arm,                  \
    }

static const struct transport_ops fakes[FAKES] = { FAKE(1, true), FAKE(2, false) };
static const struct transport_ops *const transports[] = { &fakes[0], &fakes[1], NULL };
static const struct transport_ops *const wired_first[] = { &fakes[1], &fakes[0], NULL };

/* ---- a launcher and a world to go with it ---------------------------------------------------- */

static int launch_put(struct launch *l, const void *record, size_t len)
{
    (void)l, (void)record, (void)len;
    return 0;
}

static int launch_fence(struct launch *l, int64_t until)
{
    (void)l, (void)until;
    return 0;
}

static int launch_get(struct launch *l, int rank, void *record)
{
    uint8_t *at = record;
    (void)l, (void)rank;
    memset(at, 0, LAUNCH_RECORD_MAX);
    at[0] = RECORD_VERSION;
    wire_put64(at + 1, EPOCH);
    wire_put32(at + 9, all_together ? 7 : 1 + (uint32_t)rank);
    at[13] = 1, at[14] = 1, at[16] = 2, at[17] = 1;
    return 19;
}

static int launch_failed(struct launch *l, int *rank)
{
    (void)l, (void)rank;
    return 0;
}

static bool launch_left(const struct launch *l, int rank)
{
    (void)l;
    return fake->has_left[rank];
}

static void launch_close(struct launch *l)
{
    (void)l;
}

static const struct launch_ops launch_table = { .name = "fake",
                                                .put = launch_put,
                                                .fence = launch_fence,
                                                .get = launch_get,
                                                .failed = launch_failed,
                                                .left = launch_left,
                                                .close = launch_close,
                                                .abandon = launch_close };

static int64_t world_time(void *arg)
{
    (void)arg;
    return fake->now += 100;
}

static void world_yield(void *arg)
{
    (void)arg;
    if (fake->in_yield) fake->in_yield(fake);
}

static void world_sleep(void *arg, int epoll_fd, int64_t until)
{
    (void)arg, (void)epoll_fd;
    if (fake->in_sleep) fake->in_sleep(fake);
    else if (until == INT64_MAX) fail_msg("a wait that nothing will end");
    if (until > fake->now && until != INT64_MAX) fake->now = until;
}

static int security = SINEW_SECURITY_NONE;
static const char *settings;
static struct world world;
static struct launch launch;

int open_fake(void **state)
{
    return open_fake_on(state, 0);
}

int open_fake_together(void **state, int cores)
{
    all_together = true;
    int rc = open_fake_on(state, cores);
    all_together = false;
    return rc;
}

int open_fake_told(void **state, const char *what, int cores)
{
    settings = what;
    int rc = open_fake_together(state, cores);
    settings = NULL;
    return rc;
}

int open_fake_wired(void **state)
{
    second_is_wired = true;
    int rc = open_fake_on(state, 0);
    second_is_wired = false;
    return rc;
}

int open_fake_wired_encrypted(void **state)
{
    security = SINEW_SECURITY_ENCRYPT;
    int rc = open_fake_wired(state);
    security = SINEW_SECURITY_NONE;
    return rc;
}

int open_fake_on(void **state, int cores)
{
    fake = calloc(1, sizeof(*fake));
    world = world_real;
    world.now = world_time;
    world.yield = world_yield;
    world.sleep = world_sleep;
    launch = (struct launch){ .ops = &launch_table,
                              .world = &world,
                              .size = RANKS,
                              .fd = -1,
                              .has_secret = true,
                              .ranks_here = cores ? RANKS : 0,
                              .cores_here = cores,
                              .cores_name = cores ? 7 : 0 };
    struct sinew_options options = SINEW_OPTIONS_INIT;
    options.security = security;
    options.stall_report = SINEW_NEVER;
    options.log_level = 1;
    options.settings = settings;
    struct origin origin = { .world = &world,
                             .transports = second_is_wired ? wired_first : transports,
                             .launch = &launch };
    assert_int_equal(context_open(&options, &origin, &fake->s), 0);
    *state = fake;
    return 0;
}

int close_fake(void **state)
{
    struct fake *f = *state;
    f->dereg_again = false;
    f->in_progress = NULL;
    for (int rank = 1; rank < RANKS; rank++)
        if (f->s->peer[rank])
            assert_true(f->s->peer[rank]->blocks_free <= f->s->peer[rank]->blocks_total);
    assert_int_equal(sinew_close(f->s), 0);
    for (int i = 0; i < f->comings; i++)
        if (f->coming[i].link) free(f->coming[i].body);
    for (int i = 0; i < f->sents; i++) free(f->sent[i].body);
    free(f);
    return 0;
}

/* ---- words of the wire ----------------------------------------------------------------------- */

struct packet *say(struct fake *f, const struct words *w)
{
    struct packet *p = &f->coming[f->comings++];
    assert_in_range(f->comings, 1, COMING_MAX);
    struct envelope e = { .seq = f->seq[w->rank]++,
                          .kind = w->kind,
                          .credit = w->credit,
                          .length = (uint32_t)w->blen,
                          .team = w->team,
                          .tag = w->tag };
    *p = (struct packet){ .link = f->link[w->fake][w->rank], .blen = w->blen };
    assert_non_null(p->link);
    p->hlen = envelope_encode(p->head, &e);
    if (w->more_len) memcpy(p->head + p->hlen, w->more, w->more_len);
    p->hlen += w->more_len;
    p->body = malloc(w->blen + 1);
    memset(p->body, w->fill, w->blen);
    if (w->body) memcpy(p->body, w->body, w->blen);
    return p;
}

struct packet *say_eager(struct fake *f, int rank, uint32_t tag, size_t blen, uint8_t fill)
{
    return say(f, &(struct words){
                      .rank = rank, .kind = KIND_EAGER, .tag = tag, .blen = blen, .fill = fill });
}

struct packet *say_numbers(struct fake *f, int rank, uint8_t kind, uint32_t tag, int n, uint64_t a,
                           uint64_t b, uint64_t c)
{
    uint8_t more[24];
    wire_put64(more, a);
    wire_put64(more + 8, b);
    wire_put64(more + 16, c);
    return say(
        f, &(struct words){
               .rank = rank, .kind = kind, .tag = tag, .more = more, .more_len = 8 * (size_t)n });
}

struct packet *say_nack(struct fake *f, int rank, uint64_t number, uint8_t whose, int status)
{
    uint8_t more[13];
    wire_put64(more, number);
    more[8] = whose;
    wire_put32(more + 9, (uint32_t)status);
    return say(f, &(struct words){
                      .rank = rank, .kind = KIND_NACK, .more = more, .more_len = sizeof(more) });
}

struct packet *say_cts(struct fake *f, int rank, uint32_t space, uint64_t number, uint64_t accepted,
                       uint8_t transport)
{
    uint8_t body[27] = { 0 };
    wire_put64(body, number);
    wire_put64(body + 8, 77);
    wire_put64(body + 16, accepted);
    body[24] = transport;
    body[25] = 1;
    return say(f, &(struct words){
                      .rank = rank, .kind = KIND_CTS, .tag = space, .body = body, .blen = 27 });
}

/* The last message of this kind that went to `rank`; NULL: none. */
const struct packet *told(struct fake *f, int rank, uint8_t kind)
{
    for (int i = f->sents - 1; i >= 0; i--)
        if (f->sent[i].link->rank == rank && f->sent[i].head[2] == kind) return &f->sent[i];
    return NULL;
}

struct sinew_team *meet(struct fake *f)
{
    struct sinew_team *team = sinew_world(f->s);
    for (int rank = 1; rank < RANKS; rank++)
        assert_int_equal(sinew_send(team, NULL, 0, rank, 0, NULL), 0);
    return team;
}

void move(struct fake *f)
{
    for (int i = 0; i < 4; i++) assert_true(sinew_progress(f->s) >= 0);
}

bool linked(const struct fake *f, int rank)
{
    return f->link[0][rank] || f->link[1][rank];
}

void rank_2_is_well(struct fake *f)
{
    char in[8];
    say_eager(f, 2, 99, 8, 0x22);
    assert_int_equal(sinew_recv(sinew_world(f->s), in, 8, 2, 99, NULL, NULL), 0);
    assert_int_equal(in[7], 0x22);
}
