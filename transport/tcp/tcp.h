/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_TCP_TCP_H
#define TRANSPORT_TCP_TCP_H
/*
 * tcp.h - one authenticated connection per pair, opened on demand
 *
 * Carries everything where there is nothing faster, and is the control link where there is.
 */
#include "transport/transport.h"

extern const struct transport_ops transport_tcp;

#endif
