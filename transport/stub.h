/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_STUB_H
#define TRANSPORT_STUB_H
/*
 * stub.h - typed answers for operations a transport does not have, so that no table holds a NULL
 */
#include "transport/transport.h"

int stub_send_short(struct link *l, uint64_t head0, uint64_t head1, const void *body,
                    size_t blen); /* never called: short_room stays 0                                */
int stub_flush_ordered(struct link *l, uint64_t cookie); /* 0: puts are visible in order anyway      */
int stub_arm_nothing(struct transport *t);               /* 0: t has no events of its own            */

#endif
