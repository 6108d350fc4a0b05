# SPDX-License-Identifier: BSD-3-Clause
# Programs whose ranks are run by tests/support/job.h, on every transport.
include_guard()

add_library(test_support STATIC support/job.c support/job_run.c support/job_open.c support/suite.c)
sinew_flags(test_support)

# The thread sanitizer sees one process only, so there real ranks are threads.
if(SINEW_SANITIZE MATCHES thread)
  set(SINEW_RANKS threads)
else()
  set(SINEW_RANKS processes)
endif()

function(sinew_job_program name)
  sinew_program(test-${name} ${ARGN} ${SINEW_WATCHDOG})
  target_link_libraries(test-${name} PRIVATE test_support sinew_testing ${CMOCKA_LIBRARY})
  set_target_properties(test-${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endfunction()

# sinew_job_test(NAME name PROGRAM program [TRANSPORTS t...] [ARGS arg...] [LABELS l...] [TIMEOUT s]
#   [SETTINGS name=value,...])
# One test per transport: "name-tcp".
function(sinew_job_test)
  cmake_parse_arguments(T "" "NAME;PROGRAM;TIMEOUT;SETTINGS" "TRANSPORTS;ARGS;LABELS" ${ARGN})
  if(NOT T_TRANSPORTS)
    set(T_TRANSPORTS sim shm tcp)
  endif()
  sinew_tier(T_LABELS)
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  foreach(transport ${T_TRANSPORTS})
    set(kind ${SINEW_RANKS})
    if(transport STREQUAL sim)
      set(kind sim)
    endif()
    add_test(NAME ${T_NAME}-${transport}
      COMMAND test-${T_PROGRAM} --kind ${kind} --transport ${transport} ${T_ARGS})
    set_tests_properties(${T_NAME}-${transport} PROPERTIES LABELS "${T_LABELS}"
      SKIP_RETURN_CODE 77)
    sinew_timeout(${T_NAME}-${transport} ${T_TIMEOUT})
    if(T_SETTINGS)
      set_property(TEST ${T_NAME}-${transport} APPEND PROPERTY
        ENVIRONMENT "TEST_SETTINGS=${T_SETTINGS}")
    endif()
  endforeach()
endfunction()
