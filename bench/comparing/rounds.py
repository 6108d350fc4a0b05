# SPDX-License-Identifier: BSD-3-Clause
"""Sinew, another, Sinew, the next …: alternating runs, so that a machine that drifts drifts for all."""

import time

from . import programs
from .series import Summary


class Cell:
    """One test at one size over one transport on so many ranks."""

    def __init__(self, test, transport, ranks, size):
        self.test, self.transport, self.ranks, self.size = test, transport, ranks, size
        self.against = {}  # name of the other: list of (ours, theirs)
        self.ways = {}     # name of the other: the Way it runs in
        self.other_work = set()  # names of those whose figure is not of the same work

    def key(self):
        return self.test, self.transport, self.ranks, self.size

    def words(self):
        size = "" if self.test in ("barrier", "start", "memory") else f" {self.size} B"
        over = f" over {self.transport}" if self.transport else ""
        return f"{self.test}{size}{over}, {self.ranks} ranks"

    def more_is_better(self):
        return programs.more_is_better(self.test)

    def summaries(self):
        return {name: Summary(pairs) for name, pairs in self.against.items() if pairs}

    def best_peer(self):
        """The peer with the best median, of those that do the same work; limits are no peers."""
        found = {n: s for n, s in self.summaries().items()
                 if not n.startswith("limit") and n not in self.other_work}
        if not found:
            return None, None
        choose = max if self.more_is_better() else min
        name = choose(found, key=lambda n: found[n].theirs)
        return name, found[name]

    def best_limit(self, *names):
        found = {n: s for n, s in self.summaries().items()
                 if n.startswith("limit") and (not names or n[7:] in names)}
        if not found:
            return None, None
        choose = max if self.more_is_better() else min
        name = choose(found, key=lambda n: found[n].theirs)
        return name, found[name]


class Rounds:
    def __init__(self, sinew, others, say, budget=None):
        self.sinew, self.others, self.say = sinew, others, say
        self.until = time.monotonic() + budget if budget else None
        self.failures = {}  # (who, words of the cell): what it said, once each
        self.gave_up = set()

    def out_of_time(self):
        return self.until is not None and time.monotonic() > self.until

    def run(self, program, cell, way):
        try:
            return program.run(*cell.key(), way)
        except programs.Failed as error:
            if (program.name, cell.words()) not in self.failures:
                self.failures[program.name, cell.words()] = str(error)
                self.say(f"{program.name}, {cell.words()}: {error}")
            self.gave_up.add((program.name, cell.key()))
            return None

    def tune(self, cell):
        """The best of each other's ways, by two tries of each in turn; none: it has no such test."""
        for other in self.others:
            ways = other.ways(*cell.key())
            if hasattr(other, "other_work") and other.other_work(cell.test, cell.size):
                cell.other_work.add(other.name)
            if len(ways) < 2:
                if ways:
                    cell.ways[other.name] = ways[0]
                continue
            tries = [(self.run(other, cell, way), way) for way in ways * 2]
            self.gave_up.discard((other.name, cell.key()))
            tries = [(value, way) for value, way in tries if value is not None]
            if tries:
                choose = max if cell.more_is_better() else min
                cell.ways[other.name] = choose(tries, key=lambda t: t[0])[1]

    def pair(self, cell, other):
        if {(self.sinew.name, cell.key()), (other.name, cell.key())} & self.gave_up:
            return
        ours = self.run(self.sinew, cell, self.sinew.ways(*cell.key())[0])
        if ours is None:
            return
        theirs = self.run(other, cell, cell.ways[other.name])
        if theirs is not None:
            cell.against.setdefault(other.name, []).append((ours, theirs))

    def all(self, cells, pairs):
        """So many pairs of every cell with every other, one of each before the second of any."""
        for cell in cells:
            self.tune(cell)
        for done in range(pairs):
            for cell in cells:
                for other in self.others:
                    if self.out_of_time():
                        self.say(f"out of time: {done} of {pairs} pairs of everything are done")
                        return
                    if other.name in cell.ways:
                        self.pair(cell, other)
