# SPDX-License-Identifier: BSD-3-Clause
# What is shipped, looked at from outside.
set(artefact ${CMAKE_CURRENT_SOURCE_DIR}/artefact)
sinew_add_test(NAME artefact-symbols LABELS release-only
  COMMAND ${artefact}/symbols $<TARGET_FILE:sinew> $<TARGET_FILE:sinew_static>)
get_property(sinew_modules GLOBAL PROPERTY SINEW_MODULES)
list(FILTER sinew_modules EXCLUDE REGEX test_symbol$)
list(TRANSFORM sinew_modules REPLACE "(.+)" "$<TARGET_FILE:\\1>")
sinew_add_test(NAME artefact-modules LABELS release-only
  COMMAND ${artefact}/modules $<TARGET_FILE:sinew> ${sinew_modules})
sinew_add_test(NAME artefact-crypto LABELS release-only
  COMMAND ${artefact}/crypto $<TARGET_FILE:sinewrun> $<TARGET_FILE:ring>)
sinew_add_test(NAME artefact-header LABELS release-only
  COMMAND ${artefact}/header ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)
sinew_add_test(NAME artefact-install LABELS release-only TIMEOUT 120
  COMMAND ${artefact}/install-and-link ${PROJECT_BINARY_DIR})
sinew_test(NAME artefact-sizes SOURCES artefact/sizes_test.c)
