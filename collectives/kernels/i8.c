/* SPDX-License-Identifier: BSD-3-Clause */
#define ELEMENT int8_t
#define KERNELS kernels_i8
#include "collectives/kernels/integers.h"
