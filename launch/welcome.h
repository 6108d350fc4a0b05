/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_WELCOME_H
#define LAUNCH_WELCOME_H
/*
 * welcome.h - the first frames of a connection: who joins, and the answer
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "launch/protocol.h"
#include "launch/channel.h"

struct join {
    int first, count, size;
};

struct welcome {
    int rank, size, here; /* here: ranks on this host, 0 when not known */
    int cores;            /* that they share, 0 when not known           */
    uint32_t cores_name;  /* of these, as base/cores.h says              */
    bool ends;            /* the connection ends once all records are told */
    bool has_secret;
    uint8_t secret[LAUNCH_SECRET_LEN];
};

size_t join_encode(const struct join *join, uint8_t out[LAUNCH_JOIN_LEN]);
int join_decode(struct join *join, const uint8_t *in, size_t len, struct why *why);

size_t welcome_encode(const struct welcome *welcome, uint8_t out[LAUNCH_PAYLOAD_MAX]);
int welcome_decode(struct welcome *welcome, const uint8_t *in, size_t len, struct why *why);

/* Wait for the answer to a JOIN, or to a knock at the door. A refusal is SINEW_ELAUNCH with its
 * text. */
int welcome_await(struct channel *s, int64_t until, struct welcome *welcome, struct why *why);

#endif
