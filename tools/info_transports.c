/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info_transports.c - open each transport alone, ask what it can, and say what would be chosen
 */
#include "info.h"

#include <stdio.h>
#include <string.h>

#include "base/world.h"
#include "transport/shm/shm.h"
#include "transport/tcp/tcp.h"
#include "transport/transport.h"

/* Best first, as the library takes them. */
static const struct transport_ops *const built[] = { &transport_shm, &transport_tcp };
static const char *const not_built[] = { "verbs", "ucx", "ofi" };
enum { BUILT = sizeof(built) / sizeof(built[0]) };

/* What was found out about one. */
struct probed {
    const char *name;
    bool works, allowed, local, reaches_here;
    struct why why;
};

/* Nothing is connected, so none of these is ever called. */
static struct link *nobody(struct transport *t, int rank, uint64_t epoch)
{
    (void)t, (void)rank, (void)epoch;
    return NULL;
}

static const struct transport_up no_upcalls = { .link = nobody };

/* Whether `name` is in a comma separated list; an empty list has all. */
static bool allowed(const char *list, const char *name)
{
    size_t len = strlen(name);
    if (!list[0]) return true;
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += len)
        if ((at == list || at[-1] == ',' || at[-1] == ' ') &&
            (at[len] == ',' || at[len] == '\0' || at[len] == ' '))
            return true;
    return false;
}

static void transport_item(struct info *info, const struct transport *t)
{
    const struct transport_caps *caps = &t->caps;
    info_item(info, "transports", t->ops->name,
              "works: %s; about %.3g us, %.3g GB/s declared\n"
              "messages to %u KiB in one piece%s%s%s",
              caps->local ? "ranks on this host" : "ranks anywhere", caps->latency_ns / 1000.0,
              caps->megabytes_per_s / 1000.0, caps->eager_max / 1024, ", put",
              caps->get ? ", get" : "", caps->atomic ? ", atomics" : "");
}

/* The transport alone, as rank 0 of 1 with a secret of its own; then it is closed again. */
static void transport_probe(struct info *info, const struct transport_ops *ops, struct probed *p)
{
    static const uint8_t secret[32] = { 1 };
    const struct world *world = &world_real;
    *p = (struct probed){ .name = ops->name, .allowed = allowed(info->config.transports, ops->name) };
    struct transport *t = world_allocate_aligned(world, 64, ops->transport_size);
    if (!t) {
        why_set(&p->why, SINEW_ENOMEM, "no memory for it");
        return;
    }
    t->ops = ops;
    t->up = &no_upcalls;
    t->opt = (struct transport_options){
        .world = world,
        .config = &info->config,
        .size = 1,
        .epoch = 1,
        .secret = info->config.security == SINEW_SECURITY_NONE ? NULL : secret,
    };
    if (ops->open(t) == 0) {
        p->works = true;
        p->local = t->caps.local;
        p->reaches_here = ops->reach(t, t->address, t->address_len, &p->why) >= 0;
        transport_item(info, t);
        ops->close(t);
    } else {
        p->why = t->why;
        info_item(info, "transports", ops->name, "does not work here: %s", t->why.text);
    }
    world_release(world, t, ops->transport_size);
}

/* Why this one is not it; NULL if it could be. */
static const char *objection(const struct probed *p, bool remote)
{
    if (!p->works) return "does not work here";
    if (!p->allowed) return "is not among the transports allowed";
    if (remote && p->local) return "reaches this host only";
    if (!remote && !p->reaches_here) return p->why.text;
    return NULL;
}

static void choice_item(struct info *info, const struct probed *probed, bool remote)
{
    char text[INFO_VALUE_MAX] = "none: no transport reaches it", others[INFO_VALUE_MAX] = "";
    const char *chosen = NULL;
    size_t used = 0;
    for (int i = 0; i < BUILT && used < sizeof(others); i++) {
        const char *why_not = objection(&probed[i], remote);
        if (!why_not && !chosen) {
            chosen = probed[i].name;
            continue;
        }
        used += (size_t)snprintf(others + used, sizeof(others) - used, "\nnot %s: %s",
                                 probed[i].name, why_not ? why_not : "works too, but is slower");
    }
    if (chosen) snprintf(text, sizeof(text), "%s", chosen);
    info_item(info, "chosen", remote ? "other host" : "this host", "%s%s", text, others);
}

void info_transports(struct info *info)
{
    struct probed probed[BUILT];
    for (int i = 0; i < BUILT; i++) transport_probe(info, built[i], &probed[i]);
    for (size_t i = 0; i < sizeof(not_built) / sizeof(not_built[0]); i++)
        info_item(info, "transports", not_built[i], "not built yet");
    choice_item(info, probed, false);
    choice_item(info, probed, true);
}
