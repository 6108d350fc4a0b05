/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_PROTOCOL_H
#define LAUNCH_PROTOCOL_H
/*
 * protocol.h - what launchers and ranks tell each other
 *
 * A job is a tree: the hub (the sinewrun, or the bare process, that has rank 0), below it the
 * other sinewruns and bare processes, below every sinewrun its ranks. News travels through the
 * whole tree: each node notes it and passes it on to everyone but the one it came from. So every
 * node knows by itself whose record is missing, who left and who died.
 *
 * Between hosts: TCP, the handshake of base/handshake.h (purpose HANDSHAKE_LAUNCH), then frames of
 * base/frame.h with head, flags, epoch, sequence and acknowledged 0. Between sinewrun and its rank:
 * the same frames over a private pair of UNIX sockets, no handshake. Payloads, little-endian:
 *
 *  JOIN     | first u32 | count u32 | size u32 |
 *           to the hub, once: "I speak for `count` ranks from `first`, of a job of `size`"
 *  WELCOME  | rank u32 | size u32 | here u32 | cores u32 | name u32 | flags u32 | secret, 32, if
 *           flag 1 |
 *           the answer, and what sinewrun says first to its rank. here: ranks on this host, 0 not
 *           known; name: of the cores they share (base/cores.h); flags: 1 the job secret follows
 *           (UNIX only), 2 the connection ends once all records are told
 *  REFUSE   | why: text to the end |
 *           instead of WELCOME
 *  RECORD   | rank u32 | record, 0 to 64 bytes |
 *           news, once per rank
 *  LEFT     | rank u32 |
 *           news: it left in order
 *  EXIT     | rank u32 | flags u8 | code u8 | 0 u16 | pid u32 |
 *           news: its process ended. flags: 1 without having left (it died), 2 the job fails by it,
 *           4 code is a signal, not an exit status, 8 only its connection is known to be gone (a
 *           second one follows when its process has ended)
 *  ABORT    | status i32 | text to the end |
 *           news: end the job
 *
 * FRAME_BYE ends a connection in order. One that ends otherwise takes the ranks behind it along.
 *
 * The door: sinewrun leaves its rank one end of a SOCK_SEQPACKET pair, SINEW_LAUNCH_FD=fd:inode.
 * Who wants to be the rank makes a pair of streams and passes one end through the door, with 8
 * bytes:
 *
 *           | 'S' 'N' 'W' 'J' | version u32 |
 *
 * The other end is private to that process. Whoever knocks second is refused, over its own pair.
 */
#include "base/frame.h"
#include "launch/launch.h"

enum launch_frame {
    LAUNCH_JOIN = FRAME_LAUNCH,
    LAUNCH_WELCOME,
    LAUNCH_REFUSE,
    LAUNCH_RECORD,
    LAUNCH_LEFT,
    LAUNCH_EXIT,
    LAUNCH_ABORT,
};

enum launch_welcome_flags { LAUNCH_HAS_SECRET = 1, LAUNCH_ENDS = 2 };

enum launch_exit_flags {
    LAUNCH_DIED = 1,   /* it had not left: an event for the others */
    LAUNCH_FAILED = 2, /* the job fails by it                      */
    LAUNCH_SIGNAL = 4, /* code is a signal's number                */
    LAUNCH_LOST = 8,   /* only its connection is known to be gone  */
};

enum {
    LAUNCH_SIZE_MAX = 65536,  /* ranks in a job */
    LAUNCH_TEXT_MAX = 512,
    LAUNCH_PAYLOAD_MAX = 1024,
    LAUNCH_JOIN_LEN = 12,
    LAUNCH_WELCOME_LEN = 24,
    LAUNCH_EXIT_LEN = 12,
    LAUNCH_DOOR_LEN = 8,
    LAUNCH_DOOR_VERSION = 2,
    LAUNCH_OUT_LIMIT = LAUNCH_SIZE_MAX * 256, /* bytes waiting for who does not read: all news */
};

static const uint8_t launch_door_magic[4] = { 'S', 'N', 'W', 'J' };

/* How a rank's process ended. */
struct launch_exit {
    int rank;
    uint8_t flags, code; /* enum launch_exit_flags; exit status or signal */
    uint32_t pid;        /* 0: not known */
};

#endif
