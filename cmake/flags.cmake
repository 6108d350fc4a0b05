# SPDX-License-Identifier: BSD-3-Clause
# How all of Sinew's own code is compiled.
find_package(Threads REQUIRED)

function(sinew_flags target)
  target_compile_features(${target} PUBLIC c_std_11)
  set_target_properties(${target} PROPERTIES C_EXTENSIONS OFF C_VISIBILITY_PRESET hidden)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wundef -Wvla -Wpointer-arith
    -Wstrict-prototypes -ffp-contract=off)
  if(SINEW_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(SINEW_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${SINEW_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${SINEW_SANITIZE})
  endif()
  if(SINEW_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  target_link_libraries(${target} PUBLIC Threads::Threads)
endfunction()

# A program of ours that sees the internals.
function(sinew_program name)
  add_executable(${name} ${ARGN})
  sinew_flags(${name})
  target_link_libraries(${name} PRIVATE sinew_testing ${CMAKE_DL_LIBS} m)
endfunction()

# A program as a user would write it: only the public header and the shared library.
function(sinew_public_program name)
  add_executable(${name} ${ARGN})
  sinew_flags(${name})
  target_link_libraries(${name} PRIVATE sinew m)
endfunction()
