/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/messaging_fake.h"

enum { MESSAGES = 48, REQUESTS = 6, LONG = 20000 };

enum { WIRED = 1, IN_ORDER = 2, UNCOUNTED = 4 };

static uint8_t out[LONG], in[REQUESTS][LONG];

/* What an answer may be about. */
static void begin(struct sinew_team *team, struct sinew_request *req[REQUESTS])
{
    PROMISE(sinew_recv(team, in[0], 8, 1, 1, NULL, &req[0]) >= 0);
    PROMISE(sinew_recv(team, in[1], LONG, 1, 2, NULL, &req[1]) >= 0);
    PROMISE(sinew_recv(team, in[2], LONG, SINEW_ANY_RANK, 3, NULL, &req[2]) >= 0);
    PROMISE(sinew_recv(team, in[3], 100, 1, SINEW_ANY_TAG, NULL, &req[3]) >= 0);
    PROMISE(sinew_send(team, out, LONG, 1, 4, &req[4]) >= 0);
    PROMISE(sinew_send_sync(team, out, 8, 1, 5, &req[5]) >= 0);
}

/* flags u8, head's length u8, body's length u16, head, body. 0: there is no more. */
static size_t one_message(struct fake *f, const uint8_t *bytes, size_t len)
{
    if (len < 4) return 0;
    size_t hlen = bytes[1] % (TRANSPORT_HEAD_MAX + 1), blen = wire_get16(bytes + 2) % 4096;
    uint8_t flags = bytes[0];
    int link = flags & WIRED && f->link[1][1] && f->up[1][1];
    if (len < 4 + hlen + blen || !f->link[link][1] || !f->up[link][1]) return 0;
    uint16_t seq = f->seq[1];
    struct packet *p = say(f, &(struct words){ .rank = 1, .fake = link, .kind = KIND_EAGER,
                                               .blen = blen, .body = bytes + 4 + hlen });
    memcpy(p->head, bytes + 4, hlen);
    p->hlen = hlen;
    if (flags & IN_ORDER && hlen >= 2) wire_put16(p->head, seq);
    if (flags & UNCOUNTED) f->seq[1] = seq;
    move(f);
    return 4 + hlen + blen;
}

/* Rank 1 is gone, and with it all that was between. */
static void finish(struct fake *f, struct sinew_request *req[REQUESTS])
{
    for (int i = 0; i < FAKES; i++)
        if (f->link[i][1]) end_link(f->link[i][1], SINEW_EPEER, GONE_DIED);
    move(f);
    for (int i = 0; i < REQUESTS; i++) {
        if (req[i] && i < 4) sinew_cancel(req[i]);
        for (int k = 0; req[i] && k < 100; k++) sinew_test(&req[i]);
        PROMISE(!req[i]);
    }
}

/* byte 0: 1: one of the two transports is wired. Then messages from rank 1, about requests too. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct sinew_request *req[REQUESTS] = { NULL };
    void *state = NULL;
    if (len < 1) return 0;
    PROMISE((bytes[0] & 1 ? open_fake_wired(&state) : open_fake(&state)) == 0);
    struct fake *f = state;
    begin(meet(f), req);
    move(f);
    size_t used, at = 1;
    for (int i = 0; i < MESSAGES && (used = one_message(f, bytes + at, len - at)) > 0; i++)
        at += used;
    rank_2_is_well(f);
    finish(f, req);
    close_fake(&state);
    return 0;
}
