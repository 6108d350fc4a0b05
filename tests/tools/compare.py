#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""compare.py COMPARE BUILD: bench/compare reports what its peers say, whole, by name and in ratio.

A stand-in for fi_pingpong comes first in PATH: one that answers a fixed figure, and one that fails.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

FAKE = """#!/usr/bin/env python3
import socket, sys
words = sys.argv[1:]
if "-B" in words:
    with socket.create_server(("127.0.0.1", int(words[words.index("-B") + 1]))) as s:
        s.accept()
    sys.exit(0)
socket.create_connection(("127.0.0.1", int(words[words.index("-P") + 1]))).close()
%s
"""
ANSWERS = """print("bytes   #sent   #ack     total       time     MB/sec    usec/xfer   Mxfers/sec")
print("8       10k     =10k     156k        0.03s      4.75       1000.50       0.59")
"""
FAILS = """print("no such provider", file=sys.stderr)
sys.exit(3)
"""


def compare(directory, behaviour, *words):
    path = os.path.join(directory, "fi_pingpong")
    with open(path, "w", encoding="ascii") as fake:
        fake.write(FAKE % behaviour)
    os.chmod(path, 0o755)
    return subprocess.run(
        [sys.argv[1], "latency", "--bytes", "8", "--build", sys.argv[2], "--pairs", "1",
         "--peers", "libfabric", *words], text=True, capture_output=True, timeout=100,
        env={**os.environ, "PATH": directory + ":" + os.environ["PATH"]})


def reports_the_figure_and_the_ratio(directory):
    done = compare(directory, ANSWERS, "--limits", "none", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["program"] for line in lines[:-1]] == ["Sinew", "libfabric"], lines
    assert all(line["command"] for line in lines[:-1]), lines
    row = lines[-1]
    assert (row["against"], row["bytes"], row["ranks"], row["unit"], row["pairs"]) == (
        "libfabric", 8, 2, "us", 1), row
    assert row["value"] == 1000.5 and row["sinew"] > 0, row
    assert abs(row["ratio"] - row["sinew"] / 1000.5) < 0.001, row
    done = compare(directory, ANSWERS, "--limits", "none")
    assert done.returncode == 0 and "libfabric          *" in done.stdout, done.stdout


def a_peer_that_fails_is_named_with_its_words(directory):
    done = compare(directory, FAILS, "--limits", "line", "--json")
    assert done.returncode == 1, done.stdout
    assert "libfabric, latency 8 B" in done.stderr and "exit status 3" in done.stderr, done.stderr
    assert "no such provider" in done.stderr, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["against"] for row in rows if "against" in row] == ["limit: line"], rows


def an_aim_that_is_missed_fails_the_check(directory):
    fast = ANSWERS.replace("1000.50", "0.000001")  # nobody is half as slow as that
    done = compare(directory, fast, "--limits", "ring")
    assert done.returncode == 0, done.stderr
    command = [sys.argv[1], "--check", "latency-8", "--build", sys.argv[2], "--pairs", "1",
               "--peers", "libfabric", "--json"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=100,
                          env={**os.environ, "PATH": directory + ":" + os.environ["PATH"]})
    assert done.returncode == 1, done.stdout
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    against_peer = [row for row in rows if "libfabric" in row["measured"]]
    assert len(rows) == 2 and len(against_peer) == 1 and not against_peer[0]["passed"], rows


def every_collective_has_its_like_in_mpi(_):
    build, bench = sys.argv[2], os.path.dirname(sys.argv[1])
    words = subprocess.run([os.path.join(build, "bin", "sinew-perf"), "--help"], text=True,
                           capture_output=True, timeout=100).stdout
    perf = {line.split()[0] for line in words.splitlines() if line.startswith("  ") and line.strip()}
    sys.path.insert(0, bench)
    from comparing import programs  # pylint: disable=import-outside-toplevel
    with open(os.path.join(bench, "mpi_peer.c"), encoding="utf-8") as file:
        peer = file.read()
    with open(os.path.join(bench, "..", "include", "sinew", "sinew.h"), encoding="utf-8") as file:
        header = file.read().split(" * Collectives\n")[1].split(" * Seeing inside\n")[0]
    declared = set(re.findall(r"SINEW_API int sinew_(\w+)\(struct sinew_team \*team, ", header))
    declared |= {"barrier"}
    declared -= {"team_failed", "team_acknowledge"}
    assert len(declared) == 19 and declared == set(programs.COLLECTIVES), declared
    for name in programs.COLLECTIVES:
        assert name in perf and f'{{ "{name}", "us"' in peer, name
    assert set(programs.tests_of("collectives-cold")) == {
        name + "-cold" for name in declared - {"barrier"}}


def a_figure_of_another_size_is_none(_):
    sys.path.insert(0, os.path.dirname(sys.argv[1]))
    from comparing import programs  # pylint: disable=import-outside-toplevel
    said = 'a word\n{"bytes": 4, "mean": 1.5}\n{"bytes": 8, "value": 2.5}\n'
    assert programs.figure_of(["peer"], said, 8) == 2.5
    assert programs.figure_of(["peer"], said, 0) == 1.5
    try:
        programs.figure_of(["peer"], said, 16)
    except programs.Failed as failure:
        assert "no figure of 16 bytes" in str(failure), failure
    else:
        raise AssertionError("4 bytes were taken for 16")


def main():
    if len(os.sched_getaffinity(0)) < 2:
        print("skip: two cores are needed")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        for test in (reports_the_figure_and_the_ratio, a_peer_that_fails_is_named_with_its_words,
                     an_aim_that_is_missed_fails_the_check, every_collective_has_its_like_in_mpi,
                     a_figure_of_another_size_is_none):
            test(directory)
            print(f"passed: {test.__name__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
