/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TOOLS_INFO_RDMA_H
#define TOOLS_INFO_RDMA_H
/*
 * info_rdma.h - what the two files about RDMA share
 *
 * Everything is read from files of the kernel, so no library is needed, and below a root that can
 * be another one: a test's, or a copy of another machine's /sys, /proc and /dev.
 */
#include "info.h"

enum { RDMA_LINE_MAX = 256 };

struct rdma {
    struct info *info;
    const char *root;
    int devices;
    char nic[64];        /* an Ethernet interface that is up: the one to name in advice */
};

/* The first line of a file below the root, without its end; false if there is none. */
bool rdma_line(const struct rdma *r, char line[RDMA_LINE_MAX], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool rdma_exists(const struct rdma *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Calls back for each name in a directory below the root, in order. */
void rdma_each(struct rdma *r, const char *directory, void (*one)(struct rdma *, const char *));

/* Something is wrong, and this command mends it. */
void rdma_wrong(const struct rdma *r, const char *mend, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* info_rdma_ports.c: a device with its ports, their states and addresses. */
void rdma_device(struct rdma *r, const char *device);

#endif
