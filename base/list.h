/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_LIST_H
#define BASE_LIST_H
/*
 * list.h - doubly linked intrusive lists
 *
 * A head and its entries are the same structure; an entry that is in no list points to itself, so
 * removal is always allowed and twice is once.
 */
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define LIST_OWNER(entry, type, member) ((type *)((char *)(entry) - offsetof(type, member)))

static inline void list_init(struct list *l) { l->next = l->prev = l; }

static inline bool list_empty(const struct list *l) { return l->next == l; }

static inline void list_append(struct list *head, struct list *entry)
{
    entry->prev = head->prev;
    entry->next = head;
    head->prev->next = entry;
    head->prev = entry;
}

static inline void list_remove(struct list *entry)
{
    entry->prev->next = entry->next;
    entry->next->prev = entry->prev;
    list_init(entry);
}

/* The first entry, removed; NULL when empty. */
static inline struct list *list_take(struct list *head)
{
    struct list *first = head->next;
    if (first == head) return NULL;
    list_remove(first);
    return first;
}

/* Every entry of `from`, in order, to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    struct list *entry;
    while ((entry = list_take(from))) list_append(to, entry);
}

#endif
