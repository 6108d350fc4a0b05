/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_peer.c - the work of sinew-perf in MPI: the same loops, the same statistic
 *
 * bench/compare compiles it with each MPI's mpicc. `mean` is one timed loop with no clock inside,
 * after 10 ms of warming; half a round trip for latency, the slowest rank for collectives. Rate and
 * bandwidth are windows of 64 nonblocking messages with 64 buffers, wait-all on both sides, then
 * an answer of 4 bytes. `rewrite` writes every buffer before it is sent. Reductions add floats. The
 * test `start` does one allreduce and says how much memory it took.
 */
#include <mpi.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peak.h"

enum { WINDOW = 64, TAG = 1, TAG_ANSWER = 2, ANSWER_LEN = 4, LEAST = 10, MOST = 1000000, ROOT = 0 };
static const double WARM_S = 0.01;

struct work {
    int rank, size, rewrite;
    unsigned char written;
    size_t bytes, out_len, in_len;
    char *out, *in;
    MPI_Request requests[WINDOW];
    int *counts; /* reduce_scatter: elements each rank gets */
};

struct test {
    const char *name, *unit;
    int pair;
    void (*rounds)(struct work *w, int64_t n);
    size_t (*out_len)(const struct work *w), (*in_len)(const struct work *w);
};

static void rewrite(struct work *w, char *at)
{
    if (w->rewrite) memset(at, ++w->written, w->bytes);
}

static void latency(struct work *w, int64_t n)
{
    int len = (int)w->bytes, peer = 1 - w->rank;
    for (int64_t i = 0; i < n; i++) {
        for (int step = 0; step < 2; step++) {
            if (step == w->rank) {
                rewrite(w, w->out);
                MPI_Send(w->out, len, MPI_BYTE, peer, TAG, MPI_COMM_WORLD);
            } else {
                MPI_Recv(w->in, len, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            }
        }
    }
}

static void window_send(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < WINDOW; k++) {
            char *out = w->out + (size_t)k * w->bytes;
            rewrite(w, out);
            MPI_Isend(out, (int)w->bytes, MPI_BYTE, 1, TAG, MPI_COMM_WORLD, &w->requests[k]);
        }
        MPI_Waitall(WINDOW, w->requests, MPI_STATUSES_IGNORE);
        MPI_Recv(w->in, ANSWER_LEN, MPI_BYTE, 1, TAG_ANSWER, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
}

static void window_receive(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < WINDOW; k++)
            MPI_Irecv(w->in + (size_t)k * w->bytes, (int)w->bytes, MPI_BYTE, 0, TAG,
                      MPI_COMM_WORLD, &w->requests[k]);
        MPI_Waitall(WINDOW, w->requests, MPI_STATUSES_IGNORE);
        MPI_Send(w->out, ANSWER_LEN, MPI_BYTE, 0, TAG_ANSWER, MPI_COMM_WORLD);
    }
}

static void window(struct work *w, int64_t n)
{
    if (w->rank == 0)
        window_send(w, n);
    else
        window_receive(w, n);
}

static void barrier(struct work *w, int64_t n)
{
    (void)w;
    for (int64_t i = 0; i < n; i++) MPI_Barrier(MPI_COMM_WORLD);
}

static void bcast(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++) MPI_Bcast(w->out, (int)w->bytes, MPI_BYTE, ROOT, MPI_COMM_WORLD);
}

static void reduce(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        MPI_Reduce(w->out, w->in, (int)(w->bytes / 4), MPI_FLOAT, MPI_SUM, ROOT, MPI_COMM_WORLD);
}

static void allreduce(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        MPI_Allreduce(w->out, w->in, (int)(w->bytes / 4), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void gather(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        MPI_Gather(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, ROOT,
                   MPI_COMM_WORLD);
}

static void scatter(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        MPI_Scatter(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, ROOT,
                    MPI_COMM_WORLD);
}

static void allgather(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        MPI_Allgather(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE,
                      MPI_COMM_WORLD);
}

static void alltoall(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        MPI_Alltoall(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE,
                     MPI_COMM_WORLD);
}

static void reduce_scatter(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        MPI_Reduce_scatter(w->out, w->in, w->counts, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static size_t none(const struct work *w)
{
    (void)w;
    return 0;
}

static size_t one(const struct work *w)
{
    return w->bytes;
}

static size_t each_rank(const struct work *w)
{
    return w->bytes * (size_t)w->size;
}

static size_t of_window(const struct work *w)
{
    return w->bytes * WINDOW + ANSWER_LEN;
}

static const struct test tests[] = {
    { "latency", "us", 1, latency, one, one },
    { "bandwidth", "MB/s", 1, window, of_window, of_window },
    { "rate", "Mmsg/s", 1, window, of_window, of_window },
    { "barrier", "us", 0, barrier, none, none },
    { "bcast", "us", 0, bcast, one, none },
    { "reduce", "us", 0, reduce, one, one },
    { "allreduce", "us", 0, allreduce, one, one },
    { "gather", "us", 0, gather, one, each_rank },
    { "scatter", "us", 0, scatter, each_rank, one },
    { "allgather", "us", 0, allgather, one, each_rank },
    { "alltoall", "us", 0, alltoall, each_rank, each_rank },
    { "reduce_scatter", "us", 0, reduce_scatter, one, one },
};

static const struct test *test_find(const char *name)
{
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        if (strcmp(tests[i].name, name) == 0) return &tests[i];
    return NULL;
}

/* Whole floats, all valid, as in sinew-perf. */
static char *buffer(size_t len, int rank)
{
    void *at = NULL;
    size_t rounded = (len + 4095) / 4096 * 4096 + 4096;
    if (posix_memalign(&at, 4096, rounded) != 0) MPI_Abort(MPI_COMM_WORLD, 1);
    for (size_t i = 0; i < rounded / sizeof(float); i++) ((float *)at)[i] = (float)(i + (size_t)rank);
    return at;
}

static double timed(const struct test *t, struct work *w, int64_t n)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double before = MPI_Wtime();
    t->rounds(w, n);
    return MPI_Wtime() - before;
}

/* Rounds 1, 2, 4 … until they took WARM_S; how many make `seconds`. What rank 0 says, all do. */
static int64_t warm(const struct test *t, struct work *w, double seconds)
{
    int64_t n = 1, next = 1;
    double took = 0;
    while (next > 0) {
        n = next;
        took = timed(t, w, n);
        next = took < WARM_S && n < MOST ? 2 * n : 0;
        MPI_Bcast(&next, 1, MPI_INT64_T, 0, MPI_COMM_WORLD);
    }
    int64_t rounds = (int64_t)(seconds / (took / (double)n));
    if (rounds < LEAST) rounds = LEAST;
    if (rounds > MOST) rounds = MOST;
    MPI_Bcast(&rounds, 1, MPI_INT64_T, 0, MPI_COMM_WORLD);
    return rounds;
}

static void print(const struct test *t, const struct work *w, int64_t rounds, double us)
{
    printf("{\"test\": \"%s\", \"ranks\": %d, \"bytes\": %zu", t->name, w->size, w->bytes);
    if (strcmp(t->unit, "us") == 0)
        printf(", \"iterations\": %lld, \"mean\": %.4f", (long long)rounds, t->pair ? us / 2 : us);
    else
        printf(", \"value\": %.4f", WINDOW * (*t->unit == 'M' && t->unit[1] == 'B'
                                                  ? (double)w->bytes : 1.0) / us);
    printf(", \"unit\": \"%s\"}\n", t->unit);
    fflush(stdout);
}

static void measure(const struct test *t, struct work *w, double seconds)
{
    double mine, slowest;
    w->out = buffer(t->out_len(w), w->rank);
    w->in = buffer(t->in_len(w), w->rank);
    for (int i = 0; i < w->size; i++) {
        int all = (int)(w->bytes / 4);
        w->counts[i] = all / w->size + (i < all % w->size);
    }
    int64_t rounds = warm(t, w, seconds);
    mine = slowest = timed(t, w, rounds);
    if (!t->pair) MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    if (w->rank == 0) print(t, w, rounds, slowest * 1e6 / (double)rounds);
    free(w->out);
    free(w->in);
}

/* An empty program and one allreduce; every rank says its own peak. */
static void start(void)
{
    int one_each = 1, all = 0;
    MPI_Allreduce(&one_each, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    printf("{\"test\": \"start\", \"ranks\": %d, \"peak_kib\": %ld}\n", all, peak_kib());
}

/* Rank i on the i-th core allowed, modulo, as sinewrun --bind core. */
static void pin(void)
{
    static const char *const names[] = { "OMPI_COMM_WORLD_RANK", "PMI_RANK" };
    cpu_set_t allowed, one_core;
    int rank = -1, core = -1;
    for (int i = 0; i < 2; i++)
        if (getenv(names[i])) rank = atoi(getenv(names[i]));
    if (rank < 0 || sched_getaffinity(0, sizeof(allowed), &allowed) < 0) return;
    for (int left = rank % CPU_COUNT(&allowed); left >= 0; left--)
        do core++;
        while (!CPU_ISSET(core, &allowed));
    CPU_ZERO(&one_core);
    CPU_SET(core, &one_core);
    sched_setaffinity(0, sizeof(one_core), &one_core);
}

/* mpi_peer TEST BYTES,BYTES… SECONDS [rewrite]; mpi_peer start */
int main(int argc, char **argv)
{
    struct work w = { 0 };
    pin();
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &w.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &w.size);
    const struct test *t = argc >= 4 ? test_find(argv[1]) : NULL;
    if (argc == 2 && strcmp(argv[1], "start") == 0) {
        start();
    } else if (!t || (t->pair && w.size != 2)) {
        fprintf(stderr, "mpi_peer: TEST BYTES,BYTES... SECONDS are wanted, pair tests on 2 ranks\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    } else {
        w.rewrite = argc > 4;
        w.counts = calloc((size_t)w.size, sizeof(*w.counts));
        for (char *at = strtok(argv[2], ","); at; at = strtok(NULL, ",")) {
            w.bytes = strtoull(at, NULL, 10);
            measure(t, &w, atof(argv[3]));
        }
        free(w.counts);
    }
    MPI_Finalize();
    return 0;
}
