/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c - memory that operations in a team may use best
 *
 * The first transport that gives memory of its own does so; where none has any (left), it comes
 * from the heap, and all works as well, only slower.
 */
#include <unistd.h>

#include "messaging/context.h"

struct sinew_memory {
    struct list entry; /* context->memories */
    struct sinew_team *team;
    struct transport *transport; /* whose memory it is; NULL: of the heap */
    struct region region;
    struct region lasting[TRANSPORTS_MAX]; /* by transport: it knows that this memory stays */
    bool is_lasting[TRANSPORTS_MAX];
    size_t size;
    unsigned rights;
};

enum { RIGHTS_ALL = SINEW_RIGHT_READ | SINEW_RIGHT_WRITE | SINEW_RIGHT_ATOMIC };

/* From a transport, or the heap: 0, or nothing is left. */
static int memory_take(struct sinew *s, struct sinew_memory *m, size_t page)
{
    struct region *region = &m->region;
    for (int i = 0; i < s->transports; i++) {
        struct transport *t = s->transport[i];
        if (!t->caps.memory) continue;
        if (t->ops->reg(t, NULL, region) == 0) {
            m->transport = t;
            return 0;
        }
        log_line(&s->log, LOG_CHOICE, "%zu bytes come from the heap, and %s copies twice: %s",
                 region->len, t->ops->name, t->why.text);
    }
    region->base = world_allocate_aligned(s->world, page, region->len);
    if (region->base) s->counters.memory_bytes += region->len;
    return region->base ? 0 : SINEW_ENOMEM;
}

/* None has to know. */
static void memory_tell_lasting(struct sinew *s, struct sinew_memory *m)
{
    for (int i = 0; i < s->transports; i++) {
        struct transport *t = s->transport[i];
        if (!t->caps.keeps) continue;
        m->lasting[i] = (struct region){ .base = m->region.base, .len = m->region.len,
                                         .rights = REGION_LASTING };
        m->is_lasting[i] = t->ops->reg(t, NULL, &m->lasting[i]) == 0;
    }
}

/* False: one still moves bytes of it. */
static bool memory_lasts_no_more(struct sinew *s, struct sinew_memory *m)
{
    for (int i = 0; i < s->transports; i++) {
        if (!m->is_lasting[i]) continue;
        if (s->transport[i]->ops->dereg(s->transport[i], &m->lasting[i])) return false;
        m->is_lasting[i] = false;
    }
    return true;
}

int sinew_memory_alloc(struct sinew_team *team, size_t size, unsigned rights,
                       struct sinew_memory **memory)
{
    if (!team || !memory) return SINEW_EINVAL;
    struct sinew *s = team->core->context;
    int rc = context_check(s, false);
    if (rc) return rc;
    if (size == 0 || size > PTRDIFF_MAX)
        return team_refuse(team, SINEW_EINVAL, "sinew_memory_alloc: size is %zu; 1 to %td", size,
                           PTRDIFF_MAX);
    if (rights & ~(unsigned)RIGHTS_ALL)
        return team_refuse(team, SINEW_EINVAL,
                           "sinew_memory_alloc: rights are 0x%x; known are 0x%x", rights,
                           RIGHTS_ALL);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct sinew_memory *m = context_allocate(s, sizeof(*m));
    if (m) {
        *m = (struct sinew_memory){ .team = team, .size = size, .rights = rights };
        m->region.len = (size + page - 1) / page * page;
    }
    if (!m || memory_take(s, m, page)) {
        context_release(s, m, sizeof(*m));
        return team_refuse(team, SINEW_ENOMEM, "sinew_memory_alloc: no memory for %zu bytes", size);
    }
    memory_tell_lasting(s, m);
    list_init(&m->entry);
    list_append(&s->memories, &m->entry);
    team->live++;
    s->requests.live++;
    *memory = m;
    return 0;
}

void *sinew_memory_address(const struct sinew_memory *memory)
{
    return memory ? memory->region.base : NULL;
}

size_t sinew_memory_size(const struct sinew_memory *memory)
{
    return memory ? memory->size : 0;
}

/* Whether a message under way reads or writes this memory, or an operation will. */
static bool request_uses(const struct sinew_request *r, const struct sinew_memory *m)
{
    uintptr_t from = (uintptr_t)m->region.base, buf = (uintptr_t)r->buf;
    if (r->state == STATE_FREE || (r->state == STATE_DONE && !r->persistent)) return false;
    if (r->kind == REQUEST_OPERATION) return r->ops->uses(r->state_of, m->region.base, m->size);
    return buf < from + m->size && buf + r->len > from;
}

static bool memory_in_use(const struct sinew *s, const struct sinew_memory *m)
{
    for (uint32_t i = 0; i < s->requests.chunks; i++)
        for (int j = 0; j < REQUEST_CHUNK; j++)
            if (request_uses(&s->requests.chunk[i][j], m)) return true;
    return false;
}

static void memory_release(struct sinew *s, struct sinew_memory *m)
{
    list_remove(&m->entry);
    if (m->transport)
        m->transport->ops->dereg(m->transport, &m->region);
    else
        context_release(s, m->region.base, m->region.len);
    context_release(s, m, sizeof(*m));
}

int sinew_memory_free(struct sinew_memory **memory)
{
    if (!memory || !*memory) return 0;
    struct sinew_memory *m = *memory;
    struct sinew *s = m->team->core->context;
    int rc = context_check(s, true);
    if (rc) return rc;
    window_file_all(s); /* then all of them say where their buffers are */
    if (memory_in_use(s, m) || !memory_lasts_no_more(s, m))
        return context_fail(s, SINEW_EBUSY,
                            "sinew_memory_free: a live request uses this memory; wait "
                            "for it first");
    m->team->live--;
    s->requests.live--;
    memory_release(s, m);
    *memory = NULL;
    return 0;
}

void memory_release_all(struct sinew *s)
{
    while (!list_empty(&s->memories)) {
        struct sinew_memory *m = LIST_OWNER(s->memories.next, struct sinew_memory, entry);
        memory_lasts_no_more(s, m); /* all links are down */
        memory_release(s, m);
    }
}
