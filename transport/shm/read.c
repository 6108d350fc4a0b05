/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * read.c - a message read straight out of the memory of its sender, copied once
 *
 *   key | slot 4 | generation 4 | address 8 | length 8 | share 4 | 0 4 |
 *
 * Two ways: through a mapping of the memory that sinew_memory_alloc() gave the sender (share.c), or
 * by process_vm_readv(), where that was tried on this very peer when the link was made.
 *
 * The sender may take its memory back at any time without asking: it voids a pledge, a word in the
 * link's segment that holds the generation while the memory is to be read. The reader looks at it
 * after it has copied: what was copied before the word was void is good, anything else is thrown
 * away. Both sides change the word by read-modify-writes, so one of them is first: either the
 * reader's comes later and sees the void, or the sender's comes later and then the reader's copying
 * happened before the sender's next store.
 *
 * A peer that lies about addresses makes this process copy from the peer's own memory, or fail to:
 * nothing of this process is touched but the receive's buffer, within its bounds.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "base/config.h"
#include "base/wire.h"
#include "transport/shm/link.h"

enum {
    READ_CHUNK = 131072,       /* then other links are served                         */
    READ_CROWDED_FROM = 65536, /* by process_vm_readv(), where ranks outnumber cores:
                                  what is shorter fits the ring, and nobody waits for it */
    READ_MANY_FROM =
        524288, /* of several that go at once: while one fills its ring there is another
                   to copy, and copying twice costs less than pages held one by one */
};

void read_open(struct shm_transport *t)
{
    const struct transport_options *o = &t->base.opt;
    int64_t from = o->config ? o->config->shm_read_bytes : -1;
    bool crowded = from < 0 && o->crowded;
    if (from < 0) from = o->crowded ? READ_CROWDED_FROM : INT64_MAX;
    t->read_from = (uint64_t)from;
    t->read_many_from = crowded ? READ_MANY_FROM : t->read_from;
}

/* --- may it? ---------------------------------------------------------------------------------- */

static const char *read_refusal(int error)
{
    switch (error) {
    case EPERM:
        return "reading the peer's memory is refused (process_vm_readv: not permitted): the peer is "
               "not dumpable, or kernel.yama.ptrace_scope, or a filter; long messages are copied "
               "twice";
    case ENOSYS:
        return "there is no process_vm_readv here, or a filter hides it: long messages are copied "
               "twice";
    default:
        return "reading the peer's memory failed (process_vm_readv): long messages are copied twice";
    }
}

/* What the link costs, and why its memory is not read; NULL: it is. */
static void read_note(struct shm_link *l, const char *unread)
{
    size_t kib = segment_bytes() / 1024;
    snprintf(l->note, sizeof(l->note), "%zu KiB of shared memory for both directions%s%s", kib,
             unread ? "; " : "", unread ? unread : "");
    l->base.note = l->note;
}

void read_probe(struct shm_link *l, uint64_t self, uint64_t epoch)
{
    uint64_t there = 0;
    struct iovec local = { &there, sizeof(there) };
    struct iovec remote = { (void *)(uintptr_t)self, sizeof(there) };
    l->reads = false;
    if (l->pid == 0 || (l->pidfd < 0 && l->pid != shm_of_link(l)->pid)) {
        read_note(l, "the peer is in another pid namespace, or has no pidfd, so its memory is not "
                     "read: long messages are copied twice");
        return;
    }
    ssize_t n = process_vm_readv(l->pid, &local, 1, &remote, 1, 0);
    l->reads = n == sizeof(there) && there == epoch;
    read_note(l, l->reads ? NULL : read_refusal(n < 0 ? errno : 0));
}

/* --- the sender ------------------------------------------------------------------------------- */

int read_offer(struct shm_transport *t, struct region *region)
{
    struct shm_link *l = (struct shm_link *)region->reader;
    uint32_t share = share_of(t, region->base, region->len);
    uint64_t free = ~l->pledged;
    if (!share && region->len < (region->of_many ? t->read_many_from : t->read_from))
        return why_set(&t->base.why, SINEW_ENOTSUP, "%zu bytes are better put than read",
                       region->len);
    if (!free || !l->segment)
        return why_set(&t->base.why, SINEW_ELIMIT, "more than %d messages offered to rank %d",
                       SEGMENT_PLEDGES, l->base.rank);
    uint32_t slot = (uint32_t)__builtin_ctzll(free), generation = ++l->pledge[slot];
    if (generation == 0) generation = l->pledge[slot] = 1;
    l->pledged |= (uint64_t)1 << slot;
    /* Relaxed: the reader asks only once it has the key, and the message that carries it publishes
     * this as well as the bytes. */
    shared_store_relaxed32(&segment_pledges(l->segment, l->side)[slot], generation);
    wire_put32(region->key, slot);
    wire_put32(region->key + 4, generation);
    wire_put64(region->key + 8, (uint64_t)(uintptr_t)region->base);
    wire_put64(region->key + 16, region->len);
    wire_put32(region->key + 24, share);
    wire_put32(region->key + 28, 0);
    region->key_len = READ_KEY_LEN;
    region->id = slot;
    region->private = l;
    return 0;
}

int read_withdraw(struct region *region)
{
    struct shm_link *l = region->private;
    if (!l) return 0;
    region->private = NULL;
    l->pledged &= ~((uint64_t)1 << region->id);
    /* Acquire, partner read_confirm(): see above. */
    if (l->segment) shared_exchange_acquire32(&segment_pledges(l->segment, l->side)[region->id], 0);
    return 0;
}

/* --- the reader ------------------------------------------------------------------------------- */

int read_accept(struct shm_link *l, struct region *region)
{
    uint32_t slot = wire_get32(region->key), generation = wire_get32(region->key + 4);
    uint64_t address = wire_get64(region->key + 8);
    uint32_t share = wire_get32(region->key + 24);
    if (slot >= SEGMENT_PLEDGES || generation == 0 || region->len == 0 ||
        wire_get64(region->key + 16) != region->len)
        return why_set(&l->base.transport->why, SINEW_EINVAL, "not a key to read %zu bytes",
                       region->len);
    region->base = NULL;
    region->private = NULL;
    if (share_at(l, share, address, region->len)) return 0;
    if (share) share_want(l, share);
    if (l->reads && region->len >= shm_of_link(l)->read_from) return 0;
    return why_set(&l->base.transport->why, SINEW_ENOTSUP, "better put");
}

static int read_died(struct shm_link *l)
{
    why_set(&l->base.why, 0, "rank %d has died: its process %d is gone", l->base.rank,
            (int)l->pid);
    shm_link_end(l, SINEW_EPEER, GONE_DIED, true);
    return SINEW_EPEER;
}

/* Bytes read, or < 0. */
static ssize_t read_cross(struct shm_link *l, void *to, uint64_t from, size_t len)
{
    struct iovec local = { to, len }, remote = { (void *)(uintptr_t)from, len };
    ssize_t n = process_vm_readv(l->pid, &local, 1, &remote, 1, 0);
    if (n > 0) return n;
    if (n < 0 && errno == ESRCH) return read_died(l);
    if (n < 0 && (errno == EPERM || errno == ENOSYS)) {
        l->reads = false;
        read_note(l, read_refusal(errno));
    }
    return SINEW_EACCESS;
}

/* Everything is here: was it still the sender's to give? */
static int read_confirm(struct shm_link *l, const struct rma *op, bool mapped)
{
    uint32_t slot = wire_get32(op->peers->key), generation = wire_get32(op->peers->key + 4);
    struct pollfd process = { .fd = l->pidfd, .events = POLLIN };
    /* The number of a dead process may be another's by now. */
    if (!mapped && l->pidfd >= 0 && poll(&process, 1, 0) > 0) return read_died(l);
    /* Release, partner read_withdraw(): see above. Nothing is taken over from there: whoever finds
     * the pledge void throws away what it has, and the key's message has brought the rest. */
    shared_u32 *pledge = &segment_pledges(l->segment, !l->side)[slot];
    return shared_load_after_stores32(pledge) == generation ? 0 : SINEW_EACCESS;
}

/* The next piece of it, by the kernel; bytes read, or < 0. */
static ssize_t read_piece(struct shm_link *l, struct rma *op, uint64_t from, size_t len)
{
    uint8_t *to = op->local;
    if (!l->reads) return SINEW_EACCESS;
    if (!op->landing) return read_cross(l, to + op->progress, from, len);
    if (len > LANDING_ROOM) len = LANDING_ROOM;
    for (size_t got = 0; got < len;) {
        ssize_t n = read_cross(l, to + got, from + got, len - got);
        if (n < 0) return n;
        got += (size_t)n;
    }
    op->landing->land(op->landing, op->progress, to, len);
    return (ssize_t)len;
}

int read_advance(struct shm_link *l, struct rma *op)
{
    if (op->len == 0) return 0;
    const uint8_t *key = op->peers->key;
    uint64_t from = wire_get64(key + 8) + op->offset + op->progress;
    size_t left = op->len - op->progress, len = left < READ_CHUNK ? left : READ_CHUNK;
    const void *mapped = share_at(l, wire_get32(key + 24), from, len);
    if (!mapped) {
        ssize_t n = read_piece(l, op, from, len);
        if (n < 0) return (int)n;
        len = (size_t)n;
    } else if (op->landing) {
        op->landing->land(op->landing, op->progress, mapped, len);
    } else {
        shared_read((uint8_t *)op->local + op->progress, mapped, len);
    }
    op->progress += len;
    return op->progress < op->len ? SINEW_PENDING : read_confirm(l, op, mapped);
}
