/* SPDX-License-Identifier: BSD-3-Clause */
#include "collectives/check.h"

#include <stdint.h>

#include "collectives/cache.h"
#include "collectives/execute.h"
#include "collectives/operators.h"
#include "collectives/records.h"
#include "collectives/reduce.h"

int check_entry(struct sinew_team *team, const char *name, struct sinew_request **req,
                struct caller *who)
{
    if (!team) return SINEW_EINVAL;
    *who = (struct caller){ team, name, (size_t)sinew_size(team) };
    return team_enter(team, req == NULL);
}

int check_root(const struct caller *who, int root)
{
    int size = (int)who->size;
    if (root >= 0 && root < size) return 0;
    return team_refuse(who->team, SINEW_EINVAL, "%s: root is %d, it must be a rank from 0 to %d",
                       who->name, root, size - 1);
}

int check_bytes(const struct caller *who, const char *what, size_t count, size_t each, size_t times,
                size_t *bytes)
{
    size_t one;
    if (!__builtin_mul_overflow(count, each, &one) && !__builtin_mul_overflow(one, times, bytes) &&
        *bytes <= PTRDIFF_MAX)
        return 0;
    return team_refuse(who->team, SINEW_EINVAL,
                       "%s: %s is %zu, but %zu times %zu bytes of it must not exceed %td",
                       who->name, what, count, times, each, (ptrdiff_t)PTRDIFF_MAX);
}

int check_buffer(const struct caller *who, const char *what, const void *buffer, size_t bytes)
{
    if (buffer == SINEW_IN_PLACE)
        return team_refuse(who->team, SINEW_EINVAL, "%s: %s must not be SINEW_IN_PLACE here",
                           who->name, what);
    if (buffer || bytes == 0) return 0;
    return team_refuse(who->team, SINEW_EINVAL, "%s: %s is NULL, it must hold %zu bytes", who->name,
                       what, bytes);
}

/* Neither of them SINEW_IN_PLACE. */
static int check_apart(const struct caller *who, const void *in, size_t in_bytes, const void *out,
                       size_t out_bytes)
{
    uintptr_t i = (uintptr_t)in, o = (uintptr_t)out;
    if (in_bytes == 0 || out_bytes == 0 || i >= o + out_bytes || o >= i + in_bytes) return 0;
    return team_refuse(who->team, SINEW_EINVAL,
                       "%s: in (%zu bytes at %p) and out (%zu bytes at %p) overlap, they must not; "
                       "SINEW_IN_PLACE says that the input is where the output goes",
                       who->name, in_bytes, in, out_bytes, out);
}

int check_pair(const struct caller *who, const void *in, size_t in_bytes, const void *out,
               size_t out_bytes)
{
    int status = check_buffer(who, "out", out, out_bytes);
    if (status < 0 || in == SINEW_IN_PLACE) return status;
    status = check_buffer(who, "in", in, in_bytes);
    return status < 0 ? status : check_apart(who, in, in_bytes, out, out_bytes);
}

int check_scattered(const struct caller *who, int root, const void *in, size_t in_bytes,
                    const void *out, size_t out_bytes)
{
    if (sinew_rank(who->team) != root) return check_buffer(who, "out", out, out_bytes);
    int status = check_buffer(who, "in", in, in_bytes);
    if (status < 0 || out == SINEW_IN_PLACE) return status;
    status = check_buffer(who, "out", out, out_bytes);
    return status < 0 ? status : check_apart(who, in, in_bytes, out, out_bytes);
}

int check_arithmetic(const struct caller *who, int type, int op, struct user_operator **own)
{
    *own = operator_find(who->team, op);
    if (sinew_type_size(type) == 0)
        return team_refuse(who->team, SINEW_EINVAL,
                           "%s: type is %d, it must be from %d to %d, or SINEW_RECORD() of 1 to %d "
                           "bytes",
                           who->name, type, SINEW_I8, SINEW_I64_I32, SINEW_RECORD_MAX);
    if (*own || reduction_find(type, op).kernel) return 0;
    if (op < SINEW_SUM || op > SINEW_LXOR)
        return team_refuse(who->team, SINEW_EINVAL,
                           "%s: op is %d, it must be from %d to %d, or from sinew_operator()",
                           who->name, op, SINEW_SUM, SINEW_LXOR);
    char operator_name[32], type_name[32];
    struct text o = text_into(operator_name, sizeof(operator_name));
    struct text t = text_into(type_name, sizeof(type_name));
    operator_text(&o, op);
    type_text(&t, type);
    return team_refuse(who->team, SINEW_EINVAL,
                       "%s: the operator %s makes no sense of %s; see enum sinew_operator",
                       who->name, operator_name, type_name);
}

int check_counts(const struct caller *who, const char *what, const size_t *counts,
                 const size_t *offsets, size_t n, size_t each, size_t *end)
{
    size_t sum = 0, furthest = 0;
    if (!counts && n)
        return team_refuse(who->team, SINEW_EINVAL, "%s: %s is NULL, it must hold %zu numbers",
                           who->name, what, n);
    for (size_t i = 0; i < n; i++) {
        size_t first = offsets ? offsets[i] : sum, last, bytes;
        if (__builtin_add_overflow(first, counts[i], &last) ||
            __builtin_mul_overflow(last, each, &bytes) || bytes > PTRDIFF_MAX)
            return team_refuse(who->team, SINEW_EINVAL,
                               "%s: %s[%zu] is %zu from %zu on, it must end within %td bytes",
                               who->name, what, i, counts[i], first, (ptrdiff_t)PTRDIFF_MAX);
        sum = last;
        if (counts[i] && last > furthest) furthest = last;
    }
    *end = furthest;
    return 0;
}

/* What the algorithm must keep to for this call through this view. */
static unsigned caller_needs(const struct caller *who, const struct call *call)
{
    if (!call->op) return 0;
    unsigned need = call->own && !call->own->commutes ? KEEPS_ORDER : 0;
    if (team_level(who->team) == SINEW_LEVEL_PORTABLE) need |= KEEPS_ORDER | ALIGNED;
    return need;
}

static int caller_choose(const struct caller *who, struct call *call)
{
    const char *name = team_algorithm(who->team);
    char why[ALGORITHM_NAMES_MAX];
    unsigned need = caller_needs(who, call);
    if (!name) {
        struct situation at = { .bytes = call->bytes,
                                .has_arithmetic = call->op != 0,
                                .need = need };
        struct choice choice;
        int status = cache_choose(who->team, call->collective, &at, &choice);
        if (status < 0) return status;
        call->algorithm = choice.algorithm;
        call->parameter = choice.parameter;
        return 0;
    }
    int index = algorithm_parse(call->collective, name, &call->parameter);
    if (index < 0)
        return team_refuse(who->team, SINEW_EINVAL,
                           "%s: the view's algorithm is '%s', %s", who->name, name,
                           algorithm_refusal(call->collective, name, why));
    if ((algorithms[index].flags & need) != need)
        return team_refuse(who->team, SINEW_EINVAL,
                           "%s: the view's algorithm '%s' does not %s, which %s", who->name, name,
                           need & ALIGNED ? "bracket by the aligned tree" : "keep the ranks' order",
                           need & ALIGNED ? "the view's level portable needs"
                                          : "an operator that does not commute needs");
    call->algorithm = (uint32_t)index;
    if (call->parameter == 0) call->parameter = algorithms[index].initial;
    call->parameter = algorithm_tiles(&algorithms[index], call->parameter, call->bytes);
    return 0;
}

int caller_run(const struct caller *who, struct call *call, struct sinew_request **req)
{
    int status = caller_choose(who, call);
    call->comes_again = true;
    return status < 0 ? status : execution_run(who->team, call, req);
}
