/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/tcp_end.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/wire.h"

const uint8_t end_secret[32] = "a secret of thirty-two bytes...";

static int64_t clock_ahead;

void clock_advance(int64_t ns)
{
    clock_ahead += ns;
}

int64_t clock_now(void)
{
    return world_real.now(NULL) + clock_ahead;
}

static int64_t end_now(void *arg)
{
    (void)arg;
    return clock_now();
}

static struct end *end_of(struct transport *t)
{
    return t->owner;
}

static struct view *view_of(struct link *l)
{
    return &end_of(l->transport)->view[l->rank];
}

void fill(uint8_t *to, size_t len, uint64_t key)
{
    struct seed s = { key };
    for (size_t i = 0; i < len; i += 8) {
        uint64_t v = seed_next(&s);
        memcpy(to + i, &v, len - i < 8 ? len - i : 8);
    }
}

bool filled(const uint8_t *at, size_t len, uint64_t key)
{
    struct seed s = { key };
    for (size_t i = 0; i < len; i += 8) {
        uint64_t v = seed_next(&s);
        if (memcmp(at + i, &v, len - i < 8 ? len - i : 8)) return false;
    }
    return true;
}

static uint64_t content_key(int from, int to, uint64_t number)
{
    return (uint64_t)from << 40 | (uint64_t)to << 32 | number;
}

static struct link *up_link(struct transport *t, int rank, uint64_t epoch)
{
    struct end *e = end_of(t);
    struct view *v = &e->view[rank];
    e->upcalls++;
    assert_true(rank >= 0 && rank < ENDS_MAX && rank != e->rank);
    if (e->refuses) return NULL;
    assert_null(v->link);
    v->links++;
    v->epoch = epoch;
    v->link = world_allocate_aligned(&world_real, 64, transport_tcp.link_size);
    v->link->base = (struct link){ .ops = &transport_tcp,
                                   .transport = t,
                                   .owner = e,
                                   .epoch = epoch,
                                   .rank = rank };
    return &v->link->base;
}

static void up_up(struct link *l)
{
    end_of(l->transport)->upcalls++;
    view_of(l)->ups++;
    assert_false(view_of(l)->is_up);
    view_of(l)->is_up = true;
    assert_true(l->epoch != 0);
}

static void up_tell(struct link *l, const void *bytes, size_t len)
{
    (void)l;
    (void)bytes;
    (void)len;
    fail_msg("tcp needs no tell");
}

static int up_recv(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                   struct lease *lease)
{
    struct end *e = end_of(l->transport);
    struct view *v = view_of(l);
    struct wire_reader r = wire_read(head, hlen);
    e->upcalls++;
    assert_null(lease);
    assert_true(v->is_up);
    if (e->breaks) return SINEW_EPROTO;
    assert_int_equal(wire_take64(&r), v->received);
    assert_int_equal(wire_take32(&r), blen);
    assert_false(r.bad);
    assert_true(filled(body, blen, content_key(l->rank, e->rank, v->received)));
    v->received++;
    return 0;
}

static void up_done(struct link *l, uint64_t cookie, int status)
{
    struct end *e = end_of(l->transport);
    e->upcalls++;
    assert_true(cookie < COOKIES_MAX);
    e->done[cookie]++;
    e->done_status[cookie] = status;
}

static void up_room(struct link *l)
{
    end_of(l->transport)->upcalls++;
    view_of(l)->rooms++;
}

static void up_down(struct link *l, int status, enum gone gone)
{
    struct view *v = view_of(l);
    end_of(l->transport)->upcalls++;
    assert_ptr_equal(v->link, l);
    v->downs++;
    v->is_up = false;
    v->status = status;
    v->gone = gone;
    v->to_free = true;
    memcpy(v->why, l->why.text, sizeof(v->why));
    if (status < 0) assert_true(v->why[0]);
}

static void end_log(void *arg, int level, const char *line)
{
    struct end *e = arg;
    if (level > LOG_WARNING) return;
    e->log_lines++;
    snprintf(e->last_log, sizeof(e->last_log), "%s", line);
}

struct end *end_open(int rank, uint64_t epoch, const uint8_t *secret)
{
    struct end *e = world_allocate(&world_real, sizeof(*e));
    e->rank = rank;
    e->world = world_real;
    e->world.now = end_now;
    e->config.setup_deadline = 30 * CONFIG_SECOND;
    e->config.repair_deadline = 15 * CONFIG_SECOND;
    e->config.security = getenv("TEST_ENCRYPT") && secret ? SINEW_SECURITY_ENCRYPT : 0;
    e->config.checksum = getenv("TEST_CHECKSUM") != NULL;
    snprintf(e->config.tcp_interface, sizeof(e->config.tcp_interface), "127.0.0.1");
    e->log = (struct log){ .level = LOG_DETAIL, .write = end_log, .arg = e };
    e->up = (struct transport_up){ .link = up_link, .up = up_up, .tell = up_tell, .recv = up_recv,
                                   .done = up_done, .room = up_room, .down = up_down };
    e->t = world_allocate_aligned(&world_real, 64, transport_tcp.transport_size);
    e->t->base = (struct transport){ .ops = &transport_tcp, .up = &e->up, .owner = e };
    e->t->base.opt = (struct transport_options){ &e->world, &e->config, rank,   ENDS_MAX,
                                                 epoch,     secret,     &e->log, false };
    int rc = transport_tcp.open(&e->t->base);
    if (rc < 0) fail_msg("open: %s", e->t->base.why.text);
    return e;
}

int end_progress(struct end *e, struct link *l)
{
    e->upcalls = 0;
    int n = transport_tcp.progress(&e->t->base, l);
    assert_true(n == e->upcalls || (n == 1 && e->upcalls == 0)); /* parts of something moved */
    assert_true(n <= TRANSPORT_UPCALLS_MAX);
    for (int i = 0; i < ENDS_MAX; i++) {
        struct view *v = &e->view[i];
        if (!v->to_free) continue;
        world_release(&world_real, v->link, transport_tcp.link_size);
        v->link = NULL;
        v->to_free = false;
    }
    return n;
}

void end_close(struct end *e)
{
    for (int i = 0; i < ENDS_MAX; i++) {
        if (!e->view[i].link) continue;
        transport_tcp.disconnect(&e->view[i].link->base, DISCONNECT_NOW);
        ENDS_UNTIL(!e->view[i].link, e);
    }
    transport_tcp.close(&e->t->base);
    world_release(&world_real, e->t, transport_tcp.transport_size);
    world_release(&world_real, e, sizeof(*e));
}

union place end_address(const struct end *e)
{
    struct tcp_place places[TCP_PLACES_MAX];
    struct why why;
    int n;
    if (address_decode(e->t->base.address, e->t->base.address_len, places, &n, &why) < 0)
        fail_msg("%s", why.text);
    return places[0].at;
}

void end_reached_at(struct end *e, const union place *at)
{
    e->t->places_len = e->t->base.address_len = address_encode(at, e->t->places);
    memcpy(e->t->base.address, e->t->places, e->t->base.address_len);
}

int end_connect(struct end *from, const struct end *to)
{
    struct view *v = &from->view[to->rank];
    assert_null(v->link);
    v->link = world_allocate_aligned(&world_real, 64, transport_tcp.link_size);
    v->link->base = (struct link){
        .ops = &transport_tcp, .transport = &from->t->base, .owner = from, .rank = to->rank
    };
    return transport_tcp.connect(&v->link->base, to->t->base.address, to->t->base.address_len);
}

void ends_join(struct end *a, struct end *b)
{
    int ups = a->view[b->rank].ups;
    assert_int_equal(end_connect(a, b), 0);
    ENDS_UNTIL(a->view[b->rank].ups > ups && b->view[a->rank].ups > 0, a, b);
}

static int send_one(struct end *from, int to, size_t blen, uint64_t cookie)
{
    static uint8_t body[TCP_EAGER_MAX];
    struct view *v = &from->view[to];
    uint8_t head[12];
    wire_put64(head, v->sent);
    wire_put32(head + 8, (uint32_t)blen);
    fill(body, blen, content_key(from->rank, to, v->sent));
    int rc = transport_tcp.send(&v->link->base, head, sizeof(head), body, blen, NULL, cookie);
    memset(body, 0xee, blen); /* it was copied */
    if (rc == 0 || rc == TRANSPORT_HELD) v->sent++;
    return rc;
}

int end_send(struct end *from, int to, size_t blen)
{
    return send_one(from, to, blen, 0);
}

int end_hold(struct end *from, int to, size_t blen, uint64_t cookie)
{
    return send_one(from, to, blen, cookie);
}

int end_peek(struct end *e, int from, bool take)
{
    struct view *v = &e->view[from];
    struct peeked m;
    if (!v->link) return TRANSPORT_NOT_THIS;
    int rc = transport_tcp.peek(&v->link->base, &m);
    if (rc != 0) return rc;
    struct wire_reader r = wire_read(m.head, m.hlen);
    assert_int_equal(wire_take64(&r), v->received);
    assert_int_equal(wire_take32(&r), m.blen);
    assert_false(r.bad);
    assert_true(filled(m.body, m.blen, content_key(from, e->rank, v->received)));
    if (!take) return 0;
    transport_tcp.drop(&v->link->base);
    v->received++;
    return 0;
}

static void put_land(struct landing *landing, size_t offset, const void *piece, size_t len)
{
    struct put *p = LIST_OWNER(landing, struct put, landing);
    if (offset == 0) p->next = 0;
    assert_true(len > 0 && offset == p->next && offset % LANDING_ALIGN == 0);
    assert_true(len <= p->mine.len - offset);
    memcpy(p->target + offset, piece, len);
    p->next += len;
    p->landed += len;
}

static struct put *put_make(struct end *a, struct end *b, int to, size_t len, bool lands)
{
    struct put *p = world_allocate(&world_real, sizeof(*p));
    p->source = world_allocate(&world_real, len + 1);
    p->target = world_allocate(&world_real, len + 1);
    p->mine = (struct region){ .base = p->target, .len = len };
    p->landing.land = put_land;
    if (lands) p->mine.landing = &p->landing;
    assert_int_equal(transport_tcp.reg(&b->t->base, NULL, &p->mine), 0);
    p->theirs = (struct region){ .len = len, .key_len = p->mine.key_len };
    memcpy(p->theirs.key, p->mine.key, p->mine.key_len);
    assert_int_equal(transport_tcp.reg(&a->t->base, &a->view[to].link->base, &p->theirs), 0);
    return p;
}

struct put *put_new(struct end *a, struct end *b, int to, size_t len)
{
    return put_make(a, b, to, len, false);
}

struct put *put_new_landing(struct end *a, struct end *b, int to, size_t len)
{
    return put_make(a, b, to, len, !a->view[to].link->base.lands_not);
}

void put_free(struct put *p, struct end *a, struct end *b)
{
    size_t len = p->mine.len;
    assert_int_equal(transport_tcp.dereg(&a->t->base, &p->theirs), 0);
    assert_int_equal(transport_tcp.dereg(&b->t->base, &p->mine), 0);
    world_release(&world_real, p->source, len + 1);
    world_release(&world_real, p->target, len + 1);
    world_release(&world_real, p, sizeof(*p));
}

int put_start(struct put *p, struct end *a, int to, uint64_t offset, size_t len, uint64_t cookie)
{
    p->op = (struct rma){ .kind = RMA_PUT, .local = p->source, .len = len, .peers = &p->theirs,
                          .offset = offset, .cookie = cookie };
    a->done[cookie] = 0;
    p->put += len;
    int rc = transport_tcp.rma(&a->view[to].link->base, &p->op);
    if (rc == 0) a->done[cookie] = 1;
    return rc;
}

int raw_connect(const struct end *to)
{
    union place at = end_address(to);
    int fd = socket(at.any.sa_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &at.any, place_len(&at)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    /* Else what follows waits 40 ms for what went before to be acknowledged. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return fd;
}

bool raw_is_closed(int fd)
{
    char byte[256];
    ssize_t n;
    WHILE ((n = recv(fd, byte, sizeof(byte), 0)) > 0) continue;
    return n == 0 || (errno != EAGAIN && errno != EINTR);
}
