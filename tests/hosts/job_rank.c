/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * job_rank.c - one rank of a job over two hosts, as an application would write it: sinew.h alone
 *
 *   job-rank BOARD CUT exchange            everyone with everyone, and collectives
 *   job-rank BOARD CUT death VICTIM        that rank is killed: who waits for it is told
 *   job-rank BOARD CUT leaving VICTIM      it sends a thousand messages, closes and exits
 *   job-rank BOARD CUT stop VICTIM         it is stopped for a while, which is no error
 *   job-rank BOARD CUT lost VICTIM         the sinewrun of that rank is killed
 *
 * Ranks below CUT are on one host, the rest on the other. The hosts are network namespaces of one
 * machine, so a mapped file, BOARD, can tell the test what the job itself must not be asked: who is
 * ready, and when a blow fell; who touches it wakes those that watch it. The launcher's --timeout
 * ends whatever waits too long. A rank that saw all it wanted says so: "RANK is done".
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sinew/sinew.h"

#define MS 1000000LL
#define SECOND 1000000000LL

enum { RANKS = 4, TAG_ITEM = 100, TAG_MEET = 5000, TAG_LAST = 6000 };

/* In the file; the kernel made it zero. All are stored and loaded by ranks of both hosts. */
struct board {
    _Atomic int64_t struck_at;   /* the blow: CLOCK_MONOTONIC, one for both namespaces       */
    _Atomic int pid[RANKS];      /* of each rank …                                           */
    _Atomic int launcher[RANKS]; /* … and its sinewrun                                       */
    _Atomic int ready, told;     /* how many ranks have come that far                        */
};

struct me {
    struct board *board;
    int board_fd, changes; /* inotify's: tells when the board has been touched */
    struct sinew *s;
    struct sinew_team *world;
    int rank, cut, victim;
    int stalls;           /* stall reports that name the victim */
    char last_stall[512]; /* the last one of any kind           */
};

/* ---- checks ---------------------------------------------------------------------------------- */

static _Noreturn void fail(struct me *me, int line, const char *format, ...)
{
    va_list args;
    char text[512];
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "job-rank %d: line %d: %s; why: %s; last stall: %s\n", me->rank, line, text,
            sinew_why(me->s), me->last_stall);
    _exit(3);
}

static void check_status(struct me *me, int line, const char *call, int got, int want)
{
    if (got != want)
        fail(me, line, "%s gave %s, not %s", call, sinew_strstatus(got), sinew_strstatus(want));
}

#define CHECK(me, what) ((what) ? (void)0 : fail((me), __LINE__, "not true: %s", #what))
#define CHECK_IS(me, call, want) check_status((me), __LINE__, #call, (call), (want))
#define CHECK_OK(me, call) CHECK_IS(me, call, SINEW_OK)

static void check_why(struct me *me, const char *words)
{
    char rank[16];
    snprintf(rank, sizeof(rank), "rank %d", me->victim);
    if (!strstr(sinew_why(me->s), words) || !strstr(sinew_why(me->s), rank))
        fail(me, __LINE__, "sinew_why does not say that %s %s", rank, words);
}

/* ---- what happens beside the job ------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

/* Until `count` ranks have come, moving data meanwhile; asleep while there is nothing to do. */
static void await(struct me *me, _Atomic int *word, int count)
{
    char events[4096];
    while (atomic_load(word) < count) {
        while (read(me->changes, events, sizeof(events)) > 0) continue;
        int moved = sinew_progress(me->s);
        CHECK(me, moved >= 0);
        int64_t left = SINEW_FOREVER;
        if (moved > 0 || sinew_arm(me->s, &left) != 0 || atomic_load(word) >= count) continue;
        struct pollfd p[] = { { sinew_fd(me->s), POLLIN, 0 }, { me->changes, POLLIN, 0 } };
        poll(p, 2, left > 1000 * SECOND ? -1 : (int)(left / MS) + 1);
    }
}

static void come(struct me *me, _Atomic int *word)
{
    atomic_fetch_add(word, 1);
    futimens(me->board_fd, NULL);
}

static void arrive(struct me *me, _Atomic int *word, int count)
{
    come(me, word);
    await(me, word, count);
}

static void strike(struct me *me, int pid, int signal)
{
    atomic_store(&me->board->struck_at, now_ns());
    kill(pid, signal);
}

static void told_in_time(struct me *me)
{
    int64_t took = now_ns() - atomic_load(&me->board->struck_at);
    if (took > SECOND) fail(me, __LINE__, "told after %lld ms only", (long long)(took / MS));
}

static int descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) n++;
    if (dir) closedir(dir);
    return n;
}

/* ---- messages that know who sent them -------------------------------------------------------- */

static unsigned char byte_of(int source, int to, int64_t tag, size_t at)
{
    return (unsigned char)((size_t)(source * 67 + to * 29) + (size_t)tag * 13 + at * 7 + at / 251);
}

static char *letter_new(struct me *me, size_t len, int to, int64_t tag)
{
    char *letter = malloc(len + 1);
    CHECK(me, letter != NULL);
    for (size_t i = 0; i < len; i++) letter[i] = (char)byte_of(me->rank, to, tag, i);
    return letter;
}

static void letter_check(struct me *me, const char *letter, const struct sinew_status *status,
                         size_t len, int source, int64_t tag)
{
    if (status->code != 0 || status->rank != source || status->tag != tag || status->bytes != len ||
        status->sent != len)
        fail(me, __LINE__,
             "%zu bytes from %d, tag %lld: the status says %d, %d, %lld, %llu of %llu", len, source,
             (long long)tag, status->code, status->rank, (long long)status->tag,
             (unsigned long long)status->bytes, (unsigned long long)status->sent);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)letter[i] != byte_of(source, me->rank, tag, i))
            fail(me, __LINE__, "byte %zu of %zu from %d, tag %lld is wrong", i, len, source,
                 (long long)tag);
}

static void give(struct me *me, size_t len, int to, int64_t tag)
{
    char *letter = letter_new(me, len, to, tag);
    CHECK_OK(me, sinew_send(me->world, letter, len, to, tag, NULL));
    free(letter);
}

static void take(struct me *me, size_t len, int from, int64_t tag)
{
    struct sinew_status status;
    char *letter = malloc(len + 1);
    CHECK(me, letter != NULL);
    CHECK_OK(me, sinew_recv(me->world, letter, len, from, tag, &status, NULL));
    letter_check(me, letter, &status, len, from, tag);
    free(letter);
}

/* One message of `len` bytes from everyone to everyone, at once. */
static void all_pairs(struct me *me, size_t len, int64_t tag)
{
    struct sinew_request *req[2 * RANKS] = { 0 };
    struct sinew_status status[RANKS];
    char *in[RANKS], *out[RANKS];
    for (int r = 0; r < RANKS; r++) {
        in[r] = malloc(len + 1);
        out[r] = letter_new(me, len, r, tag);
        CHECK(me, in[r] != NULL);
        CHECK(me, sinew_recv(me->world, in[r], len, r, tag, &status[r], &req[2 * r]) >= 0);
        CHECK(me, sinew_send(me->world, out[r], len, r, tag, &req[2 * r + 1]) >= 0);
    }
    CHECK_OK(me, sinew_wait_all(req, 2 * RANKS, NULL, SINEW_FOREVER));
    for (int r = 0; r < RANKS; r++) {
        letter_check(me, in[r], &status[r], len, r, tag);
        free(in[r]);
        free(out[r]);
    }
}

/* ---- exchange -------------------------------------------------------------------------------- */

/* From anyone, with any tag: each pair's come in the order they were sent. */
static void wildcards(struct me *me)
{
    enum { ITEMS = 60, MOST = 20000, ALL = RANKS * ITEMS };
    struct sinew_request *req[ALL] = { 0 };
    char *out[ALL], *in = malloc(MOST);
    int next[RANKS] = { 0 };
    CHECK(me, in != NULL);
    for (int i = 0; i < ALL; i++) {
        size_t len = (size_t)(i / RANKS) * 997 % MOST;
        int to = i % RANKS, tag = TAG_ITEM + i / RANKS;
        out[i] = letter_new(me, len, to, tag);
        CHECK(me, sinew_send(me->world, out[i], len, to, tag, &req[i]) >= 0);
    }
    for (int i = 0; i < ALL; i++) {
        struct sinew_status status;
        CHECK_OK(me, sinew_recv(me->world, in, MOST, SINEW_ANY_RANK, SINEW_ANY_TAG, &status, NULL));
        CHECK(me, status.rank >= 0 && status.rank < RANKS);
        int item = next[status.rank]++;
        letter_check(me, in, &status, (size_t)item * 997 % MOST, status.rank, TAG_ITEM + item);
    }
    CHECK_OK(me, sinew_wait_all(req, ALL, NULL, SINEW_FOREVER));
    for (int i = 0; i < ALL; i++) free(out[i]);
    free(in);
    CHECK_OK(me, sinew_barrier(me->world, NULL));
}

/* The same bits everywhere, and what one rank computes alone. */
static void sums(struct me *me, struct sinew_team *team)
{
    enum { COUNT = 1000 };
    int n = sinew_size(team), mine = sinew_rank(team);
    int64_t in[COUNT], out[COUNT];
    double real = 1.0 / (mine + 3), sum = 0, every[RANKS];
    for (int i = 0; i < COUNT; i++) in[i] = (int64_t)i * (mine + 1);
    CHECK_OK(me, sinew_allreduce(team, in, out, COUNT, SINEW_I64, SINEW_SUM, NULL));
    for (int i = 0; i < COUNT; i++) CHECK(me, out[i] == (int64_t)i * n * (n + 1) / 2);
    CHECK_OK(me, sinew_allreduce(team, &real, &sum, 1, SINEW_F64, SINEW_SUM, NULL));
    CHECK_OK(me, sinew_allgather(team, &sum, sizeof(sum), every, NULL));
    for (int r = 0; r < n; r++) CHECK(me, memcmp(&every[r], &sum, sizeof(sum)) == 0);
    CHECK(me, sum > 0);
}

/* Teams within a host and across; world ranks in them are where they should be. */
static void teams(struct me *me)
{
    int here = me->rank >= me->cut;
    for (int how = 0; how < 2; how++) {
        struct sinew_team *team = NULL;
        int colour = how == 0 ? here : me->rank % 2;
        CHECK_OK(me, sinew_team_split(me->world, colour, -me->rank, &team));
        int expected = how ? RANKS / 2 : here ? RANKS - me->cut : me->cut;
        CHECK(me, sinew_size(team) == expected);
        CHECK(me, sinew_team_translate(me->world, me->rank, team) == sinew_rank(team));
        sums(me, team);
        CHECK_OK(me, sinew_team_free(&team));
    }
}

static void must_explain(struct me *me, const char *text, const char *words)
{
    if (!strstr(text, words)) fail(me, __LINE__, "no \"%s\" in the explanation: %s", words, text);
}

/* Shared memory within a host, TCP across; and why not shared memory. */
static void explained(struct me *me)
{
    char text[2000];
    for (int r = 0; r < RANKS; r++) {
        if (r == me->rank) continue;
        bool local = (r < me->cut) == (me->rank < me->cut);
        CHECK_OK(me, sinew_explain(me->world, r, 8, text, sizeof(text), NULL));
        must_explain(me, text, local ? ": shm, connected" : ": tcp, connected");
        must_explain(me, text, local ? "shm: in use" : "tcp: in use");
        if (!local)
            must_explain(me, text, "shm: rejected, the peer is in another network namespace");
    }
}

static void exchange(struct me *me)
{
    static const size_t sizes[] = { 0, 1, 8, 48, 49, 4096, 8192, 8193, 65536, 1 << 20 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        all_pairs(me, sizes[i], (int64_t)i);
    wildcards(me);
    for (int i = 0; i < 20; i++) CHECK_OK(me, sinew_barrier(me->world, NULL));
    sums(me, me->world);
    teams(me);
    explained(me);
    CHECK_OK(me, sinew_barrier(me->world, NULL));
}

/* ---- death ----------------------------------------------------------------------------------- */

/* Who is left talks on: one message to each other survivor, into receives from anyone. */
static void survivors_talk(struct me *me)
{
    struct sinew_request *req = NULL;
    struct sinew_status status;
    char in[100];
    CHECK(me, sinew_recv(me->world, in, 100, SINEW_ANY_RANK, TAG_LAST, &status, &req) > 0);
    if (sinew_wait_for(&req, 50 * MS) <= 0) fail(me, __LINE__, "told of one death twice");
    arrive(me, &me->board->told, RANKS - 1);
    for (int r = 0; r < RANKS; r++)
        if (r != me->rank && r != me->victim) give(me, 100, r, TAG_LAST);
    CHECK_OK(me, sinew_wait(&req));
    letter_check(me, in, &status, 100, status.rank, TAG_LAST);
    CHECK_OK(me, sinew_recv(me->world, in, 100, SINEW_ANY_RANK, TAG_LAST, &status, NULL));
    letter_check(me, in, &status, 100, status.rank, TAG_LAST);
}

static void death(struct me *me)
{
    struct sinew_request *req = NULL;
    int who = -1, died = 0;
    char c = 0;
    all_pairs(me, 8, TAG_MEET);
    if (me->rank == me->victim) {
        await(me, &me->board->ready, RANKS - 1);
        strike(me, getpid(), SIGKILL);
    }
    CHECK(me, sinew_recv(me->world, &c, 1, me->victim, 0, NULL, &req) > 0);
    come(me, &me->board->ready);
    CHECK_IS(me, sinew_wait(&req), SINEW_EPEER);
    told_in_time(me);
    check_why(me, "died");
    CHECK_IS(me, sinew_send(me->world, &c, 1, me->victim, 0, NULL), SINEW_EPEER);
    CHECK_IS(me, sinew_recv(me->world, &c, 1, SINEW_ANY_RANK, 0, NULL, NULL), SINEW_EPEER);
    check_why(me, "died");
    CHECK(me, sinew_team_failed(me->world, &who, &died, 1) == 1);
    CHECK(me, who == me->victim && died == 1);
    survivors_talk(me);
}

/* ---- leaving --------------------------------------------------------------------------------- */

static void leaving(struct me *me)
{
    enum { MESSAGES = 1000 };
    char c = 0;
    if (me->rank == me->victim) {
        for (int i = 0; i < MESSAGES; i++)
            for (int r = 0; r < RANKS; r++)
                if (r != me->rank) give(me, (size_t)i * 13 % 500, r, i);
        return;
    }
    for (int i = 0; i < MESSAGES; i++) take(me, (size_t)i * 13 % 500, me->victim, i);
    CHECK_IS(me, sinew_recv(me->world, &c, 1, me->victim, 0, NULL, NULL), SINEW_EPEER);
    check_why(me, "left");
    int who = -1, died = 1;
    CHECK(me, sinew_team_failed(me->world, &who, &died, 1) == 1);
    CHECK(me, who == me->victim && died == 0);
    for (int r = 0; r < RANKS; r++)
        if (r != me->rank && r != me->victim) give(me, 100, r, TAG_LAST);
    for (int r = 0; r < RANKS; r++)
        if (r != me->rank && r != me->victim) take(me, 100, r, TAG_LAST);
}

/* ---- stop ------------------------------------------------------------------------------------ */

/* More than the kernels between two hosts hold: the window goes to zero, which is no death either.
 */
enum { STOP_ITEMS = 8, STOP_BYTES = 1 << 20, STOP_ALL = RANKS * STOP_ITEMS };

/* Stops itself in the midst of what everyone sends it. */
static void stop_victim(struct me *me)
{
    struct sinew_request *req[STOP_ALL] = { 0 };
    struct sinew_status status[STOP_ALL];
    char *in = malloc((size_t)STOP_ALL * STOP_BYTES);
    int first;
    CHECK(me, in != NULL);
    for (int i = 0; i < STOP_ALL; i++)
        if (i / STOP_ITEMS != me->rank)
            CHECK(me, sinew_recv(me->world, in + (size_t)i * STOP_BYTES, STOP_BYTES, i / STOP_ITEMS,
                                 i % STOP_ITEMS, &status[i], &req[i]) > 0);
    arrive(me, &me->board->ready, RANKS);
    CHECK_OK(me, sinew_wait_any(req, STOP_ALL, &first, SINEW_FOREVER));
    strike(me, getpid(), SIGSTOP);
    CHECK_OK(me, sinew_wait_all(req, STOP_ALL, NULL, SINEW_FOREVER));
    for (int i = 0; i < STOP_ALL; i++)
        if (i / STOP_ITEMS != me->rank)
            letter_check(me, in + (size_t)i * STOP_BYTES, &status[i], STOP_BYTES, i / STOP_ITEMS,
                         i % STOP_ITEMS);
    free(in);
    for (int r = 0; r < RANKS; r++)
        if (r != me->rank) give(me, 10, r, TAG_LAST);
}

/* Waits for one message through all of the stop: reported once, no error, and then it comes. */
static void stop_waiter(struct me *me)
{
    struct sinew_request *sends[STOP_ITEMS] = { 0 }, *req = NULL;
    struct sinew_status status;
    char in[10], *out[STOP_ITEMS];
    CHECK(me, sinew_recv(me->world, in, 10, me->victim, TAG_LAST, &status, &req) > 0);
    arrive(me, &me->board->ready, RANKS);
    for (int i = 0; i < STOP_ITEMS; i++) {
        out[i] = letter_new(me, STOP_BYTES, me->victim, i);
        CHECK(me, sinew_send(me->world, out[i], STOP_BYTES, me->victim, i, &sends[i]) >= 0);
    }
    while (atomic_load(&me->board->struck_at) == 0) CHECK(me, sinew_progress(me->s) >= 0);
    me->stalls = 0;
    if (sinew_wait_for(&req, 1500 * MS) <= 0) fail(me, __LINE__, "the wait did not last");
    if (me->stalls != 1) fail(me, __LINE__, "%d stall reports name the stopped rank", me->stalls);
    arrive(me, &me->board->told, RANKS - 1);
    kill(atomic_load(&me->board->pid[me->victim]), SIGCONT);
    CHECK_OK(me, sinew_wait(&req));
    letter_check(me, in, &status, 10, me->victim, TAG_LAST);
    CHECK_OK(me, sinew_wait_all(sends, STOP_ITEMS, NULL, SINEW_FOREVER));
    for (int i = 0; i < STOP_ITEMS; i++) free(out[i]);
}

static void stop(struct me *me)
{
    all_pairs(me, 8, TAG_MEET);
    if (me->rank == me->victim)
        stop_victim(me);
    else
        stop_waiter(me);
}

/* ---- lost ------------------------------------------------------------------------------------ */

/* The ranks of a host lose their launcher: they die, and every rank of the other host is told. */
static void lost(struct me *me)
{
    bool dies = (me->rank < me->cut) == (me->victim < me->cut), strikes;
    struct sinew_request *req[RANKS] = { 0 };
    char c[RANKS];
    all_pairs(me, 8, TAG_MEET);
    for (int r = 0; r < RANKS; r++) {
        bool waited_for = (r < me->cut) == (me->victim < me->cut) && r != me->rank;
        if (waited_for) CHECK(me, sinew_recv(me->world, &c[r], 1, r, 0, NULL, &req[r]) > 0);
    }
    strikes = me->rank == (me->victim < me->cut ? me->cut : 0);
    arrive(me, &me->board->ready, RANKS);
    if (strikes) strike(me, atomic_load(&me->board->launcher[me->victim]), SIGKILL);
    if (dies)
        for (;;) await(me, &me->board->ready, RANKS + 1);
    for (int r = 0; r < RANKS; r++) {
        if (!req[r]) continue;
        me->victim = r;
        CHECK_IS(me, sinew_wait(&req[r]), SINEW_EPEER);
        told_in_time(me);
        check_why(me, "died");
    }
}

/* ---- the rank -------------------------------------------------------------------------------- */

static void hear(void *arg, int level, const char *line)
{
    struct me *me = arg;
    char rank[16];
    (void)level;
    snprintf(rank, sizeof(rank), "rank %d", me->victim);
    if (strncmp(line, "stall:", 6) != 0) {
        fprintf(stderr, "job-rank %d: %s\n", me->rank, line);
        return;
    }
    snprintf(me->last_stall, sizeof(me->last_stall), "%s", line);
    me->stalls += strstr(line, rank) != NULL;
}

static bool open_board(struct me *me, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*me->board)) < 0) return perror(path), false;
    me->board = mmap(NULL, sizeof(*me->board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    me->board_fd = fd;
    me->changes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (me->board == MAP_FAILED || inotify_add_watch(me->changes, path, IN_ATTRIB) < 0)
        return perror(path), false;
    return true;
}

/* Silence much shorter than a stop lasts would end a link, were a stopped peer silent. */
static bool join(struct me *me)
{
    struct sinew_options o = SINEW_OPTIONS_INIT;
    o.stall_report = 300 * MS;
    o.repair_deadline = SECOND / 2;
    o.log = hear;
    o.log_arg = me;
    if (sinew_open(&o, &me->s) < 0)
        return fprintf(stderr, "job-rank: %s\n", sinew_why(NULL)), false;
    me->world = sinew_world(me->s);
    me->rank = sinew_rank(me->world);
    CHECK(me, sinew_size(me->world) == RANKS);
    atomic_store(&me->board->pid[me->rank], getpid());
    atomic_store(&me->board->launcher[me->rank], getppid());
    return true;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*body)(struct me *me);
    } all[] = { { "exchange", exchange },
                { "death", death },
                { "leaving", leaving },
                { "stop", stop },
                { "lost", lost } };
    struct me me = { .last_stall = "none", .victim = -1 };
    if (argc < 4) return 2;
    me.cut = atoi(argv[2]);
    if (argc > 4) me.victim = atoi(argv[4]);
    if (!open_board(&me, argv[1])) return 1;
    int before = descriptors();
    if (!join(&me)) return 1;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(argv[3], all[i].name) == 0) all[i].body(&me);
    CHECK_OK(&me, sinew_close(me.s));
    int after = descriptors();
    if (after > before)
        return fprintf(stderr, "job-rank: %d descriptors, %d before\n", after, before), 1;
    printf("%d is done\n", me.rank);
    return 0;
}
