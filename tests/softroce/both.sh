# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154
# Sourced by what runs on each of the two hosts that ci/softroce --hosts 2 starts; $sinewrun is set.

# The folder is both hosts': what one has written the other sees, once it has its name.
give() { cat >"$SOFTROCE_OUTPUT/$1.new" && mv "$SOFTROCE_OUTPUT/$1.new" "$SOFTROCE_OUTPUT/$1"; }
within() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || { cat /run/job 2>/dev/null; echo "failed: never: $*"; exit 1; }
        read -r -t 0.1 <>/run/never
    done
}
mkfifo /run/never

[ "$SOFTROCE_HOST" != 0 ] || head -c 32 /dev/urandom | give secret
within 120 test -e "$SOFTROCE_OUTPUT/secret"
(umask 077 && cp "$SOFTROCE_OUTPUT/secret" /run/secret)

# half NAME SIZE TRANSPORT ARG...: starts this host's half of the ranks; $job is its process, and
# /run/job what it says. On a busy machine one emulated host is ready half a minute later than the other,
# and does not answer for longer than repair_deadline, so they have more time than by default.
half() {
    local name=$1 size=$2 half=$(($2 / 2)) repair=${repair_deadline:-60s}
    local run=("$sinewrun" --size "$size" --secret-file /run/secret --transport "$3"
        --timeout 200 --set setup_deadline=120s --set "repair_deadline=$repair")
    shift 3
    echo "begins: $name, $SECONDS s"
    if [ "$SOFTROCE_HOST" = 0 ]; then
        "${run[@]}" --rendezvous "$SOFTROCE_ADDRESS:0" --ranks "0-$((half - 1))" "$@" 2>/run/job &
        job=$!
        within 120 grep -qs "rendezvous at " /run/job
        sed -n 's/.*rendezvous at //p;T;q' /run/job | give "$name"
    else
        within 120 test -e "$SOFTROCE_OUTPUT/$name"
        "${run[@]}" --rendezvous "$(cat "$SOFTROCE_OUTPUT/$name")" --ranks "$half-$((size - 1))" \
            "$@" 2>/run/job &
        job=$!
    fi
}

passes() { # NAME
    wait "$job" || { cat /run/job; echo "failed: $1"; exit 1; }
    echo "passed: $1"
}
