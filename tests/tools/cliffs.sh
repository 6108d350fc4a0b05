#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# cliffs.sh SINEW-PLAN: 3, 5, 6, 7 and 12 ranks are not slower than both powers of two around them.
set -eu
found=$("$1" --cliffs) || { printf '%s\n' "$found"; exit 1; }
test "$found" = "4740 numbers of ranks beside both powers of two around them, 0 slower than both"
