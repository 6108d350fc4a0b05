/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api.c - loading libucp, and keeping its hands off the host (api.h tells what it does)
 *
 * UCX's chain of log handlers belongs to the process. So the count of those who use the handler
 * belongs to it too, and the thread-local says on whose behalf UCX is being called: its handlers
 * are given no argument.
 */
#include "transport/ucx/api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/library.h"
#include "sinew/sinew.h"

enum { SETTINGS = 10, LOG_TEXT = 256 };

static int users;
static bool handles_log;
_Thread_local const struct log *api_log __attribute__((tls_model("initial-exec")));

/* What UCX takes from the environment only: while it is loaded, and while a worker is made. (It
 * accepts some of them by ucp_config_modify() too, and then does not heed them.) */
static const char *const settings[SETTINGS] = {
    "UCX_MEM_EVENTS=n",       /* no hooks in mmap, munmap, malloc                       */
    "UCX_HANDLE_ERRORS=none", /* no handlers of SIGSEGV and others                      */
    "UCX_VFS_ENABLE=n",       /* no thread, socket and directory for its file system    */
    "UCX_WARN_UNUSED_ENV_VARS=n",
    "UCX_POSIX_ERROR_HANDLING=y", /* or its shared memory refuses endpoints that tell of */
    "UCX_SYSV_ERROR_HANDLING=y",  /* failures                                           */
    /* all that a peer may send unread has a place there: what UCX keeps */
    "UCX_POSIX_FIFO_SIZE=1024",
    /* for want of one is lost when its process dies                    */
    "UCX_SYSV_FIFO_SIZE=1024",
    /* endpoints that tell of failures move long messages in such pieces */
    "UCX_TCP_RX_SEG_SIZE=256k",
    /* else an endpoint over RC has a lane of datagrams too, and its wire-up goes there: closed by
     * force while that waits to be sent, it takes the process with it (UCX 1.13) */
    "UCX_KEEPALIVE_INTERVAL=inf",
};

int api_begin(struct api_guard *kept, const struct world *world, const struct log *log,
              struct why *why)
{
    int status = guard_begin(&kept->host, world, settings, SETTINGS, why);
    if (status < 0) return status;
    kept->log = api_log_to(log);
    return 0;
}

void api_end(struct api_guard *kept)
{
    api_log_to(kept->log);
    guard_end(&kept->host);
}

/* ---- its log --------------------------------------------------------------------------------- */

/* Of its levels 0 is fatal, 1 an error, 2 a warning. They are about single attempts, of which the
 * link itself tells the outcome: so they are detail here. Returns 0: nobody else need see it. */
__attribute__((format(printf, 6, 0))) static int
log_handler(const char *file, unsigned line, const char *function, int level, const void *component,
            const char *format, va_list arguments)
{
    char text[LOG_TEXT];
    (void)function;
    (void)component;
    if (!api_log || !log_wants(api_log, level == 0 ? LOG_ERROR : LOG_DETAIL)) return 0;
    vsnprintf(text, sizeof(text), format, arguments);
    const char *base = strrchr(file, '/');
    log_line(api_log, level == 0 ? LOG_ERROR : LOG_DETAIL, "UCX: %s (%s:%u)", text,
             base ? base + 1 : file, line);
    return 0;
}

/* ---- loading --------------------------------------------------------------------------------- */

static const struct library_function functions[] = {
    { "ucp_get_version", offsetof(struct ucx_api, get_version) },
    { "ucp_init_version", offsetof(struct ucx_api, init) },
    { "ucp_cleanup", offsetof(struct ucx_api, cleanup) },
    { "ucp_worker_create", offsetof(struct ucx_api, worker_create) },
    { "ucp_worker_destroy", offsetof(struct ucx_api, worker_destroy) },
    { "ucp_worker_query", offsetof(struct ucx_api, worker_query) },
    { "ucp_worker_get_address", offsetof(struct ucx_api, get_address) },
    { "ucp_worker_release_address", offsetof(struct ucx_api, release_address) },
    { "ucp_worker_get_efd", offsetof(struct ucx_api, get_efd) },
    { "ucp_worker_arm", offsetof(struct ucx_api, arm) },
    { "ucp_worker_progress", offsetof(struct ucx_api, progress) },
    { "ucp_worker_set_am_recv_handler", offsetof(struct ucx_api, set_am_handler) },
    { "ucp_ep_create", offsetof(struct ucx_api, ep_create) },
    { "ucp_ep_close_nbx", offsetof(struct ucx_api, ep_close) },
    { "ucp_am_send_nbx", offsetof(struct ucx_api, am_send) },
    { "ucp_am_recv_data_nbx", offsetof(struct ucx_api, am_recv) },
    { "ucp_am_data_release", offsetof(struct ucx_api, am_release) },
    { "ucp_request_free", offsetof(struct ucx_api, request_free) },
    { "ucp_request_check_status", offsetof(struct ucx_api, request_status) },
    { "ucs_status_string", offsetof(struct ucx_api, status_string) },
    { "ucs_log_push_handler", offsetof(struct ucx_api, log_push) },
    { "ucs_log_pop_handler", offsetof(struct ucx_api, log_pop) },
};

static int find_functions(void *library, struct ucx_api *api, struct why *why)
{
    const char *missing = library_functions(library, functions,
                                            sizeof(functions) / sizeof(functions[0]), api);
    if (!missing) return 0;
    return why_set(why, SINEW_EVERSION,
                   "libucp.so.0 has no %s(): it is older than what Sinew was built with (%d.%d)",
                   missing, UCP_API_MAJOR, UCP_API_MINOR);
}

/* Nobody unloads it again: threads and handlers of its own may still be there. */
int api_load(struct ucx_api *api, struct why *why)
{
    void *library = dlopen("libucp.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return why_set(why, SINEW_ENOTSUP, "UCX does not load: %s; is libucx0 installed?", dlerror());
    int status = find_functions(library, api, why);
    dlclose(library);
    if (status < 0) return status;
    if (users++ == 0 && !getenv("UCX_LOG_FILE")) {
        handles_log = true;
        api->log_push(log_handler);
    }
    return 0;
}

void api_unload(const struct ucx_api *api)
{
    if (--users > 0 || !handles_log) return;
    handles_log = false;
    api->log_pop();
}
