/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * path_rank.c - one of two ranks on one host, in namespaces of their own: by which path do they
 * meet?
 *
 *   path-rank TRANSPORT WORDS [no-pidfd]
 *
 * They exchange messages of 8 bytes to 1 MiB; the link must be TRANSPORT's, and sinew_explain must
 * say WORDS ("" for none) of the path that was not taken. no-pidfd: as if a filter refused
 * pidfd_open() to rank 1.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "sinew/sinew.h"

static int refuse_pidfd_open(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int exchange(struct sinew_team *world, int me, size_t len)
{
    unsigned char *out = malloc(len), *in = calloc(1, len);
    int status = out && in ? 0 : SINEW_ENOMEM, other = 1 - me;
    if (status == 0) {
        for (size_t i = 0; i < len; i++) out[i] = (unsigned char)(i * 7 + (size_t)me);
        status = sinew_sendrecv(world, out, len, other, in, len, other, 1, NULL, NULL);
    }
    for (size_t i = 0; status == 0 && i < len; i++)
        if (in[i] != (unsigned char)(i * 7 + (size_t)other)) status = SINEW_EPROTO;
    free(out);
    free(in);
    return status;
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = { 8, 1000, 20000, 1 << 20 };
    const char *rank = getenv("SINEW_RANK");
    struct sinew *s;
    char text[4096], link[64];
    if (argc > 3 && rank && atoi(rank) == 1 && refuse_pidfd_open() < 0) return 77;
    if (argc < 3 || sinew_open(NULL, &s) < 0) {
        fprintf(stderr, "path-rank: %s\n", argc < 3 ? "TRANSPORT WORDS" : sinew_why(NULL));
        return 1;
    }
    int me = sinew_rank(sinew_world(s));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        if (i == 1) /* while the other is there */
            sinew_explain(sinew_world(s), 1 - me, 8, text, sizeof(text), NULL);
        if (exchange(sinew_world(s), me, lengths[i]) == 0) continue;
        fprintf(stderr, "path-rank %d: %zu bytes: %s\n", me, lengths[i], sinew_why(s));
        return 1;
    }
    snprintf(link, sizeof(link), "%s, connected", argv[1]);
    if (!strstr(text, link) || !strstr(text, argv[2])) {
        fprintf(stderr, "path-rank %d: wanted \"%s\" and \"%s\" in:\n%s", me, link, argv[2], text);
        return 1;
    }
    return sinew_close(s) < 0;
}
