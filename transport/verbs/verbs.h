/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_VERBS_VERBS_H
#define TRANSPORT_VERBS_VERBS_H
/*
 * verbs.h - RDMA by libibverbs: reliable connected queue pairs, one per peer, wired by control
 * links
 *
 * docs/verbs.md says what it uses and what it needs; internal.h how it is built.
 */
#include "transport/transport.h"

extern const struct transport_ops transport_verbs;

#endif
