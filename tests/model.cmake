# SPDX-License-Identifier: BSD-3-Clause
# Every execution of shm's rings, sleeping links and pledges under a weak memory. The sources are
# those that are shipped, compiled with another atomics.h; the explorer has stacks of its own, which
# no sanitizer knows of.
set(shm ${PROJECT_SOURCE_DIR}/transport/shm)
sinew_test(NAME model LABELS release-only TIMEOUT 120
  SOURCES model/main.c model/explore.c model/memory.c model/litmus.c model/ring_model.c
          model/link_model.c model/pledge_model.c
          ${shm}/ring.c ${shm}/link.c ${shm}/put.c ${shm}/read.c ${shm}/shm.c)
target_compile_definitions(test-model PRIVATE SHARED_HEADER="tests/model/shared.h"
  MODEL_SOURCE="${PROJECT_SOURCE_DIR}")
target_link_options(test-model PRIVATE -Wl,--wrap=write,--wrap=host_membarrier
  -Wl,--wrap=wireup_look,--wrap=wireup_set_timer
  -Wl,--wrap=share_of,--wrap=share_at,--wrap=process_vm_readv)
sinew_add_test(NAME model-long COMMAND test-model --long LABELS long release-only TIMEOUT 1200)
