/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/shm/hello.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/siphash.h"
#include "base/wire.h"
#include "sinew/sinew.h"

enum { HELLO_MAGIC = 0x4d485353, HELLO_CONTROL_MAX = 16 /* descriptors taken in, to be closed */ };

static void hello_prove(const struct hello_packet *packet, const uint8_t *secret,
                        const struct hello_packet *to, uint8_t proof[HELLO_PROOF])
{
    uint8_t text[16 + 2 * HELLO_SIGNED] = "sinew shm hello";
    size_t len = 16;
    if (to) {
        memcpy(text + len, to->bytes, HELLO_SIGNED);
        len += HELLO_SIGNED;
    }
    memcpy(text + len, packet->bytes, HELLO_SIGNED); /* its kind is among them */
    len += HELLO_SIGNED;
    wire_put64(proof, siphash(secret, text, len));
    wire_put64(proof + 8, siphash(secret + SIPHASH_KEY, text, len));
}

void hello_encode(struct hello_packet *out, const struct hello *hello, const uint8_t *secret,
                  const struct hello_packet *to)
{
    uint8_t *b = out->bytes;
    memset(b, 0, HELLO_LEN);
    wire_put32(b, HELLO_MAGIC);
    wire_put16(b + 4, HELLO_VERSION);
    b[6] = hello->kind;
    b[7] = (uint8_t)(hello->flags | (secret ? HELLO_PROVEN : 0));
    wire_put32(b + 8, hello->size);
    wire_put32(b + 12, hello->from);
    wire_put32(b + 16, hello->to);
    wire_put32(b + 20, hello->segment);
    wire_put64(b + 24, hello->epoch);
    wire_put64(b + 32, hello->name);
    memcpy(b + 40, hello->nonce, sizeof(hello->nonce));
    wire_put64(b + 56, hello->self);
    if (secret) hello_prove(out, secret, to, b + HELLO_SIGNED);
}

/* Takes the same time wherever the difference is. */
static bool same_proof(const uint8_t *a, const uint8_t *b)
{
    volatile uint8_t difference = 0;
    for (int i = 0; i < HELLO_PROOF; i++) difference = (uint8_t)(difference | (a[i] ^ b[i]));
    return difference == 0;
}

static int hello_verify(const struct hello_packet *in, const uint8_t *secret,
                        const struct hello_packet *to, struct why *why)
{
    uint8_t proof[HELLO_PROOF];
    if (!(in->bytes[7] & HELLO_PROVEN))
        return why_set(why, SINEW_EAUTH, "the peer proves nothing: it runs without the job secret");
    hello_prove(in, secret, to, proof);
    if (!same_proof(proof, in->bytes + HELLO_SIGNED))
        return why_set(why, SINEW_EAUTH, "the peer's proof is wrong: its job secret differs");
    return 0;
}

int hello_decode(const struct hello_packet *in, const uint8_t *secret,
                 const struct hello_packet *to, struct hello *hello, struct why *why)
{
    struct wire_reader r = wire_read(in->bytes, HELLO_LEN);
    if (wire_take32(&r) != HELLO_MAGIC)
        return why_set(why, SINEW_EPROTO, "the first bytes are not Sinew's");
    uint16_t version = wire_take16(&r);
    if (version != HELLO_VERSION)
        return why_set(why, SINEW_EVERSION, "the peer speaks version %u, this process %d", version,
                       HELLO_VERSION);
    hello->kind = wire_take8(&r);
    hello->flags = wire_take8(&r);
    hello->size = wire_take32(&r);
    hello->from = wire_take32(&r);
    hello->to = wire_take32(&r);
    hello->segment = wire_take32(&r);
    hello->epoch = wire_take64(&r);
    hello->name = wire_take64(&r);
    memcpy(hello->nonce, wire_take(&r, 16), sizeof(hello->nonce));
    hello->self = wire_take64(&r);
    /* A refusal is believed unproven: whoever could forge one could as well close the socket. */
    if (!secret || hello->kind == HELLO_REFUSE) return 0;
    return hello_verify(in, secret, to, why);
}

int hello_send(int fd, const struct hello_packet *packet, const int *descriptors, int n,
               struct why *why)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(HELLO_DESCRIPTORS * sizeof(int))];
    } control = { 0 };
    struct iovec io = { (void *)packet->bytes, HELLO_LEN };
    struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
    size_t bytes = (size_t)n * sizeof(int);
    if (n > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(c), descriptors, bytes);
    }
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == HELLO_LEN) return 0;
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return SINEW_PENDING;
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
        return why_set(why, SINEW_EPEER, "the peer closed its socket");
    return why_set(why, SINEW_EIO, "sendmsg: %s", strerror(errno));
}

/* All descriptors of a message; those beyond HELLO_DESCRIPTORS are closed. Returns how many
 * came. */
static int hello_descriptors(struct msghdr *message, int descriptors[HELLO_DESCRIPTORS])
{
    int came = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++, came++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (came < HELLO_DESCRIPTORS)
                descriptors[came] = fd;
            else
                close(fd);
        }
    }
    return came;
}

int hello_receive(int fd, struct hello_packet *packet, int descriptors[HELLO_DESCRIPTORS], int *n,
                  struct why *why)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(HELLO_CONTROL_MAX * sizeof(int))];
    } control;
    struct iovec io = { packet->bytes, HELLO_LEN };
    struct msghdr message = { .msg_iov = &io,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
    ssize_t len = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) return SINEW_PENDING;
    if (len < 0) return why_set(why, SINEW_EPEER, "the peer's socket: %s", strerror(errno));
    int came = hello_descriptors(&message, descriptors);
    if (len == 0 && came == 0) return why_set(why, SINEW_EPEER, "the peer closed its socket");
    if (len == HELLO_LEN && came <= HELLO_DESCRIPTORS &&
        !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        *n = came;
        return 0;
    }
    for (int i = 0; i < came && i < HELLO_DESCRIPTORS; i++) close(descriptors[i]);
    if (message.msg_flags & MSG_CTRUNC)
        return why_set(why, SINEW_EPROTO,
                       "descriptors were lost: the peer sent too many, or this process may not "
                       "open more (ulimit -n)");
    return why_set(why, SINEW_EPROTO, "a packet of %zd bytes with %d descriptors is not Sinew's",
                   len, came);
}
