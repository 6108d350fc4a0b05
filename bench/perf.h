/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_PERF_H
#define BENCH_PERF_H
/*
 * perf.h - what the parts of sinew-perf share
 *
 * A test is a workload: rounds of communication that every rank runs alike. measure.c does the
 * same to each of them:
 *
 *   warm      rounds until things are warm; how many are measured is decided here, by rank 0
 *   validate  rounds one by one, each with new contents that are checked (only when asked)
 *   mean      one timed loop with no clock inside
 *   samples   a second pass with a clock around each batch, for the percentiles
 *   separated collectives only: a third pass with a barrier before every round
 *
 * Instead of all of these: with --cold the separated pass alone, of buffers flushed before every
 * round; with --overlap N what overlap.c has.
 *
 * Only rank 0 prints; a failure on any rank is said by that rank and ends it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sinew/sinew.h"

enum {
    PERF_SIZES_MAX = 64,
    PERF_WINDOW = 64,
    PERF_WINDOW_MAX = 4096,
    PERF_POLLS_MAX = 100000,
    PERF_BATCH = 16,          /* rounds per sample …                    */
    PERF_BATCH_BELOW = 4096,  /* … of messages shorter than this, else 1 */
    PERF_BATCH_MAX = 1000,
    PERF_SAMPLES_MAX = 1000000,
    PERF_TRANSPORT_MAX = 64,
    PERF_TEXT_MAX = 8192,
};

#define PERF_BYTES_MAX ((size_t)1 << 30)
#define PERF_COUNT_MAX 1000000000LL

enum perf_exit { PERF_OK = 0, PERF_FAILED = 1, PERF_USAGE = 2 };

struct perf;
struct work;

/* A test. Constant. */
struct workload {
    const char *name, *text;
    bool pair;            /* between exactly 2 ranks; else a collective of any number            */
    const char *unit;     /* "us": times; else a value: "MB/s", "Mmsg/s" …               */
    double (*amount)(const struct work *w); /* … which is this much a round, per us  */
    size_t element;       /* sizes are multiples of this                                         */
    size_t least, most;   /* default sizes, powers of two; most 0: moves no data                 */
    /* Buffers for w->bytes, zero-filled: how many bytes this rank sends from and receives into. */
    void (*shape)(struct work *w);
    void (*rounds)(struct work *w, uint64_t n); /* of a pair      */
    int (*call)(struct work *w, struct sinew_request **req); /* of collectives, one round */
    /* Instead of all that: measures and prints what it is for. */
    void (*report)(struct perf *p);
    bool from_root;       /* rank 0 alone gives anything                                         */
    /* Contents for one round, and whether they have arrived; different for each seed.           */
    void (*fill)(struct work *w, uint64_t seed);
    bool (*check)(const struct work *w, uint64_t seed);
};

struct perf_options {
    const struct workload *workload;
    const char *transport; /* asked for; NULL: chosen by the library */
    const char *algorithm; /* of collectives; NULL: chosen           */
    size_t bytes[PERF_SIZES_MAX];
    int sizes;
    int64_t iterations, warmup; /* -1: by time */
    int window;     /* 0: not given */
    int batch;      /* 0: by size */
    bool validate, json;
    bool one_buffer; /* for all messages of a window                       */
    bool shared;     /* buffers from sinew_memory_alloc()                  */
    bool rewrite;    /* every buffer, whole, before it is sent, timed      */
    bool cold;       /* every buffer flushed before each round, not timed  */
    bool persistent; /* with overlap                                       */
    int polls;       /* of overlap; -1: that is not what is measured       */
};

struct perf {
    struct perf_options opt;
    struct sinew *s;
    struct sinew_team *world; /* a view of it, where an algorithm is asked for */
    struct sinew_team *plain; /* for what goes on between the passes           */
    int rank, size;
};

/* A workload at one size. */
struct work {
    struct perf *perf;
    const struct workload *load;
    size_t bytes;
    int window;
    size_t out_len, in_len; /* set by shape */
    uint8_t *out, *in;
    struct sinew_memory *out_memory, *in_memory; /* when they are shared */
    uint8_t written; /* the last value that work_rewrite() wrote */
    struct sinew_request **requests; /* window of them */
    size_t *lens; /* of those with a table of lengths, or NULL */
};

struct statistics {
    double min, p50, p90, p99, p999, max;
};

struct result {
    const struct workload *load;
    char transport[PERF_TRANSPORT_MAX];
    int ranks;
    size_t bytes;
    uint64_t iterations;
    double mean, separated; /* us */
    struct statistics of;   /* us */
    int batch;
    double value;       /* in this unit, if there is one; else times count */
    const char *unit;
    const char *suffix; /* of the test's name: what else was done */
};

/* options.c: fills opt, or prints and returns false with the exit status in *status. */
bool options_parse(struct perf_options *opt, int argc, char **argv, int *status);

/* The tests, in the order of the help; NULL-terminated. */
extern const struct workload *const perf_workloads[];
extern const struct workload workload_latency, workload_bandwidth, workload_rate,
    workload_calibrate;
extern const struct workload workload_barrier, workload_bcast, workload_reduce, workload_allreduce,
    workload_gather, workload_allgather, workload_scatter, workload_alltoall,
    workload_reduce_scatter_block, workload_reduce_scatter, workload_scan, workload_exscan,
    workload_gatherv, workload_scatterv, workload_allgatherv, workload_alltoallv,
    workload_neighbour_allgather, workload_neighbour_alltoall, workload_neighbour_alltoallv;

/* perf.c: a refused or failed call ends the program, with words. Returns otherwise. */
void perf_check(const struct perf *p, int status, const char *what);
_Noreturn void perf_die(const struct perf *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* measure.c: new contents for what is about to be sent, if --rewrite asks for it. */
void work_rewrite(struct work *w, uint8_t *at, size_t len);
void work_rounds(struct work *w, uint64_t n);
/* Everything there is to know about one size. */
void measure(struct work *w, struct result *result);

/* statistics.c: sorts the samples. n > 0. */
void statistics_of(double *samples, size_t n, struct statistics *out);
/* What reading the clock twice costs, ns. */
double statistics_clock_cost(void);
int64_t statistics_now(void);

/* overlap.c: in percent, of about n rounds */
double overlap_measure(struct work *w, uint64_t n);

/* latency.c: contents that tell sender and round apart. */
void pattern_fill(uint8_t *at, size_t len, int rank, uint64_t seed);
bool pattern_check(const uint8_t *at, size_t len, int rank, uint64_t seed);

/* exchanges.c: a table of equal lengths, for w->lens. */
void work_lens(struct work *w, size_t len);

/* used.c: the transports from this rank to the others, as the library tells: "shm", "shm+tcp". */
void used_transports(const struct perf *p, size_t bytes, char out[PERF_TRANSPORT_MAX]);

/* output.c */
void output_head(const struct perf *p, const char *transport);
void output_result(const struct perf *p, const struct result *r);
void output_foot(const struct perf *p);

#endif
