/* SPDX-License-Identifier: BSD-3-Clause */
/* Somebody's program: a job of one rank that sends itself a message. */
#include <sinew/sinew.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    char got[sizeof(SINEW_VERSION)];
    struct sinew *s;
    struct sinew_request *req;
    if (sinew_open(NULL, &s) < 0) {
        fprintf(stderr, "%s\n", sinew_why(NULL));
        return 1;
    }
    struct sinew_team *world = sinew_world(s);
    if (sinew_recv(world, got, sizeof(got), 0, 1, NULL, &req) < 0 ||
        sinew_send(world, sinew_version(), sizeof(got), 0, 1, NULL) < 0 || sinew_wait(&req) < 0) {
        fprintf(stderr, "%s\n", sinew_why(s));
        return 1;
    }
    if (sinew_close(s) < 0 || strcmp(got, SINEW_VERSION) != 0) return 1;
    return puts(got) < 0;
}
