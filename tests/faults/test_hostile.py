"""A short round of hostile inputs, and checks that do notice what must never be seen."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hostile import run
from hostile_checks import wrong_files, wrong_message, wrong_page, wrong_structure, wrong_table
from hostile_inputs import KINDS, MARK, PAYLOAD, make
from pymatgen.core import Lattice, Structure

INPUTS = 100


def test_hostile_inputs_get_a_verdict_and_do_no_harm(tmp_path: Path) -> None:
    """Each is accepted or refused in one line; nothing dies, nothing runs, nothing is left."""
    report = run(7, range(INPUTS), tmp_path, to_relax=0)
    assert report.wrong == []
    assert report.inputs == INPUTS
    verdicts = {name for counts in report.verdicts.values() for name in counts}
    assert verdicts == {"accepted", "refused"}
    assert not list(tmp_path.rglob(MARK))


def test_an_input_is_decided_by_seed_and_number() -> None:
    """The command can repeat any of them; all kinds come."""
    assert [make(3, n) for n in range(20)] == [make(3, n) for n in range(20)]
    assert {make(3, n).kind for n in range(250)} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_differs_from_one_to_the_next(kind: str) -> None:
    """No kind is a single file."""
    made = {KINDS[kind][1](Random(seed)) for seed in range(12)}
    assert len(made) > 1


def test_the_checks_see_what_must_never_be_seen() -> None:
    """A script, a formula, a path, lines and atoms at one place are told apart from sound ones."""
    assert list(wrong_page(f"<p>a <img src=x {PAYLOAD} onerror=alert(1)></p>")) != []
    assert list(wrong_page(f"<p>a &lt;img {PAYLOAD}&gt;</p>")) == []
    assert list(wrong_table("a,=1+1\r\n")) != []
    assert list(wrong_table("-1.5,'=1+1\r\n")) == []
    assert list(wrong_files(["../a", "cifs/a.cif"])) == ["an export would write '../a'"]
    assert list(wrong_message("one\ntwo")) == ["a message of several lines"]
    cell = Lattice.cubic(4)
    assert list(wrong_structure(Structure(cell, ["Na", "Na"], [[0, 0, 0], [0, 0, 0.01]]))) != []
    assert list(wrong_structure(Structure(cell, ["Na"], [[np.nan, 0, 0]]))) != []
    assert list(wrong_structure(Structure(cell, ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]))) == []
