/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_STUB_H
#define TRANSPORT_STUB_H
/*
 * stub.h - typed answers for operations a transport does not have, so that no table holds a NULL
 */
#include "transport/transport.h"

void stub_allow(struct link *l, uint32_t units); /* none: *l->shorts stays 0 */
int stub_send_short(struct link *l, const void *body, size_t blen, uint64_t key); /* never called */
int64_t stub_take_short(struct link *l, const struct expect *e);                  /* never taken  */
/* never there  */
int stub_peek(struct link *l, struct peeked *m);
void stub_drop(struct link *l);                                                   /* never called */
/* 0: puts are visible in order anyway      */
int stub_flush_ordered(struct link *l, uint64_t cookie);
/* 0: t has no events of its own            */
int stub_arm_nothing(struct transport *t);

#endif
