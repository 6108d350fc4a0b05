/* SPDX-License-Identifier: BSD-3-Clause */
#include <sinew/sinew.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    if (strcmp(sinew_version(), SINEW_VERSION) != 0) return 1;
    if (strcmp(sinew_strerror(SINEW_OK), "done") != 0) return 1;
    return puts(sinew_version()) < 0;
}
