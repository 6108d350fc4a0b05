#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# documented.sh SINEW-PLAN DOCS: the table of algorithms in docs/collectives.md is the program's.
set -eu
"$1" --algorithms >"${TMPDIR:-/tmp}/algorithms.$$"
trap 'rm -f "${TMPDIR:-/tmp}/algorithms.$$"' EXIT
sed -n '/^<!-- algorithms -->/,/^<!-- end -->/p' "$2" | sed '1d;$d' |
    diff "${TMPDIR:-/tmp}/algorithms.$$" - || {
    echo "docs/collectives.md has another table than sinew-plan --algorithms prints" >&2
    exit 1
}
