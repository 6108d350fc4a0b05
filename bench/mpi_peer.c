/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_peer.c - the work of sinew-perf in MPI: the same loops, the same statistic
 *
 * bench/compare compiles it with each MPI's mpicc. `mean` is one timed loop with no clock inside,
 * after 10 ms of warming; half a round trip for latency, the slowest rank for collectives. Rate and
 * bandwidth are windows of 64 nonblocking messages with 64 buffers, wait-all on both sides, then
 * an answer of 4 bytes. `rewrite` writes what is sent before every message or call. `cold` is a
 * collective after a barrier, its buffers flushed before that; `overlap` OSU's figure with as many
 * polls as its name says. Reductions add floats. `alloc` takes buffers from MPI_Alloc_mem. The test
 * `start` does one allreduce and says how much memory it took.
 */
#include <mpi.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peak.h"
#include "same.h"

enum { WINDOW = 64, TAG = 1, TAG_ANSWER = 2, ANSWER_LEN = 4, LEAST = 10, MOST = 1000000, ROOT = 0 };
static const double WARM_S = 0.01;

struct work {
    int rank, size, rewrite, cold, alloc;
    int polls; /* of overlap; -1: that is not what is measured */
    unsigned char written;
    size_t bytes, out_len, in_len;
    char *out, *in;
    MPI_Request requests[WINDOW];
    int *counts; /* reduce_scatter: elements each rank gets */
    int *lens, *places; /* of a block of each rank, where there is a table */
    MPI_Comm ring;      /* neighbours: the one on the left and the one on the right */
};

struct test {
    const char *name, *unit;
    int pair;
    void (*rounds)(struct work *w, int64_t n);           /* of a pair */
    void (*call)(struct work *w);                        /* of a collective */
    void (*begin)(struct work *w, MPI_Request *request); /* the same, nonblocking */
    size_t (*out_len)(const struct work *w), (*in_len)(const struct work *w);
};

static void rewrite(struct work *w, char *at)
{
    if (w->rewrite) same_rewrite(at, w->bytes, &w->written);
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

static void barrier(struct work *w)
{
    (void)w;
    MPI_Barrier(MPI_COMM_WORLD);
}

static void ibarrier(struct work *w, MPI_Request *request)
{
    (void)w;
    MPI_Ibarrier(MPI_COMM_WORLD, request);
}

static void bcast(struct work *w)
{
    MPI_Bcast(w->out, (int)w->bytes, MPI_BYTE, ROOT, MPI_COMM_WORLD);
}

static void ibcast(struct work *w, MPI_Request *request)
{
    MPI_Ibcast(w->out, (int)w->bytes, MPI_BYTE, ROOT, MPI_COMM_WORLD, request);
}

static void reduce(struct work *w)
{
    MPI_Reduce(w->out, w->in, (int)(w->bytes / 4), MPI_FLOAT, MPI_SUM, ROOT, MPI_COMM_WORLD);
}

static void ireduce(struct work *w, MPI_Request *request)
{
    MPI_Ireduce(w->out, w->in, (int)(w->bytes / 4), MPI_FLOAT, MPI_SUM, ROOT, MPI_COMM_WORLD,
                request);
}

static void allreduce(struct work *w)
{
    MPI_Allreduce(w->out, w->in, (int)(w->bytes / 4), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void iallreduce(struct work *w, MPI_Request *request)
{
    MPI_Iallreduce(w->out, w->in, (int)(w->bytes / 4), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, request);
}

static void gather(struct work *w)
{
    MPI_Gather(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, ROOT,
               MPI_COMM_WORLD);
}

static void igather(struct work *w, MPI_Request *request)
{
    MPI_Igather(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, ROOT,
                MPI_COMM_WORLD, request);
}

static void scatter(struct work *w)
{
    MPI_Scatter(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, ROOT,
                MPI_COMM_WORLD);
}

static void iscatter(struct work *w, MPI_Request *request)
{
    MPI_Iscatter(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, ROOT,
                 MPI_COMM_WORLD, request);
}

static void allgather(struct work *w)
{
    MPI_Allgather(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, MPI_COMM_WORLD);
}

static void iallgather(struct work *w, MPI_Request *request)
{
    MPI_Iallgather(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE,
                   MPI_COMM_WORLD, request);
}

static void alltoall(struct work *w)
{
    MPI_Alltoall(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, MPI_COMM_WORLD);
}

static void ialltoall(struct work *w, MPI_Request *request)
{
    MPI_Ialltoall(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, MPI_COMM_WORLD,
                  request);
}

static void reduce_scatter(struct work *w)
{
    MPI_Reduce_scatter(w->out, w->in, w->counts, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void ireduce_scatter(struct work *w, MPI_Request *request)
{
    MPI_Ireduce_scatter(w->out, w->in, w->counts, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, request);
}

/* Rounded up, as sinew-perf does: no rank's block is empty. */
static int block_count(const struct work *w)
{
    return ((int)(w->bytes / 4) + w->size - 1) / w->size;
}

static void reduce_scatter_block(struct work *w)
{
    MPI_Reduce_scatter_block(w->out, w->in, block_count(w), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void ireduce_scatter_block(struct work *w, MPI_Request *request)
{
    MPI_Ireduce_scatter_block(w->out, w->in, block_count(w), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD,
                              request);
}

static void scan(struct work *w)
{
    MPI_Scan(w->out, w->in, (int)(w->bytes / 4), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void iscan(struct work *w, MPI_Request *request)
{
    MPI_Iscan(w->out, w->in, (int)(w->bytes / 4), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, request);
}

static void exscan(struct work *w)
{
    MPI_Exscan(w->out, w->in, (int)(w->bytes / 4), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void iexscan(struct work *w, MPI_Request *request)
{
    MPI_Iexscan(w->out, w->in, (int)(w->bytes / 4), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, request);
}

static void gatherv(struct work *w)
{
    MPI_Gatherv(w->out, (int)w->bytes, MPI_BYTE, w->in, w->lens, w->places, MPI_BYTE, ROOT,
                MPI_COMM_WORLD);
}

static void igatherv(struct work *w, MPI_Request *request)
{
    MPI_Igatherv(w->out, (int)w->bytes, MPI_BYTE, w->in, w->lens, w->places, MPI_BYTE, ROOT,
                 MPI_COMM_WORLD, request);
}

static void scatterv(struct work *w)
{
    MPI_Scatterv(w->out, w->lens, w->places, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, ROOT,
                 MPI_COMM_WORLD);
}

static void iscatterv(struct work *w, MPI_Request *request)
{
    MPI_Iscatterv(w->out, w->lens, w->places, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, ROOT,
                  MPI_COMM_WORLD, request);
}

static void allgatherv(struct work *w)
{
    MPI_Allgatherv(w->out, (int)w->bytes, MPI_BYTE, w->in, w->lens, w->places, MPI_BYTE,
                   MPI_COMM_WORLD);
}

static void iallgatherv(struct work *w, MPI_Request *request)
{
    MPI_Iallgatherv(w->out, (int)w->bytes, MPI_BYTE, w->in, w->lens, w->places, MPI_BYTE,
                    MPI_COMM_WORLD, request);
}

static void alltoallv(struct work *w)
{
    MPI_Alltoallv(w->out, w->lens, w->places, MPI_BYTE, w->in, w->lens, w->places, MPI_BYTE,
                  MPI_COMM_WORLD);
}

static void ialltoallv(struct work *w, MPI_Request *request)
{
    MPI_Ialltoallv(w->out, w->lens, w->places, MPI_BYTE, w->in, w->lens, w->places, MPI_BYTE,
                   MPI_COMM_WORLD, request);
}

static void neighbour_allgather(struct work *w)
{
    int bytes = (int)w->bytes;
    MPI_Neighbor_allgather(w->out, bytes, MPI_BYTE, w->in, bytes, MPI_BYTE, w->ring);
}

static void ineighbour_allgather(struct work *w, MPI_Request *request)
{
    MPI_Ineighbor_allgather(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE,
                            w->ring, request);
}

static void neighbour_alltoall(struct work *w)
{
    MPI_Neighbor_alltoall(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE, w->ring);
}

static void ineighbour_alltoall(struct work *w, MPI_Request *request)
{
    MPI_Ineighbor_alltoall(w->out, (int)w->bytes, MPI_BYTE, w->in, (int)w->bytes, MPI_BYTE,
                           w->ring, request);
}

static void neighbour_alltoallv(struct work *w)
{
    MPI_Neighbor_alltoallv(w->out, w->lens, w->places, MPI_BYTE, w->in, w->lens, w->places,
                           MPI_BYTE, w->ring);
}

static void ineighbour_alltoallv(struct work *w, MPI_Request *request)
{
    MPI_Ineighbor_alltoallv(w->out, w->lens, w->places, MPI_BYTE, w->in, w->lens, w->places,
                            MPI_BYTE, w->ring, request);
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

static size_t all_blocks(const struct work *w)
{
    return (size_t)block_count(w) * (size_t)w->size * 4;
}

static size_t both_sides(const struct work *w)
{
    return 2 * w->bytes;
}

static size_t of_window(const struct work *w)
{
    return w->bytes * WINDOW + ANSWER_LEN;
}

static const struct test tests[] = {
    { "latency", "us", 1, latency, NULL, NULL, one, one },
    { "bandwidth", "MB/s", 1, window, NULL, NULL, of_window, of_window },
    { "rate", "Mmsg/s", 1, window, NULL, NULL, of_window, of_window },
    { "barrier", "us", 0, NULL, barrier, ibarrier, none, none },
    { "bcast", "us", 0, NULL, bcast, ibcast, one, none },
    { "reduce", "us", 0, NULL, reduce, ireduce, one, one },
    { "allreduce", "us", 0, NULL, allreduce, iallreduce, one, one },
    { "gather", "us", 0, NULL, gather, igather, one, each_rank },
    { "scatter", "us", 0, NULL, scatter, iscatter, each_rank, one },
    { "allgather", "us", 0, NULL, allgather, iallgather, one, each_rank },
    { "alltoall", "us", 0, NULL, alltoall, ialltoall, each_rank, each_rank },
    { "reduce_scatter", "us", 0, NULL, reduce_scatter, ireduce_scatter, one, one },
    { "reduce_scatter_block", "us", 0, NULL, reduce_scatter_block, ireduce_scatter_block,
      all_blocks, one },
    { "scan", "us", 0, NULL, scan, iscan, one, one },
    { "exscan", "us", 0, NULL, exscan, iexscan, one, one },
    { "gatherv", "us", 0, NULL, gatherv, igatherv, one, each_rank },
    { "scatterv", "us", 0, NULL, scatterv, iscatterv, each_rank, one },
    { "allgatherv", "us", 0, NULL, allgatherv, iallgatherv, one, each_rank },
    { "alltoallv", "us", 0, NULL, alltoallv, ialltoallv, each_rank, each_rank },
    { "neighbour_allgather", "us", 0, NULL, neighbour_allgather, ineighbour_allgather, one,
      both_sides },
    { "neighbour_alltoall", "us", 0, NULL, neighbour_alltoall, ineighbour_alltoall, both_sides,
      both_sides },
    { "neighbour_alltoallv", "us", 0, NULL, neighbour_alltoallv, ineighbour_alltoallv, both_sides,
      both_sides },
};

static const struct test *test_find(const char *name)
{
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        if (strcmp(tests[i].name, name) == 0) return &tests[i];
    return NULL;
}

/* Whole floats, all valid, as in sinew-perf. */
static char *buffer(const struct work *w, size_t len)
{
    void *at = NULL;
    size_t rounded = (len + 4095) / 4096 * 4096 + 4096;
    if (w->alloc)
        MPI_Alloc_mem((MPI_Aint)rounded, MPI_INFO_NULL, &at);
    else if (posix_memalign(&at, 4096, rounded) != 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    for (size_t i = 0; i < rounded / sizeof(float); i++)
        ((float *)at)[i] = (float)(i + (size_t)w->rank);
    return at;
}

static void buffer_free(const struct work *w, char *at)
{
    if (w->alloc)
        MPI_Free_mem(at);
    else
        free(at);
}

/* Who is not the root gives nothing to a broadcast or a scatter. */
static size_t given(const struct test *t, const struct work *w)
{
    int from_root = t->call == bcast || t->call == scatter || t->call == scatterv;
    return from_root && w->rank != ROOT ? 0 : t->out_len(w);
}

static void rounds(const struct test *t, struct work *w, int64_t n)
{
    if (t->pair) {
        t->rounds(w, n);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (w->rewrite) same_rewrite(w->out, given(t, w), &w->written);
        t->call(w);
    }
}

static double timed(const struct test *t, struct work *w, int64_t n)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double before = MPI_Wtime();
    rounds(t, w, n);
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

static void print(const struct test *t, const struct work *w, int64_t n, double us)
{
    printf("{\"test\": \"%s\", \"ranks\": %d, \"bytes\": %zu", t->name, w->size, w->bytes);
    if (strcmp(t->unit, "us") == 0)
        printf(", \"iterations\": %lld, \"mean\": %.4f", (long long)n, t->pair ? us / 2 : us);
    else
        printf(", \"value\": %.4f", WINDOW * (*t->unit == 'M' && t->unit[1] == 'B'
                                                  ? (double)w->bytes : 1.0) / us);
    printf(", \"unit\": \"%s\"}\n", t->unit);
    fflush(stdout);
}

static void print_value(const struct test *t, const struct work *w, const char *suffix,
                        double value, const char *unit)
{
    printf("{\"test\": \"%s%s\", \"ranks\": %d, \"bytes\": %zu, \"value\": %.4f, \"unit\": \"%s\"}\n",
           t->name, suffix, w->size, w->bytes, value, unit);
    fflush(stdout);
}

/* Seconds of a call whose buffers are in no cache, the slowest rank's. */
static double cold(const struct test *t, struct work *w, int64_t n)
{
    double mine = 0, slowest;
    for (int64_t i = 0; i < n; i++) {
        same_flush(w->out, t->out_len(w));
        same_flush(w->in, t->in_len(w));
        MPI_Barrier(MPI_COMM_WORLD);
        double before = MPI_Wtime();
        t->call(w);
        mine += MPI_Wtime() - before;
    }
    MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return slowest / (double)n;
}

struct overlap {
    uint64_t steps, x; /* of computing between two polls */
    double computed;
};

static void overlap_compute(const struct work *w, struct overlap *o, MPI_Request *request)
{
    int done;
    for (int polls = w->polls;; polls--) {
        double before = MPI_Wtime();
        o->x = same_compute(o->steps, o->x);
        o->computed += MPI_Wtime() - before;
        if (polls == 0) return;
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
    }
}

/* Seconds of a round, mean of rounds and ranks; each begins with a barrier. */
static double overlap_rounds(const struct test *t, struct work *w, struct overlap *o, int64_t n,
                             int computes)
{
    double sum = 0, all;
    for (int64_t i = 0; i < n; i++) {
        MPI_Request request;
        MPI_Barrier(MPI_COMM_WORLD);
        double before = MPI_Wtime();
        t->begin(w, &request);
        if (computes) overlap_compute(w, o, &request);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
        sum += MPI_Wtime() - before;
    }
    MPI_Allreduce(&sum, &all, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    return all / (double)n / w->size;
}

/* As overlap.c of sinew-perf has it. */
static double overlap(const struct test *t, struct work *w, int64_t n)
{
    enum { SPEED_STEPS = 200000 };
    struct overlap o = { .x = 1 };
    double computed;
    overlap_rounds(t, w, &o, LEAST, 0);
    double pure = overlap_rounds(t, w, &o, n, 0), before = MPI_Wtime();
    o.x = same_compute(SPEED_STEPS, o.x);
    double step = (MPI_Wtime() - before) / SPEED_STEPS;
    o.steps = (uint64_t)(pure / step / (w->polls + 1));
    double overall = overlap_rounds(t, w, &o, n, 1);
    MPI_Allreduce(&o.computed, &computed, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    return same_overlap(pure, overall, computed / (double)n / w->size);
}

static void report(const struct test *t, struct work *w, int64_t n)
{
    double mine, slowest;
    if (w->polls >= 0) {
        double share = overlap(t, w, n);
        if (w->rank == 0) print_value(t, w, "-overlap", share, "%");
    } else if (w->cold) {
        double took = cold(t, w, n);
        if (w->rank == 0) print_value(t, w, "-cold", took * 1e6, "us");
    } else {
        mine = slowest = timed(t, w, n);
        if (!t->pair)
            MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        if (w->rank == 0) print(t, w, n, slowest * 1e6 / (double)n);
    }
}

static void measure(const struct test *t, struct work *w, double seconds)
{
    w->out = buffer(w, t->out_len(w));
    w->in = buffer(w, t->in_len(w));
    for (int i = 0; i < w->size; i++) {
        int all = (int)(w->bytes / 4);
        w->counts[i] = all / w->size + (i < all % w->size);
        w->lens[i] = (int)w->bytes;
        w->places[i] = i * (int)w->bytes;
    }
    report(t, w, warm(t, w, seconds));
    buffer_free(w, w->out);
    buffer_free(w, w->in);
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

/* false: that is no word. */
static int option(struct work *w, const char *word)
{
    if (strcmp(word, "rewrite") == 0) return w->rewrite = 1;
    if (strcmp(word, "cold") == 0) return w->cold = 1;
    if (strcmp(word, "alloc") == 0) return w->alloc = 1;
    return sscanf(word, "overlap=%d", &w->polls) == 1 && w->polls >= 0;
}

/* mpi_peer TEST BYTES,BYTES… SECONDS [rewrite] [cold] [overlap=POLLS] [alloc]; mpi_peer start */
int main(int argc, char **argv)
{
    struct work w = { .polls = -1 };
    int sound = 1;
    pin();
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &w.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &w.size);
    const struct test *t = argc >= 4 ? test_find(argv[1]) : NULL;
    for (int i = 4; i < argc; i++) sound = sound && option(&w, argv[i]);
    if (argc == 2 && strcmp(argv[1], "start") == 0) {
        start();
    } else if (!t || !sound || (t->pair && (w.size != 2 || w.cold || w.polls >= 0))) {
        fprintf(stderr, "mpi_peer: TEST BYTES,BYTES... SECONDS [rewrite] [cold] [overlap=POLLS]"
                        " [alloc] are wanted, pair tests on 2 ranks\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    } else {
        int periodic = 1;
        /* One more of lens and places: a rank alone has two neighbours, too. */
        w.counts = calloc(3 * (size_t)w.size + 2, sizeof(*w.counts));
        w.lens = w.counts + w.size;
        w.places = w.lens + w.size + 1;
        MPI_Cart_create(MPI_COMM_WORLD, 1, &w.size, &periodic, 0, &w.ring);
        for (char *at = strtok(argv[2], ","); at; at = strtok(NULL, ",")) {
            w.bytes = strtoull(at, NULL, 10);
            measure(t, &w, atof(argv[3]));
        }
        MPI_Comm_free(&w.ring);
        free(w.counts);
    }
    MPI_Finalize();
    return 0;
}
