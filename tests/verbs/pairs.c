/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pairs.c - queue pairs that are made, used and destroyed leave nothing behind in the kernel
 *
 *   test-verbs-pairs NUMBER --kind processes --transport verbs --ranks 2
 *
 * Two ranks make NUMBER queue pairs, one link after the other: some are left in peace, some cut.
 * Then the kernel holds none of them (`rdma resource show`), and hardly more memory than after the
 * first; when both have closed, it holds what it did before: queue pairs, completion queues, memory
 * regions, domains.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/contract/cases.h"
#include "tests/contract/peer.h"
#include "transport/verbs/devices.h"
#include "transport/verbs/verbs.h"

enum {
    COUNTED = 256,
    /* of slots, for those that are kept for a moment: a process grows to that, and no further */
    SLABS = 12,
};

const struct transport_ops *const contract_extra = &transport_verbs;

static long wanted = 200;

/* What the kernel holds for everyone, in its own words: "0: rxe0: pd 1 cq 1 qp 3 cm_id 0 mr 2
 * …". */
static bool held(char text[COUNTED])
{
    FILE *rdma = popen("rdma resource show", "r");
    size_t len = rdma ? fread(text, 1, COUNTED - 1, rdma) : 0;
    text[len] = '\0';
    return rdma && pclose(rdma) == 0 && strstr(text, " qp ");
}

static void one_link(struct side *side, struct peer *peer, long round)
{
    struct job_rank *me = side->me;
    side_barrier(side);
    if (me->rank == round % 2) side_connect(side, peer->rank);
    SIDE_UNTIL(side, peer->ups == 1);
    peer_send(peer);
    SIDE_UNTIL(side, peer->received >= peer->sent);
    side_barrier(side);
    if (me->rank == 0)
        side->ops->disconnect(peer->link, round % 3 ? DISCONNECT_DRAIN : DISCONNECT_NOW);
    SIDE_UNTIL(side, peer->link == NULL);
    peer->ups = peer->downs = 0;
    peer->sent = peer->received = peer->undone = peer->undone_at = 0;
}

static int number_of(const char *text, const char *what)
{
    const char *at = strstr(text, what);
    return at ? atoi(at + strlen(what)) : -1;
}

/* What is held when no queue pair of ours is left; one whose peer left is kept for a moment. Others
 * wait, so the limit is a short one. */
static void await_none(struct side *side, int none, char text[COUNTED])
{
    struct job_rank *me = side->me;
    int64_t limit = job_now(me) + job_patience() * INT64_C(5000000000);
    do {
        CHECK(me, held(text));
        if (job_now(me) > limit) job_fail(me, __FILE__, __LINE__, "queue pairs are left: %s", text);
        side_progress(side, NULL);
    } while (number_of(text, " qp ") != none);
}

static void queue_pairs_leave_nothing(struct job_rank *me)
{
    struct side side;
    char before[COUNTED] = "", first[COUNTED] = "", now[COUNTED] = "";
    if (me->rank == 0) CHECK(me, held(before));
    int none = number_of(before, " qp ");
    job_barrier(me);
    side_open(&side, me);
    struct peer *peer = &side.peer[1 - me->rank];
    for (long round = 0; round < 2; round++) one_link(&side, peer, round);
    if (me->rank == 0) await_none(&side, none, first);
    side_barrier(&side);
    for (long round = 2; round < wanted / 2; round++) one_link(&side, peer, round);
    side_barrier(&side);
    if (me->rank == 0) {
        await_none(&side, none, now);
        if (number_of(now, " mr ") > number_of(first, " mr ") + SLABS)
            job_fail(me, __FILE__, __LINE__, "memory: first %s and now %s", first, now);
    }
    side_end(&side);
    job_barrier(me);
    if (me->rank == 0) CHECK(me, held(now));
    if (strcmp(before, now) != 0)
        job_fail(me, __FILE__, __LINE__, "held before: %s and after: %s", before, now);
    job_barrier(me);
}

int main(int argc, char **argv)
{
    static const struct suite_case cases[] = {
        { "queue pairs leave nothing", queue_pairs_leave_nothing, 2, 2, SUITE_PROCESSES, 0, 0, 0 },
        SUITE_END,
    };
    static const struct suite_case *const tables[] = { cases, NULL };
    static struct candidates candidates;
    struct config config = { .verbs_gid_index = -1 };
    struct why why;
    char text[COUNTED];
    if (argc < 2 || (wanted = atol(argv[1])) < 2) {
        fprintf(stderr, "usage: %s NUMBER, then as other suites\n", argv[0]);
        return 2;
    }
    if (devices_list(verbs_library(), &config, &candidates, &why) < 0) {
        printf("skipped: %s\n", why.text);
        return 77;
    }
    if (!held(text)) {
        printf("skipped: `rdma resource show` that counts queue pairs (iproute2)\n");
        return 77;
    }
    control_init();
    return suite_main(argc - 1, argv + 1, tables);
}
