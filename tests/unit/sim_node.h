/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_SIM_NODE_H
#define TESTS_UNIT_SIM_NODE_H
/*
 * sim_node.h - the least that stands in for messaging: one transport of a rank, its links, and what
 * its upcalls said
 */
#include "base/config.h"
#include "transport/sim/sim.h"

enum { NODE_RANKS_MAX = 64, NODE_DONE_MAX = 64 };

struct node;

/* What a node knows of one peer. */
struct node_peer {
    struct node *node;
    struct link *link;
    int ups, downs, rooms, links, tells;
    int down_status;
    enum gone gone;
    uint64_t received, received_bytes; /* messages that came                      */
    uint64_t sent;                     /* on this link                            */
    uint64_t pending;                  /* cookies under way; the test counts up   */
    int64_t last_arrival;              /* virtual time                             */
    char why[WHY_MAX];
};

struct node {
    struct sim_rank *me;
    const struct world *world;
    const struct transport_ops *ops; /* sim, or sim_wired */
    struct transport *t;
    struct config config;
    int rank, size;
    bool refuse;    /* the link upcall says no                                    */
    bool keep;      /* recv keeps its leases                                      */
    int recv_status; /* what recv answers when < 0                                */
    struct lease *kept[NODE_DONE_MAX];
    const void *kept_body[NODE_DONE_MAX];
    int kept_count;
    uint64_t done_cookie[NODE_DONE_MAX];
    int done_status[NODE_DONE_MAX];
    int done_count;
    uint64_t received;
    void (*on_message)(struct node *n, int from, const void *body, size_t len);
    struct launch *launch;
    uint8_t address[NODE_RANKS_MAX][LAUNCH_RECORD_MAX];
    int address_len;
    struct node_peer peer[NODE_RANKS_MAX];
};

struct node *node_new(struct sim_rank *me); /* in the rank's arena */
void node_free(struct node *n);
void node_open(struct node *n, struct sim_rank *me);
void node_close(struct node *n); /* every link that is left is drained */
void node_meet(struct node *n, struct sim_rank *me); /* node_open, and everyone's address */
void node_meet_wired(struct node *n, struct sim_rank *me);
void node_part(struct node *n);                      /* node_close, and leave the launcher */
int node_connect(struct node *n, int rank);
void node_join(struct node *n, int rank); /* connect from the lower rank, wait on both until up */
void node_progress(struct node *n); /* once; sleeps when there was nothing */
bool node_up(struct node *n, int rank); /* progress until up or down */
void node_until_down(struct node *n, int rank);
/* Send, with progress while the answer is AGAIN. Anything but 0 and PENDING is returned. */
int node_send(struct node *n, int rank, const void *body, size_t len);
void node_send_numbered(struct node *n, int rank, size_t len);
/* The content a numbered message must have. */
void node_fill(void *body, size_t len, int from, int to, uint64_t number);

/* Ends the program with a message: an assertion that works in any thread. */
#define CHECK(condition) \
    do { \
        if (!(condition)) node_check_failed(__FILE__, __LINE__, #condition); \
    } while (0)
void node_check_failed(const char *file, int line, const char *condition);

#endif
