"""The form's state: tested by setting parameters, without a widget."""

import pytest
from pymatgen.core import Lattice, Structure

from explorer.baselines import Drawn
from explorer.campaign import CampaignSpec
from explorer.figures.asked import LABELS
from explorer.relaxed import RATTLE
from explorer.samples import Sample
from explorer.structure_files import NamedStructure
from explorer.ui.draft import NO_UPLOAD, PRESETS, Draft, Upload, examine
from explorer.ui.elements import fields_of_states, states_of
from explorer.ui.periodic_table import MAY, MUST, NEVER


def checked(**values) -> Draft:
    """Return a draft of Al-Ca-Cu with some fields changed, examined."""
    draft = Draft()
    draft.take({"elements": ["Al", "Ca", "Cu"]} | values)
    draft.check()
    return draft


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_run(name):
    """Every preset makes a spec at once."""
    draft = Draft()
    draft.take(PRESETS[name])
    draft.check()
    assert draft.problem == ""
    assert isinstance(draft.spec, CampaignSpec)


def test_a_search_may_leave_the_elements_open():
    """A space group or a site alone is a question."""
    assert checked(elements=[], spacegroups=[225]).spec.composition == "any elements"
    assert checked(elements=[], sites="225:4a, 225:4b").spec.spacegroups == ()


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("elements", {"elements": []}),
        ("elements", {"elements": ["Al", "Qq"]}),
        ("formula", {"formula": "CaMg2"}),
        ("formula", {"formula": "CaAl4-1"}),
        ("n", {"n": None}),
        ("temperature", {"temperature": None}),
        ("best_of", {"search": "independent", "best_of": None}),
        ("max_atoms", {"formula": "CaAl2-4Cu2-4", "max_atoms": 4}),
        ("required", {"required": ["Mg"]}),
        ("excluded", {"excluded": ["Al"]}),
        ("spacegroups", {"spacegroups": [231]}),
        ("sites", {"sites": "139:2z=Ca"}),
        ("sites", {"sites": "nonsense"}),
        ("n", {"n": 0}),
        ("n", {"n": -3}),
        ("temperature", {"temperature": 0.0}),
        ("seed", {"seed": -1}),
    ],
)
def test_a_problem_names_its_field(field, values):
    """What cannot be asked leaves no spec, and one clear line at the field that has to change."""
    draft = checked(**values)
    assert draft.spec is None
    assert draft.problem_field == field
    assert draft.problem
    assert "\n" not in draft.problem


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"relax_below": -1.0},
            "Relax up to (eV/atom): expected a number greater than 0, got -1.0; give such a value "
            "or none",
        ),
        (
            {"give_up": 2000.0},
            "Give up above (eV/atom): expected a number less than or equal to 1000, got "
            "2000.0; usual is 1",
        ),
        ({"n": None}, "Crystals to draw: expected a number, got an empty field: usual is 64"),
        (
            {"n": 0},
            "Crystals to draw: expected a number greater than or equal to 1, got 0; usual is 64",
        ),
        (
            {"seed": -1},
            "Seed: expected a number greater than or equal to 0, got -1; usual is 1",
        ),
        ({"max_atoms": 0}, "Most atoms: expected a number greater than or equal to 1, got 0"),
        ({"elements": []}, "choose at least one element in the periodic table, or a space group"),
        ({"sites": "nonsense"}, "Wyckoff sites: expected a site such as 139:2a=Ca"),
    ],
    ids=str,
)
def test_a_problem_is_told_as_the_form_calls_its_field(values, words):
    """No name of an option stands in it: at the field the bare problem, elsewhere its label."""
    draft = checked(**values)
    assert draft.problem_words.startswith(words)
    assert draft.problem_words.endswith(draft.problem)
    assert f"{draft.problem_field}:" not in draft.problem


def test_a_problem_that_names_its_field_is_not_headed_by_it():
    """Not "Formula: formula CaMg2 …"."""
    draft = checked(formula="CaMg2")
    assert draft.problem.startswith("formula CaMg2 has Mg")
    assert draft.problem_words.startswith("Formula CaMg2 has Mg")


def test_every_field_has_a_label():
    """But the elements, which are a table."""
    elements = {"elements", "required", "excluded", "subset"}
    assert set(LABELS) - {"targets", "samples"} == set(Draft.FIELDS) - elements


def test_mending_the_field_clears_the_problem():
    """The same draft becomes valid when its field is put right."""
    draft = checked(formula="CaMg2")
    draft.formula = "CaAl2Cu"
    draft.check()
    assert draft.problem == draft.problem_field == ""
    assert draft.spec.formula == "CaAl2Cu"


@pytest.mark.parametrize(
    ("states", "others", "fields"),
    [
        ({"Al": MUST, "Ca": MUST}, False, {"elements": ["Al", "Ca"]}),
        ({"Al": MAY, "Ca": MAY}, False, {"elements": ["Al", "Ca"], "subset": True}),
        (
            {"Ca": MUST, "Al": MAY},
            False,
            {"elements": ["Al", "Ca"], "subset": True, "required": ["Ca"]},
        ),
        ({"Ca": MUST, "Pb": NEVER}, True, {"required": ["Ca"], "excluded": ["Pb"]}),
        ({"Pb": NEVER, "Tl": NEVER}, True, {"excluded": ["Pb", "Tl"]}),
        ({}, False, {}),
    ],
    ids=str,
)
def test_the_states_of_elements_are_fields_and_back(states, others, fields):
    """The periodic table and the fields of a search say the same, each in its way."""
    usual = {"elements": [], "subset": False, "required": [], "excluded": []}
    assert fields_of_states(states, others) == usual | fields
    assert states_of(usual | fields) == (states, others)


def test_old_fields_are_shown_as_states():
    """A subset of some elements means that each may appear; a required one must, in a subset."""
    both = {"elements": ["Al", "Ca"], "subset": True, "required": [], "excluded": []}
    assert states_of(both) == ({"Al": MAY, "Ca": MAY}, False)
    draft = checked(required=["Ca"])
    assert draft.spec.subset
    other = Draft()
    other.take_spec(draft.spec)
    assert states_of(other.fields()) == ({"Al": MAY, "Ca": MUST, "Cu": MAY}, False)


def test_any_elements_but_some_can_be_asked_for():
    """No system is chosen then; blocked elements are refused among the required ones too."""
    draft = checked(elements=[], required=["Li"], excluded=["Pb"])
    assert draft.spec.chemical_system == ""
    draft.check({"Li": "chgnet was not trained on it"})
    assert "Li: chgnet" in draft.problem


def test_blocked_elements_are_refused_with_their_reason():
    """An element that the potential does not know is named, with why."""
    draft = checked(elements=["Al", "Po"])
    draft.check({"Po": "chgnet was not trained on it"})
    assert draft.spec is None
    assert "Po" in draft.problem
    assert "not trained" in draft.problem


def test_an_earlier_campaign_fills_the_form():
    """The spec of a campaign comes back as the fields that made it."""
    draft = checked(
        spacegroups=[139], sites="139:2a=Ca", formula="CaAl2Cu2", n=7, stability="any", seed=9
    )
    other = Draft()
    other.take_spec(draft.spec)
    other.check()
    assert other.spec == draft.spec


def test_what_keeps_its_space_group_is_rattled_again_once_it_need_not():
    """Whether the box was ticked here or in an earlier campaign."""
    draft = checked(keep_symmetry=True)
    assert (draft.spec.keep_symmetry, draft.spec.rattle, draft.rattle) == (True, 0.0, RATTLE)
    other = Draft()
    other.take_spec(draft.spec)
    other.check()
    assert other.spec == draft.spec
    other.keep_symmetry = False
    other.check()
    assert (other.spec.keep_symmetry, other.spec.rattle) == (False, RATTLE)


def test_examining_changes_nothing():
    """The check is a function of the fields, so it may run beside the page."""
    draft = checked()
    before = draft.fields()
    assert isinstance(examine(before, {}), CampaignSpec)
    assert draft.fields() == before


AL = Structure(Lattice.cubic(4.05), ["Al"], [[0, 0, 0]])
MIXED = Structure(Lattice.cubic(4.0), ["Al", "Ca", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0]])


def test_uploaded_targets_are_counted_by_system():
    """The spec names the file; only targets that the campaign could draw count."""
    upload = Upload("mine.cif", (NamedStructure("al", AL), NamedStructure("mixed", MIXED)))
    draft = checked(upload=upload)
    assert (draft.spec.targets, draft.n_targets) == ("mine.cif", 1)
    draft.subset = True
    draft.check()
    assert draft.n_targets == 2


@pytest.mark.parametrize(
    "upload",
    [
        Upload("broken.cif", problem="targets: cannot read broken.cif"),
        Upload("al.cif", (NamedStructure("al", AL),)),
    ],
)
def test_targets_that_cannot_be_used_block_the_run_at_their_field(upload):
    """An unreadable file and a file of other systems both say so; removing it mends the form."""
    draft = checked(upload=upload)
    assert draft.spec is None
    assert draft.problem_field == "targets"
    draft.upload = NO_UPLOAD
    draft.check()
    assert draft.spec is not None


def test_an_earlier_campaign_brings_its_targets_back():
    """They come from the store, since the file may be gone."""
    draft = Draft()
    targets = [NamedStructure("mixed", MIXED)]
    draft.take_spec(CampaignSpec.parse(elements="Al-Ca-Cu", targets="mine.cif"), targets)
    draft.check()
    assert (draft.upload.name, draft.n_targets) == ("mine.cif", 1)


JUDGED = Upload(
    "made.zip",
    (
        *(Sample.of(Drawn(k, given=structure)) for k, structure in enumerate((AL, MIXED, MIXED))),
        Sample.of(Drawn(3, reason="unreadable: no atoms")),
    ),
)


def judging(**values) -> Draft:
    """Return a draft of Al-Ca-Cu that judges the crystals of a file, examined."""
    draft = Draft(elements=["Al", "Ca", "Cu"], generator="file", **values)
    draft.take_samples(JUDGED)
    draft.check()
    return draft


def test_so_many_crystals_are_judged_as_fit_the_fields():
    """Of four three have atoms and two all elements; the number follows, also back up."""
    draft = judging()
    assert (draft.n_samples, draft.n, draft.spec.n) == (2, 2, 2)
    assert (draft.spec.generator, draft.spec.samples) == ("file", "made.zip")
    draft.subset = True
    draft.check()
    assert (draft.n, draft.spec.n) == (3, 3)
    draft.elements = []
    draft.check()
    assert draft.spec.n == 4


def test_fewer_crystals_may_be_asked_for_and_never_more_than_there_are():
    """A smaller number stays when the fields change; a larger one becomes what there is."""
    draft = judging(subset=True)
    draft.n = 1
    draft.check()
    assert draft.spec.n == 1
    draft.subset = False
    draft.check()
    assert draft.spec.n == 1
    draft.n = 900
    draft.check()
    assert (draft.n, draft.spec.n) == (2, 2)
    draft.generator = "random"
    draft.take_samples(NO_UPLOAD)
    draft.check()
    assert (draft.n, draft.spec.n, draft.spec.samples) == (64, 64, None)


@pytest.mark.parametrize(
    ("values", "samples", "field", "words"),
    [
        ({}, NO_UPLOAD, "samples", "expected a file of crystals, got none: drop one here"),
        ({}, Upload("x.csv", problem="x.csv is bad"), "samples", "x.csv is bad"),
        ({"elements": ["Na"]}, JUDGED, "samples", "none of the 4 in made.zip is of Na"),
        ({"spacegroups": [139]}, JUDGED, "spacegroups", "the generator file takes none"),
        ({"sites": "139:2a=Ca"}, JUDGED, "sites", "the generator file takes none"),
    ],
)
def test_what_a_file_of_crystals_cannot_do_is_said_at_its_field(values, samples, field, words):
    """No file, a broken one, other elements, and constraints that atoms do not tell of."""
    draft = judging(**values) if not values.get("elements") else judging()
    draft.param.update(samples=samples, **values)
    draft.check()
    assert draft.spec is None
    assert (draft.problem_field, draft.problem[: len(words)]) == (field, words)


def test_how_to_draw_is_no_question_where_a_file_gives_the_crystals():
    """A field that cannot be seen then cannot be wrong either."""
    draft = judging(temperature=None, seed=-1, search="independent", best_of=8)
    assert draft.problem == ""
    assert draft.spec.best_of == 1
    draft.generator = "transformer"
    draft.check()
    assert draft.problem_field == "temperature"


def test_an_earlier_campaign_brings_its_crystals_back():
    """Copies of them: a changed search judges the same ones, its file may be gone."""
    earlier = judging()
    draft = Draft()
    draft.take_spec(earlier.spec, samples=JUDGED.structures)
    draft.check()
    assert draft.samples == JUDGED
    assert draft.spec == earlier.spec
    draft.take_spec(earlier.spec)
    draft.check()
    assert draft.problem_field == "samples"
