/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_MEETING_H
#define LAUNCH_MEETING_H
/*
 * meeting.h - "host:port", "[v6]:port": listening there, connecting to it, and the secret that
 * guards it
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/text.h"
#include "base/world.h"
#include "launch/launch.h"
#include "launch/channel.h"
#include "launch/welcome.h"

enum { MEETING_TEXT_MAX = 80 };

/* Whether others can be told this address: well formed, and a port. 0 or SINEW_EINVAL. */
int meeting_check(const char *address, struct why *why);

/* A listening, non-blocking socket, or < 0. */
int meeting_listen(const char *address, struct why *why);

void meeting_text(const struct sockaddr *at, socklen_t len, char text[MEETING_TEXT_MAX]);

/* Options of a connection that has to last as long as the job. */
void meeting_tune(int fd);

/* The job secret from a file: 32 to 4096 bytes, for nobody else to read, hashed. */
int secret_load(const char *file, uint8_t secret[LAUNCH_SECRET_LEN], struct why *why);

/* Connect to the hub, trying again until it is there; prove the secret; join; be welcomed. A hub
 * that was there and has closed will not come back for this job. */
int meeting_join(const struct world *world, const char *address, const uint8_t *secret,
                 const struct join *join, int64_t until, struct channel *s, struct welcome *welcome,
                 struct why *why);

#endif
