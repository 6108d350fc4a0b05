/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rendezvous.c - a process that was told where its job meets, and by no launcher of ours
 *
 * Rank 0 is the hub for as long as the fence takes; then nobody listens and nothing is connected,
 * so nobody says later that a rank died: the links find that. When the hub is a sinewrun (which has
 * rank 0) the connection stays, and failed and abort work.
 */
#include <string.h>

#include "launch/meeting.h"
#include "launch/member.h"
#include "launch/providers.h"

static int serve(struct member *m, const char *address, struct why *why)
{
    int rc = meeting_check(address, why);
    if (rc < 0) return rc;
    rc = hub_open(&m->hub, &m->node, address, m->base.secret, 0, 1);
    if (rc < 0) return why_set(why, rc, "%s", m->hub.why.text);
    m->hub.ends = true;
    m->is_hub = true;
    m->ends = true;
    return 0;
}

static int join(struct member *m, const char *address, int64_t until, struct why *why)
{
    struct channel s;
    struct welcome welcome;
    struct join me = { m->base.rank, 1, m->base.size };
    int rc = meeting_join(m->base.world, address, m->base.secret, &me, until, &s, &welcome, why);
    if (rc < 0) return rc;
    m->ends = welcome.ends;
    member_attach(m, &s);
    return 0;
}

int rendezvous_open(const struct world *world, const struct rendezvous *how, int64_t until,
                    struct launch **out, struct why *why)
{
    struct member *m = member_new(world, how->rank, how->size, why);
    if (!m) return SINEW_ENOMEM;
    int rc = secret_load(how->secret_file, m->base.secret, why);
    if (rc == 0)
        rc = how->rank == 0 ? serve(m, how->address, why) : join(m, how->address, until, why);
    if (rc < 0) {
        m->base.ops->abandon(&m->base);
        return rc;
    }
    m->base.has_secret = true;
    *out = &m->base;
    return 0;
}
