/* SPDX-License-Identifier: BSD-3-Clause */
/* api.c - loading libfabric (api.h tells how it is kept from the host) */
#include "transport/ofi/api.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "sinew/sinew.h"

enum { UNIVERSE_LEAST = 16 };

int api_begin(struct api_guard *guard, const struct world *world, int ranks, struct why *why)
{
    guard->settings[0] = "FI_MR_CACHE_MONITOR=disabled"; /* no hooks in mmap, munmap, malloc */
    guard->settings[1] = guard->universe;
    snprintf(guard->universe, sizeof(guard->universe), "FI_UNIVERSE_SIZE=%d",
             ranks > UNIVERSE_LEAST ? ranks : UNIVERSE_LEAST);
    return guard_begin(&guard->host, world, guard->settings, API_SETTINGS, why);
}

void api_end(struct api_guard *guard)
{
    guard_end(&guard->host);
}

static const struct {
    const char *name;
    size_t at;
} symbols[] = {
    { "fi_version", offsetof(struct ofi_api, version) },
    { "fi_getinfo", offsetof(struct ofi_api, getinfo) },
    { "fi_freeinfo", offsetof(struct ofi_api, freeinfo) },
    { "fi_dupinfo", offsetof(struct ofi_api, dupinfo) },
    { "fi_fabric", offsetof(struct ofi_api, fabric) },
    { "fi_strerror", offsetof(struct ofi_api, strerror) },
};

static int find_symbols(void *library, struct ofi_api *api, struct why *why)
{
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (!symbol)
            return why_set(why, SINEW_EVERSION, "libfabric.so.1 has no %s()", symbols[i].name);
        memcpy((char *)api + symbols[i].at, &symbol, sizeof(symbol));
    }
    return 0;
}

/* Nobody unloads it again: threads and handlers of its providers may still be there. */
int api_load(struct ofi_api *api, struct why *why)
{
    void *library = dlopen("libfabric.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return why_set(why, SINEW_ENOTSUP, "libfabric does not load: %s; is libfabric1 installed?",
                       dlerror());
    int status = find_symbols(library, api, why);
    dlclose(library);
    return status;
}
