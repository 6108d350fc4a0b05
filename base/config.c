/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.c - the table, and who may change it in which order
 *
 * Every value, wherever it comes from, goes through assign_number() or assign_text(): there its
 * range is checked, and whether it is built.
 */
#include "base/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/place.h"
#include "base/value.h"

enum row_id {
#define ROW_N(name, kind, initial, least, most, text) ROW_##name,
#define ROW_T(name, initial, text) ROW_##name,
    CONFIG_TABLE(ROW_N, ROW_T)
#undef ROW_N
#undef ROW_T
        ROWS
};

_Static_assert((int)ROWS <= (int)CONFIG_ROWS_MAX, "config_sources has room for every row");

enum { WORDS_MAX = 4, NAME_MAX_LEN = 64, OPTIONS_MAX = 4096 };

static const char *const choice_words[ROWS][WORDS_MAX] = {
    [ROW_threads] = { "single", "multiple" },
    [ROW_security] = { "none", "authenticate", "encrypt" },
    [ROW_checksum] = { "off", "on" },
    [ROW_verbs_wireup] = { "tell", "rdma_cm" },
};

struct entry {
    const char *name, *text;
    enum config_kind kind;
    size_t offset;
    int64_t initial, least, most;
    const char *initial_text;
    const char *const *words; /* of a choice; words[0] is `least` */
};

static const struct entry table[ROWS] = {
#define ENTRY_N(name, kind, initial, least, most, text)          \
    { #name, text, kind, offsetof(struct config, name), initial, \
      least, most, "",   choice_words[ROW_##name] },
#define ENTRY_T(name, initial, text) \
    { #name, text, CONFIG_TEXT, offsetof(struct config, name), 0, 0, 0, initial, NULL },
    CONFIG_TABLE(ENTRY_N, ENTRY_T)
#undef ENTRY_N
#undef ENTRY_T
};

/* Read by launch/, not here. */
static const char *const launch_variables[] = { "launch_fd", "rendezvous", "rank", "size",
                                                "secret_file" };
enum { LAUNCH_VARIABLES = sizeof(launch_variables) / sizeof(launch_variables[0]) };

/* --- values as text -------------------------------------------------------------------------- */

static int64_t *number_at(struct config *config, const struct entry *e)
{
    return (int64_t *)((char *)config + e->offset);
}

static const char *print_value(const struct entry *e, int64_t value, char out[CONFIG_TEXT_MAX])
{
    switch (e->kind) {
    case CONFIG_TIME:
        return value_print_time(value, out);
    case CONFIG_SIZE:
        return value_print_size(value, out);
    case CONFIG_CHOICE:
        return strcpy(out, e->words[value - e->least]);
    default:
        snprintf(out, CONFIG_TEXT_MAX, "%" PRId64, value);
        return out;
    }
}

static const char *print_range(const struct entry *e, char out[CONFIG_TEXT_MAX])
{
    char least[CONFIG_TEXT_MAX], most[CONFIG_TEXT_MAX];
    struct text t = text_into(out, CONFIG_TEXT_MAX);
    if (e->kind == CONFIG_TEXT)
        text_add(&t, "up to %d bytes", CONFIG_TEXT_MAX - 1);
    else if (e->kind == CONFIG_CHOICE)
        for (int64_t i = e->least; i <= e->most; i++)
            text_add(&t, "%s%s", i > e->least ? "|" : "", e->words[i - e->least]);
    else
        text_add(&t, "%.40s to %.40s", print_value(e, e->least, least),
                 print_value(e, e->most, most));
    return out;
}

static bool parse_choice(const struct entry *e, const char *text, int64_t *value)
{
    for (int64_t i = e->least; i <= e->most; i++) {
        if (strcmp(e->words[i - e->least], text) == 0) {
            *value = i;
            return true;
        }
    }
    return false;
}

static bool parse_value(const struct entry *e, const char *text, int64_t *value)
{
    switch (e->kind) {
    case CONFIG_TIME:
        return value_parse_time(text, value);
    case CONFIG_SIZE:
        return value_parse_size(text, value);
    case CONFIG_CHOICE:
        return parse_choice(e, text, value);
    default:
        return value_parse_number(text, value);
    }
}

/* --- assignment ------------------------------------------------------------------------------ */

/* What is known but not there yet is an answer of its own. */
static int check_built(const struct entry *e, int64_t value, struct why *why)
{
    bool missing = e == &table[ROW_threads] && value == SINEW_THREADS_MULTIPLE;
    if (!missing) return 0;
    return why_set(why, SINEW_ENOTSUP, "%s=%s is not built in this version", e->name,
                   e->words[value - e->least]);
}

static int assign_number(struct config *config, const struct entry *e, int64_t value,
                         struct why *why)
{
    char range[CONFIG_TEXT_MAX];
    if (value < e->least || value > e->most)
        return why_set(why, SINEW_EINVAL, "%s=%" PRId64 "%s is out of range: %s", e->name, value,
                       e->kind == CONFIG_TIME ? "ns" : "", print_range(e, range));
    int rc = check_built(e, value, why);
    if (rc < 0) return rc;
    *number_at(config, e) = value;
    return 0;
}

static bool name_among(const char *name, size_t len, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) return true;
    return false;
}

/* Whether the entry from `begin` to `at` stands in the list before it. */
static bool already_listed(const char *list, const char *begin, size_t len)
{
    for (const char *at = list; at < begin; at += strcspn(at, ",") + 1)
        if (strcspn(at, ",") == len && memcmp(at, begin, len) == 0) return true;
    return false;
}

static int check_transports(const char *list, struct why *why)
{
    static const char *const known[] = { "shm", "tcp", "verbs", "ucx", "ofi", "sim", "sim_wired" };
    enum { KNOWN = sizeof(known) / sizeof(known[0]) };
    if (!*list) return 0;
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ",");
        int shown = len > NAME_MAX_LEN ? NAME_MAX_LEN : (int)len;
        if (!name_among(at, len, known, KNOWN))
            return why_set(
                why, SINEW_EINVAL,
                "transports: unknown transport '%.*s': a comma separated list of shm, tcp, "
                "verbs, ucx, ofi, sim, without spaces",
                shown, at);
        if (already_listed(list, at, len))
            return why_set(why, SINEW_EINVAL, "transports: '%.*s' is listed twice", shown, at);
        at += len;
        if (!*at) return 0;
    }
}

static int check_text(const struct entry *e, const char *value, struct why *why)
{
    union place at;
    unsigned first, last;
    if (e == &table[ROW_transports]) return check_transports(value, why);
    if (e == &table[ROW_tcp_interface]) return place_check_interfaces(e->name, value, why);
    if (e == &table[ROW_tcp_ports]) return place_parse_ports(e->name, value, &first, &last, why);
    if (e == &table[ROW_tcp_advertise]) return place_parse(e->name, value, &at, why);
    /* A relative one would depend on where a program is started, and load what lies there. */
    if (e == &table[ROW_module_dir] && value[0] && value[0] != '/')
        return why_set(why, SINEW_EINVAL, "module_dir='%s' must be an absolute path", value);
    return 0;
}

static int assign_text(struct config *config, const struct entry *e, const char *value,
                       struct why *why)
{
    size_t len = strnlen(value, CONFIG_TEXT_MAX);
    if (len == CONFIG_TEXT_MAX)
        return why_set(why, SINEW_EINVAL, "%s is longer than %d bytes", e->name,
                       CONFIG_TEXT_MAX - 1);
    int rc = check_text(e, value, why);
    if (rc < 0) return rc;
    char *at = (char *)config + e->offset;
    memset(at, 0, CONFIG_TEXT_MAX);
    memcpy(at, value, len);
    return 0;
}

static int assign(struct config *config, const struct entry *e, const char *value, struct why *why)
{
    char range[CONFIG_TEXT_MAX];
    int64_t number;
    if (e->kind == CONFIG_TEXT) return assign_text(config, e, value, why);
    if (!parse_value(e, value, &number))
        return why_set(why, SINEW_EINVAL, "%s='%.64s' cannot be read: %s%s", e->name, value,
                       print_range(e, range),
                       e->kind == CONFIG_TIME ? ", with its unit: s, ms, us or ns" : "");
    int rc = assign_number(config, e, number, why);
    if (rc == SINEW_EINVAL) /* with the value as it was written */
        why_set(why, rc, "%s='%.64s' is out of range: %s", e->name, value, print_range(e, range));
    return rc;
}

/* --- names ----------------------------------------------------------------------------------- */

static const struct entry *find(const char *name, size_t len)
{
    for (int i = 0; i < ROWS; i++)
        if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0) return &table[i];
    return NULL;
}

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

/* Insertions, deletions and replacements between two names of at most NAME_MAX_LEN bytes. */
static int distance(const char *a, const char *b)
{
    int row[NAME_MAX_LEN + 1];
    int len = (int)strlen(b);
    for (int j = 0; j <= len; j++) row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= len; j++) {
            int replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least_of(replaced, 1 + least_of(row[j], row[j - 1]));
        }
    }
    return row[len];
}

/* Of the first `among` known names the one that is most like the first len bytes of `name`, and so
 * much that it may have been meant: a third of it may differ. NULL: none is. */
static const char *nearest(const char *name, size_t len, int among)
{
    char word[NAME_MAX_LEN + 1] = { 0 };
    const char *best = NULL;
    if (len > NAME_MAX_LEN) len = NAME_MAX_LEN;
    int best_distance = (int)len / 3 + 1;
    memcpy(word, name, len);
    for (int i = 0; i < among; i++) {
        const char *known = i < ROWS ? table[i].name : launch_variables[i - ROWS];
        int d = distance(known, word);
        if (d >= best_distance) continue;
        best = known;
        best_distance = d;
    }
    return best;
}

static void capitals(char *to, const char *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = from[i] >= 'a' && from[i] <= 'z' ? (char)(from[i] - 'a' + 'A') : from[i];
    to[len] = '\0';
}

int config_set(struct config *config, const char *name, const char *value, struct why *why)
{
    const struct entry *e = find(name, strlen(name));
    if (!e) {
        const char *near = nearest(name, strlen(name), ROWS);
        return why_set(why, SINEW_ENOENT,
                       "there is no setting '%.64s'%s%s%s (sinew-info --config lists them)", name,
                       near ? "; the nearest is '" : "", near ? near : "", near ? "'" : "");
    }
    return assign(config, e, value, why);
}

/* --- sources --------------------------------------------------------------------------------- */

static void set_defaults(struct config *config, struct config_sources *sources)
{
    memset(config, 0, sizeof(*config));
    memset(sources, 0, sizeof(*sources));
    for (int i = 0; i < ROWS; i++) {
        if (table[i].kind == CONFIG_TEXT)
            strcpy((char *)config + table[i].offset, table[i].initial_text);
        else
            *number_at(config, &table[i]) = table[i].initial;
    }
}

int config_options(const struct sinew_options *from, struct sinew_options *options, struct why *why)
{
    struct sinew_options mine = SINEW_OPTIONS_INIT;
    if (from) {
        size_t size = from->size;
        if (size < sizeof(size) || size > OPTIONS_MAX || size % _Alignof(struct sinew_options))
            return why_set(why, SINEW_EINVAL,
                           "sinew_options.size is %zu: start from SINEW_OPTIONS_INIT", size);
        for (size_t i = sizeof(mine); i < size; i++)
            if (((const unsigned char *)from)[i])
                return why_set(
                    why, SINEW_EINVAL,
                    "sinew_options sets a field at byte %zu that version %s does not have: "
                    "the program was built for a newer Sinew",
                    i, SINEW_VERSION);
        memcpy(&mine, from, size < sizeof(mine) ? size : sizeof(mine));
        mine.size = sizeof(mine);
    }
    if (mine.environment < SINEW_HONOUR || mine.environment > SINEW_IGNORE)
        return why_set(why, SINEW_EINVAL,
                       "sinew_options.environment is %d: SINEW_HONOUR (0) or "
                       "SINEW_IGNORE (1)",
                       mine.environment);
    if (mine.reserved)
        return why_set(why, SINEW_EINVAL, "sinew_options.reserved is %d: it must be 0",
                       mine.reserved);
    *options = mine;
    return 0;
}

/* What one resolution works on. */
struct load {
    struct config *config;
    struct config_sources *sources;
    struct why *why;
    const struct log *log;
};

static void note(struct load *load, const struct entry *e, enum config_source source)
{
    load->sources->of[e - table] = (uint8_t)source;
}

static int option_number(struct load *load, enum row_id row, int64_t value)
{
    if (value == 0) return 0;
    int rc = assign_number(load->config, &table[row], value, load->why);
    if (rc < 0) return why_wrap(load->why, rc, "sinew_options");
    note(load, &table[row], CONFIG_BY_OPTION);
    return 0;
}

static int64_t signed_size(size_t size)
{
    return size > INT64_MAX ? INT64_MAX : (int64_t)size;
}

static int load_options(struct load *load, const struct sinew_options *o)
{
    const struct {
        enum row_id row;
        int64_t value;
    } numbers[] = {
        { ROW_threads, o->threads },
        { ROW_security, o->security },
        { ROW_setup_deadline, o->setup_deadline },
        { ROW_repair_deadline, o->repair_deadline },
        { ROW_deadline, o->deadline },
        { ROW_stall_report, o->stall_report == SINEW_NEVER ? INT64_MAX : o->stall_report },
        { ROW_eager_bytes, signed_size(o->eager_bytes) },
        { ROW_unexpected_bytes, signed_size(o->unexpected_bytes) },
        { ROW_unexpected_requests, o->unexpected_requests },
        { ROW_log_level, o->log_level },
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(numbers) / sizeof(numbers[0]); i++)
        rc = option_number(load, numbers[i].row, numbers[i].value);
    if (rc < 0 || !o->transports) return rc;
    rc = assign_text(load->config, &table[ROW_transports], o->transports, load->why);
    if (rc < 0) return why_wrap(load->why, rc, "sinew_options");
    note(load, &table[ROW_transports], CONFIG_BY_OPTION);
    return 0;
}

/* The length of "name=value" at `at`: to the comma in front of the next '=', or to the end; so a
 * value may be a list: "transports=shm,tcp,log_level=3". */
static size_t setting_len(const char *at)
{
    const char *first = strchr(at, '=');
    const char *next = first ? strchr(first + 1, '=') : NULL;
    if (!next) return strlen(at);
    while (next > first && *next != ',') next--;
    return next > first ? (size_t)(next - at) : strlen(at);
}

static int load_setting(struct load *load, const char *at, size_t len)
{
    char setting[NAME_MAX_LEN + 1 + CONFIG_TEXT_MAX];
    if (len >= sizeof(setting)) return why_set(load->why, SINEW_EINVAL, "'%.64s…' is too long", at);
    memcpy(setting, at, len);
    setting[len] = '\0';
    char *value = strchr(setting, '=');
    if (!value) return why_set(load->why, SINEW_EINVAL, "'%s' is not name=value", setting);
    *value++ = '\0';
    int rc = config_set(load->config, setting, value, load->why);
    if (rc == 0) note(load, find(setting, strlen(setting)), CONFIG_BY_SETTINGS);
    return rc == SINEW_ENOENT ? SINEW_EINVAL
                              : rc; /* of an open, an unknown name is a bad argument */
}

static int load_settings(struct load *load, const char *settings)
{
    for (const char *at = settings; at && *at;) {
        size_t len = setting_len(at);
        int rc = load_setting(load, at, len);
        if (rc < 0) return why_wrap(load->why, rc, "sinew_options.settings");
        at += len;
        if (*at == ',') at++;
    }
    return 0;
}

static void warn_unknown(struct load *load, const char *name, size_t len)
{
    char known[NAME_MAX_LEN + 1];
    char lower[NAME_MAX_LEN + 1] = { 0 };
    if (!log_wants(load->log, LOG_WARNING)) return;
    for (size_t i = 0; i < len && i < NAME_MAX_LEN; i++)
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    const char *near = nearest(lower, strlen(lower), ROWS + LAUNCH_VARIABLES);
    if (near) capitals(known, near, strlen(near));
    log_line(load->log, LOG_WARNING, "the variable SINEW_%.*s is unknown and ignored; %s%s%s",
             (int)(len < NAME_MAX_LEN ? len : NAME_MAX_LEN), name,
             near ? "did you mean SINEW_" : "sinew-info --config lists those there are",
             near ? known : "", near ? "?" : "");
}

static bool matches_capitals(const char *name, size_t len, const char *known)
{
    char upper[NAME_MAX_LEN + 1];
    size_t known_len = strlen(known);
    if (known_len != len || len > NAME_MAX_LEN) return false;
    capitals(upper, known, known_len);
    return memcmp(upper, name, len) == 0;
}

/* One "SINEW_NAME=value", without the prefix. The first of a name counts, as with getenv. */
static int load_variable(struct load *load, const char *name)
{
    size_t len = strcspn(name, "=");
    if (!name[len]) return 0;
    for (int i = 0; i < LAUNCH_VARIABLES; i++)
        if (matches_capitals(name, len, launch_variables[i])) return 0;
    for (int i = 0; i < ROWS; i++) {
        if (!matches_capitals(name, len, table[i].name)) continue;
        if (load->sources->of[i] == CONFIG_BY_ENVIRONMENT) return 0;
        int rc = assign(load->config, &table[i], name + len + 1, load->why);
        if (rc < 0) return why_wrap(load->why, rc, "the variable SINEW_%.*s", (int)len, name);
        note(load, &table[i], CONFIG_BY_ENVIRONMENT);
        return 0;
    }
    warn_unknown(load, name, len);
    return 0;
}

static int load_environment(struct load *load, char *const *environment)
{
    int64_t least = load->config->security;
    for (; *environment; environment++) {
        if (strncmp(*environment, "SINEW_", 6) != 0) continue;
        int rc = load_variable(load, *environment + 6);
        if (rc < 0) return rc;
    }
    if (load->config->security >= least) return 0;
    return why_set(
        load->why, SINEW_EINVAL,
        "the variable SINEW_SECURITY asks for less than security=%s: the environment cannot "
        "loosen it, only the program can (sinew_options.security or settings)",
        choice_words[ROW_security][least - table[ROW_security].least]);
}

int config_load(struct config *config, const struct sinew_options *options,
                char *const *environment, const struct log *log, struct config_sources *sources,
                struct why *why)
{
    struct config made;
    struct config_sources from;
    struct sinew_options o;
    struct load load = { &made, &from, why, log };
    set_defaults(&made, &from);
    int rc = config_options(options, &o, why);
    if (rc == 0) rc = load_options(&load, &o);
    if (rc == 0) rc = load_settings(&load, o.settings);
    if (rc == 0 && environment && o.environment == SINEW_HONOUR)
        rc = load_environment(&load, environment);
    if (rc < 0) return rc;
    *config = made;
    if (sources) *sources = from;
    return 0;
}

bool config_row(const struct config *config, const struct config_sources *sources, int i,
                struct config_row *row)
{
    if (i < 0 || i >= ROWS) return false;
    const struct entry *e = &table[i];
    memset(row, 0, sizeof(*row));
    row->name = e->name;
    row->text = e->text;
    row->kind = e->kind;
    row->source = sources ? (enum config_source)sources->of[i] : CONFIG_BY_DEFAULT;
    print_range(e, row->range);
    if (e->kind == CONFIG_TEXT) {
        memcpy(row->value, (const char *)config + e->offset, CONFIG_TEXT_MAX);
        strcpy(row->initial, e->initial_text);
    } else {
        print_value(e, *(const int64_t *)((const char *)config + e->offset), row->value);
        print_value(e, e->initial, row->initial);
    }
    return true;
}
