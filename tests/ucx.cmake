# SPDX-License-Identifier: BSD-3-Clause
# UCX, over what every Linux has: TCP on the loopback interface, and POSIX shared memory.
if(NOT TARGET sinew_ucx_objects)
  return()
endif()
include(support/job.cmake)

function(sinew_ucx_program name)
  add_executable(test-${name} ${ARGN} ${SINEW_WATCHDOG} $<TARGET_OBJECTS:sinew_ucx_objects>
    $<TARGET_OBJECTS:sinew_framed>)
  sinew_flags(test-${name})
  target_include_directories(test-${name} SYSTEM PRIVATE ${UCX_INCLUDE_DIR})
  target_link_libraries(test-${name} PRIVATE test_support sinew_testing ${CMOCKA_LIBRARY})
  set_target_properties(test-${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endfunction()

set(sinew_ucx_api ${PROJECT_SOURCE_DIR}/transport/ucx/api.c)
sinew_ucx_program(ucx-contract ucx/contract.c contract/peer.c contract/control.c contract/links.c
  contract/sends.c contract/expects.c contract/puts.c contract/ends.c ${sinew_ucx_api})
sinew_ucx_program(ucx-host ucx/host_test.c support/ends.c support/host.c ${sinew_ucx_api})

# On a UCX of the tests' own, which fails on demand; under sanitizers too.
sinew_ucx_program(ucx-faults ucx/faults_test.c ucx/fake_ucx.c ucx/fake_ends.c support/ends.c)
sinew_add_test(NAME ucx-faults COMMAND test-ucx-faults)
sinew_ucx_program(ucx-frames ucx/frames_test.c ucx/fake_ucx.c ucx/fake_ends.c support/ends.c)
sinew_add_test(NAME ucx-frames COMMAND test-ucx-frames)
sinew_ucx_program(ucx-slim ucx/slim_test.c ucx/fake_ucx.c ucx/fake_ends.c support/ends.c)
sinew_add_test(NAME ucx-slim COMMAND test-ucx-slim)
sinew_ucx_program(ucx-lends ucx/lends_test.c ucx/fake_ucx.c ucx/fake_ends.c support/ends.c)
sinew_add_test(NAME ucx-lends COMMAND test-ucx-lends)

# UCX is not instrumented. Under the address sanitizer Sinew's part of it is looked at all the same, and
# only what UCX keeps until the process ends is forgiven (ucx/leaks.supp); its threads keep it from the
# thread sanitizer.
function(sinew_ucx_test name tls)
  sinew_add_test(NAME ${name}-${tls} ${ARGN})
  if(TEST ${name}-${tls})
    set_property(TEST ${name}-${tls} PROPERTY ENVIRONMENT "UCX_TLS=${tls}"
      "LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/ucx/leaks.supp:print_suppressions=0")
  endif()
endfunction()
foreach(tls tcp posix)
  if(NOT SINEW_SANITIZE MATCHES thread)
    sinew_ucx_test(ucx-contract ${tls} TIMEOUT 120
      COMMAND test-ucx-contract --kind processes --transport ucx)
  endif()
  sinew_ucx_test(ucx-conformance ${tls} LABELS release-only long TIMEOUT 300
    COMMAND test-conformance --kind processes --transport ucx)
  sinew_ucx_test(ucx-process ${tls} LABELS release-only long TIMEOUT 300
    COMMAND test-process --kind processes --transport ucx)
endforeach()
# Several contexts of one process open, go and close at once.
sinew_ucx_test(ucx-threads tcp LABELS release-only
  COMMAND test-conformance --kind threads --transport ucx --only "every size|a closed peer")
sinew_add_test(NAME ucx-host LABELS release-only COMMAND test-ucx-host)
