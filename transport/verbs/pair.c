/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pair.c - the queue pair of a link: made, connected to the counterpart's, destroyed
 *
 * Retries: 7 of 67 ms (devices double some), so a peer's NIC that answers nothing ends the link
 * after half a second to four; what goes on then is messaging's to decide, over the control link.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "transport/verbs/internal.h"

static int refused(struct verbs_link *l, const char *what, int error)
{
    int status = error == ENOMEM ? SINEW_ENOMEM : SINEW_EIO;
    return why_set(&l->base.why, status, "%s: %s: %s", l->name, what, strerror(error));
}

/* An attribute that was refused is found by its step: what each of them sets is in the text. */
static int modify(struct verbs_link *l, struct ibv_qp_attr *attr, int mask, const char *what)
{
    int error = verbs_under(l)->api->modify_qp(l->qp, attr, mask);
    if (error == 0) return 0;
    return refused(l, what, error < 0 ? errno : error);
}

static int to_init(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    char what[128];
    struct ibv_qp_attr attr = {
        .qp_state = IBV_QPS_INIT,
        .pkey_index = t->pkey_index,
        .port_num = t->chosen.port,
        .qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
                           (t->base.caps.atomic ? IBV_ACCESS_REMOTE_ATOMIC : 0),
    };
    snprintf(what, sizeof(what), "ibv_modify_qp to INIT (pkey_index %u, port %u)", t->pkey_index,
             t->chosen.port);
    return modify(l, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS,
                  what);
}

int pair_make(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    struct ibv_qp_init_attr attr = {
        .qp_context = t,
        .send_cq = t->cq,
        .recv_cq = t->cq,
        .srq = t->srq,
        .qp_type = IBV_QPT_RC,
        .cap = { .max_send_wr = t->depth,
                 .max_recv_wr = t->srq ? 0 : l->window_most + VERBS_RESERVE,
                 .max_send_sge = 1,
                 .max_recv_sge = t->srq ? 0 : 1,
                 .max_inline_data = t->inline_asked },
    };
    l->qp = t->api->create_qp(t->pd, &attr);
    if (!l->qp) {
        int error = errno;
        char what[96];
        snprintf(what, sizeof(what), "ibv_create_qp (%u sends, %u inline bytes; %u links exist)",
                 t->depth, t->inline_asked, t->links_count - 1);
        return refused(l, what, error);
    }
    l->depth = t->depth;
    link_table_add(l);
    int status = to_init(l);
    return status < 0 ? status : receives_post(l);
}

/* A device with no immediate data has packets so long that none is ever saved. */
static uint8_t packet_shift(const struct verbs *t, enum ibv_mtu mtu)
{
    bool immediate = t->context->device->transport_type != IBV_TRANSPORT_IWARP;
    return immediate ? (uint8_t)(7 + mtu) : 31;
}

/* As librdmacm knows the way, but with our own patience, and reads as both ends take. */
static int step_by_cm(struct verbs_link *l, enum ibv_qp_state state)
{
    struct verbs *t = verbs_under(l);
    struct ibv_qp_attr attr = { .qp_state = state };
    int mask = 0;
    int status = cm_path(l, &attr, &mask);
    if (status < 0 || !(mask & IBV_QP_STATE)) return status;
    enum ibv_mtu mtu = (enum ibv_mtu)(l->theirs.mtu < t->mtu ? l->theirs.mtu : t->mtu);
    if (attr.path_mtu > mtu) attr.path_mtu = mtu;
    if (state == IBV_QPS_RTR) l->packet_shift = packet_shift(t, attr.path_mtu);
    attr.max_dest_rd_atomic = (uint8_t)t->reads_taken;
    attr.max_rd_atomic = (uint8_t)l->reads_most;
    attr.min_rnr_timer = VERBS_RNR_TIMER;
    attr.timeout = VERBS_TIMEOUT;
    attr.retry_cnt = VERBS_RETRY;
    attr.rnr_retry = VERBS_RNR_RETRY;
    return modify(l, &attr, mask, state == IBV_QPS_RTR ? "ibv_modify_qp to RTR, by librdmacm"
                                                       : "ibv_modify_qp to RTS, by librdmacm");
}

static int to_receive(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    const struct config *config = t->base.opt.config;
    const struct offer *o = &l->theirs;
    bool ether = t->layer == IBV_LINK_LAYER_ETHERNET;
    bool routed = memcmp(o->gid.raw, l->gid.raw, 8) != 0; /* another InfiniBand subnet */
    char what[160];
    struct ibv_qp_attr attr = {
        .qp_state = IBV_QPS_RTR,
        .path_mtu = (enum ibv_mtu)(o->mtu < t->mtu ? o->mtu : t->mtu),
        .dest_qp_num = o->qpn,
        .rq_psn = o->psn,
        .max_dest_rd_atomic = (uint8_t)t->reads_taken,
        .min_rnr_timer = VERBS_RNR_TIMER,
        .ah_attr = { .dlid = o->lid,
                     .sl = (uint8_t)config->verbs_service_level,
                     .port_num = t->chosen.port,
                     .is_global = ether || routed,
                     .grh = { .dgid = o->gid,
                              .sgid_index = (uint8_t)l->gid_index,
                              .hop_limit = 64,
                              .traffic_class = (uint8_t)config->verbs_traffic_class } },
    };
    l->packet_shift = packet_shift(t, attr.path_mtu);
    snprintf(what, sizeof(what),
             "ibv_modify_qp to RTR (GID %d, path MTU %d, service level %d, queue pair %u, LID %u)",
             l->gid_index, 128 << attr.path_mtu, (int)config->verbs_service_level, o->qpn, o->lid);
    return modify(l, &attr,
                  IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                      IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER,
                  what);
}

static int to_send(struct verbs_link *l)
{
    char what[128];
    struct ibv_qp_attr attr = {
        .qp_state = IBV_QPS_RTS,
        .timeout = VERBS_TIMEOUT,
        .retry_cnt = VERBS_RETRY,
        .rnr_retry = VERBS_RNR_RETRY,
        .sq_psn = l->psn,
        .max_rd_atomic = (uint8_t)l->reads_most,
    };
    snprintf(what, sizeof(what),
             "ibv_modify_qp to RTS (timeout %d, retries %d and %d, %u reads at once)",
             VERBS_TIMEOUT, VERBS_RETRY, VERBS_RNR_RETRY, l->reads_most);
    return modify(l, &attr,
                  IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
                      IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC,
                  what);
}

int pair_connect(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    if (l->theirs.layer != t->layer)
        return why_set(&l->base.why, SINEW_EUNREACHABLE,
                       "%s: one end is InfiniBand, the other Ethernet", l->name);
    l->reads_most = l->theirs.reads < t->reads_max ? l->theirs.reads : t->reads_max;
    int status = l->cm_id ? step_by_cm(l, IBV_QPS_RTR) : to_receive(l);
    if (status < 0) return status;
    return l->cm_id ? step_by_cm(l, IBV_QPS_RTS) : to_send(l);
}

void pair_revoke(struct verbs_link *l)
{
    struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };
    if (!l->qp || l->revoked) return;
    l->revoked = true;
    verbs_under(l)->api->modify_qp(l->qp, &attr, IBV_QP_STATE);
}

void pair_destroy(struct verbs_link *l)
{
    if (!l->qp) return;
    struct verbs *t = verbs_under(l);
    link_table_remove(l);
    t->api->destroy_qp(l->qp);
    l->qp = NULL;
    receives_release(t, l->id, l->posted);
    l->posted = 0;
}

/* --- parked ----------------------------------------------------------------------------------- */

static void unpark(struct verbs *t, struct parked *p)
{
    t->api->destroy_qp(p->qp);
    p->qp = NULL;
    t->parks--;
    receives_release(t, p->id, p->posted);
    for (uint32_t i = 0; i < p->slots; i++)
        pool_give(p->slot[i] >> 31 ? &t->small : &t->large, p->slot[i] & 0x7fffffff);
    t->cq_taken -= p->requests;
}

void pairs_unpark(struct verbs *t, bool all)
{
    int64_t now = verbs_now(t);
    for (int i = 0; i < VERBS_PARKED; i++) {
        struct parked *p = &t->parked[i];
        if (p->qp && (all || now >= p->until)) unpark(t, p);
    }
}

void pair_park(struct verbs_link *l)
{
    struct verbs *t = verbs_under(l);
    struct parked *place = &t->parked[0];
    if (!l->qp) return;
    for (int i = 0; i < VERBS_PARKED && place->qp; i++)
        if (!t->parked[i].qp || t->parked[i].until < place->until) place = &t->parked[i];
    if (place->qp) unpark(t, place);
    link_table_remove(l);
    place->qp = l->qp;
    place->until = verbs_now(t) + VERBS_PARK_NS;
    place->id = l->id;
    place->posted = l->posted;
    place->requests = l->head - l->tail;
    place->slots = queue_slots(l, place->slot);
    t->parks++;
    l->tail = l->head;
    l->posted = 0;
    l->qp = NULL;
}
