# SPDX-License-Identifier: BSD-3-Clause
sinew_program(launch-rank unit/launch_rank.c)
set_target_properties(launch-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
