/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ucx.c - the table: open, close, reach, progress, sleeping
 *
 *   address  | "uCx1" | major 1 | minor 1 | version of these links 1 | 0 |
 *
 * It says only that there is UCX; the worker's own address, which may be long, is told
 * (transport/framed/offer.c).
 */
#include "transport/ucx/ucx.h"

#include <stdio.h>

#include "base/wire.h"
#include "transport/stub.h"
#include "transport/ucx/internal.h"

#define ADDRESS_MAGIC 0x31784375u
enum { ADDRESS_LEN = 8, LINKS_VERSION = 5 };

static struct ucx *ucx_at(struct transport *base) { return ucx_of(framed_of(base)); }

/* ---- open ------------------------------------------------------------------------------------ */

static int ucx_said(struct ucx *t, ucs_status_t status, const char *what)
{
    if (status == UCS_OK) return 0;
    return why_set(&t->base.base.why, status == UCS_ERR_NO_MEMORY ? SINEW_ENOMEM : SINEW_ENOTSUP,
                   "UCX %s: %s (status %d); `ucx_info -d` shows what it can use here", what,
                   t->api.status_string(status), (int)status);
}

static int make_context(struct ucx *t)
{
    const ucp_params_t params = {
        .field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME,
        .features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP,
        .name = "sinew",
    };
    return ucx_said(t, t->api.init(UCP_API_MAJOR, UCP_API_MINOR, &params, NULL, &t->context),
                    "does not start");
}

static int make_worker(struct ucx *t)
{
    ucp_worker_params_t params = {
        .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SERIALIZED,
    };
    ucp_worker_attr_t attr = { .field_mask = UCP_WORKER_ATTR_FIELD_MAX_AM_HEADER };
    const ucp_am_handler_param_t handler = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                      UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG,
        .id = 0,
        .flags = UCP_AM_FLAG_WHOLE_MSG,
        .cb = carry_heard,
        .arg = t,
    };
    carry_ready(t);
    int status = ucx_said(t, t->api.worker_create(t->context, &params, &t->worker),
                          "makes no worker");
    if (status < 0) return status;
    status = ucx_said(t, t->api.set_am_handler(t->worker, &handler), "takes no active messages");
    if (status == 0) status = ucx_said(t, t->api.worker_query(t->worker, &attr), "tells nothing");
    if (status == 0 && attr.max_am_header < FRAMED_HEADER_WIDE)
        status = why_set(&t->base.base.why, SINEW_ENOTSUP,
                         "UCX takes headers of %zu bytes here, %d are needed", attr.max_am_header,
                         FRAMED_HEADER_WIDE);
    if (status == 0) t->base.lends = attr.max_am_header - FRAMED_HEADER_WIDE;
    if (status == 0)
        status = ucx_said(t, t->api.get_efd(t->worker, &t->efd),
                          "has no descriptor to sleep on (UCX_TLS names only what cannot wake up)");
    if (status == 0)
        status = ucx_said(t, t->api.get_address(t->worker, &t->address, &t->base.address_len),
                          "has no address");
    if (status == 0 && t->base.address_len > FRAMED_ADDRESS_MAX)
        status = why_set(&t->base.base.why, SINEW_ELIMIT,
                         "UCX's address is of %zu bytes, at most %d can be told; name fewer devices in "
                         "UCX_NET_DEVICES", t->base.address_len, FRAMED_ADDRESS_MAX);
    t->base.address = (const uint8_t *)(const void *)t->address;
    return status;
}

static void unmake(struct ucx *t)
{
    sleeper_close(&t->sleeper);
    t->base.base.fd = -1;
    if (!t->loaded) return;
    if (t->address) t->api.release_address(t->worker, t->address);
    if (t->worker) t->api.worker_destroy(t->worker);
    if (t->context) t->api.cleanup(t->context);
    api_unload(&t->api);
    t->loaded = false;
}

static int make(struct ucx *t)
{
    int status = api_load(&t->api, &t->base.base.why);
    if (status < 0) return status;
    t->loaded = true;
    status = make_context(t);
    if (status == 0) status = make_worker(t);
    if (status == 0) status = sleeper_open(&t->sleeper, &t->base.base.why);
    if (status == 0) status = sleeper_watch(&t->sleeper, t->efd, &t->base.base.why);
    t->base.base.fd = t->sleeper.fd;
    return status;
}

static int ucx_open(struct transport *base)
{
    struct ucx *t = ucx_at(base);
    unsigned major = 0, minor = 0, release = 0;
    struct api_guard guard;
    framed_init(&t->base, &fabric_ucx);
    base->fd = -1;
    sleeper_init(&t->sleeper);
    int status = api_begin(&guard, base->opt.world, base->opt.log, &base->why);
    if (status < 0) return status;
    status = make(t);
    if (status < 0) unmake(t);
    api_end(&guard);
    if (status < 0) return status;
    t->api.get_version(&major, &minor, &release);
    snprintf(base->about, sizeof(base->about), "UCX %u.%u.%u, built with %d.%d", major, minor, release,
             UCP_API_MAJOR, UCP_API_MINOR);
    log_line(base->opt.log, LOG_CHOICE, "%s; its address here is of %zu bytes", base->about,
             t->base.address_len);
    wire_put32(base->address, ADDRESS_MAGIC);
    base->address[4] = (uint8_t)major;
    base->address[5] = (uint8_t)minor;
    base->address[6] = LINKS_VERSION;
    base->address_len = ADDRESS_LEN;
    base->caps = (struct transport_caps){
        .eager_max = FRAMED_EAGER_MAX,
        .copy_max = FRAMED_EAGER_MAX,
        .put_ordered = true,
        .get = true,
        .atomic = true,
        .expects = true,
        .wired = true,
        .offers = true,
        .latency_ns = 3000,
        .megabytes_per_s = 5000,
    };
    return 0;
}

static void ucx_close(struct transport *base)
{
    struct ucx *t = ucx_at(base);
    struct api_guard guard;
    const struct log *before = api_log_to(base->opt.log);
    framed_finish(&t->base);
    carry_forget_closing(t);
    if (t->base.strays)
        log_line(base->opt.log, LOG_DETAIL, "UCX: %llu messages belonged to no link: dropped",
                 (unsigned long long)t->base.strays);
    bool guarded = api_begin(&guard, base->opt.world, base->opt.log, NULL) == 0;
    unmake(t);
    if (guarded) api_end(&guard);
    api_log_to(before);
    framed_release(&t->base);
}

static int ucx_reach(struct transport *base, const void *address, size_t len, struct why *why)
{
    const uint8_t *bytes = address;
    (void)base;
    if (len != ADDRESS_LEN || wire_get32(bytes) != ADDRESS_MAGIC || bytes[7])
        return why_set(why, SINEW_EINVAL, "%zu bytes that are no address of UCX", len);
    if (bytes[6] != LINKS_VERSION)
        return why_set(why, SINEW_EVERSION, "the peer's links over UCX are of version %u, these of %d",
                       bytes[6], LINKS_VERSION);
    return 40;
}

static int ucx_connect(struct link *l, const void *bytes, size_t len)
{
    const struct log *before = api_log_to(l->transport->opt.log);
    int status = framed_connect(l, bytes, len);
    api_log_to(before);
    return status;
}

/* ---- progress, and sleeping ------------------------------------------------------------------ */

static int ucx_progress(struct transport *base, struct link *l)
{
    struct ucx *t = ucx_at(base);
    const struct log *before = api_log_to(base->opt.log);
    if (t->armed) sleeper_woke(&t->sleeper);
    t->armed = false;
    int happened = framed_progress(base, l);
    api_log_to(before);
    return happened;
}

/* Over verbs UCX asks for the next completion, and looks no more: one that came since the last look
 * wakes nobody where the device does not tell of it then (SoftRoCE; NICs of Mellanox do). */
static bool came_unheard(struct ucx *t)
{
    const struct log *before = api_log_to(t->base.base.opt.log);
    bool came = t->api.progress(t->worker) > 0;
    api_log_to(before);
    return came;
}

static int ucx_arm(struct transport *base)
{
    struct ucx *t = ucx_at(base);
    if (framed_deadline(&t->base) == 0) return SINEW_PENDING;
    t->armed = true;
    if (t->api.arm(t->worker) != UCS_OK || came_unheard(t)) return SINEW_PENDING;
    int64_t at = framed_deadline(&t->base); /* that look may have left something to do */
    return at == 0 ? SINEW_PENDING : sleeper_until(&t->sleeper, base->opt.world, at);
}

const struct transport_ops transport_ucx = {
    .name = "ucx",
    .id = 5,
    .transport_size = sizeof(struct ucx),
    .link_size = sizeof(struct framed_link),
    .open = ucx_open,
    .close = ucx_close,
    .reach = ucx_reach,
    .connect = ucx_connect,
    .disconnect = framed_disconnect,
    .send = framed_send,
    .allow = stub_allow,
    .send_short = stub_send_short,
    .take_short = stub_take_short,
    .peek = stub_peek,
    .drop = stub_drop,
    .rma = framed_rma,
    .flush = framed_flush,
    .reg = framed_reg,
    .dereg = framed_dereg,
    .progress = ucx_progress,
    .arm = ucx_arm,
};
