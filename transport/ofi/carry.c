/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carry.c - frames out and in, and what the completion queue tells
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "transport/ofi/internal.h"

const struct fabric fabric_ofi = {
    .name = "libfabric",
    .piece = FRAMED_PIECE,
    .open = carry_open,
    .close = carry_close,
    .give_up = carry_give_up,
    .send = carry_send,
    .look = carry_look,
    .update = move_update,
    .move = move_start,
    .expose = move_expose,
    .hide = move_hide,
    .frame_made = move_frame_made,
    .frame_gone = move_frame_gone,
    .work_over = move_work_over,
};

/* ---- to whom --------------------------------------------------------------------------------- */

/* The provider `shm` has a file in /dev/shm for each endpoint, and who is killed leaves it there.
 * Its name is the address behind "fi_shm://" (station.c). */
enum { SHM_NAME_MAX = 64 };

static void remember_file(struct endpoint *end, const uint8_t *address, size_t len)
{
    struct ofi *t = ofi_of(end->t);
    static const char prefix[] = "fi_shm://" OFI_SHM_NAME;
    const char *name = (const char *)address + strlen("fi_shm://");
    if (!t->local || len < sizeof(prefix) || address[len - 1] != '\0' ||
        memcmp(address, prefix, strlen(prefix)) != 0)
        return;
    size_t known = strlen(OFI_SHM_NAME);
    size_t digits = strspn(name + known, "0123456789abcdef:");
    if (name[known + digits] || known + digits + 2 > SHM_NAME_MAX) return;
    char *kept = world_allocate(t->base.base.opt.world, SHM_NAME_MAX);
    if (!kept) return;
    snprintf(kept, SHM_NAME_MAX, "/%s", name);
    end->ending = kept;
}

/* Whoever knows that its owner is dead takes it away. */
static void forget_file(struct endpoint *end)
{
    if (!end->ending) return;
    if (end->link && end->link->gone == GONE_DIED) shm_unlink(end->ending);
    world_release(end->t->base.opt.world, end->ending, SHM_NAME_MAX);
    end->ending = NULL;
}

int carry_open(struct endpoint *end, const uint8_t *address, size_t len, struct why *why)
{
    struct ofi *t = ofi_of(end->t);
    fi_addr_t to;
    if (!t->ep) return why_set(why, SINEW_EIO, "libfabric's endpoint was closed after a failure");
    bool is_text = t->info->addr_format == FI_ADDR_STR;
    if (is_text ? address[len - 1] != '\0' : len != t->base.address_len)
        return why_set(why, SINEW_EPROTO, "an address of %zu bytes, those here are of %zu", len,
                       t->base.address_len);
    int n = fi_av_insert(t->av, address, 1, &to, 0, NULL);
    if (n != 1)
        return why_set(why, SINEW_EUNREACHABLE, "libfabric does not take its address (%d)", n);
    end->to = to;
    remember_file(end, address, len);
    return 0;
}

void carry_close(struct endpoint *end, bool by_force)
{
    (void)by_force; /* it knows no other way */
    struct ofi *t = ofi_of(end->t);
    forget_file(end);
    fi_addr_t to = end->to;
    /* Where connections are rxm's, that ends them and what is under way. Others are not asked to
     * forget whom they still send to; shared memory's nobody at all: it takes the process with it
     * when something of that peer's is still to be read (1.17). */
    bool may = t->connects || (end->busy == 0 && !t->local);
    if (t->ep && may) fi_av_remove(t->av, &to, 1, 0);
}

void carry_give_up(struct framed *base)
{
    struct ofi *t = ofi_of(base);
    fi_close(&t->ep->fid);
    t->ep = NULL;
    framed_break(base, SINEW_EIO,
                 "libfabric would not let go of memory, so its endpoint was closed");
}

/* ---- out ------------------------------------------------------------------------------------- */

/* What must have gone when the context closes is told of; an injected frame is not. */
static bool may_inject(const struct ofi *t, const struct frame *f, size_t len)
{
    return len <= t->inject && f->kind != FRAME_BYE && f->kind != FRAME_ACK;
}

/* What the provider needs of memory that it sends from. */
static int describe(struct ofi *t, struct frame *f, void **desc, struct why *why)
{
    if (!f->memory) move_frame_made(&t->base, f);
    *desc = f->memory ? fi_mr_desc(f->memory) : NULL;
    if (f->memory || !(t->mr_mode & FI_MR_LOCAL)) return 0;
    return why_set(why, SINEW_ENOMEM, "libfabric registers no memory to send from (ulimit -l?)");
}

int carry_send(struct endpoint *end, struct frame *f, struct why *why)
{
    struct ofi *t = ofi_of(end->t);
    size_t len = frame_header_len(f) + f->len;
    bool inject = may_inject(t, f, len);
    const void *from = frame_start(f);
    void *desc = NULL;
    int64_t status;
    if (!t->ep) return why_set(why, SINEW_EIO, "libfabric's endpoint was closed after a failure");
    if (!inject && describe(t, f, &desc, why) < 0) return SINEW_ENOMEM;
    if (t->tagged)
        status = inject ? fi_tinject(t->ep, from, len, end->to, 0)
                        : fi_tsend(t->ep, from, len, desc, end->to, 0, &f->mark);
    else
        status = inject ? fi_inject(t->ep, from, len, end->to)
                        : fi_send(t->ep, from, len, desc, end->to, &f->mark);
    if (status == -FI_EAGAIN) return TRANSPORT_AGAIN;
    if (status < 0)
        return why_set(why, SINEW_EPEER, "libfabric does not send: %s (%d)",
                       t->api.strerror((int)-status), (int)status);
    return inject ? 0 : TRANSPORT_PENDING;
}

/* ---- completions ----------------------------------------------------------------------------- */

static void buffer_is_free(struct ofi *t, struct buffer *b)
{
    b->posted = false;
    t->unposted++;
}

static void buffer_heard(struct ofi *t, struct buffer *b, const struct fi_cq_data_entry *e)
{
    uint8_t *from = t->many ? e->buf : b->bytes;
    if (e->flags & FI_RECV || !t->many) frame_arrived(&t->base, from, e->len);
    if (!t->many || e->flags & FI_MULTI_RECV) buffer_is_free(t, b);
}

static void completed(struct ofi *t, const struct fi_cq_data_entry *e)
{
    struct mark *mark = e->op_context;
    if (!mark) return;
    switch ((enum mark_kind)mark->kind) {
    case MARK_FRAME:
        frame_is_free((struct frame *)(void *)mark, 0, NULL);
        break;
    case MARK_PART:
        part_over(t, (struct part *)(void *)mark, NULL);
        break;
    case MARK_BUFFER:
        buffer_heard(t, (struct buffer *)(void *)mark, e);
        break;
    }
}

static void failed(struct ofi *t, const struct fi_cq_err_entry *e)
{
    struct mark *mark = e->op_context;
    char text[160], more[64];
    const char *own = fi_cq_strerror(t->cq, e->prov_errno, e->err_data, more, sizeof(more));
    snprintf(text, sizeof(text), "libfabric: %s (%d; %.60s)", t->api.strerror(e->err), e->err,
             own ? own : "");
    if (!mark) {
        log_line(t->base.base.opt.log, LOG_DETAIL, "%s", text);
        return;
    }
    switch ((enum mark_kind)mark->kind) {
    case MARK_FRAME:
        frame_is_free((struct frame *)(void *)mark, SINEW_EPEER, text);
        break;
    case MARK_PART:
        part_over(t, (struct part *)(void *)mark, text);
        break;
    case MARK_BUFFER: /* of nobody's: too long, or cut off */
        t->base.strays++;
        if (!t->many || e->flags & FI_MULTI_RECV) buffer_is_free(t, (struct buffer *)(void *)mark);
        break;
    }
}

/* False: it is no queue any more. */
static bool read_error(struct ofi *t)
{
    struct fi_cq_err_entry e = { 0 };
    int64_t n = fi_cq_readerr(t->cq, &e, 0);
    if (n == 1) failed(t, &e);
    return n == 1 || n == -FI_EAGAIN;
}

bool carry_look(struct framed *base)
{
    struct ofi *t = ofi_of(base);
    struct fi_cq_data_entry entry[OFI_COMPLETIONS];
    bool any = false;
    if (!t->ep) return false;
    for (int look = 0; look < OFI_LOOKS; look++) {
        int64_t n = fi_cq_read(t->cq, entry, OFI_COMPLETIONS);
        for (int64_t i = 0; i < n; i++) completed(t, &entry[i]);
        if (t->unposted) station_post(t);
        if (n == -FI_EAGAIN) break;
        any = true;
        if (n < 0 && (n != -FI_EAVAIL || !read_error(t))) {
            framed_break(base, SINEW_EIO, "libfabric's completion queue is broken");
            break;
        }
        if (n > 0 && n < OFI_COMPLETIONS) break;
    }
    return any;
}
