/* SPDX-License-Identifier: BSD-3-Clause */
#include "launch/run.h"

int run_rendezvous_open(struct run *run) { return run->is_hub; }
bool run_rendezvous_over(struct run *run) { return !run->is_hub; }
void run_rendezvous_close(struct run *run) { (void)run; }
void run_rendezvous_lost(struct run *run, struct node_peer *peer) { (void)run, (void)peer; }
void run_rendezvous_late(struct run *run) { (void)run; }
