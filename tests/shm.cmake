# SPDX-License-Identifier: BSD-3-Clause
sinew_test(NAME shm_ring SOURCES unit/shm_ring_test.c)
foreach(story link message stream put breath limits stranger hostile scribble)
  sinew_test(NAME shm_${story} SOURCES unit/shm_${story}_test.c unit/shm_pair.c TIMEOUT 120)
endforeach()
sinew_test(NAME shm_threads SOURCES unit/shm_threads_test.c unit/shm_pair.c)
sinew_test(NAME shm_process SOURCES unit/shm_process_test.c unit/shm_pair.c)
sinew_test(NAME shm_read SOURCES unit/shm_read_test.c unit/shm_pair.c)
# The ring alone, compiled with words that change as soon as they were read.
sinew_test(NAME shm_once SOURCES unit/shm_once_test.c ${PROJECT_SOURCE_DIR}/transport/shm/ring.c)
target_compile_definitions(test-shm_once PRIVATE SHARED_HEADER="tests/unit/shm_once.h")
