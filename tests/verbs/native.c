/* SPDX-License-Identifier: BSD-3-Clause */
/* native.c - the contract suite over RDMA, on this machine's own device: skipped where there is
 * none */
#include <stdio.h>

#include "tests/contract/cases.h"
#include "tests/contract/peer.h"
#include "transport/verbs/devices.h"
#include "transport/verbs/verbs.h"

const struct transport_ops *const contract_extra = &transport_verbs;

int main(int argc, char **argv)
{
    static const struct suite_case *const tables[] = { contract_links, contract_sends,
                                                       contract_puts, contract_ends, NULL };
    static struct candidates candidates;
    struct config config = { .verbs_gid_index = -1 };
    struct why why;
    char name[DEVICES_TEXT];
    if (devices_list(verbs_library(), &config, &candidates, &why) < 0) {
        printf("skipped: %s\n", why.text);
        return 77;
    }
    printf("on %s\n", devices_text(&candidates.of[0], name));
    control_init();
    return suite_main(argc, argv, tables);
}
