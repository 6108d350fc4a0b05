/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_CORES_H
#define BASE_CORES_H
/*
 * cores.h - how many processors this process may use at once
 */

/* The lesser of the affinity mask and the control group's CPU quota (v1 or v2), rounded up; at least 1. */
int cores_allowed(void);

/* The quota alone, in cores; 0 when there is none. */
double cores_quota(void);

#endif
