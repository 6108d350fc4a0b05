/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/socket.h>
#include <unistd.h>

#include "launch/node.h"
#include "launch/welcome.h"
#include "tests/fuzz/fuzz.h"

enum { RANKS = 6, OUT = 1 << 20 };

static struct node_peer *lost;

static void on_lost(void *arg, struct node_peer *peer)
{
    (void)arg;
    lost = peer;
    channel_close(&peer->channel);
}

static const struct node_events events = { .lost = on_lost };

static void decoders(const uint8_t *bytes, size_t len)
{
    struct join join;
    struct welcome welcome;
    struct why why;
    if (join_decode(&join, bytes, len, &why) == 0)
        PROMISE(join.first >= 0 && join.count > 0 && join.first + join.count <= join.size);
    if (welcome_decode(&welcome, bytes, len, &why) == 0)
        PROMISE(welcome.rank >= 0 && welcome.rank < welcome.size);
}

/* byte 0: the neighbour is a launcher above 1, or speaks for ranks 2 and 3. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct node node;
    struct node_peer peer = { 0 };
    int pair[2];
    if (len < 1) return 0;
    decoders(bytes + 1, len - 1);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0) return 0;
    PROMISE(node_init(&node, &world_real, RANKS, &events, NULL) == 0);
    channel_init(&peer.channel, &world_real, pair[0], OUT);
    peer.upstream = bytes[0] & 1;
    peer.first = 2;
    peer.count = 2;
    lost = NULL;
    node_attach(&node, &peer);
    ssize_t n = send(pair[1], bytes + 1, len - 1, MSG_NOSIGNAL);
    (void)n;
    close(pair[1]);
    for (int i = 0; i < 64 && !lost; i++) node_progress(&node, 64);
    PROMISE(lost);
    PROMISE(node.records >= 0 && node.records <= RANKS);
    node_fini(&node);
    return 0;
}
