/* SPDX-License-Identifier: BSD-3-Clause */
/* api.c - loading libfabric (api.h tells how it is kept from the host) */
#include "transport/ofi/api.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "sinew/sinew.h"

static const char *const settings[] = {
    "FI_MR_CACHE_MONITOR=disabled", /* no hooks in mmap, munmap, malloc; no userfaultfd */
};
enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

int api_begin(struct guard *guard, const struct world *world, struct why *why)
{
    return guard_begin(guard, world, settings, SETTINGS, why);
}

void api_end(struct guard *guard)
{
    guard_end(guard);
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
