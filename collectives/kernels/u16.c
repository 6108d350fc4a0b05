/* SPDX-License-Identifier: BSD-3-Clause */
#define ELEMENT uint16_t
#define KERNELS kernels_u16
#include "collectives/kernels/integers.h"
