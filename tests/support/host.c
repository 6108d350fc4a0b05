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

enum { CODE = 16, FUNCTIONS = 4, RESTORER = 0x04000000 };

struct host {
    struct sigaction action[_NSIG];
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
    }
    assert_ptr_equal(a->stack.ss_sp, b->stack.ss_sp);
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

struct watch {
    const struct transport_ops *ops;
    const struct config *config;
    struct host *before;
};

static void open_and_close(const struct watch *w, void (*meanwhile)(const struct watch *w))
{
    static const struct log silent;
    struct transport *t = world_allocate_aligned(&world_real, 64, w->ops->transport_size);
    t->ops = w->ops;
    t->opt = (struct transport_options){
        .world = &world_real, .config = w->config, .size = 2, .epoch = 1, .log = &silent
    };
    if (w->ops->open(t) < 0) fail_msg("%s", t->why.text);
    meanwhile(w);
    w->ops->close(t);
    world_release(&world_real, t, w->ops->transport_size);
}

static void looks_the_same(const struct watch *w)
{
    struct host *now = host_look();
    assert_same(w->before, now);
    fault();
    free(now);
}

void host_is_left_alone(const struct transport_ops *ops, const struct config *config)
{
    struct sigaction action = { .sa_handler = on_fault };
    sigaction(SIGSEGV, &action, NULL);
    struct watch w = { ops, config, host_look() };
    for (int i = 0; i < 3; i++) open_and_close(&w, looks_the_same);
    struct host *after = host_look();
    assert_same(w.before, after);
    assert_int_equal(w.before->descriptors, after->descriptors);
    assert_int_equal(w.before->threads, after->threads);
    fault();
    free(w.before);
    free(after);
}

void host_is_as_before(void (*use)(void))
{
    struct host *before = host_look();
    for (int i = 0; i < 3; i++) use();
    struct host *after = host_look();
    assert_same(before, after);
    assert_int_equal(before->descriptors, after->descriptors);
    assert_int_equal(before->threads, after->threads);
    free(before);
    free(after);
}

static void nothing(const struct watch *w)
{
    (void)w;
}

void host_hears_nothing(const struct transport_ops *ops, const struct config *config, bool errors)
{
    const struct watch w = { ops, config, NULL };
    int kept[2], file = memfd_create("heard", MFD_CLOEXEC), n = errors ? 2 : 1;
    fflush(NULL);
    for (int i = 0; i < n; i++) {
        kept[i] = dup(STDOUT_FILENO + i);
        dup2(file, STDOUT_FILENO + i);
    }
    open_and_close(&w, nothing);
    fflush(NULL);
    for (int i = 0; i < n; i++) {
        dup2(kept[i], STDOUT_FILENO + i);
        close(kept[i]);
    }
    assert_int_equal(lseek(file, 0, SEEK_END), 0);
    close(file);
}
