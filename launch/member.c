/* SPDX-License-Identifier: BSD-3-Clause */
#include "launch/member.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/wire.h"

/* How long leaving may wait for the launcher to read the goodbye. */
#define LEAVE_NS 1000000000LL

static int member_fail(struct member *m, int status)
{
    m->base.why = m->node.why;
    return status;
}

static int member_put(struct launch *l, const void *record, size_t len)
{
    struct member *m = (struct member *)l;
    int rc = node_put(&m->node, l->rank, record, len);
    return rc < 0 ? member_fail(m, rc) : 0;
}

/* The tree has done its work: nobody listens and nothing is connected any more. */
static void member_end(struct member *m)
{
    if (m->is_hub) hub_close(&m->hub);
    m->is_hub = false;
    if (m->attached) {
        /* A forked child shares the epoll descriptor: taking the socket out would take it out for
         * both. */
        if (getpid() == m->owner) node_detach(&m->up);
        channel_close(&m->up.channel);
    }
    m->attached = false;
    m->told = true;
    m->base.fd = -1;
}

static int member_fence(struct launch *l, int64_t until)
{
    struct member *m = (struct member *)l;
    int rc = node_fence(&m->node, until, &m->lost);
    if (rc == SINEW_ELAUNCH && m->lost && m->node.gone_early == 0) {
        char missing[160];
        node_missing(&m->node, missing, sizeof(missing));
        return why_set(&l->why, rc, "the launcher's connection ended before ranks %s had come: %s",
                       missing, m->up.channel.why.text);
    }
    if (rc == SINEW_ETIMEDOUT) {
        const char *refused = m->is_hub ? m->hub.why.text : "";
        char took[TEXT_DURATION_MAX];
        return why_set(&l->why, rc, "%s%s%s%s%s", m->node.why.text,
                       l->setup_ns ? ", within setup_deadline " : "",
                       l->setup_ns ? text_duration(l->setup_ns, took) : "", *refused ? "; " : "",
                       refused);
    }
    if (rc == 0 && m->is_hub) hub_finish(&m->hub, until);
    if (rc == 0 && m->ends) member_end(m);
    return rc < 0 ? member_fail(m, rc) : 0;
}

static int member_get(struct launch *l, int rank, void *record)
{
    const struct member *m = (const struct member *)l;
    if (rank < 0 || rank >= l->size || !(m->node.ranks[rank].flags & NODE_RECORD))
        return why_set(&l->why, SINEW_EINVAL,
                       "there is no record of rank %d (of %d) before the fence", rank, l->size);
    memcpy(record, m->node.ranks[rank].record, m->node.ranks[rank].len);
    return m->node.ranks[rank].len;
}

static int member_failed(struct launch *l, int *rank)
{
    struct member *m = (struct member *)l;
    node_progress(&m->node, 64);
    int died = node_died(&m->node);
    if (died == l->rank) died = node_died(&m->node);
    if (died >= 0) {
        *rank = died;
        return 1;
    }
    if (m->told || !(m->lost || m->node.aborted)) return 0;
    m->told = true;
    if (m->node.aborted)
        return why_set(&l->why, SINEW_EABORTED, "the job was aborted: %s", m->node.abort_text);
    return why_set(&l->why, SINEW_ELAUNCH, "the launcher is gone: %s", m->up.channel.why.text);
}

static bool member_left(const struct launch *l, int rank)
{
    const struct member *m = (const struct member *)l;
    return m->node.ranks[rank].flags & NODE_LEFT;
}

static int member_abort(struct launch *l, int status, const char *text)
{
    struct member *m = (struct member *)l;
    if (!m->attached)
        return why_set(&l->why, SINEW_ENOTSUP, "no launcher is connected that could end the job");
    node_abort(&m->node, status, text ? text : "");
    m->told = true; /* it is no news to who asks for it */
    channel_drain(&m->up.channel, world_now(l->world) + LEAVE_NS);
    return 0;
}

static void member_free(struct member *m)
{
    const struct world *world = m->base.world;
    member_end(m);
    node_fini(&m->node);
    explicit_bzero(m->base.secret, sizeof(m->base.secret));
    world_release(world, m, sizeof(*m));
}

static void member_close(struct launch *l)
{
    struct member *m = (struct member *)l;
    if (getpid() == m->owner && m->attached) {
        node_leave(&m->node, l->rank);
        channel_send(&m->up.channel, FRAME_BYE, NULL, 0);
        channel_drain(&m->up.channel, world_now(l->world) + LEAVE_NS);
    }
    member_free(m);
}

static void member_abandon(struct launch *l)
{
    member_free((struct member *)l);
}

static const struct launch_ops member_ops = {
    .name = "launcher",
    .put = member_put,
    .fence = member_fence,
    .get = member_get,
    .failed = member_failed,
    .left = member_left,
    .abort = member_abort,
    .close = member_close,
    .abandon = member_abandon,
};

static void member_lost(void *arg, struct node_peer *peer)
{
    struct member *m = arg;
    if (peer != &m->up) {
        hub_lost(&m->hub, peer);
        return;
    }
    m->lost = true;
    m->attached = false;
    channel_close(&peer->channel);
}

static const struct node_events member_events = { .lost = member_lost };

struct member *member_new(const struct world *world, int rank, int size, struct why *why)
{
    struct member *m = world_allocate(world, sizeof(*m));
    if (!m) {
        why_set(why, SINEW_ENOMEM, "no memory for the launcher's connection");
        return NULL;
    }
    if (node_init(&m->node, world, size, &member_events, m) < 0) {
        why_set(why, SINEW_ENOMEM, "%s", m->node.why.text);
        world_release(world, m, sizeof(*m));
        return NULL;
    }
    m->base.ops = &member_ops;
    m->base.world = world;
    m->base.rank = rank;
    m->base.size = size;
    m->base.fd = -1;
    m->hub.fd = -1;
    m->owner = getpid();
    return m;
}

void member_attach(struct member *m, const struct channel *up)
{
    m->up.channel = *up;
    m->up.upstream = true;
    m->up.first = m->base.rank;
    m->up.count = 1;
    m->attached = true;
    m->base.fd = m->node.fd;
    node_attach(&m->node, &m->up);
}
