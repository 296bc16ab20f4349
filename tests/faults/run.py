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
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from fault_kinds import FAULTS
from fault_machine import Machine
from fault_round import Report, disturbed, undisturbed
from fault_witness import WaitedInVainError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="campaigns to run")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no round after so long")
    parser.add_argument("--seed", type=int, default=0, help="decides all that is random")
    parser.add_argument("--seeds", type=int, default=3, help="different campaigns, in turns")
    parser.add_argument("--faults", type=int, default=12, help="at most, in each campaign")
    parser.add_argument("--crystals", type=int, default=64, help="of each campaign")
    parser.add_argument("--kinds", nargs="*", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--web", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", type=Path, help="write the figures here after each round")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="hullscape-faults-") as folder:
        report = _rounds(options, Path(folder))
    print(json.dumps(report.figures(), indent=2))
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
            limit = options.faults
            try:
                disturbed(machine, random, expected[seed], seed, options.kinds, report, limit)
            except WaitedInVainError as error:
                report.wrong.append(f"{error} after {dict(report.faults)}")
                break
            print(f"{turn + 1}: {dict(report.faults)}, wrong {report.wrong}", file=sys.stderr)
            if options.json:
                options.json.write_text(json.dumps(report.figures(), indent=2), encoding="utf-8")
    return report


if __name__ == "__main__":
    sys.exit(main())
