/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/rules.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/library.h"
#include "base/text.h"
#include "sinew/sinew.h"

enum { FILE_MAX = 1 << 20 };

/* --- cJSON: declared here, so that building needs no headers of it ---------------------------- */

struct cJSON;
struct json {
    void *library;
    struct cJSON *(*parse)(const char *, size_t, const char **end, int);
    void (*delete)(struct cJSON *);
    struct cJSON *(*member)(const struct cJSON *, const char *);
    struct cJSON *(*item)(const struct cJSON *, int);
    int (*size)(const struct cJSON *);
    int (*is_number)(const struct cJSON *);
    int (*is_object)(const struct cJSON *);
    int (*is_array)(const struct cJSON *);
    int (*is_bool)(const struct cJSON *);
    int (*is_true)(const struct cJSON *);
    double (*number)(const struct cJSON *);
    char *(*string)(const struct cJSON *);
};

static const struct library_function functions[] = {
    { "cJSON_ParseWithLengthOpts", offsetof(struct json, parse) },
    { "cJSON_Delete", offsetof(struct json, delete) },
    { "cJSON_GetObjectItemCaseSensitive", offsetof(struct json, member) },
    { "cJSON_GetArrayItem", offsetof(struct json, item) },
    { "cJSON_GetArraySize", offsetof(struct json, size) },
    { "cJSON_IsNumber", offsetof(struct json, is_number) },
    { "cJSON_IsObject", offsetof(struct json, is_object) },
    { "cJSON_IsArray", offsetof(struct json, is_array) },
    { "cJSON_IsBool", offsetof(struct json, is_bool) },
    { "cJSON_IsTrue", offsetof(struct json, is_true) },
    { "cJSON_GetNumberValue", offsetof(struct json, number) },
    { "cJSON_GetStringValue", offsetof(struct json, string) },
};

static int json_open(struct json *j, struct why *why)
{
    j->library = dlopen("libcjson.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!j->library)
        return why_set(why, SINEW_ENOTSUP,
                       "collective_rules needs libcjson.so.1 (%s): install cJSON (Debian: "
                       "libcjson1), or leave the setting out",
                       dlerror());
    const char *missing = library_functions(j->library, functions,
                                            sizeof(functions) / sizeof(functions[0]), j);
    if (!missing) return 0;
    dlclose(j->library);
    return why_set(why, SINEW_ENOTSUP, "libcjson.so.1 has no %s: install cJSON 1.7.13 or later",
                   missing);
}

/* --- what is in it ---------------------------------------------------------------------------- */

struct reader {
    struct json json;
    const char *file;
    struct rules *rules;
    struct why *why;
};

static const struct {
    const char *name;
    size_t at;
} link_fields[] = {
    { "latency_ns", offsetof(struct link_model, latency_ns) },
    { "overhead_ns", offsetof(struct link_model, overhead_ns) },
    { "byte_ns", offsetof(struct link_model, byte_ns) },
    { "touch_ns", offsetof(struct link_model, touch_ns) },
    { "long_bytes", offsetof(struct link_model, long_bytes) },
    { "long_ns", offsetof(struct link_model, long_ns) },
    { "ask_ns", offsetof(struct link_model, ask_ns) },
    { "add_ns", offsetof(struct link_model, add_ns) },
    { "copy_ns", offsetof(struct link_model, copy_ns) },
    { "stage_ns", offsetof(struct link_model, stage_ns) },
    { "turn_ns", offsetof(struct link_model, turn_ns) },
    { "ports", offsetof(struct link_model, ports) },
};

static const char *const file_fields[] = { "links", "rules" };
static const char *const rule_fields[] = { "collective", "algorithm", "link",
                                           "ranks",      "bytes",     "crowded" };
enum { FILE_FIELDS = sizeof(file_fields) / sizeof(file_fields[0]),
       RULE_FIELDS = sizeof(rule_fields) / sizeof(rule_fields[0]),
       LINK_FIELDS = sizeof(link_fields) / sizeof(link_fields[0]) };

static const char *file_field(uint32_t i)
{
    return i < FILE_FIELDS ? file_fields[i] : NULL;
}

static const char *rule_field(uint32_t i)
{
    return i < RULE_FIELDS ? rule_fields[i] : NULL;
}

static const char *link_field(uint32_t i)
{
    return i < LINK_FIELDS ? link_fields[i].name : NULL;
}

static const char *link_name(uint32_t i)
{
    const struct link_model *m = link_model_at(i);
    return m ? m->name : NULL;
}

/* Who misspells a field, or has one twice, is not taken to have left it out. */
static int check_fields(struct reader *r, const struct cJSON *object, const char *where,
                        const char *(*field)(uint32_t))
{
    char words[192] = "";
    struct text t = text_into(words, sizeof(words));
    int known = 0;
    for (uint32_t i = 0; field(i); i++) {
        known += r->json.member(object, field(i)) != NULL;
        text_add(&t, "%s%s", i ? ", " : "", field(i));
    }
    if (known == r->json.size(object)) return 0;
    return why_set(r->why, SINEW_EINVAL, "%s: %s has a field that is none of: %s; or one twice",
                   r->file, where, words);
}

static int read_link(struct reader *r, const struct cJSON *links, const struct link_model *built_in)
{
    const struct json *j = &r->json;
    const struct cJSON *object = j->member(links, built_in->name);
    char where[16 + LINK_NAME_MAX];
    if (!object) return 0;
    struct link_model *m = &r->rules->link[r->rules->links++];
    *m = *built_in;
    if (!j->is_object(object))
        return why_set(r->why, SINEW_EINVAL, "%s: links.%s is no object", r->file, m->name);
    snprintf(where, sizeof(where), "links.%s", m->name);
    int status = check_fields(r, object, where, link_field);
    for (size_t i = 0; status == 0 && i < LINK_FIELDS; i++) {
        const struct cJSON *value = j->member(object, link_fields[i].name);
        if (!value) continue;
        double v = j->is_number(value) ? j->number(value) : -1;
        if (!(v >= 0 && v <= 1e12))
            return why_set(r->why, SINEW_EINVAL, "%s: links.%s.%s must be a number from 0 to 1e12",
                           r->file, m->name, link_fields[i].name);
        memcpy((char *)m + link_fields[i].at, &v, sizeof(v));
    }
    return status;
}

static int read_range(struct reader *r, const struct cJSON *rule, int number, const char *name,
                      uint64_t range[2])
{
    const struct json *j = &r->json;
    const struct cJSON *value = j->member(rule, name);
    bool sound = true;
    range[0] = 0;
    range[1] = UINT64_MAX;
    for (int i = 0; value && sound && i < 2; i++) {
        const struct cJSON *end = j->is_array(value) && j->size(value) == 2 ? j->item(value, i)
                                                                            : NULL;
        double v = end && j->is_number(end) ? j->number(end) : -1;
        sound = v >= 0 && v <= 1e18;
        if (sound) range[i] = (uint64_t)v;
    }
    if (sound && range[0] <= range[1]) return 0;
    return why_set(r->why, SINEW_EINVAL, "%s: rule %d: \"%s\" must be [from, to]", r->file, number,
                   name);
}

static int read_algorithm(struct reader *r, const struct cJSON *object, int number,
                          struct rule *rule)
{
    const struct json *j = &r->json;
    char why[ALGORITHM_NAMES_MAX];
    const char *collective = j->string(j->member(object, "collective"));
    const char *algorithm = j->string(j->member(object, "algorithm"));
    for (int c = 1; collective && c < COLLECTIVE_END; c++)
        if (!strcmp(collective, collective_name((enum collective)c)))
            rule->collective = (enum collective)c;
    if (!rule->collective)
        return why_set(r->why, SINEW_EINVAL, "%s: rule %d: \"collective\" is %s, it must be the "
                       "name of one, as \"allreduce\"", r->file, number,
                       collective ? collective : "missing");
    int index = algorithm ? algorithm_parse(rule->collective, algorithm, &rule->parameter) : -1;
    if (index < 0)
        return why_set(r->why, SINEW_EINVAL,
                       "%s: rule %d: \"algorithm\" is %s, %s", r->file, number,
                       algorithm ? algorithm : "missing",
                       algorithm_refusal(rule->collective, algorithm ? algorithm : "", why));
    rule->algorithm = (uint32_t)index;
    if (!rule->parameter) rule->parameter = algorithms[index].initial;
    return 0;
}

static int read_rule(struct reader *r, const struct cJSON *object, int number)
{
    const struct json *j = &r->json;
    struct rule *rule = &r->rules->rule[r->rules->count++];
    const struct cJSON *crowded = j->member(object, "crowded"), *of = j->member(object, "link");
    const char *link = j->string(of);
    char where[32];
    *rule = (struct rule){ .crowded = -1 };
    snprintf(where, sizeof(where), "rule %d", number);
    int status = check_fields(r, object, where, rule_field);
    if (status == 0) status = read_algorithm(r, object, number, rule);
    if (status == 0) status = read_range(r, object, number, "ranks", rule->ranks);
    if (status == 0) status = read_range(r, object, number, "bytes", rule->bytes);
    if (status < 0) return status;
    if (crowded && !j->is_bool(crowded))
        return why_set(r->why, SINEW_EINVAL, "%s: rule %d: \"crowded\" must be true or false",
                       r->file, number);
    if (crowded) rule->crowded = j->is_true(crowded) != 0;
    if (of && !link)
        return why_set(r->why, SINEW_EINVAL, "%s: rule %d: \"link\" must be a name", r->file, number);
    if (link && strlen(link) >= sizeof(rule->link))
        return why_set(r->why, SINEW_EINVAL, "%s: rule %d: no link is called \"%.40s\"", r->file,
                       number, link);
    if (link) strcpy(rule->link, link);
    return 0;
}

static int read_all(struct reader *r, const struct world *world, const struct cJSON *root)
{
    const struct json *j = &r->json;
    const struct cJSON *links = j->member(root, "links"), *list = j->member(root, "rules");
    int count = list ? j->size(list) : 0;
    if (!j->is_object(root) || (links && !j->is_object(links)) || (list && !j->is_array(list)))
        return why_set(r->why, SINEW_EINVAL,
                       "%s: an object is wanted, with an object \"links\", an array \"rules\", "
                       "or both", r->file);
    if (count > RULES_MAX)
        return why_set(r->why, SINEW_EINVAL, "%s: %d rules are more than %d", r->file, count,
                       RULES_MAX);
    int status = check_fields(r, root, "the file", file_field);
    if (status == 0 && links) status = check_fields(r, links, "links", link_name);
    if (status < 0) return status;
    size_t size = sizeof(*r->rules) + (size_t)count * sizeof(struct rule);
    r->rules = world_allocate(world, size);
    if (!r->rules) return why_set(r->why, SINEW_ENOMEM, "%s: no memory for its rules", r->file);
    r->rules->links = r->rules->count = 0;
    r->rules->size = size;
    const struct link_model *m;
    for (uint32_t i = 0; status == 0 && links && (m = link_model_at(i)); i++)
        status = read_link(r, links, m);
    for (int i = 0; status == 0 && i < count; i++) status = read_rule(r, j->item(list, i), i + 1);
    return status;
}

int rules_parse(const struct world *world, const char *file, const char *text, size_t len,
                struct rules **rules, struct why *why)
{
    struct reader r = { .file = file, .why = why };
    int status = json_open(&r.json, why);
    if (status < 0) return status;
    const char *end = text;
    struct cJSON *root = r.json.parse(text, len, &end, 0);
    while (root && end < text + len && (*end == ' ' || (*end >= '\t' && *end <= '\r'))) end++;
    if (root && end == text + len) {
        status = read_all(&r, world, root);
    } else {
        size_t line = 1;
        for (const char *c = text; c < end; c++) line += *c == '\n';
        status = why_set(why, SINEW_EINVAL, "%s, line %zu: this is no JSON", file, line);
    }
    r.json.delete(root);
    dlclose(r.json.library);
    if (status == 0)
        *rules = r.rules;
    else
        rules_free(world, r.rules);
    return status;
}

/* --- the file --------------------------------------------------------------------------------- */

static int file_read(const char *file, char *text, size_t cap, size_t *len, struct why *why)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC), failure = errno;
    ssize_t n = 0;
    *len = 0;
    while (fd >= 0 && *len < cap && (n = read(fd, text + *len, cap - *len)) > 0) *len += (size_t)n;
    if (fd >= 0) failure = n < 0 ? errno : 0, close(fd);
    if (failure)
        return why_set(why, failure == ENOENT ? SINEW_ENOENT : SINEW_EINVAL,
                       "collective_rules=%s cannot be read: %s", file, strerror(failure));
    if (*len == cap)
        return why_set(why, SINEW_EINVAL, "collective_rules=%s is longer than %d bytes", file,
                       FILE_MAX);
    return 0;
}

int rules_load(const struct world *world, const char *file, struct rules **rules, struct why *why)
{
    size_t len;
    char *text = world_allocate(world, FILE_MAX + 1);
    if (!text) return why_set(why, SINEW_ENOMEM, "collective_rules=%s: no memory to read it", file);
    int status = file_read(file, text, FILE_MAX + 1, &len, why);
    if (status == 0) status = rules_parse(world, file, text, len, rules, why);
    world_release(world, text, FILE_MAX + 1);
    return status;
}

void rules_free(const struct world *world, struct rules *rules)
{
    if (rules) world_release(world, rules, rules->size);
}

const struct link_model *rules_link(const struct rules *rules, const char *name)
{
    for (uint32_t i = 0; rules && i < rules->links; i++)
        if (!strcmp(rules->link[i].name, name)) return &rules->link[i];
    return link_model_find(name);
}
