/* SPDX-License-Identifier: BSD-3-Clause */
#define PART double
#define BITS uint64_t
#define QUIET_NAN UINT64_C(0x7ff8000000000000)
#define KERNELS kernels_c64
#include "collectives/kernels/pairs.h"
