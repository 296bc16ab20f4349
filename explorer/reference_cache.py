"""Known phases at the energies of potentials for which no set is shipped, in the cache folder.

One SQLite file for each potential, its weights and correction, the settings of the relaxation and
the published phases that it started from: energies of two of these never lie in one file. A phase
is written as soon as it is settled, so a process may be killed at any moment, and several may add
to one file at once.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from explorer.phases import Phase, ReferenceFileError, form_id, phase_from_row, subsystems
from explorer.potential_base import digest
from explorer.potentials import EnergyLevel

SUFFIX = ".sqlite"
FORMAT = 1
"""Of the file; another one is another file."""
BUSY_SECONDS = 30.0
MANY = 500
"""SQLite takes at most 999 values in one question."""
TABLES = """
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY, asked REAL NOT NULL);
CREATE TABLE IF NOT EXISTS systems (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS phases (
    id TEXT PRIMARY KEY, chemsys TEXT NOT NULL, energy REAL, phase TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS phases_of_system ON phases (chemsys);
"""


def cache_folder() -> Path:
    """Return where the files lie; it need not exist."""
    return user_cache_path("hullscape").absolute() / "references"


@dataclass(frozen=True)
class ReferenceCache:
    """One file of relaxed phases.

    Raises
    ------
    ReferenceFileError
        From every method, when the file cannot be read or written.
    """

    path: Path

    @classmethod
    def of(
        cls, level: EnergyLevel, origin: Mapping[str, Any], say: Callable[[str], None]
    ) -> ReferenceCache:
        """Open the file of a level and what else decides the energies, or make it.

        Parameters
        ----------
        level
            Of the energies.
        origin
            Settings of the relaxation and the set that its phases come from, as JSON can hold them.
        say
            Hears of a damaged file, which is set aside.
        """
        notes = {"level": level.to_dict(), **origin, "format": FORMAT}
        mark = json.dumps(notes, sort_keys=True)
        label = re.sub(r"[^\w.-]+", "-", level.potential)
        cache = cls(cache_folder() / f"{label}-{digest([mark.encode()])}{SUFFIX}")
        try:
            cache.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                cache._make(notes)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                cache._set_aside(error, say)
                cache._make(notes)
        except (OSError, sqlite3.Error) as error:
            raise cache._trouble(error) from error
        return cache

    def _make(self, notes: Mapping[str, Any]) -> None:
        """Make the tables that are not there, and find out whether the file is whole."""
        with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            connection.executescript(f"BEGIN IMMEDIATE;{TABLES}COMMIT;")
            rows = [(name, json.dumps(value)) for name, value in notes.items()]
            connection.executemany("INSERT OR IGNORE INTO notes VALUES (?, ?)", rows)
            connection.commit()

    def _set_aside(self, error: Exception, say: Callable[[str], None]) -> None:
        aside = self.path.with_suffix(f".damaged-{time.time_ns()}")
        self.path.rename(aside)
        self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
        say(f"{self.path} is damaged ({error}): set aside as {aside.name}, and begun anew")

    def put(self, phase: Phase) -> None:
        """Keep a phase; of two processes that settle the same one, the first is believed."""
        energy = phase.energy_per_atom if math.isfinite(phase.energy_per_atom) else None
        row = (phase.id, phase.chemsys, energy, json.dumps(_row(phase)))
        with self._open("BEGIN IMMEDIATE") as connection:
            # An element without an energy was tried again: without it there is no hull at all.
            connection.execute("DELETE FROM phases WHERE id = ? AND energy IS NULL", row[:1])
            connection.execute("INSERT OR IGNORE INTO phases VALUES (?, ?, ?, ?)", row)

    def settled(self, ids: Sequence[str]) -> set[str]:
        """Return which of these phases need no further work.

        A compound without an energy is settled too; an element without one is worth another try.
        """
        known: set[str] = set()
        with self._open() as connection:
            for start in range(0, len(ids), MANY):
                some = ids[start : start + MANY]
                query = (
                    f"SELECT id FROM phases WHERE id IN ({', '.join('?' * len(some))}) "  # noqa: S608
                    "AND (energy IS NOT NULL OR chemsys LIKE '%-%')"
                )
                known.update(name for (name,) in connection.execute(query, some))
        return known

    def phases(self, elements: Sequence[str], *, failed: bool = False) -> list[Phase]:
        """Return the phases of a system, and of all inside it; see `phases_of`."""
        return self.phases_of(subsystems(elements), failed=failed)

    def phases_of(self, systems: Sequence[str], *, failed: bool = False) -> list[Phase]:
        """Return the phases of exactly these systems that have an energy.

        With `failed`, those without one instead; `remark` says why.
        """
        found: list[Phase] = []
        with self._open() as connection:
            for start in range(0, len(systems), MANY):
                some = systems[start : start + MANY]
                query = (
                    f"SELECT phase FROM phases WHERE chemsys IN ({', '.join('?' * len(some))}) "  # noqa: S608
                    f"AND energy IS {'' if failed else 'NOT'} NULL ORDER BY chemsys, id"
                )
                rows = connection.execute(query, some).fetchall()
                found += [phase_from_row(json.loads(text)) for (text,) in rows]
        return found

    def remember(self, name: str, systems: Iterable[Sequence[str]]) -> None:
        """Write down that systems are whole, and by what name the potential is asked for."""
        whole = {(inside,) for elements in systems for inside in subsystems(elements)}
        with self._open("BEGIN IMMEDIATE") as connection:
            connection.execute("INSERT OR REPLACE INTO names VALUES (?, ?)", (name, time.time()))
            connection.executemany("INSERT OR IGNORE INTO systems VALUES (?)", sorted(whole))

    def holds(self, elements: Sequence[str]) -> bool:
        """Whether all phases of a system are there."""
        system = "-".join(sorted(elements))
        query = "SELECT 1 FROM systems WHERE name = ?"
        with self._open() as connection:
            return connection.execute(query, (system,)).fetchone() is not None

    def asked(self, name: str) -> float:
        """Return when a potential was last asked for by this name, seconds since 1970; 0: never."""
        query = "SELECT asked FROM names WHERE name = ?"
        with self._open() as connection:
            return next(iter(connection.execute(query, (name,)).fetchone() or ()), 0.0)

    def level(self) -> EnergyLevel:
        """Return the level of all energies in the file."""
        return EnergyLevel.from_dict(self.notes()["level"])

    def notes(self) -> dict[str, Any]:
        """Return what the energies come from."""
        with self._open() as connection:
            rows = connection.execute("SELECT name, value FROM notes").fetchall()
            return {name: json.loads(value) for name, value in rows}

    def contents(self) -> dict[str, Any]:
        """Return how much it holds, and by which names it is asked for."""
        with self._open() as connection:
            counts = "SELECT count(*), count(energy), count(DISTINCT chemsys) FROM phases"
            phases, energies, systems = connection.execute(counts).fetchone()
            like = "SELECT count(*) FROM phases WHERE id LIKE ?"
            (forms,) = connection.execute(like, (form_id("%"),)).fetchone()
            names = [name for (name,) in connection.execute("SELECT name FROM names")]
        counted = {"systems": systems, "phases": energies - forms, "forms": forms}
        return {"asked_as": names, **counted, "without_energy": phases - energies}

    @contextmanager
    def _open(self, begin: str = "BEGIN") -> Iterator[sqlite3.Connection]:
        """Open the file, which must exist, for one transaction."""
        address = f"{self.path.absolute().as_uri()}?mode=rw"
        options = {"uri": True, "timeout": BUSY_SECONDS, "isolation_level": None}
        try:
            with closing(sqlite3.connect(address, **options)) as connection, connection:
                connection.execute(begin)
                yield connection
        except (sqlite3.Error, ValueError, KeyError) as error:
            raise self._trouble(error) from error

    def _trouble(self, error: Exception) -> ReferenceFileError:
        return ReferenceFileError(
            f"cannot use the relaxed reference phases in {self.path}: {error}: make room there, "
            "or begin anew after 'hullscape references clear'"
        )


def cached_sets() -> list[ReferenceCache]:
    """Return every file of the cache folder."""
    return [ReferenceCache(path) for path in sorted(cache_folder().glob(f"*{SUFFIX}"))]


def cached_file(name: str, elements: Sequence[str], *, whole: bool = True) -> Path | None:
    """Return the file that holds a system for a potential as it was asked for, the newest.

    Looks into small files only and loads no potential, so a page may ask again and again.

    Parameters
    ----------
    name, elements
        Of the potential, and the system.
    whole
        Whether all phases of the system must be there, or each element is enough.
    """
    systems = [tuple(elements)] if whole else [(symbol,) for symbol in elements]
    found = [(_asked(cache, name, systems), cache.path) for cache in cached_sets()]
    asked, path = max(found, default=(0.0, None))
    return path if asked else None


def clear(name: str | None = None) -> list[Path]:
    """Delete the files of a potential, by a name it was asked for, or all; returns which.

    Those that cannot be read, or were set aside, go with all.
    """
    if name is None:
        gone = [cache.path for cache in cached_sets()]
        gone += sorted(cache_folder().glob("*.damaged-*"))
    else:
        gone = [cache.path for cache in cached_sets() if _asked(cache, name)]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def _asked(cache: ReferenceCache, name: str, systems: Sequence[Sequence[str]] = ()) -> float:
    """Return when a potential was last asked for by a name; 0 also where a system is not whole.

    A damaged file holds nothing: a search begins it anew, and says so.
    """
    try:
        return cache.asked(name) if all(map(cache.holds, systems)) else 0.0
    except ReferenceFileError:
        return 0.0


def _row(phase: Phase) -> dict[str, Any]:
    """Return a phase as `phase_from_row` reads it."""
    values = {item.name: getattr(phase, item.name) for item in fields(phase)}
    values["e_above_hull"] = values.pop("e_above_hull_dft")
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }
