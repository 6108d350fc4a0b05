/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exchange.c - the caller's own exchange
 *
 * The caller's allgather is called three times, the same on every rank:
 *   at open    | flags u8: 1 has the caller's secret | secret 32: rank 0's own making, or zeros |
 *   in fence   | length of my record u8 |
 *   in fence   | my record, padded to the longest |
 * Without options.secret rank 0 makes one and shows it to all through the caller's exchange: it is
 * then as secret as that exchange is. A secret of the caller's never goes through it.
 */
#include <string.h>

#include "launch/protocol.h"
#include "launch/providers.h"

enum { GREETING = 1 + LAUNCH_SECRET_LEN };

struct exchange {
    struct launch base;
    struct sinew_exchange call;
    bool put, gathered;
    uint8_t len, record[LAUNCH_RECORD_MAX];
    size_t stride;
    /* One piece: size lengths, size records of LAUNCH_RECORD_MAX, size flags. */
    uint8_t *lengths, *records, *died;
};

static size_t exchange_bytes(int size)
{
    return (size_t)size * (1 + LAUNCH_RECORD_MAX + 1);
}

static int exchange_gather(struct exchange *x, const void *mine, size_t len, void *all)
{
    int rc = x->call.allgather(x->call.arg, mine, len, all);
    if (rc == 0) return 0;
    return why_set(&x->base.why, SINEW_ELAUNCH, "the caller's allgather returned %d", rc);
}

static int exchange_put(struct launch *l, const void *record, size_t len)
{
    struct exchange *x = (struct exchange *)l;
    if (len > LAUNCH_RECORD_MAX)
        return why_set(&l->why, SINEW_EINVAL, "a record of %zu bytes where at most %d are allowed",
                       len, LAUNCH_RECORD_MAX);
    x->len = (uint8_t)len;
    if (len > 0) memcpy(x->record, record, len);
    x->put = true;
    return 0;
}

/* The caller's allgather decides how long it waits: `until` cannot be kept. */
static int exchange_fence(struct launch *l, int64_t until)
{
    struct exchange *x = (struct exchange *)l;
    (void)until;
    if (!x->put)
        return why_set(&l->why, SINEW_ESTATE, "a fence before rank %d put its record", l->rank);
    int rc = exchange_gather(x, &x->len, 1, x->lengths);
    if (rc < 0) return rc;
    x->stride = 0;
    for (int i = 0; i < l->size; i++) {
        if (x->lengths[i] > LAUNCH_RECORD_MAX || (i == l->rank && x->lengths[i] != x->len))
            return why_set(&l->why, SINEW_ELAUNCH,
                           "the caller's allgather mixes ranks up: rank %d's record has %u bytes",
                           i, x->lengths[i]);
        if (x->lengths[i] > x->stride) x->stride = x->lengths[i];
    }
    if (x->stride > 0 && (rc = exchange_gather(x, x->record, x->stride, x->records)) < 0) return rc;
    x->gathered = true;
    return 0;
}

static int exchange_get(struct launch *l, int rank, void *record)
{
    const struct exchange *x = (const struct exchange *)l;
    if (!x->gathered || rank < 0 || rank >= l->size)
        return why_set(&l->why, SINEW_EINVAL,
                       "there is no record of rank %d (of %d) before the fence", rank, l->size);
    memcpy(record, x->records + (size_t)rank * x->stride, x->lengths[rank]);
    return x->lengths[rank];
}

static int exchange_failed(struct launch *l, int *rank)
{
    struct exchange *x = (struct exchange *)l;
    int died = -1;
    if (!x->call.failed || x->call.failed(x->call.arg, &died) != 1) return 0;
    if (died < 0 || died >= l->size || x->died[died]) return 0;
    x->died[died] = 1;
    *rank = died;
    return 1;
}

static int exchange_abort(struct launch *l, int status, const char *text)
{
    (void)status;
    (void)text;
    return why_set(&l->why, SINEW_ENOTSUP, "the caller's exchange has no way to end the job");
}

static void exchange_close(struct launch *l)
{
    struct exchange *x = (struct exchange *)l;
    explicit_bzero(l->secret, sizeof(l->secret));
    world_release(l->world, x->lengths, exchange_bytes(l->size));
    world_release(l->world, x, sizeof(*x));
}

static const struct launch_ops exchange_ops = {
    .name = "exchange",
    .put = exchange_put,
    .fence = exchange_fence,
    .get = exchange_get,
    .failed = exchange_failed,
    .abort = exchange_abort,
    .close = exchange_close,
    .abandon = exchange_close,
};

/* Everyone has a secret of the caller's, or nobody: a job half of which authenticates would never
 * meet. */
static int exchange_agree(struct exchange *x, const uint8_t *all, bool given)
{
    for (int i = 0; i < x->base.size; i++)
        if (all[(size_t)i * GREETING] != (given ? 1 : 0))
            return why_set(
                &x->base.why, SINEW_EMISMATCH,
                "rank %d came %s options.secret, rank %d %s: give it on all ranks or on none", i,
                given ? "without" : "with", x->base.rank, given ? "with" : "without");
    return 0;
}

static int exchange_secret(struct exchange *x, const void *secret)
{
    const struct world *world = x->base.world;
    uint8_t mine[GREETING] = { secret ? 1 : 0 };
    size_t bytes = (size_t)x->base.size * GREETING;
    uint8_t *all = world_allocate(world, bytes);
    if (!all)
        return why_set(&x->base.why, SINEW_ENOMEM, "no memory for %d greetings", x->base.size);
    int rc = 0;
    if (!secret && x->base.rank == 0 && world->random(world->arg, mine + 1, LAUNCH_SECRET_LEN) < 0)
        rc = why_set(&x->base.why, SINEW_EIO, "no random bytes for the job secret");
    if (rc == 0) rc = exchange_gather(x, mine, sizeof(mine), all);
    if (rc == 0) rc = exchange_agree(x, all, secret);
    if (rc == 0)
        memcpy(x->base.secret, secret ? (const uint8_t *)secret : all + 1, LAUNCH_SECRET_LEN);
    explicit_bzero(mine, sizeof(mine));
    explicit_bzero(all, bytes);
    world_release(world, all, bytes);
    return rc;
}

static int exchange_check(const struct sinew_exchange *call, struct why *why)
{
    if (!call->allgather)
        return why_set(why, SINEW_EINVAL, "options.exchange->allgather is NULL: it is needed");
    if (call->size < 1 || call->size > LAUNCH_SIZE_MAX)
        return why_set(why, SINEW_EINVAL, "options.exchange->size is %d, allowed are 1 to %d",
                       call->size, LAUNCH_SIZE_MAX);
    if (call->rank < 0 || call->rank >= call->size)
        return why_set(why, SINEW_EINVAL, "options.exchange->rank is %d, allowed are 0 to %d",
                       call->rank, call->size - 1);
    return 0;
}

int exchange_open(const struct world *world, const struct sinew_exchange *call, const void *secret,
                  struct launch **out, struct why *why)
{
    int rc = exchange_check(call, why);
    if (rc < 0) return rc;
    struct exchange *x = world_allocate(world, sizeof(*x));
    if (!x) return why_set(why, SINEW_ENOMEM, "no memory for the caller's exchange");
    size_t size = (size_t)call->size;
    x->base = (struct launch){ .ops = &exchange_ops,
                               .world = world,
                               .rank = call->rank,
                               .size = call->size,
                               .has_secret = true,
                               .fd = -1 };
    x->call = *call;
    x->lengths = world_allocate(world, exchange_bytes(call->size));
    if (!x->lengths) {
        world_release(world, x, sizeof(*x));
        return why_set(why, SINEW_ENOMEM, "no memory for the records of %d ranks", call->size);
    }
    x->records = x->lengths + size;
    x->died = x->records + size * LAUNCH_RECORD_MAX;
    rc = exchange_secret(x, secret);
    if (rc < 0) {
        why_set(why, rc, "%s", x->base.why.text);
        exchange_close(&x->base);
        return rc;
    }
    *out = &x->base;
    return 0;
}
