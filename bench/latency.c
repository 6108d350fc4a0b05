/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * latency.c - ping-pong between two ranks: a round is there and back, its latency is half of it
 */
#include "perf.h"

enum { TAG = 1 };

void pattern_fill(uint8_t *at, size_t len, int rank, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + (uint64_t)rank + 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        at[i] = (uint8_t)(x >> 56);
    }
}

bool pattern_check(const uint8_t *at, size_t len, int rank, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + (uint64_t)rank + 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        if (at[i] != (uint8_t)(x >> 56)) return false;
    }
    return true;
}

static void latency_shape(struct work *w)
{
    w->out_len = w->in_len = w->bytes;
}

static void latency_ping(struct work *w, uint64_t n)
{
    struct sinew_team *team = w->perf->world;
    for (uint64_t i = 0; i < n; i++) {
        work_rewrite(w, w->out, w->bytes);
        perf_check(w->perf, sinew_send(team, w->out, w->bytes, 1, TAG, NULL), "send");
        perf_check(w->perf, sinew_recv(team, w->in, w->bytes, 1, TAG, NULL, NULL), "receive");
    }
}

static void latency_pong(struct work *w, uint64_t n)
{
    struct sinew_team *team = w->perf->world;
    for (uint64_t i = 0; i < n; i++) {
        perf_check(w->perf, sinew_recv(team, w->in, w->bytes, 0, TAG, NULL, NULL), "receive");
        work_rewrite(w, w->out, w->bytes);
        perf_check(w->perf, sinew_send(team, w->out, w->bytes, 0, TAG, NULL), "send");
    }
}

static void latency_rounds(struct work *w, uint64_t n)
{
    if (w->perf->rank == 0)
        latency_ping(w, n);
    else
        latency_pong(w, n);
}

static void latency_fill(struct work *w, uint64_t seed)
{
    pattern_fill(w->out, w->out_len, w->perf->rank, seed);
}

static bool latency_check(const struct work *w, uint64_t seed)
{
    return pattern_check(w->in, w->in_len, 1 - w->perf->rank, seed);
}

const struct workload workload_latency = {
    .name = "latency",
    .text = "ping-pong of blocking sends and receives; half a round trip",
    .pair = true,
    .unit = "us",
    .element = 1,
    .least = 8,
    .most = 4 << 20,
    .shape = latency_shape,
    .rounds = latency_rounds,
    .fill = latency_fill,
    .check = latency_check,
};
