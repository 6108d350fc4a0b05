/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pair.c - two processes, one per core, that run the same rounds
 *
 * The child waits for a number of rounds in a shared line, runs them and says so. The time taken
 * by the parent is from asking to the child's word: whatever was sent has arrived. At the end what
 * arrived is looked at. Neither waits for ever: an alarm ends the parent, and its end the child.
 */
#include "limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROBE_NS = 1000000, FINAL_NS = 8000000, FINALS = 4, PATIENCE_S = 60, STAGING = 1 << 20 };
static const size_t PAGE = 4096, HUGE_PAGE = (size_t)2 << 20;

struct control {
    _Alignas(LIMIT_LINE) _Atomic uint64_t asked; /* serial in the upper half, rounds in the lower */
    _Alignas(LIMIT_LINE) _Atomic uint64_t done;  /* the last `asked` that is finished             */
};

struct pair {
    struct run run;
    struct control *control;
    uint64_t serial;
    pid_t child;
    size_t shared_len;
};

void limit_die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t pair_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void pair_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0) limit_die("sinew-limits: pin to a core");
}

static size_t pair_round_up(size_t len, size_t to)
{
    return (len + to - 1) / to * to;
}

static uint8_t *pair_private(size_t len)
{
    void *at = NULL;
    size_t rounded = pair_round_up(len + 1, PAGE);
    if (posix_memalign(&at, PAGE, rounded) != 0) limit_die("sinew-limits: buffer");
    memset(at, 0xee, rounded);
    return at;
}

static void pair_map(struct pair *p, size_t sent_len)
{
    size_t sent = pair_round_up(sent_len, HUGE_PAGE);
    p->shared_len = HUGE_PAGE + LIMIT_SHARED_BYTES + 2 * sent;
    uint8_t *at = mmap(NULL, p->shared_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                       0);
    if (at == MAP_FAILED) limit_die("sinew-limits: shared memory");
    madvise(at, p->shared_len, MADV_HUGEPAGE); /* a wish */
    p->control = (struct control *)(void *)at;
    p->run.shared = at + HUGE_PAGE;
    for (int side = 0; side < 2 && sent > 0; side++)
        p->run.sent[side] = p->run.shared + LIMIT_SHARED_BYTES + (size_t)side * sent;
}

/* Two connected sockets over loopback. */
static void pair_connect(int fds[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || fds[1] < 0 || bind(listener, (struct sockaddr *)&at, len) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&at, &len) < 0 ||
        connect(fds[1], (struct sockaddr *)&at, len) < 0)
        limit_die("sinew-limits: connect over loopback");
    fds[0] = accept(listener, NULL, NULL);
    if (fds[0] < 0) limit_die("sinew-limits: accept");
    close(listener);
    for (int i = 0; i < 2; i++) setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

uint8_t limit_filled(const struct run *r)
{
    return (uint8_t)(2 - r->side);
}

static bool pair_arrived(const struct run *r)
{
    if (r->limit->arrived) return r->limit->arrived(r);
    bool receives = r->side == 1 || strcmp(r->limit->unit, "us") == 0;
    if (!r->limit->expected || !receives) return true;
    for (size_t i = 0; i < r->bytes; i++)
        if (r->in[i] != r->limit->expected(r)) return false;
    return true;
}

static void pair_buffers(struct run *r)
{
    size_t len = r->limit->buffers * r->bytes;
    r->in = pair_private(len);
    r->out = r->limit->shared_out ? r->sent[r->side] : pair_private(len);
    r->sent[r->side] = r->out;
    memset(r->out, 1 + r->side, len);
    r->staging = r->limit->sockets ? pair_private(STAGING) : NULL;
    r->limit->prepare(r);
}

static _Noreturn void pair_serve(struct pair *p)
{
    uint64_t seen = 0;
    for (;;) {
        uint64_t asked = atomic_load_explicit(&p->control->asked, memory_order_acquire);
        if (asked == seen) continue; /* partner: pair_rounds */
        uint64_t n = asked & UINT32_MAX;
        if (n == 0) _exit(!pair_arrived(&p->run));
        p->run.limit->rounds(&p->run, n);
        limit_write(&p->control->done, asked); /* partner: pair_rounds */
        seen = asked;
    }
}

/* ns for n rounds. */
static double pair_rounds(struct pair *p, uint64_t n)
{
    uint64_t asked = ++p->serial << 32 | n;
    int64_t before = pair_now();
    limit_write(&p->control->asked, asked); /* partner: pair_serve */
    p->run.limit->rounds(&p->run, n);
    limit_await(&p->control->done, asked); /* partner: pair_serve */
    return (double)(pair_now() - before);
}

static void pair_start(struct pair *p, const struct limit *limit, size_t bytes,
                       const struct variant *variant, const int cores[2])
{
    int fds[2] = { -1, -1 };
    pid_t parent = getpid();
    *p = (struct pair){ .run = { .limit = limit, .variant = variant, .bytes = bytes } };
    pair_map(p, limit->shared_out ? limit->buffers * bytes : 1);
    if (limit->sockets) pair_connect(fds);
    p->child = fork();
    if (p->child < 0) limit_die("sinew-limits: fork");
    p->run.side = p->child == 0;
    p->run.fd = fds[p->run.side];
    p->run.pids[0] = parent;
    p->run.pids[1] = p->child == 0 ? getpid() : p->child;
    if (limit->sockets) close(fds[1 - p->run.side]);
    if (p->child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
    }
    pair_pin(cores[p->run.side]);
    alarm(PATIENCE_S);
    pair_buffers(&p->run);
    /* Where the buffers are, which the kernel's copy has to know. */
    memcpy(p->run.shared + LIMIT_SHARED_BYTES - LIMIT_LINE + 8 * p->run.side, &p->run.out,
           sizeof(p->run.out));
    if (p->child == 0) pair_serve(p);
}

static void pair_end(struct pair *p)
{
    limit_write(&p->control->asked, ++p->serial << 32);
    int status;
    if (waitpid(p->child, &status, 0) < 0) limit_die("sinew-limits: wait");
    alarm(0);
    if (status != 0 || !pair_arrived(&p->run)) {
        fprintf(stderr, "sinew-limits: %s over %s of %zu bytes: what arrived is not what was sent\n",
                p->run.limit->test, p->run.limit->transport, p->run.bytes);
        exit(1);
    }
    free(p->run.in);
    if (!p->run.limit->shared_out) free(p->run.out);
    free(p->run.staging);
    if (p->run.fd >= 0) close(p->run.fd);
    munmap(p->control, p->shared_len);
}

/* Rounds 1, 2, 4 … until they take least_ns, twice: the first touches fresh memory. ns of one. */
static double pair_probe(struct pair *p, double least_ns)
{
    for (uint64_t n = 1;; n *= 2) {
        double took = pair_rounds(p, n);
        if (took < least_ns) continue;
        double again = pair_rounds(p, n);
        if (again >= least_ns / 2) return (again < took ? again : took) / (double)n;
    }
}

static double pair_try(const struct limit *limit, size_t bytes, const struct variant *v,
                       const int cores[2], double least_ns)
{
    struct pair p;
    pair_start(&p, limit, bytes, v, cores);
    double ns = pair_probe(&p, least_ns);
    pair_end(&p);
    return ns;
}

void variant_text(const struct variant *v, char *text, size_t cap)
{
    size_t used = (size_t)snprintf(text, cap, "%s", v->name);
    if (v->chunk > 0 && used < cap)
        used += (size_t)snprintf(text + used, cap - used, " of %zu", v->chunk);
    if (v->room > 0 && used < cap)
        used += (size_t)snprintf(text + used, cap - used, ", room %zu", v->room);
    if (v->lazy > 0 && used < cap) snprintf(text + used, cap - used, ", lazy");
}

/* Only the one that reads `way`; returns how many are left. */
static int pair_select(struct variant *variants, int n, const char *way)
{
    char text[VARIANT_TEXT];
    for (int i = 0; i < n; i++) {
        variant_text(&variants[i], text, sizeof(text));
        if (strcmp(text, way) != 0) continue;
        variants[0] = variants[i];
        return 1;
    }
    return 0;
}

/* Tries all for a moment, then the fastest few for longer: a moment may have been a bad one. */
static struct variant pair_fastest(const struct limit *limit, size_t bytes, const char *way,
                                   const int cores[2])
{
    struct variant variants[LIMIT_VARIANTS];
    double ns[LIMIT_VARIANTS];
    int n = limit->variants(bytes, variants), best = 0;
    if (way) n = pair_select(variants, n, way);
    if (n == 0) return (struct variant){ 0 };
    if (n == 1) return variants[0];
    for (int i = 0; i < n; i++) ns[i] = pair_try(limit, bytes, &variants[i], cores, PROBE_NS);
    for (int finals = n < FINALS ? n : FINALS; finals > 0; finals--) {
        int next = -1;
        for (int i = 0; i < n; i++)
            if (ns[i] > 0 && (next < 0 || ns[i] < ns[next])) next = i;
        /* Negative: the finals' own figures, with the greatest the fastest. */
        ns[next] = -pair_try(limit, bytes, &variants[next], cores, FINAL_NS) -
                   pair_try(limit, bytes, &variants[next], cores, FINAL_NS);
        if (ns[best] > 0 || ns[next] > ns[best]) best = next;
    }
    return variants[best];
}

double pair_measure(const struct limit *limit, size_t bytes, const char *way, const int cores[2],
                    double seconds, struct variant *fastest)
{
    struct pair p;
    *fastest = pair_fastest(limit, bytes, way, cores);
    if (!fastest->name) return 0;
    pair_start(&p, limit, bytes, fastest, cores);
    uint64_t rounds = (uint64_t)(seconds * 1e9 / pair_probe(&p, PROBE_NS)) + 1;
    double took = pair_rounds(&p, rounds);
    pair_end(&p);
    return took / (double)rounds;
}
