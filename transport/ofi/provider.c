/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * provider.c - which of libfabric's providers, and what each of the others lacks
 *
 * libfabric is asked twice. First for everything that there is, whatever it wants of us: so that
 * every provider can be judged, and whoever is refused is told why. Then for the one that was
 * chosen, with as many of our wishes as it grants.
 */
#include <inttypes.h>
#include <string.h>

#include "transport/ofi/internal.h"

enum { LEAST_MESSAGE = FRAMED_HEADER_WIDE + FRAMED_LARGE };

/* Declared: how near to the wire it is. One that is not listed is somebody's fabric: above what
 * goes over a kernel's sockets. */
static const struct {
    const char *name;
    int rank;
} ranks[] = {
    { "cxi", 90 },     { "efa", 85 },         { "psm3", 80 },          { "psm2", 80 },
    { "opx", 80 },     { "psm", 75 },         { "verbs;ofi_rxm", 70 }, { "verbs;ofi_rxd", 50 },
    { "tcp", 30 },     { "net", 29 },         { "tcp;ofi_rxm", 28 },   { "net;ofi_rxm", 27 },
    { "sockets", 20 }, { "udp;ofi_rxd", 10 },
};
enum { RANK_UNKNOWN = 60 };

static int rank_of(const char *name)
{
    for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++)
        if (strcmp(ranks[i].name, name) == 0) return ranks[i].rank;
    return RANK_UNKNOWN;
}

/* ---- what is there --------------------------------------------------------------------------- */

static const char *name_of(const struct fi_info *info)
{
    return info->fabric_attr->prov_name ? info->fabric_attr->prov_name : "";
}

/* 1.17's `shm` says neither. */
static bool is_local(const struct fi_info *info)
{
    bool says = !(info->caps & FI_REMOTE_COMM) && info->caps & FI_LOCAL_COMM;
    return says || strcmp(name_of(info), "shm") == 0;
}

/* What this one lacks; NULL: nothing. */
static const char *lacks(const struct fi_info *info, bool named)
{
    uint64_t modes = info->mode & ~(FI_CONTEXT | FI_CONTEXT2 | FI_ASYNC_IOV | FI_RX_CQ_DATA |
                                    FI_BUFFERED_RECV | FI_RESTRICTED_COMP | FI_NOTIFY_FLAGS_ONLY);
    if (info->ep_attr->type != FI_EP_RDM) return "it has no reliable datagrams (FI_EP_RDM)";
    if (!(info->caps & (FI_MSG | FI_TAGGED))) return "it sends no messages (FI_MSG, FI_TAGGED)";
    if (modes) return "it wants of us what Sinew does not do (FI_MSG_PREFIX or another mode)";
    if (info->domain_attr->mr_mode & FI_MR_RAW)
        return "its keys are longer than 8 bytes (FI_MR_RAW)";
    if (info->domain_attr->resource_mgmt != FI_RM_ENABLED)
        return "it may lose messages when it is overrun (no FI_RM_ENABLED)";
    if (info->ep_attr->max_msg_size < LEAST_MESSAGE) return "its messages are too short";
    if (is_local(info) && !named)
        return "it reaches this host only, as Sinew's own shared memory does: name it in "
               "ofi_provider";
    return NULL;
}

static struct fi_info *hints_make(struct ofi *t, const char *name)
{
    struct fi_info *hints = t->api.dupinfo(NULL);
    if (!hints) return NULL;
    hints->mode = ~UINT64_C(0);
    hints->domain_attr->mode = ~UINT64_C(0);
    hints->domain_attr->mr_mode = ~(FI_MR_BASIC | FI_MR_SCALABLE);
    if (name[0]) hints->fabric_attr->prov_name = strdup(name); /* freeinfo() takes it with it */
    return hints;
}

static bool precedes(const struct candidate *c, const struct candidate *other)
{
    return c->rank > other->rank || (c->rank == other->rank && c->speed > other->speed);
}

/* Its place among n; new ones go in by rank, then by speed. Of too many the last one goes, and is
 * told among the refused. */
static void candidate_add(struct candidate *found, int *n, const struct fi_info *info)
{
    struct candidate c = { .rank = rank_of(name_of(info)), .local = is_local(info) };
    if (info->nic && info->nic->link_attr) c.speed = info->nic->link_attr->speed;
    text_add(&(struct text){ .at = c.name, .cap = sizeof(c.name) }, "%s", name_of(info));
    for (int i = 0; i < *n; i++)
        if (strcmp(found[i].name, c.name) == 0) return;
    if (*n == CANDIDATES_MAX && !precedes(&c, &found[*n - 1])) return;
    int at = *n < CANDIDATES_MAX ? (*n)++ : *n - 1;
    for (; at > 0 && precedes(&c, &found[at - 1]); at--) found[at] = found[at - 1];
    found[at] = c;
}

static bool judged(const struct candidate *found, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(found[i].name, name) == 0) return true;
    return false;
}

/* A provider has an entry for each interface and kind of address: it is refused if none will do. */
static void refuse_others(const struct fi_info *all, bool named, const struct candidate *found,
                          int n, struct text *refused)
{
    for (const struct fi_info *i = all; i; i = i->next) {
        bool again = judged(found, n, name_of(i));
        for (const struct fi_info *before = all; before != i && !again; before = before->next)
            again = strcmp(name_of(before), name_of(i)) == 0;
        if (again) continue;
        const char *why = lacks(i, named);
        text_add(refused, "%s%s: %s", refused->need ? "; " : "", name_of(i),
                 why ? why : "enough others will do: name it in ofi_provider");
    }
}

static int find_nothing(struct ofi *t, int64_t status, const char *wanted, const char *refused,
                        struct why *why)
{
    if (refused[0])
        return why_set(why, SINEW_ENOTSUP, "no provider of libfabric will do: %s", refused);
    return why_set(
        why, SINEW_ENOTSUP, "libfabric has no provider%s%s here: %s; `fi_info` shows what there is",
        wanted[0] ? " " : "", wanted, status ? t->api.strerror((int)-status) : "nothing was found");
}

int providers_find(struct ofi *t, struct candidate found[CANDIDATES_MAX], struct text *refused,
                   struct why *why)
{
    const char *wanted = t->base.base.opt.config->ofi_provider;
    struct fi_info *hints = hints_make(t, wanted), *all = NULL;
    int n = 0;
    if (!hints) return why_set(why, SINEW_ENOMEM, "no memory to ask libfabric");
    int status = t->api.getinfo(t->version, NULL, NULL, 0, hints, &all);
    t->api.freeinfo(hints);
    if (status != 0) return find_nothing(t, status, wanted, "", why);
    for (const struct fi_info *i = all; i; i = i->next)
        if (!lacks(i, wanted[0])) candidate_add(found, &n, i);
    refuse_others(all, wanted[0], found, n, refused);
    t->api.freeinfo(all);
    return n ? n : find_nothing(t, 0, wanted, refused->at, why);
}

/* ---- the one that is taken ------------------------------------------------------------------- */

static const uint64_t moves = FI_RMA | FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE;

/* Most first. */
static const struct {
    bool many, moves, ordered, tagged, updates;
} wishes[] = {
    { true, true, true, false, true },    { true, true, true, false, false },
    { true, false, true, false, false },  { false, true, true, false, true },
    { false, true, true, false, false },  { true, true, false, false, false },
    { false, false, true, false, false }, { false, false, false, false, false },
    { false, false, false, true, false },
};

static struct fi_info *ask(struct ofi *t, const char *name, size_t wish)
{
    struct fi_info *hints = hints_make(t, name), *info = NULL;
    if (!hints) return NULL;
    hints->ep_attr->type = FI_EP_RDM;
    uint64_t order = wishes[wish].ordered ? FI_ORDER_SAS : 0;
    if (wishes[wish].ordered && wishes[wish].moves) order |= FI_ORDER_SAW;
    hints->caps = (wishes[wish].tagged ? FI_TAGGED : FI_MSG) | FI_SEND | FI_RECV;
    if (wishes[wish].many) hints->caps |= FI_MULTI_RECV;
    if (wishes[wish].moves) hints->caps |= moves;
    if (wishes[wish].updates) hints->caps |= FI_ATOMIC;
    hints->mode = FI_CONTEXT | FI_CONTEXT2;
    hints->domain_attr->mode = 0;
    hints->domain_attr->mr_mode = OFI_MODES;
    hints->domain_attr->resource_mgmt = FI_RM_ENABLED;
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->tx_attr->msg_order = hints->rx_attr->msg_order = order;
    if (t->api.getinfo(t->version, NULL, NULL, 0, hints, &info) != 0) info = NULL;
    t->api.freeinfo(hints);
    return info;
}

/* The entry that speaks IPv4, if there is one: link-local addresses of IPv6 reach nobody. */
static struct fi_info *entry_of(struct ofi *t, struct fi_info *all)
{
    const struct fi_info *best = all;
    for (const struct fi_info *i = all; i && best->addr_format == FI_SOCKADDR_IN6; i = i->next)
        if (i->addr_format != FI_SOCKADDR_IN6) best = i;
    struct fi_info *info = t->api.dupinfo(best);
    t->api.freeinfo(all);
    return info;
}

int provider_take(struct ofi *t, const char *name, struct why *why)
{
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        struct fi_info *all = ask(t, name, i);
        if (!all) continue;
        t->info = entry_of(t, all);
        if (!t->info) return why_set(why, SINEW_ENOMEM, "no memory to ask libfabric");
        t->many = wishes[i].many;
        t->tagged = wishes[i].tagged;
        return 0;
    }
    return why_set(why, SINEW_ENOTSUP, "%s grants none of the ways to send that Sinew has", name);
}
