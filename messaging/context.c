/* SPDX-License-Identifier: BSD-3-Clause */
#include "messaging/context.h"

#include <stdio.h>

int context_check(struct sinew *s, bool blocking)
{
    if (!s->state->is_owned)
        return why_set(&s->why, SINEW_ESTATE,
                       "this context belongs to the process that opened it; after fork a child can "
                       "only sinew_abandon() it and open its own");
    if (s->state->in_callback)
        return why_set(&s->why, SINEW_ESTATE, "a callback must not call the context");
    if (blocking && s->state->in_progress)
        return why_set(&s->why, SINEW_ESTATE, "a callback must not wait");
    return 0;
}

int context_fail(struct sinew *s, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->why.text, sizeof(s->why.text), format, args);
    va_end(args);
    return status;
}

void *context_allocate(struct sinew *s, size_t size)
{
    void *memory = world_allocate(s->world, size);
    if (memory) s->counters.memory_bytes += size;
    return memory;
}

void context_release(struct sinew *s, void *memory, size_t size)
{
    if (memory) s->counters.memory_bytes -= size;
    world_release(s->world, memory, size);
}
