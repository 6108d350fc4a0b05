# SPDX-License-Identifier: BSD-3-Clause
# Ranks that die, stop, leave or compute; and memory that runs out.
include(support/job.cmake)
sinew_job_program(process process/main.c process/steps.c process/deaths.c process/stops.c process/simulated.c
  process/allocations.c process/reads.c process/windows.c)
sinew_job_test(NAME process PROGRAM process TIMEOUT 300)
sinew_job_test(NAME process-encrypt PROGRAM process TRANSPORTS tcp TIMEOUT 300 LABELS long
  SETTINGS "security=encrypt")

# kill -9 at random moments, on memory that both share. Under the thread sanitizer ranks are threads, which
# cannot be killed one by one.
if(NOT SINEW_SANITIZE STREQUAL "thread")
  sinew_job_program(kills process/kills_main.c process/kills.c process/scribbles.c
    process/steps.c)
  sinew_job_test(NAME kills PROGRAM kills TRANSPORTS shm TIMEOUT 240)
  sinew_job_test(NAME kills-long PROGRAM kills TRANSPORTS shm ARGS --repeat 1000 LABELS long TIMEOUT 600)
endif()
