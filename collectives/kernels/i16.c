/* SPDX-License-Identifier: BSD-3-Clause */
#define ELEMENT int16_t
#define KERNELS kernels_i16
#include "collectives/kernels/integers.h"
