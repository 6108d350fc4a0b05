/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c - memory that operations in a team may use best
 */
#include <unistd.h>

#include "messaging/context.h"

struct sinew_memory {
    struct list entry; /* context->memories */
    struct sinew_team *team;
    void *address;
    size_t size, mapped;
    unsigned rights;
};

enum { RIGHTS_ALL = SINEW_RIGHT_READ | SINEW_RIGHT_WRITE | SINEW_RIGHT_ATOMIC };

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
    size_t mapped = (size + page - 1) / page * page;
    struct sinew_memory *m = context_allocate(s, sizeof(*m));
    void *address = m ? world_allocate_aligned(s->world, page, mapped) : NULL;
    if (!address) {
        context_release(s, m, sizeof(*m));
        return team_refuse(team, SINEW_ENOMEM, "sinew_memory_alloc: no memory for %zu bytes", size);
    }
    s->counters.memory_bytes += mapped;
    *m = (struct sinew_memory){
        .team = team, .address = address, .size = size, .mapped = mapped, .rights = rights
    };
    list_init(&m->entry);
    list_append(&s->memories, &m->entry);
    team->live++;
    s->requests.live++;
    *memory = m;
    return 0;
}

void *sinew_memory_address(const struct sinew_memory *memory)
{
    return memory ? memory->address : NULL;
}

size_t sinew_memory_size(const struct sinew_memory *memory)
{
    return memory ? memory->size : 0;
}

/* Whether a message under way reads or writes this memory. */
static bool memory_in_use(const struct sinew *s, const struct sinew_memory *m)
{
    uintptr_t from = (uintptr_t)m->address, to = from + m->size;
    for (uint32_t i = 0; i < s->requests.chunks; i++)
        for (int j = 0; j < REQUEST_CHUNK; j++) {
            const struct sinew_request *r = &s->requests.chunk[i][j];
            uintptr_t buf = (uintptr_t)r->buf;
            bool moves = r->kind == REQUEST_SEND || r->kind == REQUEST_RECV;
            if (r->state == STATE_FREE || r->state == STATE_DONE || !moves) continue;
            if (buf < to && buf + r->len > from) return true;
        }
    return false;
}

static void memory_release(struct sinew *s, struct sinew_memory *m)
{
    list_remove(&m->entry);
    context_release(s, m->address, m->mapped);
    context_release(s, m, sizeof(*m));
}

int sinew_memory_free(struct sinew_memory **memory)
{
    if (!memory || !*memory) return 0;
    struct sinew_memory *m = *memory;
    struct sinew *s = m->team->core->context;
    int rc = context_check(s, true);
    if (rc) return rc;
    if (memory_in_use(s, m))
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
    while (!list_empty(&s->memories))
        memory_release(s, LIST_OWNER(s->memories.next, struct sinew_memory, entry));
}
