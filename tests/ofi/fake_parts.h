/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_OFI_FAKE_PARTS_H
#define TESTS_OFI_FAKE_PARTS_H
/*
 * fake_parts.h - how the files of the tests' own libfabric fit together
 */
#include <rdma/fabric.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/ofi/fake_ofi.h"

enum { INJECT = 64 };

/* fake_ofi.c: zeroed memory that is counted; whether the knobs have this call, or the n-th of all,
 * fail, and how. */
void *object(size_t size);
void object_free(void *o);
bool is_the_nth(void);
int refused(enum fake_call call);

/* fake_providers.c */
void fake_freeinfo(struct fi_info *info);
struct fi_info *fake_dupinfo(const struct fi_info *info);
int fake_getinfo(uint32_t wanted, const char *node, const char *service, uint64_t flags,
                 const struct fi_info *hints, struct fi_info **out);

#endif
