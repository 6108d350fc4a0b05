/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H
/*
 * config.h - the one table behind options, SINEW_* variables, `sinewrun --set` and `sinew-info
 * --config`
 *
 * Precedence, weakest first: default, a field of sinew_options, sinew_options.settings, the
 * environment (SINEW_ and the name in capitals) unless options.environment is SINEW_IGNORE. The
 * environment cannot loosen security: a weaker SINEW_SECURITY than what the program chose, or left
 * at the default, is an error.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/text.h"
#include "sinew/sinew.h"

enum config_kind {
    CONFIG_TIME,   /* nanoseconds; written 1.5s, 20ms, 3us, 5ns; "never" where allowed            */
    CONFIG_SIZE,   /* bytes; written 8, 8K, 1M (powers of 1024)                                   */
    CONFIG_NUMBER, /* an integer                                                                  */
    CONFIG_CHOICE, /* one of the words in config.c; the value is least + the word's position      */
    CONFIG_TEXT,   /* up to CONFIG_TEXT_MAX - 1 bytes                                             */
};

enum { CONFIG_TEXT_MAX = 128 };

#define CONFIG_SECOND 1000000000LL
#define CONFIG_HOUR (3600 * CONFIG_SECOND)

/*
 * N(name, kind, default, least, most, text)     numbers of every kind; CHOICE: of first, last word
 * T(name, default, text)                        texts
 * The words of a CHOICE are in config.c, beside the parser.
 */
#define CONFIG_TABLE(N, T)                                                                         \
    T(transports, "",                                                                              \
      "data transports allowed, comma separated, best first; all must work; empty: all that do")   \
    N(threads, CONFIG_CHOICE, 0, 0, 1, "single; multiple is not built yet: threads in one context") \
    N(security, CONFIG_CHOICE, 2, 1, 3, "none | authenticate | encrypt: links between processes")  \
    N(setup_deadline, CONFIG_TIME, 30 * CONFIG_SECOND, CONFIG_SECOND / 10, CONFIG_HOUR,            \
      "to find and connect peers")                                                                 \
    N(repair_deadline, CONFIG_TIME, 15 * CONFIG_SECOND, CONFIG_SECOND / 2, CONFIG_HOUR,            \
      "silence of a peer's kernel until SINEW_EPEER; also the bound of sinew_close")               \
    N(deadline, CONFIG_TIME, INT64_MAX, 1000, INT64_MAX, "of every operation; never: none")        \
    N(stall_report, CONFIG_TIME, 10 * CONFIG_SECOND, 1000000, INT64_MAX,                           \
      "a wait this long is reported; never: silent")                                               \
    N(eager_bytes, CONFIG_SIZE, 16384, 0, 16384, "longer messages ask the receiver first")         \
    N(unexpected_bytes, CONFIG_SIZE, 65536, 32768, 8388608,                                        \
      "per peer met, for messages nobody has asked for")                                           \
    N(unexpected_requests, CONFIG_NUMBER, 16, 1, 256,                                              \
      "per peer met, long messages announced")                                                     \
    N(shm_read_bytes, CONFIG_NUMBER, -1, -1, INT64_MAX,                                            \
      "a message this long is read out of a local peer's memory; -1: from ranks and cores")        \
    N(poll_spins, CONFIG_NUMBER, -1, -1, 1000000000,                                               \
      "empty polls before a waiter yields; -1: from ranks and cores")                              \
    N(poll_yields, CONFIG_NUMBER, -1, -1, 1000000000,                                              \
      "yields before a waiter sleeps; -1: from ranks and cores")                                   \
    N(log_level, CONFIG_NUMBER, 2, 0, 4, "0 nothing, 1 errors, 2 warnings, 3 choices, 4 detail")   \
    N(checksum, CONFIG_CHOICE, 0, 0, 1, "off | on: CRC32C over every frame on TCP, if one end wants") \
    T(tcp_interface, "", "interfaces (ib*), addresses, subnets (10.1.0.0/16) that TCP uses; ^ leaves out") \
    T(tcp_ports, "", "TCP listens on a port of these: 20000-20100; empty: any that is free")        \
    T(tcp_advertise, "", "address[:port] under which others reach this host, behind NAT")           \
    T(verbs_device, "", "RDMA device, or device:port, as in mlx5_0:1; empty: the best that works") \
    N(verbs_wireup, CONFIG_CHOICE, 0, 0, 1,                                                        \
      "tell | rdma_cm: what connects queue pairs, the control link or librdmacm")                  \
    N(verbs_gid_index, CONFIG_NUMBER, -1, -1, 255, "row of the port's GID table; -1: by the route") \
    N(verbs_pkey, CONFIG_NUMBER, -1, -1, 65535, "partition key of RDMA; -1: the port's first")     \
    N(verbs_service_level, CONFIG_NUMBER, 0, 0, 15, "InfiniBand service level, RoCE priority")     \
    N(verbs_traffic_class, CONFIG_NUMBER, 0, 0, 255, "DSCP and ECN bits of RoCE packets")          \
    N(verbs_mtu, CONFIG_NUMBER, 4096, 256, 4096, "longest RDMA packet: 256, 512, 1024, 2048, 4096") \
    N(verbs_inline, CONFIG_NUMBER, -1, -1, 4096, "bytes put into a work request; -1: by the device") \
    N(verbs_srq, CONFIG_NUMBER, -1, -1, 1, "receive buffers shared by all peers; -1: above 16 ranks") \
    N(verbs_credits, CONFIG_NUMBER, 32, 1, 1024, "messages on their way that a peer may be sent")  \
    N(verbs_memory, CONFIG_SIZE, 268435456, 4194304, 1099511627776,                                \
      "most memory registered for messages over RDMA")                                             \
    N(verbs_kept, CONFIG_SIZE, 1073741824, 0, 1099511627776,                                       \
      "most memory of sinew_memory_alloc that stays registered over RDMA once used")               \
    T(ofi_provider, "", "libfabric's provider, as in verbs;ofi_rxm; empty: the best that can")     \
    T(collective_rules, "",                                                                        \
      "JSON file that says which algorithm a collective uses when; see docs/collectives.md")       \
    T(module_dir, "",                                                                              \
      "the one directory to look in for libsinew-verbs.so and others; empty: beside the library")

struct config {
#define CONFIG_N(name, kind, initial, least, most, text) int64_t name;
#define CONFIG_T(name, initial, text) char name[CONFIG_TEXT_MAX];
    CONFIG_TABLE(CONFIG_N, CONFIG_T)
#undef CONFIG_N
#undef CONFIG_T
};

enum config_source {
    CONFIG_BY_DEFAULT,
    CONFIG_BY_OPTION,
    CONFIG_BY_SETTINGS,
    CONFIG_BY_ENVIRONMENT
};

/* One row, for printing. */
struct config_row {
    const char *name, *text;
    enum config_kind kind;
    char value[CONFIG_TEXT_MAX], initial[CONFIG_TEXT_MAX], range[CONFIG_TEXT_MAX];
    enum config_source source;
};

/* Where each value came from, in the table's order. */
enum { CONFIG_ROWS_MAX = 64 };
struct config_sources {
    uint8_t of[CONFIG_ROWS_MAX];
};

/* Resolve. options NULL: defaults. environment: like environ, NULL-terminated; NULL: not looked at.
 * An unknown SINEW_* variable is a warning on log with the nearest known name; a bad value is
 * SINEW_EINVAL, a value not built SINEW_ENOTSUP, and why names it and its range. sources may be
 * NULL. */
int config_load(struct config *config, const struct sinew_options *options,
                char *const *environment, const struct log *log, struct config_sources *sources,
                struct why *why);

/* A caller's options, of an older or newer version (its `size`) or NULL, as this version's: fields
 * it does not have are 0. SINEW_EINVAL if it sets fields that this version does not know. Every
 * reader of options but config_load, which does it itself, goes through this. */
int config_options(const struct sinew_options *from, struct sinew_options *options,
                   struct why *why);

/* Set one value by name from text. SINEW_ENOENT (and the nearest name), SINEW_EINVAL,
 * SINEW_ENOTSUP. */
int config_set(struct config *config, const char *name, const char *value, struct why *why);

/* Row i of the table with its value in `config`, or false after the last. sources may be NULL. */
bool config_row(const struct config *config, const struct config_sources *sources, int i,
                struct config_row *row);

#endif
