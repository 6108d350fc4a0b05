/* SPDX-License-Identifier: BSD-3-Clause */
/* contract.c - the contract suite over libfabric, by the provider that ofi_provider says */
#include "tests/contract/cases.h"
#include "tests/contract/peer.h"
#include "transport/ofi/ofi.h"

const struct transport_ops *const contract_extra = &transport_ofi;

int main(int argc, char **argv)
{
    static const struct suite_case *const tables[] = { contract_links, contract_sends,
                                                       contract_expects, contract_puts,
                                                       contract_ends, NULL };
    control_init();
    return suite_main(argc, argv, tables);
}
