# SPDX-License-Identifier: BSD-3-Clause
foreach(unit address link stream hostile secure)
  sinew_test(NAME tcp-${unit} SOURCES unit/tcp_${unit}_test.c unit/tcp_end.c TIMEOUT 120)
endforeach()
sinew_test(NAME tcp-session SOURCES unit/tcp_session_test.c)
sinew_test(NAME tcp-repair SOURCES unit/tcp_repair_test.c ARGS 2000 TIMEOUT 120)
sinew_add_test(NAME tcp-repair-long COMMAND test-tcp-repair 10000 LABELS long TIMEOUT 600)
# One thread drives all: for the thread sanitizer some will do.
set(proxy_rounds 80)
if(SINEW_SANITIZE MATCHES thread)
  set(proxy_rounds 20)
endif()
sinew_test(NAME tcp-proxy SOURCES unit/tcp_proxy_test.c unit/tcp_end.c ARGS ${proxy_rounds}
  TIMEOUT 180)
sinew_add_test(NAME tcp-proxy-long COMMAND test-tcp-proxy 1000 LABELS long TIMEOUT 1200)

# The same with encryption under it, and with checksums.
function(sinew_tcp_again suffix variable)
  foreach(unit link stream secure proxy)
    set(rounds)
    if(unit STREQUAL proxy)
      set(rounds 20)
    endif()
    sinew_add_test(NAME tcp-${unit}-${suffix} COMMAND test-tcp-${unit} ${rounds} TIMEOUT 180)
    set_property(TEST tcp-${unit}-${suffix} APPEND PROPERTY ENVIRONMENT ${variable}=1)
  endforeach()
endfunction()
sinew_tcp_again(encrypt TEST_ENCRYPT)
