/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/contract/cases.h"

int main(int argc, char **argv)
{
    static const struct suite_case *const tables[] = { contract_links, contract_sends,
                                                       contract_puts, contract_ends, NULL };
    return suite_main(argc, argv, tables);
}
