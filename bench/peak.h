/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H
/*
 * peak.h - the most memory that this process has held, in KiB, as Linux tells it
 */
#include <stdio.h>

/* Of this program alone: getrusage() counts what the launcher was before exec as well. */
static inline long peak_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
    if (f) fclose(f);
    return kib;
}

#endif
