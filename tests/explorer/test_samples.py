"""Crystals of another generator go with their campaign: into the store, to the runner, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from sqlalchemy import delete, func, select

from explorer import schema
from explorer.baseline_imported import packed_samples
from explorer.baselines import Drawn
from explorer.campaign import CampaignSpec, SpecError
from explorer.generators import open_source
from explorer.samples import Sample, count_fitting
from explorer.store import Store
from explorer.structure_files import NamedStructure, write_structures
from model.crystal import Site, WyckoffCrystal


def cell(a: float, *symbols: str) -> Structure:
    """Return a slanted cell with coordinates that no short decimal has."""
    places = np.random.default_rng(len(symbols)).random((len(symbols), 3))
    return Structure(Lattice.from_parameters(a, a + 1 / 3, a, 80, 95, 100), symbols, places)


ALCU = Drawn(0, given=cell(3.0, "Al", "Cu"), name="gen_0042")
WIDE = Drawn(1, given=cell(6.0, "Al", "Al", "Cu"))
SALT = Drawn(
    2, crystal=WyckoffCrystal(221, (Site("a", "Cs"), Site("b", "Cl")), (4.1,) * 3 + (90,) * 3)
)
BROKEN = Drawn(3, reason="unreadable: no atoms")
SAMPLES = [Sample.of(one) for one in (ALCU, WIDE, SALT, BROKEN)]
SPEC = CampaignSpec.parse(elements="Al-Cu", generator="file", samples="mine.zip", n=2)


@pytest.fixture
def store(tmp_path: Path):
    """Return an empty store."""
    opened = Store(tmp_path / "campaigns.db")
    yield opened
    opened.close()


def test_a_sample_comes_out_of_the_store_to_the_last_digit(store: Store) -> None:
    """Cells, sites and reasons, in their order; what constraints ask of it is known unpacked."""
    name = store.create(SPEC, samples=SAMPLES)
    assert store.samples(name) == SAMPLES
    alcu, wide, salt, broken = (one.drawn(k) for k, one in enumerate(store.samples(name)))
    assert np.array_equal(alcu.given.lattice.matrix, ALCU.given.lattice.matrix)
    assert np.array_equal(wide.given.frac_coords, WIDE.given.frac_coords)
    assert (alcu.name, wide.name) == ("gen_0042", "")
    assert wide.given.species == WIDE.given.species
    assert (salt.index, salt.crystal) == (2, SALT.crystal)
    assert (broken.structure, broken.reason) == (None, "unreadable: no atoms")
    for packed, one in zip(SAMPLES, (ALCU, WIDE, SALT, BROKEN), strict=True):
        assert (packed.symbols, packed.formula, packed.atoms) == (
            one.symbols,
            one.formula,
            one.atoms,
        )
    assert store.samples(store.create(CampaignSpec(elements=("Al",)))) == []


def test_properties_that_are_no_json_are_left_behind() -> None:
    """A file may hang arrays on sites; oxidation states and shares of a site come along."""
    mixed = Structure(
        Lattice.cubic(4),
        [{"Al3+": 0.5, "Cu": 0.5}],
        [[0.0] * 3],
        site_properties={"v": [np.ones(3)]},
    )
    back = Sample.of(Drawn(0, given=mixed)).drawn(0).given
    assert back[0].species == mixed[0].species
    assert back.site_properties == {}


def test_a_campaign_is_not_queued_without_its_samples(store: Store) -> None:
    """Both or neither: a sample that cannot be written takes the campaign back with it."""
    unwritable = replace(SAMPLES[1], packed=None)
    with pytest.raises(Exception, match="NOT NULL"):
        store.create(SPEC, samples=[SAMPLES[0], unwritable])
    assert store.campaigns() == []
    with store.engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.samples)) == 0


def test_samples_leave_with_their_campaign(store: Store) -> None:
    """A campaign in the bin keeps them, since it may come back; one that is gone leaves none."""
    kept, gone = (store.create(SPEC, samples=SAMPLES) for _ in range(2))
    store.delete(gone)
    assert store.samples(gone) == SAMPLES
    with store.engine.execution_options(writes=True).begin() as connection:
        connection.execute(delete(schema.campaigns).where(schema.campaigns.c.id == gone))
        left = set(connection.scalars(select(schema.samples.c.campaign_id)))
    assert left == {kept}


def test_a_source_of_stored_samples_needs_no_file_and_is_the_same(tmp_path: Path) -> None:
    """Its identity, which a campaign goes on with, is that of the file."""
    file = tmp_path / "mine.zip"
    write_structures(file, [NamedStructure("a", ALCU.given), NamedStructure("b", WIDE.given)])
    spec = SPEC.model_copy(update={"samples": str(file)})
    packed, read = packed_samples(file), open_source(spec, None)
    file.unlink()
    stored = open_source(spec, None, samples=packed)
    assert (stored.name, stored.identity) == (read.name, read.identity)
    drawn = list(stored.generate(spec.constraints(), n=9))
    assert [one.formula for one in drawn] == [ALCU.formula, WIDE.formula]


@pytest.mark.parametrize(
    ("elements", "samples", "complaint"),
    [
        ("Na-Cl", SAMPLES, "none of the 4 in mine.zip is of Cl-Na: choose other elements"),
        (
            "Al-Cu",
            SAMPLES[3:],
            "none of the 1 in mine.zip can be read, the first because: no atoms",
        ),
    ],
)
def test_samples_of_which_none_fits_are_refused(elements, samples, complaint) -> None:
    """At their field, with what is wrong."""
    spec = SPEC.model_copy(update={"elements": tuple(elements.split("-"))})
    with pytest.raises(SpecError, match=complaint) as caught:
        count_fitting(spec, samples)
    assert caught.value.field == "samples"


def test_constraints_choose_among_samples_as_among_drawn_crystals() -> None:
    """System, size, formula; where nothing is said of elements, all."""
    assert count_fitting(SPEC, SAMPLES) == 2
    assert count_fitting(SPEC.model_copy(update={"max_atoms": 2}), SAMPLES) == 1
    assert count_fitting(SPEC.model_copy(update={"formula": "Al2Cu"}), SAMPLES) == 1
    assert count_fitting(SPEC.model_copy(update={"elements": ()}), SAMPLES) == 4
