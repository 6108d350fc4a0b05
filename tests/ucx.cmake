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
add_executable(test-ucx-host ucx/host_test.c support/host.c $<TARGET_OBJECTS:sinew_ucx_objects>)
sinew_flags(test-ucx-host)
target_link_libraries(test-ucx-host PRIVATE sinew_testing ${CMOCKA_LIBRARY})
set_target_properties(test-ucx-host PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)

# UCX is not instrumented: what it keeps until the process ends looks like leaks, what its threads do
# like races. So nothing of it is in sanitizer builds.
function(sinew_ucx_test name tls)
  sinew_add_test(NAME ${name}-${tls} ${ARGN})
  if(TEST ${name}-${tls})
    # Its 64 places are fewer than the messages of a rank that dies, whose peer must have them all.
    set_property(TEST ${name}-${tls} PROPERTY ENVIRONMENT "UCX_TLS=${tls};UCX_POSIX_FIFO_SIZE=256")
  endif()
endfunction()
foreach(tls tcp posix)
  sinew_ucx_test(ucx-contract ${tls} LABELS release-only TIMEOUT 120
    COMMAND test-ucx-contract --kind processes --transport ucx)
  sinew_ucx_test(ucx-conformance ${tls} LABELS release-only long TIMEOUT 300
    COMMAND test-conformance --kind processes --transport ucx)
  sinew_ucx_test(ucx-process ${tls} LABELS release-only long TIMEOUT 300
    COMMAND test-process --kind processes --transport ucx)
endforeach()
sinew_add_test(NAME ucx-host LABELS release-only COMMAND test-ucx-host)
