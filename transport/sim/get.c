/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * get.c - reads of what a peer has registered
 *
 * A request goes over the wire, and what the owner has there when it comes goes back; or, when the
 * owner has taken the memory back meanwhile, SINEW_EACCESS. The owner's rank has no part in it. Two
 * are under way from one end at most; one more is AGAIN.
 */
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "transport/sim/internal.h"

enum { READ_LEN = 32, GETS_MAX = 2 };

struct get {
    struct list entry;
    uint64_t id, cookie;
    void *local;
    size_t len;
};

static int gets_under_way(const struct end *e)
{
    int n = 0;
    for (const struct list *l = e->gets.next; l != &e->gets; l = l->next) n++;
    return n;
}

int get_start(struct end *e, struct rma *op, int64_t now)
{
    struct sim *s = e->channel->sim;
    const struct region *from = op->peers;
    if (op->offset > from->len || op->len > from->len - op->offset) return SINEW_EINVAL;
    if (!region_allows(from, REGION_GET)) return SINEW_EACCESS;
    if (gets_under_way(e) == GETS_MAX) return TRANSPORT_AGAIN;
    struct get *g = sim_allocate(s, sizeof(*g));
    struct parcel *read = g ? parcel_new(e->channel, !e->side, PARCEL_READ, READ_LEN) : NULL;
    if (!read) {
        free(g);
        return SINEW_ENOMEM;
    }
    *g = (struct get){ .id = ++e->gets_started,
                       .cookie = op->cookie,
                       .local = op->local,
                       .len = op->len };
    list_init(&g->entry);
    list_append(&e->gets, &g->entry);
    wire_put64(read->bytes, from->id);
    wire_put64(read->bytes + 8, op->offset);
    wire_put64(read->bytes + 16, op->len);
    wire_put64(read->bytes + 24, g->id);
    read->blen = READ_LEN;
    wire_send(e, read, now);
    return TRANSPORT_PENDING;
}

void get_serve(struct end *e, const struct parcel *read)
{
    struct sim *s = e->channel->sim;
    uint64_t id = wire_get64(read->bytes), offset = wire_get64(read->bytes + 8);
    size_t len = (size_t)wire_get64(read->bytes + 16);
    struct registration *r = registration_find(e->port, (uint32_t)id, (uint32_t)(id >> 32));
    bool there = r && !r->revoked && offset <= r->len && len <= r->len - offset;
    struct parcel *data = parcel_new(e->channel, !e->side, PARCEL_DATA, there ? len : 0);
    if (!data) return;
    data->cookie = wire_get64(read->bytes + 24);
    data->status = there ? 0 : SINEW_EACCESS;
    data->blen = there ? len : 0;
    if (there) memcpy(data->bytes, r->base + offset, len);
    wire_send(e, data, s->now);
}

void get_arrive(struct end *e, const struct parcel *data)
{
    for (struct list *l = e->gets.next; l != &e->gets; l = l->next) {
        struct get *g = LIST_OWNER(l, struct get, entry);
        if (g->id != data->cookie) continue;
        if (data->status == 0) memcpy(g->local, data->bytes, g->len);
        end_note(e, NOTE_DONE, g->cookie, data->status, GONE_LEFT);
        list_remove(&g->entry);
        free(g);
        end_goodbye_when_empty(e);
        return;
    }
}

void get_cancel_all(struct end *e, int status)
{
    struct list *l;
    while ((l = list_take(&e->gets))) {
        struct get *g = LIST_OWNER(l, struct get, entry);
        end_note(e, NOTE_DONE, g->cookie, status, GONE_LEFT);
        free(g);
    }
}

void get_free(struct end *e)
{
    struct list *l;
    while ((l = list_take(&e->gets))) free(LIST_OWNER(l, struct get, entry));
}
