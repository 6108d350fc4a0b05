/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transports.c - which transports a context opens, and in which order it will choose among them
 *
 * What is part of the library is opened unless `transports` leaves it out. What comes as a module
 * is opened when `transports` names it, or when there can be a use of it: some ranks are on
 * other hosts, and this one has a device for it. So a job on one host pays for none.
 *
 * Wired transports need a control link. If the list leaves out every transport that could carry it,
 * one is opened all the same, and no data takes it while a wired path may still come of it.
 */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "messaging/context.h"
#include "transport/module.h"
#include "transport/shm/shm.h"
#include "transport/tcp/tcp.h"

/* Best first; in the middle the modules, in their order. */
static const struct transport_ops *const before_modules[] = { &transport_shm, NULL };
static const struct transport_ops *const after_modules[] = { &transport_tcp, NULL };

/* Modules put the process back as it was while they load and unload what they are made of
 * (transport/guard.h): its environment and signals. Those, as the libraries, are the process's and
 * no context's, so contexts of several threads load and unload one at a time, and this lock is the
 * one variable that all of them share.
 *
 * The pid of whose thread has it; 0: nobody's. In a forked child it may be the parent's for ever:
 * the thread is not there that would let go of it, and what it was changing stays half changed.
 * lock_modules() takes it with acquire, unlock_modules() gives it back with release. */
static _Atomic pid_t module_owner;

/* Whoever has it may be waiting, at his close, for an answer of the fabric of this context's
 * `closing`, if any. */
static int lock_modules(struct sinew *s, struct transport *closing, struct why *why)
{
    pid_t me = getpid();
    int64_t until = world_now(s->world) + s->config.setup_deadline;
    char took[TEXT_DURATION_MAX];
    for (;;) {
        pid_t owner = 0;
        if (atomic_compare_exchange_strong_explicit(&module_owner, &owner, me, memory_order_acquire,
                                                    memory_order_relaxed))
            return 0;
        if (owner != me)
            return why_set(why, SINEW_EBUSY,
                           "when process %d forked this one, another thread of it was loading or "
                           "unloading a module, which never ends here: fork at another time, or exec",
                           (int)owner);
        if (world_now(s->world) >= until)
            return why_set(why, SINEW_ETIMEDOUT,
                           "another thread has been loading or unloading a module for all of "
                           "setup_deadline %s: see where it hangs",
                           text_duration(s->config.setup_deadline, took));
        if (closing) closing->ops->progress(closing, NULL);
        s->world->yield(s->world->arg);
    }
}

static void unlock_modules(void)
{
    atomic_store_explicit(&module_owner, 0, memory_order_release);
}

/* Where `name` stands in the comma separated list, from 0; -1: it does not. */
static int place_in(const char *list, const char *name)
{
    size_t len = strlen(name);
    int place = 0;
    for (const char *at = list; at; at = strchr(at, ','), place++) {
        if (*at == ',') at++;
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0')) return place;
    }
    return -1;
}

/* An empty list allows all. */
static bool listed(const char *list, const char *name)
{
    return !*list || place_in(list, name) >= 0;
}

static struct why *refuse(struct sinew *s, const char *name)
{
    s->refused_name[s->refusals] = name;
    s->unnamed[s->refusals] = false;
    return &s->refused[s->refusals++];
}

static void leave_out(struct sinew *s, const char *name)
{
    why_set(refuse(s, name), 0, "left out: transports is \"%s\"", s->config.transports);
    s->unnamed[s->refusals - 1] = true;
}

static int open_transport(struct sinew *s, const struct transport_ops *ops, void *module)
{
    struct transport *t = world_allocate_aligned(s->world, 64, ops->transport_size);
    if (!t) return context_fail(s, SINEW_ENOMEM, "no memory for transport %s", ops->name);
    s->counters.memory_bytes += ops->transport_size;
    t->ops = ops;
    t->up = &wireup_upcalls;
    t->owner = s;
    t->fd = -1;
    t->opt = (struct transport_options){
        .world = s->world,
        .config = &s->config,
        .rank = s->rank,
        .size = s->size,
        .crowded = wait_crowded(s),
        .epoch = s->epoch,
        .secret = s->config.security == SINEW_SECURITY_NONE ? NULL : s->launch->secret,
        .log = &s->log,
    };
    int rc = ops->open(t);
    /* Its bytes go by hardware, past TLS. */
    if (rc == 0 && t->caps.wired && s->config.security == SINEW_SECURITY_ENCRYPT) {
        ops->close(t);
        rc = why_set(&t->why, SINEW_ENOTSUP,
                     "it cannot encrypt, and security is encrypt: take tcp, or "
                     "security=authenticate on a network you trust");
    }
    if (rc == 0) {
        s->module[s->transports] = module;
        s->transport[s->transports++] = t;
        return 0;
    }
    log_line(&s->log, LOG_CHOICE, "transport %s cannot work here: %s", ops->name, t->why.text);
    *refuse(s, ops->name) = t->why;
    context_release(s, t, ops->transport_size);
    return rc;
}

/* ---- modules --------------------------------------------------------------------------------- */

/* Whether it is opened though nobody asked for it by name. */
static bool worth_opening(const struct sinew *s, const struct module_known *known, struct why *why)
{
    if (!known->useful)
        why_set(why, 0, "not opened: only when `transports` names it");
    else if (s->launch->ranks_here == s->size)
        why_set(why, 0, "not opened: all ranks are on this host");
    else
        return known->useful(why);
    return false;
}

static int load_module(struct sinew *s, const struct module_known *known)
{
    const struct transport_ops *ops = NULL;
    void *handle = NULL;
    struct why why = { "" };
    int rc = module_open(known, s->config.module_dir, &handle, &ops, &why);
    if (rc) {
        log_line(&s->log, LOG_CHOICE, "transport %s: %s", known->name, why.text);
        *refuse(s, known->name) = why;
        return rc;
    }
    int before = s->refusals;
    rc = open_transport(s, ops, handle);
    if (s->refusals > before) s->refused_name[before] = known->name; /* the module's text goes */
    if (rc) module_close(handle);
    return rc;
}

/* 0; < 0: it was asked for and cannot be had. */
static int open_module(struct sinew *s, const struct module_known *known)
{
    struct why why = { "" };
    bool named = s->config.transports[0] != '\0';
    if (!listed(s->config.transports, known->name)) {
        leave_out(s, known->name);
        return 0;
    }
    if (!named && !worth_opening(s, known, &why)) {
        *refuse(s, known->name) = why;
        s->unnamed[s->refusals - 1] = !known->useful;
        return 0;
    }
    int rc = lock_modules(s, NULL, &why);
    if (rc) {
        log_line(&s->log, LOG_CHOICE, "transport %s: %s", known->name, why.text);
        *refuse(s, known->name) = why;
        return named ? rc : 0;
    }
    rc = load_module(s, known);
    unlock_modules();
    return rc == SINEW_ENOMEM || named ? rc : 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int refuse_open(struct sinew *s, int status)
{
    if (strcmp(s->config.transports, "sim") == 0)
        return context_fail(s, status,
                            "transports is \"sim\": that is the simulated world of tests, for ranks "
                            "in one process; a job of processes uses shm or tcp");
    char text[WHY_MAX];
    struct text t = text_into(text, sizeof(text));
    for (int i = 0; i < s->refusals; i++)
        text_add(&t, "%s%s: %s", i ? "; " : "", s->refused_name[i], s->refused[i].text);
    return context_fail(s, status, "no transport works here: %s", text);
}

static int refuse_named(struct sinew *s, int rc, const char *name)
{
    if (rc == SINEW_ENOMEM && !s->refusals) return rc;
    const char *cause = s->refusals ? s->refused[s->refusals - 1].text : "";
    if (!s->config.transports[0] || place_in(s->config.transports, name) < 0)
        return context_fail(s, rc, "transport %s is needed and cannot work here: %s", name, cause);
    return context_fail(s, rc,
                        "transport %s was asked for and cannot work here; take it out of "
                        "`transports`, \"%s\", of which all must work, or mend this: %s",
                        name, s->config.transports, cause);
}

/* A transport asked for by name must work. */
static int open_all(struct sinew *s, const struct transport_ops *const *all)
{
    const char *list = s->config.transports;
    for (int i = 0; all[i] && s->transports + s->refusals < TRANSPORTS_MAX; i++) {
        if (!listed(list, all[i]->name)) {
            leave_out(s, all[i]->name);
            continue;
        }
        int rc = open_transport(s, all[i], NULL);
        if (rc < 0 && (*list || rc == SINEW_ENOMEM)) return refuse_named(s, rc, all[i]->name);
    }
    return 0;
}

static int open_built_in(struct sinew *s)
{
    int rc = open_all(s, before_modules);
    for (const struct module_known *m = modules_known; rc == 0 && m->name; m++) {
        rc = open_module(s, m);
        if (rc) return refuse_named(s, rc, m->name);
    }
    return rc ? rc : open_all(s, after_modules);
}

/* "Best first" is the caller's word, if he gave one. */
static void order(struct sinew *s)
{
    const char *list = s->config.transports;
    for (int i = 1; *list && i < s->transports; i++)
        for (int j = i; j > 0; j--) {
            struct transport **a = &s->transport[j - 1], **b = &s->transport[j];
            if (place_in(list, (*a)->ops->name) <= place_in(list, (*b)->ops->name)) break;
            struct transport *swap = *a;
            void *module = s->module[j - 1];
            *a = *b;
            *b = swap;
            s->module[j - 1] = s->module[j];
            s->module[j] = module;
        }
}

static int control_among(const struct sinew *s)
{
    for (int i = 0; i < s->transports; i++)
        if (s->transport[i]->ops->control) return i;
    return -1;
}

static bool any_wired(const struct sinew *s)
{
    for (int i = 0; i < s->transports; i++)
        if (s->transport[i]->caps.wired) return true;
    return false;
}

static void forget_refusal(struct sinew *s, const char *name)
{
    for (int i = 0; i < s->refusals; i++) {
        if (strcmp(s->refused_name[i], name) != 0) continue;
        s->refusals--;
        s->refused_name[i] = s->refused_name[s->refusals];
        s->refused[i] = s->refused[s->refusals];
        s->unnamed[i] = s->unnamed[s->refusals];
        return;
    }
}

/* Wired transports cannot do without; it comes last in the order. */
static int open_control(struct sinew *s, const struct transport_ops *const *all)
{
    s->control = control_among(s);
    if (s->control >= 0 || !any_wired(s)) return 0;
    for (int i = 0; all[i]; i++) {
        if (!all[i]->control) continue;
        forget_refusal(s, all[i]->name);
        int rc = open_transport(s, all[i], NULL);
        if (rc) return refuse_named(s, rc, all[i]->name);
        s->control = s->transports - 1;
        s->control_only = true;
        return 0;
    }
    return context_fail(s, SINEW_ENOTSUP, "%s needs a control link, and no transport can carry it",
                        s->transport[0]->ops->name);
}

int transports_open(struct sinew *s, const struct transport_ops *const *all)
{
    s->control = -1;
    if (s->size == 1) return 0;
    int rc = all ? open_all(s, all) : open_built_in(s);
    if (rc) return rc;
    order(s);
    rc = open_control(s, all ? all : after_modules);
    if (rc) return rc;
    return s->transports ? 0 : refuse_open(s, SINEW_ENOTSUP);
}

void transports_close(struct sinew *s)
{
    for (int i = 0; i < s->transports; i++) {
        struct transport *t = s->transport[i];
        void *module = s->module[i];
        struct why why;
        /* A close has to end: after the deadline it goes on without, at the risk of signals and
         * environment. */
        bool locked = module && lock_modules(s, t, &why) == 0;
        t->ops->close(t);
        context_release(s, t, t->ops->transport_size);
        module_close(module);
        if (locked) unlock_modules();
    }
    s->transports = 0;
}
