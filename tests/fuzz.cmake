# SPDX-License-Identifier: BSD-3-Clause
# Decoders under libFuzzer: 3 s each, 60 s in the long tier, beginning with tests/fuzz/corpus/NAME.
# An input that found a fault is kept there. libFuzzer's own exit status for one is 77, which would be a skip.
add_custom_target(fuzz-all)
set(fuzz_options -error_exitcode=1 -timeout_exitcode=1 -rss_limit_mb=1024 -timeout=10 -max_len=2048 -print_final_stats=1)

foreach(name handshake session stream hello envelope message launch hub meeting config)
  sinew_program(fuzz-${name} fuzz/${name}_fuzz.c)
  target_link_options(fuzz-${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(fuzz-${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_dependencies(fuzz-all fuzz-${name})
  set(found ${CMAKE_CURRENT_BINARY_DIR}/found/${name})
  file(MAKE_DIRECTORY ${found})
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
  sinew_add_test(NAME fuzz-${name} TIMEOUT 60
    COMMAND fuzz-${name} ${fuzz_options} -max_total_time=3 ${found} ${corpus})
  sinew_add_test(NAME fuzz-${name}-long LABELS long TIMEOUT 180
    COMMAND fuzz-${name} ${fuzz_options} -max_total_time=60 ${found} ${corpus})
endforeach()

target_sources(fuzz-message PRIVATE unit/messaging_fake.c)
target_link_libraries(fuzz-message PRIVATE ${CMOCKA_LIBRARY})
