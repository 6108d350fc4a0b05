/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_OFI_OFI_H
#define TRANSPORT_OFI_OFI_H
/*
 * ofi.h - links over libfabric, by whichever of its providers can: wired, see transport.h
 */
#include "transport/transport.h"

extern const struct transport_ops transport_ofi;

#endif
