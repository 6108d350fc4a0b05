/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region.c - memory that peers may reach, and the keys to it
 *
 *   key  | index 4 | generation 4 | secret 8 | length 6 | rights 1 | native 1 | address 8 |
 *
 * rights: and 0x80, if it is for one reader, who may refuse and have it put.
 * native: of the rights, those for which the fabric moves it itself, for who names `secret` (then
 * the fabric's key, random unless the device makes keys) and `address`. For the others the owner
 * looks at the key of every frame, so nothing but what is registered is ever touched, and dereg is
 * done when it returns; only while the fabric fetches into a region it has to wait. Words have one
 * agent: the fabric, if it has atomic operations (update.c for peers whose fabric has none), else
 * the owner in progress().
 */
#include <inttypes.h>
#include <string.h>

#include "base/wire.h"
#include "transport/framed/framed.h"

enum { REGIONS_FIRST = 32, REGIONS_MAX = 1 << 20 };
enum { READ_ONCE = 0x80 };
enum { RIGHTS_ALL = REGION_PUT | REGION_GET | REGION_ATOMIC };

static int regions_grow(struct framed *t)
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

void regions_release(struct framed *t)
{
    world_release(t->base.opt.world, t->regions, t->regions_cap * sizeof(*t->regions));
    t->regions = NULL;
}

static int reg_mine(struct framed *t, struct region *region)
{
    const struct world *w = t->base.opt.world;
    unsigned rights = region->rights ? region->rights : region->reader ? REGION_GET : REGION_PUT;
    uint64_t secret, address = 0;
    if (region->len >> 48)
        return why_set(&t->base.why, SINEW_EINVAL, "a region of %zu bytes", region->len);
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
    uint64_t native = rights & ~t->native & REGION_ATOMIC ? 0 : rights & t->native;
    if (native && t->fabric->expose(t, r, (unsigned)native, &address) < 0) native = 0;
    r->native = (unsigned)native;
    region->id = (uint64_t)r->generation << 32 | index;
    memset(region->key, 0, sizeof(region->key));
    wire_put64(region->key, region->id);
    wire_put64(region->key + 8, r->secret);
    wire_put64(region->key + 16, region->len |
                                     (uint64_t)(rights | (region->reader ? READ_ONCE : 0)) << 48 |
                                     native << 56);
    wire_put64(region->key + 24, address);
    region->key_len = FRAMED_KEY;
    region->private = region;
    return 0;
}

bool region_key(const struct region *region, struct key *k)
{
    const uint8_t *key = region->key;
    uint64_t words = wire_get64(key + 16);
    *k = (struct key){
        .region = wire_get64(key),
        .secret = wire_get64(key + 8),
        .address = wire_get64(key + 24),
        .len = words & (UINT64_MAX >> 16),
        .rights = (unsigned)(words >> 48) & (0xff & ~READ_ONCE),
        .read_once = words >> 48 & READ_ONCE,
        .native = (unsigned)(words >> 56),
    };
    return region->key_len == FRAMED_KEY && k->rights != 0 &&
           !(k->rights & ~(unsigned)RIGHTS_ALL) && !(k->native & ~k->rights) &&
           (k->native || k->address == 0);
}

/* Answers are copies, so that the memory can be taken back at once; puts that are fetched are not.
 */
static bool is_better_put(const struct framed *t, const struct key *key)
{
    return key->read_once && !(key->native & t->native & REGION_GET) && t->fabric->fetches &&
           key->len >= t->fabric->fetches;
}

int framed_reg(struct transport *base, struct link *l, struct region *region)
{
    struct key key;
    if (!l && region->base) return reg_mine(framed_of(base), region);
    if (!l) return why_set(&base->why, SINEW_ENOTSUP, "it has no memory of its own to give");
    if (!region_key(region, &key) || region->len > key.len)
        return why_set(&base->why, SINEW_EINVAL,
                       "not a key of its memory for %zu bytes: %" PRIu32 " bytes long", region->len,
                       region->key_len);
    if (is_better_put(framed_of(base), &key) &&
        !lent_find(framed_link_of(l), key.region, key.secret))
        return why_set(&base->why, SINEW_ENOTSUP, "%" PRIu64 " bytes are better put than read",
                       key.len);
    region->base = NULL;
    region->private = NULL;
    return 0;
}

int framed_dereg(struct transport *base, struct region *region)
{
    struct framed *t = framed_of(base);
    uint32_t index = (uint32_t)region->id;
    if (!region->private) return 0; /* a peer's: nothing is kept of it */
    if (index >= t->regions_cap || t->regions[index].region != region) return 0;
    struct registered *r = &t->regions[index];
    if (r->landings) {
        if (region->reader) lend_withdraw(r);
        return TRANSPORT_AGAIN;
    }
    if (r->memory) t->fabric->hide(t, r);
    r->memory = NULL;
    r->region = NULL;
    r->next_free = t->regions_free;
    t->regions_free = index + 1;
    region->private = NULL;
    return 0;
}

void region_own_key(const struct framed *t, uint64_t id, struct key *key)
{
    region_key(t->regions[(uint32_t)id].region, key);
}

void region_hold(struct framed *t, uint64_t id, int more)
{
    t->regions[(uint32_t)id].landings += (uint32_t)more;
}

bool region_was(const struct framed *t, uint64_t id)
{
    uint32_t index = (uint32_t)id, generation = (uint32_t)(id >> 32);
    if (index >= t->regions_cap || generation == 0) return false;
    const struct registered *r = &t->regions[index];
    return r->region ? generation < r->generation : generation <= r->generation;
}

uint8_t *region_memory(struct framed *t, uint64_t id, uint64_t secret, unsigned right,
                       uint64_t offset, uint64_t len, struct why *why)
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
