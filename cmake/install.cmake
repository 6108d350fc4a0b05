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

foreach(program sinewrun sinew-info sinew-perf sinew-plan)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
