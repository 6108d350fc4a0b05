/* SPDX-License-Identifier: BSD-3-Clause */
/* api.c - loading libfabric (api.h tells how it is kept from the host) */
#include "transport/ofi/api.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>

#include "base/library.h"
#include "sinew/sinew.h"

enum { UNIVERSE_LEAST = 16 };

int api_begin(struct api_guard *guard, const struct world *world, int ranks, struct why *why)
{
    guard->settings[0] = "FI_MR_CACHE_MONITOR=disabled"; /* no hooks in mmap, munmap, malloc */
    guard->settings[1] = guard->universe;
    /* rxm (1.17) frees a connection's endpoint and then reads what had still come there, for which
     * it posts a buffer anew, to that endpoint. What all connections receive from outlives them. */
    guard->settings[2] = "FI_OFI_RXM_USE_SRX=1";
    guard->settings[3] = "FI_OFI_RXM_MSG_RX_SIZE=512"; /* 8 MiB; by itself it would take 64 */
    snprintf(guard->universe, sizeof(guard->universe), "FI_UNIVERSE_SIZE=%d",
             ranks > UNIVERSE_LEAST ? ranks : UNIVERSE_LEAST);
    return guard_begin(&guard->host, world, guard->settings, API_SETTINGS, why);
}

void api_end(struct api_guard *guard)
{
    guard_end(&guard->host);
}

static const struct library_function functions[] = {
    { "fi_version", offsetof(struct ofi_api, version) },
    { "fi_getinfo", offsetof(struct ofi_api, getinfo) },
    { "fi_freeinfo", offsetof(struct ofi_api, freeinfo) },
    { "fi_dupinfo", offsetof(struct ofi_api, dupinfo) },
    { "fi_fabric", offsetof(struct ofi_api, fabric) },
    { "fi_strerror", offsetof(struct ofi_api, strerror) },
};

static int find_functions(void *library, struct ofi_api *api, struct why *why)
{
    const char *missing = library_functions(library, functions,
                                            sizeof(functions) / sizeof(functions[0]), api);
    if (!missing) return 0;
    return why_set(why, SINEW_EVERSION, "libfabric.so.1 has no %s()", missing);
}

/* Nobody unloads it again: threads and handlers of its providers may still be there. */
int api_load(struct ofi_api *api, struct why *why)
{
    void *library = dlopen("libfabric.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return why_set(why, SINEW_ENOTSUP, "libfabric does not load: %s; is libfabric1 installed?",
                       dlerror());
    int status = find_functions(library, api, why);
    dlclose(library);
    return status;
}
