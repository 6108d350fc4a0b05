/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H
/*
 * crc32c.h - CRC-32C (Castagnoli, RFC 3720), by the processor's instruction where it has one
 *
 * Finds what cables, NICs and switches do to bytes; finds nothing that somebody does on purpose.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of what was covered so far, which is 0 at the start, and len more bytes. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);

/* Whether this processor has the instruction; and without it. */
bool crc32c_by_instruction(void);
uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t len);

#endif
