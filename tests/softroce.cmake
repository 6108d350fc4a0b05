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
  # What is wrong is named, with the command that mends it: it does.
  sinew_add_test(NAME softroce-advice LABELS softroce TIMEOUT 120
    COMMAND ${SOFTROCE_TESTS}/advice $<TARGET_FILE:sinew-info> $<TARGET_FILE:sinewrun>
      $<TARGET_FILE:sinew-perf>)
else()
  set(SOFTROCE_TRANSPORT tcp) # a stand-in until there is one
endif()

# An emulated machine is ten times slower and its host may be busy, so waits are as long; no property depends on it.
function(sinew_softroce_patient)
  foreach(test ${ARGN})
    set_property(TEST ${test} APPEND PROPERTY ENVIRONMENT "TEST_PATIENCE=10")
  endforeach()
endfunction()

# sinew_softroce_job(WHAT PROGRAM SETTINGS ARG...)
function(sinew_softroce_job what program settings)
  sinew_job_test(NAME softroce-${what} PROGRAM ${program} TRANSPORTS ${SOFTROCE_TRANSPORT}
    ARGS ${ARGN} SETTINGS "${settings}" LABELS softroce TIMEOUT 600)
  sinew_softroce_patient(softroce-${what}-${SOFTROCE_TRANSPORT})
endfunction()

# By default settings: all of conformance with 2 ranks; with 4, what is not the same with 2;
# of the process suite what is not simulated, without what only repeats or only counts ranks.
sinew_softroce_job(conformance-2 conformance "" --ranks 2)
sinew_softroce_job(conformance-4 conformance "" --ranks 4 --only "4 ranks over")
sinew_softroce_job(process process "" --repeat 1
  --only "2 ranks over|acknowledged|any rank fails|member died, 3")

# As on a lesser NIC, or one that shares receives: all of it, three at a time (see the end).
function(sinew_softroce_lesser what settings)
  sinew_softroce_job(${what} conformance "${settings}" --ranks 2 ${ARGN})
endfunction()
sinew_softroce_lesser(own-receives "verbs_srq=0")
sinew_softroce_lesser(shared-receives "verbs_srq=1")
sinew_softroce_lesser(inline-0 "verbs_inline=0")
sinew_softroce_lesser(mtu-1024 "verbs_mtu=1024")
# But what goes without a further look of the sender's: of 30 messages all that there is credit for, which is one.
sinew_softroce_lesser(one-credit "verbs_credits=1" --except "any progress sends what is under way")
sinew_softroce_lesser(rdma-cm "verbs_wireup=rdma_cm")

# Every collective by every algorithm, some cases each; all of them are played elsewhere.
sinew_softroce_job(collective-cases collective-cases "" --cases 60 --most 3)

# The transport by itself; and what it leaves in the kernel.
if(TARGET sinew_module_verbs)
  sinew_softroce_job(contract verbs-native "")
  foreach(tier softroce softroce-long)
    set(pairs 200)
    if(tier STREQUAL softroce-long)
      set(pairs 10000)
    endif()
    sinew_add_test(NAME softroce-pairs-${pairs} LABELS ${tier} TIMEOUT 900
      COMMAND test-verbs-pairs ${pairs} --kind processes --transport verbs --ranks 2)
    sinew_softroce_patient(softroce-pairs-${pairs})
  endforeach()
else()
  sinew_softroce_job(contract contract "")
endif()

# UCX over RC on the same NIC, by its link-local address: with another UCX's own wire-up fails there (docs/ucx.md).
if(TARGET sinew_ucx_objects)
  function(sinew_softroce_ucx what tier)
    sinew_add_test(NAME softroce-ucx-${what} LABELS ${tier} TIMEOUT 900
      COMMAND ${ARGN} --kind processes --transport ucx)
    # To set a pair up takes UCX 5 to 20 s there, and longer beside others.
    set_property(TEST softroce-ucx-${what} PROPERTY ENVIRONMENT "TEST_PATIENCE=10" "UCX_TLS=rc,self"
      "UCX_NET_DEVICES=rxe0:1" "UCX_IB_GID_INDEX=0" "SINEW_SETUP_DEADLINE=300s")
  endfunction()
  sinew_softroce_ucx(some softroce test-ucx-contract --ranks 2
    --only "comes up once|puts land whole|atomics lose|a killed process")
  sinew_softroce_ucx(contract softroce-long test-ucx-contract)
  sinew_softroce_ucx(conformance softroce-long test-conformance --ranks 2)
  # What hangs on a moment: the end of a link that is not up yet, and a message that comes while one goes to sleep.
  sinew_softroce_ucx(moments softroce-long test-conformance --ranks 2 --repeat 8
    --only "a copy of a handle|sleeping in poll")
  sinew_softroce_ucx(process softroce-long test-process --repeat 1 --only "2 ranks over")
endif()

# How it stands beside perftest, in the same boot: a report, and a failure only when something is broken
# (docs/decisions/a-guest-reports.md).
find_package(Python3 COMPONENTS Interpreter QUIET)
if(Python3_FOUND)
  # Itself, and not a script in front of it: such a one takes an emulated machine seconds.
  execute_process(COMMAND ${Python3_EXECUTABLE} -c "import sys; print(sys.executable)"
    OUTPUT_VARIABLE SOFTROCE_PYTHON OUTPUT_STRIP_TRAILING_WHITESPACE)
  sinew_add_test(NAME softroce-aims LABELS softroce TIMEOUT 600
    COMMAND ${SOFTROCE_PYTHON} ${PROJECT_SOURCE_DIR}/bench/softroce --transport ${SOFTROCE_TRANSPORT}
      --pairs 1 --far 20 --build ${PROJECT_BINARY_DIR})
endif()

# ci/softroce keeps its promises.
sinew_add_test(NAME softroce-lab COMMAND ${SOFTROCE_TESTS}/lab ${PROJECT_SOURCE_DIR}/ci/softroce
  LABELS long release-only TIMEOUT 300)

# Two guests on one wire: a real program comes to the same bits, and large messages arrive whole,
# whatever the wire does.
function(sinew_softroce_hosts name netem)
  set(boot ${PROJECT_SOURCE_DIR}/ci/softroce --hosts 2 --timeout 280 --netem ${netem} --)
  foreach(transport tcp ${SOFTROCE_TRANSPORT})
    if(NOT TEST softroce-hosts-${name}-${transport})
      sinew_add_test(NAME softroce-hosts-${name}-${transport} LABELS long release-only TIMEOUT 300
        COMMAND ${boot} ${SOFTROCE_TESTS}/hosts ${transport} $<TARGET_FILE:sinewrun>
          $<TARGET_FILE:heat2d> $<TARGET_FILE:sinew-perf>)
    endif()
  endforeach()
endfunction()
sinew_softroce_hosts(loss "loss 1%")
sinew_softroce_hosts(reorder "delay 1ms reorder 75% 50%")
# No jitter: that reorders, at which SoftRoCE sends all again from what it missed.
sinew_softroce_hosts(delay "delay 5ms")

# One of two hosts is killed; the port of one goes down and up.
if(TARGET sinew_module_verbs)
  foreach(what killed port)
    sinew_add_test(NAME softroce-hosts-${what} LABELS long release-only TIMEOUT 300
      COMMAND ${PROJECT_SOURCE_DIR}/ci/softroce --hosts 2 --timeout 280 -- ${SOFTROCE_TESTS}/broken
        ${what} $<TARGET_FILE:sinewrun> $<TARGET_FILE:cut-rank>)
  endforeach()
endif()
