# SPDX-License-Identifier: BSD-3-Clause
# Ranks that die, stop, leave or compute; and memory that runs out.
include(support/job.cmake)
sinew_job_program(process process/main.c process/deaths.c process/stops.c process/simulated.c
  process/allocations.c process/reads.c)
sinew_job_test(NAME process PROGRAM process TIMEOUT 300)
