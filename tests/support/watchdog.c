/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watchdog.c - a test program that is still there when its time is over says where it is
 *
 * Part of every test program. TEST_TIMEOUT is ctest's own limit in seconds, which ends a program
 * without a word; some seconds before that this one tells what is being waited for and ends. Loops
 * that wait are bounded by themselves (bounded.h) and so tell more: this is for all others.
 */
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MARGIN_S = 5, FRAMES = 40 };

/* The program is lost, so what is not made for a signal handler is risked. */
static void tell_and_end(int number)
{
    static const char words[] = "in vain: the time of this test is nearly over (TEST_TIMEOUT), and it "
                                "still is here (addr2line -fipe PROGRAM +0x...):\n";
    void *frame[FRAMES];
    (void)number;
    if (write(STDERR_FILENO, words, sizeof(words) - 1) > 0)
        backtrace_symbols_fd(frame, backtrace(frame, FRAMES), STDERR_FILENO);
    _exit(1);
}

__attribute__((constructor)) static void watch(void)
{
    const char *limit = getenv("TEST_TIMEOUT");
    void *loads_what_it_needs[1];
    if (!limit || atoi(limit) <= 2 * MARGIN_S) return;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* which test it is must have been told */
    backtrace(loads_what_it_needs, 1);
    signal(SIGALRM, tell_and_end);
    alarm((unsigned)(atoi(limit) - MARGIN_S));
}
