/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "tests/process/cases.h"

int main(int argc, char **argv)
{
    const struct suite_case *tables[] = { process_deaths, process_stops, process_simulated,
                                          process_allocations, process_windows, NULL, NULL };
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "shm") == 0) tables[5] = process_reads; /* no other reads in place */
    return suite_main(argc, argv, tables);
}
