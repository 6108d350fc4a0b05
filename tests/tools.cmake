# SPDX-License-Identifier: BSD-3-Clause
# The programs, run as people run them.
find_package(PNG QUIET)

function(sinew_tools_test name timeout)
  sinew_test(NAME tools-${name} SOURCES tools/${name}.c tools/run.c tools/json.c
             LABELS tools ${ARGN} TIMEOUT ${timeout})
  target_compile_definitions(test-tools-${name} PRIVATE
    TOOLS_BIN="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/"
    $<$<CONFIG:Release>:TOOLS_FULL_SIZE=1>)
  foreach(program sinewrun sinew-perf sinew-info sinew-plan sinew-limits ring heat2d)
    if(TARGET ${program})
      add_dependencies(test-tools-${name} ${program})
    endif()
  endforeach()
  if(PNG_FOUND)
    target_compile_definitions(test-tools-${name} PRIVATE TOOLS_PNG=1)
    target_link_libraries(test-tools-${name} PRIVATE PNG::PNG)
  endif()
endfunction()

sinew_tools_test(perf 240)
sinew_tools_test(info 60)
sinew_tools_test(plan 60)
sinew_add_test(NAME tools-plan-large COMMAND test-tools-plan large LABELS tools long release-only
  TIMEOUT 120)
sinew_add_test(NAME tools-plan-cliffs LABELS tools TIMEOUT 60
  COMMAND sh ${PROJECT_SOURCE_DIR}/tests/tools/cliffs.sh $<TARGET_FILE:sinew-plan>)
sinew_tools_test(rdma 60 processes)
sinew_tools_test(examples 400 processes)

# What they are now, blocking and in a window; the aim is 200 for the former. Only downward. Counted in code as
# gcc 12 makes it.
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
  sinew_add_test(NAME instructions COMMAND instructions 200 294 LABELS tools release-only TIMEOUT 60)
  sinew_add_test(NAME instructions-barrier COMMAND instructions 640 barrier LABELS tools release-only
    TIMEOUT 60)
  sinew_add_test(NAME instructions-allreduce COMMAND instructions 720 allreduce LABELS tools release-only
    TIMEOUT 60)
endif()

# Memory decides; the time is told, for a busy machine may take any.
sinew_add_test(NAME startup-memory COMMAND startup --memory LABELS tools release-only TIMEOUT 60)
sinew_tools_test(limits 120 processes)
# Two that spin, each on a core of its own: beside others this takes minutes.
if(TEST tools-limits)
  set_tests_properties(tools-limits PROPERTIES RUN_SERIAL ON)
endif()

# bench/compare measures a release build; under a sanitizer there is nothing to compare.
find_package(Python3 COMPONENTS Interpreter QUIET)
if(Python3_FOUND)
  sinew_add_test(NAME tools-compare-arithmetic LABELS tools release-only
    COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/bench/compare --self-test)
  sinew_add_test(NAME tools-compare LABELS tools release-only TIMEOUT 200
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/tools/compare.py
      ${PROJECT_SOURCE_DIR}/bench/compare ${PROJECT_BINARY_DIR})
  if(TEST tools-compare)
    set_tests_properties(tools-compare PROPERTIES RUN_SERIAL ON) # its limits spin likewise
  endif()
endif()
