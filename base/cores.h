/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_CORES_H
#define BASE_CORES_H
/*
 * cores.h - how many processors this process may use at once, and which
 */
#include <stdint.h>

/* The lesser of the affinity mask and the control groups' CPU quota (v1 or v2), rounded up; at
 * least 1. */
int cores_allowed(void);

/* The quota alone, in cores; 0 when there is none. The least of this process's group and of the
 * groups around it, in every hierarchy. */
double cores_quota(void);

/* Likewise, with the files of the system under `root`. */
double cores_quota_under(const char *root);

/* A name for those processors: processes of one boot that may use the very same ones, as many of
 * them, have the same; others do not, but for one in 2^32. Never 0. */
uint32_t cores_name(void);

#endif
