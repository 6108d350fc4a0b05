/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_CONTRACT_CONTROL_H
#define TESTS_CONTRACT_CONTROL_H
/*
 * control.h - what a control link does for wired transports, reduced to mailboxes in shared memory
 *
 * One ring of letters per direction and pair. Every link has a number of its own; letters name it,
 * so that those of a link that is gone are not taken for another's:
 *
 *   CONNECT n   a link n wants a counterpart       TELL n      bytes for n's counterpart
 *   REFUSED n   there will be none for your n      DOWN n      n is down here
 */
#include <stddef.h>
#include <stdint.h>

struct side;
struct peer;

/* Before the ranks are made: memory that all of them share. */
void control_init(void);
/* Forget letters of earlier cases. Before anybody writes one. */
void control_open(struct side *side);

void control_connect(struct peer *to);
void control_tell(struct peer *to, const void *bytes, size_t len);
void control_down(struct peer *to);
/* Take what has come: makes links, hands tells over, ends links. */
void control_read(struct side *side);

#endif
