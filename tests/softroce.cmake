# SPDX-License-Identifier: BSD-3-Clause
# Tests for a machine with an RDMA NIC, in tiers of their own: `softroce` (in ci/test) and
# `softroce-long` (in ci/test --long). Each tier is one boot of one guest:
#   ci/softroce -- ctest --test-dir build -L '^softroce$' --output-on-failure
# What needs two guests starts them itself, and is of the tier `long`.
include(support/job.cmake)
set(SOFTROCE_TESTS ${CMAKE_CURRENT_SOURCE_DIR}/softroce)

# The NIC itself works, so that what fails after it is ours.
sinew_add_test(NAME softroce-nic COMMAND ${SOFTROCE_TESTS}/nic LABELS softroce TIMEOUT 120)
sinew_add_test(NAME softroce-cable COMMAND ${SOFTROCE_TESTS}/nic --cable LABELS softroce-long
  TIMEOUT 120)

if(TARGET sinew_module_verbs)
  set(SOFTROCE_TRANSPORT verbs)
else()
  set(SOFTROCE_TRANSPORT tcp) # a stand-in until there is one
endif()

# By default settings, with 2 and 4 ranks.
sinew_job_test(NAME softroce-contract PROGRAM contract TRANSPORTS ${SOFTROCE_TRANSPORT}
  LABELS softroce)
foreach(ranks 2 4)
  sinew_job_test(NAME softroce-conformance-${ranks} PROGRAM conformance
    TRANSPORTS ${SOFTROCE_TRANSPORT} ARGS --ranks ${ranks} LABELS softroce)
endforeach()

# As on a lesser NIC: sinew_softroce_lesser(WHAT SETTINGS) is conformance with 2 ranks.
function(sinew_softroce_lesser what settings)
  sinew_job_test(NAME softroce-${what} PROGRAM conformance TRANSPORTS ${SOFTROCE_TRANSPORT}
    ARGS --ranks 2 SETTINGS "${settings}" LABELS softroce)
endfunction()

# How it stands beside perftest, in the same boot.
find_package(Python3 COMPONENTS Interpreter QUIET)
if(Python3_FOUND)
  # Itself, and not a script in front of it: such a one takes an emulated machine seconds.
  execute_process(COMMAND ${Python3_EXECUTABLE} -c "import sys; print(sys.executable)"
    OUTPUT_VARIABLE SOFTROCE_PYTHON OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(TARGET sinew_module_verbs)
    sinew_add_test(NAME softroce-aims LABELS softroce TIMEOUT 200
      COMMAND ${SOFTROCE_PYTHON} ${PROJECT_SOURCE_DIR}/bench/softroce --check --build ${PROJECT_BINARY_DIR})
  else()
    sinew_add_test(NAME softroce-aims LABELS softroce TIMEOUT 100
      COMMAND ${SOFTROCE_PYTHON} ${PROJECT_SOURCE_DIR}/bench/softroce --transport tcp --pairs 1
        --build ${PROJECT_BINARY_DIR})
  endif()
endif()

# ci/softroce keeps its promises.
sinew_add_test(NAME softroce-lab COMMAND ${SOFTROCE_TESTS}/lab ${PROJECT_SOURCE_DIR}/ci/softroce
  LABELS long release-only TIMEOUT 300)

# Two guests on one wire: a real program comes to the same bits, and large messages arrive whole,
# whatever the wire does.
function(sinew_softroce_hosts name netem)
  set(boot ${PROJECT_SOURCE_DIR}/ci/softroce --hosts 2 --timeout 240 --netem ${netem} --)
  sinew_add_test(NAME softroce-hosts-${name} LABELS long release-only TIMEOUT 300
    COMMAND ${boot} ${SOFTROCE_TESTS}/hosts $<TARGET_FILE:sinewrun> $<TARGET_FILE:heat2d>
      $<TARGET_FILE:sinew-perf>)
endfunction()
sinew_softroce_hosts(loss "loss 1%")
sinew_softroce_hosts(reorder "delay 1ms reorder 75% 50%")
sinew_softroce_hosts(delay "delay 5ms 1ms")
