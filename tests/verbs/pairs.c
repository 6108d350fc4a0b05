/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pairs.c - queue pairs that are made, used and destroyed leave nothing behind in the kernel
 *
 *   test-verbs-pairs NUMBER --kind processes --transport verbs --ranks 2
 *
 * Two ranks make NUMBER queue pairs, one link after the other: some are left in peace, some cut. What the
 * kernel then holds of queue pairs, completion queues, memory regions and domains (`rdma resource show`)
 * is what it held when the first link was gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/contract/cases.h"
#include "tests/contract/peer.h"
#include "transport/verbs/devices.h"
#include "transport/verbs/verbs.h"

enum { COUNTED = 256 };

const struct transport_ops *const contract_extra = &transport_verbs;

static long wanted = 200;

/* What the kernel holds for everyone, in its own words: "0: rxe0: pd 1 cq 1 qp 3 cm_id 0 mr 2 …". */
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

static int queue_pairs(const char *text)
{
    const char *at = strstr(text, " qp ");
    return at ? atoi(at + 4) : -1;
}

/* What is held when so many queue pairs are left; one whose peer left is kept for a moment. Others wait, so
 * the limit is a short one. */
static void await_held(struct side *side, int left, char text[COUNTED])
{
    struct job_rank *me = side->me;
    int64_t limit = job_now(me) + job_patience() * INT64_C(5000000000);
    do {
        CHECK(me, held(text));
        if (job_now(me) > limit)
            job_fail(me, __FILE__, __LINE__, "not %d queue pairs are left: %s", left, text);
        side_progress(side, NULL);
    } while (queue_pairs(text) != left);
}

static void queue_pairs_leave_nothing(struct job_rank *me)
{
    struct side side;
    char before[COUNTED] = "", now[COUNTED] = "";
    side_open(&side, me);
    struct peer *peer = &side.peer[1 - me->rank];
    side_barrier(&side);
    if (me->rank == 0) CHECK(me, held(before));
    int none = queue_pairs(before);
    side_barrier(&side);
    for (long round = 0; round < 2; round++) one_link(&side, peer, round);
    if (me->rank == 0) await_held(&side, none, before);
    side_barrier(&side);
    for (long round = 2; round < wanted / 2; round++) one_link(&side, peer, round);
    side_barrier(&side);
    if (me->rank == 0) {
        await_held(&side, none, now);
        if (strcmp(before, now) != 0)
            job_fail(me, __FILE__, __LINE__, "held before: %s and now: %s", before, now);
    }
    side_barrier(&side);
    side_end(&side);
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
