/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run_rendezvous.c - several sinewruns, one job
 *
 * The one with rank 0 is the hub and lives as long as any other does; the others have it upstream.
 * Each ends its own ranks by its own rules when it hears of a failure, and each exits with the
 * first it heard of.
 */
#include <stdio.h>
#include <string.h>

#include "launch/meeting.h"
#include "launch/run.h"

/* Whoever knocks on and on must not fill the terminal. */
enum { REFUSALS_SAID = 20 };

static void on_refused(void *arg, const char *from, const char *why)
{
    struct run *run = arg;
    if (run->refusals++ < REFUSALS_SAID)
        run_say(run, "refused %s: %s%s", from, why,
                run->refusals == REFUSALS_SAID ? " (others will be refused in silence)" : "");
}

static int listen_here(struct run *run)
{
    const struct run_options *o = &run->options;
    char at[MEETING_TEXT_MAX];
    if (hub_open(&run->hub, &run->node, o->rendezvous, run->secret, o->first, o->ranks) < 0) {
        run_say(run, "%s", run->hub.why.text);
        return RUN_STATUS_FAILED;
    }
    run->hub.refused = on_refused;
    run->hub.arg = run;
    run->is_hub = true;
    run->setup_ns = world_now(run->world) + o->setup_ns;
    hub_address(&run->hub, at);
    size_t len = strlen(o->rendezvous);
    if (len > 2 && strcmp(o->rendezvous + len - 2, ":0") == 0) run_say(run, "rendezvous at %s", at);
    return 0;
}

static int join_there(struct run *run)
{
    const struct run_options *o = &run->options;
    struct join me = { o->first, o->ranks, o->size };
    struct welcome welcome;
    struct why why;
    int64_t until = world_now(run->world) + o->setup_ns;
    int rc = meeting_join(run->world, o->rendezvous, run->secret, &me, until,
                          &run->upstream.channel, &welcome, &why);
    if (rc < 0) {
        run_say(run, "%s%s", why.text,
                rc == SINEW_EAUTH ? " (are --secret-file and --size the same everywhere?)" : "");
        return RUN_STATUS_FAILED;
    }
    run->hub_ends = welcome.ends;
    run->upstream.upstream = true;
    run->upstream.first = o->first;
    run->upstream.count = o->ranks;
    run->is_member = true;
    node_attach(&run->node, &run->upstream);
    return 0;
}

int run_rendezvous_open(struct run *run)
{
    struct why why;
    run->hub.fd = -1;
    if (!run->options.rendezvous) return 0;
    if (secret_load(run->options.secret_file, run->secret, &why) < 0) {
        run_say(run, "%s", why.text);
        return RUN_STATUS_FAILED;
    }
    return run->options.first == 0 ? listen_here(run) : join_there(run);
}

void run_rendezvous_lost(struct run *run, struct node_peer *peer)
{
    if (peer != &run->upstream) {
        hub_lost(&run->hub, peer);
        return;
    }
    run->is_member = false;
    channel_close(&peer->channel);
    if (run->hub_ends && run->node.records == run->node.size) return;
    if (!peer->channel.in_order && !run->stopping)
        run_say(run, "the connection to the launcher of rank 0 ended: %s", peer->channel.why.text);
    node_bury(&run->node, 0, run->options.first);
    int behind = run->options.first + run->options.ranks;
    node_bury(&run->node, behind, run->options.size - behind);
}

static void list_absent(const struct run *run, char *text, size_t cap)
{
    struct text t = text_into(text, cap);
    for (int rank = 0, end; rank < run->options.size; rank = end + 1) {
        for (end = rank; end < run->options.size && !run->hub.taken[end]; end++) {
        }
        if (end == rank) continue;
        text_add(&t, t.need ? ", %d" : "%d", rank);
        if (end - 1 > rank) text_add(&t, "-%d", end - 1);
    }
}

void run_rendezvous_late(struct run *run)
{
    char absent[160], took[TEXT_DURATION_MAX];
    run->setup_ns = INT64_MAX;
    if (!run->is_hub || run->stopping || run->hub.taken_count == run->options.size) return;
    list_absent(run, absent, sizeof(absent));
    run_say(run, "after %s nobody has come to the rendezvous for rank %s; ending the job",
            text_duration(run->options.setup_ns, took), absent);
    run_decide(run, RUN_STATUS_FAILED);
    run_stop(run);
}

/* The hub's own ranks may end first; the others still need each other's news. */
bool run_rendezvous_over(struct run *run)
{
    if (!run->is_hub || run->stopping) return true;
    return run->hub.members == 0 && run->hub.taken_count == run->options.size;
}

void run_rendezvous_close(struct run *run)
{
    int64_t until = world_now(run->world) + RUN_SECOND;
    if (run->is_hub) {
        hub_finish(&run->hub, until);
        hub_close(&run->hub);
    }
    if (run->is_member) {
        node_tell(&run->upstream, FRAME_BYE, NULL, 0);
        channel_drain(&run->upstream.channel, until);
        node_detach(&run->upstream);
        channel_close(&run->upstream.channel);
    }
}
