/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trouble.c - what the device reports, in words: who, what, what was under way, what to do
 */
#include <string.h>

#include "transport/verbs/internal.h"

struct trouble {
    const char *name, *means;
    int status;
};

static const struct trouble completions[] = {
    [IBV_WC_SUCCESS] = { "SUCCESS", "no error", SINEW_EIO },
    [IBV_WC_LOC_LEN_ERR] = { "LOC_LEN_ERR", "a message longer than its receive", SINEW_EPROTO },
    [IBV_WC_LOC_QP_OP_ERR] = { "LOC_QP_OP_ERR", "the device refused a work request", SINEW_EIO },
    [IBV_WC_LOC_EEC_OP_ERR] = { "LOC_EEC_OP_ERR", "the device refused a work request", SINEW_EIO },
    [IBV_WC_LOC_PROT_ERR] = { "LOC_PROT_ERR", "memory here is not registered for it", SINEW_EIO },
    [IBV_WC_WR_FLUSH_ERR] = { "WR_FLUSH_ERR", "the queue pair had failed before", SINEW_EPEER },
    [IBV_WC_MW_BIND_ERR] = { "MW_BIND_ERR", "a memory window was not bound", SINEW_EIO },
    [IBV_WC_BAD_RESP_ERR] = { "BAD_RESP_ERR", "its device answered what cannot be", SINEW_EPEER },
    [IBV_WC_LOC_ACCESS_ERR] = { "LOC_ACCESS_ERR", "memory here may not be written by it",
                                SINEW_EIO },
    [IBV_WC_REM_INV_REQ_ERR] = { "REM_INV_REQ_ERR", "its device found the request invalid",
                                 SINEW_EPEER },
    [IBV_WC_REM_ACCESS_ERR] = { "REM_ACCESS_ERR", "its memory is not, or no longer, registered "
                                                  "for this", SINEW_EACCESS },
    [IBV_WC_REM_OP_ERR] = { "REM_OP_ERR", "its device could not complete the request",
                            SINEW_EPEER },
    [IBV_WC_RETRY_EXC_ERR] = { "RETRY_EXC_ERR", "its device did not acknowledge, however often "
                                                "asked: host, cable, switch or process gone",
                               SINEW_EPEER },
    [IBV_WC_RNR_RETRY_EXC_ERR] = { "RNR_RETRY_EXC_ERR", "it had no receive posted, however often "
                                                        "asked, against its own credits",
                                   SINEW_EPEER },
    [IBV_WC_LOC_RDD_VIOL_ERR] = { "LOC_RDD_VIOL_ERR", "a domain was violated", SINEW_EIO },
    [IBV_WC_REM_INV_RD_REQ_ERR] = { "REM_INV_RD_REQ_ERR", "its device found a read invalid",
                                    SINEW_EPEER },
    [IBV_WC_REM_ABORT_ERR] = { "REM_ABORT_ERR", "its device gave up", SINEW_EPEER },
    [IBV_WC_INV_EECN_ERR] = { "INV_EECN_ERR", "a context was invalid", SINEW_EIO },
    [IBV_WC_INV_EEC_STATE_ERR] = { "INV_EEC_STATE_ERR", "a context was invalid", SINEW_EIO },
    [IBV_WC_FATAL_ERR] = { "FATAL_ERR", "the device failed", SINEW_EIO },
    [IBV_WC_RESP_TIMEOUT_ERR] = { "RESP_TIMEOUT_ERR", "its device took too long", SINEW_EPEER },
    [IBV_WC_GENERAL_ERR] = { "GENERAL_ERR", "the device does not say what", SINEW_EIO },
};
enum { COMPLETIONS = sizeof(completions) / sizeof(completions[0]) };

static const struct trouble *trouble_of(enum ibv_wc_status status)
{
    static const struct trouble unknown = { "?", "a status this version does not know", SINEW_EIO };
    bool known = (unsigned)status < COMPLETIONS && completions[status].name;
    return known ? &completions[status] : &unknown;
}

/* "2 messages and 1 put, get or atomic" */
static void outstanding(const struct verbs_link *l, struct text *t)
{
    unsigned messages = 0, works = 0;
    for (uint32_t i = l->tail; i != l->head; i++)
        messages += l->queue[i & (VERBS_QUEUE - 1)].kind == ENTRY_MESSAGE;
    for (struct list *e = l->works.next; e != &l->works; e = e->next) works++;
    text_add(t, "%u message%s and %u other operation%s were not confirmed", messages,
             messages == 1 ? "" : "s", works, works == 1 ? "" : "s");
}

int trouble_completion(struct verbs_link *l, const struct ibv_wc *wc)
{
    const struct trouble *trouble = trouble_of(wc->status);
    char what[128];
    struct text t = text_into(what, sizeof(what));
    outstanding(l, &t);
    return why_set(&l->base.why, trouble->status, "%s: %s (IBV_WC_%s, %d, vendor 0x%x); %s%s",
                   l->name, trouble->means, trouble->name, (int)wc->status, wc->vendor_err, what,
                   verbs_under(l)->port_down ? "; the port here is down" : "");
}

/* ---- asynchronous events --------------------------------------------------------------------- */

static void end_link(struct verbs_link *l, const char *what)
{
    char under_way[128];
    struct text t = text_into(under_way, sizeof(under_way));
    if (l->state >= VERBS_ENDING) return;
    outstanding(l, &t);
    why_set(&l->base.why, SINEW_EIO, "%s: %s; %s", l->name, what, under_way);
    link_fall(l, SINEW_EIO, GONE_BROKEN, true);
}

static void end_pair(struct verbs *t, const struct ibv_qp *qp, const char *what)
{
    for (struct list *e = t->all.next; e != &t->all; e = e->next) {
        struct verbs_link *l = LIST_OWNER(e, struct verbs_link, of_links);
        if (l->qp && l->qp == qp) end_link(l, what);
    }
}

void trouble_fail(struct verbs *t, const char *what)
{
    t->failed = what;
    for (struct list *e = t->all.next; e != &t->all; e = e->next)
        end_link(LIST_OWNER(e, struct verbs_link, of_links), what);
}

static void port_changed(struct verbs *t, int port, bool down)
{
    if (port != t->chosen.port || t->port_down == down) return;
    t->port_down = down;
    log_line(t->base.opt.log, LOG_WARNING, "RDMA: port %d of %s is %s%s", port, t->chosen.device,
             down ? "down" : "up again",
             down ? "; links that use it end when their retries do, and new ones are refused" : "");
}

static void trouble_event(struct verbs *t, const struct ibv_async_event *event)
{
    switch (event->event_type) {
    case IBV_EVENT_QP_FATAL: end_pair(t, event->element.qp, "the queue pair failed"); break;
    case IBV_EVENT_QP_REQ_ERR:
        end_pair(t, event->element.qp, "the peer's request was invalid");
        break;
    case IBV_EVENT_QP_ACCESS_ERR:
        end_pair(t, event->element.qp, "the peer asked for memory that it may not have");
        break;
    case IBV_EVENT_PATH_MIG_ERR: end_pair(t, event->element.qp, "its path failed"); break;
    case IBV_EVENT_CQ_ERR: trouble_fail(t, "the completion queue failed (overrun?)"); break;
    case IBV_EVENT_SRQ_ERR: trouble_fail(t, "the shared receive queue failed"); break;
    case IBV_EVENT_DEVICE_FATAL: trouble_fail(t, "the device failed"); break;
    case IBV_EVENT_PORT_ERR: port_changed(t, event->element.port_num, true); break;
    case IBV_EVENT_PORT_ACTIVE: port_changed(t, event->element.port_num, false); break;
    case IBV_EVENT_LID_CHANGE:
    case IBV_EVENT_GID_CHANGE:
    case IBV_EVENT_PKEY_CHANGE:
        log_line(t->base.opt.log, LOG_WARNING,
                 "RDMA: addresses or partition keys of %s have changed; links made before may "
                 "fail", t->chosen.device);
        break;
    default: break; /* nothing to be done: established, last request, migrated, reregister */
    }
}

void trouble_events(struct verbs *t)
{
    struct ibv_async_event event;
    while (t->api->get_async_event(t->context, &event) == 0) {
        trouble_event(t, &event);
        t->api->ack_async_event(&event);
    }
}
