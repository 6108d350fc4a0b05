# SPDX-License-Identifier: BSD-3-Clause
# hosts.sh - two hosts for a test, which reads this in: two network namespaces, $a and $b, joined by
# a pair of veth; and sinewruns in them that form one job of four ranks. $sinewrun is set before.
# Whatever happens, all of it is gone when the test ends.

# With an end of its own, so that a time-out cleans up too.
[ -n "${HOSTS_BOUNDED-}" ] ||
    HOSTS_BOUNDED=yes exec timeout --foreground -k 10 "${HOSTS_SECONDS:-100}" "$0" "$@"

[ "$(id -u)" = 0 ] || { echo "skip: root, to make network namespaces"; exit 77; }
command -v ip >/dev/null || { echo "skip: ip (iproute2)"; exit 77; }

a=sinew-a-$$ b=sinew-b-$$ folder=$(mktemp -d)
finish()
{
    trap - EXIT INT TERM HUP
    jobs -p | xargs -r kill -9 2>/dev/null
    wait 2>/dev/null
    # shellcheck disable=SC2086 # words
    for host in "$a" "$b" ${more_hosts-}; do ip netns del "$host" 2>/dev/null; done
    rm -rf "$folder"
}
trap finish EXIT
trap 'echo "failed: ended from outside, or after too long"; exit 1' INT TERM HUP

fail()
{
    echo "failed: $*"
    for said in "$folder"/*.out "$folder"/*.err; do [ -s "$said" ] && tail -v -n 50 "$said"; done
    exit 1
}
must() { "$@" || fail "$*"; }

ip netns add "$a" 2>/dev/null || { echo "skip: network namespaces (ip netns add)"; exit 77; }
must ip netns add "$b"
ip -n "$a" link add veth0 type veth peer name veth0 netns "$b" 2>/dev/null ||
    { echo "skip: veth devices (ip link add type veth)"; exit 77; }
for host in "$a" "$b"; do
    must ip -n "$host" link set lo up
    must ip -n "$host" link set veth0 up
done
must ip -n "$a" addr add 10.111.0.1/24 dev veth0
must ip -n "$b" addr add 10.111.0.2/24 dev veth0
must ip -n "$a" addr add fd00:5117::1/64 dev veth0 nodad
must ip -n "$b" addr add fd00:5117::2/64 dev veth0 nodad
(umask 077; head -c 32 /dev/urandom >"$folder/secret"; head -c 32 /dev/urandom >"$folder/other")

mkfifo "$folder/never"

# wait_for COMMAND...: true within 20 s, looked at a hundred times a second.
wait_for()
{
    local i
    for ((i = 0; i < 2000; i++)); do
        "$@" && return
        read -r -t 0.01 <>"$folder/never"
    done
    return 1
}

# start_hub ADDRESS RANKS ARG...: on host A, any port (0) or one that is given: sets $hub and $at.
start_hub()
{
    local address=$1 ranks=$2
    shift 2
    rm -f "$folder/hub.err"
    ip netns exec "$a" "$sinewrun" --rendezvous "$address" --size 4 --ranks "$ranks" \
        --secret-file "$folder/secret" "$@" >"$folder/hub.out" 2>"$folder/hub.err" &
    hub=$! at=$address
    [ "${address##*:}" = 0 ] || return
    wait_for grep -qs "rendezvous at " "$folder/hub.err" || fail "the hub does not say where it is"
    at=$(sed -n 's/.*rendezvous at //p;T;q' "$folder/hub.err")
}

# start_other SECRET RANKS ARG...: on host B, at $at: sets $other.
start_other()
{
    local secret=$1 ranks=$2
    shift 2
    ip netns exec "$b" "$sinewrun" --rendezvous "$at" --size 4 --ranks "$ranks" \
        --secret-file "$folder/$secret" "$@" >"$folder/other.out" 2>"$folder/other.err" &
    other=$!
}

# ends PID STATUS WHAT
ends()
{
    local status
    { wait "$1"; } 2>/dev/null
    status=$?
    [ "$status" = "$2" ] || fail "$3: status $status, not $2"
}

has() { grep -q -- "$2" "$folder/$1" || fail "$1 lacks '$2'"; }

# Nobody is left on either host. A process that was killed needs a moment.
empty() { left=$(ip netns pids "$a"; ip netns pids "$b"); [ -z "$left" ]; }
deserted() { wait_for empty || fail "$1: still there: $(ps -o pid=,args= -p "${left//$'\n'/,}")"; }
