/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/process/cases.h"

int main(int argc, char **argv)
{
    static const struct suite_case *const tables[] = { process_deaths, process_stops,
                                                       process_simulated, process_allocations,
                                                       NULL };
    return suite_main(argc, argv, tables);
}
