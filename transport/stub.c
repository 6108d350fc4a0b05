/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/stub.h"

void stub_allow(struct link *l, uint32_t units)
{
    (void)l;
    (void)units;
}

int stub_send_short(struct link *l, const void *body, size_t blen, uint64_t key)
{
    (void)l;
    (void)key;
    (void)body;
    (void)blen;
    return SINEW_ENOTSUP;
}

int64_t stub_take_short(struct link *l, const struct expect *e)
{
    (void)l;
    (void)e;
    return TRANSPORT_NOT_THIS;
}

int stub_peek(struct link *l, struct peeked *m)
{
    (void)l;
    (void)m;
    return TRANSPORT_NOT_THIS;
}

void stub_drop(struct link *l)
{
    (void)l;
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
