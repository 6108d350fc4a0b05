/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_UCX_UCX_H
#define TRANSPORT_UCX_UCX_H
/*
 * ucx.h - links over UCX (libucp), on whatever fabric it was tuned for: wired, see transport.h
 */
#include "transport/transport.h"

extern const struct transport_ops transport_ucx;

#endif
