# SPDX-License-Identifier: BSD-3-Clause
sinew_test(NAME collectives-pattern SOURCES unit/collectives_pattern.c LABELS unit)
