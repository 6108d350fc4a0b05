# SPDX-License-Identifier: BSD-3-Clause
# The transport contract (transport/transport.h), the same cases on every transport.
include(support/job.cmake)
sinew_job_program(contract contract/main.c contract/peer.c contract/control.c contract/links.c contract/sends.c contract/expects.c
  contract/puts.c contract/ends.c)
sinew_job_test(NAME contract PROGRAM contract)
