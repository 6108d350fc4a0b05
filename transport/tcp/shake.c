/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shake.c - from connected to trusted: the handshake, then TLS where both ends want it
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/config.h"
#include "transport/tcp/internal.h"

static struct handshake_identity identity_of(const struct tcp *t)
{
    const struct transport_options *opt = &t->base.opt;
    bool encrypts = opt->config->security == SINEW_SECURITY_ENCRYPT;
    return (struct handshake_identity){
        .rank = opt->rank,
        .size = opt->size,
        .epoch = opt->epoch,
        .purpose = HANDSHAKE_LINK,
        .modes = (encrypts ? (unsigned)HANDSHAKE_ENCRYPT : 0) |
                 (opt->config->checksum ? (unsigned)HANDSHAKE_CHECKSUM : 0),
    };
}

static int shake_begin_as(struct tcp *t, struct shake *s, enum handshake_role role, int expect_rank,
                          const struct handshake_identity *me, struct why *why)
{
    const struct transport_options *opt = &t->base.opt;
    int rc = handshake_begin(&s->handshake, role, opt->world, opt->secret, me, expect_rank, 0);
    return rc < 0 ? why_set(why, rc, "%s", s->handshake.why.text) : 0;
}

int shake_begin(struct tcp *t, struct shake *s, enum handshake_role role, int expect_rank,
                struct why *why)
{
    struct handshake_identity me = identity_of(t);
    int rc = me.modes & HANDSHAKE_ENCRYPT ? tls_load(&t->tls, t->base.opt.world, why) : 0;
    if (rc == 0) rc = shake_begin_as(t, s, role, expect_rank, &me, why);
    if (rc != SINEW_ENOTSUP || role == HANDSHAKE_CLIENT) return rc;
    /* Whoever comes is told, or he would come again until his deadline, and never know. */
    me.modes |= HANDSHAKE_LACKS;
    struct why lacking = *why;
    rc = shake_begin_as(t, s, role, expect_rank, &me, why);
    s->handshake.why = lacking;
    return rc;
}

void shake_end(struct tcp *t, struct shake *s)
{
    tls_end(&s->tls, t->base.opt.world);
    explicit_bzero(s, sizeof(*s));
}

int shake_run(struct tcp *t, struct shake *s, int fd, uint32_t *events, struct why *why)
{
    if (!s->tls) {
        int rc = tcp_shake(&s->handshake, &s->done, fd, events, why);
        if (rc || !(s->handshake.modes & HANDSHAKE_ENCRYPT)) return rc;
        rc = tls_begin(&s->tls, t->tls, t->base.opt.world, &s->handshake, fd, why);
        if (rc < 0) return rc;
    }
    return tls_shake(s->tls, events, why);
}

int tcp_shake(struct handshake *h, bool *shaken, int fd, uint32_t *events, struct why *why)
{
    uint8_t bytes[HANDSHAKE_BUFFER];
    const void *out;
    size_t len;
    for (;;) {
        while ((len = handshake_output(h, &out)) > 0) {
            ssize_t n = send(fd, out, len, MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) {
                *events = EPOLLIN | EPOLLOUT;
                return SINEW_PENDING;
            }
            if (n < 0) return report_errno(why, SINEW_EPEER, errno, "the handshake broke off");
            handshake_sent(h, (size_t)n);
        }
        *events = EPOLLIN;
        if (*shaken) return 0;
        len = handshake_wants(h);
        ssize_t n = recv(fd, bytes, len < sizeof(bytes) ? len : sizeof(bytes), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return SINEW_PENDING;
        if (n < 0) return report_errno(why, SINEW_EPEER, errno, "the handshake broke off");
        if (n == 0)
            return why_set(why, SINEW_EPEER, "the connection was closed during the handshake");
        int rc = handshake_input(h, bytes, (size_t)n);
        if (rc < 0) {
            /* What is waiting tells the other end why. */
            len = handshake_output(h, &out);
            if (len > 0 && send(fd, out, len, MSG_NOSIGNAL) > 0) handshake_sent(h, len);
            return why_set(why, rc, "%s", h->why.text);
        }
        *shaken = rc == 0;
    }
}

ssize_t tcp_bytes_out(struct tls *tls, int fd, const void *bytes, size_t len)
{
    const struct iovec v = { (void *)(uintptr_t)bytes, len };
    return tls ? tls_send(tls, &v, 1) : send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t tcp_bytes_in(struct tls *tls, int fd, void *bytes, size_t cap, bool *dry)
{
    if (tls) return tls_receive(tls, bytes, cap, dry);
    ssize_t n = recv(fd, bytes, cap, MSG_DONTWAIT);
    *dry = n < (ssize_t)cap;
    return n;
}
