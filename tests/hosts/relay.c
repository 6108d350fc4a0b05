/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relay.c - what stands between two networks: a plain forwarder, or one that does harm as a seed
 * says
 *
 *   relay SEED FROM=TO ...      FROM and TO are ADDRESS:PORT or [ADDRESS]:PORT; connections to FROM
 *                               go on to TO
 *   relay SEED FROM=TO/N        so do those to the N - 1 next ports, to the next ports of TO
 *   relay 0 ...                 harms none; neither are those with a + in front: +FROM=TO
 *
 * Harm: a connection ends after a number of bytes that the seed gives, often by a reset; in the
 * handshake, too. Until then bytes go in slices, are late, or stand still for up to 40 ms. Says
 * "ready", and at SIGTERM how much harm it did.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)

enum { MAPS = 32, RELAYS = 256, BUFFER = 32 * 1024 };

union place {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct map {
    int listener;
    union place to;
    bool kind;
};

/* from[i] was read from fd[i], and goes to the other. */
struct relay {
    int fd[2]; /* -1: none */
    bool kind, ended[2];
    uint64_t random;
    int64_t bytes_left, due[2];
    size_t at[2], len[2];
    char from[2][BUFFER];
};

static struct map maps[MAPS];
static struct relay relays[RELAYS];
static int map_count;
static uint64_t seed, connections, resets, ends, stalls, slices;
static volatile sig_atomic_t stop;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 * MS + t.tv_nsec;
}

static uint64_t draw(uint64_t *state, uint64_t below)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* "1.2.3.4:5" or "[1::2]:5"; returns how much of the text that was. */
static int parse(const char *text, union place *at)
{
    char host[INET6_ADDRSTRLEN];
    unsigned short port;
    int used;
    *at = (union place){ .v6 = { 0 } };
    if (sscanf(text, "%15[0-9.]:%hu%n", host, &port, &used) == 2 &&
        inet_pton(AF_INET, host, &at->v4.sin_addr) == 1)
        at->any.sa_family = AF_INET;
    else if (sscanf(text, "[%45[0-9a-f:]]:%hu%n", host, &port, &used) == 2 &&
             inet_pton(AF_INET6, host, &at->v6.sin6_addr) == 1)
        at->any.sa_family = AF_INET6;
    else
        fail(text);
    at->v4.sin_port = htons(port); /* at the same place in both */
    return used;
}

static socklen_t place_len(const union place *at)
{
    return at->any.sa_family == AF_INET ? sizeof(at->v4) : sizeof(at->v6);
}

static void place_next(union place *at)
{
    at->v4.sin_port = htons((uint16_t)(ntohs(at->v4.sin_port) + 1));
}

static int listen_at(const union place *at)
{
    const int on = 1;
    int fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, &at->any, place_len(at)) < 0 || listen(fd, 64) < 0) fail("listen");
    return fd;
}

static void map_add(const char *text)
{
    union place from, to;
    bool kind = text[0] == '+' || seed == 0;
    text += text[0] == '+';
    text += parse(text, &from);
    if (*text++ != '=') fail("no =");
    text += parse(text, &to);
    int n = *text == '/' ? atoi(text + 1) : 1;
    for (int i = 0; i < n && map_count < MAPS; i++) {
        maps[map_count++] = (struct map){ listen_at(&from), to, kind };
        place_next(&from);
        place_next(&to);
    }
}

static void relay_close(struct relay *r, bool reset)
{
    const struct linger none = { .l_onoff = 1 };
    for (int i = 0; i < 2; i++) {
        if (r->fd[i] < 0) continue;
        if (reset) setsockopt(r->fd[i], SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        close(r->fd[i]);
        r->fd[i] = -1;
    }
}

static void relay_begin(struct map *m)
{
    struct relay *r = NULL;
    for (int i = 0; i < RELAYS && !r; i++)
        if (relays[i].fd[0] < 0) r = &relays[i];
    int fd = r ? accept4(m->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
    if (fd < 0) return;
    uint64_t random = seed * 1000003 + (uint64_t)(m - maps) * 10007 + connections++;
    r->kind = m->kind;
    r->random = random;
    /* One in eight ends in the handshake, others after 2 KiB to 512 KiB. */
    r->bytes_left = draw(&r->random, 8) == 0
                        ? (int64_t)draw(&r->random, 600)
                        : (int64_t)draw(&r->random, 2048u << draw(&r->random, 9));
    r->at[0] = r->at[1] = r->len[0] = r->len[1] = 0;
    r->due[0] = r->due[1] = 0;
    r->ended[0] = r->ended[1] = false;
    r->fd[0] = fd;
    r->fd[1] = socket(m->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(r->fd[1], &m->to.any, place_len(&m->to)) < 0) relay_close(r, true);
}

static size_t slice(struct relay *r, size_t most)
{
    if (r->kind || most < 2 || draw(&r->random, 3)) return most;
    slices++;
    return 1 + (size_t)draw(&r->random, most < 3000 ? most : 3000);
}

static void relay_read(struct relay *r, int i, int64_t now)
{
    ssize_t n = recv(r->fd[i], r->from[i], slice(r, BUFFER), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    r->ended[i] = n <= 0;
    r->at[i] = 0;
    r->len[i] = n > 0 ? (size_t)n : 0;
    if (r->kind) return;
    if (draw(&r->random, 4) == 0) r->due[i] = now + (int64_t)draw(&r->random, 2 * MS);
    if (draw(&r->random, 40) == 0) {
        stalls++;
        r->due[i] = now + (int64_t)draw(&r->random, 40 * MS);
    }
}

/* false: it is over. */
static bool relay_write(struct relay *r, int i)
{
    ssize_t n = send(r->fd[!i], r->from[i] + r->at[i], slice(r, r->len[i]),
                     MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    r->at[i] += (size_t)n;
    r->len[i] -= (size_t)n;
    r->bytes_left -= n;
    return r->kind || r->bytes_left > 0;
}

static void relay_step(struct relay *r, int64_t now)
{
    for (int i = 0; i < 2; i++) {
        if (r->len[i] == 0 && !r->ended[i]) relay_read(r, i, now);
        if (r->len[i] > 0 && now >= r->due[i] && !relay_write(r, i)) {
            bool reset = !r->kind && draw(&r->random, 4);
            resets += reset;
            ends += !reset;
            relay_close(r, reset);
            return;
        }
        if (r->ended[i] && r->len[i] == 0) {
            relay_close(r, false);
            return;
        }
    }
}

/* Sleeps until something may move; how long at most is up to bytes that are late. */
static void wait_for_work(void)
{
    static struct pollfd p[MAPS + 2 * RELAYS];
    nfds_t n = 0;
    int64_t now = now_ns(), until = now + 1000 * MS;
    for (int i = 0; i < map_count; i++) p[n++] = (struct pollfd){ maps[i].listener, POLLIN, 0 };
    for (int k = 0; k < RELAYS; k++) {
        struct relay *r = &relays[k];
        for (int i = 0; i < 2 && r->fd[0] >= 0; i++) {
            short events = 0;
            if (r->len[i] == 0 && !r->ended[i]) events |= POLLIN;
            if (r->len[!i] > 0 && now >= r->due[!i]) events |= POLLOUT;
            if (r->len[!i] > 0 && now < r->due[!i] && r->due[!i] < until) until = r->due[!i];
            if (events) p[n++] = (struct pollfd){ r->fd[i], events, 0 };
        }
    }
    struct timespec left = { (until - now) / (1000 * MS), (until - now) % (1000 * MS) };
    ppoll(p, n, &left, NULL);
}

static void on_term(int signal)
{
    (void)signal;
    stop = 1;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    seed = strtoull(argv[1], NULL, 10);
    signal(SIGTERM, on_term);
    for (int i = 0; i < RELAYS; i++) relays[i].fd[0] = relays[i].fd[1] = -1;
    for (int i = 2; i < argc; i++) map_add(argv[i]);
    printf("ready\n");
    fflush(stdout);
    while (!stop) {
        wait_for_work();
        for (int i = 0; i < map_count; i++) relay_begin(&maps[i]);
        for (int i = 0; i < RELAYS; i++)
            if (relays[i].fd[0] >= 0) relay_step(&relays[i], now_ns());
    }
    printf("seed %llu: %llu connections, %llu resets, %llu ends, %llu stalls, %llu slices\n",
           (unsigned long long)seed, (unsigned long long)connections, (unsigned long long)resets,
           (unsigned long long)ends, (unsigned long long)stalls, (unsigned long long)slices);
    return 0;
}
