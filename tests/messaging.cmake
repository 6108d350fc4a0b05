# SPDX-License-Identifier: BSD-3-Clause
sinew_test(NAME messaging SOURCES unit/messaging_test.c LABELS unit)
sinew_test(NAME messaging-hostile LABELS unit SOURCES unit/messaging_hostile_test.c
  unit/messaging_hostile_links.c unit/messaging_hostile_long.c unit/messaging_hostile_waits.c
  unit/messaging_hostile_short.c unit/messaging_fake.c)
sinew_test(NAME straight SOURCES unit/straight_test.c unit/messaging_fake.c LABELS unit)
sinew_test(NAME turns SOURCES unit/turns_test.c unit/messaging_fake.c LABELS unit)
sinew_test(NAME crowd SOURCES unit/crowd_test.c LABELS unit)
sinew_test(NAME pass-by SOURCES unit/pass_by_test.c LABELS unit)
sinew_test(NAME abandon SOURCES unit/abandon_test.c LABELS unit)
sinew_test(NAME tell-hostile SOURCES unit/tell_hostile_test.c unit/messaging_fake.c LABELS unit)
# Wired links, set up and broken in virtual time.
set(wired_seeds 600)
if(SINEW_SANITIZE MATCHES thread)
  set(wired_seeds 200) # which costs more there, and one rank runs at a time
endif()
sinew_test(NAME wired SOURCES unit/wired_test.c ARGS ${wired_seeds} LABELS unit sim)
sinew_add_test(NAME wired-long COMMAND test-wired 20000 LABELS unit sim long TIMEOUT 1200)
