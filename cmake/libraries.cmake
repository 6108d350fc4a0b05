# SPDX-License-Identifier: BSD-3-Clause
# The shipped libraries, and one with every internal visible for tests and tools.
add_library(sinew SHARED $<TARGET_OBJECTS:sinew_objects>)
add_library(sinew::sinew ALIAS sinew)
set_target_properties(sinew PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/sinew.map)
target_include_directories(sinew PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(sinew PRIVATE ${CMAKE_DL_LIBS} Threads::Threads)
target_link_options(sinew PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/sinew.map
  -Wl,-z,relro,-z,now)
if(SINEW_SANITIZE)
  target_link_options(sinew PUBLIC -fsanitize=${SINEW_SANITIZE})
else()
  target_link_options(sinew PRIVATE -Wl,--no-undefined)
endif()

# The static library is one object in which only sinew_* is global, so that no internal name can collide.
set(sinew_merged ${PROJECT_BINARY_DIR}/sinew.o)
add_custom_command(OUTPUT ${sinew_merged}
  COMMAND ${CMAKE_LINKER} -r -o ${sinew_merged} $<TARGET_OBJECTS:sinew_objects>
  COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=sinew_* ${sinew_merged}
  DEPENDS sinew_objects $<TARGET_OBJECTS:sinew_objects>
  COMMAND_EXPAND_LISTS VERBATIM)
add_library(sinew_static STATIC ${sinew_merged})
add_library(sinew::static ALIAS sinew_static)
set_target_properties(sinew_static PROPERTIES OUTPUT_NAME sinew LINKER_LANGUAGE C)
set_source_files_properties(${sinew_merged} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
target_include_directories(sinew_static PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(sinew_static PUBLIC ${CMAKE_DL_LIBS} Threads::Threads)

add_library(sinew_testing STATIC $<TARGET_OBJECTS:sinew_objects> $<TARGET_OBJECTS:sinew_sim>
  $<TARGET_OBJECTS:sinew_planning> $<TARGET_OBJECTS:sinew_foreign>)
target_include_directories(sinew_testing PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include
  ${PROJECT_BINARY_DIR}/include)
target_link_libraries(sinew_testing PUBLIC ${CMAKE_DL_LIBS} Threads::Threads)
