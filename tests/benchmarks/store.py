"""How fast the store takes candidates in from many writers, and opens a campaign of many rows.

`python tests/benchmarks/store.py ingest --writers 8 --seconds 20 --rate 500` and
`python tests/benchmarks/store.py open --rows 1000000` print their figures as JSON. Candidates are
made up, of four atoms each; every writer is a process that gives its signs of life as a runner
does, which wait for the disk, and with it for all that was written before.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure
from sqlalchemy import update

sys.path.insert(0, str(Path(__file__).parents[2]))

from explorer.campaign import CampaignSpec
from explorer.candidate import Candidate, State
from explorer.lease import Leases, new_owner
from explorer.rows import candidate_row
from explorer.runner import Pulse
from explorer.schema import campaigns, candidates
from explorer.store import Store

CRYSTAL = Structure(
    Lattice.cubic(4.05), ["Al"] * 4, [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
)
MADE_UP = Candidate(
    id="",
    index=0,
    formula="Al",
    state=State.RELAXED,
    novel=True,
    log_likelihood=-12.0,
    energy_per_atom=-3.7,
    energy_above_hull=0.02,
    initial=CRYSTAL,
    relaxed=CRYSTAL,
    forces=np.zeros((4, 3)),
    stress=np.zeros((3, 3)),
)
BLOCK = 5000
PAGE = 10_000


def made_up(indices: Iterable[int]) -> Iterator[Candidate]:
    """Yield candidates of these draw indices."""
    for index in indices:
        yield replace(MADE_UP, id=f"{index:08d}", index=index)


def write(url: str, name: str, seconds: float, pace: float, begin: Any, told: Any) -> None:
    """Commit one candidate every `pace` seconds, as a runner does, and tell how long each took.

    Counted from when it was due; at a pace of 0, from when the one before it was done.
    """
    store = Store(url)
    leases = Leases(store.engine, new_owner())
    lease = leases.take(name)
    ready = made_up(count())
    begin.wait()
    end, took = time.perf_counter() + seconds, []
    with Pulse(leases, lease, None):
        due = time.perf_counter() + random.uniform(0, pace)
        while max(due, time.perf_counter()) < end:
            time.sleep(max(0.0, due - time.perf_counter()))
            store.put_candidates(lease, [next(ready)])
            done = time.perf_counter()
            took.append(done - due)
            due = due + pace if pace else done
    told.put(took)


def ingest(url: str, writers: int, seconds: float, rate: float) -> dict[str, Any]:
    """Let several processes write at once, each to a campaign of its own."""
    spawn = multiprocessing.get_context("spawn")
    store, told, begin = Store(url), spawn.Queue(), spawn.Barrier(writers)
    names = [store.create(CampaignSpec(elements=("Al",))) for _ in range(writers)]
    pace = writers / rate if rate else 0.0
    arguments = [(url, name, seconds, pace, begin, told) for name in names]
    processes = [spawn.Process(target=write, args=given) for given in arguments]
    for process in processes:
        process.start()
    took = [told.get() for _ in processes]
    for process in processes:
        process.join()
    stored = sum(store.drawn(name) for name in names)
    every = np.concatenate(took) * 1000
    return {
        "writers": writers,
        "acknowledged": len(every),
        "stored": stored,
        "candidates_per_second": round(len(every) / seconds, 1),
        "milliseconds": {f"p{q}": round(float(np.percentile(every, q)), 2) for q in (50, 95, 99)},
        "slowest_milliseconds": round(float(every.max()), 1),
        "fewest_and_most_of_a_writer": [min(map(len, took)), max(map(len, took))],
    }


def open_many(url: str, rows: int) -> dict[str, Any]:
    """Fill a campaign, then read it as a page does that has just been opened."""
    store = Store(url)
    name = store.create(CampaignSpec(elements=("Al",), n=rows))
    _fill(store, name, rows)
    store.close()
    asked: dict[str, Callable[[Store], Any]] = {
        "opening the store": lambda opened: opened,
        "the campaign with its counts": lambda opened: opened.campaign(name),
        "the list of campaigns": lambda opened: opened.campaigns(),
        f"the first {PAGE} rows": lambda opened: opened.candidates(
            name, structures=False, limit=PAGE
        ),
        f"the last {PAGE} rows": lambda opened: opened.candidates(
            name, rows - PAGE, structures=False, limit=PAGE
        ),
        "one candidate": lambda opened: opened.candidate(name, f"{rows // 2:08d}"),
    }
    return {"rows": rows, "seconds": dict(_timed(url, asked))}


def _fill(store: Store, name: str, rows: int) -> None:
    """Put candidates in without a runner, which would have to make each of them."""
    model = candidate_row(name, replace(MADE_UP, id="NAME", index=-1), 0)
    with store.engine.execution_options(writes=True).begin() as connection:
        for start in range(0, rows, BLOCK):
            block = [_copy(model, index) for index in range(start, min(start + BLOCK, rows))]
            connection.execute(candidates.insert(), block)
        connection.execute(update(campaigns).values(sequence=rows))


def _copy(model: dict[str, Any], index: int) -> dict[str, Any]:
    name = f"{index:08d}"
    facts = (
        model["facts"].replace('"NAME"', f'"{name}"').replace('"index": -1', f'"index": {index}')
    )
    return model | {"number": index, "id": name, "sequence": index + 1, "facts": facts}


def _timed(url: str, asked: dict[str, Callable[[Store], Any]]) -> Iterator[tuple[str, float]]:
    """Time each question on a store that is opened for it."""
    for words, ask in asked.items():
        began = time.perf_counter()
        store = Store(url)
        ask(store)
        yield words, round(time.perf_counter() - began, 4)
        store.close()


def main() -> int:
    """Measure what is asked for, in a folder that is thrown away, or in a database by URL."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["ingest", "open"])
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument(
        "--rate", type=float, default=0.0, help="candidates/s of all writers; 0: all they can"
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--store", help="URL of an empty database; a new SQLite file without it")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="hullscape-bench-") as folder:
        url = options.store or f"sqlite:///{folder}/campaigns.db"
        if options.what == "ingest":
            figures = ingest(url, options.writers, options.seconds, options.rate)
        else:
            figures = open_many(url, options.rows)
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
