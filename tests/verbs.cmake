# SPDX-License-Identifier: BSD-3-Clause
# RDMA over libibverbs: everything here runs on devices of our own making (verbs/fake_verbs.h).
if(NOT TARGET sinew_verbs_objects)
  return()
endif()
include(support/job.cmake)

function(sinew_verbs_program name)
  add_executable(test-${name} ${ARGN} ${SINEW_WATCHDOG} $<TARGET_OBJECTS:sinew_verbs_objects>)
  sinew_flags(test-${name})
  target_include_directories(test-${name} SYSTEM PRIVATE ${IBVERBS_INCLUDE_DIR}
    ${RDMACM_INCLUDE_DIR})
  target_link_libraries(test-${name} PRIVATE test_support sinew_testing ${CMOCKA_LIBRARY})
  set_target_properties(test-${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endfunction()

set(sinew_contract contract/peer.c contract/control.c contract/links.c contract/sends.c
  contract/puts.c contract/ends.c)
set(sinew_fake_verbs verbs/fake_verbs.c verbs/fake_wire.c verbs/fake_cm.c)
sinew_verbs_program(verbs-contract verbs/contract.c ${sinew_fake_verbs}
  ${sinew_contract})

# The device is of this process, so ranks are threads.
function(sinew_verbs_contract variant settings)
  sinew_add_test(NAME verbs-contract${variant}
    COMMAND test-verbs-contract --kind threads --transport verbs ${ARGN} TIMEOUT 120)
  set_property(TEST verbs-contract${variant} PROPERTY ENVIRONMENT "TEST_SETTINGS=${settings}")
endfunction()
sinew_verbs_contract("" "verbs_srq=0")
sinew_verbs_contract(-shared verbs_srq=1 --ranks 3)
sinew_verbs_contract(-least verbs_inline=0,verbs_mtu=256 --ranks 2)
sinew_verbs_contract(-credit verbs_credits=1 --only "both ways")
sinew_verbs_contract(-cm verbs_wireup=rdma_cm --ranks 2)

sinew_verbs_program(verbs-faults verbs/faults_test.c verbs/faults_bare.c verbs/faults_cm.c
  verbs/faults_links.c verbs/faults_memory.c verbs/faults_messages.c verbs/faults_devices.c
  verbs/faults_peers.c verbs/faults_rma.c support/ends.c
  ${sinew_fake_verbs})
sinew_add_test(NAME verbs-faults COMMAND test-verbs-faults)

# The same suite on this machine's own device: in a guest of ci/softroce, or where there is a NIC.
sinew_verbs_program(verbs-native verbs/native.c ${PROJECT_SOURCE_DIR}/transport/verbs/api.c
  ${PROJECT_SOURCE_DIR}/transport/verbs/cm_library.c
  ${sinew_contract})
target_link_libraries(test-verbs-native PRIVATE ${IBVERBS_LIBRARY})

# Likewise; it counts what the kernel holds.
sinew_verbs_program(verbs-pairs verbs/pairs.c ${PROJECT_SOURCE_DIR}/transport/verbs/api.c
  ${PROJECT_SOURCE_DIR}/transport/verbs/cm_library.c
  ${sinew_contract})
target_link_libraries(test-verbs-pairs PRIVATE ${IBVERBS_LIBRARY})
