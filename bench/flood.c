/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flood.c - what strangers can do to the latency of two ranks over TCP
 *
 *     flood
 *
 * Ranks 0 and 1 exchange messages of 8 bytes, for five seconds alone, and for as long while a third
 * process makes 10,000 connections, 2,000 a second, that say nothing, a part of a hello, garbage,
 * or a hello of which no proof comes. Printed are measured and bar: the median at most twice that
 * without, the 99th percentile under 50 ms. Exit status 1 when one is missed.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "job.h"
#include "sinew/sinew.h"

enum { TAG_PORT = 1, TAG_PING, TAG_BEGIN, TAG_END };
enum { CONNECTIONS = 10000, OPEN = 256, SAMPLES = 2000000, RATE = 2000, TEXT = 512 };

#define PHASE_NS 5000000000LL
#define MEDIAN_BAR 2.0
#define P99_BAR_MS 50.0

static void check(struct sinew *s, int status)
{
    if (status >= 0) return;
    fprintf(stderr, "flood: %s\n", sinew_why(s));
    exit(1);
}

/* Where this process listens: the one socket that does. */
static int my_port(void)
{
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_in6 at; /* the port stands where that of IPv4 does */
        socklen_t len = sizeof(at), size = sizeof(int);
        int listens = 0;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens) continue;
        if (getsockname(fd, (struct sockaddr *)&at, &len) < 0) continue;
        if (at.sin6_family == AF_INET || at.sin6_family == AF_INET6) return ntohs(at.sin6_port);
    }
    fprintf(stderr, "flood: no socket of this rank listens: is the transport tcp?\n");
    exit(1);
}

static void pause_until(int64_t until)
{
    int64_t left = until - job_now();
    if (left <= 0) return;
    struct timespec t = { left / 1000000000, left % 1000000000 };
    nanosleep(&t, NULL);
}

static void pester(int port)
{
    static const char hello[64] = "SINEW\r\n\x1a\3\0\3\0\0\1\1", garbage[64] = "GET / HTTP/1.1\r\n";
    static const size_t lens[] = { 0, 20, 64, 64 };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd[OPEN];
    int64_t begin = job_now();
    memset(fd, -1, sizeof(fd));
    for (int i = 0; i < CONNECTIONS; i++) {
        int *slot = &fd[i % OPEN];
        pause_until(begin + (int64_t)i * 1000000000 / RATE);
        if (*slot >= 0) close(*slot);
        *slot = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (*slot < 0) continue;
        connect(*slot, (struct sockaddr *)&at, sizeof(at)); /* on loopback it is there at once */
        send(*slot, i % 4 == 3 ? hello : garbage, lens[i % 4], MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    for (int i = 0; i < OPEN; i++)
        if (fd[i] >= 0) close(fd[i]);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Half round trips in us, sorted; how many. */
static int ping(struct sinew *s, double *us)
{
    struct sinew_team *w = sinew_world(s);
    int64_t end = job_now() + PHASE_NS, before = job_now();
    uint64_t more = 1;
    int n = 0;
    while (more) {
        more = before < end && n < SAMPLES - 1;
        check(s, sinew_send(w, &more, sizeof(more), 1, TAG_PING, NULL));
        check(s, sinew_recv(w, &more, sizeof(more), 1, TAG_PING, NULL, NULL));
        int64_t now = job_now();
        us[n++] = (double)(now - before) / 2000;
        before = now;
    }
    qsort(us, (size_t)n, sizeof(*us), by_value);
    return n;
}

static void pong(struct sinew *s)
{
    struct sinew_team *w = sinew_world(s);
    for (uint64_t more = 1; more;) {
        check(s, sinew_recv(w, &more, sizeof(more), 0, TAG_PING, NULL, NULL));
        check(s, sinew_send(w, &more, sizeof(more), 0, TAG_PING, NULL));
    }
}

static void talk(struct sinew *s)
{
    static double us[SAMPLES];
    struct sinew_team *w = sinew_world(s);
    int n = ping(s, us);
    printf("%.3f %.3f ", us[n / 2], us[n - 1 - n / 100]);
    check(s, sinew_send(w, NULL, 0, 2, TAG_BEGIN, NULL));
    n = ping(s, us);
    printf("%.3f %.3f\n", us[n / 2], us[n - 1 - n / 100]);
}

static int be_rank(void)
{
    struct sinew *s;
    int port = 0;
    if (sinew_open(NULL, &s) < 0) {
        fprintf(stderr, "flood: %s\n", sinew_why(NULL));
        return 1;
    }
    struct sinew_team *w = sinew_world(s);
    int me = sinew_rank(w);
    if (me == 0) {
        talk(s);
    } else if (me == 1) {
        port = my_port();
        check(s, sinew_send(w, &port, sizeof(port), 2, TAG_PORT, NULL));
        pong(s);
        pong(s);
    } else {
        check(s, sinew_recv(w, &port, sizeof(port), 1, TAG_PORT, NULL, NULL));
        check(s, sinew_recv(w, NULL, 0, 0, TAG_BEGIN, NULL, NULL));
        pester(port);
    }
    check(s, sinew_barrier(w, NULL));
    check(s, sinew_close(s));
    return 0;
}

int main(int argc, char **argv)
{
    char text[TEXT];
    double alone, alone_p99, flooded, flooded_p99;
    if (argc > 1 && strcmp(argv[1], "rank") == 0) return be_rank();
    setenv("SINEW_TRANSPORTS", "tcp", 1);
    if (!job_run(3, "rank", text, sizeof(text)) ||
        sscanf(text, "%lf %lf %lf %lf", &alone, &alone_p99, &flooded, &flooded_p99) != 4)
        return 1;
    double ratio = flooded / alone;
    printf("alone:   median %.1f us, p99 %.1f us\n", alone, alone_p99);
    printf("flooded: median %.1f us, p99 %.1f us\n", flooded, flooded_p99);
    printf("median: %.2f times that without (bar %.2f)\n", ratio, MEDIAN_BAR);
    printf("p99:    %.2f ms (bar %.0f ms)\n", flooded_p99 / 1000, P99_BAR_MS);
    return ratio > MEDIAN_BAR || flooded_p99 / 1000 >= P99_BAR_MS;
}
