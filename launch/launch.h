/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_LAUNCH_H
#define LAUNCH_LAUNCH_H
/*
 * launch.h - how the processes of a job find each other
 *
 * A provider knows rank and size, carries one small record per rank to every other, and says when a
 * rank is known to be dead. Used by one thread. Providers: sinewrun (sinewrun.c), a rendezvous
 * address (rendezvous.c), the caller's exchange (exchange.c), alone (alone.c); detect.c chooses.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "base/world.h"
#include "sinew/sinew.h"

struct config;
struct launch;

enum { LAUNCH_RECORD_MAX = 64, LAUNCH_SECRET_LEN = 32 };

struct launch_ops {
    const char *name;

    /* My record for everyone; len <= LAUNCH_RECORD_MAX. Once, before fence. */
    int (*put)(struct launch *l, const void *record, size_t len);

    /* Collective: returns when all ranks have put. Waits until the time `until` at most:
     * SINEW_ETIMEDOUT, and the text names the missing ranks. */
    int (*fence)(struct launch *l, int64_t until);

    /* After fence: rank's record into `record` (LAUNCH_RECORD_MAX bytes), its length returned, or <
     * 0. */
    int (*get)(struct launch *l, int rank, void *record);

    /* An event: 1 and *rank died (each at most once), 0: none now, < 0: the launcher itself is gone
     * (once; SINEW_EABORTED when the job is being aborted). Never blocks. Its fd, when >= 0, is
     * readable when there may be one, and stays the same until close. */
    int (*failed)(struct launch *l, int *rank);

    /* Whether rank is known to have left in order, as of the last failed(). NULL: never known. */
    bool (*left)(const struct launch *l, int rank);

    /* End the job: every rank is terminated, `status` and `text` are reported. SINEW_ENOTSUP. */
    int (*abort)(struct launch *l, int status, const char *text);

    /* This process leaves in order; frees l. */
    void (*close)(struct launch *l);

    /* Frees l and says nothing: the others will see this rank die. For forked children too. */
    void (*abandon)(struct launch *l);
};

/* The base of a provider's own structure. */
struct launch {
    const struct launch_ops *ops;
    const struct world *world;
    int rank, size;
    int ranks_here; /* ranks on this host as far as the launcher knows, 0 when it does not */
    int cores_here; /* that they share, before each was bound to its own; 0 when not known */
    uint32_t cores_name; /* of these cores, as base/cores.h says; 0 when not known         */
    bool has_secret;
    /* of the job; without one the transports cannot authenticate */
    uint8_t secret[LAUNCH_SECRET_LEN];
    int fd;                            /* for failed(); -1: none */
    int64_t setup_ns;                  /* setup_deadline, for texts; 0: do not tell */
    struct why why;                    /* of the last call that failed */
};

/*
 * Find the provider: options->exchange first; then SINEW_LAUNCH_FD (set by sinewrun); then
 * SINEW_RENDEZVOUS with SINEW_RANK, SINEW_SIZE and SINEW_SECRET_FILE (all or none: SINEW_EINVAL
 * names what is missing); a launcher that is seen but has no provider built (PMIx, PMI, Slurm …)
 * with more than one rank is SINEW_ENOTSUP naming it; else alone. `until`: the time to give up. On
 * failure `why` has the text.
 */
int launch_open(const struct world *world, const struct config *config,
                const struct sinew_options *options, int64_t until, struct launch **out,
                struct why *why);

#endif
