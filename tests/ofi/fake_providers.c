/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_providers.c - what the tests' own libfabric has to offer: one provider that will do, as the
 * knobs have it, and others that lack something, or are slower
 */
#include <rdma/fi_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ofi/fake_ofi.h"
#include "tests/ofi/fake_parts.h"

/* All of one in one piece. */
struct entry {
    struct fi_info info;
    struct fi_tx_attr tx;
    struct fi_rx_attr rx;
    struct fi_ep_attr ep;
    struct fi_domain_attr domain;
    struct fi_fabric_attr fabric;
    struct fid_nic nic;
    struct fi_link_attr link;
};

static struct entry *entry_make(void)
{
    struct entry *e = object(sizeof(*e));
    e->info.tx_attr = &e->tx;
    e->info.rx_attr = &e->rx;
    e->info.ep_attr = &e->ep;
    e->info.domain_attr = &e->domain;
    e->info.fabric_attr = &e->fabric;
    return e;
}

void fake_freeinfo(struct fi_info *info)
{
    while (info) {
        struct fi_info *next = info->next;
        free(info->fabric_attr->prov_name);
        object_free(info);
        info = next;
    }
}

struct fi_info *fake_dupinfo(const struct fi_info *info)
{
    if (is_the_nth()) return NULL;
    struct entry *e = entry_make();
    if (!info) return &e->info;
    e->tx = *info->tx_attr;
    e->rx = *info->rx_attr;
    e->ep = *info->ep_attr;
    e->domain = *info->domain_attr;
    e->fabric = *info->fabric_attr;
    e->fabric.prov_name = strdup(info->fabric_attr->prov_name);
    e->info.caps = info->caps;
    e->info.mode = info->mode;
    e->info.addr_format = info->addr_format;
    return &e->info;
}

static struct entry *provider_make(const char *name)
{
    struct entry *e = entry_make();
    uint64_t one_sided = FI_RMA | FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE;
    e->fabric.prov_name = strdup(name);
    e->domain.name = (char *)(uintptr_t) "fake0";
    e->domain.resource_mgmt = FI_RM_ENABLED;
    e->domain.mr_key_size = 8;
    if (fake_knobs.device)
        e->domain.mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    e->ep.type = FI_EP_RDM;
    e->ep.max_msg_size = 1 << 20;
    e->tx.inject_size = INJECT;
    e->tx.msg_order = e->rx.msg_order = FI_ORDER_SAS | FI_ORDER_SAW;
    e->info.caps = (fake_knobs.tagged ? FI_TAGGED : FI_MSG) | FI_SEND | FI_RECV | FI_REMOTE_COMM;
    if (!fake_knobs.plain) e->info.caps |= one_sided | FI_MULTI_RECV;
    if (!fake_knobs.plain && !fake_knobs.wordless) e->info.caps |= FI_ATOMIC;
    return e;
}

/* Each lacks one thing. As libfabric does it, what has no endpoints of the kind that is asked for
 * does not come up. */
static struct fi_info *others_make(const struct fi_info *hints, struct fi_info *after)
{
    static const char *const names[] = { "streams", "silent", "prefixed", "raw", "lossy", "short" };
    struct entry *e[6];
    for (int i = 0; i < 6; i++) {
        e[i] = provider_make(names[i]);
        e[i]->info.next = i ? &e[i - 1]->info : after;
    }
    e[0]->ep.type = FI_EP_MSG;
    e[1]->info.caps = FI_RMA;
    e[2]->info.mode = FI_MSG_PREFIX;
    e[3]->domain.mr_mode |= FI_MR_RAW;
    e[4]->domain.resource_mgmt = FI_RM_DISABLED;
    e[5]->ep.max_msg_size = 4096;
    if (hints->ep_attr->type != FI_EP_UNSPEC) {
        e[1]->info.next = after;
        e[0]->info.next = NULL;
        fake_freeinfo(&e[0]->info);
    }
    return &e[5]->info;
}

static struct fi_info *slower_make(struct fi_info *after)
{
    for (int i = fake_knobs.slower; i > 0; i--) {
        char name[32];
        snprintf(name, sizeof(name), "slower%d", i);
        struct entry *e = provider_make(name);
        e->info.next = after;
        after = &e->info;
    }
    return after;
}

int fake_getinfo(uint32_t wanted, const char *node, const char *service, uint64_t flags,
                 const struct fi_info *hints, struct fi_info **out)
{
    const char *name = hints->fabric_attr->prov_name;
    (void)wanted, (void)node, (void)service, (void)flags;
    int status = refused(FAKE_GETINFO);
    if (status) return status;
    if (name && strcmp(name, "fake") != 0) return -FI_ENODATA;
    struct entry *e = provider_make("fake");
    if (hints->caps & ~e->info.caps) {
        fake_freeinfo(&e->info);
        return -FI_ENODATA;
    }
    if (hints->caps) e->info.caps = hints->caps | FI_REMOTE_COMM;
    e->link.speed = 1;
    e->nic.link_attr = &e->link;
    e->info.nic = &e->nic;
    *out = name ? &e->info : others_make(hints, slower_make(&e->info));
    return 0;
}
