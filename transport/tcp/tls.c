/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tls.c - OpenSSL as a machine without a socket: what it wants to send and what has come lies in a
 * pair of BIOs, and goes from there by send() and recv() of our own
 *
 *      tls_send    -> SSL_write -> | inner BIO ... outer BIO | -> send
 *      tls_receive <- SSL_read  <- |                         | <- recv
 *
 * A record is made only when there is room for all of it, so OpenSSL never holds one in part.
 */
#include "transport/tcp/tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/library.h"
#include "sinew/sinew.h"

/* --- OpenSSL 3 -------------------------------------------------------------------------------- */

/* Declared here, so that building needs no headers of it. */
struct bio_st;
struct ssl_st;
struct ssl_ctx_st;
struct ssl_method_st;

struct openssl {
    const struct ssl_method_st *(*method)(void);
    struct ssl_ctx_st *(*ctx_new)(const struct ssl_method_st *);
    void (*ctx_free)(struct ssl_ctx_st *);
    long (*ctx_ctrl)(struct ssl_ctx_st *, int, long, void *);
    int (*ctx_ciphersuites)(struct ssl_ctx_st *, const char *);
    uint64_t (*ctx_options)(struct ssl_ctx_st *, uint64_t);
    int (*ctx_num_tickets)(struct ssl_ctx_st *, size_t);
    void (*ctx_psk_client)(struct ssl_ctx_st *,
                           unsigned (*)(struct ssl_st *, const char *, char *, unsigned,
                                        unsigned char *, unsigned));
    void (*ctx_psk_server)(struct ssl_ctx_st *, unsigned (*)(struct ssl_st *, const char *,
                                                             unsigned char *, unsigned));
    struct ssl_st *(*new)(struct ssl_ctx_st *);
    void (*free)(struct ssl_st *);
    int (*set_ex_data)(struct ssl_st *, int, void *);
    void (*set_bio)(struct ssl_st *, struct bio_st *, struct bio_st *);
    void (*verify)(struct ssl_st *, int, int (*)(int, void *));
    void (*connect_state)(struct ssl_st *);
    void (*accept_state)(struct ssl_st *);
    int (*do_handshake)(struct ssl_st *);
    int (*want)(const struct ssl_st *);
    int (*version)(const struct ssl_st *);
    int (*reused)(const struct ssl_st *);
    int (*has_pending)(const struct ssl_st *);
    int (*read)(struct ssl_st *, void *, size_t, size_t *);
    int (*write)(struct ssl_st *, const void *, size_t, size_t *);
    int (*bio_pair)(struct bio_st **, size_t, struct bio_st **, size_t);
    int (*bio_free)(struct bio_st *);
    int (*bio_nread0)(struct bio_st *, char **);
    int (*bio_nread)(struct bio_st *, char **, int);
    int (*bio_nwrite0)(struct bio_st *, char **);
    int (*bio_nwrite)(struct bio_st *, char **, int);
    size_t (*bio_room)(struct bio_st *);
    size_t (*bio_pending)(struct bio_st *);
    void (*clear_error)(void);
    unsigned long (*peek_error)(void);
    const char *(*error_reason)(unsigned long);
};

static const struct library_function functions[] = {
    { "TLS_method", offsetof(struct openssl, method) },
    { "SSL_CTX_new", offsetof(struct openssl, ctx_new) },
    { "SSL_CTX_free", offsetof(struct openssl, ctx_free) },
    { "SSL_CTX_ctrl", offsetof(struct openssl, ctx_ctrl) },
    { "SSL_CTX_set_ciphersuites", offsetof(struct openssl, ctx_ciphersuites) },
    { "SSL_CTX_set_options", offsetof(struct openssl, ctx_options) },
    { "SSL_CTX_set_num_tickets", offsetof(struct openssl, ctx_num_tickets) },
    { "SSL_CTX_set_psk_client_callback", offsetof(struct openssl, ctx_psk_client) },
    { "SSL_CTX_set_psk_server_callback", offsetof(struct openssl, ctx_psk_server) },
    { "SSL_new", offsetof(struct openssl, new) },
    { "SSL_free", offsetof(struct openssl, free) },
    { "SSL_set_ex_data", offsetof(struct openssl, set_ex_data) },
    { "SSL_set_bio", offsetof(struct openssl, set_bio) },
    { "SSL_set_verify", offsetof(struct openssl, verify) },
    { "SSL_set_connect_state", offsetof(struct openssl, connect_state) },
    { "SSL_set_accept_state", offsetof(struct openssl, accept_state) },
    { "SSL_do_handshake", offsetof(struct openssl, do_handshake) },
    { "SSL_want", offsetof(struct openssl, want) },
    { "SSL_version", offsetof(struct openssl, version) },
    { "SSL_session_reused", offsetof(struct openssl, reused) },
    { "SSL_has_pending", offsetof(struct openssl, has_pending) },
    { "SSL_read_ex", offsetof(struct openssl, read) },
    { "SSL_write_ex", offsetof(struct openssl, write) },
    { "BIO_new_bio_pair", offsetof(struct openssl, bio_pair) },
    { "BIO_free", offsetof(struct openssl, bio_free) },
    { "BIO_nread0", offsetof(struct openssl, bio_nread0) },
    { "BIO_nread", offsetof(struct openssl, bio_nread) },
    { "BIO_nwrite0", offsetof(struct openssl, bio_nwrite0) },
    { "BIO_nwrite", offsetof(struct openssl, bio_nwrite) },
    { "BIO_ctrl_get_write_guarantee", offsetof(struct openssl, bio_room) },
    { "BIO_ctrl_pending", offsetof(struct openssl, bio_pending) },
    { "ERR_clear_error", offsetof(struct openssl, clear_error) },
    { "ERR_peek_error", offsetof(struct openssl, peek_error) },
    { "ERR_reason_error_string", offsetof(struct openssl, error_reason) },
};

/* Numbers of OpenSSL's headers, part of its binary interface. */
enum {
    CTRL_SESSION_CACHE = 44, /* 0: off */
    CTRL_MIN_VERSION = 123,
    CTRL_MAX_VERSION = 124,
    TLS_1_3 = 0x0304,
    VERIFY_PEER = 1,
    WANT_READING = 3,
    EX_DATA = 0,
};
#define OPTION_NO_TICKET (UINT64_C(1) << 14)
#define OPTION_NO_COMPRESSION (UINT64_C(1) << 17)
#define OPTION_NO_RENEGOTIATION (UINT64_C(1) << 30)

static const char library_name[] = "libssl.so.3";
/* External keys go with SHA-256, and so with this one suite that all processors have hardware
 * for. */
static const char suite[] = "TLS_AES_128_GCM_SHA256";

enum {
    KEY = 32,
    IDENTITY_MAX = 96,
    RECORD_MAX_PLAIN = 16384,
    RECORD_OVERHEAD = 5 + 1 + 16, /* header, type, tag */
    WIRE = 2 * (RECORD_MAX_PLAIN + RECORD_OVERHEAD),
    WORTH_A_RECORD = 4096, /* a longer piece is cut only to fit what is left by that much */
};

struct tls_library {
    void *handle;
    struct openssl f;
    struct ssl_ctx_st *context;
};

struct tls {
    const struct openssl *f;
    struct ssl_st *ssl;
    struct bio_st *inner, *outer; /* inner is OpenSSL's */
    int fd;
    bool dry;    /* the socket gave less than it was asked for */
    bool broken; /* OpenSSL must not be called any more */
    uint8_t key[KEY];
    char identity[IDENTITY_MAX];
};

/* --- the key, as OpenSSL asks for it ---------------------------------------------------------- */

/* A callback has no more than the SSL, and needs a function of the library to get at what it
 * carries. */
static struct tls *tls_carried_by(const struct ssl_st *ssl)
{
    void *(*get)(const struct ssl_st *, int) = NULL;
    void *handle = dlopen(library_name, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    void *found = handle ? dlsym(handle, "SSL_get_ex_data") : NULL;
    memcpy(&get, &found, sizeof(found));
    struct tls *t = get ? get(ssl, EX_DATA) : NULL;
    if (handle) dlclose(handle);
    return t;
}

static unsigned give_key(const struct tls *t, unsigned char *key, unsigned cap)
{
    if (cap < KEY) return 0;
    memcpy(key, t->key, KEY);
    return KEY;
}

static unsigned as_client(struct ssl_st *ssl, const char *hint, char *identity,
                          unsigned identity_cap, unsigned char *key, unsigned cap)
{
    const struct tls *t = tls_carried_by(ssl);
    (void)hint;
    if (!t || strlen(t->identity) >= identity_cap) return 0;
    strcpy(identity, t->identity);
    return give_key(t, key, cap);
}

static unsigned as_server(struct ssl_st *ssl, const char *identity, unsigned char *key,
                          unsigned cap)
{
    const struct tls *t = tls_carried_by(ssl);
    if (!t || strcmp(identity, t->identity) != 0) return 0;
    return give_key(t, key, cap);
}

/* --- the library ------------------------------------------------------------------------------ */

static int library_find(struct tls_library *library, struct why *why)
{
    /* NODELETE: it registers exit handlers, so it must not be unmapped when we let go. */
    library->handle = dlopen(library_name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library->handle) {
        const char *reason = dlerror();
        return why_set(why, SINEW_ENOTSUP,
                       "security=encrypt needs %s (%s): install OpenSSL 3 (Debian: libssl3) on this "
                       "host, or choose security=authenticate on a network you trust",
                       library_name, reason ? reason : "cannot be opened");
    }
    const char *missing = library_functions(library->handle, functions,
                                            sizeof(functions) / sizeof(functions[0]), &library->f);
    if (!missing) return 0;
    return why_set(why, SINEW_ENOTSUP, "security=encrypt: %s has no %s: install OpenSSL 3",
                   library_name, missing);
}

static int library_configure(struct tls_library *library, struct why *why)
{
    const struct openssl *f = &library->f;
    struct ssl_ctx_st *context = library->context = f->ctx_new(f->method());
    if (context && f->ctx_ctrl(context, CTRL_MIN_VERSION, TLS_1_3, NULL) == 1 &&
        f->ctx_ctrl(context, CTRL_MAX_VERSION, TLS_1_3, NULL) == 1 &&
        f->ctx_ciphersuites(context, suite) == 1 && f->ctx_num_tickets(context, 0) == 1) {
        f->ctx_options(context,
                       OPTION_NO_TICKET | OPTION_NO_COMPRESSION | OPTION_NO_RENEGOTIATION);
        f->ctx_ctrl(context, CTRL_SESSION_CACHE, 0, NULL);
        f->ctx_psk_client(context, as_client);
        f->ctx_psk_server(context, as_server);
        return 0;
    }
    f->clear_error();
    return why_set(why, SINEW_ENOTSUP,
                   "security=encrypt: %s refuses TLS 1.3 with %s (a FIPS or crypto policy?)",
                   library_name, suite);
}

int tls_load(struct tls_library **library, const struct world *world, struct why *why)
{
    if (*library) return 0;
    *library = world_allocate(world, sizeof(**library));
    if (!*library) return why_set(why, SINEW_ENOMEM, "no memory for encryption");
    int rc = library_find(*library, why);
    if (rc == 0) rc = library_configure(*library, why);
    if (rc < 0) tls_unload(library, world);
    return rc;
}

void tls_unload(struct tls_library **library, const struct world *world)
{
    if (!*library) return;
    if ((*library)->context) (*library)->f.ctx_free((*library)->context);
    if ((*library)->handle) dlclose((*library)->handle);
    world_release(world, *library, sizeof(**library));
    *library = NULL;
}

/* --- a connection ----------------------------------------------------------------------------- */

static void tls_name(struct tls *t, const struct handshake *h)
{
    bool client = h->role == HANDSHAKE_CLIENT;
    const struct handshake_identity *from = client ? &h->mine : &h->peer,
                                    *to = client ? &h->peer : &h->mine;
    snprintf(t->identity, sizeof(t->identity), "sinew %d.%016" PRIx64 " to %d.%016" PRIx64 " of %d",
             from->rank, from->epoch, to->rank, to->epoch, from->size);
}

int tls_begin(struct tls **out, struct tls_library *library, const struct world *world,
              struct handshake *h, int fd, struct why *why)
{
    const struct openssl *f = &library->f;
    struct tls *t = world_allocate(world, sizeof(*t));
    if (!t) return why_set(why, SINEW_ENOMEM, "no memory for an encrypted connection");
    *t = (struct tls){ .f = f, .fd = fd };
    memcpy(t->key, h->key, KEY);
    explicit_bzero(h->key, sizeof(h->key));
    tls_name(t, h);
    t->ssl = f->new(library->context);
    if (!t->ssl || !f->bio_pair(&t->inner, WIRE, &t->outer, WIRE) ||
        !f->set_ex_data(t->ssl, EX_DATA, t)) {
        f->clear_error();
        if (t->inner) f->bio_free(t->inner);
        tls_end(&t, world);
        return why_set(why, SINEW_ENOMEM, "OpenSSL has no memory for an encrypted connection");
    }
    f->set_bio(t->ssl, t->inner, t->inner);
    if (h->role == HANDSHAKE_CLIENT) {
        f->verify(t->ssl, VERIFY_PEER, NULL); /* no certificate can ever be right */
        f->connect_state(t->ssl);
    } else {
        f->accept_state(t->ssl);
    }
    *out = t;
    return 0;
}

void tls_end(struct tls **tls, const struct world *world)
{
    struct tls *t = *tls;
    if (!t) return;
    if (t->ssl) t->f->free(t->ssl);
    if (t->outer) t->f->bio_free(t->outer);
    explicit_bzero(t, sizeof(*t));
    world_release(world, t, sizeof(*t));
    *tls = NULL;
}

bool tls_waits(const struct tls *t)
{
    return t->f->bio_pending(t->outer) > 0;
}

/* What OpenSSL wants to send goes. 0: all of it; else -1 and errno. */
static int tls_flush(struct tls *t)
{
    char *at;
    while (t->f->bio_pending(t->outer) > 0) {
        int len = t->f->bio_nread0(t->outer, &at);
        ssize_t n = send(t->fd, at, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        t->f->bio_nread(t->outer, &at, (int)n);
    }
    return 0;
}

/* What has come goes to OpenSSL: bytes, 0 at the end, -1 and errno. */
static ssize_t tls_fill(struct tls *t)
{
    char *at;
    int room = t->f->bio_nwrite0(t->outer, &at);
    ssize_t n = recv(t->fd, at, room > 0 ? (size_t)room : 0, MSG_DONTWAIT);
    if (n > 0) t->f->bio_nwrite(t->outer, &at, (int)n);
    t->dry = n < room;
    return n;
}

static int tls_refuse(struct tls *t, struct why *why)
{
    const char *reason = t->f->error_reason(t->f->peek_error());
    why_set(why, SINEW_EAUTH,
            "encryption could not be agreed (%s): bytes were changed on the way, or the peer has "
            "another key",
            reason ? reason : "no reason known");
    t->f->clear_error();
    t->broken = true;
    tls_flush(t); /* an alert tells the other end */
    return SINEW_EAUTH;
}

/* Not by what was configured, but by what has come of it. */
static int tls_agreed(struct tls *t, struct why *why)
{
    explicit_bzero(t->key, sizeof(t->key));
    if (t->f->version(t->ssl) == TLS_1_3 && t->f->reused(t->ssl)) return 0;
    t->broken = true;
    return why_set(why, SINEW_EAUTH, "the peer speaks TLS, but without the key of this job");
}

int tls_shake(struct tls *t, uint32_t *events, struct why *why)
{
    for (;;) {
        if (t->broken) return why_set(why, SINEW_EAUTH, "the encrypted connection has failed");
        int rc = t->f->do_handshake(t->ssl);
        if (rc != 1 && t->f->want(t->ssl) != WANT_READING) return tls_refuse(t, why);
        *events = EPOLLIN;
        if (tls_flush(t) < 0) {
            if (errno != EAGAIN)
                return why_set(why, SINEW_EPEER, "encrypting: %s", strerrordesc_np(errno));
            *events = EPOLLIN | EPOLLOUT;
            return SINEW_PENDING;
        }
        if (rc == 1) return tls_agreed(t, why);
        ssize_t n = tls_fill(t);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return SINEW_PENDING;
        if (n < 0) return why_set(why, SINEW_EPEER, "encrypting: %s", strerrordesc_np(errno));
        if (n == 0)
            return why_set(why, SINEW_EPEER,
                           "the connection was closed while encryption was being agreed");
    }
}

static ssize_t tls_fails(struct tls *t)
{
    t->broken = true;
    t->f->clear_error();
    errno = EBADMSG;
    return -1;
}

/* One record's worth. 0: no room for it. */
static ssize_t tls_encrypt(struct tls *t, const uint8_t *bytes, size_t len)
{
    size_t room = t->f->bio_room(t->inner), taken = 0;
    if (len > RECORD_MAX_PLAIN) len = RECORD_MAX_PLAIN;
    if (room < len + RECORD_OVERHEAD) {
        if (room < WORTH_A_RECORD) return 0;
        len = room - RECORD_OVERHEAD;
    }
    if (!t->f->write(t->ssl, bytes, len, &taken) || taken != len) return tls_fails(t);
    return (ssize_t)len;
}

ssize_t tls_send(struct tls *t, const struct iovec *v, int count)
{
    size_t taken = 0;
    if (t->broken) return tls_fails(t);
    for (int i = 0; i < count; i++) {
        size_t done = 0;
        while (done < v[i].iov_len) {
            ssize_t n = tls_encrypt(t, (const uint8_t *)v[i].iov_base + done, v[i].iov_len - done);
            if (n < 0) return -1;
            if (n > 0) {
                done += (size_t)n;
                taken += (size_t)n;
                continue;
            }
            if (tls_flush(t) == 0) continue;
            return taken > 0 && errno == EAGAIN ? (ssize_t)taken : -1;
        }
    }
    if (tls_flush(t) < 0 && errno != EAGAIN) return -1;
    return (ssize_t)taken;
}

ssize_t tls_receive(struct tls *t, void *bytes, size_t cap, bool *dry)
{
    size_t len = 0;
    if (t->broken) return tls_fails(t);
    while (!t->f->read(t->ssl, bytes, cap, &len)) {
        if (t->f->want(t->ssl) != WANT_READING) return tls_fails(t);
        ssize_t n = tls_fill(t);
        if (n <= 0) return n;
    }
    *dry = t->dry && t->f->bio_pending(t->inner) == 0 && !t->f->has_pending(t->ssl);
    return (ssize_t)len;
}
