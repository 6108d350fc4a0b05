/* SPDX-License-Identifier: BSD-3-Clause */
#include <dlfcn.h>
#include <stddef.h>

#include "base/library.h"
#include "sinew/sinew.h"
#include "transport/verbs/cm.h"

static const struct library_function entries[] = {
#define ENTRY(name) { "rdma_" #name, offsetof(struct cm_api, name) }
    ENTRY(create_event_channel), ENTRY(destroy_event_channel), ENTRY(create_id),
    ENTRY(destroy_id), ENTRY(bind_addr), ENTRY(listen), ENTRY(get_src_port), ENTRY(resolve_addr),
    ENTRY(resolve_route), ENTRY(connect), ENTRY(accept), ENTRY(reject), ENTRY(establish),
    ENTRY(init_qp_attr), ENTRY(get_cm_event), ENTRY(ack_cm_event),
#undef ENTRY
};

int cm_load(struct cm_api *api, struct why *why)
{
    void *library = dlopen("librdmacm.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return why_set(why, SINEW_ENOTSUP, "verbs_wireup=rdma_cm: %s (Debian: librdmacm1)",
                       dlerror());
    const char *missing = library_functions(library, entries, sizeof(entries) / sizeof(entries[0]),
                                            api);
    if (!missing) return 0;
    return why_set(why, SINEW_ENOTSUP, "verbs_wireup=rdma_cm: librdmacm has no %s", missing);
}
