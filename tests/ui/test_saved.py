"""Constraints as a file, as a link, and taken from a structure."""

import param
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from explorer.campaign import SpecError
from explorer.ui.draft import PRESETS, Draft, count_in_words
from explorer.ui.elements import model_elements
from explorer.ui.opened import fields_of_file
from explorer.ui.saved import (
    READERS,
    changed_fields,
    read_query,
    read_toml,
    write_query,
    write_toml,
)

FULL = {
    "elements": ["Al", "Ca", "Cu"],
    "formula": "CaAl1-4Cu1-3, CaAl2Cu2",
    "spacegroups": [139, 225],
    "sites": "139:2a=Ca, 139:4e=Al,Cu",
    "max_atoms": 20,
    "stability": "any",
    "subset": True,
    "required": ["Ca"],
    "excluded": ["Pb", "Tl"],
    "n": 7,
    "seed": 9,
    "temperature": 0.8,
    "generator": "substitution",
    "hull": "potential",
    "search": "independent",
    "geometry_temperature": 0.7,
    "again": 0.0,
    "templates": False,
    "unknown": 0.5,
    "prototypes": False,
    "variants": False,
    "best_of": 3,
    "give_up": 0.0,
    "relax_below": 0.3,
    "potential": 'odd "name"',
}


def filled(values) -> Draft:
    """Return a draft with these fields."""
    draft = Draft()
    draft.take(values)
    return draft


@pytest.mark.parametrize("values", [FULL, {}, *PRESETS.values()])
def test_file_and_link_bring_the_same_fields_back(values):
    """Both are inverse to reading them."""
    draft = filled(values)
    assert filled(read_toml(write_toml(draft))).fields() == draft.fields()
    assert filled(read_query(write_query(draft, ""))).fields() == draft.fields()


SYMBOLS = st.lists(st.sampled_from(["Al", "Ca", "Cu", "H", "U"]), unique=True)
WORDS = st.text().map(str.strip)
NUMBERS = st.floats(0, 1e6)
PLACES = st.sampled_from(["139:2a=Ca", "139:4d=none", "139:4e=Al@z=0.34..0.38", "225:4a"])
ANY = {
    "elements": SYMBOLS,
    "required": SYMBOLS,
    "excluded": SYMBOLS,
    "formula": WORDS,
    "potential": WORDS.filter(bool),
    "spacegroups": st.sets(st.integers(1, 230)).map(sorted),
    "sites": st.lists(PLACES, unique=True).map(", ".join),
}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_asked_comes_back(data):
    """Every field that can be saved, with any value that the form takes."""
    draft = Draft()
    kinds = {param.Boolean: st.booleans(), param.Integer: st.integers(0, 10**9)}
    for name in READERS:
        parameter = Draft.param[name]
        choices = st.sampled_from(getattr(parameter, "objects", None) or [None])
        usual = choices if isinstance(parameter, param.Selector) else NUMBERS
        setattr(draft, name, data.draw(ANY.get(name, kinds.get(type(parameter), usual)), name))
    assert filled(read_toml(write_toml(draft))).fields() == draft.fields()
    assert filled(read_query(write_query(draft, ""))).fields() == draft.fields()


def test_a_link_is_readable_and_keeps_what_else_it_holds():
    """Only what differs from the usual is written; the campaign and the theme stay."""
    draft = filled({"elements": ["Al", "Cu"], "spacegroups": [139], "sites": "139:2a=Al"})
    query = write_query(draft, "?campaign=abc&elements=Og&dark=true")
    assert query == "?elements=Al-Cu&spacegroups=139&sites=139:2a=Al&campaign=abc&dark=true"
    assert write_query(filled({}), "?elements=Al") == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("elements = ", "TOML"),
        ("element = ['Al']", "unknown field 'element'"),
        ("max_atoms = 'many'", "max_atoms: expected a whole number"),
        ("spacegroups = ['squarish']", "spacegroups: expected numbers, symbols or crystal systems"),
        ("required = {Al = 1}", "required: expected symbols"),
        ("stability = 'nice'", "low, high or any"),
        ("subset = 3", "true or false"),
        ("elements = {Al = 1}", "elements: expected symbols"),
        ("#" * 70_000, "64 KiB"),
        ("n = " + "9" * 5000, "TOML"),
        ("n = " + "[" * 5000, "TOML"),
        ("x = '" + "y" * 9000 + "'", "unknown field"),
    ],
)
def test_a_bad_file_says_what_was_expected(text, told):
    """One line, with the field."""
    with pytest.raises(SpecError, match=told) as caught:
        read_toml(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_groups_and_states_are_read_as_people_write_them():
    """A link made by hand may name a crystal system; ranges and states keep their notation."""
    read = read_query("?spacegroups=cubic,I4/mmm&formula=CaAl1-4&required=Ca&excluded=Pb-Tl")
    assert read["spacegroups"] == [139, *range(195, 231)]
    assert (read["formula"], read["required"], read["excluded"]) == (
        "CaAl1-4",
        ["Ca"],
        ["Pb", "Tl"],
    )


def test_halves_of_characters_are_written_as_question_marks():
    """A browser may send them; no address and no file can hold them."""
    broken = filled({"formula": "Al\ud800"})
    assert write_query(broken, "") == "?formula=Al%3F"
    assert 'formula = "Al?"' in write_toml(broken)


def test_a_bad_link_is_refused():
    """The value is named."""
    with pytest.raises(SpecError, match="got 'abc'"):
        read_query("?max_atoms=abc")


def test_a_structure_becomes_constraints():
    """Rock salt: its elements, group and both positions; the crystal satisfies them."""
    salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    fields = fields_of_file("salt.vasp", salt.to(fmt="poscar").encode())
    assert fields["elements"] == ["Cl", "Na"]
    assert fields["spacegroups"] == [225]
    assert {site[:6] for site in fields["sites"].split(", ")} == {"225:4a", "225:4b"}
    draft = filled(fields)
    draft.check()
    assert draft.problem == ""


TWO_ATOMS_IN_ONE_PLACE = Structure(Lattice.cubic(4), ["Al", "Al"], [[0, 0, 0], [0.01, 0, 0]])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a/b/broken.cif", b"no crystal", "broken.cif: cannot read"),
        ("list.toml", b"\xff\xfe", "list.toml: expected text in UTF-8"),
        ("list.toml", b"n = 'x'", "list.toml: n: expected a whole number"),
        ("paper.docx", b"x", "paper.docx: unknown structure format"),
        ("close.vasp", TWO_ATOMS_IN_ONE_PLACE.to(fmt="poscar").encode(), "atoms closer than"),
        ("large.cif", b" " * (16 * 2**20 + 1), "at most 16 MiB, got 16.1 MiB"),
    ],
)
def test_a_bad_upload_names_the_file(name, content, told):
    """And never a folder of the server."""
    with pytest.raises(SpecError, match=told) as caught:
        fields_of_file(name, content)
    assert "/tmp" not in str(caught.value)  # noqa: S108 - looked for, not written to
    assert "\n" not in str(caught.value)


def test_changed_fields_leave_out_what_is_usual():
    """An empty form has nothing to save."""
    assert changed_fields(filled({})) == {}
    assert changed_fields(filled({"n": 5})) == {"n": 5}
    assert changed_fields(filled({"n": None, "again": None})) == {"again": 0.0}  # emptied fields


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"elements": ["Al"], "spacegroups": [225], "max_atoms": 1}, "2 Wyckoff skeletons fit"),
        ({"elements": ["Al"], "spacegroups": [229], "max_atoms": 1}, "1 Wyckoff skeleton fits"),
        ({"elements": ["Al", "Ca", "Cu"], "spacegroups": [139]}, "about "),
        ({"elements": ["Al", "Ca", "Cu"]}, "more than 10"),
    ],
)
def test_the_number_of_skeletons_is_told(fields, words):
    """Exactly where it was counted, else as a bound."""
    draft = filled(fields)
    draft.check()
    assert count_in_words(draft.spec, model_elements()).startswith(words)
