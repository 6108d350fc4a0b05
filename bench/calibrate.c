/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calibrate.c - the model's parameters of the link between two ranks (collectives/model.h),
 * measured
 *
 *   o     a short message of a window of them, at the busier end
 *   L     a barrier of two is one round with two messages: L + 2 o
 *   G     a byte of a long broadcast: one way, both ends at work at once
 *   O     half a byte of a long exchange, where each end sends and receives: it is the processor's
 *         if the exchange takes longer than one way
 *   ask   what each of a window of messages of twice long_bytes takes longer than bytes and o
 *   R     what one of four times long_bytes takes longer than L, bytes, and o and ask of both ends
 *   copy  a byte of memcpy()
 *   add   a byte of a long reduce beside the same byte of a broadcast; what is more than copying is
 *         called staging
 *
 * Each is the least of several loops, the slower rank's: whatever else runs only adds. What two
 * ranks cannot show (turns, ports) is left out, and so stays as it is built in. The output is a
 * file for collective_rules.
 */
#include "perf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT = 8, LONG = 1 << 20, ASKED = 16 << 10, ROOM = 2 * ASKED * PERF_WINDOW };
enum { LOOPS = 15, LOOP_NS = 2000000, F32 = 4 };

struct calibration {
    struct perf *perf;
    uint8_t *out, *in;
};

static int call_barrier(const struct calibration *c, size_t len)
{
    (void)len;
    return sinew_barrier(c->perf->world, NULL);
}

static int call_bcast(const struct calibration *c, size_t len)
{
    return sinew_bcast(c->perf->world, c->out, len, 0, NULL);
}

static int call_reduce(const struct calibration *c, size_t len)
{
    return sinew_reduce(c->perf->world, c->out, c->in, len / F32, SINEW_F32, SINEW_SUM, 0, NULL);
}

static int call_exchange(const struct calibration *c, size_t len)
{
    int other = 1 - c->perf->rank;
    return sinew_sendrecv(c->perf->world, c->out, len, other, c->in, len, other, 1, NULL, NULL);
}

static int call_ping_pong(const struct calibration *c, size_t len)
{
    struct sinew_team *team = c->perf->world;
    int first = c->perf->rank == 0;
    int status = first ? sinew_send(team, c->out, len, 1, 1, NULL)
                       : sinew_recv(team, c->in, len, 0, 1, NULL, NULL);
    if (status < 0) return status;
    return first ? sinew_recv(team, c->in, len, 1, 1, NULL, NULL)
                 : sinew_send(team, c->out, len, 0, 1, NULL);
}

/* Rank 0 sends a window, and rank 1 answers. */
static int call_window(const struct calibration *c, size_t len)
{
    struct sinew_request *request[PERF_WINDOW];
    struct sinew_team *team = c->perf->world;
    int first = c->perf->rank == 0, status = 0;
    for (int i = 0; i < PERF_WINDOW; i++) {
        request[i] = NULL;
        status = first ? sinew_send(team, c->out, len, 1, 1, &request[i])
                       : sinew_recv(team, c->in + (size_t)i * len, len, 0, 1, NULL, &request[i]);
        if (status < 0) return status;
    }
    status = sinew_wait_all(request, PERF_WINDOW, NULL, SINEW_FOREVER);
    if (status < 0) return status;
    return first ? sinew_recv(team, c->in, len, 1, 2, NULL, NULL)
                 : sinew_send(team, c->out, len, 0, 2, NULL);
}

static int call_copy(const struct calibration *c, size_t len)
{
    memcpy(c->in, c->out, len);
    return 0;
}

/* ns of n calls, the slower rank's. */
static double loop_ns(const struct calibration *c,
                      int (*call)(const struct calibration *c, size_t len), size_t len, uint64_t n)
{
    perf_check(c->perf, sinew_barrier(c->perf->world, NULL), "barrier");
    int64_t before = statistics_now();
    for (uint64_t i = 0; i < n; i++) perf_check(c->perf, call(c, len), "calibrate");
    double took = (double)(statistics_now() - before);
    int status =
        sinew_allreduce(c->perf->world, SINEW_IN_PLACE, &took, 1, SINEW_F64, SINEW_MAX, NULL);
    perf_check(c->perf, status, "maximum over ranks");
    return took;
}

/* ns of a call. All ranks know the same times, and so run as many. */
static double call_ns(const struct calibration *c,
                      int (*call)(const struct calibration *c, size_t len), size_t len)
{
    uint64_t n = 1;
    while (loop_ns(c, call, len, n) < LOOP_NS && n < PERF_SAMPLES_MAX) n *= 2;
    double least = loop_ns(c, call, len, n);
    for (int i = 1; i < LOOPS; i++) {
        double again = loop_ns(c, call, len, n);
        if (again < least) least = again;
    }
    return least / (double)n;
}

/* What the choice calls it: "barrier of 0 bytes among 2 ranks over shm: …". */
static void link_name(const struct perf *p, char name[PERF_TRANSPORT_MAX])
{
    char text[PERF_TEXT_MAX];
    int status = sinew_explain_collective(p->world, "barrier", 0, text, sizeof(text), NULL);
    perf_check(p, status, "explain");
    const char *over = strstr(text, " over ");
    if (!over || sscanf(over, " over %15[a-z]", name) != 1) perf_die(p, "which link is it: %s", text);
}

static double not_less(double value, double least)
{
    return value > least ? value : least;
}

/* What one window of long messages takes longer than their bytes do, for each of them. */
static double asking(const struct calibration *c, double byte_ns, double overhead)
{
    size_t len = 2 * ASKED;
    return not_less(call_ns(c, call_window, len) / PERF_WINDOW - (double)len * byte_ns - overhead,
                    0);
}

static void calibrate_print(const struct perf *p, const struct calibration *c)
{
    char transport[PERF_TRANSPORT_MAX];
    double overhead = call_ns(c, call_window, SHORT) / PERF_WINDOW;
    double barrier = call_ns(c, call_barrier, 0);
    double one_way = call_ns(c, call_bcast, LONG) / LONG;
    double both = call_ns(c, call_exchange, LONG) / LONG;
    double added = call_ns(c, call_reduce, LONG) / LONG;
    double asked = call_ns(c, call_ping_pong, (size_t)4 * ASKED) / 2;
    double copied = call_ns(c, call_copy, LONG) / LONG;
    double ask = asking(c, one_way, overhead), adding = not_less(added - one_way, 0);
    if (overhead > barrier / 2) overhead = barrier / 2;
    if (p->rank > 0) return;
    link_name(p, transport);
    printf("{ \"links\": { \"%s\": {\n"
           "    \"latency_ns\": %.4g, \"overhead_ns\": %.4g, \"byte_ns\": %.3g, \"touch_ns\": %.3g,\n"
           "    \"long_bytes\": %d, \"long_ns\": %.4g, \"ask_ns\": %.4g,\n"
           "    \"add_ns\": %.3g, \"copy_ns\": %.3g, \"stage_ns\": %.3g } } }\n",
           transport, barrier - 2 * overhead, overhead, one_way, both / 2, ASKED,
           not_less(asked - barrier - 2 * ask - 4 * ASKED * one_way, 0), ask,
           adding < copied ? adding : copied, copied, not_less(adding - copied, 0));
}

static void calibrate_report(struct perf *p)
{
    struct calibration c = { p, calloc(1, ROOM), calloc(1, ROOM) };
    if (!c.out || !c.in) perf_die(p, "no memory for buffers of %d bytes", ROOM);
    calibrate_print(p, &c);
    free(c.out);
    free(c.in);
}

const struct workload workload_calibrate = {
    .name = "calibrate",
    .text = "the model's parameters of this link, as a file for collective_rules",
    .pair = true,
    .unit = "ns",
    .report = calibrate_report,
};
