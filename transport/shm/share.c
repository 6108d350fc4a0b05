/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * share.c - memory of this process's that its peers map, and theirs that is mapped here
 *
 *   ring    SHM_SHARE | id 4 | what 1 |
 *   socket  | magic 4 | id 4 | base 8 | length 8 |, with the memory's descriptor
 *
 *     reader                         owner
 *     WANT id                  -->
 *                              <--   the packet, on the link's socket
 *                              <--   SENT id: look at it now; or REFUSED id
 *     maps it, TAKEN id        -->
 *                              <--   GONE id: it was freed; GONE 0: unmap all that is mapped
 *
 * A reader asks when it meets a key that names memory it has not mapped, and takes the other way
 * for that message: nobody ever waits for a mapping. Only what was asked for may come. The memory
 * is a sealed memfd, allocated in full, and is checked as segments are; the peer's user was checked
 * when the link was made. Readers map it read-only.
 *
 * Bounded: SHM_SHARES_MAX of one's own; SHM_MAPS_MAX of each peer's, the least recently used one
 * making room; as many descriptors sent and not yet taken. TAKEN and REFUSED free a place at the
 * other end, so what of them finds no room in the ring is owed until it has some: a peer that keeps
 * to these bounds waits for no more of either than it has places. Of GONE one is owed at most: what
 * is freed while it waits makes it a GONE 0, and the reader asks anew for what still exists.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/wire.h"
#include "transport/shm/link.h"

enum { SHARE_MAGIC = 0x65726873, SHARE_LEN = 24, SHARE_HEAD_LEN = 5, SHARE_DESCRIPTORS = 16 };
enum { SHM_SHARES_MAX = 256, SHM_MAPS_MAX = 32, SHARES_FIRST = 8 };
enum { SHARES_OWED_MAX = 2 * SHM_MAPS_MAX };

enum share_what { SHARE_WANT = 1, SHARE_SENT, SHARE_REFUSED, SHARE_TAKEN, SHARE_GONE };

struct share {
    uint8_t *base;
    size_t len;
    uint32_t id;
    int fd;
};

enum map_state { MAP_NONE, MAP_WANTED, MAP_REFUSED, MAP_THERE };

struct share_map {
    uint32_t id;
    uint8_t state;
    const uint8_t *at;
    uint64_t base; /* in the owner's memory */
    size_t len;
    uint64_t used; /* when, on `clock` */
};

/* A word for the peer. */
struct share_owed {
    uint32_t id;
    uint8_t what;
};

struct share_maps {
    uint64_t clock;
    struct share_map map[SHM_MAPS_MAX];
    int owed_count;
    struct share_owed owed[SHARES_OWED_MAX];
};

static int share_tell(struct shm_link *l, uint32_t id, enum share_what what)
{
    uint8_t head[SHARE_HEAD_LEN];
    wire_put32(head, id);
    head[4] = (uint8_t)what;
    return link_publish(l, RING_DATA, SHM_SHARE, head, sizeof(head), NULL, 0);
}

static struct share_maps *maps_get(struct shm_link *l)
{
    if (!l->maps)
        l->maps = world_allocate(l->base.transport->opt.world, sizeof(struct share_maps));
    return l->maps;
}

/* At once, or with the first room there is. */
static void share_must_tell(struct shm_link *l, uint32_t id, enum share_what what)
{
    if (share_tell(l, id, what) <= 0) return;
    struct share_maps *maps = maps_get(l);
    /* More than that waits at a peer that breaks its bounds, at its own cost. */
    if (!maps || maps->owed_count == SHARES_OWED_MAX) return;
    maps->owed[maps->owed_count++] = (struct share_owed){ id, (uint8_t)what };
    l->wants |= SHM_WANTS_SHARES;
}

void share_settle(struct shm_link *l)
{
    struct share_maps *maps = l->maps;
    int told = 0, count = maps ? maps->owed_count : 0;
    if (l->owes_gone && share_tell(l, l->share_gone, SHARE_GONE) == 0) l->owes_gone = false;
    while (told < count &&
           share_tell(l, maps->owed[told].id, (enum share_what)maps->owed[told].what) == 0)
        told++;
    if (told > 0) {
        maps->owed_count = count - told;
        memmove(maps->owed, maps->owed + told, (size_t)(count - told) * sizeof(*maps->owed));
    }
    if (told == count && !l->owes_gone) l->wants &= (uint8_t)~SHM_WANTS_SHARES;
}

bool share_can_settle(struct shm_link *l)
{
    return (l->wants & SHM_WANTS_SHARES) && ring_would_fit(&l->tx, RING_DATA, SHARE_HEAD_LEN, 0);
}

/* As share_must_tell(), with no memory of its own: it is told of what is freed. */
static void share_must_tell_gone(struct shm_link *l, uint32_t id)
{
    if (!l->owes_gone && share_tell(l, id, SHARE_GONE) <= 0) return;
    l->share_gone = l->owes_gone ? 0 : id;
    l->owes_gone = true;
    l->wants |= SHM_WANTS_SHARES;
}

/* --- one's own -------------------------------------------------------------------------------- */

/* The last share that begins at or before `at`, plus one; 0: none. They are in order of address. */
static uint32_t share_before(const struct shm_transport *t, const void *at)
{
    uint32_t low = 0, high = t->share_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if ((uintptr_t)t->shares[middle].base <= (uintptr_t)at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t share_of(const struct shm_transport *t, const void *at, size_t len)
{
    uint32_t i = t->share_count ? share_before(t, at) : 0;
    if (i == 0) return 0;
    const struct share *s = &t->shares[i - 1];
    size_t offset = (size_t)((const uint8_t *)at - s->base);
    return offset <= s->len && len <= s->len - offset ? s->id : 0;
}

static int shares_grow(struct shm_transport *t)
{
    const struct world *world = t->base.opt.world;
    uint32_t cap = t->share_cap ? 2 * t->share_cap : SHARES_FIRST;
    if (cap > SHM_SHARES_MAX)
        return why_set(&t->base.why, SINEW_ELIMIT, "more than %d pieces of shared memory",
                       SHM_SHARES_MAX);
    struct share *grown = world_allocate(world, cap * sizeof(*grown));
    if (!grown) return why_set(&t->base.why, SINEW_ENOMEM, "no memory for %" PRIu32 " shares", cap);
    if (t->shares) memcpy(grown, t->shares, t->share_count * sizeof(*grown));
    world_release(world, t->shares, t->share_cap * sizeof(*grown));
    t->shares = grown;
    t->share_cap = cap;
    return 0;
}

static struct share *share_named(struct shm_transport *t, uint64_t id)
{
    for (uint32_t i = 0; i < t->share_count; i++)
        if (t->shares[i].id == id) return &t->shares[i];
    return NULL;
}

int share_create(struct shm_transport *t, struct region *region)
{
    int status = t->share_count == t->share_cap ? shares_grow(t) : 0;
    if (status < 0) return status;
    int fd = segment_memory(region->len, &t->base.why);
    if (fd < 0) return fd;
    void *at = mmap(NULL, region->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        close(fd);
        return why_set(&t->base.why, SINEW_ENOMEM, "%zu bytes of shared memory cannot be mapped",
                       region->len);
    }
    segment_seal_memory(fd);
    do t->last_share++;
    while (t->last_share == 0 || share_named(t, t->last_share));
    uint32_t i = share_before(t, at);
    memmove(&t->shares[i + 1], &t->shares[i], (t->share_count - i) * sizeof(*t->shares));
    t->share_count++;
    t->shares[i] = (struct share){ at, region->len, t->last_share, fd };
    region->base = at;
    region->key_len = 0;
    region->id = t->last_share;
    region->private = &t->shares; /* what dereg knows it by */
    return 0;
}

int share_destroy(struct shm_transport *t, struct region *region)
{
    struct share *s = share_named(t, region->id);
    region->private = NULL;
    if (!s) return 0;
    for (struct list *e = t->live.next, *next; e != &t->live; e = next) {
        struct shm_link *l = LIST_OWNER(e, struct shm_link, of_live);
        next = e->next; /* a link that breaks leaves the list */
        if (l->shares_sent) share_must_tell_gone(l, s->id);
    }
    munmap(s->base, s->len);
    close(s->fd);
    t->share_count--;
    memmove(s, s + 1, (size_t)(&t->shares[t->share_count] - s) * sizeof(*s));
    return 0;
}

void share_close(struct shm_transport *t)
{
    world_release(t->base.opt.world, t->shares, t->share_cap * sizeof(*t->shares));
    t->shares = NULL;
    t->share_count = t->share_cap = 0;
}

static int share_send(struct shm_link *l, const struct share *s)
{
    uint8_t packet[SHARE_LEN];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec io = { packet, sizeof(packet) };
    struct msghdr message = { .msg_iov = &io,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &s->fd, sizeof(int));
    wire_put32(packet, SHARE_MAGIC);
    wire_put32(packet + 4, s->id);
    wire_put64(packet + 8, (uint64_t)(uintptr_t)s->base);
    wire_put64(packet + 16, s->len);
    return sendmsg(l->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == SHARE_LEN ? 0 : -1;
}

/* The peer asks for a descriptor. */
static void share_answer(struct shm_link *l, uint32_t id)
{
    const struct share *s = share_named(shm_of_link(l), id);
    bool sent = s && l->shares_sent - l->shares_taken < SHM_MAPS_MAX && share_send(l, s) == 0;
    if (sent) l->shares_sent++;
    if (sent)
        share_tell(l, id, SHARE_SENT); /* no room: it will see for itself */
    else
        share_must_tell(l, id, SHARE_REFUSED);
}

/* --- the peer's ------------------------------------------------------------------------------- */

static struct share_map *map_named(const struct shm_link *l, uint32_t id)
{
    for (int i = 0; id && l->maps && i < SHM_MAPS_MAX; i++)
        if (l->maps->map[i].id == id) return &l->maps->map[i];
    return NULL;
}

static void map_drop(struct share_map *m)
{
    if (m->state == MAP_THERE) munmap((void *)(uintptr_t)m->at, m->len);
    *m = (struct share_map){ 0 };
}

const void *share_at(struct shm_link *l, uint32_t id, uint64_t address, size_t len)
{
    struct share_map *m = map_named(l, id);
    if (!m || m->state != MAP_THERE || address < m->base) return NULL;
    uint64_t offset = address - m->base;
    if (offset > m->len || len > m->len - offset) return NULL;
    m->used = ++l->maps->clock;
    return m->at + offset;
}

/* A free place, or the one least recently used; NULL: all of them are asked for. */
static struct share_map *map_place(struct share_maps *maps)
{
    struct share_map *oldest = NULL;
    for (int i = 0; i < SHM_MAPS_MAX; i++) {
        struct share_map *m = &maps->map[i];
        if (m->state == MAP_NONE) return m;
        if (m->state != MAP_WANTED && (!oldest || m->used < oldest->used)) oldest = m;
    }
    return oldest;
}

void share_want(struct shm_link *l, uint32_t id)
{
    if (map_named(l, id)) return;
    struct share_maps *maps = maps_get(l);
    struct share_map *m = maps ? map_place(maps) : NULL;
    if (!m || share_tell(l, id, SHARE_WANT) != 0) return; /* with the next message, perhaps */
    map_drop(m);
    m->id = id;
    m->state = MAP_WANTED;
    m->used = ++maps->clock;
}

void share_forget(struct shm_link *l)
{
    for (int i = 0; l->maps && i < SHM_MAPS_MAX; i++) map_drop(&l->maps->map[i]);
    world_release(l->base.transport->opt.world, l->maps, sizeof(struct share_maps));
    l->maps = NULL;
}

struct share_packet {
    uint8_t bytes[SHARE_LEN];
    int fd; /* -1: none came */
    bool lost; /* this process may not open more */
};

/* 0 a packet, > 0 nothing, SINEW_EPEER the end, SINEW_EPROTO. */
static int share_receive(int socket, struct share_packet *p)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(SHARE_DESCRIPTORS * sizeof(int))];
    } control;
    struct iovec io = { p->bytes, SHARE_LEN };
    struct msghdr message = { .msg_iov = &io,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
    ssize_t len = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) return SINEW_PENDING;
    int came = 0;
    p->fd = -1;
    p->lost = len >= 0 && (message.msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *c = len >= 0 ? CMSG_FIRSTHDR(&message) : NULL; c;
         c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++, came++) {
            if (p->fd >= 0) close(p->fd);
            memcpy(&p->fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        }
    }
    if (len <= 0 && came == 0) return SINEW_EPEER;
    bool right = len == SHARE_LEN && came <= 1 && !(message.msg_flags & MSG_TRUNC) &&
                 wire_get32(p->bytes) == SHARE_MAGIC;
    if (!right && p->fd >= 0) close(p->fd);
    return right ? 0 : SINEW_EPROTO;
}

/* What came is what it should be: mapped, or left alone. */
static int map_open(struct share_map *m, const struct share_packet *p, struct why *why)
{
    uint64_t base = wire_get64(p->bytes + 8), len = wire_get64(p->bytes + 16);
    if (p->lost) {
        m->state = MAP_REFUSED;
        return 0;
    }
    if (p->fd < 0 || len == 0 || len > PTRDIFF_MAX || base > UINT64_MAX - len)
        return why_set(why, SINEW_EPROTO, "no descriptor, or impossible lengths");
    int status = segment_check_memory(p->fd, (size_t)len, why);
    if (status < 0) return status;
    void *at = mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, p->fd, 0);
    m->state = at == MAP_FAILED ? MAP_REFUSED : MAP_THERE;
    m->at = at;
    m->base = base;
    m->len = (size_t)len;
    return 0;
}

int share_heard(struct shm_link *l)
{
    struct share_packet p;
    int status = share_receive(l->socket, &p);
    if (status != 0) return status;
    uint32_t id = wire_get32(p.bytes + 4);
    struct share_map *m = map_named(l, id);
    struct why why = { "it was not asked for" };
    status = m && m->state == MAP_WANTED ? map_open(m, &p, &why) : SINEW_EPROTO;
    if (p.fd >= 0) close(p.fd);
    if (status == 0) share_must_tell(l, id, SHARE_TAKEN);
    return status;
}

static bool map_is_wanted(const struct shm_link *l, uint32_t id)
{
    for (int i = 0; l->maps && i < SHM_MAPS_MAX; i++) {
        const struct share_map *m = &l->maps->map[i];
        if (m->state == MAP_WANTED && (id == 0 || m->id == id)) return true;
    }
    return false;
}

/* A descriptor of it may be on the socket still, and would be mapped after this word. */
static int share_freed(struct shm_link *l, uint32_t id)
{
    while (map_is_wanted(l, id)) {
        int status = share_heard(l);
        if (status == SINEW_EPROTO) return status;
        if (status != 0) break;
    }
    for (int i = 0; l->maps && i < SHM_MAPS_MAX; i++) {
        struct share_map *m = &l->maps->map[i];
        if (m->state != MAP_WANTED && (id == 0 || m->id == id)) map_drop(m);
    }
    return 0;
}

int share_deliver(struct shm_link *l, const struct ring_message *m)
{
    struct wire_reader head = wire_read(m->head, m->hlen);
    uint32_t id = wire_take32(&head);
    uint8_t what = wire_take8(&head);
    if (head.bad || head.left > 0 || m->blen > 0) return SINEW_EPROTO;
    struct share_map *map = map_named(l, id);
    switch ((enum share_what)what) {
    case SHARE_WANT: share_answer(l, id); return 0;
    case SHARE_SENT: return share_heard(l) == SINEW_EPROTO ? SINEW_EPROTO : 0;
    case SHARE_REFUSED:
        if (map && map->state == MAP_WANTED) map->state = MAP_REFUSED;
        return 0;
    case SHARE_TAKEN:
        if (l->shares_taken == l->shares_sent) return SINEW_EPROTO;
        l->shares_taken++;
        return 0;
    case SHARE_GONE: return share_freed(l, id);
    }
    return SINEW_EPROTO;
}
