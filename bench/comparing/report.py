# SPDX-License-Identifier: BSD-3-Clause
"""A table for people, or one JSON object per line for programs."""

import json

from . import programs


def digits(value):
    return f"{value:.{4 if value < 1 else 3 if value < 10 else 2 if value < 100 else 1}f}"


def heads(sinew, others, cells, as_json, show):
    """Who takes part: version, and a command as it was run."""
    for program in [sinew] + others:
        cell = next((c for c in cells if program is sinew or program.name in c.ways), None)
        if cell is None:
            continue
        way = sinew.ways(*cell.key())[0] if program is sinew else cell.ways[program.name]
        shown = way.shown(program.command(*cell.key(), way))
        if as_json:
            show(json.dumps({"program": program.name, "version": program.version(),
                             "command": shown}))
        else:
            show(f"{program.name:<19} {program.version() or '':<8} {shown}")


def cell_json(cell, show):
    for name, s in cell.summaries().items():
        show(json.dumps({
            "test": cell.test, "transport": cell.transport, "ranks": cell.ranks, "bytes": cell.size,
            "against": name, "way": cell.ways[name].name, "sinew": round(s.ours, 5),
            "value": round(s.theirs, 5), "unit": programs.unit(cell.test),
            "ratio": round(s.ratio, 4), "ratio_low": round(s.low, 4),
            "ratio_high": round(s.high, 4), "coverage": round(s.coverage, 4), "pairs": s.pairs}))


def cell_rows(cell, show):
    best, _ = cell.best_peer()
    for name, s in cell.summaries().items():
        mark = "*" if name == best else "!" if name in cell.other_work else " "
        sure = f"{s.low:.3f} to {s.high:.3f}"
        show(f"{cell.size:>9} {name:<19}{mark}{digits(s.theirs):>10} {digits(s.ours):>10}"
             f" {s.ratio:>8.3f}  {sure:<17} {s.pairs:>5}  {cell.ways[name].name}")


def table(cells, show):
    before = None
    for cell in cells:
        if not cell.against:
            continue
        if (cell.test, cell.transport, cell.ranks) != before:
            before = cell.test, cell.transport, cell.ranks
            better = "more" if cell.more_is_better() else "less"
            over = f" over {cell.transport}" if cell.transport else ""
            show(f"\n{cell.test}{over}, {cell.ranks} ranks, {programs.unit(cell.test)}: {better} is"
                 " better")
            show(f"{'bytes':>9} {'against':<20}{'theirs':>10} {'Sinew':>10} {'ratio':>8}"
                 f"  {'95 % interval':<17} {'pairs':>5}  way")
        cell_rows(cell, show)
    if before:
        show("\nMedians; the ratio is Sinew's figure by theirs, pair by pair. * the best peer; !"
             " other work, not counted.\nFewer than 6 pairs give no interval of 95 %: what is shown"
             " then is the range.")
