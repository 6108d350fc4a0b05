/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap.c - a binary heap of events that know their place, so that any of them can be taken out
 */
#include <stdlib.h>

#include "transport/sim/internal.h"

static bool event_before(const struct event *a, const struct event *b)
{
    if (a->time != b->time) return a->time < b->time;
    if (a->tie != b->tie) return a->tie < b->tie;
    return a->sequence < b->sequence;
}

static void heap_put(struct heap *h, size_t i, struct event *e)
{
    h->at[i] = e;
    e->at = (uint32_t)i + 1;
}

static void heap_rise(struct heap *h, size_t i, struct event *e)
{
    while (i > 0 && event_before(e, h->at[(i - 1) / 2])) {
        heap_put(h, i, h->at[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(h, i, e);
}

static void heap_sink(struct heap *h, size_t i, struct event *e)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < h->count && event_before(h->at[child + 1], h->at[child])) child++;
        if (child >= h->count || !event_before(h->at[child], e)) break;
        heap_put(h, i, h->at[child]);
        i = child;
    }
    heap_put(h, i, e);
}

bool heap_insert(struct heap *h, struct event *e)
{
    if (h->count == h->cap) {
        size_t cap = h->cap ? 2 * h->cap : 64;
        struct event **at = realloc(h->at, cap * sizeof(*at));
        if (!at) return false;
        h->at = at;
        h->cap = cap;
    }
    h->count++;
    heap_rise(h, h->count - 1, e);
    return true;
}

void heap_remove(struct heap *h, struct event *e)
{
    if (!e->at) return;
    size_t i = e->at - 1;
    e->at = 0;
    struct event *last = h->at[--h->count];
    if (last == e) return;
    if (i > 0 && event_before(last, h->at[(i - 1) / 2]))
        heap_rise(h, i, last);
    else
        heap_sink(h, i, last);
}
