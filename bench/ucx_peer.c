/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ucx_peer.c - the pair tests of sinew-perf with UCX's tagged messages: the same loops, the same
 * statistic
 *
 *     ucx_peer latency|bandwidth|rate BYTES SECONDS [rewrite]
 *
 * ucx_perftest sends one buffer again and again and never waits for an answer, which for long
 * messages measures a cache; so bench/compare compiles this. It makes its own two processes, on the
 * first two cores allowed. UCX_TLS says what they use.
 */
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <ucp/api/ucp.h>

enum { WINDOW = 64, TAG = 1, TAG_ANSWER = 2, TAG_CONTROL = 3, ANSWER_LEN = 4 };
enum { LEAST = 10, MOST = 1000000, PATIENCE_S = 60 };
static const double WARM_S = 0.01;

struct work {
    int rank, socket, rewrite;
    ucp_worker_h worker;
    ucp_ep_h ep;
    size_t bytes;
    char *out, *in;
    unsigned char written;
    void *requests[WINDOW];
    void (*rounds)(struct work *w, int64_t n);
};

static void check(ucs_status_t status, const char *what)
{
    if (status == UCS_OK) return;
    fprintf(stderr, "ucx_peer: %s: %s\n", what, ucs_status_string(status));
    exit(1);
}

static void *started(void *request, const char *what)
{
    if (UCS_PTR_IS_ERR(request)) check(UCS_PTR_STATUS(request), what);
    return request;
}

static void *start_send(struct work *w, const void *from, size_t len, ucp_tag_t tag)
{
    static const ucp_request_param_t param = { 0 };
    return started(ucp_tag_send_nbx(w->ep, from, len, tag, &param), "send");
}

static void *start_recv(struct work *w, void *to, size_t len, ucp_tag_t tag)
{
    static const ucp_request_param_t param = { 0 };
    return started(ucp_tag_recv_nbx(w->worker, to, len, tag, UINT64_MAX, &param), "receive");
}

static void finish(struct work *w, void *request)
{
    if (!request) return;
    while (ucp_request_check_status(request) == UCS_INPROGRESS) ucp_worker_progress(w->worker);
    check(ucp_request_check_status(request), "finish");
    ucp_request_free(request);
}

static void finish_window(struct work *w)
{
    for (int k = 0; k < WINDOW; k++) finish(w, w->requests[k]);
}

static void rewrite(struct work *w, char *at)
{
    if (w->rewrite) memset(at, ++w->written, w->bytes);
}

static void latency(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int step = 0; step < 2; step++) {
            if (step == w->rank) {
                rewrite(w, w->out);
                finish(w, start_send(w, w->out, w->bytes, TAG));
            } else {
                finish(w, start_recv(w, w->in, w->bytes, TAG));
            }
        }
    }
}

static void window(struct work *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < WINDOW; k++) {
            char *out = w->out + (size_t)k * w->bytes, *in = w->in + (size_t)k * w->bytes;
            if (w->rank == 0) rewrite(w, out);
            w->requests[k] = w->rank == 0 ? start_send(w, out, w->bytes, TAG)
                                          : start_recv(w, in, w->bytes, TAG);
        }
        finish_window(w);
        finish(w, w->rank == 0 ? start_recv(w, w->in, ANSWER_LEN, TAG_ANSWER)
                               : start_send(w, w->out, ANSWER_LEN, TAG_ANSWER));
    }
}

/* What rank 0 says, both do. */
static int64_t agree(struct work *w, int64_t n)
{
    finish(w, w->rank == 0 ? start_send(w, &n, sizeof(n), TAG_CONTROL)
                           : start_recv(w, &n, sizeof(n), TAG_CONTROL));
    return n;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double timed(struct work *w, int64_t n)
{
    int64_t word = 0;
    finish(w, w->rank == 1 ? start_send(w, &word, sizeof(word), TAG_CONTROL)
                           : start_recv(w, &word, sizeof(word), TAG_CONTROL));
    agree(w, 0);
    double before = now();
    w->rounds(w, n);
    return now() - before;
}

static double measure(struct work *w, double seconds, int64_t *rounds)
{
    double took = 0;
    for (int64_t next = 1; next > 0;) {
        *rounds = next;
        took = timed(w, next);
        next = agree(w, took < WARM_S && next < MOST ? 2 * next : 0);
    }
    int64_t n = (int64_t)(seconds / (took / (double)*rounds));
    *rounds = agree(w, n < LEAST ? LEAST : n > MOST ? MOST : n);
    return timed(w, *rounds);
}

static char *buffer(size_t len)
{
    void *at = NULL;
    if (posix_memalign(&at, 4096, len + 4096) != 0) exit(1);
    return memset(at, 1, len + 4096);
}

static void pin(int rank)
{
    cpu_set_t allowed, one;
    int core = -1;
    sched_getaffinity(0, sizeof(allowed), &allowed);
    for (int left = rank % CPU_COUNT(&allowed); left >= 0; left--)
        do core++;
        while (!CPU_ISSET(core, &allowed));
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof(one), &one);
}

/* Addresses go through the socket, as a launcher would carry them. */
static void meet(struct work *w)
{
    ucp_params_t params = { .field_mask = UCP_PARAM_FIELD_FEATURES, .features = UCP_FEATURE_TAG };
    ucp_worker_params_t single = { .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
                                   .thread_mode = UCS_THREAD_MODE_SINGLE };
    ucp_ep_params_t to = { .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS };
    ucp_context_h context;
    ucp_address_t *mine;
    char theirs[4096];
    size_t len;
    check(ucp_init(&params, NULL, &context), "init");
    check(ucp_worker_create(context, &single, &w->worker), "worker");
    check(ucp_worker_get_address(w->worker, &mine, &len), "address");
    if (write(w->socket, mine, len) != (ssize_t)len || read(w->socket, theirs, sizeof(theirs)) <= 0)
        check(UCS_ERR_IO_ERROR, "exchange addresses");
    to.address = (ucp_address_t *)theirs;
    check(ucp_ep_create(w->worker, &to, &w->ep), "endpoint");
}

static void print(const struct work *w, const char *test, int64_t rounds, double took)
{
    double us = took * 1e6 / (double)rounds;
    printf("{\"test\": \"%s\", \"ranks\": 2, \"bytes\": %zu", test, w->bytes);
    if (w->rounds == latency)
        printf(", \"iterations\": %lld, \"mean\": %.4f, \"unit\": \"us\"}\n", (long long)rounds,
               us / 2);
    else if (strcmp(test, "rate") == 0)
        printf(", \"value\": %.4f, \"unit\": \"Mmsg/s\"}\n", WINDOW / us);
    else
        printf(", \"value\": %.4f, \"unit\": \"MB/s\"}\n", WINDOW * (double)w->bytes / us);
}

int main(int argc, char **argv)
{
    struct work w = { 0 };
    int sockets[2], status = 0;
    int64_t rounds;
    if (argc < 4 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) < 0) return 2;
    w.rounds = strcmp(argv[1], "latency") == 0 ? latency : window;
    w.bytes = strtoull(argv[2], NULL, 10);
    w.rewrite = argc > 4;
    pid_t child = fork();
    if (child < 0) return 1;
    w.rank = child == 0;
    w.socket = sockets[w.rank];
    if (child == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(PATIENCE_S);
    pin(w.rank);
    size_t len = w.bytes * (w.rounds == latency ? 1 : WINDOW);
    w.out = buffer(len);
    w.in = buffer(len);
    meet(&w);
    double took = measure(&w, atof(argv[3]), &rounds);
    if (w.rank == 0) print(&w, argv[1], rounds, took);
    fflush(stdout);
    agree(&w, 0);
    if (w.rank == 1) _exit(0); /* the other may still be reading what was sent */
    waitpid(child, &status, 0);
    return status != 0;
}
