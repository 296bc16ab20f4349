"""Bad structures meet gates before and after a potential: a reason, in bounded time."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from pymatgen.core import DummySpecies, Lattice, Species, Structure

from explorer.potentials import PotentialError, potential
from explorer.relax import Relaxer

SECONDS = 60.0
"""Given to each structure; the relaxer itself ends what takes longer."""


@pytest.fixture(scope="module")
def relaxer() -> Iterator[Relaxer]:
    """One worker with the default potential."""
    with Relaxer(potential("chgnet"), workers=1, max_seconds=SECONDS, max_steps=60) as shared:
        shared.warm_up()
        yield shared


def salt(a: float = 5.6) -> Structure:
    """Return rock salt in its cubic cell."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def with_nan() -> Structure:
    """Return rock salt with an atom nowhere."""
    bad = salt()
    bad.translate_sites([0], [np.nan] * 3)
    return bad


def cell(lattice: Lattice, *sites: list[float]) -> Structure:
    """Return sodium at the sites of a cell."""
    return Structure(lattice, ["Na"] * len(sites), list(sites))


BAD = {
    "nan": (with_nan(), "non-finite coordinates"),
    "identical positions": (cell(Lattice.cubic(4), [0, 0, 0], [0, 0, 0]), "closer than 0.7"),
    "overlap": (cell(Lattice.cubic(4), [0, 0, 0], [0.1, 0, 0]), "closer than 0.7"),
    "partial": (
        Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]]),
        "partially occupied",
    ),
    "dummy": (Structure(Lattice.cubic(4), [DummySpecies("X")], [[0, 0, 0]]), "unknown element X"),
    "unknown": (Structure(Lattice.cubic(4), ["Po"], [[0, 0, 0]]), "does not know Po"),
    "flat": (cell(Lattice.from_parameters(5, 5, 5, 90, 90, 0.01), [0, 0, 0]), "flat"),
    "500 A": (cell(Lattice.cubic(500), [0, 0, 0]), "cell length"),
    "0.6 A": (cell(Lattice.cubic(0.6), [0, 0, 0]), "cell length"),
    "lonely": (cell(Lattice.cubic(7.5), [0, 0, 0]), ""),
    "no atoms": (Structure(Lattice.cubic(4), [], []), "no atoms"),
}


def test_each_bad_structure_has_its_reason_and_the_batch_goes_on(relaxer: Relaxer) -> None:
    """Good crystals in the same batch relax; every bad one is told apart, and nothing is lost."""
    items = [(name, structure) for name, (structure, _) in BAD.items()]
    items.insert(3, ("first", salt(5.5)))
    items.append(("last", salt(5.8)))
    began = time.monotonic()
    results = dict(relaxer.relax(items))
    assert time.monotonic() - began < SECONDS * len(items)
    assert set(results) == {*BAD, "first", "last"}
    assert results["first"].converged
    assert results["last"].converged
    for name, (_, words) in BAD.items():
        assert not results[name].converged, name
        assert results[name].reason, name
        assert words in results[name].reason


def test_isotopes_and_charges_are_the_element(relaxer: Relaxer) -> None:
    """Deuterium and Na+ are what a potential knows as H and Na, or are refused by name."""
    charged = Structure(
        Lattice.cubic(5.6).get_niggli_reduced_lattice(), [Species("Na", 1)], [[0, 0, 0]]
    )
    heavy = Structure(Lattice.cubic(3.0), ["D", "D"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    results = dict(relaxer.relax([("charged", charged), ("heavy", heavy)]))
    for result in results.values():
        assert result.converged or result.reason


def test_small_and_large_cells_are_taken(relaxer: Relaxer) -> None:
    """One atom and five hundred: an energy, or the reason that the time ran out."""
    small = cell(Lattice.cubic(4.2).get_niggli_reduced_lattice(), [0, 0, 0])
    large = salt().make_supercell((4, 4, 4), in_place=False)
    assert len(large) == 512
    results = dict(relaxer.relax([("small", small), ("large", large)]))
    assert results["small"].converged
    assert results["large"].converged or results["large"].reason.startswith("gave up after 60")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is missing"), (b"", "cannot load"), (b"not a model", "cannot load")],
)
def test_a_damaged_checkpoint_is_one_clear_line(
    content: bytes | None, words: str, tmp_path: object
) -> None:
    """An incomplete folder, an empty file and a file of something else."""
    for name in ("model.json", "model.pt", "state.pt"):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(PotentialError, match=words) as caught:
        potential(f"matgl:{tmp_path}")
    assert "\n" not in str(caught.value).strip()
