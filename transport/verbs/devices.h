/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_VERBS_DEVICES_H
#define TRANSPORT_VERBS_DEVICES_H
/*
 * devices.h - which device, port and address (GID) to use, and why not the others
 *
 * Every row of every GID table is a candidate. Rank, best first:
 *
 *   1. its port is active, and it is the one that the options ask for
 *   2. its address is the one that the system's route to the peer leaves from (once a peer is
 *      known)
 *   3. InfiniBand, RoCE v2 with an IPv4-mapped address, v2 with a global IPv6 one, v2 with a
 *      link-local one, RoCE v1
 *   4. the order of the system
 */
#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "transport/verbs/api.h"

enum { CANDIDATES_MAX = 64, CANDIDATE_NAME = 80, CANDIDATE_REASON = 112 };

struct candidate {
    char device[CANDIDATE_NAME];
    uint8_t port;
    uint8_t layer; /* IBV_LINK_LAYER_…                               */
    int gid_index; /* -1: of a device or port that cannot be used    */
    uint32_t gid_type;
    union ibv_gid gid;
    int score;                     /* < 0: not usable                                */
    char reason[CANDIDATE_REASON]; /* for its place, or for being left out           */
};

struct candidates {
    int n, left_out; /* left_out: did not fit */
    struct candidate of[CANDIDATES_MAX];
};

/* All there are, best first. < 0: none can be used, why says it of each. */
int devices_list(const struct verbs_api *api, const struct config *config,
                 struct candidates *all, struct why *why);

/* The row of this port's GID table for a peer at `peer`, in place of the one at hand. */
void devices_route(const struct verbs_api *api, const struct candidates *all,
                   const struct candidate *chosen, const union ibv_gid *peer, int *gid_index,
                   union ibv_gid *gid);

/* Another port that can be used, from which the system would send to `peer`; NULL: none, or it is
 * this one. */
const struct candidate *devices_elsewhere(const struct verbs_api *api, const struct candidates *all,
                                          const struct candidate *chosen,
                                          const union ibv_gid *peer);

/* "mlx5_0:1 GID 3 ::ffff:10.0.0.1" */
enum { DEVICES_TEXT = 160 };
const char *devices_text(const struct candidate *c, char out[DEVICES_TEXT]);

bool gid_is_ipv4(const union ibv_gid *gid);

#endif
