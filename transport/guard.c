/* SPDX-License-Identifier: BSD-3-Clause */
/* guard.c - see guard.h */
#include "transport/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sinew/sinew.h"

/* ---- signals --------------------------------------------------------------------------------- */

static void keep_signals(struct guard *kept)
{
    for (int i = 1; i < _NSIG; i++) kept->known[i] = sigaction(i, NULL, &kept->action[i]) == 0;
    sigaltstack(NULL, &kept->stack);
}

static void restore_signals(const struct guard *kept)
{
    struct sigaction now;
    stack_t stack;
    for (int i = 1; i < _NSIG; i++) {
        if (!kept->known[i] || sigaction(i, NULL, &now) < 0) continue;
        if (now.sa_handler != kept->action[i].sa_handler ||
            now.sa_flags != kept->action[i].sa_flags)
            sigaction(i, &kept->action[i], NULL);
    }
    if (sigaltstack(NULL, &stack) == 0 && stack.ss_sp != kept->stack.ss_sp)
        sigaltstack(&kept->stack, NULL);
}

/* ---- the environment ------------------------------------------------------------------------- */

static bool is_set(const char *setting)
{
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(setting, "="), setting);
    return getenv(name) != NULL;
}

/* False: no memory. Whoever reads the environment meanwhile finds all that was in it. */
static bool extend_environment(struct guard *kept)
{
    size_t n = 0;
    kept->environment = environ;
    while (environ && environ[n]) n++;
    kept->size = (n + (size_t)kept->n + 1) * sizeof(*kept->ours);
    kept->ours = world_allocate(kept->world, kept->size);
    if (!kept->ours) return false;
    if (n) memcpy(kept->ours, environ, n * sizeof(*kept->ours));
    for (int i = 0; i < kept->n; i++)
        if (!is_set(kept->settings[i]))
            memcpy(&kept->ours[n++], &kept->settings[i], sizeof(char *));
    environ = kept->ours;
    return true;
}

/* Should another thread have set a variable meanwhile, libc has made an array of its own of ours,
 * and that one stays, without our words. */
static void restore_environment(struct guard *kept)
{
    if (environ == kept->ours) {
        environ = kept->environment;
        world_release(kept->world, kept->ours, kept->size);
        return;
    }
    for (char **from = environ, **to = environ; from && (*to = *from); from++) {
        bool added = false;
        for (int i = 0; i < kept->n; i++) added |= *from == kept->settings[i];
        if (!added) to++;
    }
}

/* ---- both ------------------------------------------------------------------------------------ */

int guard_begin(struct guard *kept, const struct world *world, const char *const *settings, int n,
                struct why *why)
{
    kept->world = world;
    kept->settings = settings;
    kept->n = n;
    if (!extend_environment(kept)) return why_set(why, SINEW_ENOMEM, "no memory to load a library");
    keep_signals(kept);
    return 0;
}

void guard_end(struct guard *kept)
{
    restore_signals(kept);
    restore_environment(kept);
}
