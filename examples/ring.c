/* SPDX-License-Identifier: BSD-3-Clause */
/* ring.c - a number goes round all ranks, and each adds its own */
#include <sinew/sinew.h>
#include <stdio.h>

enum { TAG = 7 };

int main(void)
{
    struct sinew *s;
    if (sinew_open(NULL, &s) < 0) return fprintf(stderr, "ring: %s\n", sinew_why(NULL)), 1;

    struct sinew_team *world = sinew_world(s);
    int me = sinew_rank(world), n = sinew_size(world), sum = 0, status = 0;
    int next = (me + 1) % n, previous = (me + n - 1) % n;

    if (me > 0) status = sinew_recv(world, &sum, sizeof(sum), previous, TAG, NULL, NULL);
    sum += me;
    if (status == 0 && n > 1) status = sinew_send(world, &sum, sizeof(sum), next, TAG, NULL);
    if (status == 0 && me == 0 && n > 1)
        status = sinew_recv(world, &sum, sizeof(sum), previous, TAG, NULL, NULL);

    if (status < 0) fprintf(stderr, "ring: rank %d: %s\n", me, sinew_why(s));
    if (status == 0 && me == 0) printf("%d ranks, and their numbers add up to %d\n", n, sum);
    if (status < 0) sinew_abandon(s);
    else sinew_close(s);
    return status < 0;
}
