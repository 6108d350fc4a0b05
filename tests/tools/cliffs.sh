#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# cliffs.sh SINEW-PLAN: 3, 5, 6, 7 and 12 ranks are not slower than both powers of two around them.
set -eu
found=$("$1" --cliffs) || {
    printf '%s\n' "$found" >&2
    exit 1
}
printf '%s\n' "$found" | grep -q '^4740 numbers of ranks .*, 0 slower than both$'
