/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "sinew/sinew.h"
#include "tests/fuzz/fuzz.h"
#include "transport/tcp/internal.h"

static int messages, downs;

static int on_recv(struct link *l, const void *head, size_t hlen, const void *body, size_t blen,
                   struct lease *lease)
{
    uint64_t sum = 0;
    (void)l;
    (void)lease;
    for (size_t i = 0; i < hlen; i++) sum += ((const uint8_t *)head)[i];
    for (size_t i = 0; i < blen; i++) sum += ((const uint8_t *)body)[i];
    PROMISE(hlen <= TRANSPORT_HEAD_MAX && blen <= TCP_EAGER_MAX);
    messages++;
    return sum % 7 == 6 ? SINEW_EPROTO : 0;
}

static void on_done(struct link *l, uint64_t cookie, int status)
{
    (void)l;
    (void)cookie;
    (void)status;
}

static void on_room(struct link *l)
{
    (void)l;
}

static void on_down(struct link *l, int status, enum gone gone)
{
    (void)status;
    (void)gone;
    PROMISE(status == 0 || l->why.text[0]);
    downs++;
}

static const struct transport_up up = { .recv = on_recv, .done = on_done, .room = on_room,
                                        .down = on_down };

/* byte 0: checksums 1, a greeting is awaited 2; byte 1: length of slices. What follows comes on a
 * line that is open, with epoch 7; a region that may be put into has index 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct config config;
    static uint8_t target[4096];
    struct tcp *t = world_allocate_aligned(&world_real, 64, transport_tcp.transport_size);
    struct tcp_link *l = world_allocate_aligned(&world_real, 64, transport_tcp.link_size);
    struct region region = { .base = target, .len = sizeof(target) };
    int pair[2];
    if (len < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0) goto out;
    struct why why;
    if (!config.repair_deadline) PROMISE(config_load(&config, NULL, NULL, NULL, NULL, &why) == 0);
    snprintf(config.tcp_interface, sizeof(config.tcp_interface), "127.0.0.1");
    t->base = (struct transport){ .ops = &transport_tcp, .up = &up };
    t->base.opt = (struct transport_options){ .world = &world_real, .config = &config, .size = 2,
                                              .epoch = 3 };
    PROMISE(transport_tcp.open(&t->base) == 0);
    PROMISE(transport_tcp.reg(&t->base, NULL, &region) == 0);
    t->regions.slots[0].id &= (UINT64_C(1) << 40) - 1; /* a nonce that can be guessed */
    l->base = (struct link){ .ops = &transport_tcp, .transport = &t->base, .rank = 1, .epoch = 7 };
    PROMISE(link_begin(l) == 0);
    repair_begin(&l->repair, tcp_now(t), config.setup_deadline, 0);
    l->source.fd = pair[0];
    l->session.peer_epoch = 7;
    l->session.sums = bytes[0] & 1;
    l->state = bytes[0] & 2 ? LINK_SETUP : LINK_UP;
    l->line = bytes[0] & 2 ? LINE_GREETING : LINE_OPEN;
    downs = 0;
    size_t slice = (size_t)bytes[1] * 8 + 1;
    for (size_t at = 2; at < len && !downs; at += slice) {
        size_t n = len - at < slice ? len - at : slice;
        ssize_t took = send(pair[1], bytes + at, n, MSG_NOSIGNAL);
        (void)took;
        transport_tcp.progress(&t->base, &l->base);
        PROMISE(l->stream.in_from <= l->stream.in_to && l->stream.in_to <= TCP_BUFFER);
    }
    if (!downs) transport_tcp.disconnect(&l->base, DISCONNECT_NOW);
    for (int i = 0; i < 10 && !downs; i++) transport_tcp.progress(&t->base, NULL);
    PROMISE(downs == 1);
    transport_tcp.dereg(&t->base, &region);
    transport_tcp.close(&t->base);
    close(pair[1]);
out:
    world_release(&world_real, t, transport_tcp.transport_size);
    world_release(&world_real, l, transport_tcp.link_size);
    return 0;
}
