/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.c - an empty program and one allreduce, for bench/compare: what starting a job costs. A
 * rank of any launcher is this; startup.c is what starts ranks, and measures and judges by itself
 */
#include <stdio.h>

#include "peak.h"
#include "sinew/sinew.h"

int main(void)
{
    struct sinew *s;
    int32_t one = 1, all = 0;
    if (sinew_open(NULL, &s) < 0) {
        fprintf(stderr, "sinew-start: %s\n", sinew_why(NULL));
        return 1;
    }
    if (sinew_allreduce(sinew_world(s), &one, &all, 1, SINEW_I32, SINEW_SUM, NULL) < 0) {
        fprintf(stderr, "sinew-start: %s\n", sinew_why(s));
        return 1;
    }
    printf("{\"test\": \"start\", \"ranks\": %d, \"peak_kib\": %ld}\n", all, peak_kib());
    return sinew_close(s) < 0;
}
