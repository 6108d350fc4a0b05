/* SPDX-License-Identifier: BSD-3-Clause */
#define ELEMENT int64_t
#define KERNELS kernels_i64
#include "collectives/kernels/integers.h"
