/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_TCP_TLS_H
#define TRANSPORT_TCP_TLS_H
/*
 * tls.h - TLS 1.3 on a connected socket, by OpenSSL 3
 *
 * TLS 1.3 only, one suite, no certificates, no tickets, no resumption: both ends have the key of
 * this connection from the handshake (base/handshake.h), and show it to each other as an external
 * pre-shared key, with a fresh Diffie-Hellman exchange on top: who learns the job secret later
 * cannot read what was said before. The identity that goes with the key names both ranks and
 * epochs.
 *
 * libssl is opened (dlopen) for the first connection that is encrypted. Its memory is its own, from
 * the heap.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/handshake.h"
#include "base/text.h"
#include "base/world.h"

struct tls_library; /* one per transport */
struct tls;         /* one per connection */

/* *library stays if it is there. SINEW_ENOTSUP with what to install, SINEW_ENOMEM. */
int tls_load(struct tls_library **library, const struct world *world, struct why *why);
void tls_unload(struct tls_library **library, const struct world *world);

/* With the key of a handshake that is done, which is wiped. The socket stays the caller's. */
int tls_begin(struct tls **out, struct tls_library *library, const struct world *world,
              struct handshake *h, int fd, struct why *why);
void tls_end(struct tls **tls, const struct world *world);

/* 0: done; > 0: *events says what to wait for; SINEW_EAUTH, SINEW_EPROTO, SINEW_EPEER with why. */
int tls_shake(struct tls *tls, uint32_t *events, struct why *why);

/* As send() and recv(): -1 and errno, EBADMSG for bytes that were changed on the way. What was
 * taken may still wait here for the socket: tls_waits(), and sending, if only nothing, sends it.
 * *dry: there is no more for now, here or in the socket. */
bool tls_waits(const struct tls *tls);
ssize_t tls_send(struct tls *tls, const struct iovec *v, int count);
ssize_t tls_receive(struct tls *tls, void *bytes, size_t cap, bool *dry);

#endif
