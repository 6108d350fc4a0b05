/* SPDX-License-Identifier: BSD-3-Clause */
/* contract.c - the contract suite over RDMA, on devices that fake_verbs.c makes */
#include <stdio.h>

#include "tests/contract/cases.h"
#include "tests/contract/peer.h"
#include "tests/verbs/fake_verbs.h"
#include "transport/verbs/verbs.h"

const struct transport_ops *const contract_extra = &transport_verbs;

int main(int argc, char **argv)
{
    static const struct suite_case *const tables[] = { contract_links, contract_sends,
                                                       contract_puts, contract_ends, NULL };
    fake_reset();
    control_init();
    int result = suite_main(argc, argv, tables);
    struct fake_stats stats = fake_stats();
    printf("%d posts, %d doorbells, %d inline, %d signalled\n", stats.posts, stats.doorbells,
           stats.inlined, stats.signalled);
    if (result == 0 && stats.objects + stats.overruns + stats.not_ready + stats.misuses == 0)
        return 0;
    fprintf(stderr, "%d objects are left; %d completions were lost, %d sends found no receive, %d "
                    "other misuses (%s)\n", stats.objects, stats.overruns, stats.not_ready,
            stats.misuses, stats.misuse);
    return 1;
}
