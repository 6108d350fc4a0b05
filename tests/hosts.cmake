# SPDX-License-Identifier: BSD-3-Clause
# One job over two hosts, which are network namespaces of this one.
sinew_public_program(job-rank hosts/job_rank.c)
set_target_properties(job-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
sinew_add_test(NAME hosts-job TIMEOUT 120 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/hosts/job
  $<TARGET_FILE:sinewrun> $<TARGET_FILE:job-rank> $<TARGET_FILE:heat2d>)

# And the network between them cut.
sinew_public_program(cut-rank hosts/cut_rank.c)
set_target_properties(cut-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
sinew_add_test(NAME hosts-cut TIMEOUT 120 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/hosts/cut
  $<TARGET_FILE:sinewrun> $<TARGET_FILE:cut-rank>)

# Two ranks of one host in namespaces of their own.
sinew_public_program(path-rank hosts/path_rank.c)
set_target_properties(path-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
sinew_add_test(NAME hosts-paths TIMEOUT 120 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/hosts/paths
  $<TARGET_FILE:sinewrun> $<TARGET_FILE:path-rank>)

# Which address.
sinew_public_program(placed-rank hosts/placed_rank.c)
set_target_properties(placed-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
sinew_add_test(NAME hosts-placed TIMEOUT 120 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/hosts/placed
  $<TARGET_FILE:sinewrun> $<TARGET_FILE:placed-rank> $<TARGET_FILE:sinew-info>)
