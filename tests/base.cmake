# SPDX-License-Identifier: BSD-3-Clause
foreach(unit handshake)
  sinew_test(NAME ${unit} SOURCES unit/${unit}_test.c)
endforeach()
