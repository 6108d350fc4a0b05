/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/contract/cases.h"
#include "tests/contract/peer.h"

const struct transport_ops *const contract_extra = NULL;

int main(int argc, char **argv)
{
    static const struct suite_case *const tables[] = { contract_links, contract_sends,
                                                       contract_expects, contract_puts,
                                                       contract_ends, NULL };
    control_init();
    return suite_main(argc, argv, tables);
}
