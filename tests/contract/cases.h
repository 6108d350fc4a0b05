/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_CONTRACT_CASES_H
#define TESTS_CONTRACT_CASES_H
#include "tests/support/suite.h"

extern const struct suite_case contract_links[], contract_sends[], contract_expects[],
    contract_puts[], contract_ends[];

#endif
