/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region.c - memory that peers may reach, and the keys to it
 *
 *   key  | index 4 | generation 4 | secret 8 | length 8 | rights 1 | for one reader 1 | 0 … (6) |
 *
 * The owner looks at the key of every frame, so nothing but what is registered is ever touched. Only while
 * UCX itself writes to a region, having been asked to fetch into it, dereg has to wait.
 */
#include <inttypes.h>
#include <string.h>

#include "base/wire.h"
#include "transport/ucx/internal.h"

enum { REGIONS_FIRST = 32, REGIONS_MAX = 1 << 20 };
enum { RIGHTS_ALL = REGION_PUT | REGION_GET | REGION_ATOMIC };

static int regions_grow(struct ucx *t)
{
    const struct world *w = t->base.opt.world;
    uint32_t cap = t->regions_cap ? 2 * t->regions_cap : REGIONS_FIRST;
    if (cap > REGIONS_MAX)
        return why_set(&t->base.why, SINEW_ELIMIT, "%u regions are registered", t->regions_cap);
    struct registered *grown = world_allocate(w, cap * sizeof(*grown));
    if (!grown) return why_set(&t->base.why, SINEW_ENOMEM, "no memory for %u regions", cap);
    if (t->regions) memcpy(grown, t->regions, t->regions_cap * sizeof(*grown));
    for (uint32_t i = cap; i > t->regions_cap; i--) {
        grown[i - 1].next_free = t->regions_free;
        t->regions_free = i;
    }
    regions_release(t);
    t->regions = grown;
    t->regions_cap = cap;
    return 0;
}

void regions_release(struct ucx *t)
{
    world_release(t->base.opt.world, t->regions, t->regions_cap * sizeof(*t->regions));
    t->regions = NULL;
}

static int reg_mine(struct ucx *t, struct region *region)
{
    const struct world *w = t->base.opt.world;
    unsigned rights = region->rights ? region->rights : region->reader ? REGION_GET : REGION_PUT;
    uint64_t secret;
    if (rights & ~(unsigned)RIGHTS_ALL)
        return why_set(&t->base.why, SINEW_EINVAL, "rights are 0x%x; known are 0x%x", rights,
                       RIGHTS_ALL);
    if (w->random(w->arg, &secret, sizeof(secret)) < 0)
        return why_set(&t->base.why, SINEW_EIO, "no random bytes for a key");
    int status = t->regions_free ? 0 : regions_grow(t);
    if (status < 0) return status;
    uint32_t index = t->regions_free - 1;
    struct registered *r = &t->regions[index];
    t->regions_free = r->next_free;
    *r = (struct registered){
        .region = region, .generation = r->generation + 1, .secret = secret, .rights = rights
    };
    region->id = (uint64_t)r->generation << 32 | index;
    memset(region->key, 0, sizeof(region->key));
    wire_put64(region->key, region->id);
    wire_put64(region->key + 8, secret);
    wire_put64(region->key + 16, region->len);
    region->key[24] = (uint8_t)rights;
    region->key[25] = region->reader != NULL;
    region->key_len = UCX_KEY;
    region->private = r;
    return 0;
}

bool region_key(const struct region *region, struct header *h, unsigned *rights, uint64_t *len)
{
    static const uint8_t zeros[6];
    const uint8_t *key = region->key;
    if (region->key_len != UCX_KEY || key[24] == 0 || key[24] & ~RIGHTS_ALL ||
        key[25] > 1 || memcmp(key + 26, zeros, sizeof(zeros)) != 0)
        return false;
    h->region = wire_get64(key);
    h->secret = wire_get64(key + 8);
    *len = wire_get64(key + 16);
    *rights = key[24];
    return true;
}

int ucx_reg(struct transport *base, struct link *l, struct region *region)
{
    struct header h;
    unsigned rights;
    uint64_t len;
    if (!l && region->base) return reg_mine(ucx_of(base), region);
    if (!l) return why_set(&base->why, SINEW_ENOTSUP, "UCX has no memory of its own to give");
    if (!region_key(region, &h, &rights, &len) || region->len > len)
        return why_set(&base->why, SINEW_EINVAL,
                       "not a key of UCX memory for %zu bytes: %" PRIu32 " bytes long", region->len,
                       region->key_len);
    /* Answers are copies, so that the memory can be taken back at once; puts are not. */
    if (region->key[25] && len >= UCX_LONG)
        return why_set(&base->why, SINEW_ENOTSUP, "%" PRIu64 " bytes are better put than read", len);
    region->base = NULL;
    region->private = NULL;
    return 0;
}

int ucx_dereg(struct transport *base, struct region *region)
{
    struct ucx *t = ucx_of(base);
    uint32_t index = (uint32_t)region->id;
    if (!region->private) return 0; /* a peer's: frames have copies or the operation's own memory */
    if (index >= t->regions_cap || t->regions[index].region != region) return 0;
    if (t->regions[index].landings) return TRANSPORT_AGAIN;
    t->regions[index].region = NULL;
    t->regions[index].next_free = t->regions_free;
    t->regions_free = index + 1;
    region->private = NULL;
    return 0;
}

void region_hold(struct ucx *t, uint64_t id, int more)
{
    t->regions[(uint32_t)id].landings += (uint32_t)more;
}

bool region_was(const struct ucx *t, uint64_t id)
{
    uint32_t index = (uint32_t)id, generation = (uint32_t)(id >> 32);
    if (index >= t->regions_cap || generation == 0) return false;
    const struct registered *r = &t->regions[index];
    return r->region ? generation < r->generation : generation <= r->generation;
}

uint8_t *region_memory(struct ucx *t, uint64_t id, uint64_t secret, unsigned right, uint64_t offset,
                       uint64_t len, struct why *why)
{
    uint32_t index = (uint32_t)id;
    const struct registered *r = index < t->regions_cap ? &t->regions[index] : NULL;
    if (!r || !r->region || r->generation != (uint32_t)(id >> 32) || r->secret != secret) {
        why_set(why, SINEW_EACCESS, "no memory is registered under its key (any more)");
        return NULL;
    }
    if (!(r->rights & right)) {
        why_set(why, SINEW_EACCESS, "the memory is not registered for that");
        return NULL;
    }
    if (offset > r->region->len || len > r->region->len - offset) {
        why_set(why, SINEW_EACCESS, "%" PRIu64 " bytes at %" PRIu64 " of a region of %zu", len,
                offset, r->region->len);
        return NULL;
    }
    return (uint8_t *)r->region->base + offset;
}
