# SPDX-License-Identifier: BSD-3-Clause
# Transports that are files of their own: see transport/module.h.
#
# sinew_module(verbs SOURCES link.c queue.c … [BASE log.c text.c …] [LIBRARIES PkgConfig::VERBS])
# makes libsinew-verbs.so beside the library, of these sources and those of base/ that it uses, and
# installs it. It imports nothing from the core: whatever is missing is an error when it is linked.
# target: sinew_module_verbs.
function(sinew_module name)
  cmake_parse_arguments(M "NO_INSTALL" "OUTPUT_DIRECTORY;OUTPUT_NAME" "SOURCES;BASE;LIBRARIES" ${ARGN})
  set(target sinew_module_${name})
  list(TRANSFORM M_BASE PREPEND ${PROJECT_SOURCE_DIR}/base/)
  add_library(${target} MODULE ${M_SOURCES} ${M_BASE})
  sinew_flags(${target})
  if(NOT M_OUTPUT_NAME)
    set(M_OUTPUT_NAME sinew-${name})
  endif()
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${M_OUTPUT_NAME} PREFIX lib)
  if(M_OUTPUT_DIRECTORY)
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${M_OUTPUT_DIRECTORY})
  endif()
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/module.map)
  target_link_libraries(${target} PRIVATE ${M_LIBRARIES})
  target_link_options(${target} PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/module.map
    -Wl,-z,relro,-z,now)
  if(NOT SINEW_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,--no-undefined)
  endif()
  set_property(GLOBAL APPEND PROPERTY SINEW_MODULES ${target})
  if(SINEW_INSTALL AND NOT M_NO_INSTALL)
    install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endif()
endfunction()
