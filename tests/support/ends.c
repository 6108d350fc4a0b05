/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void *allocate_or_fail(void *arg, size_t align, size_t size)
{
    (void)arg;
    if (*ends_of.fail_at && --*ends_of.fail_at == 0) return NULL;
    return world_allocate_aligned(&world_real, align, size);
}

static void release(void *arg, void *memory, size_t size)
{
    (void)arg;
    world_release(&world_real, memory, size);
}

int64_t ends_skipped_ns;

static int64_t now(void *arg)
{
    (void)arg;
    return world_now(&world_real) + ends_skipped_ns;
}
static int draw(void *arg, void *bytes, size_t len)
{
    (void)arg;
    return world_real.random(world_real.arg, bytes, len);
}
static void yield(void *arg)
{
    (void)arg;
    ends_skipped_ns += 1000000; /* whoever waits is spared the wait */
}

const struct world world_failing = { .now = now,
                                     .random = draw,
                                     .allocate = allocate_or_fail,
                                     .release = release,
                                     .yield = yield };

/* ---- upcalls --------------------------------------------------------------------------------- */

static struct end *end_of(struct link *l) { return l->transport->owner; }
static struct end_link *link_of(struct link *l) { return &end_of(l)->link[l->rank]; }

static struct link *up_link(struct transport *t, int rank, uint64_t epoch)
{
    (void)t;
    (void)epoch;
    fail_msg("up.link of rank %d by a wired transport", rank);
    return NULL;
}

static void up_up(struct link *l)
{
    assert_int_equal(link_of(l)->ups++, 0);
}
static void up_room(struct link *l) { link_of(l)->rooms++; }

static void up_tell(struct link *l, const void *bytes, size_t len)
{
    struct end *to = end_of(l)->other;
    if (to->deaf) return;
    assert_true(to->tells < END_TELLS && len <= sizeof(to->told[0].bytes));
    to->told[to->tells].rank = l->rank;
    to->told[to->tells].len = len;
    memcpy(to->told[to->tells++].bytes, bytes, len);
}

static int up_recv(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                   struct lease *lease)
{
    struct end_link *el = link_of(l);
    int number;
    (void)lease;
    assert_int_equal(el->ups, 1);
    if (hlen != sizeof(number)) return SINEW_EPROTO; /* and the link goes */
    memcpy(&number, head, sizeof(number));
    assert_int_equal(number, el->received);
    for (size_t i = 0; i < blen; i++) assert_int_equal(((const uint8_t *)body)[i], number & 0xff);
    el->received++;
    return 0;
}

static void up_done(struct link *l, uint64_t cookie, int status)
{
    (void)cookie;
    link_of(l)->dones++;
    link_of(l)->done_status = status;
}

static void up_undone(struct link *l, const void *head, size_t hlen, const void *body, size_t blen)
{
    struct end_link *el = link_of(l);
    int number;
    assert_int_equal(hlen, sizeof(number));
    memcpy(&number, head, sizeof(number));
    if (el->undone == 0) el->undone_first = number;
    assert_int_equal(number, el->undone_first + el->undone);
    for (size_t i = 0; i < blen; i++) assert_int_equal(((const uint8_t *)body)[i], number & 0xff);
    el->undone++;
}

static void up_down(struct link *l, int status, enum gone gone)
{
    struct end_link *el = link_of(l);
    el->downs++;
    el->status = status;
    el->gone = gone;
    snprintf(el->why, sizeof(el->why), "%s", l->why.text);
}

/* ---- ends ------------------------------------------------------------------------------------ */

void ends_prepare(struct end e[2])
{
    for (int i = 0; i < 2; i++) {
        e[i] = (struct end){ .ops = ends_of.ops, .other = &e[1 - i], .rank = i,
                             .size = END_LINKS };
        e[i].up = (struct transport_up){ .link = up_link, .up = up_up,     .tell = up_tell,
                                         .recv = up_recv, .done = up_done, .room = up_room,
                                         .undone = up_undone, .down = up_down };
        e[i].config = (struct config){
#define DEFAULT_N(name, kind, initial, least, most, text) .name = initial,
#define DEFAULT_T(name, initial, text) .name = initial,
            CONFIG_TABLE(DEFAULT_N, DEFAULT_T)
#undef DEFAULT_N
#undef DEFAULT_T
        };
    }
}

int end_open(struct end *e, struct why *why)
{
    e->t = world_allocate_aligned(&world_real, 64, e->ops->transport_size);
    e->t->ops = e->ops;
    e->t->up = &e->up;
    e->t->owner = e;
    e->t->fd = -1;
    e->t->opt = (struct transport_options){ .world = &world_failing, .config = &e->config,
                                            .rank = e->rank, .size = e->size, .epoch = 1,
                                            .log = &e->log };
    int status = e->ops->open(e->t);
    if (why) *why = e->t->why;
    if (status == 0) return 0;
    assert_true(strlen(e->t->why.text) > 20);
    assert_int_equal(e->t->fd, -1);
    world_release(&world_real, e->t, e->ops->transport_size);
    e->t = NULL;
    return status;
}

void end_close(struct end *e)
{
    for (int i = 0; i < END_LINKS; i++)
        if (e->link[i].link) e->ops->disconnect(e->link[i].link, DISCONNECT_NOW);
    for (int i = 0; i < 100; i++) end_turn(e);
    for (int i = 0; i < END_LINKS; i++) assert_null(e->link[i].link);
    e->ops->close(e->t);
    world_release(&world_real, e->t, e->ops->transport_size);
    e->t = NULL;
}

void ends_open(struct end e[2])
{
    ends_prepare(e);
    assert_int_equal(end_open(&e[0], NULL), 0);
    assert_int_equal(end_open(&e[1], NULL), 0);
}

void ends_close(struct end e[2])
{
    end_close(&e[0]);
    end_close(&e[1]);
    ends_of.check();
}

int end_connect(struct end *e, int rank)
{
    struct end_link *el = &e->link[rank];
    struct transport *other = e->other->t;
    memset(el, 0, sizeof(*el));
    el->link = world_allocate_aligned(&world_real, 64, e->ops->link_size);
    el->link->ops = e->ops;
    el->link->transport = e->t;
    el->link->rank = rank;
    int status = e->ops->connect(el->link, other->address, other->address_len);
    if (status == 0) return 0;
    snprintf(el->why, sizeof(el->why), "%s", el->link->why.text);
    world_release(&world_real, el->link, e->ops->link_size);
    el->link = NULL;
    return status;
}

/* The link's memory is messaging's again, and is not looked at any more. */
static void bury(struct end *e)
{
    for (int i = 0; i < END_LINKS; i++) {
        struct end_link *el = &e->link[i];
        if (!el->link || el->downs == 0) continue;
        assert_int_equal(el->downs, 1);
        memset(el->link, 0xa5, e->ops->link_size);
        world_release(&world_real, el->link, e->ops->link_size);
        el->link = NULL;
    }
}

void end_turn(struct end *e)
{
    int n = e->tells;
    assert_true(e->ops->progress(e->t, NULL) <= TRANSPORT_UPCALLS_MAX);
    bury(e);
    e->tells = 0;
    for (int i = 0; i < n; i++) {
        struct link *l = e->link[e->told[i].rank].link;
        if (l) assert_int_equal(e->ops->connect(l, e->told[i].bytes, e->told[i].len), 0);
    }
}

void ends_turn(struct end e[2])
{
    ends_skipped_ns += 20000; /* so that what is waited for is over within few of them */
    end_turn(&e[0]);
    end_turn(&e[1]);
}

void ends_settle(struct end e[2])
{
    for (int i = 0; i < 50; i++) {
        ends_skipped_ns += 5000000; /* in all more than FRAMED_LAST_NS, less than FRAMED_CLOSE_NS */
        ends_turn(e);
    }
}

void ends_connect(struct end e[2], int rank)
{
    assert_int_equal(end_connect(&e[0], rank), 0);
    assert_int_equal(end_connect(&e[1], rank), 0);
    ENDS_UNTIL(e, e[0].link[rank].ups && e[1].link[rank].ups);
}

int end_send(struct end *e, int rank, int number, size_t blen)
{
    static uint8_t body[8192];
    memset(body, number & 0xff, blen);
    return e->ops->send(e->link[rank].link, &number, sizeof(number), body, blen, NULL, 0);
}

void ends_fresh(uint8_t *from, size_t from_len, void *to, size_t to_len)
{
    ends_skipped_ns = 0;
    memset(to, 0, to_len);
    for (size_t i = 0; i < from_len; i++) from[i] = (uint8_t)(i * 7 >> 3);
}

void contains(const char *text, const char *words)
{
    if (!strstr(text, words)) fail_msg("\"%s\" does not say \"%s\"", text, words);
}
