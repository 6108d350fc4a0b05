/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alone.c - a job of one rank, with nobody to find
 */
#include <string.h>

#include "launch/providers.h"

struct alone {
    struct launch base;
    size_t len;
    uint8_t record[LAUNCH_RECORD_MAX];
};

static int alone_put(struct launch *l, const void *record, size_t len)
{
    struct alone *a = (struct alone *)l;
    if (len > LAUNCH_RECORD_MAX)
        return why_set(&l->why, SINEW_EINVAL, "a record of %zu bytes where at most %d are allowed",
                       len, LAUNCH_RECORD_MAX);
    a->len = len;
    memcpy(a->record, record, len);
    return 0;
}

static int alone_fence(struct launch *l, int64_t until)
{
    (void)l;
    (void)until;
    return 0;
}

static int alone_get(struct launch *l, int rank, void *record)
{
    const struct alone *a = (const struct alone *)l;
    if (rank != 0) return why_set(&l->why, SINEW_EINVAL, "rank %d of a job of 1", rank);
    memcpy(record, a->record, a->len);
    return (int)a->len;
}

static int alone_failed(struct launch *l, int *rank)
{
    (void)l;
    (void)rank;
    return 0;
}

static int alone_abort(struct launch *l, int status, const char *text)
{
    (void)status;
    (void)text;
    return why_set(&l->why, SINEW_ENOTSUP, "this process runs alone, without a launcher to end it");
}

static void alone_close(struct launch *l)
{
    explicit_bzero(l->secret, sizeof(l->secret));
    world_release(l->world, l, sizeof(struct alone));
}

static const struct launch_ops alone_ops = {
    .name = "alone",
    .put = alone_put,
    .fence = alone_fence,
    .get = alone_get,
    .failed = alone_failed,
    .abort = alone_abort,
    .close = alone_close,
    .abandon = alone_close,
};

int alone_open(const struct world *world, struct launch **out, struct why *why)
{
    struct alone *a = world_allocate(world, sizeof(*a));
    if (!a) return why_set(why, SINEW_ENOMEM, "no memory for a job of one");
    a->base.ops = &alone_ops;
    a->base.world = world;
    a->base.size = 1;
    a->base.ranks_here = 1;
    a->base.fd = -1;
    /* Whoever reaches a transport of ours must still not get in. */
    if (world->random(world->arg, a->base.secret, LAUNCH_SECRET_LEN) < 0) {
        world_release(world, a, sizeof(*a));
        return why_set(why, SINEW_EIO, "no random bytes for the job secret");
    }
    a->base.has_secret = true;
    *out = &a->base;
    return 0;
}
