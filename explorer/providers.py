"""Known phases from the databases of the field: any OPTIMADE server, and the Materials Project."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from explorer.phases import subsystems
from explorer.strangers import structure_from_dict
from explorer.structure_files import NamedStructure

TIMEOUT = 60.0
"""Seconds that a server may take for one answer."""
KEY = "MP_API_KEY"


class ProviderError(ValueError):
    """A database that cannot be asked, or that answers with an error."""


@dataclass(frozen=True)
class Provided:
    """What a database gave.

    Attributes
    ----------
    source
        Of the structures.
    structures
        All that could be read.
    refused
        Name to reason of every entry that is no ordered crystal.
    """

    source: str
    structures: list[NamedStructure]
    refused: dict[str, str]


def optimade_filter(elements: Sequence[str]) -> str:
    """Return an OPTIMADE filter for everything made of these elements and no others.

    One condition for each subsystem, since "HAS ONLY" is optional for a server.
    """
    conditions = []
    for system in subsystems(sorted(elements)):
        symbols = system.split("-")
        quoted = ", ".join(f'"{symbol}"' for symbol in symbols)
        conditions.append(f"(elements HAS ALL {quoted} AND nelements={len(symbols)})")
    return " OR ".join(conditions)


def from_optimade(url: str, elements: Sequence[str], most: int = 20_000) -> Provided:
    """Fetch the crystals of a chemical system, subsystems included, from an OPTIMADE server.

    Parameters
    ----------
    url
        Base URL of the server, such as https://optimade.materialsproject.org.
    elements
        Symbols; at least one.
    most
        Entries to take at the most.

    Raises
    ------
    ProviderError
        When the server cannot be reached, or refuses the question.
    """
    from optimade.client import OptimadeClient  # noqa: PLC0415 - slow to import

    question = optimade_filter(elements)
    try:
        # the client prints its errors even when it is silent
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            client = OptimadeClient(
                base_urls=[url.rstrip("/")],
                max_results_per_provider=most,
                http_timeout=TIMEOUT,
                max_attempts=2,
                use_async=False,
                silent=True,
            )
            told = client.get(question, endpoint="structures")
    except Exception as error:
        raise ProviderError(f"cannot ask {url}: {error}") from error
    (answer,) = told["structures"][question].values()
    if answer["errors"]:
        raise ProviderError(
            f"{url} gave no answer: expected an OPTIMADE server: {answer['errors'][0][:200]}"
        )
    return _read_entries(url, answer["data"])


def _read_entries(url: str, entries: Sequence[dict[str, Any]]) -> Provided:
    """Turn OPTIMADE entries into structures, those that are ordered crystals."""
    from optimade.adapters.structures import Structure as Entry  # noqa: PLC0415

    found, refused = [], {}
    for number, entry in enumerate(entries):
        name = str(entry.get("id", f"entry {number}"))
        try:
            structure = Entry(entry).as_pymatgen
            if not getattr(structure, "lattice", None):
                refused[name] = "not a crystal: it has no lattice"
            elif not structure.is_ordered:
                refused[name] = "disordered: partial occupancies"
            else:
                found.append(NamedStructure(name, structure))
        except Exception as error:
            refused[name] = f"cannot be read: {' '.join(str(error).split())[:200]}"
    return Provided(url, found, refused)


def from_materials_project(
    elements: Sequence[str], max_e_above_hull: float, key: str | None = None
) -> Provided:
    """Fetch the near-hull crystals of a chemical system from the Materials Project.

    Parameters
    ----------
    max_e_above_hull
        eV/atom, of the published (DFT) hull.
    key
        API key; by default the environment variable MP_API_KEY.

    Raises
    ------
    ProviderError
        Without a key or the package mp-api, or when the server cannot be asked.
    """
    key = key or os.environ.get(KEY)
    if not key:
        raise ProviderError(
            f"expected an API key of the Materials Project in {KEY}: get one at "
            "https://materialsproject.org/api, or use its OPTIMADE server with --optimade"
        )
    try:
        from mp_api.client import MPRester  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ProviderError(f"expected mp-api: pip install 'hullscape[mp]': {error}") from error
    try:
        with MPRester(key, use_document_model=False, mute_progress_bars=True) as rester:
            documents = rester.materials.summary.search(
                chemsys=subsystems(sorted(elements)),
                energy_above_hull=(0, max_e_above_hull),
                fields=["material_id", "structure"],
            )
    except Exception as error:
        raise ProviderError(f"cannot ask the Materials Project: {error}") from error
    return read_documents(documents)


def read_documents(documents: Sequence[dict[str, Any]]) -> Provided:
    """Turn summary documents of the Materials Project into structures."""
    found = []
    for document in documents:
        structure = document["structure"]
        if isinstance(structure, dict):
            structure = structure_from_dict(structure)
        found.append(NamedStructure(str(document["material_id"]), structure))
    return Provided("Materials Project", found, {})
