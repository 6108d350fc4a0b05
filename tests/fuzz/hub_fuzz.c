/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch/hub.h"
#include "tests/fuzz/fuzz.h"

enum { RANKS = 6 };

static void on_refused(void *arg, const char *from, const char *why)
{
    (void)arg;
    PROMISE(from[0] && why[0]);
}

static void on_lost(void *arg, struct node_peer *peer)
{
    hub_lost(arg, peer);
}

static const struct node_events events = { .lost = on_lost };

/* Whoever knocks is gone without a trace afterwards, or there would soon be no ports left. -1:
 * other programs of this machine have them all. */
static int knock(const struct hub *h)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    PROMISE(getsockname(h->fd, (struct sockaddr *)&at, &len) == 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    PROMISE(fd >= 0);
    if (connect(fd, (struct sockaddr *)&at, len) < 0) {
        perror("fuzz-hub: knocking");
        PROMISE(errno == EADDRNOTAVAIL);
        close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    return fd;
}

/* byte 0: length of slices. The rest comes from one who knocks at a hub without a secret, which has
 * rank 0 of six. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct node node;
    struct hub hub;
    if (len < 1) return 0;
    PROMISE(node_init(&node, &world_real, RANKS, &events, &hub) == 0);
    PROMISE(hub_open(&hub, &node, "127.0.0.1:0", NULL, 0, 1) == 0);
    hub.refused = on_refused;
    int guest = knock(&hub);
    size_t slice = (size_t)bytes[0] * 4 + 1;
    for (size_t at = 1; guest >= 0 && at < len; at += slice) {
        size_t n = len - at < slice ? len - at : slice;
        ssize_t took = send(guest, bytes + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)took;
        node_progress(&node, 64);
        PROMISE(hub.guest_count >= 0 && hub.guest_count <= 1 && hub.members <= 1);
        PROMISE(hub.taken_count >= 1 && hub.taken_count <= RANKS && node.records <= RANKS);
    }
    PROMISE((hub.members == 1) == (hub.taken_count > 1) || hub.members == 0);
    if (guest >= 0) close(guest);
    node_progress(&node, 64);
    hub_close(&hub);
    node_fini(&node);
    return 0;
}
