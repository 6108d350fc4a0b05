# SPDX-License-Identifier: BSD-3-Clause
# What sinew.h promises, the same cases on every transport; and the soak of random messages.
include(support/job.cmake)
sinew_job_program(conformance conformance/main.c conformance/messages.c conformance/stuck.c conformance/probes.c
  conformance/requests.c conformance/self.c conformance/teams.c conformance/collectives.c
  conformance/arguments.c conformance/context.c)
sinew_job_test(NAME conformance PROGRAM conformance TIMEOUT 300)

# Long messages read out of the sender's memory: all that are announced, which are nearly all.
sinew_job_test(NAME conformance-read PROGRAM conformance TRANSPORTS shm TIMEOUT 300
  SETTINGS "eager_bytes=1K,shm_read_bytes=0")

# The same in virtual time; by seed and number of ranks messages are read, or begin with their announcement.
sinew_job_test(NAME conformance-announced PROGRAM conformance TRANSPORTS sim TIMEOUT 300
  SETTINGS "eager_bytes=1K")

sinew_job_test(NAME conformance-encrypt PROGRAM conformance TRANSPORTS tcp TIMEOUT 300 LABELS long
  SETTINGS "security=encrypt")

sinew_job_program(random-messages conformance/random_messages.c)
sinew_job_test(NAME random-messages PROGRAM random-messages ARGS --messages 100000 TIMEOUT 600)
sinew_job_test(NAME random-messages-read PROGRAM random-messages TRANSPORTS shm TIMEOUT 600
  ARGS --messages 20000 --memory shared SETTINGS "eager_bytes=200,shm_read_bytes=0")
sinew_job_test(NAME random-messages-shared PROGRAM random-messages TRANSPORTS shm TIMEOUT 600
  ARGS --messages 20000 --memory shared SETTINGS "eager_bytes=200")
sinew_job_test(NAME random-messages-encrypt PROGRAM random-messages TRANSPORTS tcp TIMEOUT 600
  ARGS --messages 10000 SETTINGS "security=encrypt,checksum=on")
sinew_job_test(NAME random-messages-long PROGRAM random-messages ARGS --messages 1000000
  LABELS long TIMEOUT 1500)
