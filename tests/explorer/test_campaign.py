"""A campaign that cannot be run is refused in one line that says what to change."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from explorer.campaign import Campaign, CampaignSpec, CampaignState, SpecError

IDLE = {"drawn": 0, "waiting": 0, "relaxed": 0, "skipped": 0, "failed": 0}


def campaign(**counts: int) -> Campaign:
    """Make a running campaign of 100 crystals with these counts."""
    return Campaign(
        id="c",
        spec=CampaignSpec(n=100),
        state=CampaignState.RUNNING,
        message="",
        wanted="run",
        counts=IDLE | counts,
        created=0.0,
        updated=0.0,
        started=0.0,
        finished=0.0,
        seconds_sampling=0.0,
        seconds_relaxing=0.0,
        sequence=0,
    )


@pytest.mark.parametrize(
    ("fields", "named", "text"),
    [
        ({"elements": "Al-Xx"}, "elements", "Xx"),
        ({"elements": "al-Cu"}, "elements", "did you mean Al"),
        ({"elements": "Al-Cu", "formula": "CaCu2"}, "formula", "Ca"),
        ({"elements": "Al-Cu", "formula": "AlCu(2"}, "formula", "AlCu(2"),
        ({"elements": "Al-Cu", "spacegroups": (231,)}, "spacegroups", "231"),
        ({"elements": "Al-Cu", "spacegroups": (0,)}, "spacegroups", "got 0"),
        ({"elements": "Al-Cu", "sites": ("225:4q=Al",)}, "sites", "225"),
        ({"elements": "Al-Cu", "sites": ("nonsense",)}, "sites", "nonsense"),
        ({"elements": "Al-Cu", "sites": ("139:4d=none", "139:4d=Al")}, "sites", "remove one"),
        ({"elements": "Al-Cu", "sites": ("139:2a=Al,4e=Cu",)}, "sites", "give 139:4e=Cu by itself"),
        ({"elements": "Al-Cu", "n": 0}, "n", "greater than or equal to 1, got 0; usual is 100"),
        ({"elements": "Al-Cu", "n": -5}, "n", "-5"),
        ({"elements": "Al-Cu", "temperature": 0}, "temperature", "greater than 0"),
        ({"elements": "Al-Cu", "temperature": float("nan")}, "temperature", "nan"),
        ({"elements": "Al-Cu", "top_p": 1.5}, "top_p", "1.5"),
        ({"elements": "Al-Cu", "max_steps": 0}, "max_steps", "0"),
        (
            {"elements": "Al-Cu", "stability": "very"},
            "stability",
            "expected 'low', 'high' or 'any'",
        ),
        ({"elements": "Al-Cu", "give_up": 0}, "give_up", "expected a number greater than 0"),
        ({"elements": "Al-Cu", "max_atoms": 0}, "max_atoms", "0"),
        ({"elements": "Al-Cu", "colour": "red"}, "colour", "red"),
    ],
)
def test_bad_input_is_refused_in_one_line(fields, named, text):
    """The error names the field and what was given."""
    with pytest.raises(SpecError) as caught:
        CampaignSpec.parse(**fields)
    assert caught.value.field == named
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_formula_that_no_positions_can_make_is_refused():
    """CaAl2Cu2 has five atoms, and nothing in F-43m with at most four atoms can hold them."""
    with pytest.raises(SpecError):
        CampaignSpec.parse(elements="Al-Ca-Cu", formula="CaAl2Cu2", spacegroups=(216,), max_atoms=4)


@pytest.mark.parametrize("text", ["Al-Ca-Cu", "Al, Ca, Cu", " Al Ca  Cu ", ("Cu", "Ca", "Al")])
def test_elements_are_read_as_people_write_them(text):
    """Dashes, commas, blanks and lists all mean the same system."""
    assert CampaignSpec.parse(elements=text).chemical_system == "Al-Ca-Cu"


def test_a_spec_survives_json():
    """What the database holds is what was asked for."""
    spec = CampaignSpec.parse(
        elements="Al-Ca-Cu",
        formula="CaAl2Cu2",
        spacegroups=(139,),
        seed=7,
        sites=("139:2a=Ca", "139:4d=none"),
    )
    assert CampaignSpec.model_validate_json(spec.model_dump_json()) == spec
    assert spec.hull == "filled"
    old = spec.model_dump_json(exclude={"hull"})
    assert CampaignSpec.model_validate_json(old).hull == "potential"


def test_a_spec_of_before_there_were_states_means_the_same():
    """What an older version stored has no required or excluded elements, and needs none."""
    spec = CampaignSpec.parse(elements="Al-Ca-Cu", formula="Ca2Al4Cu4", subset=True)
    old = spec.model_dump_json(exclude={"required", "excluded"})
    again = CampaignSpec.model_validate_json(old)
    assert again == spec
    assert again.constraints().formula_counts == {"Ca": 1, "Al": 2, "Cu": 2}
    assert again.constraints().element_sets == (("Ca", "Al", "Cu"),)


def test_elements_that_must_appear_leave_the_others_to_choose():
    """Required elements of a system make it a choice; without a system any others may join."""
    spec = CampaignSpec.parse(elements="Al-Ca-Cu", required="Ca")
    assert spec.subset
    assert spec.constraints().allows_elements({"Ca", "Cu"})
    assert not spec.constraints().allows_elements({"Al", "Cu"})
    wide = CampaignSpec.parse(required="Li", excluded="Pb-Tl", spacegroups="cubic")
    assert wide.spacegroups == tuple(range(195, 231))
    assert wide.chemical_system == ""
    assert wide.composition == "any elements with Li without Pb, Tl"
    assert spec.composition == "Al-Ca-Cu"
    assert wide.constraints().allows_elements({"Li", "O"})
    assert not wide.constraints().allows_elements({"Li", "Pb"})
    with pytest.raises(SpecError, match="does not know Li"):
        wide.refuse_unknown({"Al"}, "the potential p")
    assert CampaignSpec.model_validate_json(wide.model_dump_json()) == wide


def test_space_groups_are_read_by_name_or_refused():
    """Numbers, spans, symbols and systems; an unknown one is named at its field."""
    spec = CampaignSpec.parse(elements="Al", spacegroups=["Fm-3m, 139", "P6_3/mmc", "P2_1/n,1-2"])
    assert spec.spacegroups == (1, 2, 14, 139, 194, 225)
    with pytest.raises(SpecError, match=r"spacegroups: expected .* got squarish") as caught:
        CampaignSpec.parse(elements="Al", spacegroups=("squarish",))
    assert caught.value.field == "spacegroups"


def test_one_value_does_where_several_may_be():
    """In Python one writes a number, a range, one site, and the path of a file."""
    spec = CampaignSpec.parse(elements="Ca-Cu", spacegroups=139, sites="139:2a=Ca")
    assert (spec.spacegroups, spec.sites) == ((139,), ("139:2a=Ca",))
    spec = CampaignSpec.parse(elements="Ca-Cu", spacegroups=range(195, 198), targets=Path("a.cif"))
    assert (spec.spacegroups, spec.targets) == ((195, 196, 197), "a.cif")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("spacegroup", "did you mean spacegroups?"),
        ("steps", "did you mean max_steps?"),
        ("chemsys", "there are elements, formula, "),
    ],
)
def test_a_field_that_is_none_is_named_with_one_that_is(name, told):
    """Pydantic says that extra inputs are not permitted."""
    with pytest.raises(SpecError, match=re.escape(told)) as refused:
        CampaignSpec.parse(elements="Ca-Cu", **{name: 1})
    assert refused.value.field == name


def test_elements_that_a_potential_lacks_are_named():
    """The message says who does not know what."""
    with pytest.raises(SpecError, match="the potential p does not know Cu"):
        CampaignSpec.parse(elements="Al-Cu").refuse_unknown({"Al"}, "the potential p")


def test_what_keeps_its_space_group_is_not_rattled():
    """Usually each candidate is; asked for both, neither is guessed."""
    assert CampaignSpec.parse(elements="Al").rattle > 0
    assert CampaignSpec.parse(elements="Al", keep_symmetry=True).rattle == 0
    with pytest.raises(SpecError, match="expected 0 where the space group is kept"):
        CampaignSpec.parse(elements="Al", keep_symmetry=True, rattle=0.1)


def test_time_left_follows_the_pace():
    """Drawing and relaxing both count, in the proportion seen so far."""
    half = campaign(drawn=50, waiting=5, relaxed=18, failed=2)
    half = replace(half, seconds_sampling=10.0, seconds_relaxing=40.0)
    assert half.seconds_left == pytest.approx(10.0 + 2.0 * (5 + 25))
    assert campaign().seconds_left is None
    assert campaign(drawn=10, waiting=4).seconds_left is None
