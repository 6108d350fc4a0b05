/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/support/host.h"

#include <dirent.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { RANK = 1, LONG = 1 << 20 };

void host_use(struct end e[2])
{
    static uint8_t from[LONG], to[LONG];
    const struct transport_ops *ops = e[0].ops;
    struct region mine = { .base = to, .len = LONG }, theirs = { .len = LONG };
    ends_connect(e, RANK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(end_send(&e[0], RANK, i, (size_t)i * 80), 0);
        ends_turn(e);
    }
    assert_int_equal(ops->reg(e[1].t, NULL, &mine), 0);
    theirs.key_len = mine.key_len;
    memcpy(theirs.key, mine.key, mine.key_len);
    assert_int_equal(ops->reg(e[0].t, e[0].link[RANK].link, &theirs), 0);
    memset(from, 7, sizeof(from));
    struct rma op = { .kind = RMA_PUT, .local = from, .len = LONG, .peers = &theirs };
    assert_int_equal(ops->rma(e[0].link[RANK].link, &op), TRANSPORT_PENDING);
    ENDS_UNTIL(e, e[0].link[RANK].dones == 1 && e[1].link[RANK].received == 100);
    assert_memory_equal(from, to, LONG);
    assert_int_equal(ops->dereg(e[1].t, &mine), 0);
}

enum { CODE = 16, FUNCTIONS = 4, RESTORER = 0x04000000, MASK = _NSIG / 8 };

struct host {
    struct sigaction action[_NSIG];
    sigset_t blocked;
    stack_t stack;
    char **environment;
    char environment_text[65536];
    uint8_t code[FUNCTIONS][CODE]; /* the heads of functions that hooks are put in */
    int descriptors, threads;
};

static int entries(const char *directory)
{
    int n = 0;
    DIR *d = opendir(directory);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static struct host *host_look(void)
{
    static const char *const hooked[FUNCTIONS] = { "mmap", "munmap", "mremap", "brk" };
    struct host *h = calloc(1, sizeof(*h));
    for (int i = 1; i < _NSIG; i++) sigaction(i, NULL, &h->action[i]);
    sigaltstack(NULL, &h->stack);
    sigprocmask(SIG_SETMASK, NULL, &h->blocked);
    h->environment = environ;
    size_t at = 0;
    for (char **e = environ; *e && at < sizeof(h->environment_text); e++)
        at += (size_t)snprintf(h->environment_text + at, sizeof(h->environment_text) - at, "%s\n",
                               *e);
    for (int i = 0; i < FUNCTIONS; i++) memcpy(h->code[i], dlsym(RTLD_DEFAULT, hooked[i]), CODE);
    h->descriptors = entries("/proc/self/fd");
    h->threads = entries("/proc/self/task");
    return h;
}

static void assert_same(const struct host *a, const struct host *b)
{
    for (int i = 1; i < _NSIG; i++) {
        if (a->action[i].sa_handler != b->action[i].sa_handler) fail_msg("signal %d is handled", i);
        /* sigaction() itself adds this one, which no header names. */
        assert_int_equal(a->action[i].sa_flags & ~RESTORER, b->action[i].sa_flags & ~RESTORER);
        assert_memory_equal(&a->action[i].sa_mask, &b->action[i].sa_mask, MASK);
    }
    assert_ptr_equal(a->stack.ss_sp, b->stack.ss_sp);
    assert_int_equal(a->stack.ss_flags, b->stack.ss_flags);
    assert_int_equal(a->stack.ss_size, b->stack.ss_size);
    assert_memory_equal(&a->blocked, &b->blocked, MASK);
    assert_ptr_equal(a->environment, b->environment);
    assert_string_equal(a->environment_text, b->environment_text);
    assert_memory_equal(a->code, b->code, sizeof(a->code));
}

static sigjmp_buf after_fault;

static void on_fault(int signal)
{
    siglongjmp(after_fault, signal);
}

static void fault(void)
{
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int caught = sigsetjmp(after_fault, 1);
    if (caught == 0) *(volatile char *)page = 1;
    assert_int_equal(caught, SIGSEGV);
    munmap(page, 4096);
}

static void looks_the_same(void *arg)
{
    struct host *now = host_look();
    assert_same(arg, now);
    fault();
    free(now);
}

void host_is_left_alone(void (*use)(void (*meanwhile)(void *arg), void *arg))
{
    struct sigaction action = { .sa_handler = on_fault };
    sigaction(SIGSEGV, &action, NULL);
    struct host *before = host_look();
    for (int i = 0; i < 3; i++) use(looks_the_same, before);
    struct host *after = host_look();
    assert_same(before, after);
    assert_int_equal(before->descriptors, after->descriptors);
    assert_int_equal(before->threads, after->threads);
    fault();
    free(before);
    free(after);
}

static void nothing(void *arg)
{
    (void)arg;
}

void host_hears_nothing(void (*use)(void (*meanwhile)(void *arg), void *arg), bool errors)
{
    int kept[2], file = memfd_create("heard", MFD_CLOEXEC), n = errors ? 2 : 1;
    fflush(NULL);
    for (int i = 0; i < n; i++) {
        kept[i] = dup(STDOUT_FILENO + i);
        dup2(file, STDOUT_FILENO + i);
    }
    use(nothing, NULL);
    fflush(NULL);
    for (int i = 0; i < n; i++) {
        dup2(kept[i], STDOUT_FILENO + i);
        close(kept[i]);
    }
    assert_int_equal(lseek(file, 0, SEEK_END), 0);
    close(file);
}
