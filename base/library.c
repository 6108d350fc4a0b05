/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/library.h"

#include <dlfcn.h>
#include <string.h>

const char *library_functions(void *library, const struct library_function *wanted, size_t n,
                              void *functions)
{
    for (size_t i = 0; i < n; i++) {
        /* POSIX promises that the bits of the object pointer are the function's. */
        void *found = dlsym(library, wanted[i].name);
        if (!found) return wanted[i].name;
        memcpy((char *)functions + wanted[i].at, &found, sizeof(found));
    }
    return NULL;
}
