/* SPDX-License-Identifier: BSD-3-Clause */
#define PART float
#define BITS uint32_t
#define QUIET_NAN UINT32_C(0x7fc00000)
#define KERNELS kernels_c32
#include "collectives/kernels/pairs.h"
