/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_ucx.c - see fake_ucx.h. All of it is used by one thread. */
#include "tests/ucx/fake_ucx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/list.h"
#include "sinew/sinew.h"
#include "tests/seed.h"

enum { WORKERS = 64, DELIVERIES = 8, PART = 16384 };
#define MAGIC UINT64_C(0x6661636b65786375)

struct worker {
    struct list inbox, done, fetches, eps, requests;
    ucp_am_recv_callback_t handler;
    void *arg;
    int number, efd;
};

struct endpoint_of {
    struct list entry; /* worker->eps */
    struct worker *worker;
    int to;
    ucp_err_handler_t errors;
    bool fails, failed, closed;
    ucs_status_t status;
    struct list requests; /* under way */
};

enum kind { SEND, FETCH, CLOSE };
struct request {
    struct list entry, of_ep; /* worker->done when it is over but nobody was told; ep->requests */
    struct list of_worker;
    struct worker *worker;
    struct endpoint_of *ep;
    struct message *message;
    enum kind kind;
    ucp_send_nbx_callback_t told;
    ucp_am_recv_data_nbx_callback_t told_fetched;
    void *arg;
    ucs_status_t status;
    size_t at;
    char *to;
    bool over;
};

struct message {
    struct list entry;
    struct request *sender; /* of a rendezvous, until it is over */
    const char *from;
    size_t from_len, header_len, len;
    bool fetched, kept, started, in_hand, over;
    uint8_t bytes[];
};

struct fake_knobs fake_knobs;
static struct fake_stats stats;
static struct worker *workers[WORKERS];
static int made;
static struct seed seed;

__attribute__((format(printf, 1, 2))) static void misuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(stats.misuse, sizeof(stats.misuse), format, arguments);
    va_end(arguments);
    fprintf(stderr, "misuse of UCX: %s\n", stats.misuse);
    stats.misuses++;
}

struct fake_stats fake_stats(void)
{
    return stats;
}

void fake_reset(void)
{
    fake_knobs = (struct fake_knobs){ .address_len = 200, .max_header = 200 };
    stats = (struct fake_stats){ .objects = 0 };
    seed = (struct seed){ 1 };
    made = 0;
    memset(workers, 0, sizeof(workers));
}

static void *object(size_t size)
{
    stats.objects++;
    return calloc(1, size);
}

static void object_free(void *o)
{
    stats.objects--;
    free(o);
}

static bool is_the_nth(void)
{
    return fake_knobs.fail_at && --fake_knobs.fail_at == 0;
}

static bool refused(enum fake_call call, ucs_status_t *status)
{
    bool counted = is_the_nth();
    *status = counted ? UCS_ERR_NO_MEMORY : fake_knobs.status;
    return counted || fake_knobs.refuses == call;
}

/* ---- what ends ------------------------------------------------------------------------------- */

static void wake(struct worker *w)
{
    uint64_t one = 1;
    if (write(w->efd, &one, sizeof(one)) < 0) misuse("an event that nobody reads");
}

static void message_free(struct message *m)
{
    if (m->sender) m->sender->message = NULL;
    m->sender = NULL;
    m->over = true;
    if (!m->in_hand) object_free(m);
}

/* Its callback is called in some progress. */
static void request_over(struct request *r, ucs_status_t status)
{
    if (r->over) return;
    r->over = true;
    r->status = status;
    list_remove(&r->of_ep);
    list_remove(&r->entry);
    list_append(&r->worker->done, &r->entry);
    wake(r->worker);
}

static void sender_over(struct message *m, ucs_status_t status)
{
    struct request *r = m->sender;
    m->sender = NULL;
    if (!r) return;
    r->message = NULL;
    request_over(r, status);
}

static struct request *request_make(struct endpoint_of *ep, struct worker *w, enum kind kind)
{
    struct request *r = object(sizeof(*r));
    *r = (struct request){ .ep = ep, .worker = w, .kind = kind, .status = UCS_INPROGRESS };
    list_init(&r->entry);
    list_init(&r->of_ep);
    list_init(&r->of_worker);
    list_append(&w->requests, &r->of_worker);
    stats.requests++;
    if (ep) list_append(&ep->requests, &r->of_ep);
    return r;
}

static void request_tell(struct request *r)
{
    list_remove(&r->entry);
    if (r->kind == SEND) /* it frees the request */
        r->told(r, r->status, r->arg);
    else if (r->kind == FETCH)
        r->told_fetched(r, r->status, 0, r->arg);
}

static void fetch_over(struct request *r, ucs_status_t status)
{
    struct message *m = r->message;
    r->message = NULL;
    sender_over(m, status);
    message_free(m);
    request_over(r, status);
}

static void fetches_end(struct worker *w, ucs_status_t status)
{
    while (!list_empty(&w->fetches))
        fetch_over(LIST_OWNER(w->fetches.next, struct request, entry), status);
}

static void endpoint_drop(struct endpoint_of *ep, ucs_status_t status)
{
    while (!list_empty(&ep->requests)) {
        struct request *r = LIST_OWNER(ep->requests.next, struct request, of_ep);
        if (r->message) r->message->sender = NULL;
        if (r->message) r->message->from = NULL;
        r->message = NULL;
        request_over(r, status);
    }
    fetches_end(ep->worker, status);
}

/* ---- moving ---------------------------------------------------------------------------------- */

static void deliver(struct worker *w, struct message *m)
{
    const ucp_am_recv_param_t param = { .recv_attr = m->fetched ? UCP_AM_RECV_ATTR_FLAG_RNDV : 0 };
    uint8_t *at = m->bytes;
    m->in_hand = true;
    ucs_status_t said = w->handler(w->arg, m->header_len ? at : NULL, m->header_len,
                                   m->fetched ? (void *)m : at + m->header_len,
                                   m->fetched ? m->from_len : m->len, &param);
    m->in_hand = false;
    if (m->started && !m->over) return;
    if (said == UCS_INPROGRESS && m->fetched && !m->over) {
        m->kept = true;
        return;
    }
    if (said == UCS_INPROGRESS) misuse("a message that came whole, or was fetched, is kept");
    sender_over(m, UCS_OK);
    message_free(m);
}

static bool fetch_some(struct request *r)
{
    struct message *m = r->message;
    size_t left = m->from_len - r->at, len = left < PART ? left : PART;
    if (!m->from) {
        fetch_over(r, UCS_ERR_CONNECTION_RESET);
        return true;
    }
    memcpy(r->to + r->at, m->from + r->at, len);
    r->at += len;
    if (r->at == m->from_len) fetch_over(r, UCS_OK);
    return true;
}

static void endpoint_tell(struct endpoint_of *ep)
{
    ep->fails = false;
    ep->failed = true;
    endpoint_drop(ep, ep->status);
    ep->errors.cb(ep->errors.arg, (ucp_ep_h)(void *)ep, ep->status);
}

static unsigned progress(ucp_worker_h handle)
{
    struct worker *w = (struct worker *)(void *)handle;
    unsigned n = 0;
    uint64_t events;
    if (read(w->efd, &events, sizeof(events)) < 0) events = 0;
    if (fake_knobs.idle > 0) {
        fake_knobs.idle--;
        return 0;
    }
    for (struct list *e = w->eps.next, *next; e != &w->eps; e = next) {
        struct endpoint_of *ep = LIST_OWNER(e, struct endpoint_of, entry);
        next = e->next;
        if (ep->fails && !ep->closed) {
            endpoint_tell(ep);
            return 1;
        }
    }
    for (int i = 0; i < DELIVERIES && !list_empty(&w->done); i++, n++)
        request_tell(LIST_OWNER(w->done.next, struct request, entry));
    if (fake_knobs.held) return n;
    if (!list_empty(&w->fetches))
        n += fetch_some(LIST_OWNER(w->fetches.next, struct request, entry));
    struct list *e;
    for (int i = 0; i < DELIVERIES && (e = list_take(&w->inbox)); i++, n++)
        deliver(w, LIST_OWNER(e, struct message, entry));
    return n;
}

static void queue(struct worker *w, struct message *m)
{
    struct list *before = &w->inbox;
    uint64_t most = fake_knobs.disorder ? seed_below(&seed, fake_knobs.disorder + 1) : 0;
    for (; most > 0 && before->prev != &w->inbox; most--, stats.overtakes++) before = before->prev;
    list_append(before, &m->entry); /* before it */
    wake(w);
}

static struct message *message_make(const void *header, size_t header_len, const void *bytes,
                                    size_t len, bool fetched)
{
    size_t kept = fetched ? 0 : len;
    struct message *m = object(sizeof(*m) + header_len + kept);
    m->header_len = header_len;
    m->len = kept;
    m->fetched = fetched;
    m->from = fetched ? bytes : NULL;
    m->from_len = len;
    list_init(&m->entry);
    if (header_len) memcpy(m->bytes, header, header_len);
    if (kept) memcpy(m->bytes + header_len, bytes, kept);
    return m;
}

/* ---- the functions --------------------------------------------------------------------------- */

static ucs_status_ptr_t send_fails(struct endpoint_of *ep, const ucp_request_param_t *param)
{
    if (fake_knobs.way == FAKE_AT_ONCE) return UCS_STATUS_PTR(fake_knobs.status);
    struct request *r = request_make(ep, ep->worker, SEND);
    r->told = param->cb.send;
    r->arg = param->user_data;
    if (fake_knobs.way == FAKE_LATER) {
        request_over(r, fake_knobs.status);
    } else {
        ep->fails = true;
        ep->status = fake_knobs.status;
    }
    return r;
}

/* True: it is on its way, or lost. */
static struct message *put_on_its_way(struct endpoint_of *ep, const void *header, size_t header_len,
                                      const void *bytes, size_t len, bool fetched)
{
    struct worker *to = workers[ep->to];
    struct message *m = message_make(header, header_len, bytes, len, fetched);
    size_t whole = m->header_len + m->len;
    bool lost = fake_knobs.mangle && !fake_knobs.mangle(m->bytes, &whole, &m->fetched);
    if (!to || lost) {
        message_free(m);
        return NULL;
    }
    m->len = whole - m->header_len;
    for (; fake_knobs.copies > 0; fake_knobs.copies--)
        queue(to, message_make(header, header_len, bytes, len, fetched));
    queue(to, m);
    return m;
}

static ucs_status_ptr_t am_send(ucp_ep_h handle, unsigned id, const void *header, size_t header_len,
                                const void *bytes, size_t len, const ucp_request_param_t *param)
{
    struct endpoint_of *ep = (struct endpoint_of *)(void *)handle;
    bool fetched = param->flags & UCP_AM_SEND_FLAG_RNDV;
    if (!ep || ep->closed) misuse("a send on an endpoint that is closed");
    if (id != 0 || header_len > fake_knobs.max_header) misuse("a send that UCX does not take");
    stats.sends++;
    if (ep->failed) return UCS_STATUS_PTR(ep->status);
    if (is_the_nth()) return UCS_STATUS_PTR(UCS_ERR_NO_MEMORY);
    if (fake_knobs.send_fails && --fake_knobs.send_fails == 0) return send_fails(ep, param);
    struct message *m = put_on_its_way(ep, header, header_len, bytes, len, fetched);
    if (!fetched && (fake_knobs.prompt || seed_below(&seed, 2))) return NULL;
    struct request *r = request_make(ep, ep->worker, SEND);
    r->told = param->cb.send;
    r->arg = param->user_data;
    if (fetched && m) {
        r->message = m;
        m->sender = r;
    } else {
        request_over(r, UCS_OK);
    }
    return r;
}

static ucs_status_ptr_t am_recv(ucp_worker_h handle, void *desc, void *to, size_t count,
                                const ucp_request_param_t *param)
{
    struct worker *w = (struct worker *)(void *)handle;
    struct message *m = desc;
    stats.fetches++;
    if (m->started || count != m->from_len) misuse("a fetch of what is not there");
    if (is_the_nth()) return UCS_STATUS_PTR(UCS_ERR_NO_MEMORY);
    struct request *r = request_make(NULL, w, FETCH);
    r->told_fetched = param->cb.recv_am;
    r->arg = param->user_data;
    r->message = m;
    r->to = to;
    m->started = true;
    list_append(&w->fetches, &r->entry);
    if (fake_knobs.fetch_fails && --fake_knobs.fetch_fails == 0)
        fetch_over(r, fake_knobs.status);
    else if (fake_knobs.prompt)
        while (!r->over) fetch_some(r);
    /* It may be over, and its memory given back, before the caller sees it. */
    if (r->over && seed_below(&seed, 2)) request_tell(r);
    return r;
}

static void am_release(ucp_worker_h handle, void *desc)
{
    struct message *m = desc;
    (void)handle;
    if (m->started || !m->kept) misuse("a release of what is not kept");
    sender_over(m, UCS_OK);
    message_free(m);
}

static void request_free(void *request)
{
    struct request *r = request;
    if (!r->over && r->kind != CLOSE) misuse("a request is freed before it is over");
    list_remove(&r->entry);
    list_remove(&r->of_worker);
    stats.requests--;
    object_free(r);
}

static ucs_status_t request_status(void *request)
{
    const struct request *r = request;
    return r->over ? r->status : UCS_INPROGRESS;
}

static ucs_status_t ep_create(ucp_worker_h handle, const ucp_ep_params_t *params, ucp_ep_h *out)
{
    struct worker *w = (struct worker *)(void *)handle;
    uint64_t magic, number;
    ucs_status_t status;
    memcpy(&magic, params->address, sizeof(magic));
    memcpy(&number, (const char *)(const void *)params->address + 8, sizeof(number));
    if (refused(FAKE_EP, &status)) return status;
    if (magic != MAGIC || number >= WORKERS) return UCS_ERR_INVALID_ADDR;
    if (params->err_mode != UCP_ERR_HANDLING_MODE_PEER) misuse("an endpoint that does not tell of failures");
    struct endpoint_of *ep = object(sizeof(*ep));
    *ep = (struct endpoint_of){ .worker = w, .to = (int)number, .errors = params->err_handler };
    list_init(&ep->requests);
    list_init(&ep->entry);
    list_append(&w->eps, &ep->entry);
    *out = (ucp_ep_h)(void *)ep;
    return UCS_OK;
}

static ucs_status_ptr_t ep_close(ucp_ep_h handle, const ucp_request_param_t *param)
{
    struct endpoint_of *ep = (struct endpoint_of *)(void *)handle;
    struct worker *w = ep->worker;
    if (ep->closed) misuse("an endpoint is closed twice");
    ep->closed = true;
    list_remove(&ep->entry);
    struct request *r = request_make(NULL, w, CLOSE);
    if (!fake_knobs.stuck) { /* else what it has is not given back either */
        bool by_force = param->flags & UCP_EP_CLOSE_FLAG_FORCE;
        endpoint_drop(ep, by_force ? UCS_ERR_CANCELED : UCS_OK);
        request_over(r, UCS_OK);
        list_remove(&r->entry);
    }
    while (!list_empty(&ep->requests)) list_remove(ep->requests.next);
    object_free(ep);
    return r;
}

static void version(unsigned *major, unsigned *minor, unsigned *release)
{
    *major = UCP_API_MAJOR;
    *minor = UCP_API_MINOR;
    *release = 99;
}

static ucs_status_t init(unsigned major, unsigned minor, const ucp_params_t *params,
                         const ucp_config_t *config, ucp_context_h *out)
{
    ucs_status_t status;
    (void)major;
    (void)minor;
    (void)config;
    if (params->features != (UCP_FEATURE_AM | UCP_FEATURE_WAKEUP)) misuse("other features");
    if (refused(FAKE_INIT, &status)) return status;
    *out = object(1);
    return UCS_OK;
}

static void cleanup(ucp_context_h context)
{
    object_free(context);
}

static ucs_status_t worker_create(ucp_context_h context, const ucp_worker_params_t *params,
                                  ucp_worker_h *out)
{
    ucs_status_t status;
    (void)context;
    (void)params;
    if (refused(FAKE_WORKER, &status)) return status;
    struct worker *w = object(sizeof(*w));
    list_init(&w->inbox);
    list_init(&w->done);
    list_init(&w->fetches);
    list_init(&w->eps);
    list_init(&w->requests);
    w->number = made++ % WORKERS;
    w->efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    workers[w->number] = w;
    *out = (ucp_worker_h)(void *)w;
    return UCS_OK;
}

static void request_forget(struct request *r)
{
    if (!fake_knobs.stuck || r->kind == CLOSE) misuse("a request is left when its worker goes");
    if (r->kind == FETCH && r->message) {
        r->message->sender = NULL;
        message_free(r->message);
    } else if (r->message) {
        r->message->sender = NULL;
    }
    list_remove(&r->of_worker);
    stats.requests--;
    object_free(r);
}

/* What was stuck goes with it, and nobody is told. */
static void worker_destroy(ucp_worker_h handle)
{
    struct worker *w = (struct worker *)(void *)handle;
    struct list *e;
    if (!list_empty(&w->eps)) misuse("endpoints are left when their worker goes");
    while (!list_empty(&w->requests))
        request_forget(LIST_OWNER(w->requests.next, struct request, of_worker));
    while ((e = list_take(&w->inbox))) message_free(LIST_OWNER(e, struct message, entry));
    workers[w->number] = NULL;
    close(w->efd);
    object_free(w);
}

static ucs_status_t worker_query(ucp_worker_h handle, ucp_worker_attr_t *attr)
{
    ucs_status_t status;
    (void)handle;
    attr->max_am_header = fake_knobs.max_header;
    return refused(FAKE_QUERY, &status) ? status : UCS_OK;
}

static ucs_status_t get_address(ucp_worker_h handle, ucp_address_t **out, size_t *len)
{
    ucs_status_t status;
    uint64_t words[2] = { MAGIC, (uint64_t)((struct worker *)(void *)handle)->number };
    if (refused(FAKE_ADDRESS, &status)) return status;
    char *bytes = object(fake_knobs.address_len);
    memcpy(bytes, words, sizeof(words));
    *out = (ucp_address_t *)(void *)bytes;
    *len = fake_knobs.address_len;
    return UCS_OK;
}

static void release_address(ucp_worker_h handle, ucp_address_t *address)
{
    (void)handle;
    object_free(address);
}

static ucs_status_t get_efd(ucp_worker_h handle, int *out)
{
    ucs_status_t status;
    *out = ((struct worker *)(void *)handle)->efd;
    return refused(FAKE_EFD, &status) ? status : UCS_OK;
}

static ucs_status_t arm(ucp_worker_h handle)
{
    const struct worker *w = (struct worker *)(void *)handle;
    bool idle = list_empty(&w->inbox) && list_empty(&w->done) && list_empty(&w->fetches);
    return idle || fake_knobs.unheard ? UCS_OK : UCS_ERR_BUSY;
}

static ucs_status_t set_am_handler(ucp_worker_h handle, const ucp_am_handler_param_t *param)
{
    struct worker *w = (struct worker *)(void *)handle;
    ucs_status_t status;
    if (refused(FAKE_HANDLER, &status)) return status;
    w->handler = param->cb;
    w->arg = param->arg;
    return UCS_OK;
}

static const char *status_string(ucs_status_t status)
{
    static char text[32];
    snprintf(text, sizeof(text), "fake status %d", (int)status);
    return text;
}

/* ---- in place of api.c ----------------------------------------------------------------------- */

int api_begin(struct api_guard *guard, const struct world *world, const struct log *log,
              struct why *why)
{
    (void)guard;
    (void)log;
    void *memory = world_allocate(world, 1);
    if (!memory) return why_set(why, SINEW_ENOMEM, "no memory to load a library");
    world_release(world, memory, 1);
    return 0;
}

void api_end(struct api_guard *guard)
{
    (void)guard;
}

int api_load(struct ucx_api *api, struct why *why)
{
    ucs_status_t status;
    if (refused(FAKE_LOAD, &status)) return why_set(why, SINEW_ENOTSUP, "UCX does not load: a fake");
    *api = (struct ucx_api){
        .get_version = version,           .init = init,
        .cleanup = cleanup,               .worker_create = worker_create,
        .worker_destroy = worker_destroy, .worker_query = worker_query,
        .get_address = get_address,       .release_address = release_address,
        .get_efd = get_efd,               .arm = arm,
        .progress = progress,             .set_am_handler = set_am_handler,
        .ep_create = ep_create,           .ep_close = ep_close,
        .am_send = am_send,               .am_recv = am_recv,
        .am_release = am_release,         .request_free = request_free,
        .request_status = request_status, .status_string = status_string,
    };
    return 0;
}

void api_unload(const struct ucx_api *api)
{
    (void)api;
}

_Thread_local const struct log *api_log;

/* ---- what tests do --------------------------------------------------------------------------- */

void fake_fail(int number, ucs_status_t status)
{
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = number < 0 || number == i ? workers[i] : NULL;
        for (struct list *e = w ? w->eps.next : NULL; e && e != &w->eps; e = e->next) {
            struct endpoint_of *ep = LIST_OWNER(e, struct endpoint_of, entry);
            ep->fails = true;
            ep->status = status;
        }
        if (w) wake(w);
    }
}

void fake_inject(int number, const void *header, size_t header_len, const void *bytes, size_t len)
{
    queue(workers[number], message_make(header, header_len, bytes, len, false));
}
