/* SPDX-License-Identifier: BSD-3-Clause */
#define ELEMENT uint64_t
#define KERNELS kernels_u64
#include "collectives/kernels/integers.h"
