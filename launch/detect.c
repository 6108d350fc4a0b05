/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * detect.c - which provider this process's job has
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "launch/protocol.h"
#include "launch/providers.h"

static int number_in(const char *name, int least, int most, int *out, struct why *why)
{
    const char *text = getenv(name);
    char *end;
    errno = 0;
    long value = text ? strtol(text, &end, 10) : 0;
    if (!text || end == text || *end || errno || value < least || value > most)
        return why_set(why, SINEW_EINVAL, "%s is \"%.64s\", allowed are numbers from %d to %d",
                       name, text ? text : "", least, most);
    *out = (int)value;
    return 0;
}

static const char *const rendezvous_names[] = { "SINEW_RENDEZVOUS", "SINEW_RANK", "SINEW_SIZE",
                                                "SINEW_SECRET_FILE" };
enum { RENDEZVOUS_NAMES = sizeof(rendezvous_names) / sizeof(rendezvous_names[0]) };

/* 1: all are set, 0: none is; half is an error, or N ranks would become N jobs of one. */
static int rendezvous_set(struct why *why)
{
    char missing[160], set[160];
    struct text m = text_into(missing, sizeof(missing)), s = text_into(set, sizeof(set));
    for (int i = 0; i < RENDEZVOUS_NAMES; i++) {
        struct text *t = getenv(rendezvous_names[i]) ? &s : &m;
        text_add(t, "%s%s", t->need ? ", " : "", rendezvous_names[i]);
    }
    if (!m.need) return 1;
    if (!s.need) return 0;
    return why_set(
        why, SINEW_EINVAL,
        "%s set without %s: a rendezvous needs all of them (set them, or unset the first)", set,
        missing);
}

static int open_rendezvous(const struct world *world, int64_t until, struct launch **out,
                           struct why *why)
{
    struct rendezvous how = { .address = getenv("SINEW_RENDEZVOUS"),
                              .secret_file = getenv("SINEW_SECRET_FILE") };
    int rc = number_in("SINEW_SIZE", 1, LAUNCH_SIZE_MAX, &how.size, why);
    if (rc == 0) rc = number_in("SINEW_RANK", 0, how.size - 1, &how.rank, why);
    return rc < 0 ? rc : rendezvous_open(world, &how, until, out, why);
}

/*
 * Launchers that others wrote. rank says that one is at work, size how many ranks it started.
 * Without a known size there may be many. Slurm's batch script has a rank too; `also` is set in
 * real steps only.
 */
struct launcher {
    const char *name, *rank, *size, *also;
};
static const struct launcher launchers[] = {
    { "Slurm's srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", NULL },
    { "Slurm's srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_ID" },
    { "Open MPI's mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", NULL },
    { "a PMI launcher (MPICH's mpiexec, Hydra)", "PMI_RANK", "PMI_SIZE", NULL },
    { "a PMI launcher (MPICH's mpiexec, Hydra)", "PMI_FD", "PMI_SIZE", NULL },
    { "a PMIx launcher (PRRTE, Slurm, Open MPI's mpirun)", "PMIX_RANK", NULL, NULL },
};

static bool single(const char *size)
{
    char *end;
    return size && strtol(size, &end, 10) == 1 && end != size && !*end;
}

/* A size that one variable tells holds for PMIx too, which has none. */
static bool known_single(void)
{
    return single(getenv("OMPI_COMM_WORLD_SIZE")) || single(getenv("SLURM_STEP_NUM_TASKS")) ||
           single(getenv("PMI_SIZE"));
}

static int refuse_foreign(struct why *why)
{
    for (size_t i = 0; i < sizeof(launchers) / sizeof(launchers[0]); i++) {
        const struct launcher *l = &launchers[i];
        const char *rank = getenv(l->rank), *size = l->size ? getenv(l->size) : NULL;
        if (!rank || (l->also && !getenv(l->also))) continue;
        if (l->size && strncmp(l->size, "SLURM", 5) == 0 && !size) continue;
        if (single(size) || (!size && known_single())) continue;
        return why_set(
            why, SINEW_ENOTSUP,
            "%s started this process (%s=%.32s, %s=%.32s), and this build of Sinew cannot join its "
            "job: use sinewrun, or set SINEW_RENDEZVOUS, SINEW_RANK, SINEW_SIZE and "
            "SINEW_SECRET_FILE",
            l->name, l->rank, rank, l->size ? l->size : "size", size ? size : "unknown");
    }
    return 0;
}

static int open_provider(const struct world *world, const struct sinew_options *options,
                         int64_t until, struct launch **out, struct why *why)
{
    if (options && options->exchange)
        return exchange_open(world, options->exchange, options->secret, out, why);
    const char *door = getenv("SINEW_LAUNCH_FD");
    if (door) return sinewrun_open(world, door, until, out, why);
    int rc = rendezvous_set(why);
    if (rc < 0) return rc;
    if (rc > 0) return open_rendezvous(world, until, out, why);
    rc = refuse_foreign(why);
    if (rc < 0) return rc;
    return alone_open(world, out, why);
}

int launch_open(const struct world *world, const struct config *config,
                const struct sinew_options *options, int64_t until, struct launch **out,
                struct why *why)
{
    int rc = open_provider(world, options, until, out, why);
    if (rc == 0 && config) (*out)->setup_ns = config->setup_deadline;
    return rc;
}
