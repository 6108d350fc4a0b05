/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSPORT_OFI_INTERNAL_H
#define TRANSPORT_OFI_INTERNAL_H
/*
 * internal.h - how the files of this folder fit together
 *
 *   ofi.c       the table of operations; open, close, reach, sleeping
 *   api.c       libfabric as a table              module.c    what the module exports
 *   provider.c  which provider, and what each of the others lacks
 *   station.c   an endpoint of it, with its queue, address vector and receive buffers
 *   carry.c     frames out and in, completions    move.c      one-sided parts, registrations
 *
 * Links, frames, order, confirmation: transport/framed, whose fabric this is. One endpoint of a
 * reliable datagram provider (FI_EP_RDM) carries all links; a peer is inserted into its address
 * vector when the pair first talks.
 */
#include <rdma/fi_atomic.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <rdma/fi_tagged.h>

#include "transport/framed/framed.h"
#include "transport/ofi/api.h"
#include "transport/sleeper.h"

enum {
    OFI_BUFFERS = 4, /* to receive many messages each …         */
    OFI_BUFFER = 256 << 10,
    OFI_RECEIVES = 64,   /* … or, where that is not known, one each */
    OFI_PART = 4 << 20,  /* of a read or write */
    OFI_PARTS = 8,       /* of one work, under way */
    OFI_COMPLETIONS = 8, /* taken at once */
    OFI_LOOKS = 4,       /* … and so often in one look */
    OFI_NOTE_MAX = 4096, /* providers are many, and what each lacks is a line */
    OFI_NAME_MAX = 24,
    OFI_MODES = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY | FI_MR_ENDPOINT,
};

/* What the files of provider `shm` are called, before random digits. */
#define OFI_SHM_NAME "sinew-"

/* Where no descriptor tells of events: it is looked at so often. */
#define OFI_TICK_NS INT64_C(100000)

/* One part of a work; or a word of this end's own, that a peer asked to have updated. */
struct part {
    struct mark mark;
    struct list entry; /* ofi->flying_parts, or spare_parts */
    struct work *work;
    struct framed_landing *update; /* NULL: of a work */
    struct fid_mr *memory; /* of the words, where that is wanted */
    uint64_t words[3];     /* of an atomic operation: operand, compare, former value */
};

/* Memory that messages are received in. */
struct buffer {
    struct mark mark;
    struct fid_mr *memory;
    bool posted;
    uint8_t *bytes;
};

struct ofi {
    struct framed base;
    struct ofi_api api;
    uint32_t version;
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_av *av;
    struct fid_cq *cq;
    struct fid_ep *ep;
    struct sleeper sleeper;
    int wait_fd;   /* -1: it has none */
    bool many;     /* one buffer receives many messages */
    bool connects; /* ofi_rxm: to each peer by a connection */
    bool tagged, local, armed;
    int mr_mode;
    size_t inject, part;
    fi_addr_t self; /* this end, for words that peers have updated; FI_ADDR_NOTAVAIL: never yet */
    uint8_t *memory; /* of all buffers */
    size_t buffer_len, memory_len;
    int buffers, unposted;
    struct buffer buffer[OFI_RECEIVES];
    struct list spare_parts, flying_parts;
    uint64_t keys; /* made here for memory nobody names */
    uint8_t name[FRAMED_ADDRESS_MAX];
    char note[OFI_NOTE_MAX];
};

static inline struct ofi *ofi_of(struct framed *t)
{
    return (struct ofi *)(void *)t;
}

/* provider.c */
/* Providers that could do, best first: info, and its list goes with api.freeinfo(). NULL and why;
 * `note` gets every one that was refused, with what it lacks. */
struct candidate {
    char name[64];
    int rank;
    uint64_t speed; /* bits/s, declared; 0: it says nothing */
    bool local;     /* reaches this host only; told only to who asks for no capabilities */
};
enum { CANDIDATES_MAX = 24 };
int providers_find(struct ofi *t, struct candidate found[CANDIDATES_MAX], struct text *refused,
                   struct why *why);
/* t->info of it, with the most of what is asked for that it has. */
int provider_take(struct ofi *t, const char *name, struct why *why);

/* station.c */
int station_open(struct ofi *t, struct why *why);
void station_close(struct ofi *t);
void station_post(struct ofi *t); /* buffers that are not posted */
int ofi_said(struct ofi *t, struct why *why, int64_t status, const char *what);

/* carry.c, move.c */
extern const struct fabric fabric_ofi;
int carry_open(struct endpoint *end, const uint8_t *address, size_t len, struct why *why);
void carry_close(struct endpoint *end, bool by_force);
void carry_give_up(struct framed *t);
int carry_send(struct endpoint *end, struct frame *f, struct why *why);
bool carry_look(struct framed *t);
int move_start(struct work *w, const struct key *key, struct why *why);
int move_update(struct framed_landing *g, struct why *why);
int move_expose(struct framed *t, struct registered *r, unsigned rights, uint64_t *address);
void move_hide(struct framed *t, struct registered *r);
void move_frame_made(struct framed *t, struct frame *f);
void move_frame_gone(struct framed *t, struct frame *f);
void move_work_over(struct framed *t, struct work *w);
/* What fi_mr_reg needs before memory may be given to it; NULL: it needs nothing. < 0. */
int move_register(struct ofi *t, void *memory, size_t len, uint64_t access, uint64_t key,
                  struct fid_mr **mr);
int move_describe(struct work *w, void **desc); /* of op->local, registered at first need */
void part_over(struct ofi *t, struct part *p, const char *why);
void parts_forget_words(struct ofi *t); /* before the domain goes */
void parts_release(struct ofi *t);

#endif
