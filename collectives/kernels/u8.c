/* SPDX-License-Identifier: BSD-3-Clause */
#define ELEMENT uint8_t
#define KERNELS kernels_u8
#include "collectives/kernels/integers.h"
