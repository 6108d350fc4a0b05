#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# cliffs.sh SINEW-PLAN: 3, 5, 6, 7 and 12 ranks are not slower than both powers of two around them.
# One is, and is known: a reduce_scatter's blocks cannot go in pieces, as their lengths are the
# caller's, so of 256 KiB over TCP seventh parts are announced where eighth parts are not.
set -eu
if found=$("$1" --cliffs); then
    echo "none is left: take the one that was known out of this test" >&2
    exit 1
fi
printf '%s\n' "$found"
left=$(printf '%s\n' "$found" | sed '$d' |
    grep -v '^tcp, reduce_scatter of 262144 bytes: 7 ranks [0-9.]* us by pairwise, 8 ranks ' || true)
test -z "$left"
printf '%s\n' "$found" | grep -q '^4740 numbers of ranks .*, 1 slower than both$'
