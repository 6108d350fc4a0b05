# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154
# Sourced by what runs on each of the two hosts that ci/softroce --hosts 2 starts; $sinewrun is set.
#
# Guests share this machine's processors with all that runs on it. One that gets none is silent, and a peer that is
# silent for repair_deadline is rightly given up. So what goes wrong is told apart by measuring how long each
# guest waited for a processor. Where that explains it the test says so and is skipped, never passed; else it fails.

# The folder is both hosts': what one has written the other sees, once it has its name.
give() { cat >"$SOFTROCE_OUTPUT/$1.new" && mv "$SOFTROCE_OUTPUT/$1.new" "$SOFTROCE_OUTPUT/$1"; }
pause() { read -r -t "$1" <>/run/never; }
mkfifo /run/never

# "HOST SECONDS" of both guests, by now; each answer has a name of its own.
waited() {
    local number=$SOFTROCE_HOST${EPOCHREALTIME//[!0-9]/}
    echo "waited $number" >"$SOFTROCE_CONTROL"
    for _ in {1..300}; do
        [ ! -e "$SOFTROCE_OUTPUT/waited.$number" ] || break
        pause 0.1
    done
    cat "$SOFTROCE_OUTPUT/waited.$number"
}

# What is measured is measured from here on.
measure() { begun=$EPOCHREALTIME waited_before=$(waited); }

# Sets $waits (the most that a guest waited, in each second) and $measured, in words.
look() {
    local now=$EPOCHREALTIME
    { echo "$waited_before"; echo "after $begun $now"; waited; } | awk '
        $1 == "after" { took = $3 - $2; next }
        !took { before[$1] = $2; next }
        { s = $2 - before[$1]
          text = text (s < 0 ? ", host " $1 " is gone" : sprintf(", host %d waited %.1f s for a processor", $1, s))
          if (s / took > most) most = s / took }
        END { printf "%.2f in %.0f s%s\n", most, took, text }' >/run/looked
    read -r waits measured </run/looked
}

# fail TEXT...: what is not so is a failure, unless the machine explains it: a guest that had less than a quarter of the
# time it wanted (half is what two of them have of two processors).
fail() {
    look
    cat /run/job 2>/dev/null
    echo "$*; $measured"
    if awk "BEGIN { exit !($waits > 0.75) }"; then
        echo "skip: a machine with time for two guests: $measured ($*)"
        exit 77
    fi
    echo "failed: $*"
    exit 1
}

within() { # SECONDS COMMAND...
    local limit=$1 end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || fail "not within $limit s: $*"
        pause 0.1
    done
}

measure
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
    wait "$job" || fail "$1"
    look
    echo "passed: $1; $measured"
}
