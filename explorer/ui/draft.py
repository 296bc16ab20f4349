"""The question as it is being typed, and whether it can be asked. No widgets here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import param

from explorer.campaign import CampaignSpec, SpecError
from explorer.figures.asked import LABELS
from explorer.relaxed import RATTLE
from explorer.samples import Sample, count_fitting
from explorer.structure_files import NamedStructure
from explorer.targets import of_system, within_reach
from explorer.ui.elements import ANY_ELEMENT
from explorer.ui.sites import split_sites
from model.estimate import count_skeletons

PRESETS: dict[str, dict[str, Any]] = {
    "Al-Ca-Cu": {"elements": ["Al", "Ca", "Cu"]},
    "Mg-Si binary": {"elements": ["Mg", "Si"], "n": 48},
    "Ti-O rutile site": {
        "elements": ["O", "Ti"],
        "spacegroups": [136],
        "sites": "136:2a=Ti",
        "n": 32,
    },
    "Li-Co-O layers": {
        "elements": ["Co", "Li", "O"],
        "spacegroups": [166],
        "sites": "166:3a=Co,Li, 166:3b=Co,Li, 166:6c=O",
        "n": 32,
    },
    "Ti-Ni-Sn half-Heusler": {
        "elements": ["Ni", "Sn", "Ti"],
        "spacegroups": [216],
        "sites": "216:4a, 216:4b, 216:4c",
        "n": 16,
    },
}

SECONDS_TO_COUNT = 0.12
SPELLED_OUT = 10**6
"""Larger numbers are written as powers of ten."""
SUPER = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Upload:
    """A file that is given with a campaign: target structures, or crystals to judge.

    Attributes
    ----------
    name
        Of the file; "" when there is none.
    structures
        What was read.
    problem
        Why it could not be read; "" when it could.
    generator, generators
        Whose crystals were read, and who else has some in the file; "" and none where it names
        nobody.
    """

    name: str = ""
    structures: tuple[NamedStructure, ...] | tuple[Sample, ...] = ()
    problem: str = ""
    generator: str = ""
    generators: tuple[str, ...] = ()


NO_UPLOAD = Upload()


def given_samples(spec: CampaignSpec, samples: Sequence[Sample]) -> Upload:
    """Return the crystals that a campaign was given to judge, as its form holds them."""
    if not samples:
        return NO_UPLOAD
    return Upload(Path(spec.samples).name, tuple(samples), generator=spec.samples_of or "")


class Draft(param.Parameterized):
    """Everything a person chooses before pressing Run; the names are those of `CampaignSpec`."""

    elements = param.List(default=[], item_type=str, doc="Chemical symbols")
    formula = param.String(
        default="",
        doc="Reduced formula, such as CaAl2. Counts may be ranges, as in CaAl1-4Cu1-3, and commas "
        "separate alternatives: CaAl2, CaCu5. Empty for any stoichiometry",
    )
    spacegroups = param.List(
        default=[], item_type=int, doc="Only these space groups; none chosen means any"
    )
    sites = param.String(
        default="",
        doc="Atoms that must sit on Wyckoff positions: 139:2a=Ca says that in space group 139 "
        "position 2a holds Ca; 139:2a=Ca,Cu allows either; 139:4d=none keeps 4d empty. Several "
        "are separated by commas",
    )
    max_atoms = param.Integer(default=64, allow_None=True, doc="Most atoms in the primitive cell")
    stability = param.Selector(
        default="low",
        objects=["low", "high", "any"],
        doc="What the model aims for: within about 0.075 eV/atom of the hull, above that, or both",
    )
    subset = param.Boolean(
        default=False, doc="Otherwise every crystal holds all of the chosen elements"
    )
    required = param.List(
        default=[], item_type=str, doc="Elements that every crystal has, where others may appear"
    )
    excluded = param.List(
        default=[], item_type=str, doc="Elements that no crystal has, where any others may appear"
    )
    n = param.Integer(default=64, allow_None=True, doc="How many crystals the model draws")
    seed = param.Integer(
        default=1,
        allow_None=True,
        doc="The same seed draws the same crystals; where the likeliest skeletons come first, "
        "another seed may draw most of them too",
    )
    temperature = param.Number(
        default=1.0,
        allow_None=True,
        doc="Below 1 the model keeps to what it finds likely, above 1 it strays",
    )
    generator = param.Selector(
        default="transformer",
        objects=["transformer", "substitution", "similarity", "random", "random-neutral", "file"],
        doc="The trained network, or a simple method to compare it with: known prototypes with the "
        "elements put in, by frequency or by chemical similarity; random symmetric crystals; or "
        "the crystals of another generator, from a file",
    )
    hull = param.Selector(
        default="filled",
        objects=["filled", "auto", "dft", "potential"],
        doc="What candidates are placed on: published DFT formation energies, where the potential "
        "shares their scale, or known phases at the potential's own energies. Where nothing is "
        "published of two elements, likely compounds were predicted: they fill the gap, or "
        "everything that falls apart into them would look stable",
    )
    search = param.Selector(
        default="likeliest",
        objects=["likeliest", "distinct", "independent"],
        doc="A skeleton is a space group with elements on its Wyckoff positions. Drawn without "
        "repeats, a search covers far more of them",
    )
    geometry_temperature = param.Number(
        default=0.5,
        allow_None=True,
        doc="The same for lattice and coordinates alone; low values fit known phases best. 0: that "
        "of the rest",
    )
    again = param.Number(
        default=2.0,
        allow_None=True,
        doc="In a search a skeleton with free coordinates comes again, for other values of them, "
        "when it is the likeliest less so many nats for each time before. 0: never",
    )
    templates = param.Boolean(
        default=True,
        doc="In a search a skeleton is first tried with the geometry of the chemically nearest "
        "known crystal that has it; otherwise the network draws all coordinates",
    )
    unknown = param.Number(
        default=1.0,
        allow_None=True,
        doc="In such a search skeletons that no known crystal has come later, by so many nats",
    )
    prototypes = param.Boolean(
        default=True,
        doc="In a search for the likeliest every second skeleton is that of a known prototype, the "
        "one whose known members resemble these elements most first",
    )
    variants = param.Boolean(
        default=True,
        doc="Ordered variants count as known there: the sites of a known crystal with other kinds "
        "of atoms on them, as MoWTe₄ has those of MoTe₂",
    )
    best_of = param.Integer(
        default=1,
        allow_None=True,
        doc="With independent draws: of so many, the one that the stability score ranks highest "
        "becomes a candidate, a new crystal if there is one",
    )
    potential = param.String(default="chgnet", doc="Interatomic potential that relaxes and ranks")
    give_up = param.Number(
        default=1.0,
        allow_None=True,
        doc="eV/atom above the hull from which on a relaxation is given up when its energy hardly "
        "falls any more. 0: never",
    )
    relax_below = param.Number(
        default=0.0,
        allow_None=True,
        doc="Relax only crystals up to so far above the hull as drawn, eV/atom: fewer relaxations "
        "for each find. 0: all",
    )
    rattle = param.Number(
        default=RATTLE,
        allow_None=True,
        doc="A relaxed crystal may rest on a saddle, which its symmetry alone holds it on. So its "
        "atoms are displaced by so much, Å, and it is relaxed again; where it ends lower, that "
        "form is the candidate. 0: not",
    )
    keep_symmetry = param.Boolean(
        default=False,
        doc="Each crystal keeps the space group that it was drawn with while it relaxes, so that "
        "it may end on a saddle; it is not rattled",
    )
    name = param.String(default="", doc="A label for people")
    upload = param.ClassSelector(default=NO_UPLOAD, class_=Upload, doc="What to look for")
    n_targets = param.Integer(default=0, doc="Targets of the upload that a valid spec can draw")
    samples = param.ClassSelector(default=NO_UPLOAD, class_=Upload, doc="Crystals to judge")
    n_samples = param.Integer(default=0, doc="Crystals of that file that a valid spec can judge")

    spec = param.ClassSelector(class_=CampaignSpec, allow_None=True, doc="None while invalid")
    problem = param.String(
        default="", doc="expected, got, how to mend it, at the field; empty when valid"
    )
    skeletons = param.String(default="", doc="how many skeletons fit the spec, in words")
    problem_field = param.String(default="", doc="the field that has to change")

    FIELDS = (
        "elements",
        "formula",
        "spacegroups",
        "sites",
        "max_atoms",
        "stability",
        "subset",
        "required",
        "excluded",
        "n",
        "seed",
        "temperature",
        "generator",
        "hull",
        "search",
        "geometry_temperature",
        "again",
        "templates",
        "unknown",
        "prototypes",
        "variants",
        "best_of",
        "potential",
        "give_up",
        "relax_below",
        "rattle",
        "keep_symmetry",
    )

    OPTIONAL = ("geometry_temperature", "again", "give_up", "relax_below")
    """Numbers that are 0 here, or an empty field, where a spec has none."""

    DRAWING = (
        "seed",
        "search",
        "best_of",
        "again",
        "unknown",
        "templates",
        "prototypes",
        "variants",
        "temperature",
        "geometry_temperature",
    )
    """How to draw: what is left in them is of no account where a file gives the crystals."""

    def fields(self) -> dict[str, Any]:
        """Return the arguments of `CampaignSpec.parse`."""
        values = {name: getattr(self, name) for name in self.FIELDS}
        if self.generator == "file":
            values |= {name: self.param[name].default for name in self.DRAWING}
        values |= {name: values[name] or None for name in self.OPTIONAL}
        values["rattle"] = 0.0 if self.keep_symmetry else values["rattle"]
        values["best_of"] = values["best_of"] if self.search == "independent" else 1
        given: dict[str, Any] = {"targets": self.upload.name or None}
        if self.generator == "file":
            given |= {"samples": self.samples.name, "samples_of": self.samples.generator}
        return values | given | {"sites": split_sites(self.sites)}

    def take(self, values: Mapping[str, Any]) -> None:
        """Set all fields at once: a preset, or the spec of an earlier campaign."""
        fresh = {name: self.param[name].default for name in self.FIELDS}
        self.param.update(**fresh | dict(values))

    def take_samples(self, upload: Upload) -> None:
        """Take over a file of crystals to judge: so many are drawn as there are."""
        count, follows = len(upload.structures), self.n == self.n_samples
        n = count or (self.param.n.default if follows else self.n)
        self.param.update(samples=upload, n_samples=count, n=n)

    def take_spec(
        self,
        spec: CampaignSpec,
        targets: Sequence[NamedStructure] = (),
        samples: Sequence[Sample] = (),
    ) -> None:
        """Fill the form with what an earlier campaign asked, and what it was given."""
        self.upload = Upload(spec.targets, tuple(targets)) if spec.targets else NO_UPLOAD
        self.param.update(samples=given_samples(spec, samples), n_samples=0)
        values = {name: getattr(spec, name) for name in self.FIELDS}
        for name in ("elements", "required", "excluded"):
            values[name] = sorted(getattr(spec, name))
        values["spacegroups"] = list(spec.spacegroups)
        values["sites"] = ", ".join(spec.sites)
        values["formula"] = spec.formula or ""
        values |= {name: values[name] or 0.0 for name in self.OPTIONAL}
        if spec.keep_symmetry:  # what would hold without
            values["rattle"] = self.param.rattle.default
        self.take(values)

    def conclude(self, outcome: CampaignSpec | SpecError) -> None:
        """Take over what `examine` found."""
        if isinstance(outcome, SpecError):
            problem = str(outcome).removeprefix(f"{outcome.field}: ")
            self.param.update(spec=None, problem=problem, problem_field=outcome.field, skeletons="")
        else:
            reached = len(of_system(outcome, self.upload.structures))
            self.param.update(spec=outcome, n_targets=reached, problem="", problem_field="")
            if outcome.generator == "file":
                self._count_samples(outcome)

    def _count_samples(self, spec: CampaignSpec) -> None:
        """Let the number of crystals follow the fields, until a person asks for fewer."""
        count = count_fitting(spec, self.samples.structures)
        n = count if self.n == self.n_samples else min(self.n, count)
        self.param.update(n_samples=count, n=n, spec=spec.model_copy(update={"n": n}))

    @property
    def problem_words(self) -> str:
        """The problem, with the field as the form calls it, to be read elsewhere in the form."""
        label = LABELS.get(self.problem_field, "")
        if label and self.problem.startswith(f"{label.lower()} "):  # it names the field itself
            return label + self.problem[len(label) :]
        return f"{label}: {self.problem}" if label else self.problem

    def check(self, blocked: Mapping[str, str] | None = None) -> None:
        """Examine the fields now and take over the outcome."""
        self.conclude(examine(self.fields(), blocked or {}, self.upload, self.samples))


NO_SAMPLES = (
    "expected a file of crystals, got none: drop one here, or choose another generator above"
)
NOTHING_ASKED = "choose at least one element in the periodic table, or a space group"
ASKED = ("elements", "required", "excluded", "formula", "spacegroups", "sites")
"""Fields of which a search has one: it may leave the elements open."""
NEEDED = ("max_atoms", "n", "seed", "temperature", "unknown", "best_of")
"""Number fields that may not be left empty."""
USUAL = {name: Draft.param[name].default for name in NEEDED}
"""What the form starts with."""


def examine(
    fields: Mapping[str, Any],
    blocked: Mapping[str, str],
    upload: Upload = NO_UPLOAD,
    samples: Upload = NO_UPLOAD,
) -> CampaignSpec | SpecError:
    """Return the spec that these fields make, or what is wrong with them; never raises.

    Parameters
    ----------
    fields : mapping
        Arguments of `CampaignSpec.parse`.
    blocked : mapping
        Symbol to the reason why the model or the potential cannot take it, see
        `explorer.ui.elements.blocked_elements`.
    upload : Upload
        The targets that `fields` names.
    samples : Upload
        The crystals that the generator "file" gives.
    """
    if upload.problem:
        return SpecError(upload.problem, "targets")
    judged = fields["generator"] == "file"
    if judged and (samples.problem or not samples.name):
        return SpecError(samples.problem or NO_SAMPLES, "samples")
    asked = any(fields[name] for name in ASKED)
    if not asked and not judged:
        return SpecError(NOTHING_ASKED, "elements")
    for name in NEEDED:
        if fields[name] is None:
            told = f"expected a number, got an empty field: usual is {USUAL[name]:g}"
            return SpecError(told, name)
    if ANY_ELEMENT in blocked:
        return SpecError(blocked[ANY_ELEMENT], "potential")
    for symbol in (*fields["elements"], *fields["required"]):
        if symbol in blocked:
            return SpecError(f"{symbol}: {blocked[symbol]}; take it out", "elements")
    try:
        spec = CampaignSpec.parse(USUAL, **fields)
        if upload.name:
            within_reach(spec, upload.structures)
        if judged:
            count_fitting(spec, samples.structures)
    except SpecError as error:
        return error
    foreign = next((symbol for symbol in spec.elements if symbol in blocked), None)
    if foreign:  # of the formula
        return SpecError(f"{foreign}: {blocked[foreign]}; take it out", "formula")
    return spec


def count_in_words(spec: CampaignSpec, known_elements: Iterable[str]) -> str:
    """Say how many skeletons satisfy a spec; a count that was not finished is a bound."""
    count = count_skeletons(spec.constraints(), tuple(known_elements), SECONDS_TO_COUNT)
    noun = "Wyckoff skeleton fits" if count == (1, True) else "Wyckoff skeletons fit"
    if count.exact and count.number < SPELLED_OUT:
        return f"{count.number:,.0f} {noun}"
    power = math.floor(math.log10(max(count.number, 1.0)))
    if count.exact:
        return f"about {count.number / 10**power:.1f} × 10{str(power).translate(SUPER)} {noun}"
    if count.number < SPELLED_OUT:
        return f"more than {max(count.number, 1):,.0f} {noun}"
    return f"more than 10{str(power).translate(SUPER)} {noun}"
