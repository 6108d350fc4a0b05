/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * job_open.c - contexts of the ranks; apart, so that tests of transports do without messaging
 */
#include "tests/support/job_board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "messaging/origin.h"
#include "transport/sim/sim.h"

static int exchange_allgather(void *arg, const void *mine, size_t len, void *all)
{
    job_allgather(arg, mine, len, all);
    return 0;
}

static int exchange_failed(void *arg, int *rank)
{
    struct job_rank *me = arg;
    for (int r = 0; r < me->size; r++) {
        uint32_t bit = 1u << r;
        if (!atomic_load(&me->board->ended[r]) || (me->told & bit)) continue;
        me->told |= bit;
        *rank = r;
        return 1;
    }
    return 0;
}

static void write_log(void *arg, int level, const char *line)
{
    struct job_rank *me = arg;
    struct job_log *log = &me->board->log[me->rank];
    (void)level;
    snprintf(log->line[log->count % JOB_LOG_LINES], JOB_LOG_LINE, "%s", line);
    log->count++;
}

int job_log_count(const struct job_rank *me, const char *containing)
{
    const struct job_log *log = &me->board->log[me->rank];
    int kept = log->count < JOB_LOG_LINES ? log->count : JOB_LOG_LINES, found = 0;
    for (int i = 0; i < kept; i++) found += strstr(log->line[i], containing) != NULL;
    return found;
}

const char *job_log_last(const struct job_rank *me)
{
    const struct job_log *log = &me->board->log[me->rank];
    return log->count ? log->line[(log->count - 1) % JOB_LOG_LINES] : "";
}

int job_try_open(struct job_rank *me, const struct sinew_options *options, struct sinew **s)
{
    static const struct transport_ops *const sim_only[] = { &transport_sim, NULL };
    struct sinew_options o = SINEW_OPTIONS_INIT;
    if (options) o = *options;
    if (!o.transports) o.transports = me->transport;
    if (!o.settings) o.settings = getenv("TEST_SETTINGS");
    if (!o.log) {
        o.log = write_log;
        o.log_arg = me;
    }
    if (o.environment == SINEW_HONOUR) o.environment = SINEW_IGNORE;
    if (me->kind == JOB_SIM) {
        struct origin origin = { sim_world(me->sim), sim_only, NULL, NULL };
        int status = sim_launch(me->sim, &origin.launch);
        return status < 0 ? status : context_open(&o, &origin, s);
    }
    me->exchange =
        (struct sinew_exchange){ me->rank, me->size, exchange_allgather,
                                 me->board->tells_failures ? exchange_failed : NULL, me };
    o.exchange = &me->exchange;
    o.secret = me->board->secret;
    return sinew_open(&o, s);
}

struct sinew *job_open(struct job_rank *me, const struct sinew_options *options)
{
    struct sinew *s = NULL;
    int status = job_try_open(me, options, &s);
    me->why = sinew_why;
    if (status < 0)
        job_fail(me, __FILE__, __LINE__, "open gave %s: %s", sinew_strstatus(status),
                 sinew_why(NULL));
    me->s = s;
    return s;
}

void job_close(struct job_rank *me, struct sinew *s)
{
    int status = sinew_close(s);
    if (status < 0) job_fail(me, __FILE__, __LINE__, "close gave %s", sinew_strstatus(status));
    if (me->s == s) me->s = NULL;
}
