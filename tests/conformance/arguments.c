/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arguments.c - every bad argument has a status, and a sinew_why that names it; nothing is lost by
 * it
 */
#include "tests/conformance/cases.h"

#include <string.h>

static char buf[64];

struct attempt {
    struct sinew_team *world;
    struct sinew_request *req;
};

typedef int attempt_fn(struct attempt *a);

static int send_null_buffer(struct attempt *a)
{
    return sinew_send(a->world, NULL, 1, 0, 0, NULL);
}
static int send_rank_above(struct attempt *a)
{
    return sinew_send(a->world, buf, 1, sinew_size(a->world), 0, NULL);
}
static int send_rank_below(struct attempt *a)
{
    return sinew_send(a->world, buf, 1, -3, 0, NULL);
}
static int send_any_rank(struct attempt *a)
{
    return sinew_send(a->world, buf, 1, SINEW_ANY_RANK, 0, NULL);
}
static int send_tag_above(struct attempt *a)
{
    return sinew_send(a->world, buf, 1, 0, SINEW_TAG_MAX + 1, NULL);
}
static int send_tag_below(struct attempt *a)
{
    return sinew_send(a->world, buf, 1, 0, -2, NULL);
}
static int send_any_tag(struct attempt *a)
{
    return sinew_send(a->world, buf, 1, 0, SINEW_ANY_TAG, NULL);
}
static int sync_rank_above(struct attempt *a)
{
    return sinew_send_sync(a->world, buf, 1, 1000, 0, &a->req);
}
static int recv_null_buffer(struct attempt *a)
{
    return sinew_recv(a->world, NULL, 1, 0, 0, NULL, NULL);
}
static int recv_rank_above(struct attempt *a)
{
    return sinew_recv(a->world, buf, 1, 1000, 0, NULL, &a->req);
}
static int recv_rank_below(struct attempt *a)
{
    return sinew_recv(a->world, buf, 1, -7, 0, NULL, &a->req);
}
static int recv_tag_above(struct attempt *a)
{
    return sinew_recv(a->world, buf, 1, 0, INT64_MAX, NULL, &a->req);
}
static int recv_tag_below(struct attempt *a)
{
    return sinew_recv(a->world, buf, 1, 0, -5, NULL, &a->req);
}
static int probe_rank_above(struct attempt *a)
{
    return sinew_probe(a->world, 1000, 0, NULL, NULL, 0);
}
static int probe_tag_below(struct attempt *a)
{
    return sinew_probe(a->world, 0, -9, NULL, NULL, 0);
}
static int sendrecv_overlap(struct attempt *a)
{
    return sinew_sendrecv(a->world, buf, 32, 0, buf + 16, 32, 0, 0, NULL, NULL);
}
static int sendrecv_null(struct attempt *a)
{
    return sinew_sendrecv(a->world, NULL, 8, 0, buf + 16, 32, 0, 0, NULL, NULL);
}
static int wait_any_null(struct attempt *a)
{
    return sinew_wait_any(&a->req, 1, NULL, 0);
}
static int bcast_root(struct attempt *a)
{
    return sinew_bcast(a->world, buf, 8, 1000, NULL);
}
static int bcast_null(struct attempt *a)
{
    return sinew_bcast(a->world, NULL, 8, 0, NULL);
}
static int reduce_root(struct attempt *a)
{
    return sinew_reduce(a->world, buf, buf + 32, 1, SINEW_I64, SINEW_SUM, -1, NULL);
}
static int allreduce_type(struct attempt *a)
{
    return sinew_allreduce(a->world, buf, buf + 32, 1, 9999, SINEW_SUM, NULL);
}
static int allreduce_op(struct attempt *a)
{
    return sinew_allreduce(a->world, buf, buf + 32, 1, SINEW_I64, 9999, NULL);
}
static int allreduce_count(struct attempt *a)
{
    return sinew_allreduce(a->world, buf, buf + 32, SIZE_MAX / 4, SINEW_I64, SINEW_SUM, NULL);
}
static int allreduce_overlap(struct attempt *a)
{
    return sinew_allreduce(a->world, buf, buf + 8, 2, SINEW_I64, SINEW_SUM, NULL);
}
static int allreduce_null(struct attempt *a)
{
    return sinew_allreduce(a->world, buf, NULL, 2, SINEW_I64, SINEW_SUM, NULL);
}
static int explain_rank(struct attempt *a)
{
    return sinew_explain(a->world, 1000, 8, buf, 8, NULL);
}
static int translate_rank(struct attempt *a)
{
    return sinew_team_translate(a->world, 1000, a->world);
}
static int explain_no_text(struct attempt *a)
{
    return sinew_explain(a->world, 0, 8, NULL, 8, NULL);
}
static int explain_collective_name(struct attempt *a)
{
    return sinew_explain_collective(a->world, "foo", 8, buf, 8, NULL);
}

static int memory_size_zero(struct attempt *a)
{
    struct sinew_memory *memory;
    return sinew_memory_alloc(a->world, 0, SINEW_RIGHT_READ, &memory);
}

static int memory_unknown_right(struct attempt *a)
{
    struct sinew_memory *memory;
    return sinew_memory_alloc(a->world, 100, 64, &memory);
}

static const struct {
    attempt_fn *call;
    const char *name, *says;
} bad[] = {
#define BAD(call, says)   \
    {                     \
        call, #call, says \
    }
    BAD(send_null_buffer, "buf"),
    BAD(send_rank_above, "rank"),
    BAD(send_rank_below, "rank"),
    BAD(send_any_rank, "rank"),
    BAD(send_tag_above, "tag"),
    BAD(send_tag_below, "tag"),
    BAD(send_any_tag, "tag"),
    BAD(sync_rank_above, "rank"),
    BAD(recv_null_buffer, "buf"),
    BAD(recv_rank_above, "rank"),
    BAD(recv_rank_below, "rank"),
    BAD(recv_tag_above, "tag"),
    BAD(recv_tag_below, "tag"),
    BAD(probe_rank_above, "rank"),
    BAD(probe_tag_below, "tag"),
    BAD(sendrecv_overlap, "overlap"),
    BAD(sendrecv_null, "buf"),
    BAD(wait_any_null, NULL),
    BAD(bcast_root, "root"),
    BAD(bcast_null, "buf"),
    BAD(reduce_root, "root"),
    BAD(allreduce_type, "or SINEW_RECORD()"),
    BAD(allreduce_op, "op"),
    BAD(allreduce_count, "count"),
    BAD(allreduce_overlap, "overlap"),
    BAD(allreduce_null, "out"),
    BAD(explain_rank, "rank"),
    BAD(translate_rank, "sinew_team_translate: rank is 1000"),
    BAD(explain_no_text, "text is NULL and cap is 8"),
    BAD(explain_collective_name, "reduce_scatter_block"),
    BAD(memory_size_zero, "size"),
    BAD(memory_unknown_right, "right"),
#undef BAD
};

static void bad_arguments_are_named(struct job_rank *me)
{
    struct attempt a = { enter(me), NULL };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int status = bad[i].call(&a);
        if (status != SINEW_EINVAL)
            job_fail(me, __FILE__, __LINE__, "%s gave %s", bad[i].name, sinew_strstatus(status));
        if (bad[i].says && !strcasestr(sinew_why(me->s), bad[i].says))
            job_fail(me, __FILE__, __LINE__, "%s: no word of \"%s\"", bad[i].name, bad[i].says);
        CHECK(me, a.req == NULL);
    }
    int to = (me->rank + 1) % me->size, from = (me->rank + me->size - 1) % me->size;
    char in[16], out[16];
    job_fill(out, 16, me->rank, to, 1);
    CHECK_OK(me, sinew_sendrecv(a.world, out, 16, to, in, 16, from, 0, NULL, NULL));
    CHECK_CONTENT(me, in, 16, from, me->rank, 1);
    leave(me);
}

/* What has no context to keep a text in, and what may be NULL. */
static void null_objects(struct job_rank *me)
{
    int index;
    struct sinew_request *req = NULL;
    struct sinew_message *message = NULL;
    uint64_t value;
    CHECK_IS(me, sinew_open(NULL, NULL), SINEW_EINVAL);
    CHECK_OK(me, sinew_close(NULL));
    sinew_abandon(NULL);
    CHECK_IS(me, sinew_send(NULL, buf, 1, 0, 0, NULL), SINEW_EINVAL);
    CHECK_IS(me, sinew_recv(NULL, buf, 1, 0, 0, NULL, NULL), SINEW_EINVAL);
    CHECK_IS(me, sinew_probe(NULL, 0, 0, NULL, NULL, 0), SINEW_EINVAL);
    CHECK_IS(me, sinew_progress(NULL), SINEW_EINVAL);
    CHECK_IS(me, sinew_wait_any(NULL, 1, &index, 0), SINEW_EINVAL);
    CHECK_IS(me, sinew_wait_any(&req, -1, &index, 0), SINEW_EINVAL);
    CHECK_OK(me, sinew_wait_any(&req, 0, &index, 0));
    CHECK_EQ(me, index, -1);
    CHECK_IS(me, sinew_team_split(NULL, 0, 0, NULL), SINEW_EINVAL);
    CHECK_IS(me, sinew_barrier(NULL, NULL), SINEW_EINVAL);
    CHECK_IS(me, sinew_counter(NULL, "messages", &value), SINEW_EINVAL);
    CHECK_OK(me, sinew_memory_free(NULL));
    CHECK_OK(me, sinew_request_free(NULL));
    enter(me);
    CHECK_IS(me, sinew_counter(me->s, "no such counter", &value), SINEW_ENOENT);
    CHECK_OK(me, sinew_message_recv(&message, NULL, 0, NULL, NULL));
    leave(me);
}

static const struct {
    const char *name;
    struct sinew_options o;
    int status;
} wrong_option[] = {
    { "transports",
      { .size = sizeof(struct sinew_options), .transports = "pigeon" },
      SINEW_EINVAL },
    { "threads", { .size = sizeof(struct sinew_options), .threads = 7 }, SINEW_EINVAL },
    { "threads",
      { .size = sizeof(struct sinew_options), .threads = SINEW_THREADS_MULTIPLE },
      SINEW_ENOTSUP },
    { "security", { .size = sizeof(struct sinew_options), .security = 9 }, SINEW_EINVAL },
    { "setup_deadline",
      { .size = sizeof(struct sinew_options), .setup_deadline = 1000 },
      SINEW_EINVAL },
    { "repair_deadline",
      { .size = sizeof(struct sinew_options), .repair_deadline = -1 },
      SINEW_EINVAL },
    { "stall_report", { .size = sizeof(struct sinew_options), .stall_report = 10 }, SINEW_EINVAL },
    { "eager_bytes",
      { .size = sizeof(struct sinew_options), .eager_bytes = 1 << 20 },
      SINEW_EINVAL },
    { "unexpected_bytes",
      { .size = sizeof(struct sinew_options), .unexpected_bytes = 1 },
      SINEW_EINVAL },
    { "unexpected_requests",
      { .size = sizeof(struct sinew_options), .unexpected_requests = 1000 },
      SINEW_EINVAL },
    { "log_level", { .size = sizeof(struct sinew_options), .log_level = 17 }, SINEW_EINVAL },
    { "nonsense",
      { .size = sizeof(struct sinew_options), .settings = "nonsense=1" },
      SINEW_EINVAL },
    { "size", { .size = 3 }, SINEW_EINVAL },
};

static void wrong_options_are_named(struct job_rank *me)
{
    for (size_t i = 0; i < sizeof(wrong_option) / sizeof(wrong_option[0]); i++) {
        struct sinew *s = NULL;
        int status = job_try_open(me, &wrong_option[i].o, &s);
        if (status != wrong_option[i].status)
            job_fail(me, __FILE__, __LINE__, "%s (row %zu) gave %s: %s", wrong_option[i].name, i,
                     sinew_strstatus(status), sinew_why(NULL));
        if (!strcasestr(sinew_why(NULL), wrong_option[i].name))
            job_fail(me, __FILE__, __LINE__, "no word of \"%s\": %s", wrong_option[i].name,
                     sinew_why(NULL));
        CHECK(me, s == NULL);
    }
}

static void every_status_has_name_and_text(struct job_rank *me)
{
    for (int i = 1; i >= -22; i--) {
        CHECK(me, strncmp(sinew_strstatus(i), "SINEW_", 6) == 0);
        CHECK(me, strcmp(sinew_strstatus(i), "SINEW_?") != 0);
        CHECK(me, strcmp(sinew_strerror(i), "unknown status") != 0);
    }
    CHECK(me, strcmp(sinew_strstatus(-1000), "SINEW_?") == 0);
    CHECK(me, strcmp(sinew_strerror(12345), "unknown status") == 0);
    CHECK(me, strcmp(sinew_version(), SINEW_VERSION) == 0);
    CHECK_EQ(me, sinew_type_size(SINEW_I16), 2);
    CHECK_EQ(me, sinew_type_size(SINEW_F64), 8);
    CHECK_EQ(me, sinew_type_size(0), 0);
    CHECK_EQ(me, sinew_type_size(12345), 0);
}

const struct suite_case conformance_arguments[] = {
    { "bad arguments are named", bad_arguments_are_named, 1, 3, 0, 0, 0, 0 },
    { "null objects", null_objects, 1, 1, 0, 0, 0, 0 },
    { "wrong options are named", wrong_options_are_named, 1, 1, SUITE_REAL, 0, 0, 0 },
    { "every status has a name and a text", every_status_has_name_and_text, 1, 1, 0, 0, 0, 0 },
    SUITE_END,
};
