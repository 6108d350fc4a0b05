/* SPDX-License-Identifier: BSD-3-Clause */
#define ELEMENT uint32_t
#define KERNELS kernels_u32
#include "collectives/kernels/integers.h"
