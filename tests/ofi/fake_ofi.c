/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_ofi.c - see fake_ofi.h. All of it is used by one thread. */
#include "tests/ofi/fake_ofi.h"

#include <rdma/fi_atomic.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <rdma/fi_tagged.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/list.h"
#include "base/text.h"
#include "sinew/sinew.h"
#include "tests/ofi/fake_parts.h"
#include "tests/seed.h"

enum { ENDPOINTS = 64, RECEIVES = 64, QUEUE_MAX = 65536 };
#define MAGIC UINT64_C(0x69666f656b6166)

struct fake_knobs fake_knobs;
static struct fake_stats stats;
static struct seed seed;
static int made;
static uint64_t keys;
static struct list memories; /* every registration */

struct queue {
    struct fid_cq cq;
    struct list done; /* of struct event */
    int fd;
};

struct event {
    struct list entry;
    struct fi_cq_data_entry e;
    int error;
};

struct memory {
    struct fid_mr mr;
    struct list entry;
    uint8_t *base;
    size_t len;
    uint64_t access;
};

struct receive {
    uint8_t *at;
    size_t len, used;
    void *context;
};

struct ep {
    struct fid_ep ep;
    struct queue *queue;
    struct list inbox, moves; /* of struct message, struct movement */
    struct receive receive[RECEIVES];
    int first, receives, number;
    size_t least;
};

struct message {
    struct list entry;
    size_t len;
    uint8_t bytes[];
};

/* A send, or one-sided operation, that ends later. */
struct movement {
    struct list entry;
    void *context;
    int error;
};

static struct ep *eps[ENDPOINTS];

__attribute__((format(printf, 1, 2))) static void misuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("misuse of libfabric: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    stats.misuses++;
}

struct fake_stats fake_stats(void)
{
    return stats;
}

void fake_reset(void)
{
    fake_knobs = (struct fake_knobs){ .error = FI_EIO };
    stats = (struct fake_stats){ 0 };
    seed = (struct seed){ 1 };
    made = 0;
    keys = 0;
    list_init(&memories);
    memset(eps, 0, sizeof(eps));
}

void *object(size_t size)
{
    stats.objects++;
    return calloc(1, size);
}

void object_free(void *o)
{
    stats.objects--;
    free(o);
}

bool is_the_nth(void)
{
    return fake_knobs.fail_at && --fake_knobs.fail_at == 0;
}

int refused(enum fake_call call)
{
    if (is_the_nth()) return -FI_ENOMEM;
    return fake_knobs.refuses == call ? -fake_knobs.error : 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void event_add(struct queue *q, const struct fi_cq_data_entry *e, int error)
{
    struct event *v = object(sizeof(*v));
    uint64_t one = 1;
    v->e = *e;
    v->error = error;
    list_init(&v->entry);
    list_append(&q->done, &v->entry);
    if (write(q->fd, &one, sizeof(one)) < 0) misuse("an event that nobody reads");
}

static void deliver(struct ep *p, const struct message *m)
{
    struct receive *r = &p->receive[p->first];
    struct fi_cq_data_entry e = { .op_context = r->context, .flags = FI_RECV | FI_MSG };
    e.buf = r->at + r->used;
    e.len = m->len;
    memcpy(e.buf, m->bytes, m->len);
    r->used += m->len;
    bool over = p->least == 0 || r->len - r->used < p->least;
    if (over && p->least) e.flags |= FI_MULTI_RECV;
    if (over) {
        p->first = (p->first + 1) % RECEIVES;
        p->receives--;
    }
    event_add(p->queue, &e, 0);
}

static void turn(struct ep *p)
{
    struct list *e;
    if (fake_knobs.held) return;
    while ((e = list_take(&p->moves))) {
        struct movement *v = LIST_OWNER(e, struct movement, entry);
        event_add(p->queue, &(struct fi_cq_data_entry){ .op_context = v->context }, v->error);
        object_free(v);
    }
    while (p->receives > 0 && (e = list_take(&p->inbox))) {
        struct message *m = LIST_OWNER(e, struct message, entry);
        deliver(p, m);
        object_free(m);
    }
}

static ssize_t cq_read(struct fid_cq *cq, void *buf, size_t count)
{
    struct queue *q = (struct queue *)(void *)cq;
    struct fi_cq_data_entry *out = buf;
    uint64_t events;
    size_t n = 0;
    if (fake_knobs.broken) return -FI_EOTHER;
    if (read(q->fd, &events, sizeof(events)) < 0) events = 0;
    for (int i = 0; i < ENDPOINTS; i++)
        if (eps[i] && eps[i]->queue == q) turn(eps[i]);
    while (n < count && !list_empty(&q->done)) {
        struct event *v = LIST_OWNER(q->done.next, struct event, entry);
        if (v->error) return n ? (ssize_t)n : -FI_EAVAIL;
        out[n++] = v->e;
        list_remove(&v->entry);
        object_free(v);
    }
    return n ? (ssize_t)n : -FI_EAGAIN;
}

static ssize_t cq_readerr(struct fid_cq *cq, struct fi_cq_err_entry *out, uint64_t flags)
{
    struct queue *q = (struct queue *)(void *)cq;
    (void)flags;
    if (list_empty(&q->done)) return -FI_EAGAIN;
    struct event *v = LIST_OWNER(q->done.next, struct event, entry);
    *out = (struct fi_cq_err_entry){ .op_context = v->e.op_context, .flags = v->e.flags,
                                     .err = v->error };
    list_remove(&v->entry);
    object_free(v);
    return 1;
}

static const char *cq_strerror(struct fid_cq *cq, int own, const void *data, char *buf, size_t len)
{
    (void)cq, (void)own, (void)data, (void)buf, (void)len;
    return "a fake one";
}

/* ---- memory ---------------------------------------------------------------------------------- */

static struct memory *memory_of(uint64_t key, uint64_t at, size_t len, uint64_t access)
{
    for (struct list *e = memories.next; e != &memories; e = e->next) {
        struct memory *m = LIST_OWNER(e, struct memory, entry);
        uint64_t begins = fake_knobs.device ? (uintptr_t)m->base : 0;
        if (m->mr.key == key && (m->access & access) == access && at >= begins &&
            at - begins <= m->len && len <= m->len - (at - begins))
            return m;
    }
    return NULL;
}

/* Local memory that a device works on is registered, and its descriptor given. */
static void described(const void *at, size_t len, const void *desc, uint64_t access)
{
    const struct memory *m = desc;
    if (!fake_knobs.device) return;
    if (!m || (m->access & access) != access || (const uint8_t *)at < m->base ||
        (const uint8_t *)at + len > m->base + m->len)
        misuse("%zu bytes that are not registered for that", len);
}

static int mr_close(struct fid *fid)
{
    struct memory *m = (struct memory *)(void *)fid;
    list_remove(&m->entry);
    object_free(m);
    return 0;
}

static int mr_reg(struct fid *fid, const void *buf, size_t len, uint64_t access, uint64_t offset,
                  uint64_t key, uint64_t flags, struct fid_mr **out, void *context)
{
    static struct fi_ops ops = { .size = sizeof(ops), .close = mr_close };
    (void)fid, (void)offset, (void)flags, (void)context;
    if (is_the_nth()) return -FI_ENOMEM;
    struct memory *m = object(sizeof(*m));
    m->base = (uint8_t *)(uintptr_t)buf;
    m->len = len;
    m->access = access;
    m->mr.fid.ops = &ops;
    m->mr.mem_desc = m;
    m->mr.key = fake_knobs.device ? ++keys : key;
    list_init(&m->entry);
    list_append(&memories, &m->entry);
    *out = &m->mr;
    return 0;
}

/* ---- endpoints: messages --------------------------------------------------------------------- */

static struct ep *ep_of(struct fid_ep *ep)
{
    return (struct ep *)(void *)ep;
}

static void message_queue(struct ep *to, const void *buf, size_t len)
{
    struct message *m = object(sizeof(*m) + len);
    struct list *before = &to->inbox;
    uint64_t most = fake_knobs.disorder ? seed_below(&seed, fake_knobs.disorder + 1) : 0;
    m->len = len;
    memcpy(m->bytes, buf, len);
    list_init(&m->entry);
    for (; most > 0 && before->prev != &to->inbox; most--, stats.overtakes++) before = before->prev;
    list_append(before, &m->entry);
    uint64_t one = 1;
    if (write(to->queue->fd, &one, sizeof(one)) < 0) misuse("an event that nobody reads");
}

static void moves_later(struct ep *p, void *context, int error)
{
    struct movement *v = object(sizeof(*v));
    v->context = context;
    v->error = error;
    list_init(&v->entry);
    list_append(&p->moves, &v->entry);
}

static bool fails_now(int *countdown)
{
    return *countdown && --*countdown == 0;
}

/* 0: it goes; > 0: it went, and its completion will be an error. */
static int send_fate(void)
{
    stats.sends++;
    if (is_the_nth()) return -FI_ENOMEM;
    if (fake_knobs.busy && stats.sends % fake_knobs.busy == 0) return -FI_EAGAIN;
    if (!fails_now(&fake_knobs.send_fails)) return 0;
    return fake_knobs.later ? fake_knobs.error : -fake_knobs.error;
}

static ssize_t ep_send(struct fid_ep *ep, const void *buf, size_t len, void *desc, fi_addr_t to,
                       void *context)
{
    struct ep *p = ep_of(ep);
    int fate = send_fate();
    if (to >= ENDPOINTS) misuse("a send to nobody");
    if (fate < 0) return fate;
    described(buf, len, desc, FI_SEND);
    if (fate == 0 && eps[to]) message_queue(eps[to], buf, len);
    moves_later(p, context, fate);
    return 0;
}

static ssize_t ep_inject(struct fid_ep *ep, const void *buf, size_t len, fi_addr_t to)
{
    (void)ep;
    int fate = send_fate();
    if (len > INJECT || to >= ENDPOINTS) misuse("%zu bytes are injected", len);
    if (fate < 0) return fate;
    if (fate == 0 && eps[to]) message_queue(eps[to], buf, len);
    return 0;
}

static ssize_t ep_tsend(struct fid_ep *ep, const void *buf, size_t len, void *desc, fi_addr_t to,
                        uint64_t tag, void *context)
{
    (void)tag;
    return ep_send(ep, buf, len, desc, to, context);
}

static ssize_t ep_tinject(struct fid_ep *ep, const void *buf, size_t len, fi_addr_t to,
                          uint64_t tag)
{
    (void)tag;
    return ep_inject(ep, buf, len, to);
}

static ssize_t ep_recv(struct fid_ep *ep, void *buf, size_t len, void *desc, fi_addr_t from,
                       void *context)
{
    struct ep *p = ep_of(ep);
    (void)from;
    int status = refused(FAKE_RECV);
    if (status) return status;
    described(buf, len, desc, FI_RECV);
    if (p->receives == RECEIVES) return -FI_EAGAIN;
    p->receive[(p->first + p->receives++) % RECEIVES] =
        (struct receive){ .at = buf, .len = len, .context = context };
    return 0;
}

static ssize_t ep_trecv(struct fid_ep *ep, void *buf, size_t len, void *desc, fi_addr_t from,
                        uint64_t tag, uint64_t ignore, void *context)
{
    (void)tag, (void)ignore;
    return ep_recv(ep, buf, len, desc, from, context);
}

static ssize_t ep_recvmsg(struct fid_ep *ep, const struct fi_msg *m, uint64_t flags)
{
    if (!(flags & FI_MULTI_RECV)) misuse("a buffer for one message");
    return ep_recv(ep, m->msg_iov->iov_base, m->msg_iov->iov_len, m->desc[0], m->addr, m->context);
}

/* ---- endpoints: one-sided -------------------------------------------------------------------- */

/* What happens, happens at once, and is told later. */
static ssize_t move(struct fid_ep *ep, void *to, const void *from, size_t len, struct memory *m,
                    void *context)
{
    int error = m ? 0 : FI_EACCES;
    if (is_the_nth()) return -FI_ENOMEM;
    if (fails_now(&fake_knobs.move_fails)) {
        if (!fake_knobs.later) return -fake_knobs.error;
        error = fake_knobs.error;
    }
    if (!error) memcpy(to, from, len);
    moves_later(ep_of(ep), context, error);
    return 0;
}

static uint8_t *within(const struct memory *m, uint64_t at)
{
    return m ? m->base + (fake_knobs.device ? at - (uintptr_t)m->base : at) : NULL;
}

static ssize_t ep_rma_read(struct fid_ep *ep, void *buf, size_t len, void *desc, fi_addr_t from,
                           uint64_t at, uint64_t key, void *context)
{
    struct memory *m = memory_of(key, at, len, FI_REMOTE_READ);
    (void)from;
    stats.reads++;
    described(buf, len, desc, FI_READ);
    return move(ep, buf, within(m, at), len, m, context);
}

static ssize_t ep_rma_write(struct fid_ep *ep, const void *buf, size_t len, void *desc,
                            fi_addr_t to, uint64_t at, uint64_t key, void *context)
{
    struct memory *m = memory_of(key, at, len, FI_REMOTE_WRITE);
    (void)to;
    stats.writes++;
    described(buf, len, desc, FI_WRITE);
    return move(ep, within(m, at), buf, len, m, context);
}

static ssize_t word_update(struct fid_ep *ep, uint64_t operand, const uint64_t *compare,
                           uint64_t *former, uint64_t at, uint64_t key, void *context)
{
    struct memory *m = memory_of(key, at, 8, FI_REMOTE_READ | FI_REMOTE_WRITE);
    uint64_t word = 0, next;
    stats.atomics++;
    if (m) memcpy(&word, within(m, at), 8);
    next = !compare ? word + operand : word == *compare ? operand : word;
    ssize_t status = move(ep, within(m, at), &next, 8, m, context);
    if (status == 0) *former = word;
    return status;
}

static ssize_t ep_fetch(struct fid_ep *ep, const void *buf, size_t count, void *desc, void *result,
                        void *result_desc, fi_addr_t to, uint64_t at, uint64_t key,
                        enum fi_datatype type, enum fi_op op, void *context)
{
    if (to >= ENDPOINTS || !eps[to]) misuse("a word of nobody's");
    if (count != 1 || type != FI_UINT64 || op != FI_SUM) misuse("another operation");
    described(buf, 8, desc, FI_WRITE);
    described(result, 8, result_desc, FI_READ);
    return word_update(ep, *(const uint64_t *)buf, NULL, result, at, key, context);
}

static ssize_t ep_compare(struct fid_ep *ep, const void *buf, size_t count, void *desc,
                          const void *compare, void *compare_desc, void *result, void *result_desc,
                          fi_addr_t to, uint64_t at, uint64_t key, enum fi_datatype type,
                          enum fi_op op, void *context)
{
    if (to >= ENDPOINTS || !eps[to]) misuse("a word of nobody's");
    if (count != 1 || type != FI_UINT64 || op != FI_CSWAP) misuse("another operation");
    described(buf, 8, desc, FI_WRITE);
    described(compare, 8, compare_desc, FI_WRITE);
    described(result, 8, result_desc, FI_READ);
    return word_update(ep, *(const uint64_t *)buf, compare, result, at, key, context);
}

static int ep_valid(struct fid_ep *ep, enum fi_datatype type, enum fi_op op, size_t *count)
{
    (void)ep, (void)type, (void)op;
    *count = 1;
    return 0;
}

/* ---- endpoints: life ------------------------------------------------------------------------- */

/* What it has, goes, and nobody is told. */
static int ep_close(struct fid *fid)
{
    struct ep *p = (struct ep *)(void *)fid;
    struct list *e;
    while ((e = list_take(&p->inbox))) object_free(LIST_OWNER(e, struct message, entry));
    while ((e = list_take(&p->moves))) object_free(LIST_OWNER(e, struct movement, entry));
    eps[p->number] = NULL;
    object_free(p);
    return 0;
}

static int ep_bind(struct fid *fid, struct fid *to, uint64_t flags)
{
    struct ep *p = (struct ep *)(void *)fid;
    if (flags) p->queue = (struct queue *)(void *)to;
    return refused(FAKE_BIND);
}

static int ep_control(struct fid *fid, int command, void *arg)
{
    (void)fid, (void)command, (void)arg;
    return refused(FAKE_ENABLE);
}

static int ep_setopt(fid_t fid, int level, int name, const void *value, size_t len)
{
    struct ep *p = (struct ep *)(void *)fid;
    (void)level, (void)len;
    if (name == FI_OPT_MIN_MULTI_RECV) memcpy(&p->least, value, sizeof(p->least));
    return 0;
}

static int ep_getname(fid_t fid, void *addr, size_t *len)
{
    uint64_t words[2] = { MAGIC, (uint64_t)((struct ep *)(void *)fid)->number };
    memcpy(addr, words, sizeof(words));
    *len = sizeof(words);
    return refused(FAKE_NAME);
}

static int endpoint(struct fid_domain *domain, struct fi_info *info, struct fid_ep **out, void *arg)
{
    static struct fi_ops ops = { .close = ep_close, .bind = ep_bind, .control = ep_control };
    static struct fi_ops_ep more = { .setopt = ep_setopt };
    static struct fi_ops_cm cm = { .getname = ep_getname };
    static struct fi_ops_msg msg = { .recv = ep_recv, .recvmsg = ep_recvmsg, .send = ep_send,
                                     .inject = ep_inject };
    static struct fi_ops_tagged tagged = { .recv = ep_trecv, .send = ep_tsend,
                                           .inject = ep_tinject };
    static struct fi_ops_rma rma = { .read = ep_rma_read, .write = ep_rma_write };
    static struct fi_ops_atomic atomic = { .readwrite = ep_fetch, .compwrite = ep_compare,
                                           .readwritevalid = ep_valid, .compwritevalid = ep_valid };
    (void)domain, (void)info, (void)arg;
    int status = refused(FAKE_ENDPOINT);
    if (status) return status;
    struct ep *p = object(sizeof(*p));
    p->ep.fid.ops = &ops;
    p->ep.ops = &more;
    p->ep.cm = &cm;
    p->ep.msg = &msg;
    p->ep.tagged = &tagged;
    p->ep.rma = &rma;
    p->ep.atomic = &atomic;
    list_init(&p->inbox);
    list_init(&p->moves);
    p->number = made++ % ENDPOINTS;
    eps[p->number] = p;
    *out = &p->ep;
    return 0;
}

/* ---- queues, addresses, domains -------------------------------------------------------------- */

static int cq_close(struct fid *fid)
{
    struct queue *q = (struct queue *)(void *)fid;
    struct list *e;
    for (int i = 0; i < ENDPOINTS; i++)
        if (eps[i] && eps[i]->queue == q) misuse("a queue goes before its endpoint");
    while ((e = list_take(&q->done))) object_free(LIST_OWNER(e, struct event, entry));
    close(q->fd);
    object_free(q);
    return 0;
}

static int cq_control(struct fid *fid, int command, void *arg)
{
    (void)command;
    memcpy(arg, &((struct queue *)(void *)fid)->fd, sizeof(int));
    return 0;
}

static int cq_open(struct fid_domain *domain, struct fi_cq_attr *attr, struct fid_cq **out,
                   void *context)
{
    static struct fi_ops ops = { .close = cq_close, .control = cq_control };
    static struct fi_ops_cq more = { .read = cq_read, .readerr = cq_readerr,
                                     .strerror = cq_strerror };
    (void)domain, (void)context;
    int status = refused(FAKE_CQ);
    if (status) return status;
    if (fake_knobs.sleepless && attr->wait_obj != FI_WAIT_NONE) return -FI_ENOSYS;
    if (fake_knobs.queue && attr->size > fake_knobs.queue) return -FI_EINVAL;
    struct queue *q = object(sizeof(*q));
    q->cq.fid.ops = &ops;
    q->cq.ops = &more;
    q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    list_init(&q->done);
    *out = &q->cq;
    return 0;
}

static int plain_close(struct fid *fid)
{
    object_free(fid);
    return 0;
}

static struct fi_ops plain_ops = { .close = plain_close };

static int av_insert(struct fid_av *av, const void *addr, size_t count, fi_addr_t *to,
                     uint64_t flags, void *context)
{
    uint64_t words[2];
    (void)av, (void)count, (void)flags, (void)context;
    memcpy(words, addr, sizeof(words));
    if (refused(FAKE_INSERT) || words[0] != MAGIC || words[1] >= ENDPOINTS) return 0;
    *to = words[1];
    stats.addresses++;
    return 1;
}

static int av_remove(struct fid_av *av, fi_addr_t *to, size_t count, uint64_t flags)
{
    (void)av, (void)to, (void)flags;
    stats.addresses -= (int)count;
    return 0;
}

static int av_open(struct fid_domain *domain, struct fi_av_attr *attr, struct fid_av **out,
                   void *context)
{
    static struct fi_ops_av ops = { .insert = av_insert, .remove = av_remove };
    (void)domain, (void)attr, (void)context;
    int status = refused(FAKE_AV);
    if (status) return status;
    struct fid_av *av = object(sizeof(*av));
    av->fid.ops = &plain_ops;
    av->ops = &ops;
    *out = av;
    return 0;
}

static int domain_open(struct fid_fabric *fabric, struct fi_info *info, struct fid_domain **out,
                       void *context)
{
    static struct fi_ops_domain ops = { .av_open = av_open, .cq_open = cq_open,
                                        .endpoint = endpoint };
    static struct fi_ops_mr mr = { .reg = mr_reg };
    (void)fabric, (void)info, (void)context;
    int status = refused(FAKE_DOMAIN);
    if (status) return status;
    struct fid_domain *d = object(sizeof(*d));
    d->fid.ops = &plain_ops;
    d->ops = &ops;
    d->mr = &mr;
    *out = d;
    return 0;
}

static int trywait(struct fid_fabric *fabric, struct fid **fids, int count)
{
    const struct queue *q = (const struct queue *)(void *)fids[0];
    (void)fabric, (void)count;
    return list_empty(&q->done) ? FI_SUCCESS : -FI_EAGAIN;
}

static int fabric_open(struct fi_fabric_attr *attr, struct fid_fabric **out, void *context)
{
    static struct fi_ops_fabric ops = { .domain = domain_open, .trywait = trywait };
    (void)attr, (void)context;
    int status = refused(FAKE_FABRIC);
    if (status) return status;
    struct fid_fabric *f = object(sizeof(*f));
    f->fid.ops = &plain_ops;
    f->ops = &ops;
    *out = f;
    return 0;
}

/* ---- in place of api.c ----------------------------------------------------------------------- */

static uint32_t version(void)
{
    return FI_VERSION(FI_MAJOR_VERSION, FI_MINOR_VERSION);
}

static const char *text_of(int error)
{
    static char text[32];
    snprintf(text, sizeof(text), "fake error %d", error);
    return text;
}

int api_begin(struct api_guard *guard, const struct world *world, int ranks, struct why *why)
{
    (void)guard, (void)ranks;
    void *memory = world_allocate(world, 1);
    if (!memory) return why_set(why, SINEW_ENOMEM, "no memory to load a library");
    world_release(world, memory, 1);
    return 0;
}

void api_end(struct api_guard *guard)
{
    (void)guard;
}

int api_load(struct ofi_api *api, struct why *why)
{
    if (refused(FAKE_LOAD))
        return why_set(why, SINEW_ENOTSUP, "libfabric does not load: it is a fake");
    *api = (struct ofi_api){ .version = version, .getinfo = fake_getinfo,
                             .freeinfo = fake_freeinfo, .dupinfo = fake_dupinfo, .fabric = fabric_open, .strerror = text_of };
    return 0;
}
