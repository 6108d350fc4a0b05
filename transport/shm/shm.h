/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_SHM_SHM_H
#define TRANSPORT_SHM_SHM_H
/*
 * shm.h - messages between processes of one user on one host, through memory that both map
 *
 *   ring.h      one direction: slots of one cache line, and a byte ring for longer bodies
 *   segment.h   two of them in a sealed memfd
 *   hello.h     how the memfd gets to the peer: one packet each way over an abstract UNIX socket
 *   link.h      a link's life, and the transport's
 *   read.c      long messages read where they are
 *   share.c     memory that peers map
 *   host.h      what is asked of the kernel
 *
 * Memory per connected peer: one segment of shm_peer_bytes() (124 KiB with 4 KiB pages), charged to
 * whoever connected first, at most 128 KiB; struct shm_link in messaging's memory; three
 * descriptors (the socket, the peer's eventfd, the peer's pidfd); up to 32 mappings of its memory,
 * in 2 KiB of notes. One descriptor for each memory of one's own that peers may map. A peer never
 * met costs nothing. Queued puts live in their caller's struct rma. Flushes that cannot be answered
 * at once cost 48 bytes each.
 *
 * What recv hands up: the head is a private copy. So is a body that came in the line (head and body
 * of 56 bytes at most together); a longer one is read in place, and a hostile peer could change it
 * meanwhile: read each field once.
 */
#include "transport/transport.h"

extern const struct transport_ops transport_shm;

/* Bytes of shared memory per connected peer, both directions. */
size_t shm_peer_bytes(void);

#endif
