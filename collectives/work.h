/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COLLECTIVES_WORK_H
#define COLLECTIVES_WORK_H
/*
 * work.h - what each algorithm costs, counted (struct work in collective.h)
 *
 * p ranks, n bytes of one rank's input, k the parameter.
 */
#include "collectives/collective.h"

struct work work_barrier_dissemination(double p, double n, double k);
struct work work_barrier_flat(double p, double n, double k);
struct work work_barrier_direct(double p, double n, double k);
struct work work_bcast_tree(double p, double n, double k);
struct work work_bcast_scatter_ring(double p, double n, double k);
struct work work_bcast_scatter_allgather(double p, double n, double k);
struct work work_bcast_chain(double p, double n, double k);
struct work work_bcast_circulant(double p, double n, double k);
struct work work_bcast_two_level(double p, double n, double k);
struct work work_reduce_tree(double p, double n, double k);
struct work work_reduce_ring(double p, double n, double k);
struct work work_reduce_scatter_gather(double p, double n, double k);
struct work work_reduce_chain(double p, double n, double k);
struct work work_reduce_circulant(double p, double n, double k);
struct work work_reduce_pairwise(double p, double n, double k);
struct work work_reduce_two_level(double p, double n, double k);
struct work work_allreduce_doubling(double p, double n, double k);
struct work work_allreduce_multiplying(double p, double n, double k);
struct work work_allreduce_ring(double p, double n, double k);
struct work work_allreduce_flat(double p, double n, double k);
struct work work_allreduce_direct(double p, double n, double k);
struct work work_allreduce_rabenseifner(double p, double n, double k);
struct work work_allreduce_circulant(double p, double n, double k);
struct work work_allreduce_pairwise(double p, double n, double k);
struct work work_allreduce_allgather(double p, double n, double k);
struct work work_allreduce_tree(double p, double n, double k);
struct work work_allreduce_two_level(double p, double n, double k);
struct work work_gather_tree(double p, double n, double k);
struct work work_gather_linear(double p, double n, double k);
struct work work_allgather_bruck(double p, double n, double k);
struct work work_allgather_ring(double p, double n, double k);
struct work work_allgather_circulant(double p, double n, double k);
struct work work_allgather_neighbour(double p, double n, double k);
struct work work_allgather_pairwise(double p, double n, double k);
struct work work_alltoall_bruck(double p, double n, double k);
struct work work_alltoall_pairwise(double p, double n, double k);
struct work work_reduce_scatter_ring(double p, double n, double k);
struct work work_reduce_scatter_tree(double p, double n, double k);
struct work work_reduce_scatter_circulant(double p, double n, double k);
struct work work_reduce_scatter_pairwise(double p, double n, double k);
struct work work_scan_doubling(double p, double n, double k);
struct work work_scan_chain(double p, double n, double k);
struct work work_exscan_chain(double p, double n, double k);
struct work work_neighbours(double p, double n, double k);

#endif
