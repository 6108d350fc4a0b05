# SPDX-License-Identifier: BSD-3-Clause
sinew_test(NAME messaging SOURCES unit/messaging_test.c LABELS unit)
