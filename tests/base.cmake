# SPDX-License-Identifier: BSD-3-Clause
foreach(unit config cores crc32c frame handshake list log siphash status text timer value wire)
  sinew_test(NAME ${unit} SOURCES unit/${unit}_test.c)
endforeach()
sinew_test(NAME fuzz-base SOURCES fuzz/base_fuzz.c)
