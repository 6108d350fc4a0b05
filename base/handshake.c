/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * handshake.c - the states of one end
 *
 *      HELLO --- a good hello, no secret ------------> DONE
 *        |------ a good hello, with a secret --> PROOF --- a good proof --> DONE
 *        '------ anything else -> REFUSED <---------'
 *
 * Each state wants a fixed number of bytes, so the end of the handshake is known before it is read
 * and nothing behind it is ever taken. The server proves first: an HMAC over a fresh nonce tells a
 * stranger nothing, and the client shows its own proof only to someone who has shown he knows the
 * secret.
 */
#include "base/handshake.h"

#include <dlfcn.h>
#include <string.h>

#include "base/library.h"
#include "base/wire.h"
#include "sinew/sinew.h"

enum step { STEP_HELLO, STEP_PROOF, STEP_DONE, STEP_REFUSED };

enum { FLAG_SECRET = 1, FLAG_MODES = HANDSHAKE_ENCRYPT | HANDSHAKE_CHECKSUM | HANDSHAKE_LACKS };
enum { TRANSCRIPT = 2 * HANDSHAKE_HELLO, LABEL = 32 };

static const uint8_t magic[8] = { 'S', 'I', 'N', 'E', 'W', 0x0d, 0x0a, 0x1a };

/* What a proof of each role begins with, so that one direction's is worthless in the other. */
static const char labels[2][LABEL] = {
    [HANDSHAKE_CLIENT] = "sinew handshake client proof",
    [HANDSHAKE_SERVER] = "sinew handshake server proof",
};

static const char key_label[LABEL] = "sinew tls 1.3 external psk";

struct hello {
    uint16_t version_min, version_max;
    uint8_t role, purpose, flags, zero;
    struct handshake_identity identity;
};

/* --- HMAC by libcrypto ----------------------------------------------------------------------- */

struct crypto {
    void *library;
    const void *(*sha256)(void);
    unsigned char *(*hmac)(const void *md, const void *key, int key_len, const unsigned char *bytes,
                           size_t len, unsigned char *out, unsigned *out_len);
};

static const struct library_function functions[] = {
    { "EVP_sha256", offsetof(struct crypto, sha256) },
    { "HMAC", offsetof(struct crypto, hmac) },
};

static int crypto_open(struct crypto *c, struct why *why)
{
    /* NODELETE: it registers exit handlers, so it must not be unmapped when we let go. */
    c->library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!c->library) {
        const char *reason = dlerror();
        return why_set(why, SINEW_ENOTSUP,
                       "authentication needs libcrypto.so.3 (%s): install OpenSSL 3, or choose "
                       "security=none on a closed network",
                       reason ? reason : "cannot be opened");
    }
    const char *missing = library_functions(c->library, functions,
                                            sizeof(functions) / sizeof(functions[0]), c);
    if (!missing) return 0;
    dlclose(c->library);
    return why_set(why, SINEW_ENOTSUP, "libcrypto.so.3 has no %s: install OpenSSL 3", missing);
}

int handshake_hmac(const uint8_t key[32], const void *bytes, size_t len, uint8_t out[32],
                   struct why *why)
{
    struct crypto c;
    uint8_t made[64];
    unsigned made_len = 0;
    int rc = crypto_open(&c, why);
    if (rc < 0) return rc;
    if (!c.hmac(c.sha256(), key, 32, bytes, len, made, &made_len) || made_len != 32)
        rc = why_set(why, SINEW_ENOTSUP, "libcrypto.so.3 refuses HMAC-SHA-256 (FIPS policy?)");
    else
        memcpy(out, made, 32);
    dlclose(c.library);
    return rc;
}

int handshake_hkdf(const uint8_t salt[32], const void *secret, size_t len, const void *info,
                   size_t info_len, uint8_t out[32], struct why *why)
{
    uint8_t extracted[32], message[HANDSHAKE_INFO_MAX + 1];
    if (info_len > HANDSHAKE_INFO_MAX) return why_set(why, SINEW_EINVAL, "too much info");
    int rc = handshake_hmac(salt, secret, len, extracted, why);
    memcpy(message, info, info_len);
    message[info_len] = 1; /* the number of the block */
    if (rc == 0) rc = handshake_hmac(extracted, message, info_len + 1, out, why);
    explicit_bzero(extracted, sizeof(extracted));
    return rc;
}

/* Takes the same time wherever the difference is. */
static bool same_proof(const uint8_t *a, const uint8_t *b)
{
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < HANDSHAKE_PROOF; i++) difference = (uint8_t)(difference | (a[i] ^ b[i]));
    return difference == 0;
}

static int make_proof(struct handshake *h, enum handshake_role by, uint8_t out[HANDSHAKE_PROOF])
{
    uint8_t message[LABEL + TRANSCRIPT];
    memcpy(message, labels[by], LABEL);
    memcpy(message + LABEL, h->transcript, TRANSCRIPT);
    return handshake_hmac(h->secret, message, sizeof(message), out, &h->why);
}

static int make_key(struct handshake *h)
{
    static const uint8_t no_salt[32];
    uint8_t info[LABEL + TRANSCRIPT];
    memcpy(info, key_label, LABEL);
    memcpy(info + LABEL, h->transcript, TRANSCRIPT);
    return handshake_hkdf(no_salt, h->secret, sizeof(h->secret), info, sizeof(info), h->key,
                          &h->why);
}

/* --- hellos ---------------------------------------------------------------------------------- */

static uint8_t *hello_of(struct handshake *h, enum handshake_role role)
{
    return h->transcript + (role == HANDSHAKE_CLIENT ? 0 : HANDSHAKE_HELLO);
}

static enum handshake_role other(enum handshake_role role)
{
    return role == HANDSHAKE_CLIENT ? HANDSHAKE_SERVER : HANDSHAKE_CLIENT;
}

static void hello_encode(const struct handshake *h, uint8_t *out)
{
    memcpy(out, magic, sizeof(magic));
    wire_put16(out + 8, HANDSHAKE_VERSION_MIN);
    wire_put16(out + 10, HANDSHAKE_VERSION_MAX);
    out[12] = (uint8_t)h->role;
    out[13] = (uint8_t)h->mine.purpose;
    out[14] = (uint8_t)((h->has_secret ? FLAG_SECRET : 0u) | h->mine.modes);
    out[15] = 0;
    wire_put32(out + 16, (uint32_t)h->mine.rank);
    wire_put32(out + 20, (uint32_t)h->mine.size);
    wire_put64(out + 24, h->mine.epoch);
}

static struct hello hello_decode(const uint8_t *in)
{
    struct hello hello = {
        .version_min = wire_get16(in + 8),
        .version_max = wire_get16(in + 10),
        .role = in[12],
        .purpose = in[13],
        .flags = in[14],
        .zero = in[15],
        .identity = {
            .rank = (int32_t)wire_get32(in + 16),
            .size = (int32_t)wire_get32(in + 20),
            .epoch = wire_get64(in + 24),
            .purpose = in[13],
            .modes = in[14] & FLAG_MODES,
        },
    };
    return hello;
}

static bool identity_possible(const struct handshake_identity *who)
{
    int least = who->purpose == HANDSHAKE_LAUNCH ? -1 : 0;
    return who->size >= 1 && who->rank >= least && who->rank < who->size;
}

static const char *purpose_name(int purpose)
{
    switch (purpose) {
    case HANDSHAKE_LINK:
        return "a link between ranks";
    case HANDSHAKE_LAUNCH:
        return "the launcher";
    default:
        return "something unknown";
    }
}

/* As soon as it can be seen: something else may say a few words and then wait for an answer. */
static int check_magic(struct handshake *h, const uint8_t *in, size_t len)
{
    if (memcmp(in, magic, len < sizeof(magic) ? len : sizeof(magic)) == 0) return 0;
    return why_set(&h->why, SINEW_EPROTO,
                   "the peer does not speak Sinew: something else "
                   "listens or connects at this address");
}

/* The version first: a later one may give the rest another meaning. */
static int check_form(struct handshake *h, const struct hello *hello)
{
    if (hello->version_min > HANDSHAKE_VERSION_MAX || hello->version_max < HANDSHAKE_VERSION_MIN)
        return why_set(
            &h->why, SINEW_EVERSION,
            "the peer speaks protocol versions %u to %u, this library %d to %d: run the same "
            "release of Sinew on all ranks",
            hello->version_min, hello->version_max, HANDSHAKE_VERSION_MIN, HANDSHAKE_VERSION_MAX);
    if (hello->version_min > hello->version_max || (hello->flags & ~(FLAG_SECRET | FLAG_MODES)) ||
        (hello->flags & HANDSHAKE_ENCRYPT && !(hello->flags & FLAG_SECRET)) || hello->zero)
        return why_set(&h->why, SINEW_EPROTO,
                       "a malformed hello (versions %u to %u, flags 0x%x, 0x%x)",
                       hello->version_min, hello->version_max, hello->flags, hello->zero);
    if (hello->role != (uint8_t)other(h->role))
        return why_set(&h->why, SINEW_EPROTO,
                       "the hello is of our own role: our bytes came back, or "
                       "both ends connected");
    return 0;
}

/* Before anything is proven: there is nothing to prove it with. */
static int check_means(struct handshake *h, const struct hello *hello)
{
    if (h->mine.modes & HANDSHAKE_LACKS)
        return h->why.text[0] ? SINEW_ENOTSUP
                              : why_set(&h->why, SINEW_ENOTSUP, "OpenSSL 3 is missing on this host");
    if (!(hello->identity.modes & HANDSHAKE_LACKS)) return 0;
    return why_set(&h->why, SINEW_ENOTSUP,
                   "rank %d has no OpenSSL 3 (libssl.so.3, libcrypto.so.3) for security=%s: install it "
                   "on its host (Debian: libssl3), or give all ranks another security",
                   hello->identity.rank,
                   hello->identity.modes & HANDSHAKE_ENCRYPT ? "encrypt" : "authenticate");
}

static int check_secret(struct handshake *h, const struct hello *hello)
{
    bool theirs = hello->flags & FLAG_SECRET;
    if (theirs == h->has_secret) return 0;
    return why_set(&h->why, SINEW_EAUTH,
                   theirs
                       ? "rank %d asks for the job secret, which this process does not have: give "
                         "the same secret and security to all ranks"
                       : "rank %d comes without the job secret, which this process asks for: give "
                         "the same secret and security to all ranks",
                   hello->identity.rank);
}

/* Neither end gives way: what one wants and the other does not is for people to settle. */
static int check_encryption(struct handshake *h, const struct hello *hello)
{
    bool theirs = hello->identity.modes & HANDSHAKE_ENCRYPT;
    if (theirs == (bool)(h->mine.modes & HANDSHAKE_ENCRYPT)) return 0;
    return why_set(&h->why, SINEW_EAUTH,
                   "rank %d has security=%s, this process %s: give all ranks the same",
                   hello->identity.rank, theirs ? "encrypt" : "authenticate",
                   theirs ? "authenticate" : "encrypt");
}

static int check_identity(struct handshake *h, const struct hello *hello)
{
    const struct handshake_identity *who = &hello->identity;
    if (hello->purpose != (uint8_t)h->mine.purpose)
        return why_set(&h->why, SINEW_EPROTO, "the peer wants %s, this end is %s: a wrong address",
                       purpose_name(hello->purpose), purpose_name((int)h->mine.purpose));
    if (who->size != h->mine.size)
        return why_set(&h->why, SINEW_EAUTH,
                       "the peer's job has %d ranks, this one %d: another job, or started with "
                       "different sizes",
                       who->size, h->mine.size);
    if (!identity_possible(who))
        return why_set(&h->why, SINEW_EPROTO, "the peer calls itself rank %d of %d", who->rank,
                       who->size);
    if (h->expect_rank >= 0 && who->rank != h->expect_rank)
        return why_set(&h->why, SINEW_EAUTH,
                       "rank %d answers where rank %d was expected: a stale "
                       "or wrong address",
                       who->rank, h->expect_rank);
    if (h->expect_epoch && who->epoch != h->expect_epoch)
        return why_set(
            &h->why, SINEW_EAUTH,
            "rank %d has epoch %016llx where %016llx was expected: another process is in "
            "its place",
            who->rank, (unsigned long long)who->epoch, (unsigned long long)h->expect_epoch);
    return 0;
}

static int check_hello(struct handshake *h, const struct hello *hello)
{
    int rc = check_form(h, hello);
    if (rc == 0) rc = check_means(h, hello);
    if (rc == 0) rc = check_secret(h, hello);
    if (rc == 0) rc = check_encryption(h, hello);
    if (rc == 0) rc = check_identity(h, hello);
    return rc;
}

/* --- the states ------------------------------------------------------------------------------ */

static void queue(struct handshake *h, const uint8_t *bytes, size_t len)
{
    memcpy(h->out + h->out_len, bytes, len);
    h->out_len += len;
}

static void forget_secret(struct handshake *h)
{
    explicit_bzero(h->secret, sizeof(h->secret));
}

static int refuse(struct handshake *h, int status)
{
    h->step = STEP_REFUSED;
    h->status = status;
    forget_secret(h);
    return status;
}

static int finish(struct handshake *h)
{
    struct hello hello = hello_decode(hello_of(h, other(h->role)));
    h->modes = h->mine.modes | hello.identity.modes;
    if (h->modes & HANDSHAKE_ENCRYPT) {
        int rc = make_key(h);
        if (rc < 0) return refuse(h, rc);
    }
    h->peer = hello.identity;
    h->version =
        hello.version_max < HANDSHAKE_VERSION_MAX ? hello.version_max : HANDSHAKE_VERSION_MAX;
    h->step = STEP_DONE;
    forget_secret(h);
    return 0;
}

static int send_proof(struct handshake *h)
{
    uint8_t proof[HANDSHAKE_PROOF];
    int rc = make_proof(h, h->role, proof);
    if (rc < 0) return rc;
    queue(h, proof, sizeof(proof));
    return 0;
}

static int take_hello(struct handshake *h)
{
    struct hello hello = hello_decode(h->in);
    memcpy(hello_of(h, other(h->role)), h->in, HANDSHAKE_HELLO);
    if (h->role == HANDSHAKE_SERVER) queue(h, hello_of(h, HANDSHAKE_SERVER), HANDSHAKE_HELLO);
    int rc = check_hello(h, &hello);
    if (rc < 0) return refuse(h, rc);
    if (!h->has_secret) return finish(h);
    h->step = STEP_PROOF;
    if (h->role == HANDSHAKE_SERVER && (rc = send_proof(h)) < 0) return refuse(h, rc);
    return SINEW_PENDING;
}

static int take_proof(struct handshake *h)
{
    uint8_t expected[HANDSHAKE_PROOF];
    int rc = make_proof(h, other(h->role), expected);
    if (rc < 0) return refuse(h, rc);
    if (!same_proof(expected, h->in)) {
        struct hello hello = hello_decode(hello_of(h, other(h->role)));
        return refuse(h, why_set(&h->why, SINEW_EAUTH,
                                 "who calls itself rank %d does not know this job's secret, or "
                                 "somebody changes bytes on the way",
                                 hello.identity.rank));
    }
    if (h->role == HANDSHAKE_CLIENT && (rc = send_proof(h)) < 0) return refuse(h, rc);
    return finish(h);
}

int handshake_begin(struct handshake *h, enum handshake_role role, const struct world *world,
                    const uint8_t *secret, const struct handshake_identity *mine, int expect_rank,
                    uint64_t expect_epoch)
{
    memset(h, 0, sizeof(*h));
    h->role = role;
    h->mine = *mine;
    h->expect_rank = expect_rank;
    h->expect_epoch = expect_epoch;
    h->has_secret = secret;
    if (!identity_possible(mine))
        return refuse(
            h, why_set(&h->why, SINEW_EINVAL, "rank %d of %d cannot be", mine->rank, mine->size));
    if (mine->modes & ~(unsigned)FLAG_MODES || (mine->modes & HANDSHAKE_ENCRYPT && !secret))
        return refuse(h, why_set(&h->why, SINEW_EINVAL, "encryption needs a secret (modes 0x%x)",
                                 mine->modes));
    if (secret && !(mine->modes & HANDSHAKE_LACKS)) {
        struct crypto c;
        int rc = crypto_open(&c, &h->why);
        if (rc < 0) return refuse(h, rc);
        dlclose(c.library);
        memcpy(h->secret, secret, sizeof(h->secret));
    }
    uint8_t *hello = hello_of(h, role);
    hello_encode(h, hello);
    int rc = world->random(world->arg, hello + HANDSHAKE_HELLO - HANDSHAKE_NONCE, HANDSHAKE_NONCE);
    if (rc < 0) return refuse(h, why_set(&h->why, rc, "no random bytes for the handshake"));
    if (role == HANDSHAKE_CLIENT) queue(h, hello, HANDSHAKE_HELLO);
    return 0;
}

size_t handshake_output(struct handshake *h, const void **bytes)
{
    *bytes = h->out + h->out_sent;
    return h->out_len - h->out_sent;
}

void handshake_sent(struct handshake *h, size_t len)
{
    size_t waiting = h->out_len - h->out_sent;
    h->out_sent += len < waiting ? len : waiting;
}

size_t handshake_wants(const struct handshake *h)
{
    switch (h->step) {
    case STEP_HELLO:
        return HANDSHAKE_HELLO - h->in_len;
    case STEP_PROOF:
        return HANDSHAKE_PROOF - h->in_len;
    default:
        return 0;
    }
}

int handshake_claimed_rank(const struct handshake *h)
{
    const uint8_t *hello = h->transcript + (h->role == HANDSHAKE_CLIENT ? HANDSHAKE_HELLO : 0);
    return h->step == STEP_HELLO ? -1 : hello_decode(hello).identity.rank;
}

int handshake_input(struct handshake *h, const void *bytes, size_t len)
{
    if (h->step == STEP_REFUSED) return h->status;
    if (len > handshake_wants(h))
        return refuse(h, why_set(&h->why, SINEW_EPROTO,
                                 "%zu bytes where the handshake wants at most %zu", len,
                                 handshake_wants(h)));
    if (h->step == STEP_DONE) return 0;
    if (len > 0) memcpy(h->in + h->in_len, bytes, len);
    h->in_len += len;
    int rc = h->step == STEP_HELLO ? check_magic(h, h->in, h->in_len) : 0;
    if (rc < 0) return refuse(h, rc);
    if (handshake_wants(h) > 0) return SINEW_PENDING;
    h->in_len = 0;
    return h->step == STEP_HELLO ? take_hello(h) : take_proof(h);
}
