/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_UCX_API_H
#define TRANSPORT_UCX_API_H
/*
 * api.h - libucp, opened at first use, and what it would do to its host kept from it
 *
 * Loading UCX installs signal handlers, an alternate signal stack, and jumps at the head of libc's
 * mmap, munmap and others; it writes to stdout. What it is to do it reads from the environment while it is loaded, and
 * at no other time. So while it is loaded
 *
 *   environment   `environ` points to a copy with more words in it (see settings in api.c), unless
 *                 the user has set them; the strings and the array of the host are not touched
 *   signals       every action, and this thread's alternate stack, are afterwards as before
 *   stdout        what UCX logs goes to the log of the context that called it, unless UCX_LOG_FILE
 *                 is set
 *
 * It stays mapped until the process ends (docs/ucx.md).
 */
#include <ucp/api/ucp.h>

#include "base/log.h"
#include "base/text.h"
#include "base/world.h"

struct ucx_api {
    __typeof__(ucp_get_version) *get_version;
    __typeof__(ucp_config_read) *config_read;
    __typeof__(ucp_config_modify) *config_modify;
    __typeof__(ucp_config_release) *config_release;
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
    __typeof__(ucp_request_free) *request_free;
    __typeof__(ucp_request_check_status) *request_status;
    __typeof__(ucs_status_string) *status_string;
    /* ucs/debug/log_def.h, which not every installation has */
    void (*log_push)(int (*handler)(const char *, unsigned, const char *, int, const void *,
                                    const char *, va_list));
    void (*log_pop)(void);
};

/* Between begin and end no other context of Sinew's loads UCX, or makes or destroys anything of it. */
void api_begin(void);
void api_end(void);
/* Both in there. 0, and the table is whole; each load has its unload. */
int api_load(struct ucx_api *api, const struct world *world, struct why *why);
void api_unload(const struct ucx_api *api);

/* Set one of UCX's settings, unless the user has set it (UCX_<name> in the environment). */
void api_prefer(const struct ucx_api *api, ucp_config_t *config, const char *name,
                const char *value);

/* What UCX logs in this thread from here on goes there; NULL: nowhere. Returns what was before. */
const struct log *api_log_to(const struct log *log);

#endif
