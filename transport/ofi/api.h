/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_OFI_API_H
#define TRANSPORT_OFI_API_H
/*
 * api.h - libfabric, opened at first use, and what it would do to its host kept from it
 *
 * Most of libfabric is functions that its objects point to; these few are in the library. It reads
 * its settings from the environment when it is first called, and its providers may load libraries
 * that install handlers. So whatever loads it, or makes or destroys something of it, is called
 * between api_begin() and api_end() (transport/guard.h), with four settings added. It stays mapped
 * until the process ends (docs/ofi.md).
 */
#include <rdma/fabric.h>

#include "base/text.h"
#include "base/world.h"
#include "transport/guard.h"

struct ofi_api {
    __typeof__(fi_version) *version;
    __typeof__(fi_getinfo) *getinfo;
    __typeof__(fi_freeinfo) *freeinfo;
    __typeof__(fi_dupinfo) *dupinfo;
    __typeof__(fi_fabric) *fabric;
    const char *(*strerror)(int number);
};

enum { API_SETTINGS = 4 };
struct api_guard {
    struct guard host;
    const char *settings[API_SETTINGS];
    char universe
        [32]; /* of so many ranks: queues are made for all of them, and devices have bounds */
};
int api_begin(struct api_guard *guard, const struct world *world, int ranks, struct why *why);
void api_end(struct api_guard *guard);
/* In between: 0, and the table is whole. */
int api_load(struct ofi_api *api, struct why *why);

#endif
