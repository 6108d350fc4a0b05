# SPDX-License-Identifier: BSD-3-Clause
sinew_test(NAME shm_ring SOURCES unit/shm_ring_test.c)
sinew_test(NAME shm SOURCES unit/shm_test.c unit/shm_pair.c)
sinew_test(NAME shm_hostile SOURCES unit/shm_hostile_test.c unit/shm_pair.c)
sinew_test(NAME shm_threads SOURCES unit/shm_threads_test.c unit/shm_pair.c)
sinew_test(NAME shm_process SOURCES unit/shm_process_test.c unit/shm_pair.c)
sinew_test(NAME shm_read SOURCES unit/shm_read_test.c unit/shm_pair.c)
