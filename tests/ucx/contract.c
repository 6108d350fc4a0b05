/* SPDX-License-Identifier: BSD-3-Clause */
/* contract.c - the contract suite over UCX, on what UCX_TLS says */
#include "tests/contract/cases.h"
#include "tests/contract/peer.h"
#include "transport/ucx/ucx.h"

const struct transport_ops *const contract_extra = &transport_ucx;

int main(int argc, char **argv)
{
    static const struct suite_case *const tables[] = { contract_links, contract_sends,
                                                       contract_expects, contract_puts,
                                                       contract_ends, NULL };
    control_init();
    return suite_main(argc, argv, tables);
}
