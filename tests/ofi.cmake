# SPDX-License-Identifier: BSD-3-Clause
# libfabric, by providers that every Linux has: sockets on the loopback interface, and shared memory.
if(NOT TARGET sinew_ofi_objects)
  return()
endif()
include(support/job.cmake)

function(sinew_ofi_program name)
  add_executable(test-${name} ${ARGN} ${SINEW_WATCHDOG} $<TARGET_OBJECTS:sinew_ofi_objects>
    $<TARGET_OBJECTS:sinew_framed>)
  sinew_flags(test-${name})
  target_link_libraries(test-${name} PRIVATE test_support sinew_testing ${CMOCKA_LIBRARY})
  set_target_properties(test-${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endfunction()
set(sinew_ofi_api ${PROJECT_SOURCE_DIR}/transport/ofi/api.c)
sinew_ofi_program(ofi-contract ofi/contract.c contract/peer.c contract/control.c contract/links.c
  contract/sends.c contract/expects.c contract/puts.c contract/ends.c ${sinew_ofi_api})
sinew_ofi_program(ofi-host ofi/host_test.c support/ends.c support/host.c ${sinew_ofi_api})

# On a libfabric of the tests' own, which fails on demand; under sanitizers too.
sinew_ofi_program(ofi-faults ofi/faults_test.c ofi/fake_ofi.c ofi/fake_providers.c support/ends.c)
sinew_add_test(NAME ofi-faults COMMAND test-ofi-faults)

# Both modules in one process, as the library loads them.
if(TARGET sinew_module_ucx)
  add_executable(test-modules-host module/host_both_test.c ${SINEW_WATCHDOG} support/ends.c support/host.c)
  sinew_flags(test-modules-host)
  target_link_libraries(test-modules-host PRIVATE test_support sinew_testing ${CMOCKA_LIBRARY})
  set_target_properties(test-modules-host PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_dependencies(test-modules-host sinew_module_ucx sinew_module_ofi)
  sinew_add_test(NAME modules-host LABELS release-only COMMAND test-modules-host)
endif()

# libfabric is not instrumented: what it keeps until the process ends looks like leaks. So nothing of it is
# in sanitizer builds. Its sockets stay on the loopback interface.
# PROVIDER with + for ; since lists end there.
function(sinew_ofi_test name short provider)
  sinew_add_test(NAME ${name}-${short} ${ARGN})
  if(TEST ${name}-${short})
    string(REPLACE "+" "\\;" provider "${provider}")
    set_property(TEST ${name}-${short} PROPERTY ENVIRONMENT
      "SINEW_OFI_PROVIDER=${provider}" "TEST_SETTINGS=ofi_provider=${provider}"
      "FI_TCP_IFACE=lo" "FI_NET_IFACE=lo")
  endif()
endfunction()
# What costs little and touches everything; all of it, with more ranks, in the long tier.
set(SINEW_OFI_SHORT "comes up once|bodies up to|a full link|the next ones are taken|puts land|seen after|forged|nothing lands|gets of|atomics lose|DRAIN|NOW|DEAD|every cookie|a killed process")
foreach(provider tcp+ofi_rxm shm net)
  string(REGEX REPLACE "[+].*" "" short ${provider})
  if(NOT short STREQUAL net)
    sinew_ofi_test(ofi-contract ${short} ${provider} LABELS release-only TIMEOUT 120
      COMMAND test-ofi-contract --kind processes --transport ofi --ranks 2
        --only ${SINEW_OFI_SHORT})
  endif()
  sinew_ofi_test(ofi-contract-whole ${short} ${provider} LABELS release-only long TIMEOUT 300
    COMMAND test-ofi-contract --kind processes --transport ofi)
  sinew_ofi_test(ofi-conformance ${short} ${provider} LABELS release-only long TIMEOUT 600
    COMMAND test-conformance --kind processes --transport ofi)
  sinew_ofi_test(ofi-process ${short} ${provider} LABELS release-only long TIMEOUT 300
    COMMAND test-process --kind processes --transport ofi)
endforeach()
sinew_add_test(NAME ofi-host LABELS release-only COMMAND test-ofi-host)

# In the guest of ci/softroce: over RDMA, by ofi_rxm.
function(sinew_ofi_softroce name)
  sinew_add_test(NAME softroce-ofi-${name} ${ARGN})
  if(TEST softroce-ofi-${name})
    set_property(TEST softroce-ofi-${name} PROPERTY ENVIRONMENT "TEST_PATIENCE=10"
      "SINEW_OFI_PROVIDER=verbs\\;ofi_rxm" "TEST_SETTINGS=ofi_provider=verbs\\;ofi_rxm")
  endif()
endfunction()
sinew_ofi_softroce(contract LABELS softroce TIMEOUT 300
  COMMAND test-ofi-contract --kind processes --transport ofi --ranks 2 --only
    "comes up once|bodies up to|gets of|atomics lose|puts land|DRAIN delivers|a killed process")
sinew_ofi_softroce(contract-whole LABELS softroce-long TIMEOUT 900
  COMMAND test-ofi-contract --kind processes --transport ofi --ranks 2)
sinew_ofi_softroce(conformance LABELS softroce-long TIMEOUT 900
  COMMAND test-conformance --kind processes --transport ofi --ranks 2)
sinew_ofi_softroce(process LABELS softroce-long TIMEOUT 900
  COMMAND test-process --kind processes --transport ofi --ranks 2)
