# SPDX-License-Identifier: BSD-3-Clause
sinew_program(launch-rank unit/launch_rank.c)
set_target_properties(launch-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)

set(launch_labels_sinewrun LABELS processes)
foreach(group sinewrun several)
  sinew_test(NAME launch-${group} ${launch_labels_${group}} SOURCES unit/launch_${group}.c unit/launch_job.c TIMEOUT 120
    ARGS $<TARGET_FILE:sinewrun> $<TARGET_FILE:launch-rank>)
endforeach()
foreach(unit exchange hub node rendezvous)
  sinew_test(NAME launch-${unit} SOURCES unit/launch_${unit}.c)
endforeach()
sinew_add_test(NAME launch-hosts COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/hosts/launch
  $<TARGET_FILE:sinewrun> $<TARGET_FILE:launch-rank>)
