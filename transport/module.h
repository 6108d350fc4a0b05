/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_MODULE_H
#define TRANSPORT_MODULE_H
/*
 * module.h - transports that are files of their own: libsinew-verbs.so, -ucx.so, -ofi.so
 *
 * A module imports nothing from the core (what it uses of base/ is compiled in, hidden), exports
 * sinew_module() and nothing else, and is opened RTLD_LOCAL. It shares structures with the core, so
 * both must be of one build of the headers: the table says with what it was built, and is refused
 * when anything differs.
 *
 * It is looked for beside the library (or the program, where Sinew is linked into it; and in lib/
 * beside the program's directory), or in the directory `module_dir` alone if that is set, where
 * nothing is loaded that everybody may write.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "transport/transport.h"

enum { MODULE_ABI = 1 }; /* grows whenever transport.h changes in a way that no size shows */

struct module_table {
    uint32_t abi, size; /* these two stay first for ever; size: of this structure */
    uint32_t ops_size, up_size, transport_size, link_size, config_size;
    const struct transport_ops *ops;
};

/* A module defines its table with it: static const struct module_table table =
 * MODULE_TABLE(&transport_verbs); */
#define MODULE_TABLE(operations)                                                                 \
    {                                                                                            \
        .abi = MODULE_ABI, .size = sizeof(struct module_table),                                  \
        .ops_size = sizeof(struct transport_ops), .up_size = sizeof(struct transport_up),        \
        .transport_size = sizeof(struct transport), .link_size = sizeof(struct link),            \
        .config_size = sizeof(struct config), .ops = (operations),                               \
    }

/* The one symbol a module exports, with default visibility. */
#define MODULE_SYMBOL "sinew_module"
const struct module_table *sinew_module(void);

/* ---- the core's side ------------------------------------------------------------------------- */

/* A transport that may come as a module. */
struct module_known {
    const char *name, *file;
    /* Cheap, without opening it: whether this host has anything it could use. false: the reason in
     * why. NULL: it is opened when asked for by name only. */
    bool (*useful)(struct why *why);
};

/* Best first; ends with name NULL. */
extern const struct module_known modules_known[];

/* `dir` "": beside the library. 0, and *ops is usable until module_close(*handle); or SINEW_ENOENT
 * (no such file), SINEW_EVERSION (another build), SINEW_ENOTSUP (it does not load), SINEW_EACCESS
 * (everybody may write it), and why says what was tried. */
int module_open(const struct module_known *known, const char *dir, void **handle,
                const struct transport_ops **ops, struct why *why);
/* Every transport of it is closed. */
void module_close(void *handle);

#endif
