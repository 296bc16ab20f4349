"""Hand hostile and malformed inputs to the program, and tell whether any did harm.

`python tests/faults/hostile.py --inputs 20000 --seed 1 --json out.json` makes them from the seed,
of every kind that people hand in, gives each to the functions that the page and the command give
it to, relaxes some of the structures that were read with the real potential, and prints counts.
`--first N --inputs 1` repeats one of them. Exit status 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hostile_process import Answer, Process
from hostile_relax import relaxed
from pymatgen.core import Structure

LONGEST_SECONDS = 10.0
"""In which every input has its verdict, as the program itself counts: without waiting for a
processor."""
LISTED = 100
"""Violations that the figures spell out."""


@dataclass
class Report:
    """What came out.

    Attributes
    ----------
    inputs : int
    verdicts : dict of str to Counter
        Of each kind of input, how many were accepted and refused.
    entries : Counter
        How often each place was tried.
    wrong : list of str
        Everything that must never be seen.
    slowest : tuple of float and int
        Seconds of the slowest verdict, and the number of its input.
    relaxed : dict
        What became of the structures that were relaxed.
    """

    inputs: int = 0
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)
    entries: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    relaxed: dict[str, int] = field(default_factory=dict)

    def take(self, answer: Answer) -> None:
        """Count one input."""
        self.inputs += 1
        self.entries[answer.entry] += 1
        verdict = "accepted" if answer.accepted else "refused"
        self.verdicts.setdefault(answer.kind, Counter())[verdict] += 1
        self.slowest = max(self.slowest, (round(answer.seconds, 2), answer.number))
        wrong = list(answer.wrong)
        if answer.seconds > LONGEST_SECONDS:
            wrong.append(
                f"no verdict within {LONGEST_SECONDS:g} s but after {answer.seconds:.1f} s"
            )
        for what in wrong:
            self.wrong.append(f"{answer.number} ({answer.kind}, {answer.entry}): {what}")
            print(self.wrong[-1], file=sys.stderr)

    def figures(self) -> dict[str, Any]:
        """Return what came out as plain numbers and words."""
        return {
            "inputs": self.inputs,
            "accepted": sum(counts["accepted"] for counts in self.verdicts.values()),
            "refused": sum(counts["refused"] for counts in self.verdicts.values()),
            "violations": len(self.wrong),
            "kinds": {kind: dict(counts) for kind, counts in sorted(self.verdicts.items())},
            "handed_in_at": dict(self.entries),
            "slowest_seconds_and_input": self.slowest,
            "relaxed": self.relaxed,
            "wrong": self.wrong[:LISTED],
        }


def run(
    seed: int, numbers: Sequence[int], folder: Path, to_relax: int, minutes: float = 1e9
) -> Report:
    """Hand in these inputs, in a process that stands for web server and command."""
    report, kept, end = Report(), [], time.monotonic() + 60 * minutes
    for answer in _answers(seed, numbers, folder):
        report.take(answer)
        kept += answer.structures
        if report.inputs % 500 == 0:
            print(f"{report.inputs}: {len(report.wrong)} wrong", file=sys.stderr)
        if time.monotonic() > end:
            break
    report.wrong += _left_behind(folder)
    if to_relax and kept:
        counts, wrong = relaxed(_spread(kept, to_relax))
        report.relaxed = dict(counts)
        report.wrong += wrong
    return report


def _answers(seed: int, numbers: Sequence[int], folder: Path) -> Iterator[Answer]:
    """Yield what becomes of each input; one that ends the process is told, and the rest goes on."""
    left = list(numbers)
    while left:
        with Process(seed, left, folder) as process:
            for answer in process.answers():
                left.remove(answer.number)
                yield answer


def _left_behind(folder: Path) -> list[str]:
    """Tell of files that nobody was asked to write: inputs have a folder, nothing else is made."""
    known = {"inputs", "campaigns.db", "campaigns.db-wal", "campaigns.db-shm", "temporary"}
    strange = [path.name for path in folder.iterdir() if path.name not in known]
    leaked = [p.name for p in (folder / "temporary").iterdir() if "torchinductor" not in p.name]
    return [f"a file was left behind: {name}" for name in (*strange, *leaked)]


def _spread(structures: Sequence[Structure], most: int) -> list[Structure]:
    """Return so many of the structures, evenly chosen."""
    step = max(1, len(structures) // most)
    return list(structures[::step][:most])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--minutes", type=float, default=1e9, help="hand in none after so long")
    parser.add_argument("--seed", type=int, default=1, help="decides all that is random")
    parser.add_argument("--relax", type=int, default=200, help="structures to relax, at most")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args(arguments)
    began, numbers = time.monotonic(), range(options.first, options.first + options.inputs)
    with TemporaryDirectory(prefix="hullscape-hostile-") as folder:
        report = run(options.seed, numbers, Path(folder), options.relax, options.minutes)
    told = report.figures() | {"seed": options.seed, "seconds": round(time.monotonic() - began)}
    text = json.dumps(told, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
