# SPDX-License-Identifier: BSD-3-Clause
sinew_test(NAME messaging SOURCES unit/messaging_test.c LABELS unit)
sinew_test(NAME messaging-hostile SOURCES unit/messaging_hostile_test.c unit/messaging_fake.c LABELS unit)
sinew_test(NAME abandon SOURCES unit/abandon_test.c LABELS unit)
