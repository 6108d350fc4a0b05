/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run_keeper.c - kills the ranks' process groups when sinewrun is gone, however it went
 *
 * The keeper is a fork that holds the reading end of a pipe of which sinewrun has the only lasting
 * writing end. Its end of file means that sinewrun is gone. (A parent-death signal would reach only
 * the ranks themselves, not what a shell among them started.)
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/run.h"

enum { GROUPS_MAX = LAUNCH_SIZE_MAX };

static void note(pid_t *groups, int *count, int32_t change)
{
    if (change > 0 && *count < GROUPS_MAX) groups[(*count)++] = change;
    for (int i = 0; change < 0 && i < *count; i++) {
        if (groups[i] != -change) continue;
        groups[i] = groups[--*count];
        return;
    }
}

static void keep(int fd)
{
    static pid_t groups[GROUPS_MAX];
    int count = 0;
    for (;;) {
        int32_t change;
        ssize_t n = read(fd, &change, sizeof(change));
        if (n < 0 && errno == EINTR) continue;
        if (n != (ssize_t)sizeof(change)) break;
        note(groups, &count, change);
    }
    for (int i = 0; i < count; i++) kill(-groups[i], SIGKILL);
    _exit(0);
}

/* Nothing of sinewrun's may live on in the keeper: its pipes would never end. */
static void keeper_become(int fd)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_NAME, "sinewrun-keeper");
    if (fd != 0) dup2(fd, 0);
    close_range(1, ~0u, 0);
    keep(0);
}

int keeper_start(struct keeper *k)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    k->pid = fork();
    if (k->pid == 0) keeper_become(ends[0]);
    close(ends[0]);
    k->fd = ends[1];
    if (k->pid > 0) return 0;
    close(ends[1]);
    return -1;
}

static void keeper_tell(const struct keeper *k, int32_t change)
{
    /* Four bytes go whole or not at all; a keeper that was killed is no reason to stop the job. */
    while (write(k->fd, &change, sizeof(change)) < 0 && errno == EINTR) {
    }
}

void keeper_add(const struct keeper *k, pid_t group)
{
    keeper_tell(k, group);
}
void keeper_drop(const struct keeper *k, pid_t group)
{
    keeper_tell(k, -group);
}

void keeper_end(struct keeper *k)
{
    close(k->fd);
    while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
