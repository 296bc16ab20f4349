"""Break the program on purpose, again and again, and tell whether anything was lost.

`python tests/faults/run.py --rounds 20 --seed 1` runs 20 campaigns with the real runner and web
server while they are killed, frozen, locked out and starved at moments that the seed decides, and
compares each with an undisturbed campaign of the same seed. Exit status 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from fault_kinds import FAULTS, KILLS
from fault_machine import Machine
from fault_round import Report, disturbed, undisturbed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="campaigns to run")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no round after so long")
    parser.add_argument("--seed", type=int, default=0, help="decides all that is random")
    parser.add_argument("--seeds", type=int, default=3, help="different campaigns, in turns")
    parser.add_argument("--crystals", type=int, default=64, help="of each campaign")
    parser.add_argument("--kinds", nargs="*", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--web", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", type=Path, help="write the figures here after each round")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="hullscape-faults-") as folder:
        report = _rounds(options, Path(folder))
    print(json.dumps(figures(report), indent=2))
    return 1 if report.wrong else 0


def _rounds(options: argparse.Namespace, folder: Path) -> Report:
    random, report, began = Random(options.seed), Report(), time.monotonic()
    seeds = range(options.seed, options.seed + min(options.seeds, options.rounds))
    expected = {
        seed: undisturbed(folder / f"calm-{seed}", seed, options.crystals) for seed in seeds
    }
    with Machine(folder / "storm", web=options.web) as machine:
        for turn in range(options.rounds):
            if time.monotonic() - began > 60 * options.minutes:
                break
            seed = seeds[turn % len(seeds)]
            disturbed(machine, random, expected[seed], seed, options.kinds, report)
            print(f"{turn + 1}: {dict(report.faults)}, wrong {report.wrong}", file=sys.stderr)
            if options.json:
                options.json.write_text(json.dumps(figures(report), indent=2), encoding="utf-8")
    return report


def figures(report: Report) -> dict[str, object]:
    """Return a report as plain numbers."""
    told = asdict(report) | {"kills": sum(report.faults[kind] for kind in KILLS)}
    for name in ("recovery", "web"):
        seconds = sorted(told.pop(name))
        told[f"{name}_seconds"] = {
            "n": len(seconds),
            "median": round(seconds[len(seconds) // 2], 2) if seconds else None,
            "p95": round(seconds[int(0.95 * (len(seconds) - 1))], 2) if seconds else None,
            "max": round(seconds[-1], 2) if seconds else None,
        }
    return told


if __name__ == "__main__":
    sys.exit(main())
