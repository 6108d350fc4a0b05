# SPDX-License-Identifier: BSD-3-Clause
foreach(unit address link stream hostile)
  sinew_test(NAME tcp-${unit} SOURCES unit/tcp_${unit}_test.c unit/tcp_end.c)
endforeach()
sinew_test(NAME tcp-session SOURCES unit/tcp_session_test.c)
sinew_test(NAME tcp-repair SOURCES unit/tcp_repair_test.c ARGS 2000 TIMEOUT 120)
sinew_add_test(NAME tcp-repair-long COMMAND test-tcp-repair 10000 LABELS long TIMEOUT 600)
sinew_test(NAME tcp-proxy SOURCES unit/tcp_proxy_test.c unit/tcp_end.c ARGS 80 TIMEOUT 180)
sinew_add_test(NAME tcp-proxy-long COMMAND test-tcp-proxy 1000 LABELS long TIMEOUT 1200)
