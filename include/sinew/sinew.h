/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SINEW_H
#define SINEW_H
/*
 * sinew.h - messages and collectives between processes that work as one
 *
 * The laws, which hold for every call below:
 *
 *  Status     Every call that can fail returns an int: 0 is done, > 0 is "not yet", < 0 is one of
 *             the SINEW_E… numbers. errno is never set and never meant. Outputs are written on
 *             success only; receives and probes fill a sinew_status on every completion.
 *  Text       After a failure on a context, sinew_why() says who, what, why and what to do. A call
 *             that names no context (NULL where an object was due) leaves no text.
 *  Blocking   An operation's last argument is `struct sinew_request **req`. NULL: the call finishes
 *             it here and returns its outcome. Otherwise:
 *                 < 0  refused, nothing was started, *req is untouched;
 *                   0  finished already, *req is NULL;
 *                 > 0  under way (SINEW_PENDING); *req reports the outcome, whatever it is.
 *             Data moves only inside progress, test, wait and blocking calls.
 *  Buffers    belong to the library from the call until the operation's completion, of any kind;
 *             after it nobody touches them again. A sinew_status lives until then too.
 *  Threads    A context, and all that was made from it, belongs to one thread at a time. Contexts
 *             are independent of each other, and a process may have many. sinewrun and a
 *             rendezvous address place a process in a job once: each further context, at the
 *             same time or after the first was closed, needs an exchange of the caller's own
 *             (struct sinew_exchange).
 *  Processes  A context belongs to the process that opened it. A forked child must not use it; what
 *             it tries is answered SINEW_ESTATE.
 *  Citizen    No signal handler, no thread, no hook, no exit, no abort. What is said goes to
 *             `log`, or else to standard error: stall reports, and warnings, as of an unknown
 *             SINEW_* variable, a connection that was refused, a peer that died. log_level and
 *             stall_report silence them. No environment variable is needed.
 *
 * Units: bytes and counts are size_t, times are int64_t nanoseconds, ranks are int from 0, tags are
 * int64_t from 0 to 2^32 - 1.
 */

#include <stddef.h>
#include <stdint.h>

#include "sinew/version.h"

#if defined(__GNUC__)
#define SINEW_API __attribute__((visibility("default")))
#else
#define SINEW_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------
 * Status
 *
 * One list makes both the numbers and the texts of sinew_strerror(). Numbers are only ever added.
 */
#define SINEW_STATUS_LIST(X)                                                                       \
    X(SINEW_OK, 0, "done")                                                                         \
    X(SINEW_PENDING, 1, "not yet done")                                                            \
    X(SINEW_EINVAL, -1, "invalid argument")                                                        \
    X(SINEW_ENOMEM, -2, "out of memory or of a configured limit")                                  \
    X(SINEW_ENOTSUP, -3, "not supported")                                                          \
    X(SINEW_EPEER, -4, "the peer is gone")                                                         \
    X(SINEW_ETRUNCATED, -5, "the message is longer than the buffer")                               \
    X(SINEW_ETIMEDOUT, -6, "the deadline has passed")                                              \
    X(SINEW_ECANCELED, -7, "cancelled")                                                            \
    X(SINEW_EBUSY, -8, "still in use")                                                             \
    X(SINEW_ESTATE, -9, "not allowed now")                                                         \
    X(SINEW_EAUTH, -10, "authentication failed")                                                   \
    X(SINEW_EVERSION, -11, "the versions do not match")                                            \
    X(SINEW_EMISMATCH, -12, "ranks called with different arguments")                               \
    X(SINEW_EREVOKED, -13, "the team was revoked")                                                 \
    X(SINEW_EUNKNOWN, -14, "the outcome of the operation is unknown")                              \
    X(SINEW_ENOENT, -15, "not found")                                                              \
    X(SINEW_EIO, -16, "the system refused an operation")                                           \
    X(SINEW_EPROTO, -17, "the peer sent bytes that break the protocol")                            \
    X(SINEW_EACCESS, -18, "access was not granted")                                                \
    X(SINEW_EUNREACHABLE, -19, "no transport reaches the peer")                                    \
    X(SINEW_ELAUNCH, -20, "the launcher failed or is not there")                                   \
    X(SINEW_ELIMIT, -21, "a limit of the system is too low")                                       \
    X(SINEW_EABORTED, -22, "the job was aborted")

enum sinew_status_code {
#define SINEW_STATUS_ENUM(name, number, text) name = number,
    SINEW_STATUS_LIST(SINEW_STATUS_ENUM)
#undef SINEW_STATUS_ENUM
};

/* The text for a status; total: an unknown number gives "unknown status". Never NULL, static. */
SINEW_API const char *sinew_strerror(int status);

/* The name for a status, "SINEW_EPEER"; "SINEW_?" for an unknown number. Never NULL, static. */
SINEW_API const char *sinew_strstatus(int status);

/* The version of the library in use, "1.2.3"; the header's own is SINEW_VERSION. Static. */
SINEW_API const char *sinew_version(void);

/* ------------------------------------------------------------------------------------------------
 * Open and close
 */
struct sinew;         /* a process's place in a job: links, memory, teams    */
struct sinew_team;    /* an ordered set of ranks                             */
struct sinew_request; /* an operation under way                              */
struct sinew_message; /* a message taken out of matching by a matched probe  */
struct sinew_memory;  /* memory that peers may be given access to            */

#define SINEW_FOREVER INT64_MAX /* as a patience: wait without end             */
#define SINEW_NEVER INT64_MIN   /* as stall_report: be silent                  */

enum sinew_threads {
    SINEW_THREADS_SINGLE = 0,   /* one thread at a time per context               */
    SINEW_THREADS_MULTIPLE = 1, /* any thread at any time; not built: ENOTSUP     */
};

enum sinew_security {
    SINEW_SECURITY_DEFAULT = 0,      /* authenticate                                        */
    SINEW_SECURITY_NONE = 1,         /* no handshake secret; for measurements on a closed net */
    SINEW_SECURITY_AUTHENTICATE = 2, /* peers prove that they know the job secret             */
    SINEW_SECURITY_ENCRYPT = 3,      /* TLS 1.3 as well, between hosts over tcp only        */
};

enum sinew_environment {
    SINEW_HONOUR = 0, /* SINEW_* variables override options: the operator wins      */
    SINEW_IGNORE = 1, /* the environment is not looked at (launchers excepted)      */
};

/*
 * How processes find each other when neither a launcher nor the environment shall say: the caller's
 * own exchange, which goes before both. The callbacks run in the thread that called sinew_open, or
 * progress for `failed`.
 */
struct sinew_exchange {
    int rank, size; /* this process's, 0 <= rank < size                                           */
    /* Collective over the job: `all` receives size records of len bytes (at most 64), in rank
     * order, the caller's own included. 0, or any other value to fail the open (SINEW_ELAUNCH).  */
    int (*allgather)(void *arg, const void *mine, size_t len, void *all);
    /* May be NULL. 1: *rank died since the last call; 0: nothing new. Called from progress.      */
    int (*failed)(void *arg, int *rank);
    void *arg;
};

/*
 * Everything that can be chosen at open. Zero, or NULL, always means "the default". Start from
 * SINEW_OPTIONS_INIT; `size` lets the structure grow without breaking programs built before.
 */
struct sinew_options {
    size_t size;
    const char *transports; /* comma separated, best first: "shm,tcp"; all that are named must work,
                               or the open fails; NULL: all that work                             */
    int threads;            /* enum sinew_threads                                                 */
    int security;           /* enum sinew_security                                                */
    int environment;        /* enum sinew_environment                                             */
    int reserved;
    int64_t setup_deadline;  /* to find and connect peers; 30 s; 0.1 s to 1 h                     */
    int64_t repair_deadline; /* silence of a peer's kernel until EPEER; 15 s; 0.5 s to 1 h        */
    int64_t deadline;        /* of every operation, ETIMEDOUT; none; from 1 us                    */
    int64_t stall_report;    /* a wait this long is reported, then ten times as long, and so on;
                                10 s; SINEW_NEVER silences it; from 1 ms                          */
    size_t eager_bytes;      /* longer messages ask the receiver first; 16 KiB; 0 to 16 KiB       */
    size_t unexpected_bytes; /* per peer met, for messages nobody has asked for yet; 64 KiB;
                                32 KiB to 8 MiB; ranks may differ. The first 8 peers that stream
                                get four times as much more, at most 256 KiB each           */
    int unexpected_requests; /* per peer met, long messages announced; 16; 1 to 256 */
    int log_level;           /* 1 errors, 2 warnings, 3 choices, 4 detail; 2. Nothing at all: the
                              * setting log_level=0, as 0 here means what is meant by default     */
    /* Where stall reports and log lines go; NULL: standard error. One line, no newline. The
     * callback must not call the context. Log lines below warnings are made only when asked.     */
    void (*log)(void *arg, int level, const char *line);
    void *log_arg;
    const char *settings; /* more, "name=value,name=value"; sinew-info --config lists the names   */
    const struct sinew_exchange *exchange; /* NULL: a launcher, the environment, or alone         */
    const void *secret;                    /* with exchange: 32 bytes all ranks share, from a safe
                                              place; NULL: rank 0 makes one         */
};
#define SINEW_OPTIONS_INIT                                                                         \
    { sizeof(struct sinew_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/*
 * Join the job: under sinewrun, at a rendezvous address (SINEW_RENDEZVOUS, SINEW_RANK, SINEW_SIZE,
 * SINEW_SECRET_FILE), by the caller's exchange, or alone as rank 0 of 1. Collective over the job.
 * NULL options are the defaults. 0 and *s, or:
 *   SINEW_EINVAL     an option is unknown; an option or SINEW_* variable is out of range, or half
 *                    set. A variable of an unknown name is ignored, with a warning
 *   SINEW_ENOTSUP    an option is known but not built
 *   SINEW_ETIMEDOUT  not all ranks came within setup_deadline
 *   SINEW_EAUTH      the job secrets differ
 *   SINEW_EVERSION   the ranks run incompatible versions
 *   SINEW_ELAUNCH    the launcher, or the caller's exchange, failed
 *   SINEW_ENOMEM, SINEW_ELIMIT, SINEW_EIO   the system said no
 * After a failure sinew_why(NULL) has the text. No peer is connected yet: that happens when a pair
 * first talks.
 */
SINEW_API int sinew_open(const struct sinew_options *options, struct sinew **s);

/*
 * Leave the job. Local: waits until the peers' kernels have what was sent and the goodbye, at most
 * repair_deadline, and never for a peer that computes; but where TCP goes through a relay or NAT,
 * as no kernel's word is the peer's there, for 1 s, and for the repair of a connection that breaks
 * meanwhile. Frees every team. NULL is allowed.
 * SINEW_EBUSY with live requests: nothing happened, sinew_why() lists them.
 * SINEW_ESTATE inside a callback. 0: *s is gone.
 */
SINEW_API int sinew_close(struct sinew *s);

/* Wait-free end: no goodbye, nothing flushed; peers see SINEW_EPEER, "is lost", or "died" where
 * they can tell. Memory from sinew_memory_alloc() goes with it. Also the only call a forked child
 * may make, where it lets go of its copy. NULL is allowed. */
SINEW_API void sinew_abandon(struct sinew *s);

/* End every rank of the job through the launcher, with `status` as exit status where it can; peers
 * without a launcher see this rank die. Returns 0, or SINEW_ENOTSUP if there is no launcher. It
 * does not exit the calling process. text may be NULL. */
SINEW_API int sinew_abort(struct sinew *s, int status, const char *text);

/* ------------------------------------------------------------------------------------------------
 * Teams
 *
 * A team is an ordered set of ranks with a matching space of its own. Making one is collective over
 * the parent and blocking; one at a time per context. Team ids are 32-bit and never used again.
 */
SINEW_API struct sinew_team *sinew_world(struct sinew *s); /* all ranks; lives until close        */
SINEW_API int sinew_rank(const struct sinew_team *team);   /* mine, 0 <= rank < size              */
SINEW_API int sinew_size(const struct sinew_team *team);

/* The rank in `team` of rank `rank` of `other`; SINEW_ENOENT if it is not a member, SINEW_EINVAL if
 * there is no such rank or the teams belong to different contexts. */
SINEW_API int sinew_team_translate(const struct sinew_team *other, int rank,
                                   const struct sinew_team *team);

/* One team for every colour, ordered by key, then by rank in the parent. A colour < 0 joins none
 * and gets *out = NULL. SINEW_EPEER if a member is gone, SINEW_ENOMEM. */
SINEW_API int sinew_team_split(struct sinew_team *parent, int colour, int key,
                               struct sinew_team **out);

/* A team of the n listed ranks of the parent, in that order. Every rank of the parent calls with
 * the same list; those not in it get *out = NULL. SINEW_EINVAL for a rank out of range or twice,
 * n < 1. */
SINEW_API int sinew_team_subset(struct sinew_team *parent, const int *ranks, int n,
                                struct sinew_team **out);

enum sinew_level {
    SINEW_LEVEL_DEFAULT = 0,    /* identical                                                      */
    SINEW_LEVEL_IDENTICAL = 1,  /* every rank gets the same bits                                  */
    SINEW_LEVEL_REPEATABLE = 2, /* and every run does, with the same ranks and arguments          */
    SINEW_LEVEL_PORTABLE = 3,   /* and whatever transport, machine, number of elements: operands
                                   combine by the tree of aligned power-of-two blocks of ranks    */
};

/* How operations through a view are done. Zero means "as the team does it". */
struct sinew_view_options {
    size_t size;
    int level;             /* enum sinew_level                                                    */
    int persistent;        /* 1: calls with a request return 0 and an idle one, see sinew_start   */
    int64_t deadline;      /* of each operation, from its start; ETIMEDOUT; from 1 us             */
    /* Of collectives, by name, with its parameter if it has one, and the tiles that a long vector
     * goes in if it can: "ring", "bruck:4", "tree/8"; NULL: chosen. `sinew-plan --algorithms` and
     * docs/collectives.md list them. A collective refuses a name that it does not have, and one
     * whose bits or order the level or the operator does not allow. */
    const char *algorithm;
};
#define SINEW_VIEW_OPTIONS_INIT { sizeof(struct sinew_view_options), 0, 0, 0, 0 }

/* The same members, ranks, matching space and collective order in another manner. Local and cheap.
 * Free it like a team. A team cannot be freed while views of it live (SINEW_EBUSY). The level and
 * the algorithm must be the same on all ranks (SINEW_EMISMATCH). SINEW_EINVAL, SINEW_ENOTSUP for
 * what is out of range or not built. */
SINEW_API int sinew_team_view(struct sinew_team *team, const struct sinew_view_options *how,
                              struct sinew_team **view);

/* Local. Sets *team NULL; NULL and *team NULL are allowed. SINEW_EBUSY: requests or views of it
 * live, nothing happened. SINEW_EINVAL for the world, which lives until close. A message that
 * arrives for it later is dropped and counted. */
SINEW_API int sinew_team_free(struct sinew_team **team);

/* ------------------------------------------------------------------------------------------------
 * Messages
 *
 * Between one pair of ranks in one team, messages that a receive could both match are matched in
 * the order they were sent. len = 0 is a message like any other. A message to oneself works.
 */
#define SINEW_ANY_RANK (-1) /* receives and probes only                                           */
#define SINEW_ANY_TAG (-1)  /* receives and probes only                                           */
#define SINEW_NO_RANK (-2)  /* nobody: completes at once, 0 bytes, rank SINEW_NO_RANK             */
#define SINEW_TAG_MAX 4294967295LL

struct sinew_status {
    int32_t code;      /* the outcome, as returned                                                */
    int32_t rank;      /* who sent it, in the team of the receive                                 */
    int64_t tag;       /* with which tag                                                          */
    uint64_t bytes;    /* received: written into the buffer; probed: what is waiting              */
    uint64_t sent;     /* as long as the sender made it; > bytes when truncated                   */
    uint64_t reserved; /* 0                                                                       */
};

/*
 * Send len bytes to rank `to`. Done: the buffer may be used again; the receiver may not have it
 * yet, and never has it if this process is killed before its kernel or NIC has delivered it.
 * Blocking, above eager_bytes, it may wait for the receiver: two ranks that do so head to
 * head wait for each other, and the stall report names both.
 *   SINEW_EINVAL   team or buf NULL (buf may be NULL when len is 0), rank or tag out of range
 *   SINEW_EPEER    the peer left or died; sinew_why() says which and how it is known
 *   SINEW_ESTATE   blocking, to oneself, too long to keep and no receive is posted; in a callback
 *   SINEW_ETIMEDOUT  the deadline of the view or context passed; the buffer is free again
 *   SINEW_ENOMEM, SINEW_EUNREACHABLE, SINEW_EAUTH, SINEW_EVERSION, SINEW_ELIMIT   at first contact
 */
SINEW_API int sinew_send(struct sinew_team *team, const void *buf, size_t len, int to, int64_t tag,
                         struct sinew_request **req);

/* Like sinew_send(), but done only when the receiver has matched it. */
SINEW_API int sinew_send_sync(struct sinew_team *team, const void *buf, size_t len, int to,
                              int64_t tag, struct sinew_request **req);

/*
 * Receive at most cap bytes from rank `from` (or SINEW_ANY_RANK) with `tag` (or SINEW_ANY_TAG).
 * status may be NULL; else it is filled on every completion, failures included.
 *   SINEW_ETRUNCATED  the message was longer: cap bytes are in the buffer, status->sent says how
 *                     long it was, the rest is gone, the next message is intact
 *   SINEW_EPEER       the peer left or died with no matching message on its way. From any rank:
 *                     once for each member that died, until sinew_team_acknowledge(); and when
 *                     nobody is left who could send
 *   SINEW_ECANCELED   by sinew_cancel()
 *   SINEW_EINVAL, SINEW_ETIMEDOUT, SINEW_ENOMEM … as sinew_send()
 */
SINEW_API int sinew_recv(struct sinew_team *team, void *buf, size_t cap, int from, int64_t tag,
                         struct sinew_status *status, struct sinew_request **req);

/* Both at once, deadlock-free, one tag for both ways. The buffers must not overlap (SINEW_EINVAL).
 * The outcome is the receive's, or the send's if only that failed. */
SINEW_API int sinew_sendrecv(struct sinew_team *team, const void *send_buf, size_t len, int to,
                             void *recv_buf, size_t cap, int from, int64_t tag,
                             struct sinew_status *status, struct sinew_request **req);

/*
 * Wait at most `patience` ns (0 looks once, SINEW_FOREVER) for a message that a receive with these
 * arguments would match. 0: status (may be NULL) tells of it. > 0: none yet. With `message` not
 * NULL it is a matched probe: the message is taken out of matching and waits for
 * sinew_message_recv(), which every taken message must get. Not promised: a probe sees what has
 * come; a message that waits at its sender, behind others that use up unexpected_bytes here, comes
 * for a receive, not for a probe. Errors as sinew_recv(). From SINEW_NO_RANK: 0 at once, and
 * *message NULL.
 */
SINEW_API int sinew_probe(struct sinew_team *team, int from, int64_t tag,
                          struct sinew_status *status, struct sinew_message **message,
                          int64_t patience);

/* Receive a message taken by a matched probe; sets *message NULL unless < 0 by SINEW_EINVAL. With
 * *message NULL it completes at once with 0 bytes from SINEW_NO_RANK. Otherwise like sinew_recv().
 */
SINEW_API int sinew_message_recv(struct sinew_message **message, void *buf, size_t cap,
                                 struct sinew_status *status, struct sinew_request **req);

/* ------------------------------------------------------------------------------------------------
 * Completion
 *
 * Test and wait consume: on any final outcome, errors included, the request is gone and *req NULL.
 * A NULL *req counts as done. Patience that runs out returns > 0 and keeps the request.
 * An idle persistent request counts as done and is kept. In a callback: SINEW_ESTATE.
 *
 * Keep one handle for a request. Once it is gone a copy of its handle names nothing: test, wait,
 * cancel, start and free answer it SINEW_EINVAL where they can tell, which is until another
 * operation is given the same handle.
 */
SINEW_API int sinew_test(struct sinew_request **req); /* looks, moves data, never blocks          */
SINEW_API int sinew_wait(struct sinew_request **req); /* until final                              */
SINEW_API int sinew_wait_for(struct sinew_request **req, int64_t patience);

/* Until one of n is final: its outcome is returned and *index says which (lowest that is). All
 * NULL or n = 0: 0 and *index -1. Patience out: > 0, *index -1. SINEW_EINVAL: reqs or index NULL,
 * n < 0. */
SINEW_API int sinew_wait_any(struct sinew_request *reqs[], int n, int *index, int64_t patience);

/* Until all are final: 0, or the first error by index, whose text sinew_why() has. results[i] (may
 * be NULL) gets each outcome, and SINEW_PENDING for one that patience ran out on, when > 0 is
 * returned. A handle that has ended (see above) is not waited for: SINEW_EINVAL, at the latest
 * when all before it are final; that is its result, too. Those of the others are as if patience
 * had run out then, so some may be under way still: their handles are kept. */
SINEW_API int sinew_wait_all(struct sinew_request *reqs[], int n, int results[], int64_t patience);

/* Stop a receive that has not matched: it completes with SINEW_ECANCELED, and still has to be
 * waited for. 0: cancelled; SINEW_EBUSY: matched already, it completes as if nothing had been
 * asked; SINEW_ENOTSUP: not a receive; SINEW_EINVAL: NULL. */
SINEW_API int sinew_cancel(struct sinew_request *req);

/* Begin one round of an idle request made through a persistent view: 0 or > 0 as any operation,
 * the request stays. SINEW_ESTATE: it is under way. SINEW_EINVAL: not persistent, NULL. */
SINEW_API int sinew_start(struct sinew_request *req);

/* End an idle persistent request, *req NULL. SINEW_EBUSY: under way. NULL and *req NULL: 0.
 * SINEW_EINVAL: not a persistent request. */
SINEW_API int sinew_request_free(struct sinew_request **req);

/* Move data once: the number of events handled (>= 0), or SINEW_ESTATE in a callback or a forked
 * child, SINEW_EINVAL for NULL. Failures of peers are reported by the operations they concern. */
SINEW_API int sinew_progress(struct sinew *s);

/* To sleep in the caller's own loop: the descriptor (>= 0, readable when progress has work; owned
 * by the context) and the promise. sinew_arm: 0, the descriptor will fire at the next event; > 0,
 * there is work now, call progress and arm again. *timeout (may be NULL) is then how long, in ns,
 * to sleep at most, SINEW_FOREVER when only events matter. */
SINEW_API int sinew_fd(struct sinew *s);
SINEW_API int sinew_arm(struct sinew *s, int64_t *timeout);

/* ------------------------------------------------------------------------------------------------
 * Memory
 */
enum sinew_rights {
    SINEW_RIGHT_NONE = 0,
    SINEW_RIGHT_READ = 1,   /* team members may read it                                           */
    SINEW_RIGHT_WRITE = 2,  /* … write it                                                         */
    SINEW_RIGHT_ATOMIC = 4, /* … update it atomically                                             */
};

/* Zeroed, page-aligned memory of `size` bytes that operations in `team` may use best, and that
 * later one-sided operations with `rights` may reach. Local. Peers on this host map it when they
 * first receive a long message from it: such messages are copied once, and bytes of it that were
 * not sent can be read by the ranks of the job too. Where shared memory is short, it is ordinary
 * memory. A forked child shares it. SINEW_EINVAL for size 0 or unknown rights, SINEW_ENOMEM. */
SINEW_API int sinew_memory_alloc(struct sinew_team *team, size_t size, unsigned rights,
                                 struct sinew_memory **memory);
SINEW_API void *sinew_memory_address(const struct sinew_memory *memory);
SINEW_API size_t sinew_memory_size(const struct sinew_memory *memory);
/* No peer reaches it any more; those that mapped it let its pages go when they next make progress,
 * or end. Later one-sided operations: a visible wait. *memory NULL; NULL and *memory NULL are
 * allowed. SINEW_EBUSY: a live request uses it, an idle persistent one too. */
SINEW_API int sinew_memory_free(struct sinew_memory **memory);

/* ------------------------------------------------------------------------------------------------
 * Collectives
 *
 * Every rank of the team calls the same collectives in the same order, with arguments that fit.
 *
 *  Mismatch   A difference in operation, count, type, operator or root is answered
 *             SINEW_EMISMATCH, and sinew_why() has both ranks' arguments; at once where a message
 *             tells, else when a rank has waited for a second. A rank whose part was over is told
 *             by a later collective on that team, the first that it begins after word has come.
 *  Matching   is in a space of their own that receives never see.
 *  In place   in == SINEW_IN_PLACE where allowed: the input is already where the output goes. Other
 *             overlaps are SINEW_EINVAL.
 *  Outcomes   as sinew_send() and sinew_recv().
 *  Failure    After a failed collective the team is in doubt: other ranks may have completed it;
 *             those that wait for a rank that gave up hear of it within a second or two, and give
 *             up, too. With as many calls made by all it can be used again.
 *  Death      No collective, and so no split or subset, succeeds in a team with a dead member;
 *             teams made before without it go on.
 */
#define SINEW_IN_PLACE ((void *)-1)

enum sinew_type { /* numbers are for good                                                        */
    SINEW_I8 = 1, SINEW_I16, SINEW_I32, SINEW_I64,
    SINEW_U8, SINEW_U16, SINEW_U32, SINEW_U64,
    SINEW_F32, SINEW_F64,
    SINEW_F16, SINEW_BF16,   /* IEEE binary16 and bfloat16, as 16-bit integers in memory          */
    SINEW_C32, SINEW_C64,    /* complex: pairs of f32, of f64                                     */
    /* A value and an int32_t index behind it, as a C struct of them: 8, 16, 8 and 16 bytes.      */
    SINEW_F32_I32, SINEW_F64_I32, SINEW_I32_I32, SINEW_I64_I32,
};

/* The type of records of 1 to SINEW_RECORD_MAX bytes, for operators of one's own. */
#define SINEW_RECORD(bytes) (65536 + (int)(bytes))
#define SINEW_RECORD_MAX 4096

/*
 * What each makes sense of; else SINEW_EINVAL. Integers wrap. A NaN operand gives NaN, and a NaN
 * result is the one canonical quiet NaN (0x7fc00000 …). -0 is less than +0. Nothing is contracted:
 * each operation rounds once, f16 and bf16 to nearest, ties to even.
 */
enum sinew_operator {
    SINEW_SUM = 1, SINEW_PROD,         /* numbers: integers, floats, complex                      */
    SINEW_MIN, SINEW_MAX,              /* integers, floats                                        */
    SINEW_MINLOC, SINEW_MAXLOC,        /* value and index: the least (greatest) value, among equal
                                          ones the least index. NaN wins over all. Padding is 0   */
    SINEW_BAND, SINEW_BOR, SINEW_BXOR, /* integers                                                */
    SINEW_LAND, SINEW_LOR, SINEW_LXOR, /* integers: 0 is false, the result is 0 or 1              */
};

/*
 * An operator of one's own, for every type: function(arg, left, right, count, type) replaces each
 * right[i] by left[i] op right[i], where left stands for lower ranks. It must be associative. With
 * `commutes` 0 the operands always stand in the order of the ranks, by algorithms that keep it;
 * otherwise right[i] op left[i] must be the same, bit for bit where ranks shall get the same bits.
 * It is called from inside progress with aligned or unaligned elements, and must not call the
 * context. Local; but *op, the number to pass as `op`, counts up, is part of what ranks compare,
 * and so all ranks make the same operators in the same order. SINEW_EINVAL, SINEW_ENOMEM.
 */
SINEW_API int sinew_operator(struct sinew *s,
                             void (*function)(void *arg, const void *left, void *right,
                                              size_t count, int type),
                             void *arg, int commutes, int *op);
/* *op is 0 afterwards. SINEW_EBUSY: operations under way, or idle persistent ones, use it. All go
 * with the context. */
SINEW_API int sinew_operator_free(struct sinew *s, int *op);

/* Bytes of one element; 0 for an unknown type. */
SINEW_API size_t sinew_type_size(int type);

/* Nobody leaves before all have come. */
SINEW_API int sinew_barrier(struct sinew_team *team, struct sinew_request **req);

/* root's len bytes to everyone. */
SINEW_API int sinew_bcast(struct sinew_team *team, void *buf, size_t len, int root,
                          struct sinew_request **req);

/*
 * Arithmetic: count elements of a type from every rank. The result has the same bits wherever it
 * is asked for twice as the level of the view says (enum sinew_level); operands stand in rank
 * order for operators that do not commute.
 */

/* out[i] at root = in[i] of rank 0 op in[i] of rank 1 op …; out is used at root only. In place: at
 * root. */
SINEW_API int sinew_reduce(struct sinew_team *team, const void *in, void *out, size_t count,
                           int type, int op, int root, struct sinew_request **req);

/* Like sinew_reduce() with the result everywhere, the same bits on every rank. In place: all. */
SINEW_API int sinew_allreduce(struct sinew_team *team, const void *in, void *out, size_t count,
                              int type, int op, struct sinew_request **req);

/* Like sinew_allreduce() of p times `count` elements, of which rank r gets those from r times count
 * on. In place, on all ranks: the whole input is in out, and the result comes at its beginning;
 * what is behind it is left as it was. */
SINEW_API int sinew_reduce_scatter_block(struct sinew_team *team, const void *in, void *out,
                                         size_t count, int type, int op,
                                         struct sinew_request **req);

/* Like sinew_reduce_scatter_block() with counts[r] elements for rank r; the same counts on all. */
SINEW_API int sinew_reduce_scatter(struct sinew_team *team, const void *in, void *out,
                                   const size_t *counts, int type, int op,
                                   struct sinew_request **req);

/* out[i] at rank r = in[i] of rank 0 op … op in[i] of rank r. In place: each rank as it likes. */
SINEW_API int sinew_scan(struct sinew_team *team, const void *in, void *out, size_t count, int type,
                         int op, struct sinew_request **req);

/* Like sinew_scan() without the rank's own; out of rank 0 is left as it was. */
SINEW_API int sinew_exscan(struct sinew_team *team, const void *in, void *out, size_t count,
                           int type, int op, struct sinew_request **req);

/*
 * Moving bytes. Those whose name ends in v have a length for each rank and the offset of its part,
 * in bytes; offsets NULL: one part after the other. Parts that are written must not overlap. The
 * tables are not used after the call. Whoever sends and whoever receives a part must have the same
 * length for it (SINEW_EMISMATCH).
 */

/* len bytes of each rank to out at root, in rank order. In place: root's own are already there. */
SINEW_API int sinew_gather(struct sinew_team *team, const void *in, size_t len, void *out, int root,
                           struct sinew_request **req);

/* Like sinew_gather() with lens[r] bytes from rank r; lens and offsets are used at root only. */
SINEW_API int sinew_gatherv(struct sinew_team *team, const void *in, size_t len, void *out,
                            const size_t *lens, const size_t *offsets, int root,
                            struct sinew_request **req);

/* len bytes of root's `in` to each rank, in rank order; in is used at root only. out SINEW_IN_PLACE
 * at root: its own stay where they are. */
SINEW_API int sinew_scatter(struct sinew_team *team, const void *in, size_t len, void *out,
                            int root, struct sinew_request **req);

/* Like sinew_scatter() with lens[r] bytes to rank r; lens and offsets are used at root only. */
SINEW_API int sinew_scatterv(struct sinew_team *team, const void *in, const size_t *lens,
                             const size_t *offsets, void *out, size_t len, int root,
                             struct sinew_request **req);

/* Like sinew_gather() with the result everywhere. In place: all. */
SINEW_API int sinew_allgather(struct sinew_team *team, const void *in, size_t len, void *out,
                              struct sinew_request **req);

/* Like sinew_gatherv() with the result everywhere; the same lens on all ranks. In place: all. */
SINEW_API int sinew_allgatherv(struct sinew_team *team, const void *in, size_t len, void *out,
                               const size_t *lens, const size_t *offsets,
                               struct sinew_request **req);

/* The r-th len bytes of `in` to rank r; those of rank r become the r-th of out. In place, on all
 * ranks: what is in out is sent, and then replaced. */
SINEW_API int sinew_alltoall(struct sinew_team *team, const void *in, size_t len, void *out,
                             struct sinew_request **req);

/* Like sinew_alltoall() with in_lens[r] bytes to, and out_lens[r] from rank r. In place: out_lens
 * and out_offsets say both. */
SINEW_API int sinew_alltoallv(struct sinew_team *team, const void *in, const size_t *in_lens,
                              const size_t *in_offsets, void *out, const size_t *out_lens,
                              const size_t *out_offsets, struct sinew_request **req);

/*
 * To and from neighbours only. Each rank says whom it tells and whom it hears, in any order, itself
 * and one rank several times allowed; over the team the two sides must fit, the n-th time that a
 * rank tells another being the n-th time the other hears it. The graph is not used after the call.
 */
struct sinew_graph {
    const int *to, *from; /* ranks                                                                */
    int to_count, from_count;
};
#define SINEW_NEIGHBOURS_MAX 1000000

/* The same len bytes to every neighbour told; the i-th len bytes of out from the i-th heard. */
SINEW_API int sinew_neighbour_allgather(struct sinew_team *team, const struct sinew_graph *graph,
                                        const void *in, size_t len, void *out,
                                        struct sinew_request **req);
/* Like it with the i-th len bytes of `in` to the i-th neighbour told. */
SINEW_API int sinew_neighbour_alltoall(struct sinew_team *team, const struct sinew_graph *graph,
                                       const void *in, size_t len, void *out,
                                       struct sinew_request **req);
/* Like it with a length for each. */
SINEW_API int sinew_neighbour_alltoallv(struct sinew_team *team, const struct sinew_graph *graph,
                                        const void *in, const size_t *in_lens,
                                        const size_t *in_offsets, void *out,
                                        const size_t *out_lens, const size_t *out_offsets,
                                        struct sinew_request **req);

/* ------------------------------------------------------------------------------------------------
 * Failure
 */
/* Members that are known to be gone: up to cap of their ranks in `ranks` (may be NULL when cap is
 * 0), the number of all such members is returned. died[i], if not NULL, is 1 for "died", 0 for
 * "left". */
SINEW_API int sinew_team_failed(struct sinew_team *team, int *ranks, int *died, int cap);

/* From now on receives from any rank no longer fail for members known to be dead. 0. */
SINEW_API int sinew_team_acknowledge(struct sinew_team *team);

/* ------------------------------------------------------------------------------------------------
 * Seeing inside
 */
/* The last failure on s, as the calling thread saw it: "outer: inner: cause". NULL: the calling
 * thread's last failed sinew_open(). Never NULL ("no failure" if none); valid until that thread's
 * next failure there. */
SINEW_API const char *sinew_why(struct sinew *s);

/* How a message of `bytes` to `rank` would travel, and why not otherwise: text lines into `text`
 * (cap bytes, always terminated when cap > 0; may be NULL when cap is 0); *need (may be NULL) gets
 * the bytes the whole text needs with its terminator. 0, also when cut; SINEW_EINVAL for a rank
 * out of range. */
SINEW_API int sinew_explain(struct sinew_team *team, int rank, size_t bytes, char *text, size_t cap,
                            size_t *need);

/* By which algorithm a collective ("allreduce", "reduce_scatter_block" …) of `bytes` would be done
 * on this team or view, why, and what is predicted of the others; text, cap and need as above.
 * bytes are one rank's. 0; SINEW_EINVAL for an unknown name. */
SINEW_API int sinew_explain_collective(struct sinew_team *team, const char *name, size_t bytes,
                                       char *text, size_t cap, size_t *need);

/* A counter of the context by name; SINEW_ENOENT for an unknown one. sinew_counter_name(i) gives
 * the names from i = 0 until NULL. Counters never go back. */
SINEW_API int sinew_counter(struct sinew *s, const char *name, uint64_t *value);
SINEW_API const char *sinew_counter_name(int index);

#ifdef __cplusplus
}
#endif
#endif
