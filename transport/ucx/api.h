/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_UCX_API_H
#define TRANSPORT_UCX_API_H
/*
 * api.h - libucp, opened at first use, and what it would do to its host kept from it
 *
 * Loading UCX installs signal handlers, an alternate signal stack, and jumps at the head of libc's
 * mmap, munmap and others; it writes to stdout. What it is to do it reads from the environment,
 * while it is loaded and while a worker is made, and takes it no other way. So meanwhile signals
 * and environment are guarded (transport/guard.h), with `settings` of api.c added; and what UCX
 * logs goes to the log of the context that called it, unless UCX_LOG_FILE is set.
 *
 * It stays mapped until the process ends (docs/ucx.md).
 */
#include <ucp/api/ucp.h>

#include "base/log.h"
#include "base/text.h"
#include "base/world.h"
#include "transport/guard.h"

struct ucx_api {
    __typeof__(ucp_get_version) *get_version;
    __typeof__(ucp_init_version) *init;
    __typeof__(ucp_cleanup) *cleanup;
    __typeof__(ucp_worker_create) *worker_create;
    __typeof__(ucp_worker_destroy) *worker_destroy;
    __typeof__(ucp_worker_query) *worker_query;
    __typeof__(ucp_worker_get_address) *get_address;
    __typeof__(ucp_worker_release_address) *release_address;
    __typeof__(ucp_worker_get_efd) *get_efd;
    __typeof__(ucp_worker_arm) *arm;
    __typeof__(ucp_worker_progress) *progress;
    __typeof__(ucp_worker_set_am_recv_handler) *set_am_handler;
    __typeof__(ucp_ep_create) *ep_create;
    __typeof__(ucp_ep_close_nbx) *ep_close;
    __typeof__(ucp_am_send_nbx) *am_send;
    __typeof__(ucp_am_recv_data_nbx) *am_recv;
    __typeof__(ucp_am_data_release) *am_release;
    __typeof__(ucp_request_free) *request_free;
    __typeof__(ucp_request_check_status) *request_status;
    __typeof__(ucs_status_string) *status_string;
    /* ucs/debug/log_def.h, which not every installation has */
    void (*log_push)(int (*handler)(const char *, unsigned, const char *, int, const void *,
                                    const char *, va_list));
    void (*log_pop)(void);
};

struct api_guard {
    struct guard host;
    const struct log *log;
};

/* Between them the host is kept safe; everything that makes or destroys something of UCX's is
 * called there. */
int api_begin(struct api_guard *guard, const struct world *world, const struct log *log,
              struct why *why);
void api_end(struct api_guard *guard);
/* Both in there. 0, and the table is whole; each load has its unload. */
int api_load(struct ucx_api *api, struct why *why);
void api_unload(const struct ucx_api *api);

/* Where what UCX logs in this thread goes; NULL: nowhere. Set with each progress: so it shall cost
 * no call. */
extern _Thread_local const struct log *api_log __attribute__((tls_model("initial-exec")));

/* From here on. Returns what was before. */
static inline const struct log *api_log_to(const struct log *log)
{
    const struct log *before = api_log;
    api_log = log;
    return before;
}

#endif
