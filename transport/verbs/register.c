/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * register.c - memory that rma works on, and what may be kept registered
 *
 *   key  | rkey 4 | rights 1 | 0 | 0 | 0 | address 8 | length 8 |
 *
 * A registration pins pages, not addresses: memory that its owner unmaps and maps anew has other
 * pages at the same address, and a device that still knows the old ones would move the wrong bytes
 * with no error. Without hooks into malloc nobody tells. So nothing is kept beyond the word of its
 * owner: a region lives from reg to dereg; an operation on memory that lies in a live region of
 * ours uses that (not one offered to a reader, which is taken back without asking who else uses
 * it); on other memory it registers for itself alone, or, when short, is copied through slots.
 *
 * The cache: memory that is said to last (of sinew_memory_alloc) is registered whole when an
 * operation first uses it, for this side alone, and stays so until it is freed, or is the least
 * recently used when all that is kept would be more than verbs_kept. What a peer may reach is
 * registered for it alone all the same: that right has to end with the operation.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/wire.h"
#include "transport/verbs/internal.h"

enum { KEY_LEN = 24, RIGHTS_ALL = REGION_PUT | REGION_GET | REGION_ATOMIC };

int register_memory(struct verbs *t, void *base, size_t len, int access,
                    struct registration **made, struct why *why)
{
    struct registration *r = world_allocate(t->base.opt.world, sizeof(*r));
    if (!r) return why_set(why, SINEW_ENOMEM, "no memory for a registration");
    list_init(&r->entry);
    r->base = base;
    r->len = len;
    r->writable = access & IBV_ACCESS_LOCAL_WRITE;
    if (len > 0) r->mr = t->api->reg_mr(t->pd, base, len, access);
    if (len > 0 && !r->mr) {
        int error = errno;
        world_release(t->base.opt.world, r, sizeof(*r));
        if (error != EFAULT && error != EACCES) return slots_explain(&t->budget, len, error, why);
        return why_set(why, SINEW_EACCESS, "registering %zu bytes: %s: not all of it is mapped%s",
                       len, strerror(error),
                       access & IBV_ACCESS_LOCAL_WRITE ? " and writable" : "");
    }
    t->registered_bytes += len;
    list_append(&t->registrations, &r->entry);
    *made = r;
    return 0;
}

static void lasting_drop(struct verbs *t, struct registration *r)
{
    if (r->mr) {
        t->api->dereg_mr(r->mr);
        t->kept_bytes -= r->len;
        t->registered_bytes -= r->len;
    }
    r->mr = NULL;
}

void register_release(struct verbs *t, struct registration *r)
{
    if (r->lasting) {
        lasting_drop(t, r);
    } else {
        if (r->mr) t->api->dereg_mr(r->mr);
        t->registered_bytes -= r->len;
    }
    list_remove(&r->entry);
    world_release(t->base.opt.world, r, sizeof(*r));
}

/* Room for so much more that is kept: the least recently used goes first. */
static bool lasting_room(struct verbs *t, size_t len)
{
    uint64_t most = (uint64_t)t->base.opt.config->verbs_kept;
    struct list *next;
    if (len > most) return false;
    for (struct list *e = t->registrations.next; e != &t->registrations; e = next) {
        struct registration *r = LIST_OWNER(e, struct registration, entry);
        next = e->next;
        if (t->kept_bytes + len <= most) break;
        if (r->lasting && r->users == 0) lasting_drop(t, r);
    }
    return t->kept_bytes + len <= most;
}

/* Registered by now, or it cannot be. */
static bool lasting_use(struct verbs *t, struct registration *r)
{
    if (!r->mr && lasting_room(t, r->len)) {
        r->mr = t->api->reg_mr(t->pd, r->base, r->len, IBV_ACCESS_LOCAL_WRITE);
        if (r->mr) {
            t->kept_bytes += r->len;
            t->registered_bytes += r->len;
        }
    }
    list_remove(&r->entry);
    list_append(&t->registrations, &r->entry);
    return r->mr;
}

struct registration *register_find(struct verbs *t, const void *base, size_t len, bool writable)
{
    uintptr_t at = (uintptr_t)base;
    for (struct list *e = t->registrations.prev; e != &t->registrations; e = e->prev) {
        struct registration *r = LIST_OWNER(e, struct registration, entry);
        uintptr_t from = (uintptr_t)r->base;
        bool usable =
            r->owned && !r->offered && (r->mr || r->lasting) && (r->writable || !writable);
        if (usable && at >= from && len <= r->len && at - from <= r->len - len)
            return !r->lasting || lasting_use(t, r) ? r : NULL;
    }
    return NULL;
}

static int reg_lasting(struct verbs *t, struct region *region)
{
    struct registration *r = world_allocate(t->base.opt.world, sizeof(*r));
    if (!r) return why_set(&t->base.why, SINEW_ENOMEM, "no memory for a registration");
    *r = (struct registration){ .base = region->base, .len = region->len, .owned = true,
                                .lasting = true, .writable = true };
    list_init(&r->entry);
    list_append(&t->registrations, &r->entry);
    region->private = r;
    return 0;
}

static int reg_mine(struct verbs *t, struct region *region)
{
    if (region->rights == REGION_LASTING) return reg_lasting(t, region);
    unsigned rights = region->rights ? region->rights : region->reader ? REGION_GET : REGION_PUT;
    struct why *why = &t->base.why;
    int access = rights == REGION_GET ? 0 : IBV_ACCESS_LOCAL_WRITE;
    if (rights & ~(unsigned)RIGHTS_ALL)
        return why_set(why, SINEW_EINVAL, "rights are 0x%x; known are 0x%x", rights, RIGHTS_ALL);
    if ((rights & REGION_ATOMIC) && !t->base.caps.atomic)
        return why_set(why, SINEW_ENOTSUP, "%s has no atomic operations", t->chosen.device);
    if (rights & REGION_PUT) access |= IBV_ACCESS_REMOTE_WRITE;
    if (rights & REGION_GET) access |= IBV_ACCESS_REMOTE_READ;
    if (rights & REGION_ATOMIC) access |= IBV_ACCESS_REMOTE_ATOMIC;
    struct registration *r = NULL;
    int status = register_memory(t, region->base, region->len, access, &r, why);
    if (status < 0) return why_wrap(why, status, "%s", t->chosen.device);
    r->owned = true;
    r->offered = region->reader;
    memset(region->key, 0, sizeof(region->key));
    wire_put32(region->key, r->mr ? r->mr->rkey : 0);
    region->key[4] = (uint8_t)rights;
    wire_put64(region->key + 8, (uintptr_t)region->base);
    wire_put64(region->key + 16, region->len);
    region->key_len = KEY_LEN;
    region->private = r;
    return 0;
}

bool register_remote(const struct region *region, struct remote *remote)
{
    const uint8_t *key = region->key;
    if (region->key_len != KEY_LEN || key[4] == 0 || key[4] & ~RIGHTS_ALL || key[5] || key[6] ||
        key[7])
        return false;
    remote->rkey = wire_get32(key);
    remote->rights = key[4];
    remote->address = wire_get64(key + 8);
    remote->len = wire_get64(key + 16);
    return remote->address + remote->len >= remote->address;
}

int verbs_reg(struct transport *base, struct link *l, struct region *region)
{
    struct verbs *t = verbs_of(base);
    struct remote remote;
    if (!l && region->base) return reg_mine(t, region);
    if (!l) return why_set(&base->why, SINEW_ENOTSUP, "RDMA has no memory of its own");
    if (!register_remote(region, &remote) || region->len > remote.len)
        return why_set(&base->why, SINEW_EINVAL, "not a key of RDMA memory for %zu bytes: %" PRIu32
                       " bytes long", region->len, region->key_len);
    region->base = NULL;
    region->private = NULL;
    return 0;
}

/* Whether an operation on this peer's memory is under way. */
static bool region_is_used(struct verbs *t, const struct region *region)
{
    for (struct list *e = t->all.next; e != &t->all; e = e->next) {
        struct verbs_link *l = LIST_OWNER(e, struct verbs_link, of_links);
        for (struct list *w = l->works.next; w != &l->works; w = w->next) {
            const struct work *work = LIST_OWNER(w, struct work, entry);
            if (work->op && work->op->peers == region) return true;
        }
    }
    return false;
}

int verbs_dereg(struct transport *base, struct region *region)
{
    struct verbs *t = verbs_of(base);
    struct registration *r = region->private;
    if (!r) return region_is_used(t, region) ? TRANSPORT_AGAIN : 0;
    if (r->users > 0) return TRANSPORT_AGAIN;
    register_release(t, r);
    region->private = NULL;
    return 0;
}
