# SPDX-License-Identifier: BSD-3-Clause
# UCX, over what every Linux has: TCP on the loopback interface, and POSIX shared memory.
if(NOT TARGET sinew_ucx_objects)
  return()
endif()
include(support/job.cmake)

add_executable(test-ucx-contract ucx/contract.c contract/peer.c contract/control.c contract/links.c
  contract/sends.c contract/puts.c contract/ends.c $<TARGET_OBJECTS:sinew_ucx_objects>)
sinew_flags(test-ucx-contract)
target_link_libraries(test-ucx-contract PRIVATE test_support sinew_testing ${CMOCKA_LIBRARY})
set_target_properties(test-ucx-contract PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
