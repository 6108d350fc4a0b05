# SPDX-License-Identifier: BSD-3-Clause
foreach(unit link stream hostile)
  sinew_test(NAME tcp-${unit} SOURCES unit/tcp_${unit}_test.c unit/tcp_end.c)
endforeach()
sinew_test(NAME tcp-session SOURCES unit/tcp_session_test.c)
