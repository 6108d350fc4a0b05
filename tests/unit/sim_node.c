/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/sim_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"

void node_check_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    exit(1);
}

void node_fill(void *body, size_t len, int from, int to, uint64_t number)
{
    uint8_t *b = body;
    uint64_t state = ((uint64_t)from << 48 | (uint64_t)to << 40) ^ number * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < len; i++) b[i] = (uint8_t)((state + i * 0x9d) >> (i % 7));
}

static struct link *make_link(struct node *n, int rank, uint64_t epoch)
{
    struct link *l = world_allocate_aligned(n->world, 64, n->ops->link_size);
    CHECK(l);
    l->ops = n->ops;
    l->transport = n->t;
    l->owner = &n->peer[rank];
    l->rank = rank;
    l->epoch = epoch;
    CHECK(!n->peer[rank].link);
    n->peer[rank].link = l;
    return l;
}

static struct link *on_link(struct transport *t, int rank, uint64_t epoch)
{
    struct node *n = t->owner;
    if (n->refuse) return NULL;
    n->peer[rank].links++;
    return make_link(n, rank, epoch);
}

static void on_up(struct link *l)
{
    struct node_peer *p = l->owner;
    CHECK(l->epoch == (uint64_t)l->rank + 1000);
    p->ups++;
    p->sent = p->received = 0;
}

static void on_tell(struct link *l, const void *bytes, size_t len)
{
    struct node_peer *p = l->owner;
    CHECK(l->transport->caps.wired && len == 4 && memcmp(bytes, "sim", 4) == 0);
    p->tells++;
}

static int on_recv(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                   struct lease *lease)
{
    struct node_peer *p = l->owner;
    struct node *n = p->node;
    CHECK(p->ups > 0 && hlen == 8);
    CHECK(wire_get64(head) == p->received);
    p->received++;
    p->received_bytes += blen;
    p->last_arrival = sim_now(n->me);
    n->received++;
    if (n->on_message) n->on_message(n, l->rank, body, blen);
    if (n->recv_status < 0) return n->recv_status;
    if (!n->keep || !lease) return 0;
    n->kept[n->kept_count] = lease;
    n->kept_body[n->kept_count++] = body;
    return TRANSPORT_PENDING;
}

static void on_done(struct link *l, uint64_t cookie, int status)
{
    struct node_peer *p = l->owner;
    struct node *n = p->node;
    if (p->pending) p->pending--;
    if (n->done_count == NODE_DONE_MAX) return;
    n->done_cookie[n->done_count] = cookie;
    n->done_status[n->done_count++] = status;
}

static void on_room(struct link *l)
{
    ((struct node_peer *)l->owner)->rooms++;
}

static void on_down(struct link *l, int status, enum gone gone)
{
    struct node_peer *p = l->owner;
    CHECK(p->pending == 0);
    p->downs++;
    p->down_status = status;
    p->gone = gone;
    snprintf(p->why, sizeof(p->why), "%s", l->why.text);
    p->link = NULL;
    world_release(p->node->world, l, p->node->ops->link_size);
}

static const struct transport_up up = {
    .link = on_link,
    .up = on_up,
    .tell = on_tell,
    .recv = on_recv,
    .done = on_done,
    .room = on_room,
    .down = on_down,
};

static void node_open_by(struct node *n, struct sim_rank *me, const struct transport_ops *ops)
{
    memset(n, 0, sizeof(*n));
    n->ops = ops;
    n->me = me;
    n->world = sim_world(me);
    n->rank = sim_rank(me);
    n->size = sim_size(me);
    n->config.setup_deadline = 30 * CONFIG_SECOND;
    n->config.repair_deadline = 15 * CONFIG_SECOND;
    for (int i = 0; i < n->size; i++) n->peer[i].node = n;
    n->t = world_allocate_aligned(n->world, 64, ops->transport_size);
    CHECK(n->t);
    n->t->ops = ops;
    n->t->up = &up;
    n->t->owner = n;
    n->t->opt = (struct transport_options){ .world = n->world,
                                            .config = &n->config,
                                            .rank = n->rank,
                                            .size = n->size,
                                            .epoch = (uint64_t)n->rank + 1000 };
    CHECK(ops->open(n->t) == 0);
}

void node_open(struct node *n, struct sim_rank *me)
{
    node_open_by(n, me, &transport_sim);
}

void node_close(struct node *n)
{
    for (int i = 0; i < n->size; i++)
        if (n->peer[i].link) n->ops->disconnect(n->peer[i].link, DISCONNECT_DRAIN);
    for (int i = 0; i < n->size; i++)
        while (n->peer[i].link) node_progress(n);
    n->ops->close(n->t);
    world_release(n->world, n->t, n->ops->transport_size);
}

struct node *node_new(struct sim_rank *me)
{
    struct node *n = world_allocate(sim_world(me), sizeof(*n));
    CHECK(n);
    return n;
}

void node_free(struct node *n)
{
    world_release(sim_world(n->me), n, sizeof(*n));
}

static void node_meet_by(struct node *n, struct sim_rank *me, const struct transport_ops *transport)
{
    node_open_by(n, me, transport);
    CHECK(sim_launch(me, &n->launch) == 0);
    const struct launch_ops *ops = n->launch->ops;
    CHECK(ops->put(n->launch, n->t->address, n->t->address_len) == 0);
    CHECK(ops->fence(n->launch, INT64_MAX) == 0);
    for (int i = 0; i < n->size; i++) n->address_len = ops->get(n->launch, i, n->address[i]);
    CHECK(n->address_len == (int)n->t->address_len);
}

void node_meet(struct node *n, struct sim_rank *me)
{
    node_meet_by(n, me, &transport_sim);
}

void node_meet_wired(struct node *n, struct sim_rank *me)
{
    node_meet_by(n, me, &transport_sim_wired);
}

void node_part(struct node *n)
{
    node_close(n);
    n->launch->ops->close(n->launch);
}

int node_connect(struct node *n, int rank)
{
    struct link *l = make_link(n, rank, 0);
    return n->ops->connect(l, n->address[rank], (size_t)n->address_len);
}

void node_join(struct node *n, int rank)
{
    if (n->rank < rank) CHECK(node_connect(n, rank) == 0);
    while (n->peer[rank].ups == 0) node_progress(n);
}

void node_progress(struct node *n)
{
    if (n->ops->progress(n->t, NULL) > 0) return;
    if (n->ops->arm(n->t) == 0) n->world->sleep(n->world->arg, -1, INT64_MAX);
}

bool node_up(struct node *n, int rank)
{
    struct node_peer *p = &n->peer[rank];
    int ups = p->ups, downs = p->downs;
    while (p->ups == ups && p->downs == downs) node_progress(n);
    return p->ups > ups;
}

void node_until_down(struct node *n, int rank)
{
    while (n->peer[rank].downs == 0) node_progress(n);
}

int node_send(struct node *n, int rank, const void *body, size_t len)
{
    struct node_peer *p = &n->peer[rank];
    for (;;) {
        uint8_t head[8];
        if (!p->link) return SINEW_EPEER;
        wire_put64(head, p->sent);
        int status = n->ops->send(p->link, head, sizeof(head), body, len, NULL, 0);
        if (status == 0) p->sent++;
        if (status != TRANSPORT_AGAIN) return status;
        node_progress(n);
    }
}

void node_send_numbered(struct node *n, int rank, size_t len)
{
    uint8_t body[16384];
    CHECK(len <= sizeof(body));
    node_fill(body, len, n->rank, rank, n->peer[rank].sent);
    CHECK(node_send(n, rank, body, len) == 0);
}
