/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * choose.c - by which transport a peer is reached, and why not by another
 *
 * What a rank publishes through the launcher, at most 64 bytes:
 *
 *    u8 version | u64 epoch | u32 name of the cores | { u8 transport, u8 length, address } …
 */
#include <string.h>

#include "base/wire.h"
#include "messaging/context.h"

enum { RECORD_FIXED = 13 };

int choose_record(struct sinew *s, uint8_t record[RECORD_MAX], size_t *len, struct why *why)
{
    size_t at = RECORD_FIXED;
    record[0] = RECORD_VERSION;
    wire_put64(record + 1, s->epoch);
    wire_put32(record + 9, s->cores_name);
    for (int i = 0; i < s->transports; i++) {
        const struct transport *t = s->transport[i];
        if (t->caps.wired) continue; /* its address is told over the control link */
        if (at + 2 + t->address_len > RECORD_MAX)
            return why_set(why, SINEW_ELIMIT,
                           "the addresses of all transports do not fit %d bytes; "
                           "choose fewer with `transports`",
                           RECORD_MAX);
        record[at] = t->ops->id;
        record[at + 1] = (uint8_t)t->address_len;
        memcpy(record + at + 2, t->address, t->address_len);
        at += 2 + t->address_len;
    }
    *len = at;
    return 0;
}

static int fetch_head(struct sinew *s, int rank, uint8_t record[RECORD_MAX],
                      struct wire_reader *addresses, uint64_t *epoch, uint32_t *cores,
                      struct why *why)
{
    struct launch *launch = s->launch;
    int n = launch->ops->get(launch, rank, record);
    if (n < 0)
        return why_set(why, n, "the launcher does not know rank %d: %s", rank, launch->why.text);
    *addresses = wire_read(record, (size_t)n);
    uint8_t version = wire_take8(addresses);
    *epoch = wire_take64(addresses);
    *cores = wire_take32(addresses);
    if (!addresses->bad && version == RECORD_VERSION) return 0;
    if (n > 0 && version != RECORD_VERSION)
        return why_set(why, SINEW_EVERSION,
                       "rank %d publishes records of version %u, this is version %u", rank, version,
                       RECORD_VERSION);
    return why_set(why, SINEW_EPROTO, "the record of rank %d is cut off", rank);
}

static int fetch(struct peer *p, uint8_t record[RECORD_MAX], struct wire_reader *addresses,
                 uint64_t *epoch, struct why *why)
{
    uint32_t cores = 0;
    return fetch_head(p->context, p->rank, record, addresses, epoch, &cores, why);
}

uint32_t choose_cores(struct sinew *s, int world_rank)
{
    uint8_t record[RECORD_MAX];
    struct wire_reader addresses;
    struct why why;
    uint64_t epoch;
    uint32_t cores = 0;
    int rc = fetch_head(s, world_rank, record, &addresses, &epoch, &cores, &why);
    return rc ? 0 : cores;
}

int choose_epoch(struct peer *p, uint64_t *epoch, struct why *why)
{
    uint8_t record[RECORD_MAX];
    struct wire_reader addresses;
    return fetch(p, record, &addresses, epoch, why);
}

/* The address of transport `id` in a record; NULL: it has none. */
static const uint8_t *address_of(struct wire_reader addresses, uint8_t id, size_t *len)
{
    while (addresses.left > 0) {
        uint8_t have = wire_take8(&addresses), size = wire_take8(&addresses);
        if (addresses.bad || addresses.left < size) return NULL;
        const uint8_t *at = wire_take(&addresses, size);
        *len = size;
        if (have == id) return at;
    }
    return NULL;
}

bool choose_reaches(struct sinew *s, int world_rank, int transport)
{
    uint8_t record[RECORD_MAX];
    struct wire_reader addresses;
    struct why why = { "" };
    uint64_t epoch;
    uint32_t cores;
    size_t len = 0;
    struct transport *t = s->transport[transport];
    if (fetch_head(s, world_rank, record, &addresses, &epoch, &cores, &why)) return false;
    const uint8_t *address = address_of(addresses, t->ops->id, &len);
    return address && t->ops->reach(t, address, len, &why) >= 0;
}

bool choose_control_carries(const struct sinew *s)
{
    return !s->control_only;
}

bool choose_precedes(const struct sinew *s, int transport)
{
    return transport < s->control;
}

/* A wired one can only be had through the control link, which must be up first. */
static int choose_control(const struct peer *p, int wanted, const uint8_t **address, size_t *len,
                          struct wire_reader addresses, struct text *t)
{
    const struct sinew *s = p->context;
    const char *name = s->transport[wanted]->ops->name;
    struct why no = { "it has no address there" };
    if (s->control < 0 || !choose_precedes(s, wanted)) return -1;
    struct transport *control = s->transport[s->control];
    if (p->refused & 1u << s->control || p->link[s->control]) return -1;
    *address = address_of(addresses, control->ops->id, len);
    if (*address && control->ops->reach(control, *address, *len, &no) >= 0) return s->control;
    text_add(t, "%s: its control link, %s: %s; ", name, control->ops->name, no.text);
    return -1;
}

int choose_transport(struct peer *p, const uint8_t **address, size_t *len,
                     uint8_t record[RECORD_MAX], struct why *why)
{
    struct sinew *s = p->context;
    struct wire_reader addresses;
    char reasons[WHY_MAX];
    struct text t = text_into(reasons, sizeof(reasons));
    int rc = fetch(p, record, &addresses, &p->epoch, why);
    if (rc) return rc;
    if (p->why.text[0]) text_add(&t, "%s; ", p->why.text);
    for (int i = 0; i < s->transports; i++) {
        struct transport *transport = s->transport[i];
        struct why no = { "" };
        if (p->refused & 1u << i || p->link[i]) continue;
        if (transport->caps.wired) {
            int control = choose_control(p, i, address, len, addresses, &t);
            if (control >= 0) return control;
            continue;
        }
        if (i == s->control && s->control_only) {
            text_add(&t, "%s: is not among the transports for data, \"%s\"; ", transport->ops->name,
                     s->config.transports);
            continue;
        }
        *address = address_of(addresses, transport->ops->id, len);
        if (!*address)
            text_add(&t, "%s: it has no address there; ", transport->ops->name);
        else if (transport->ops->reach(transport, *address, *len, &no) >= 0)
            return i;
        else
            text_add(&t, "%s: %s; ", transport->ops->name, no.text);
    }
    for (int i = 0; i < s->refusals; i++)
        if (!s->unnamed[i]) text_add(&t, "%s: %s; ", s->refused_name[i], s->refused[i].text);
    return why_set(why, SINEW_EUNREACHABLE, "%sno transport is left", reasons);
}

/* ---- sinew_explain --------------------------------------------------------------------------- */

static void explain_protocol(struct text *t, struct peer *p, size_t bytes)
{
    size_t limit = send_eager_limit(p, SPACE_USER);
    if (bytes <= limit)
        text_add(t, "  %zu bytes go at once (eager, up to %zu)\n", bytes, limit);
    else
        text_add(t,
                 "  %zu bytes are announced first (rendezvous, above %zu), then put into the "
                 "receiver's buffer%s\n",
                 bytes, limit,
                 p->out && p->out->transport->caps.get ? ", or read by it where that is faster" : "");
    if (p->out && p->out->note) text_add(t, "  %s\n", p->out->note);
}

static void explain_wired(struct text *t, struct peer *p, int i)
{
    struct why why = { "" };
    const char *name = p->context->transport[i]->ops->name;
    const char *no = wired_objection(p, i, &why);
    if (no)
        text_add(t, "  %s: rejected, %s\n", name, no);
    else
        text_add(t, "  %s: %s\n", name, p->link[i] ? "being set up" : "will be tried");
}

static void explain_transports(struct text *t, struct peer *p)
{
    struct sinew *s = p->context;
    uint8_t record[RECORD_MAX];
    struct wire_reader addresses;
    struct why why = { "" };
    uint64_t epoch;
    bool chosen = p->out != NULL;
    if (fetch(p, record, &addresses, &epoch, &why)) {
        text_add(t, "  %s\n", why.text);
        return;
    }
    for (int i = 0; i < s->transports; i++) {
        struct transport *transport = s->transport[i];
        size_t len = 0;
        struct why no = { "it publishes no address" };
        const uint8_t *address = address_of(addresses, transport->ops->id, &len);
        int score = address ? transport->ops->reach(transport, address, len, &no) : -1;
        if (p->out && p->out->transport == transport)
            text_add(t, "  %s: in use\n", transport->ops->name);
        else if (transport->caps.wired)
            explain_wired(t, p, i);
        else if (p->wired && i == s->control && p->link[i])
            text_add(t, "  %s: control link, data comes back to it if need be\n",
                     transport->ops->name);
        else if (p->refused & 1u << i)
            text_add(t, "  %s: rejected, set-up failed\n", transport->ops->name);
        else if (score < 0)
            text_add(t, "  %s: rejected, %s\n", transport->ops->name, no.text);
        else if (!chosen)
            text_add(t, "  %s: will be used\n", transport->ops->name);
        else
            text_add(t, "  %s: works, comes later in the order of choice\n", transport->ops->name);
        if (score >= 0 && !(p->refused & 1u << i)) chosen = true;
    }
    for (int i = 0; i < s->refusals; i++)
        text_add(t, "  %s: rejected, %s\n", s->refused_name[i], s->refused[i].text);
}

static void explain_counts(struct text *t, const struct peer *p)
{
    struct flow out = peer_sent(p), in = peer_received(p);
    text_add(t,
             "  messages, those of collectives too: sent %llu of %llu bytes, received %llu of %llu "
             "bytes\n",
             (unsigned long long)out.messages, (unsigned long long)out.bytes,
             (unsigned long long)in.messages, (unsigned long long)in.bytes);
    text_add(t, "  keeps %u bytes for unexpected messages\n", p->blocks_total * BLOCK_BYTES);
}

int sinew_explain(struct sinew_team *team, int rank, size_t bytes, char *text, size_t cap,
                  size_t *need)
{
    static const char *const states[] = { "not met yet", "connecting", "connected", "gone" };
    if (!team) return SINEW_EINVAL;
    struct sinew *s = team->core->context;
    int rc = context_check(s, false);
    if (rc) return rc;
    if (rank < 0 || rank >= team->core->size)
        return team_refuse(team, SINEW_EINVAL, "sinew_explain: rank is %d; ranks are 0 to %d", rank,
                           team->core->size - 1);
    if (!text && cap > 0)
        return team_refuse(team, SINEW_EINVAL,
                           "sinew_explain: text is NULL and cap is %zu; NULL only with cap 0", cap);
    struct peer *p = peer_get(s, team_world_rank(team->core, rank));
    if (!p) return SINEW_ENOMEM;
    struct text t = text_into(text, cap);
    text_add(&t, "rank %d of the job: ", p->rank);
    if (p->rank == s->rank) {
        text_add(&t, "self\n  copied inside the process\n");
    } else {
        text_add(&t, "%s, %s\n", p->out ? p->out->ops->name : "no link", states[p->state]);
        const char *control = wired_control_name(p);
        if (control) text_add(&t, "  control link: %s\n", control);
        if (p->state == PEER_GONE) {
            text_add(&t, "  %s\n  nothing can be sent to it any more\n", peer_gone_text(p));
        } else {
            explain_protocol(&t, p, bytes);
            explain_transports(&t, p);
        }
        explain_counts(&t, p);
    }
    if (need) *need = t.need + 1;
    return 0;
}
