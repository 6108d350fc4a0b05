/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * perf.c - sinew-perf: what a message, a window of messages or a collective costs
 */
#include "perf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void perf_check(const struct perf *p, int status, const char *what)
{
    if (status >= 0) return;
    fprintf(stderr, "sinew-perf: rank %d: %s: %s: %s\n", p->rank, what, sinew_strstatus(status),
            sinew_why(p->s));
    exit(PERF_FAILED);
}

void perf_die(const struct perf *p, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "sinew-perf: rank %d: %s\n", p->rank, text);
    exit(PERF_FAILED);
}

/* Whether this job can run the test; rank 0 says why not. */
static bool perf_fits(const struct perf *p)
{
    const char *name = p->opt.workload->name;
    if (!p->opt.workload->pair || p->size == 2) return true;
    if (p->rank > 0) return false;
    if (p->size == 1)
        fprintf(stderr,
                "sinew-perf: %s measures between 2 ranks, and this process is alone. Run it as\n"
                "    sinewrun -n 2 sinew-perf %s\n"
                "or across hosts as docs/launching.md shows.\n",
                name, name);
    else
        fprintf(stderr, "sinew-perf: %s measures between exactly 2 ranks; this job has %d\n", name,
                p->size);
    return false;
}

static void *perf_buffer(const struct perf *p, size_t len, struct sinew_memory **memory)
{
    void *at = NULL;
    size_t rounded = (len + 4095) / 4096 * 4096 + 4096;
    if (p->opt.shared) {
        perf_check(p, sinew_memory_alloc(p->world, rounded, 0, memory), "allocate shared memory");
        return memset(sinew_memory_address(*memory), 0, rounded);
    }
    if (posix_memalign(&at, 4096, rounded) != 0)
        perf_die(p, "no memory for a buffer of %zu bytes: use smaller --bytes or --window", len);
    memset(at, 0, rounded);
    return at;
}

static void perf_release(const struct perf *p, uint8_t *at, struct sinew_memory **memory)
{
    if (!*memory) free(at);
    perf_check(p, sinew_memory_free(memory), "free shared memory");
}

static void perf_size(struct perf *p, size_t bytes, bool first)
{
    struct work w = { .perf = p,
                      .load = p->opt.workload,
                      .bytes = bytes,
                      .window = p->opt.window ? p->opt.window : PERF_WINDOW };
    struct result result = { 0 };
    w.load->shape(&w);
    w.out = perf_buffer(p, w.out_len, &w.out_memory);
    w.in = perf_buffer(p, w.in_len, &w.in_memory);
    w.requests = calloc((size_t)w.window, sizeof(struct sinew_request *));
    if (!w.requests) perf_die(p, "no memory for %d requests", w.window);

    if (first) work_rounds(&w, 1); /* what is used can be told once the ranks have met */
    used_transports(p, bytes, result.transport);
    if (first && p->rank == 0) output_head(p, result.transport);
    measure(&w, &result);
    if (p->rank == 0) output_result(p, &result);

    free(w.requests);
    free(w.lens);
    perf_release(p, w.in, &w.in_memory);
    perf_release(p, w.out, &w.out_memory);
}

static int perf_run(struct perf *p)
{
    /* A rank that fails ends the others: the one that explains is the one that fails. */
    if (!perf_fits(p)) return p->rank == 0 ? PERF_USAGE : PERF_OK;
    if (p->opt.workload->report) {
        p->opt.workload->report(p);
        return PERF_OK;
    }
    for (int i = 0; i < p->opt.sizes; i++) perf_size(p, p->opt.bytes[i], i == 0);
    if (p->rank == 0) output_foot(p);
    return PERF_OK;
}

static void perf_view(struct perf *p)
{
    struct sinew_view_options how = SINEW_VIEW_OPTIONS_INIT;
    how.algorithm = p->opt.algorithm;
    how.persistent = p->opt.persistent;
    perf_check(p, sinew_team_view(p->plain, &how, &p->world), "a view of the team");
}

int main(int argc, char **argv)
{
    struct perf p = { 0 };
    struct sinew_options options = SINEW_OPTIONS_INIT;
    int code = PERF_OK;
    if (!options_parse(&p.opt, argc, argv, &code)) return code;

    options.transports = p.opt.transport;
    int status = sinew_open(&options, &p.s);
    if (status < 0) {
        fprintf(stderr, "sinew-perf: %s\n", sinew_why(NULL));
        bool asked_for =
            status == SINEW_EINVAL || status == SINEW_ENOTSUP || status == SINEW_ENOENT;
        return asked_for ? PERF_USAGE : PERF_FAILED;
    }
    p.world = p.plain = sinew_world(p.s);
    p.rank = sinew_rank(p.world);
    p.size = sinew_size(p.world);
    bool view = p.opt.algorithm || p.opt.persistent;
    if (view) perf_view(&p);
    code = perf_run(&p);
    if (view) perf_check(&p, sinew_team_free(&p.world), "free the view");
    perf_check(&p, sinew_close(p.s), "close");
    return code;
}
