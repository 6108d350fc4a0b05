/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api.c - the collectives of sinew.h: check the arguments, choose, run
 */
#include <stdbool.h>

#include "collectives/execute.h"
#include "collectives/reduce.h"
#include "messaging/operation.h"
#include "sinew/sinew.h"

/* What the checks are about; the texts name the call. */
struct caller {
    struct sinew_team *team;
    const char *name;
    size_t size;
};

static int check_entry(struct sinew_team *team, const char *name, struct sinew_request **req,
                       struct caller *who)
{
    if (!team) return SINEW_EINVAL;
    *who = (struct caller){ team, name, (size_t)sinew_size(team) };
    return team_enter(team, req == NULL);
}

static int check_root(const struct caller *who, int root)
{
    int size = (int)who->size;
    if (root >= 0 && root < size) return 0;
    return team_refuse(who->team, SINEW_EINVAL, "%s: root is %d, it must be a rank from 0 to %d",
                       who->name, root, size - 1);
}

/* `count` elements of `each` bytes, `times` over, must fit size_t: *bytes is their size. */
static int check_bytes(const struct caller *who, const char *what, size_t count, size_t each,
                       size_t times, size_t *bytes)
{
    size_t one;
    if (!__builtin_mul_overflow(count, each, &one) && !__builtin_mul_overflow(one, times, bytes) &&
        *bytes <= PTRDIFF_MAX)
        return 0;
    return team_refuse(who->team, SINEW_EINVAL,
                       "%s: %s is %zu, but %zu times %zu bytes of it must not exceed %td",
                       who->name, what, count, times, each, (ptrdiff_t)PTRDIFF_MAX);
}

static int check_buffer(const struct caller *who, const char *what, const void *buffer,
                        size_t bytes)
{
    if (buffer == SINEW_IN_PLACE)
        return team_refuse(who->team, SINEW_EINVAL, "%s: %s must not be SINEW_IN_PLACE here",
                           who->name, what);
    if (buffer || bytes == 0) return 0;
    return team_refuse(who->team, SINEW_EINVAL, "%s: %s is NULL, it must hold %zu bytes", who->name,
                       what, bytes);
}

/* Input and output of a rank that has both. */
static int check_pair(const struct caller *who, const void *in, size_t in_bytes, const void *out,
                      size_t out_bytes)
{
    int status = check_buffer(who, "out", out, out_bytes);
    if (status < 0 || in == SINEW_IN_PLACE) return status;
    status = check_buffer(who, "in", in, in_bytes);
    if (status < 0) return status;
    uintptr_t i = (uintptr_t)in, o = (uintptr_t)out;
    if (in_bytes == 0 || out_bytes == 0 || i >= o + out_bytes || o >= i + in_bytes) return 0;
    return team_refuse(who->team, SINEW_EINVAL,
                       "%s: in (%zu bytes at %p) and out (%zu bytes at %p) overlap, they must not; "
                       "SINEW_IN_PLACE as in says that the input is where the output goes",
                       who->name, in_bytes, in, out_bytes, out);
}

static int check_arithmetic(const struct caller *who, int type, int op)
{
    if (sinew_type_size(type) == 0)
        return team_refuse(who->team, SINEW_EINVAL, "%s: type is %d, it must be from %d to %d",
                           who->name, type, SINEW_I8, SINEW_I64_I32);
    if (op < SINEW_SUM || op > SINEW_LXOR)
        return team_refuse(who->team, SINEW_EINVAL, "%s: op is %d, it must be from %d to %d",
                           who->name, op, SINEW_SUM, SINEW_LXOR);
    if (reduction_find(type, op).run) return 0;
    return team_refuse(who->team, SINEW_ENOTSUP,
                       "%s: operator %d on type %d is not built; SINEW_SUM, PROD, MIN and MAX on "
                       "SINEW_I8 to SINEW_F64 are",
                       who->name, op, type);
}

/* Choose, then run. */
static int caller_run(const struct caller *who, struct call *call, struct sinew_request **req)
{
    const char *name = team_algorithm(who->team);
    char names[ALGORITHM_NAMES_MAX];
    if (name) {
        int index = algorithm_find(call->collective, name);
        if (index < 0)
            return team_refuse(who->team, SINEW_EINVAL,
                               "%s: the view's algorithm is '%s', it must be one of: %s", who->name,
                               name, algorithm_names(call->collective, names));
        call->algorithm = (uint32_t)index;
    } else {
        struct situation at = { .size = (uint32_t)who->size,
                                .bytes = (uint64_t)call->in_count * call->element_bytes,
                                .crowded = team_is_crowded(who->team) };
        call->algorithm = algorithm_choose(call->collective, &at);
    }
    return execution_run(who->team, call, req);
}

int sinew_barrier(struct sinew_team *team, struct sinew_request **req)
{
    struct caller who;
    int status = check_entry(team, "sinew_barrier", req, &who);
    if (status < 0) return status;
    struct call call = { .collective = COLLECTIVE_BARRIER, .element_bytes = 1 };
    return caller_run(&who, &call, req);
}

int sinew_bcast(struct sinew_team *team, void *buf, size_t len, int root,
                struct sinew_request **req)
{
    struct caller who;
    size_t bytes = 0;
    int status = check_entry(team, "sinew_bcast", req, &who);
    if (status == 0) status = check_root(&who, root);
    if (status == 0) status = check_bytes(&who, "len", len, 1, 1, &bytes);
    if (status == 0) status = check_buffer(&who, "buf", buf, len);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_BCAST,
        .root = root,
        .element_bytes = 1,
        .in_count = len,
        .out_count = len,
        .out = buf,
    };
    return caller_run(&who, &call, req);
}

int sinew_reduce(struct sinew_team *team, const void *in, void *out, size_t count, int type, int op,
                 int root, struct sinew_request **req)
{
    struct caller who;
    size_t bytes = 0;
    int status = check_entry(team, "sinew_reduce", req, &who);
    if (status == 0) status = check_root(&who, root);
    if (status == 0) status = check_arithmetic(&who, type, op);
    if (status == 0) status = check_bytes(&who, "count", count, sinew_type_size(type), 1, &bytes);
    if (status < 0) return status;
    bool at_root = sinew_rank(team) == root;
    status =
        at_root ? check_pair(&who, in, bytes, out, bytes) : check_buffer(&who, "in", in, bytes);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_REDUCE,
        .root = root,
        .type = type,
        .op = op,
        .element_bytes = sinew_type_size(type),
        .in_count = count,
        .out_count = count,
        .in = in,
        .out = at_root ? out : NULL,
    };
    return caller_run(&who, &call, req);
}

int sinew_allreduce(struct sinew_team *team, const void *in, void *out, size_t count, int type,
                    int op, struct sinew_request **req)
{
    struct caller who;
    size_t bytes = 0;
    int status = check_entry(team, "sinew_allreduce", req, &who);
    if (status == 0) status = check_arithmetic(&who, type, op);
    if (status == 0) status = check_bytes(&who, "count", count, sinew_type_size(type), 1, &bytes);
    if (status == 0) status = check_pair(&who, in, bytes, out, bytes);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_ALLREDUCE,
        .type = type,
        .op = op,
        .element_bytes = sinew_type_size(type),
        .in_count = count,
        .out_count = count,
        .in = in,
        .out = out,
    };
    return caller_run(&who, &call, req);
}

int sinew_gather(struct sinew_team *team, const void *in, size_t len, void *out, int root,
                 struct sinew_request **req)
{
    struct caller who;
    size_t bytes = 0;
    int status = check_entry(team, "sinew_gather", req, &who);
    if (status == 0) status = check_root(&who, root);
    if (status == 0) status = check_bytes(&who, "len", len, 1, who.size, &bytes);
    if (status < 0) return status;
    bool at_root = sinew_rank(team) == root;
    status = at_root ? check_pair(&who, in, len, out, bytes) : check_buffer(&who, "in", in, len);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_GATHER,
        .root = root,
        .element_bytes = 1,
        .in_count = len,
        .out_count = at_root ? bytes : 0,
        .in = in,
        .out = at_root ? out : NULL,
    };
    return caller_run(&who, &call, req);
}

int sinew_allgather(struct sinew_team *team, const void *in, size_t len, void *out,
                    struct sinew_request **req)
{
    struct caller who;
    size_t bytes = 0;
    int status = check_entry(team, "sinew_allgather", req, &who);
    if (status == 0) status = check_bytes(&who, "len", len, 1, who.size, &bytes);
    if (status == 0) status = check_pair(&who, in, len, out, bytes);
    if (status < 0) return status;
    struct call call = {
        .collective = COLLECTIVE_ALLGATHER,
        .element_bytes = 1,
        .in_count = len,
        .out_count = bytes,
        .in = in,
        .out = out,
    };
    return caller_run(&who, &call, req);
}
