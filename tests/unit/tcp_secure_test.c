/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who does not know the secret, is not who he should be, or sits in between, gets nothing: every
 * attack by its name. Rank 1 is attacked; ranks 2 and 1 are linked all the while and must not
 * notice. Run in clear and, with TEST_ENCRYPT, encrypted.
 */
#include "tests/unit/tcp_end.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

enum { CLIENT, SERVER, LOG = 8192, PROOF_AT = HANDSHAKE_HELLO };

static const uint8_t other_secret[32] = "another secret, of another job.";

/* --- the scene -------------------------------------------------------------------------------- */

static struct scene {
    struct end *target, *friend;
} scene;

static void scene_begin(void)
{
    scene.target = end_open(1, 101, end_secret);
    scene.friend = end_open(2, 102, end_secret);
    ends_join(scene.friend, scene.target);
}

/* The link that was there carries on, nothing was handed up, nobody is kept. */
static void scene_end(void)
{
    struct end *b = scene.target, *c = scene.friend;
    for (int i = 0; b->t->pending_count > 0; i++) {
        if (i > 200) fail_msg("a stranger is kept for more than ten seconds");
        clock_advance(SECOND / 10);
        end_progress(b, NULL);
    }
    assert_int_equal(b->view[2].links, 1);
    assert_int_equal(b->view[2].downs, 0);
    assert_int_equal(b->view[2].received, 0);
    end_send(c, 1, 500);
    ENDS_UNTIL(b->view[2].received == 1, b, c);
    end_close(c);
    end_close(b);
}

static void assert_says(const char *text, const char *words)
{
    if (!strstr(text, words)) fail_msg("'%s' is not in '%s'", words, text);
}

/* Rank 0's attempt ends so, and the target has no link of it. */
static void assert_kept_out(struct end *a, int status, const char *words)
{
    struct end *b = scene.target, *c = scene.friend;
    ENDS_UNTIL(a->view[1].downs, a, b, c);
    assert_says(a->view[1].why, words);
    assert_int_equal(a->view[1].status, status);
    assert_int_equal(a->view[1].ups, 0);
    assert_int_equal(b->view[0].links, 0);
    assert_int_equal(b->view[0].received, 0);
    end_close(a);
}

/* --- somebody in between ---------------------------------------------------------------------- */

static struct middle {
    int listener, fd[2]; /* of CLIENT's side, of SERVER's */
    struct end *server;
    uint8_t said[2][LOG]; /* by each, as it was carried on */
    size_t len[2];
    void (*change)(int who, size_t at, uint8_t *byte);
} middle;

static void middle_begin(struct end *server, struct sockaddr_in *at)
{
    socklen_t len = sizeof(*at);
    middle = (struct middle){ .server = server, .fd = { -1, -1 } };
    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    middle.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(middle.listener, (struct sockaddr *)at, len), 0);
    assert_int_equal(listen(middle.listener, 16), 0);
    getsockname(middle.listener, (struct sockaddr *)at, &len);
}

static void middle_hang_up(void)
{
    for (int i = 0; i < 2; i++) {
        if (middle.fd[i] >= 0) close(middle.fd[i]);
        middle.fd[i] = -1;
        middle.len[i] = 0;
    }
}

static void middle_end(void)
{
    middle_hang_up();
    close(middle.listener);
}

static void middle_carry(int who)
{
    uint8_t bytes[1024];
    ssize_t n = recv(middle.fd[who], bytes, sizeof(bytes), MSG_DONTWAIT);
    bool over = n == 0 || (n < 0 && errno != EAGAIN);
    for (ssize_t i = 0; i < n; i++) {
        size_t at = middle.len[who]++;
        if (middle.change) middle.change(who, at, &bytes[i]);
        if (at < LOG) middle.said[who][at] = bytes[i];
    }
    if (n > 0 && send(middle.fd[!who], bytes, (size_t)n, MSG_NOSIGNAL) != n) over = true;
    if (over) middle_hang_up();
}

static void middle_step(void)
{
    const int one = 1;
    if (middle.fd[CLIENT] < 0) {
        middle.fd[CLIENT] = accept4(middle.listener, NULL, NULL, SOCK_NONBLOCK);
        if (middle.fd[CLIENT] < 0) return;
        middle.fd[SERVER] = raw_connect(middle.server);
        for (int i = 0; i < 2; i++)
            setsockopt(middle.fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    for (int who = 0; who < 2; who++)
        if (middle.fd[who] >= 0) middle_carry(who);
}

/* Rank 0 connects to the target, through the one in between. */
static void connect_through(struct end *a, const struct sockaddr_in *at)
{
    const union place whole = { .v4 = *at };
    uint8_t address[TCP_ADDRESS_MAX];
    struct view *v = &a->view[1];
    v->link = world_allocate_aligned(&world_real, 64, transport_tcp.link_size);
    v->link->base = (struct link){ .ops = &transport_tcp, .transport = &a->t->base, .owner = a,
                                   .rank = 1 };
    transport_tcp.connect(&v->link->base, address, address_encode(&whole, address));
}

#define MIDDLE_UNTIL(expr, a)                                                                      \
    do {                                                                                           \
        int64_t until_ = world_real.now(NULL) + 20 * SECOND;                                       \
        while (!(expr)) {                                                                          \
            if (world_real.now(NULL) > until_) fail_msg("in vain waited for: %s", #expr);          \
            middle_step();                                                                         \
            end_progress((a), NULL);                                                               \
            end_progress(scene.target, NULL);                                                      \
            end_progress(scene.friend, NULL);                                                      \
            clock_advance(SECOND / 1000);                                                          \
        }                                                                                          \
    } while (0)

/* --- by their names --------------------------------------------------------------------------- */

/* All that an honest rank 0 has said, once more, whole or in part. */
static void replay(void **state)
{
    struct sockaddr_in at;
    static uint8_t said[LOG];
    (void)state;
    scene_begin();
    middle_begin(scene.target, &at);
    struct end *a = end_open(0, 100, end_secret), *b = scene.target;
    connect_through(a, &at);
    MIDDLE_UNTIL(a->view[1].ups && b->view[0].ups, a);
    end_send(a, 1, 100);
    MIDDLE_UNTIL(b->view[0].received == 1, a);
    size_t len = middle.len[CLIENT];
    memcpy(said, middle.said[CLIENT], len);
    assert_true(len > HANDSHAKE_HELLO + HANDSHAKE_PROOF + JOIN_FRAME);
    const size_t parts[] = { HANDSHAKE_HELLO + HANDSHAKE_PROOF, len };
    for (int i = 0; i < 2; i++) {
        int fd = raw_connect(b);
        assert_int_equal(send(fd, said, parts[i], MSG_NOSIGNAL), parts[i]);
        ENDS_UNTIL(raw_is_closed(fd), b);
        close(fd);
        clock_advance(2 * SECOND);
    }
    assert_says(b->last_log, "does not know this job's secret");
    assert_int_equal(b->view[0].links, 1); /* the honest one, which carries on */
    assert_int_equal(b->view[0].received, 1);
    end_send(a, 1, 100);
    MIDDLE_UNTIL(b->view[0].received == 2, a);
    assert_int_equal(a->view[1].downs + b->view[0].downs, 0);
    middle_end();
    end_close(a);
    ENDS_UNTIL(!b->view[0].link, b);
    scene_end();
}

/* Each end's own bytes come back to it. */
static void reflection(void **state)
{
    struct sockaddr_in at;
    uint8_t bytes[LOG];
    (void)state;
    scene_begin();
    middle_begin(scene.target, &at);
    struct end *a = end_open(0, 100, end_secret), *b = scene.target;
    connect_through(a, &at);
    int fd = -1;
    for (int64_t until = world_real.now(NULL) + 20 * SECOND; !a->view[1].downs;) {
        if (world_real.now(NULL) > until) fail_msg("it talks to itself for ever");
        if (fd < 0) fd = accept4(middle.listener, NULL, NULL, SOCK_NONBLOCK);
        ssize_t n = fd < 0 ? 0 : recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0) send(fd, bytes, (size_t)n, MSG_NOSIGNAL);
        end_progress(a, NULL);
    }
    close(fd);
    assert_says(a->view[1].why, "of our own role");
    assert_int_equal(a->view[1].status, SINEW_EPROTO);

    /* A good hello, then the server's own proof as if it were the client's. */
    struct handshake h;
    const struct handshake_identity me = { 0, ENDS_MAX, 100, HANDSHAKE_LINK,
                                           getenv("TEST_ENCRYPT") ? HANDSHAKE_ENCRYPT : 0 };
    const void *out;
    size_t got = 0;
    handshake_begin(&h, HANDSHAKE_CLIENT, &world_real, end_secret, &me, 1, 0);
    fd = raw_connect(b);
    handshake_output(&h, &out);
    send(fd, out, HANDSHAKE_HELLO, MSG_NOSIGNAL);
    WHILE (got < HANDSHAKE_HELLO + HANDSHAKE_PROOF) {
        ssize_t n = recv(fd, bytes + got, sizeof(bytes) - got, 0);
        got += n > 0 ? (size_t)n : 0;
        end_progress(b, NULL);
    }
    send(fd, bytes + PROOF_AT, HANDSHAKE_PROOF, MSG_NOSIGNAL);
    ENDS_UNTIL(raw_is_closed(fd), b);
    assert_says(b->last_log, "does not know this job's secret");
    assert_int_equal(b->view[0].links, 0);
    close(fd);
    middle_end();
    end_close(a);
    scene_end();
}

/* Rank 0 by hand, of which only the first `most` bytes come: handshake and, in clear, JOIN. */
static int come_in_part(struct end *b, size_t most)
{
    const struct handshake_identity me = { 0, ENDS_MAX, 100, HANDSHAKE_LINK,
                                           getenv("TEST_ENCRYPT") ? HANDSHAKE_ENCRYPT : 0 };
    const struct join join = { .mine = 77, .attempt = 1 };
    struct handshake h;
    uint8_t bytes[JOIN_FRAME], answer[HANDSHAKE_HELLO + HANDSHAKE_PROOF];
    const void *out;
    size_t sent = 0, len;
    int fd = raw_connect(b);
    handshake_begin(&h, HANDSHAKE_CLIENT, &world_real, end_secret, &me, 1, 0);
    WHILE ((len = handshake_output(&h, &out)) > 0) {
        if (len > most - sent) len = most - sent;
        send(fd, out, len, MSG_NOSIGNAL);
        handshake_sent(&h, len);
        sent += len;
        if (sent == most) return fd;
        size_t want;
        WHILE ((want = handshake_wants(&h)) > 0) {
            ssize_t n = recv(fd, answer, want, 0);
            if (n > 0) handshake_input(&h, answer, (size_t)n);
            end_progress(b, NULL);
        }
    }
    session_join_encode(bytes, FRAME_JOIN, 100, &join);
    send(fd, bytes, most - sent, MSG_NOSIGNAL);
    return fd;
}

/* What is cut off anywhere before its end makes no link; and a cut is no goodbye. */
static void truncation(void **state)
{
    enum { ALL = HANDSHAKE_HELLO + HANDSHAKE_PROOF + JOIN_FRAME };
    struct sockaddr_in at;
    (void)state;
    scene_begin();
    struct end *b = scene.target;
    for (size_t most = 1; most < ALL; most++) {
        int fd = come_in_part(b, most);
        close(fd);
        ENDS_UNTIL(b->t->pending_count == 0, b);
        assert_int_equal(b->view[0].links, 0);
    }
    middle_begin(b, &at);
    struct end *a = end_open(0, 100, end_secret);
    connect_through(a, &at);
    MIDDLE_UNTIL(a->view[1].is_up && b->view[0].is_up, a);
    for (int i = 0; i < 3; i++) {
        uint64_t received = b->view[0].received;
        middle_hang_up();
        end_send(a, 1, 10);
        MIDDLE_UNTIL(b->view[0].received == received + 1, a);
    }
    assert_int_equal(a->view[1].downs + b->view[0].downs, 0);
    middle_end();
    end_close(a);
    ENDS_UNTIL(!b->view[0].link, b);
    scene_end();
}

static struct {
    size_t at[2];
    uint8_t and[2], or[2];
} wish;

static void change_wish(int who, size_t at, uint8_t *byte)
{
    if (at == wish.at[who]) *byte = (uint8_t)((*byte & wish.and[who]) | wish.or[who]);
}

/* Whoever makes both ends look as if they wanted less, or were older, gets no link of them. */
static void downgrade(void **state)
{
    static const struct {
        size_t at;
        uint8_t and, or;
        const char *words;
    } less[] = {
        { 14, 0, 0, "comes without the job secret" },             /* no secret, no mode */
        { 14, (uint8_t)~HANDSHAKE_ENCRYPT, 0, NULL },             /* no encryption      */
        { 14, (uint8_t)~HANDSHAKE_CHECKSUM, 0, "changes bytes" }, /* no checksums       */
        { 8, 0, 1, "changes bytes" },                             /* an older version   */
        { 10, 0, 9, "changes bytes" },                            /* a later one        */
        { 10, 0, 1, "protocol versions" },
    };
    struct sockaddr_in at;
    (void)state;
    for (size_t i = 0; i < sizeof(less) / sizeof(less[0]); i++) {
        const char *words = less[i].words;
        if (!words && !getenv("TEST_ENCRYPT")) continue;
        scene_begin();
        middle_begin(scene.target, &at);
        struct end *a = end_open(0, 100, end_secret);
        a->config.checksum = scene.target->config.checksum = true;
        for (int who = 0; who < 2; who++) {
            wish.at[who] = less[i].at;
            wish.and[who] = less[i].and;
            wish.or[who] = less[i].or;
        }
        middle.change = change_wish;
        connect_through(a, &at);
        MIDDLE_UNTIL(a->view[1].downs, a);
        middle_end();
        assert_kept_out(a, i == 5 ? SINEW_EVERSION : SINEW_EAUTH,
                        words ? words : "has security=authenticate, this process encrypt");
        scene_end();
    }
}

/* One end encrypts, the other does not: both say so. */
static void modes_that_differ(void **state)
{
    (void)state;
    scene_begin();
    struct end *a = end_open(0, 100, end_secret);
    bool encrypts = scene.target->config.security == SINEW_SECURITY_ENCRYPT;
    a->config.security = encrypts ? SINEW_SECURITY_AUTHENTICATE : SINEW_SECURITY_ENCRYPT;
    end_connect(a, scene.target);
    assert_kept_out(a, SINEW_EAUTH,
                    encrypts ? "security=encrypt, this process authenticate"
                             : "security=authenticate, this process encrypt");
    assert_says(scene.target->last_log, "give all ranks the same");
    scene_end();
}

static const char *missing; /* a library that is not on this host for the moment */

void *dlopen(const char *file, int flags)
{
    void *(*real)(const char *, int) = NULL;
    void *found = dlsym(RTLD_NEXT, "dlopen");
    memcpy(&real, &found, sizeof(real));
    return missing && file && strstr(file, missing) ? NULL : real(file, flags);
}

/* Without OpenSSL there is no link, whoever begins: at once, and both ends say what is to be
 * installed where. */
static void no_openssl(void **state)
{
    bool encrypts = getenv("TEST_ENCRYPT");
    (void)state;
    for (int i = 0; i < 1 + encrypts; i++) {
        struct end *b = end_open(1, 101, end_secret), *a = end_open(0, 100, end_secret);
        const char *library = i ? "libssl" : "libcrypto";
        missing = library;
        end_connect(b, a);
        ENDS_UNTIL(b->view[0].downs, a, b);
        assert_int_equal(b->view[0].status, SINEW_ENOTSUP);
        assert_says(b->view[0].why, "install OpenSSL 3");
        end_connect(a, b); /* that one has it */
        for (int round = 0; !a->view[1].downs && round < 5000; round++) { /* five seconds */
            missing = NULL;
            end_progress(a, NULL);
            missing = library;
            end_progress(b, NULL);
            clock_advance(SECOND / 1000);
        }
        missing = NULL;
        assert_int_equal(a->view[1].downs, 1);
        assert_int_equal(a->view[1].status, SINEW_ENOTSUP);
        assert_says(a->view[1].why, "rank 1 has no OpenSSL 3");
        assert_says(a->view[1].why, encrypts ? "security=encrypt" : "security=authenticate");
        assert_says(b->last_log, "install OpenSSL 3");
        assert_int_equal(b->view[0].links, 0);
        end_close(a);
        end_close(b);
    }
}

/* At the address of rank 1 rank 2 answers, with the right secret. */
static void wrong_rank(void **state)
{
    (void)state;
    scene_begin();
    struct end *a = end_open(0, 100, end_secret);
    uint8_t mine[TRANSPORT_ADDRESS_MAX];
    struct transport *b = &scene.target->t->base;
    memcpy(mine, b->address, sizeof(mine));
    memcpy(b->address, scene.friend->t->base.address, sizeof(mine));
    end_connect(a, scene.target);
    memcpy(b->address, mine, sizeof(mine));
    assert_kept_out(a, SINEW_EAUTH, "rank 2 answers where rank 1 was expected");
    assert_int_equal(scene.friend->view[0].links, 0);
    scene_end();
}

static struct tcp_link *connect_to_epoch(struct end *a, uint64_t epoch)
{
    const struct transport *b = &scene.target->t->base;
    struct view *v = &a->view[1];
    v->link = world_allocate_aligned(&world_real, 64, transport_tcp.link_size);
    v->link->base = (struct link){ .ops = &transport_tcp, .transport = &a->t->base, .owner = a,
                                   .rank = 1, .epoch = epoch };
    transport_tcp.connect(&v->link->base, b->address, b->address_len);
    return v->link;
}

/* The rank is right, the incarnation is not: on the side that connects and on the other. */
static void wrong_epoch(void **state)
{
    (void)state;
    scene_begin();
    struct end *a = end_open(0, 100, end_secret);
    connect_to_epoch(a, 99);
    assert_kept_out(a, SINEW_EPEER, "another process has taken its place");
    a = end_open(0, 100, end_secret);
    scene.target->refuses = true; /* as messaging does for an epoch that was not published */
    end_connect(a, scene.target);
    assert_kept_out(a, SINEW_EPEER, "wants no link");
    scene.target->refuses = false;
    scene_end();
}

static void kept_out_with(const uint8_t *secret, const char *words, const char *log_words)
{
    scene_begin();
    struct end *a = end_open(0, 100, secret);
    end_connect(a, scene.target);
    assert_kept_out(a, SINEW_EAUTH, words);
    ENDS_UNTIL(scene.target->log_lines > 0, scene.target);
    assert_says(scene.target->last_log, log_words);
    scene_end();
}

static void wrong_secret(void **state)
{
    uint8_t secret[32];
    (void)state;
    memcpy(secret, end_secret, sizeof(secret));
    secret[31] ^= 1;
    kept_out_with(secret, "does not know this job's secret", "went away");
}

static void no_secret(void **state)
{
    (void)state;
    kept_out_with(NULL, "asks for the job secret, which this process does not have",
                  "comes without the job secret");
}

/* Alike in all but the secret: ranks, size and even epochs. */
static void other_jobs_secret(void **state)
{
    (void)state;
    kept_out_with(other_secret, "does not know this job's secret", "went away");
}

/* The same user, secret file, size and port; only the incarnations tell the jobs apart. The other
 * job's rank 0 must not join ours, nor ours theirs. */
static void another_job_on_the_same_ports(void **state)
{
    (void)state;
    scene_begin();
    struct end *ours = end_open(0, 100, end_secret);
    connect_to_epoch(ours, 0x1234); /* that rank 1 has ended, and the other job has its port */
    assert_kept_out(ours, SINEW_EPEER, "another process has taken its place");

    struct end *theirs = end_open(0, 555, end_secret), *b = scene.target;
    ours = end_open(0, 100, end_secret);
    ends_join(ours, b);
    theirs->config.setup_deadline = SECOND;
    connect_to_epoch(theirs, 0x5678); /* its own rank 1 was there before */
    ENDS_UNTIL(theirs->view[1].downs, theirs, b, ours);
    assert_says(theirs->view[1].why, "another process has taken its place");
    assert_int_equal(theirs->view[1].ups + b->view[0].downs + ours->view[1].downs, 0);
    end_send(ours, 1, 100);
    ENDS_UNTIL(b->view[0].received == 1, ours, b);
    end_close(theirs);
    end_close(ours);
    ENDS_UNTIL(!b->view[0].link, b);
    scene_end();
}

/* A client hello of TLS 1.3 with neither a pre-shared key nor the will to have one. */
static const uint8_t client_hello[] = {
    0x16, 0x03, 0x01, 0x00, 0xdc, 0x01, 0x00, 0x00, 0xd8, 0x03, 0x03, 0x0f,
    0xf2, 0xe0, 0x43, 0x63, 0x9a, 0xc2, 0xbd, 0xd2, 0x92, 0x02, 0x16, 0x20,
    0xb4, 0x62, 0xfd, 0xf9, 0x89, 0x8a, 0x9b, 0xf1, 0x7b, 0xdd, 0x4e, 0x80,
    0x2c, 0x39, 0x9f, 0xca, 0x33, 0x30, 0x59, 0x20, 0xf9, 0xca, 0x56, 0x91,
    0x35, 0x39, 0xa9, 0x0e, 0x37, 0x1c, 0x5b, 0xb3, 0x19, 0x40, 0x89, 0x6a,
    0x1e, 0x33, 0x5d, 0x7a, 0xcd, 0x02, 0x29, 0x63, 0x30, 0x88, 0xfd, 0x85,
    0xd2, 0x19, 0x2a, 0x9b, 0x00, 0x08, 0x13, 0x02, 0x13, 0x03, 0x13, 0x01,
    0x00, 0xff, 0x01, 0x00, 0x00, 0x87, 0x00, 0x0b, 0x00, 0x04, 0x03, 0x00,
    0x01, 0x02, 0x00, 0x0a, 0x00, 0x16, 0x00, 0x14, 0x00, 0x1d, 0x00, 0x17,
    0x00, 0x1e, 0x00, 0x19, 0x00, 0x18, 0x01, 0x00, 0x01, 0x01, 0x01, 0x02,
    0x01, 0x03, 0x01, 0x04, 0x00, 0x23, 0x00, 0x00, 0x00, 0x16, 0x00, 0x00,
    0x00, 0x17, 0x00, 0x00, 0x00, 0x0d, 0x00, 0x1e, 0x00, 0x1c, 0x04, 0x03,
    0x05, 0x03, 0x06, 0x03, 0x08, 0x07, 0x08, 0x08, 0x08, 0x09, 0x08, 0x0a,
    0x08, 0x0b, 0x08, 0x04, 0x08, 0x05, 0x08, 0x06, 0x04, 0x01, 0x05, 0x01,
    0x06, 0x01, 0x00, 0x2b, 0x00, 0x03, 0x02, 0x03, 0x04, 0x00, 0x2d, 0x00,
    0x02, 0x01, 0x01, 0x00, 0x33, 0x00, 0x26, 0x00, 0x24, 0x00, 0x1d, 0x00,
    0x20, 0x92, 0xbb, 0x8c, 0x98, 0x6a, 0x08, 0x84, 0xbd, 0x27, 0xb5, 0xde,
    0x6d, 0x1e, 0xf1, 0x74, 0xeb, 0x4e, 0x76, 0x4d, 0x88, 0x9e, 0x45, 0xc2,
    0xd8, 0x73, 0x6c, 0xea, 0xc7, 0xe4, 0x60, 0xd1, 0x33,
};

static int shaken(struct end *b, struct handshake *h)
{
    const struct handshake_identity me = { 0, ENDS_MAX, 100, HANDSHAKE_LINK, HANDSHAKE_ENCRYPT };
    struct why why;
    uint32_t events;
    bool done = false;
    int fd = raw_connect(b), rc;
    assert_int_equal(handshake_begin(h, HANDSHAKE_CLIENT, &world_real, end_secret, &me, 1, 0), 0);
    WHILE ((rc = tcp_shake(h, &done, fd, &events, &why)) > 0) end_progress(b, NULL);
    assert_int_equal(rc, 0);
    return fd;
}

/* TLS from a stranger is garbage; from who knows the secret, but not this connection's key, or is
 * another than he said, it comes to nothing. */
static void tls_without_psk(void **state)
{
    struct tls_library *library = NULL;
    struct why why;
    struct handshake h;
    (void)state;
    scene_begin();
    struct end *b = scene.target;
    int fd = raw_connect(b);
    send(fd, client_hello, sizeof(client_hello), MSG_NOSIGNAL);
    ENDS_UNTIL(raw_is_closed(fd), b);
    assert_says(b->last_log, "does not speak Sinew");
    close(fd);
    for (int i = 0; i < 3 && b->config.security == SINEW_SECURITY_ENCRYPT; i++) {
        struct tls *tls = NULL;
        uint32_t events;
        int rc = SINEW_PENDING;
        clock_advance(2 * SECOND);
        fd = shaken(b, &h);
        if (i == 0) {
            send(fd, client_hello, sizeof(client_hello), MSG_NOSIGNAL);
        } else {
            if (i == 1) h.key[0] ^= 1;
            if (i == 2) h.mine.epoch++; /* the identity says another incarnation */
            assert_int_equal(tls_load(&library, &world_real, &why), 0);
            assert_int_equal(tls_begin(&tls, library, &world_real, &h, fd, &why), 0);
            WHILE (rc > 0) {
                rc = tls_shake(tls, &events, &why);
                end_progress(b, NULL);
            }
            assert_true(rc < 0);
            tls_end(&tls, &world_real);
        }
        ENDS_UNTIL(b->t->pending_count == 0, b);
        assert_says(b->last_log, "encryption could not be agreed");
        close(fd);
    }
    tls_unload(&library, &world_real);
    assert_int_equal(b->view[0].links, 0);
    scene_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay),
        cmocka_unit_test(reflection),
        cmocka_unit_test(truncation),
        cmocka_unit_test(downgrade),
        cmocka_unit_test(modes_that_differ),
        cmocka_unit_test(wrong_rank),
        cmocka_unit_test(wrong_epoch),
        cmocka_unit_test(wrong_secret),
        cmocka_unit_test(no_secret),
        cmocka_unit_test(other_jobs_secret),
        cmocka_unit_test(another_job_on_the_same_ports),
        cmocka_unit_test(tls_without_psk),
        cmocka_unit_test(no_openssl),
    };
    return cmocka_run_group_tests_name("tcp by the name of the attack", tests, NULL, NULL);
}
