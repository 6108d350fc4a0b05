/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bandwidth.c - a window of nonblocking messages from rank 0 to rank 1, each with its own buffer,
 * or all with one
 *
 * A round is one window: all sends or receives are started, then all are waited for, then rank 1
 * answers with 4 bytes. Bandwidth and rate are the same work in two units.
 */
#include "perf.h"

enum { TAG = 2, TAG_ANSWER = 3, ANSWER_LEN = 4 };

/* From one message's buffer to the next. */
static size_t stride(const struct work *w)
{
    return w->perf->opt.one_buffer ? 0 : w->bytes;
}

static void bandwidth_shape(struct work *w)
{
    size_t all = w->perf->opt.one_buffer ? w->bytes : w->bytes * (size_t)w->window;
    w->out_len = w->perf->rank == 0 ? all : ANSWER_LEN;
    w->in_len = w->perf->rank == 0 ? ANSWER_LEN : all;
}

static void bandwidth_finish(struct work *w)
{
    int status = sinew_wait_all(w->requests, w->window, NULL, SINEW_FOREVER);
    perf_check(w->perf, status, "wait for the window");
}

static void bandwidth_send(struct work *w, uint64_t n)
{
    struct sinew_team *team = w->perf->world;
    for (uint64_t i = 0; i < n; i++) {
        for (int k = 0; k < w->window; k++) {
            uint8_t *from = w->out + (size_t)k * stride(w);
            work_rewrite(w, from, w->bytes);
            int status = sinew_send(team, from, w->bytes, 1, TAG, &w->requests[k]);
            perf_check(w->perf, status, "send");
        }
        bandwidth_finish(w);
        int status = sinew_recv(team, w->in, ANSWER_LEN, 1, TAG_ANSWER, NULL, NULL);
        perf_check(w->perf, status, "receive the answer");
    }
}

static void bandwidth_receive(struct work *w, uint64_t n)
{
    struct sinew_team *team = w->perf->world;
    for (uint64_t i = 0; i < n; i++) {
        for (int k = 0; k < w->window; k++) {
            uint8_t *to = w->in + (size_t)k * stride(w);
            int status = sinew_recv(team, to, w->bytes, 0, TAG, NULL, &w->requests[k]);
            perf_check(w->perf, status, "receive");
        }
        bandwidth_finish(w);
        int status = sinew_send(team, w->out, ANSWER_LEN, 0, TAG_ANSWER, NULL);
        perf_check(w->perf, status, "send the answer");
    }
}

static void bandwidth_rounds(struct work *w, uint64_t n)
{
    if (w->perf->rank == 0)
        bandwidth_send(w, n);
    else
        bandwidth_receive(w, n);
}

static void bandwidth_fill(struct work *w, uint64_t seed)
{
    pattern_fill(w->out, w->out_len, w->perf->rank, seed);
}

static bool bandwidth_check(const struct work *w, uint64_t seed)
{
    return pattern_check(w->in, w->in_len, 1 - w->perf->rank, seed);
}

/* Bytes a microsecond are 10^6 bytes a second. */
static double bandwidth_amount(const struct work *w)
{
    return (double)w->bytes * w->window;
}

static double rate_amount(const struct work *w)
{
    return w->window;
}

const struct workload workload_bandwidth = {
    .name = "bandwidth",
    .text = "windows of nonblocking messages one way; MB/s = 10^6 bytes a second",
    .pair = true,
    .unit = "MB/s",
    .amount = bandwidth_amount,
    .element = 1,
    .least = 8,
    .most = 1 << 20,
    .shape = bandwidth_shape,
    .rounds = bandwidth_rounds,
    .fill = bandwidth_fill,
    .check = bandwidth_check,
};

const struct workload workload_rate = {
    .name = "rate",
    .text = "the same work, counted in millions of messages a second",
    .pair = true,
    .unit = "Mmsg/s",
    .amount = rate_amount,
    .element = 1,
    .least = 8,
    .most = 4096,
    .shape = bandwidth_shape,
    .rounds = bandwidth_rounds,
    .fill = bandwidth_fill,
    .check = bandwidth_check,
};
