/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_PROVIDERS_H
#define LAUNCH_PROVIDERS_H
/*
 * providers.h - what detect.c chooses from; each as launch_open()
 */
#include "launch/launch.h"

int alone_open(const struct world *world, struct launch **out, struct why *why);

int exchange_open(const struct world *world, const struct sinew_exchange *exchange,
                  const void *secret, struct launch **out, struct why *why);

/* door: the value of SINEW_LAUNCH_FD. */
int sinewrun_open(const struct world *world, const char *door, int64_t until, struct launch **out,
                  struct why *why);

struct rendezvous {
    const char *address, *secret_file;
    int rank, size;
};
int rendezvous_open(const struct world *world, const struct rendezvous *how, int64_t until,
                    struct launch **out, struct why *why);

#endif
