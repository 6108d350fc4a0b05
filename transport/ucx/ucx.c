/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ucx.c - the table: open, close, reach, progress, sleeping
 *
 *   address  | "uCx1" | major 1 | minor 1 | version of these links 1 | 0 |
 *
 * It says only that there is UCX; the worker's own address, which may be long, is told (offer.c).
 */
#include "transport/ucx/ucx.h"

#include <stdio.h>

#include "base/wire.h"
#include "transport/stub.h"
#include "transport/ucx/internal.h"

#define ADDRESS_MAGIC 0x31784375u
enum { ADDRESS_LEN = 8, LINKS_VERSION = 2 };

/* ---- open ------------------------------------------------------------------------------------ */

static int ucx_said(struct ucx *t, ucs_status_t status, const char *what)
{
    if (status == UCS_OK) return 0;
    return why_set(&t->base.why, status == UCS_ERR_NO_MEMORY ? SINEW_ENOMEM : SINEW_ENOTSUP,
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
        .cb = frame_arrived,
        .arg = t,
    };
    int status = ucx_said(t, t->api.worker_create(t->context, &params, &t->worker),
                          "makes no worker");
    if (status < 0) return status;
    status = ucx_said(t, t->api.set_am_handler(t->worker, &handler), "takes no active messages");
    if (status == 0) status = ucx_said(t, t->api.worker_query(t->worker, &attr), "tells nothing");
    if (status == 0 && attr.max_am_header < UCX_HEADER_WIDE)
        status = why_set(&t->base.why, SINEW_ENOTSUP,
                         "UCX takes headers of %zu bytes here, %d are needed", attr.max_am_header,
                         UCX_HEADER_WIDE);
    if (status == 0)
        status = ucx_said(t, t->api.get_efd(t->worker, &t->efd),
                          "has no descriptor to sleep on (UCX_TLS names only what cannot wake up)");
    if (status == 0)
        status = ucx_said(t, t->api.get_address(t->worker, &t->address, &t->address_len),
                          "has no address");
    if (status == 0 && t->address_len > UCX_ADDRESS_BYTES_MAX)
        status = why_set(&t->base.why, SINEW_ELIMIT,
                         "UCX's address is of %zu bytes, at most %d can be told; name fewer devices in "
                         "UCX_NET_DEVICES", t->address_len, UCX_ADDRESS_BYTES_MAX);
    return status;
}

static void unmake(struct ucx *t)
{
    sleeper_close(&t->sleeper);
    t->base.fd = -1;
    if (!t->loaded) return;
    if (t->address) t->api.release_address(t->worker, t->address);
    if (t->worker) t->api.worker_destroy(t->worker);
    if (t->context) t->api.cleanup(t->context);
    api_unload(&t->api);
    t->loaded = false;
}

static int make(struct ucx *t)
{
    int status = api_load(&t->api, &t->base.why);
    if (status < 0) return status;
    t->loaded = true;
    status = make_context(t);
    if (status == 0) status = make_worker(t);
    if (status == 0) status = sleeper_open(&t->sleeper, &t->base.why);
    if (status == 0) status = sleeper_watch(&t->sleeper, t->efd, &t->base.why);
    t->base.fd = t->sleeper.fd;
    return status;
}

static void fill_lists(struct ucx *t)
{
    list_init(&t->all);
    list_init(&t->due);
    list_init(&t->waiting);
    list_init(&t->ending);
    list_init(&t->closing);
    list_init(&t->spare_small);
    list_init(&t->spare_large);
    list_init(&t->spare_works);
    list_init(&t->lost_works);
    list_init(&t->landings);
    list_init(&t->busy);
}

static int ucx_open(struct transport *base)
{
    struct ucx *t = ucx_of(base);
    unsigned major = 0, minor = 0, release = 0;
    struct api_guard guard;
    fill_lists(t);
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
             t->address_len);
    wire_put32(base->address, ADDRESS_MAGIC);
    base->address[4] = (uint8_t)major;
    base->address[5] = (uint8_t)minor;
    base->address[6] = LINKS_VERSION;
    base->address_len = ADDRESS_LEN;
    base->caps = (struct transport_caps){
        .eager_max = UCX_EAGER_MAX,
        .copy_max = UCX_EAGER_MAX,
        .put_ordered = true,
        .get = true,
        .atomic = true,
        .expects = true,
        .wired = true,
        .latency_ns = 3000,
        .megabytes_per_s = 5000,
    };
    return 0;
}

static void ucx_close(struct transport *base)
{
    struct ucx *t = ucx_of(base);
    struct api_guard guard;
    const struct log *before = api_log_to(base->opt.log);
    endpoints_finish(t);
    if (t->strays)
        log_line(base->opt.log, LOG_DETAIL, "UCX: %llu messages belonged to no link: dropped",
                 (unsigned long long)t->strays);
    bool guarded = api_begin(&guard, base->opt.world, base->opt.log, NULL) == 0;
    unmake(t);
    if (guarded) api_end(&guard);
    api_log_to(before);
    endpoints_release(t);
    landings_release(t);
    frames_release(t);
    works_release(t);
    links_release(t);
    regions_release(t);
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

/* ---- moving data ----------------------------------------------------------------------------- */

/* Until something was handed up: whoever waits for it had better look at once. */
static void poll_ucx(struct ucx *t)
{
    t->polls++;
    for (int i = 0; i < UCX_POLLS && t->budget == TRANSPORT_UPCALLS_MAX; i++) {
        if (t->api.progress(t->worker) > 0) continue;
        t->idle_looks++;
        return;
    }
}

static int ucx_progress(struct transport *base, struct link *l)
{
    struct ucx *t = ucx_of(base);
    (void)l;
    t->budget = TRANSPORT_UPCALLS_MAX;
    t->moved = false;
    t->took = NULL;
    t->in_progress = true;
    const struct log *before = api_log_to(base->opt.log);
    if (t->armed) sleeper_woke(&t->sleeper);
    t->armed = false;
    poll_ucx(t);
    links_look_after(t);
    api_log_to(before);
    int upcalls = TRANSPORT_UPCALLS_MAX - t->budget;
    t->in_progress = false;
    t->budget = 0;
    return upcalls > 0 ? upcalls : t->moved;
}

static int ucx_arm(struct transport *base)
{
    struct ucx *t = ucx_of(base);
    if (!list_empty(&t->due) || !list_empty(&t->ending)) return SINEW_PENDING;
    t->armed = true;
    if (t->api.arm(t->worker) != UCS_OK) return SINEW_PENDING;
    return sleeper_until(&t->sleeper, base->opt.world, links_deadline(t));
}

const struct transport_ops transport_ucx = {
    .name = "ucx",
    .id = 5,
    .transport_size = sizeof(struct ucx),
    .link_size = sizeof(struct ucx_link),
    .open = ucx_open,
    .close = ucx_close,
    .reach = ucx_reach,
    .connect = ucx_connect,
    .disconnect = ucx_disconnect,
    .send = ucx_send,
    .allow = stub_allow,
    .send_short = stub_send_short,
    .take_short = stub_take_short,
    .peek = stub_peek,
    .drop = stub_drop,
    .rma = ucx_rma,
    .flush = ucx_flush,
    .reg = ucx_reg,
    .dereg = ucx_dereg,
    .progress = ucx_progress,
    .arm = ucx_arm,
};
