/* SPDX-License-Identifier: BSD-3-Clause */
#include "launch/providers.h"

int rendezvous_open(const struct world *world, const struct rendezvous *how, int64_t until,
                    struct launch **out, struct why *why)
{
    (void)world, (void)how, (void)until, (void)out;
    return why_set(why, SINEW_ENOTSUP, "rendezvous");
}
