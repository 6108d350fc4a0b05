# SPDX-License-Identifier: BSD-3-Clause
sinew_test(NAME collectives-failure LABELS unit
  SOURCES unit/collectives_failure.c support/coll_case.c support/coll_fake.c support/coll_layout.c
  support/coll_rank.c)
sinew_test(NAME collectives-tables LABELS unit
  SOURCES unit/collectives_tables.c support/coll_fake.c)
sinew_test(NAME collectives-choice SOURCES unit/collectives_choice.c LABELS unit)
sinew_test(NAME collectives-reduce SOURCES unit/collectives_reduce.c LABELS unit)
# The arithmetic again, as it is for other instruction sets: the same bits.
include(CheckCCompilerFlag)
set(kernel_modules ${PROJECT_BINARY_DIR}/tests/kernels)
set(kernel_flags_scalar -fno-tree-vectorize)
set(kernel_flags_avx2 -mavx2 -mfma)
set(kernel_flags_avx512 -mavx512f -mfma)
set(kernel_flags_native -march=native)
if(NOT SINEW_SANITIZE)
  sinew_test(NAME collectives-kernels SOURCES unit/collectives_kernels.c LABELS unit)
  target_compile_definitions(test-collectives-kernels PRIVATE MODULES="${kernel_modules}")
  file(GLOB kernel_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/collectives/kernels/*.c)
  foreach(kind scalar avx2 avx512 native)
    string(REPLACE ";" " " flags "${kernel_flags_${kind}}")
    check_c_compiler_flag("${flags}" KERNELS_${kind})
    if(KERNELS_${kind})
      add_library(kernels-${kind} MODULE ${kernel_sources})
      sinew_flags(kernels-${kind})
      set_target_properties(kernels-${kind} PROPERTIES C_VISIBILITY_PRESET default
        LIBRARY_OUTPUT_DIRECTORY ${kernel_modules})
      target_compile_options(kernels-${kind} PRIVATE -O3 ${kernel_flags_${kind}})
      add_dependencies(test-collectives-kernels kernels-${kind})
    endif()
  endforeach()
endif()
# Arithmetic, of one thread or of several that take turns, and long under the thread sanitizer; what runs in
# threads there it sees in collectives-failure and the cases below.
if(NOT SINEW_SANITIZE STREQUAL "thread")
  sinew_test(NAME collectives-pattern SOURCES unit/collectives_pattern.c LABELS unit TIMEOUT 240)
  sinew_test(NAME collectives-property LABELS unit TIMEOUT 240
    SOURCES unit/collectives_property.c support/coll_case.c support/coll_fake.c support/coll_layout.c
    support/coll_rank.c)
  # The whole product, 300 s of a core; a tenth of it where a sanitizer makes that 1,500.
  set(one_in 1)
  if(SINEW_SANITIZE)
    set(one_in 10)
  endif()
  sinew_add_test(NAME collectives-property-long LABELS unit long TIMEOUT 1500
    COMMAND test-collectives-property long ${one_in})
  sinew_test(NAME collectives-verify SOURCES unit/collectives_verify.c support/coll_layout.c
    support/coll_reads.c LABELS unit TIMEOUT 240)
  if(NOT SINEW_SANITIZE) # 520 s of a core; a sanitizer sees the same code in the slice above
    sinew_add_test(NAME collectives-verify-long COMMAND test-collectives-verify long
      LABELS unit long TIMEOUT 1500)
  endif()
  sinew_test(NAME collectives-mutation LABELS unit
    SOURCES unit/collectives_mutation.c support/coll_interpret.c support/coll_layout.c
    support/coll_reads.c)
  sinew_test(NAME collectives-simulate SOURCES unit/collectives_simulate.c LABELS unit)
endif()

# Random cases over real links, fewer where a sanitizer makes each cost more; 20,000 in the long tier.
include(support/job.cmake)
if(SINEW_SANITIZE)
  set(cases 400)
  set(cases_sim 300)
else()
  set(cases 3000)
  set(cases_sim 600)
endif()
sinew_job_program(collective-cases
  conformance/collective_cases.c support/coll_layout.c support/coll_rank.c)
sinew_job_test(NAME collective-cases PROGRAM collective-cases ARGS --cases ${cases} TIMEOUT 300
  TRANSPORTS shm tcp)
sinew_job_test(NAME collective-cases PROGRAM collective-cases ARGS --cases ${cases_sim} TIMEOUT 300
  TRANSPORTS sim)
if(NOT SINEW_SANITIZE)
  sinew_job_program(collective-guidelines conformance/collective_guidelines.c)
  sinew_add_test(NAME collective-guidelines COMMAND test-collective-guidelines LABELS sim TIMEOUT 120)
endif()
sinew_job_test(NAME collective-cases-long PROGRAM collective-cases ARGS --cases 20000
  LABELS long TIMEOUT 1500)
sinew_job_program(collective-mismatches
  conformance/collective_mismatches.c support/coll_layout.c support/coll_rank.c)
sinew_job_test(NAME collective-mismatches PROGRAM collective-mismatches TIMEOUT 120)
sinew_job_test(NAME collective-mismatches-long PROGRAM collective-mismatches ARGS --all LABELS long
  TIMEOUT 600)

# docs/collectives.md has the table of collectives/algorithms.c.
sinew_add_test(NAME collectives-documented LABELS unit
  COMMAND sh ${PROJECT_SOURCE_DIR}/tests/tools/documented.sh $<TARGET_FILE:sinew-plan>
  ${PROJECT_SOURCE_DIR}/docs/collectives.md)
