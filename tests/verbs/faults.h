/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_VERBS_FAULTS_H
#define TESTS_VERBS_FAULTS_H
/*
 * faults.h - the stories of verbs-faults: each runs its cases, and returns how many failed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/ends.h"
#include "tests/verbs/fake_verbs.h"
#include "transport/verbs/verbs.h"

int faults_of_bare(void);
int faults_of_cm(void);
int faults_of_links(void);
int faults_of_memory(void);
int faults_of_messages(void);
int faults_of_peers(void);
int faults_of_rma(void);
int faults_of_devices(void);

/* A case, on devices as they are at first. */
#define FAULT(f) cmocka_unit_test_setup(f, faults_fresh)
int faults_fresh(void **state);

/* e[0] cannot be opened, for that reason, and nothing is left. */
void refused(struct end e[2], int status, const char *words);

#endif
