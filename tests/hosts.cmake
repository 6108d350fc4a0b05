# SPDX-License-Identifier: BSD-3-Clause
# One job over two hosts, which are network namespaces of this one.
sinew_public_program(job-rank hosts/job_rank.c)
set_target_properties(job-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
sinew_add_test(NAME hosts-job LABELS processes TIMEOUT 120 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/hosts/job
  $<TARGET_FILE:sinewrun> $<TARGET_FILE:job-rank> $<TARGET_FILE:heat2d>)

# And the network between them cut.
sinew_public_program(cut-rank hosts/cut_rank.c)
set_target_properties(cut-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
sinew_add_test(NAME hosts-cut LABELS processes TIMEOUT 120 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/hosts/cut
  $<TARGET_FILE:sinewrun> $<TARGET_FILE:cut-rank>)
sinew_add_test(NAME hosts-cut-v6-long LABELS long TIMEOUT 120 COMMAND
  ${CMAKE_CURRENT_SOURCE_DIR}/hosts/cut $<TARGET_FILE:sinewrun> $<TARGET_FILE:cut-rank> v6)

# Two ranks of one host in namespaces of their own.
sinew_public_program(path-rank hosts/path_rank.c)
set_target_properties(path-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
sinew_add_test(NAME hosts-paths LABELS processes TIMEOUT 120 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/hosts/paths
  $<TARGET_FILE:sinewrun> $<TARGET_FILE:path-rank>)

# Which address.
sinew_public_program(placed-rank hosts/placed_rank.c)
set_target_properties(placed-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
sinew_add_test(NAME hosts-placed LABELS always release-only TIMEOUT 120 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/hosts/placed
  $<TARGET_FILE:sinewrun> $<TARGET_FILE:placed-rank> $<TARGET_FILE:sinew-info>)

# Two networks with a relay between them: as a NAT, and doing harm by seed. Much of it is time for which
# the relay holds bytes back, so two share a processor well.
sinew_public_program(relayed-rank hosts/relayed_rank.c)
sinew_public_program(relay hosts/relay.c)
set_target_properties(relayed-rank relay PROPERTIES RUNTIME_OUTPUT_DIRECTORY
  ${PROJECT_BINARY_DIR}/tests)
set(relayed ${CMAKE_CURRENT_SOURCE_DIR}/hosts/relayed $<TARGET_FILE:sinewrun>
  $<TARGET_FILE:relayed-rank> $<TARGET_FILE:relay> $<TARGET_FILE:placed-rank>)
sinew_add_test(NAME hosts-relayed LABELS always release-only TIMEOUT 160 COMMAND ${relayed} 80)
sinew_add_test(NAME hosts-relayed-long LABELS long release-only TIMEOUT 1100 COMMAND ${relayed} 1000)
