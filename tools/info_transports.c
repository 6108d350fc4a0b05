/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info_transports.c - open each transport alone, ask what it can, and say what would be chosen
 */
#include "info.h"

#include <stdio.h>
#include <string.h>

#include "base/world.h"
#include "transport/module.h"
#include "transport/shm/shm.h"
#include "transport/tcp/tcp.h"
#include "transport/transport.h"

/* Best first, as the library takes them. */
enum { PROBED_MAX = 8 };

/* What was found out about one. */
struct probed {
    const char *name;
    bool works, local, reaches_here;
    int place; /* among the transports allowed; -1: not one of them */
    bool unopened; /* a job that names no transports does without; why says it */
    struct why why;
};

/* Nothing is connected, so none of these is ever called. */
static struct link *nobody(struct transport *t, int rank, uint64_t epoch)
{
    (void)t, (void)rank, (void)epoch;
    return NULL;
}

static const struct transport_up no_upcalls = { .link = nobody };

/* Where `name` stands in a comma separated list, -1: not there. An empty list has all, at 0. */
static int place_of(const char *list, const char *name)
{
    size_t len = strlen(name);
    int place = 0;
    if (!list[0]) return 0;
    for (const char *at = list; at; at = strchr(at, ','), place++) {
        if (*at == ',') at++;
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0')) return place;
    }
    return -1;
}

static void transport_item(struct info *info, const struct transport *t)
{
    const struct transport_caps *caps = &t->caps;
    info_item(info, "transports", t->ops->name,
              "works: %s; about %.3g us, %.3g GB/s declared\n"
              "messages to %u KiB in one piece, longer ones put into the receiver's memory%s%s%s%s%s",
              caps->local ? "ranks on this host" : "ranks anywhere", caps->latency_ns / 1000.0,
              caps->megabytes_per_s / 1000.0, caps->eager_max / 1024,
              caps->get ? ", or read by it" : "",
              t->about[0] ? "\n" : "", t->about, t->choice ? "\n" : "",
              t->choice ? t->choice : "");
}

/* The transport alone, as rank 0 of 1 with a secret of its own; then it is closed again. */
static void transport_probe(struct info *info, const struct transport_ops *ops, struct probed *p)
{
    static const uint8_t secret[32] = { 1 };
    const struct world *world = &world_real;
    *p = (struct probed){ .name = ops->name,
                          .place = place_of(info->config.transports, ops->name) };
    struct transport *t = world_allocate_aligned(world, 64, ops->transport_size);
    if (!t) {
        why_set(&p->why, SINEW_ENOMEM, "no memory for it");
        return;
    }
    t->ops = ops;
    t->up = &no_upcalls;
    t->fd = -1;
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
    if (p->place < 0) return "is not among the transports allowed";
    if (p->unopened) return p->why.text;
    if (remote && p->local) return "reaches this host only";
    if (!remote && !p->reaches_here) return p->why.text;
    return NULL;
}

static void choice_item(struct info *info, const struct probed *probed, int n, bool remote)
{
    char text[INFO_VALUE_MAX] = "none: no transport reaches it", others[INFO_VALUE_MAX] = "";
    const char *chosen = NULL;
    size_t used = 0;
    for (int i = 0; i < n && used < sizeof(others); i++) {
        const char *why_not = objection(&probed[i], remote);
        if (!why_not && !chosen) {
            chosen = probed[i].name;
            continue;
        }
        used += (size_t)snprintf(others + used, sizeof(others) - used, "\nnot %s: %s",
                                 probed[i].name, why_not ? why_not : "works too, but comes later");
    }
    if (chosen) snprintf(text, sizeof(text), "%s", chosen);
    info_item(info, "chosen", remote ? "other host" : "this host", "%s%s", text, others);
}

/* In the order of the list of those allowed, if there is one; the others (-1) last. */
static void order(struct probed *probed, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && (unsigned)probed[k].place < (unsigned)probed[k - 1].place; k--) {
            struct probed later = probed[k - 1];
            probed[k - 1] = probed[k];
            probed[k] = later;
        }
}

/* A transport that comes as a module is opened here whether a job would or not; but for those that
 * are somebody else's library, of which not all come back from being opened, only when they are
 * named. */
static void module_probe(struct info *info, const struct module_known *known, struct probed *p)
{
    const struct transport_ops *ops;
    void *handle;
    struct why why = { "" };
    *p = (struct probed){ .name = known->name,
                          .place = place_of(info->config.transports, known->name) };
    bool named = info->config.transports[0] && p->place >= 0;
    if (module_open(known, info->config.module_dir, &handle, &ops, &p->why)) {
        info_item(info, "transports", known->name, "not here: %s", p->why.text);
        return;
    }
    if (!known->useful && !named) {
        p->works = p->unopened = true;
        why_set(&p->why, 0, "opened when transports names it");
        info_item(info, "transports", known->name, "%s, as in SINEW_TRANSPORTS=%s,tcp sinew-info",
                  p->why.text, known->name);
        module_close(handle);
        return;
    }
    transport_probe(info, ops, p);
    p->name = known->name;
    module_close(handle);
    if (named || p->place < 0 || !p->works || known->useful(&why)) return;
    p->unopened = true;
    p->why = why;
}

void info_transports(struct info *info)
{
    struct probed probed[PROBED_MAX];
    int n = 0;
    transport_probe(info, &transport_shm, &probed[n++]);
    for (const struct module_known *m = modules_known; m->name; m++)
        module_probe(info, m, &probed[n++]);
    transport_probe(info, &transport_tcp, &probed[n++]);
    order(probed, n);
    choice_item(info, probed, n, false);
    choice_item(info, probed, n, true);
}
