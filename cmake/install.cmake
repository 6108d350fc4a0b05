# SPDX-License-Identifier: BSD-3-Clause
# What `cmake --install` leaves: both libraries, the header, a CMake package (sinew::sinew,
# sinew::static), a pkg-config file and the programs. Nothing of it when Sinew is part of another
# project, which decides itself.
if(NOT SINEW_INSTALL)
  return()
endif()
include(CMakePackageConfigHelpers)

set_target_properties(sinew PROPERTIES EXPORT_NAME sinew)
set_target_properties(sinew_static PROPERTIES EXPORT_NAME static)
install(TARGETS sinew sinew_static EXPORT sinew
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/sinew/sinew.h ${PROJECT_BINARY_DIR}/include/sinew/version.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sinew)

set(sinew_package ${CMAKE_INSTALL_LIBDIR}/cmake/sinew)
install(EXPORT sinew NAMESPACE sinew:: FILE sinew-targets.cmake DESTINATION ${sinew_package})
configure_package_config_file(cmake/sinew-config.cmake.in
  ${PROJECT_BINARY_DIR}/sinew-config.cmake INSTALL_DESTINATION ${sinew_package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/sinew-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/sinew-config.cmake
  ${PROJECT_BINARY_DIR}/sinew-config-version.cmake DESTINATION ${sinew_package})

# The pkg-config file finds its prefix from where it lies, so an installed tree can be moved.
file(RELATIVE_PATH sinew_up /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/sinew.pc.in ${PROJECT_BINARY_DIR}/sinew.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/sinew.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(program sinewrun sinew-info sinew-perf sinew-plan sinew-limits)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
# The header lies elsewhere than in the sources, so the README's link to it is another one.
file(RELATIVE_PATH sinew_header ${CMAKE_INSTALL_FULL_DOCDIR}
  ${CMAKE_INSTALL_FULL_INCLUDEDIR}/sinew/sinew.h)
file(READ README.md sinew_readme)
string(REPLACE "](include/sinew/sinew.h)" "](${sinew_header})" sinew_readme "${sinew_readme}")
file(WRITE ${PROJECT_BINARY_DIR}/installed/README.md "${sinew_readme}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS README.md)
install(FILES LICENSE ${PROJECT_BINARY_DIR}/installed/README.md CHANGELOG.md CONTRIBUTING.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
