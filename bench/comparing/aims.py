# SPDX-License-Identifier: BSD-3-Clause
"""What Sinew aims at on one host, each aim measured beside its limit and its peers.

"Not slower" is said of an interval: its worse end may be 5 % on the wrong side. Every other bar is
held against the median.
"""

import json
import math
import os

from . import programs
from .rounds import Cell, Rounds

NOT_SLOWER = 1.05
KIB, MIB = 1 << 10, 1 << 20
LADDER = [8, 64, 512, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB]


class Line:
    """One aim: what was measured, beside what, against which bar."""

    def __init__(self, aim, passed, measured, limit="", bar=""):
        self.aim, self.passed = aim, passed
        self.measured, self.limit, self.bar = measured, limit, bar


def missing(cell, what):
    return Line(cell.words(), False, f"no figure of {what}", "", "")


def limit_words(cell, *names):
    name, s = cell.best_limit(*names)
    if not s:
        return ""
    return f"{name[7:]} {s.theirs:.4g} {programs.unit(cell.test)}, ratio {s.ratio:.2f}"


def against_peer(cell, bar, worst_end=False):
    """The ratio to the best peer is at most bar (less is better) or at least 1/bar (more is)."""
    name, s = cell.best_peer()
    if not s:
        return missing(cell, "a peer or of Sinew")
    more = cell.more_is_better()
    end = (s.low if more else s.high) if worst_end else s.ratio
    passed = end >= 1 / bar if more else end <= bar
    return Line(cell.words(), passed,
                f"{s.ours:.4g} {programs.unit(cell.test)}, {s.ratio:.3f} ({s.low:.3f} to"
                f" {s.high:.3f}) of {name}, {s.pairs} pairs", limit_words(cell),
                (">= " if more else "<= ") + f"{1 / bar if more else bar:.3g}"
                + (" at the worse end" if worst_end else ""))


def against_limit(cell, name, bar):
    s = cell.summaries().get(f"limit: {name}")
    if not s:
        return missing(cell, f"the limit {name} or of Sinew")
    more = cell.more_is_better()
    passed = s.ratio >= bar if more else s.ratio <= bar
    return Line(cell.words(), passed,
                f"{s.ours:.4g} {programs.unit(cell.test)}, {s.ratio:.3f} ({s.low:.3f} to"
                f" {s.high:.3f}) of the bare {name}, {s.pairs} pairs", limit_words(cell, name),
                f"{'>=' if more else '<='} {bar:.3g} of it")


def against_named(cell, name, bar):
    """Beside one peer, whatever the others do."""
    s = cell.summaries().get(name)
    if not s:
        return missing(cell, f"{name} or of Sinew")
    more = cell.more_is_better()
    passed = s.ratio >= 1 / bar if more else s.ratio <= bar
    others = [f"{other} {o.theirs:.4g}, ratio {o.ratio:.2f}"
              for other, o in cell.summaries().items() if other != name]
    return Line(cell.words(), passed,
                f"{s.ours:.4g} {programs.unit(cell.test)}, {s.ratio:.3f} ({s.low:.3f} to"
                f" {s.high:.3f}) of {name}, {s.pairs} pairs", "; ".join(others),
                (">= " if more else "<= ") + f"{1 / bar if more else bar:.3g}")


def ring_and_15_ns(cell):
    s = cell.summaries().get("limit: ring")
    if not s:
        return missing(cell, "the bare ring or of Sinew")
    return Line(cell.words(), s.difference <= 0.015,
                f"{s.ours:.4g} us, {s.difference * 1000:+.1f} ns beside the bare ring, {s.pairs} pairs",
                limit_words(cell, "ring"), "<= +15 ns")


def under(cell, bar):
    """Sinew's own figure, whoever it was measured beside."""
    found = list(cell.summaries().values())
    if not found:
        return missing(cell, "Sinew or anyone beside it")
    ours = max(s.ours for s in found)
    name, best = cell.best_peer()
    beside = f"{name} {best.theirs:.3g}" if best else ""
    return Line(cell.words(), ours < bar, f"{ours:.4g} {programs.unit(cell.test)}", beside,
                f"< {bar:g} {programs.unit(cell.test)}")


def against_sockets_or_peer(cell, bar, peer_bar):
    """Whichever bar is larger: to be within one of them is enough."""
    both = [against_limit(cell, "tcp", bar), against_peer(cell, peer_bar)]
    line = next((line for line in both if line.passed), both[0])
    return Line(line.aim, line.passed, line.measured, f"{both[1].measured}; {both[1].limit}",
                f"<= {bar:g} of it, or {peer_bar:g} of the peer")


def shm(test, sizes, ranks=(2,)):
    return [Cell(test, "shm", n, size) for n in ranks for size in sizes]


def instructions(args):
    """8-byte send and receive whose message is there, counted one by one."""
    program = os.path.join(os.path.abspath(args.build), "bin", "instructions")
    try:
        said = programs.execute([program])
    except programs.Failed as error:
        return Line("instructions, 8-byte send and receive", False, str(error))
    count = next(int(word) for word in said.split(":")[-1].split() if word.isdigit())
    return Line("instructions, 8-byte send and receive", count <= 200, f"{count}", "", "<= 200")


# Of PEERS' table: a barrier, and six collectives of five sizes; more ranks than cores; and TCP.
SIX = ("bcast", "allreduce", "allgather", "alltoall", "reduce", "reduce_scatter")
FIVE = (8, KIB, 64 * KIB, MIB, 8 * MIB)


def collective_cells(transport, ranks, sizes=FIVE, variant=""):
    return [Cell("barrier", transport, ranks, 0)] + [
        Cell(test + variant, transport, ranks, size) for test in SIX for size in sizes]


def long_cells(variant, sizes=(64 * KIB, MIB, 8 * MIB)):
    return [Cell(test + variant, "shm", 2, size) for test in SIX for size in sizes]


def more_of_it(cell):
    """OSU's overlap beside the best peer's: not less, by what such figures waver."""
    name, s = cell.best_peer()
    if not s:
        return missing(cell, "a peer or of Sinew")
    return Line(cell.words(), s.ours >= s.theirs - 5,
                f"{s.ours:.3g} %, {name} {s.theirs:.3g} %, {s.pairs} pairs", "", ">= theirs - 5 %")


def crowded_cells():
    return [Cell(test, "shm", ranks, size)
            for test, size in (("barrier", 0), ("allreduce", 8), ("allreduce", 64 * KIB),
                               ("alltoall", 64 * KIB)) for ranks in (4, 8, 16)]


def geometric(cells, bar, what):
    """The geometric mean of the ratios to the best peer of each cell."""
    found = [cell.best_peer()[1] for cell in cells]
    ratios = [s.ratio for s in found if s]
    if not ratios:
        return [Line(f"{what}, geometric mean", False, "no figure of a peer or of Sinew")]
    mean = math.exp(sum(math.log(r) for r in ratios) / len(ratios))
    return [Line(f"{what}, geometric mean", mean <= bar,
                 f"{mean:.3f} of the best peer, {len(ratios)} of {len(cells)} cells", "",
                 f"<= {bar:.3g}")]


def mean_of_limit(cells, name, bar, what):
    """The same of a limit that does the pattern bare: how near Sinew comes to it."""
    found = [cell.summaries().get(f"limit: {name}") for cell in cells]
    ratios = [1 / s.ratio for s in found if s]
    if not ratios:
        return [Line(f"{what}, geometric mean", False, f"no figure of the bare {name} or of Sinew")]
    mean = math.exp(sum(math.log(r) for r in ratios) / len(ratios))
    return [Line(f"{what}, geometric mean", mean >= bar,
                 f"{mean:.3f} of the bare {name}, {len(ratios)} of {len(cells)} cells", "",
                 f">= {bar:.3g}")]


class Aim:
    """Cells to measure beside which others, and what is said of each."""

    def __init__(self, cells, judge, peers=True, limits=(), together=None):
        self.cells, self.judge, self.peers, self.limits = cells, judge, peers, limits
        self.together = together  # lines about all cells, after those of each


def aims():
    sleepy = [Cell(test, "shm", ranks, size) for test, size in (("barrier", 0), ("allreduce", 8))
              for ranks in (4, 8, 16)]
    return {
        "latency-8": Aim(shm("latency", [8]),
                         lambda c: [ring_and_15_ns(c), against_peer(c, 0.5)], limits=("ring",)),
        "latency-1k": Aim(shm("latency", [KIB]), lambda c: [against_limit(c, "ring", 1.15)],
                          peers=False, limits=("ring",)),
        "latency": Aim(shm("latency", LADDER), lambda c: [against_peer(c, NOT_SLOWER, True)],
                       limits=("ring", "kernel")),
        "rate": Aim(shm("rate", [8]), lambda c: [against_peer(c, 1 / 3)], limits=("ring",)),
        "bandwidth": Aim(shm("bandwidth", LADDER), lambda c: [against_peer(c, NOT_SLOWER, True)],
                         limits=("ring", "kernel")),
        "rewritten": Aim(shm("bandwidth-rewritten", [64 * KIB, MIB, 4 * MIB]),
                         lambda c: [against_limit(c, "copy", 0.9)], peers=False, limits=("copy",)),
        "tcp-latency-8": Aim([Cell("latency", "tcp", 2, 8)],
                             lambda c: [against_sockets_or_peer(c, 1.15, 0.8)], limits=("tcp",)),
        "tcp-rate": Aim([Cell("rate", "tcp", 2, 8)], lambda c: [against_peer(c, 0.1)],
                        limits=("tcp", "tcp-batched")),
        "tcp-bandwidth": Aim([Cell("bandwidth", "tcp", 2, MIB)],
                             lambda c: [against_limit(c, "tcp", 0.95)], limits=("tcp",)),
        "ucx-latency-8": Aim([Cell("latency", on, 2, 8) for on in ("ucx/tcp", "ucx/posix")],
                             lambda c: [against_named(c, "ucx_perftest", 1.15)]),
        # ucx_perftest has one buffer: beside it Sinew has one too; with 64, UCX doing the same.
        "ucx-bandwidth": Aim([Cell(test, on, 2, MIB) for on in ("ucx/tcp", "ucx/posix")
                              for test in (programs.ONE_BUFFER, "bandwidth")],
                             lambda c: [against_named(c, "ucx_perftest" if c.test != "bandwidth"
                                                      else "UCX", 1.15)]),
        "ofi-latency-8": Aim([Cell("latency", on, 2, 8) for on in ("ofi/tcp", "ofi/shm")],
                             lambda c: [against_named(c, "libfabric", 1.15)]),
        # fi_pingpong's bandwidth is its latency: one message at a time.
        "ofi-latency-1M": Aim([Cell("latency", on, 2, MIB) for on in ("ofi/tcp", "ofi/shm")],
                              lambda c: [against_named(c, "libfabric", 1.15)]),
        "instructions": Aim([], None),
        "crowd": Aim(sleepy, lambda c: [against_peer(c, 1.0)]),
        "collectives": Aim(collective_cells("shm", 2), lambda c: [against_peer(c, NOT_SLOWER, True)],
                           limits=("ring",),
                           together=lambda cells: geometric(cells, 1 / 2.5, "31 cells, 2 ranks")),
        # The same with buffers of each library's own allocator, which Sinew's peers can read.
        "collectives-shared": Aim(collective_cells("shm", 2, variant="-shared"),
                                  lambda c: [against_peer(c, NOT_SLOWER, True)],
                                  together=lambda cells: geometric(cells, 1 / 2.5,
                                                                   "31 cells, own memory")),
        "collectives-rewritten": Aim(long_cells("-rewritten"),
                                     lambda c: [against_peer(c, NOT_SLOWER, True)],
                                     together=lambda cells: geometric(cells, 1.0, "18 cells, written")),
        "collectives-cold": Aim(long_cells("-cold"), lambda c: [against_peer(c, NOT_SLOWER, True)],
                                together=lambda cells: geometric(cells, 1.0, "18 cells, cold")),
        "collectives-overlap": Aim(long_cells("-overlap", (4 * KIB, 64 * KIB, MIB)),
                                   lambda c: [more_of_it(c)]),
        "collectives-crowd": Aim(crowded_cells(), lambda c: [against_peer(c, 1.0)],
                                 together=lambda cells: geometric(cells, 1.0, "12 cells")),
        "collectives-tcp": Aim(collective_cells("tcp", 2),
                               lambda c: [against_peer(c, NOT_SLOWER, True)], limits=("tcp",),
                               together=lambda cells: mean_of_limit(cells, "tcp", 0.85,
                                                                    "31 cells over tcp")),
        "start": Aim([Cell("start", None, 8, 0)], lambda c: [under(c, 0.1)]),
        "memory": Aim([Cell("memory", None, 8, 0)], lambda c: [under(c, 8)]),
    }


NAMES = tuple(aims())


def wanted(aim, args):
    return [c for c in aim.cells if not args.bytes or c.size in args.bytes or c.size == 0]


def measure(name, aim, args, others, sinew, say):
    if name == "instructions":
        return [instructions(args)]
    taking_part = []
    for other in others:
        limit = other.name.startswith("limit")
        if (limit and other.name[7:] in aim.limits) or (not limit and aim.peers):
            taking_part.append(other)
    if name in ("crowd", "collectives-crowd"):  # the other one sleeps where ranks outnumber cores, a thousand times slower
        taking_part = [other for other in taking_part if other.name == "Open MPI"]
    cells = wanted(aim, args)
    Rounds(sinew, taking_part, say, args.budget).all(cells, args.pairs)
    lines = [line for cell in cells for line in aim.judge(cell)]
    return lines + (aim.together(cells) if aim.together else [])


ALL_COLLECTIVES = ("collectives", "collectives-crowd", "collectives-tcp")


def named(tests):
    """`collectives` is all three whose cells are aims; the others tell more about them."""
    return [name for test in tests for name in NAMES
            if name == test or (test == "collectives" and name in ALL_COLLECTIVES)]


def check(args, sinew, others, say, show):
    """Every aim asked for; status 1 when one fails or cannot be measured."""
    failed = passed = 0
    if args.pairs < 9:
        say(f"{args.pairs} pairs are for a look; an aim is held by 9 or more")
    for name in named(args.tests) or NAMES:
        for line in measure(name, aims()[name], args, others, sinew, say):
            failed, passed = failed + (not line.passed), passed + line.passed
            if args.json:
                show(json.dumps({"aim": line.aim, "passed": line.passed, "measured": line.measured,
                                 "limit": line.limit, "bar": line.bar}))
            else:
                word = "pass" if line.passed else "FAIL"
                show(f"{word}  {line.aim:<34} {line.measured:<62} {line.bar:<24} {line.limit}")
    if not args.json:
        show(f"{passed} aims held, {failed} missed")
    return 1 if failed else 0
