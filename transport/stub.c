/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/stub.h"

int stub_send_short(struct link *l, uint64_t head0, uint64_t head1, const void *body, size_t blen)
{
    (void)l;
    (void)head0;
    (void)head1;
    (void)body;
    (void)blen;
    return SINEW_ENOTSUP;
}

int stub_flush_ordered(struct link *l, uint64_t cookie)
{
    (void)l;
    (void)cookie;
    return 0;
}

int stub_arm_nothing(struct transport *t)
{
    (void)t;
    return 0;
}
