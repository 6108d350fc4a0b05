/* SPDX-License-Identifier: BSD-3-Clause */
#include "launch/hub.h"

void hub_close(struct hub *h) { (void)h; }
int hub_finish(struct hub *h, int64_t until)
{
    (void)h;
    (void)until;
    return 0;
}
