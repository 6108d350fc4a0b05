/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H
/*
 * library.h - the functions of a library that is loaded on demand
 *
 * Whoever loads one (OpenSSL, cJSON, UCX, libfabric, librdmacm) knows how to open it and what to
 * say when it is missing. What is wanted of it is a table: names, and places in a struct of
 * pointers to functions.
 */
#include <stddef.h>

struct library_function {
    const char *name;
    size_t at; /* offsetof() the pointer in the caller's struct */
};

/*
 * Finds `n` functions in `library`, what dlopen() gave, and stores each at its place in
 * `functions`. Returns NULL, or the name of the first that the library does not have.
 */
const char *library_functions(void *library, const struct library_function *wanted, size_t n,
                              void *functions);

#endif
