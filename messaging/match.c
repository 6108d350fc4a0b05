/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * match.c - which message meets which receive
 *
 * A receive from one rank with one tag, and every message, live in the bucket of their whole key;
 * receives with a wildcard in one list of their own. A message that could be matched by both goes
 * to the one posted first (`order`). A wildcard receive takes the first arrival that it accepts.
 * Messages for a team that does not exist here yet simply wait under their team id.
 */
#include "messaging/context.h"

static bool is_exact(const struct match_key *k)
{
    return k->source != SINEW_ANY_RANK && !k->any_tag;
}

bool match_accepts(const struct match_key *receive, const struct match_key *message)
{
    return receive->team == message->team && receive->space == message->space &&
           (receive->source == SINEW_ANY_RANK || receive->source == message->source) &&
           (receive->any_tag || receive->tag == message->tag) && receive->step == message->step &&
           receive->tile == message->tile;
}

void match_init(struct match *m)
{
    for (int i = 0; i < MATCH_BUCKETS; i++) {
        list_init(&m->posted[i]);
        list_init(&m->unexpected[i]);
    }
    list_init(&m->wild);
    list_init(&m->arrivals);
}

static struct unexpected *first_exact(struct match *m, const struct match_key *key)
{
    struct list *bucket = &m->unexpected[match_bucket(key)];
    for (struct list *l = bucket->next; l != bucket; l = l->next) {
        struct unexpected *u = LIST_OWNER(l, struct unexpected, bucket);
        struct match_key have = unexpected_key(u);
        if (match_accepts(key, &have)) return u;
    }
    return NULL;
}

static struct unexpected *first_arrival(struct match *m, const struct match_key *key)
{
    for (struct list *l = m->arrivals.next; l != &m->arrivals; l = l->next) {
        struct unexpected *u = LIST_OWNER(l, struct unexpected, arrival);
        struct match_key have = unexpected_key(u);
        if (match_accepts(key, &have)) return u;
    }
    return NULL;
}

void match_forget_offers(struct match *m, const struct peer *p)
{
    for (int i = 0; i < MATCH_BUCKETS; i++)
        for (struct list *l = m->unexpected[i].next; l != &m->unexpected[i]; l = l->next) {
            struct unexpected *u = LIST_OWNER(l, struct unexpected, bucket);
            if (u->peer == p) u->offered = 0;
        }
}

struct unexpected *match_unexpected(struct match *m, const struct match_key *key)
{
    return is_exact(key) ? first_exact(m, key) : first_arrival(m, key);
}

static struct sinew_request *first_posted(struct list *head, const struct match_key *key)
{
    for (struct list *l = head->next; l != head; l = l->next) {
        struct sinew_request *r = LIST_OWNER(l, struct sinew_request, entry);
        if (match_accepts(&r->key, key)) return r;
    }
    return NULL;
}

struct sinew_request *match_posted(struct match *m, const struct match_key *key)
{
    struct sinew_request *exact = first_posted(&m->posted[match_bucket(key)], key);
    struct sinew_request *wild =
        key->space == SPACE_USER && !list_empty(&m->wild) ? first_posted(&m->wild, key) : NULL;
    if (exact && wild) return exact->order < wild->order ? exact : wild;
    return exact ? exact : wild;
}

void match_file(struct match *m, struct sinew_request *r)
{
    r->wild = !is_exact(&r->key);
    if (!r->wild && r->key.space == SPACE_USER) r->peer->filed++;
    struct list *head = r->wild ? &m->wild : &m->posted[match_bucket(&r->key)], *after = head->prev;
    while (after != head && LIST_OWNER(after, struct sinew_request, entry)->order > r->order)
        after = after->prev;
    list_append(after->next, &r->entry); /* by order: a window may be filed behind younger ones */
}

void match_post(struct match *m, struct sinew_request *r)
{
    r->state = STATE_POSTED;
    r->order = m->posts++;
    m->posted_count++;
    ++*m->open;
    match_file(m, r);
}

void match_unpost(struct match *m, struct sinew_request *r)
{
    if (!r->wild && r->key.space == SPACE_USER) r->peer->filed--;
    list_remove(&r->entry);
    m->posted_count--;
    --*m->open;
}

void match_keep(struct match *m, struct unexpected *u)
{
    struct match_key key = unexpected_key(u);
    list_append(&m->unexpected[match_bucket(&key)], &u->bucket);
    if (key.space == SPACE_USER) list_append(&m->arrivals, &u->arrival);
    m->kept_count++;
    ++*m->open;
}

void match_drop(struct match *m, struct unexpected *u)
{
    if (list_empty(&u->bucket)) return;
    m->kept_count--;
    --*m->open;
    list_remove(&u->bucket);
    list_remove(&u->arrival);
}
