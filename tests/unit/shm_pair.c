/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/shm_pair.h"

static struct peer *peer_of(struct link *l) { return l->owner; }

static struct shm_link *link_make(struct end *e, int rank, uint64_t epoch)
{
    struct shm_link *l = aligned_alloc(128, (transport_shm.link_size + 127) / 128 * 128);
    memset(l, 0, transport_shm.link_size);
    l->base.ops = &transport_shm;
    l->base.transport = &e->t->base;
    l->base.owner = &e->peers[rank];
    l->base.rank = rank;
    l->base.epoch = epoch;
    assert_null(e->peers[rank].link);
    e->peers[rank].link = l;
    e->peers[rank].end = e;
    return l;
}

static struct link *on_link(struct transport *t, int rank, uint64_t epoch)
{
    struct end *e = t->owner;
    e->upcalls++;
    e->links++;
    return e->refuses ? NULL : &link_make(e, rank, epoch)->base;
}

static void on_up(struct link *l)
{
    struct peer *p = peer_of(l);
    p->end->upcalls++;
    p->ups++;
    assert_int_not_equal(l->epoch, 0);
}

static void on_tell(struct link *l, const void *bytes, size_t len)
{
    (void)l;
    (void)bytes;
    (void)len;
    fail_msg("shm has nothing to tell");
}

static int on_recv(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                   struct lease *lease)
{
    struct peer *p = peer_of(l);
    p->end->upcalls++;
    assert_null(lease);
    assert_int_equal(p->downs, 0);
    int status = p->end->recv ? p->end->recv(p, head, hlen, body, blen) : 0;
    p->messages++;
    p->bytes += blen;
    return status;
}

static void on_done(struct link *l, uint64_t cookie, int status)
{
    struct peer *p = peer_of(l);
    p->end->upcalls++;
    p->dones++;
    p->done_cookie = cookie;
    p->done_status = status;
    if (p->end->done) p->end->done(p, cookie, status);
}

static void on_room(struct link *l)
{
    struct peer *p = peer_of(l);
    p->end->upcalls++;
    p->rooms++;
    if (p->end->room) p->end->room(p);
}

static void on_down(struct link *l, int status, enum gone gone)
{
    struct peer *p = peer_of(l);
    p->end->upcalls++;
    p->downs++;
    p->status = status;
    p->gone = gone;
    memcpy(p->why, l->why.text, WHY_MAX);
    p->to_free = p->link; /* ours again when progress returns */
    p->link = NULL;
}

static const struct transport_up up = { .link = on_link, .up = on_up,     .tell = on_tell,
                                        .recv = on_recv, .done = on_done, .room = on_room,
                                        .down = on_down };

void end_open_mapped(struct end *e, int rank, int size, const uint8_t *secret,
                     const struct segment_mapper *mapper)
{
    struct why why;
    memset(e, 0, sizeof(*e));
    if (config_load(&e->config, NULL, NULL, NULL, NULL, &why) < 0) fail_msg("%s", why.text);
    e->t = aligned_alloc(128, (transport_shm.transport_size + 127) / 128 * 128);
    memset(e->t, 0, transport_shm.transport_size);
    struct transport *t = &e->t->base;
    t->ops = &transport_shm;
    t->up = &up;
    t->owner = e;
    t->opt = (struct transport_options){ .world = &world_real,
                                         .config = &e->config,
                                         .rank = rank,
                                         .size = size,
                                         .epoch = 1000 + (uint64_t)rank,
                                         .secret = secret };
    if (mapper) e->t->mapper = *mapper;
    if (transport_shm.open(t) < 0) fail_msg("open: %s", t->why.text);
}

void end_open(struct end *e, int rank, int size, const uint8_t *secret)
{
    end_open_mapped(e, rank, size, secret, NULL);
}

void end_connect_address(struct end *e, int rank, const void *address, size_t len)
{
    struct shm_link *l = link_make(e, rank, 0);
    assert_int_equal(transport_shm.connect(&l->base, address, len), 0);
}

void end_connect(struct end *e, int rank, const struct end *to)
{
    end_connect_address(e, rank, to->t->base.address, to->t->base.address_len);
}

int end_progress(struct end *e)
{
    e->upcalls = 0;
    int n = transport_shm.progress(&e->t->base, NULL);
    /* 1 without an upcall: only a part of something longer moved. */
    assert_true(n == e->upcalls || (n == 1 && e->upcalls == 0));
    assert_true(n <= TRANSPORT_UPCALLS_MAX);
    for (int i = 0; i < END_RANKS; i++) {
        free(e->peers[i].to_free);
        e->peers[i].to_free = NULL;
    }
    return n;
}

void end_disconnect(struct end *e, int rank, enum disconnect_how how)
{
    transport_shm.disconnect(&e->peers[rank].link->base, how);
}

void end_close(struct end *e)
{
    for (int i = 0; i < END_RANKS; i++) assert_null(e->peers[i].link);
    transport_shm.close(&e->t->base);
    free(e->t);
}

void pair_up(struct end *a, struct end *b, const uint8_t *secret)
{
    end_open(a, 0, 2, secret);
    end_open(b, 1, 2, secret);
    end_connect(a, 1, b);
    UNTIL(a->peers[1].ups == 1 && b->peers[0].ups == 1, a, b);
}

void pair_grant(struct end *a, struct end *b, struct region *mine, struct region *theirs)
{
    assert_int_equal(transport_shm.reg(&b->t->base, NULL, mine), 0);
    *theirs = (struct region){ .len = mine->len, .key_len = mine->key_len };
    memcpy(theirs->key, mine->key, TRANSPORT_KEY_MAX);
    assert_int_equal(transport_shm.reg(&a->t->base, &a->peers[1].link->base, theirs), 0);
}

void pair_down(struct end *a, struct end *b)
{
    if (a->peers[1].link) end_disconnect(a, 1, DISCONNECT_DRAIN);
    UNTIL(!a->peers[1].link && !b->peers[0].link, a, b);
    end_close(a);
    end_close(b);
}

int count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

uint64_t seeded(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

uint8_t pattern(uint64_t n, size_t i) { return (uint8_t)(n * 167 + i * 13 + (i >> 8) * 5 + 1); }

int send_to(struct end *e, int rank, const void *head, size_t hlen, const void *body, size_t blen)
{
    return transport_shm.send(&e->peers[rank].link->base, head, hlen, body, blen, NULL, 0);
}

int end_no_residue(void **state)
{
    if (!*state) {
        *state = malloc(sizeof(int));
        *(int *)*state = count_descriptors();
        return 0;
    }
    int before = *(int *)*state, after = count_descriptors();
    free(*state);
    *state = NULL;
    if (before != after) fail_msg("%d descriptors before, %d after", before, after);
    return 0;
}

int peer_echo(struct peer *p, const uint8_t *head, size_t hlen, const uint8_t *body, size_t blen)
{
    int status = transport_shm.send(&p->link->base, head, hlen, body, blen, NULL, 0);
    return status < 0 ? SINEW_EPROTO : 0;
}
