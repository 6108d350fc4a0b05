/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * station.c - an endpoint of the chosen provider, with its queue, address vector and receive
 * buffers
 *
 * Buffers for many messages each (FI_MULTI_RECV) where the provider has that: a message takes what
 * it needs of the first. Else one buffer each. What comes when all are full waits with the provider
 * (FI_RM_ENABLED); how much that can be is bounded by the windows of the peers (transport/framed).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/ofi/internal.h"

enum { QUEUE = 4096, QUEUE_LEAST = 64, TRANSMITS = 1024 };

int ofi_said(struct ofi *t, struct why *why, int64_t status, const char *what)
{
    if (status >= 0) return 0;
    return why_set(why, status == -FI_ENOMEM ? SINEW_ENOMEM : SINEW_ENOTSUP,
                   "libfabric %s: %s (%d)", what, t->api.strerror((int)-status), (int)status);
}

/* ---- buffers --------------------------------------------------------------------------------- */

static int64_t buffer_post(struct ofi *t, struct buffer *b)
{
    void *desc = b->memory ? fi_mr_desc(b->memory) : NULL;
    const struct iovec iov = { .iov_base = b->bytes, .iov_len = t->buffer_len };
    const struct fi_msg message = {
        .msg_iov = &iov, .desc = &desc, .iov_count = 1, .addr = FI_ADDR_UNSPEC, .context = &b->mark
    };
    if (t->many) return fi_recvmsg(t->ep, &message, FI_MULTI_RECV);
    if (t->tagged)
        return fi_trecv(t->ep, b->bytes, t->buffer_len, desc, FI_ADDR_UNSPEC, 0, 0, &b->mark);
    return fi_recv(t->ep, b->bytes, t->buffer_len, desc, FI_ADDR_UNSPEC, &b->mark);
}

void station_post(struct ofi *t)
{
    for (int i = 0; i < t->buffers && t->unposted; i++) {
        struct buffer *b = &t->buffer[i];
        if (b->posted) continue;
        if (buffer_post(t, b) < 0) return; /* FI_EAGAIN; should it be worse, sending says so */
        b->posted = true;
        t->unposted--;
    }
}

static int make_buffers(struct ofi *t, struct why *why)
{
    size_t one = FRAMED_HEADER_WIDE + FRAMED_LARGE;
    t->buffers = t->many ? OFI_BUFFERS : OFI_RECEIVES;
    t->buffer_len = t->many ? OFI_BUFFER : one;
    t->memory_len = (size_t)t->buffers * t->buffer_len;
    t->memory = world_allocate_aligned(t->base.base.opt.world, 4096, t->memory_len);
    if (!t->memory) return why_set(why, SINEW_ENOMEM, "no memory to receive messages in");
    if (t->many) {
        int status =
            fi_setopt(&t->ep->fid, FI_OPT_ENDPOINT, FI_OPT_MIN_MULTI_RECV, &one, sizeof(one));
        if (status < 0) return ofi_said(t, why, status, "does not know FI_OPT_MIN_MULTI_RECV");
    }
    for (int i = 0; i < t->buffers; i++) {
        struct buffer *b = &t->buffer[i];
        *b = (struct buffer){ .mark.kind = MARK_BUFFER,
                              .bytes = t->memory + (size_t)i * t->buffer_len };
        if (!(t->mr_mode & FI_MR_LOCAL)) continue;
        int status = move_register(t, b->bytes, t->buffer_len, FI_RECV, ++t->keys, &b->memory);
        if (status < 0)
            return ofi_said(t, why, status, "registers no memory to receive in (ulimit -l?)");
    }
    return 0;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int open_domain(struct ofi *t, struct why *why)
{
    struct fi_av_attr av = { .type = t->info->domain_attr->av_type };
    if (av.type == FI_AV_UNSPEC) av.type = FI_AV_TABLE;
    int status = t->api.fabric(t->info->fabric_attr, &t->fabric, NULL);
    if (status < 0) return ofi_said(t, why, status, "opens no fabric");
    status = fi_domain(t->fabric, t->info, &t->domain, NULL);
    if (status < 0) return ofi_said(t, why, status, "opens no domain");
    status = fi_av_open(t->domain, &av, &t->av, NULL);
    if (status < 0 && av.type == FI_AV_TABLE) {
        av.type = FI_AV_MAP;
        status = fi_av_open(t->domain, &av, &t->av, NULL);
    }
    return ofi_said(t, why, status, "opens no address vector");
}

/* As long as it can be, with a descriptor to wait for where it has one. */
static int open_queue(struct ofi *t, struct why *why)
{
    static const enum fi_wait_obj waits[] = { FI_WAIT_FD, FI_WAIT_NONE };
    int status = 0;
    t->wait_fd = -1;
    for (int w = 0; w < 2; w++)
        for (size_t size = QUEUE; size >= QUEUE_LEAST; size /= 2) {
            struct fi_cq_attr attr = { .size = size,
                                       .format = FI_CQ_FORMAT_DATA,
                                       .wait_obj = waits[w] };
            status = fi_cq_open(t->domain, &attr, &t->cq, NULL);
            if (status == 0 && waits[w] == FI_WAIT_FD &&
                fi_control(&t->cq->fid, FI_GETWAIT, &t->wait_fd) != 0)
                t->wait_fd = -1;
            if (status == 0) return 0;
        }
    return ofi_said(t, why, status, "opens no completion queue");
}

/* The provider `shm` names an endpoint's file for its process, so what a dead one has left is in
 * the way of the next with that number. */
static int name_endpoint(struct ofi *t, struct why *why)
{
    const struct world *w = t->base.base.opt.world;
    enum { NAME_MAX_LEN = 40 };
    uint64_t number;
    if (strcmp(t->info->fabric_attr->prov_name, "shm") != 0) return 0;
    char *name = malloc(NAME_MAX_LEN); /* fi_freeinfo() has it then */
    if (!name || w->random(w->arg, &number, sizeof(number)) < 0) {
        free(name);
        return why_set(why, SINEW_ENOMEM, "no name for an endpoint");
    }
    snprintf(name, NAME_MAX_LEN, "fi_shm://" OFI_SHM_NAME "%016" PRIx64, number);
    free(t->info->src_addr);
    t->info->src_addr = name;
    t->info->src_addrlen = strlen(name) + 1;
    return 0;
}

static int open_endpoint(struct ofi *t, struct why *why)
{
    if (name_endpoint(t, why) < 0) return SINEW_ENOMEM;
    if (t->info->tx_attr->size > TRANSMITS) t->info->tx_attr->size = TRANSMITS;
    if (t->info->rx_attr->size > TRANSMITS) t->info->rx_attr->size = TRANSMITS;
    int status = fi_endpoint(t->domain, t->info, &t->ep, NULL);
    if (status < 0) return ofi_said(t, why, status, "makes no endpoint");
    status = fi_ep_bind(t->ep, &t->av->fid, 0);
    if (status == 0) status = fi_ep_bind(t->ep, &t->cq->fid, FI_TRANSMIT | FI_RECV);
    if (status < 0) return ofi_said(t, why, status, "binds its endpoint to nothing");
    status = fi_enable(t->ep);
    if (status < 0) return ofi_said(t, why, status, "does not enable its endpoint");
    size_t len = sizeof(t->name);
    status = fi_getname(&t->ep->fid, t->name, &len);
    if (status < 0) return ofi_said(t, why, status, "has no address that can be told");
    t->base.address = t->name;
    t->base.address_len = len;
    return 0;
}

static void learn(struct ofi *t)
{
    const struct fi_info *info = t->info;
    uint64_t order = info->tx_attr->msg_order & info->rx_attr->msg_order;
    size_t most = info->ep_attr->max_msg_size;
    bool device = info->domain_attr->mr_mode & FI_MR_PROV_KEY;
    t->mr_mode = info->domain_attr->mr_mode;
    t->inject = info->tx_attr->inject_size;
    t->part = most < OFI_PART ? most : OFI_PART;
    t->connects = strstr(info->fabric_attr->prov_name, "ofi_rxm") != NULL;
    t->base.native = 0;
    if (!(info->caps & FI_RMA) || (!device && info->domain_attr->mr_key_size < 8)) return;
    t->base.native = REGION_GET;
    /* Only a device takes a registration back at once: elsewhere what is being received may land
     * later. */
    if (device && order & FI_ORDER_SAW) t->base.native |= REGION_PUT;
}

/* A device's own. Layers over others do them by messages, as Sinew's frames do. */
static void learn_atomics(struct ofi *t)
{
    const struct fi_info *info = t->info;
    size_t n = 0, m = 0;
    bool device = info->domain_attr->mr_mode & FI_MR_PROV_KEY &&
                  !strchr(info->fabric_attr->prov_name, ';');
    if (!device || !(info->caps & FI_ATOMIC) || !(t->base.native & REGION_PUT)) return;
    if (fi_fetch_atomicvalid(t->ep, FI_UINT64, FI_SUM, &n) == 0 && n > 0 &&
        fi_compare_atomicvalid(t->ep, FI_UINT64, FI_CSWAP, &m) == 0 && m > 0)
        t->base.native |= REGION_ATOMIC;
}

int station_open(struct ofi *t, struct why *why)
{
    learn(t);
    t->self = FI_ADDR_NOTAVAIL;
    int status = open_domain(t, why);
    if (status == 0) status = open_queue(t, why);
    if (status == 0) status = open_endpoint(t, why);
    if (status == 0) learn_atomics(t);
    if (status == 0) status = make_buffers(t, why);
    if (status < 0) return status;
    t->unposted = t->buffers;
    station_post(t);
    return t->unposted ? why_set(why, SINEW_ENOTSUP, "libfabric takes no buffers to receive in")
                       : 0;
}

void station_close(struct ofi *t)
{
    if (t->ep) fi_close(&t->ep->fid);
    t->ep = NULL;
    parts_forget_words(t);
    for (int i = 0; i < t->buffers; i++)
        if (t->buffer[i].memory) fi_close(&t->buffer[i].memory->fid);
    framed_release(&t->base); /* frames may be registered too */
    if (t->cq) fi_close(&t->cq->fid);
    if (t->av) fi_close(&t->av->fid);
    if (t->domain) fi_close(&t->domain->fid);
    if (t->fabric) fi_close(&t->fabric->fid);
    if (t->memory) world_release(t->base.base.opt.world, t->memory, t->memory_len);
    if (t->info) t->api.freeinfo(t->info);
    t->cq = NULL;
    t->av = NULL;
    t->domain = NULL;
    t->fabric = NULL;
    t->memory = NULL;
    t->info = NULL;
    t->buffers = 0;
}
