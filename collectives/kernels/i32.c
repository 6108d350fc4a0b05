/* SPDX-License-Identifier: BSD-3-Clause */
#define ELEMENT int32_t
#define KERNELS kernels_i32
#include "collectives/kernels/integers.h"
