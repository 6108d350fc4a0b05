/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_TCP_SESSION_H
#define TRANSPORT_TCP_SESSION_H
/*
 * session.h - what outlives a connection: epochs, sequence numbers, acknowledgements; no I/O
 *
 * Every frame but ACK is numbered, from 1, in the order it enters the stream. `received` moves when
 * a frame was handed up or has landed *whole*, so that an acknowledgement of a put means that the
 * target's CPU sees its bytes. Acknowledgements are cumulative and ride on every frame; one of its
 * own is owed when the peer waits for it (flush), or when it has heard nothing for
 * SESSION_ACK_EVERY frames.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/frame.h"
#include "base/text.h"

enum { SESSION_ACK_EVERY = 256 };

struct session {
    uint64_t my_epoch, peer_epoch;
    uint64_t sent;         /* number of my last numbered frame                */
    uint64_t acknowledged; /* of mine: the peer has all up to here            */
    uint64_t received;     /* of the peer's: all up to here are whole         */
    uint64_t told;         /* `received`, as the peer has heard it last       */
    uint64_t awaited;      /* the peer waits to hear this number acknowledged */
};

void session_begin(struct session *s, uint64_t my_epoch, uint64_t peer_epoch);

/* Give a frame that is about to enter the stream its epoch, number and acknowledgement. */
void session_stamp(struct session *s, struct frame *frame);

/* A header has come. 0: it is the next one, its acknowledgement is taken; SINEW_EPROTO with why. */
int session_check(struct session *s, const struct frame *frame, struct why *why);

/* The frame that session_check() let pass is whole. `urgent`: its sender waits to hear so. */
void session_received(struct session *s, const struct frame *frame, bool urgent);

/* Whether an ACK frame should be sent if nothing else is. */
bool session_owes_ack(const struct session *s);

#endif
