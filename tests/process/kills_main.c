/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kills_main.c - runs the kills in a network namespace of their own, so that every socket name seen
 * at the end is one that a rank left behind
 */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "tests/process/cases.h"

/* Names of abstract sockets of the transport. */
static int sockets_seen(bool tell)
{
    char line[512];
    int n = 0;
    FILE *f = fopen("/proc/self/net/unix", "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (!strstr(line, "@sinew-")) continue;
        n++;
        if (tell) fputs(line, stdout);
    }
    if (f) fclose(f);
    return n;
}

/* The kernel may let go of the last ones a moment after it has told of their owner's end. Nobody is
 * left who could, so what stays for PATIENCE_S was left behind. */
static int sockets_left(void)
{
    enum { PATIENCE_S = 5 };
    time_t until = time(NULL) + PATIENCE_S;
    while (sockets_seen(false) > 0 && time(NULL) < until) sched_yield();
    return sockets_seen(true);
}

static int files_left(void)
{
    int n = 0;
    DIR *dir = opendir("/dev/shm");
    for (struct dirent *e; dir && (e = readdir(dir));) n += strstr(e->d_name, "sinew") != NULL;
    if (dir) closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    static const struct suite_case *const tables[] = { process_kills, process_scribbles, NULL };
    /* Other jobs, whose names are like these, may run beside it. */
    bool alone = unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
                 mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                 mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL) == 0;
    if (!alone) printf("not root: the names of sockets and files are shared, and not looked at\n");
    int status = suite_main(argc, argv, tables);
    int sockets = alone ? sockets_left() : 0, files = alone ? files_left() : 0;
    if (sockets == 0 && files == 0) return status;
    printf("left behind: %d socket names, %d files in /dev/shm\n", sockets, files);
    return 1;
}
