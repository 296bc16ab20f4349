"""What a campaign is: the question that a person asks, checked before any work starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from explorer.complaints import first_complaint, one_line
from explorer.relaxed import MOST_RATTLE, RATTLE

if TYPE_CHECKING:
    from model.constraints import Constraints

MAX_CRYSTALS = 1_000_000
TRANSFORMER = "transformer"
"""The generator with a model; only its crystals have a likelihood."""


class SpecError(ValueError):
    """A campaign that cannot be run as asked.

    The text is one line: what was expected, what was given and how to mend it.

    Attributes
    ----------
    field : str
        The field of `CampaignSpec` that has to change; "" when there is no single one.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(one_line(message))
        self.field = field


class CampaignState(StrEnum):
    """Where a campaign is in its life. Only QUEUED and RUNNING ones are worked on."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"


NEW = {
    "hull": "filled",
    "search": "likeliest",
    "geometry_temperature": 0.5,
    "again": 2.0,
    "templates": True,
    "unknown": 1.0,
    "prototypes": True,
    "variants": True,
    "retry_every": 6,
    "give_up": 1.0,
    "rattle": RATTLE,
}
"""What a new campaign does when not told otherwise. What a stored one does not say is told by the
defaults of the fields: those of the version that stored it."""


class CampaignSpec(BaseModel):
    """Everything that decides what a campaign draws, relaxes and places.

    Attributes
    ----------
    elements : tuple of str
        Chemical symbols; also read from "Al-Ca-Cu". Empty means any element.
    formula, spacegroups, sites, max_atoms, stability, subset, required, excluded
        As in `model.constraints.Constraints`: a formula may be a range, "CaAl1-4Cu1-3", or several,
        "CaAl2, CaCu5"; groups are also read from "cubic" or "Fm-3m"; sites are written "139:2a=Ca",
        and "139:4d=none" where nothing may be.
    n : int
        Crystals to draw.
    seed : int
        Crystal i depends on (seed, i) alone.
    temperature, top_p : float
        Sampling temperature and nucleus.
    search : {"independent", "distinct", "likeliest"}
        Whether skeletons may repeat and in which order they come; see `model.sample.SEARCHES`.
    geometry_temperature : float or None
        Temperature of lattice and coordinates; None for that of the rest.
    again : float or None
        Nats that another try at the coordinates of a skeleton costs in a search; None: no second
        try.
    templates : bool
        Whether a search tries the geometries of known crystals with a skeleton first, those of the
        chemically nearest before others.
    unknown : float
        Nats by which skeletons that no known crystal has come later in such a search.
    prototypes : bool
        Whether every second skeleton of a search for the likeliest is that of a known prototype,
        the chemically most similar first, see `explorer.baseline_substitution.proposals`.
    variants : bool
        Whether ordered variants of known crystals count as known there, see
        `explorer.ordered_variants` and `model.recolouring`.
    retry_every : int
        After so many skeletons of known prototypes one of them comes again for other coordinates;
        0 for never.
    best_of : int
        Of so many independent draws the one that scores highest for stability becomes a candidate.
    generator : str
        What draws: "transformer"; "substitution" of known prototypes, the most frequent first, or
        by "similarity" of elements; "random" symmetric crystals or "random-neutral" ones; a "file"
        of another generator's samples. See `explorer.generators`.
    samples, samples_of : str or None
        That file, and which generator's samples of a Parquet file that holds several.
    potential : str
        Name of the interatomic potential, as `explorer.potentials.potential` knows it.
    fmax : float
        Largest force component at which a relaxation has converged, eV/angstrom.
    max_steps : int
        Relaxation steps allowed for each crystal.
    first : str or None
        A fast potential that relaxes every crystal before the accurate one does.
    give_up : float or None
        eV/atom above the hull from which on a relaxation is given up when its energy hardly falls,
        see `explorer.hopeless`; None: never.
    relax_below : float or None
        eV/atom above the hull up to which crystals are relaxed, by their energy before the
        relaxation (with `first`, as that one left them); None: all are.
    rattle : float
        Root mean square displacement, Å, with which a relaxed crystal is tried, see
        `explorer.rattling`: where that leads to a lower form, this is the candidate; 0: none is.
    keep_symmetry : bool
        Whether each crystal keeps, while it relaxes, the space group that it was drawn with; it
        is not rattled then.
    relax_known : bool
        Whether crystals that match a known phase are relaxed too.
    targets : str or None
        File of structures to look for (the retrieval curve); None takes the known phases.
    references : str or None
        File that `hullscape references build` or `import` wrote; None takes the shipped one.
    hull : "auto", "filled", "dft" or "potential"
        What candidates are placed on: the hull of DFT formation energies (MP2020), for potentials
        of that scale, or known phases at the energies of the potential; "auto" takes the first
        where it can, and "filled" adds what is predicted for pairs of elements (`explorer.sides`).
        Campaigns that were made before there was a choice have "potential".
    checkpoint : str or None
        Folder of the network that draws; None takes the shipped one.
    name : str
        A label for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    elements: tuple[str, ...] = ()
    formula: str | None = None
    spacegroups: tuple[int, ...] = ()
    sites: tuple[str, ...] = ()
    max_atoms: int = Field(default=64, ge=1)
    stability: Literal["low", "high", "any"] = "low"
    subset: bool = False
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    n: int = Field(default=100, ge=1, le=MAX_CRYSTALS)
    seed: int = Field(default=0, ge=0, lt=2**63)
    temperature: float = Field(default=1.0, gt=0, le=100)
    top_p: float = Field(default=1.0, gt=0, le=1)
    search: Literal["independent", "distinct", "likeliest"] = "independent"
    geometry_temperature: float | None = Field(default=None, gt=0, le=100)
    again: float | None = Field(default=None, gt=0, le=100)
    templates: bool = False
    unknown: float = Field(default=0.0, ge=0, le=100)
    prototypes: bool = False
    variants: bool = False
    retry_every: int = Field(default=0, ge=0, le=1000)
    best_of: int = Field(default=1, ge=1, le=1000)
    generator: Literal[
        "transformer", "substitution", "similarity", "random", "random-neutral", "file"
    ] = TRANSFORMER
    samples: str | None = None
    samples_of: str | None = None
    potential: str = Field(default="chgnet", min_length=1, max_length=500)
    fmax: float = Field(default=0.05, gt=0)
    max_steps: int = Field(default=200, ge=1, le=100_000)
    first: str | None = Field(default=None, max_length=500)
    give_up: float | None = Field(default=None, gt=0, le=1000)
    relax_below: float | None = Field(default=None, gt=0, le=1000)
    rattle: float = Field(default=0.0, ge=0, le=MOST_RATTLE)
    keep_symmetry: bool = False
    relax_known: bool = False
    targets: str | None = None
    references: str | None = None
    hull: Literal["auto", "filled", "dft", "potential"] = "potential"
    checkpoint: str | None = None
    name: str = Field(default="", max_length=200)

    @field_validator("elements", "required", "excluded", mode="before")
    @classmethod
    def _split_system(cls, value: Any) -> Any:
        from model.elements import split_symbols  # noqa: PLC0415 - on demand

        return split_symbols(value) if isinstance(value, str) else value

    @field_validator("spacegroups", mode="before")
    @classmethod
    def _named_groups(cls, value: Any) -> Any:
        from explorer.spacegroup_names import numbers_of  # noqa: PLC0415 - on demand

        if isinstance(value, int) and not isinstance(value, bool):
            return (value,)
        names = [value] if isinstance(value, str) else value
        if isinstance(names, list | tuple) and any(isinstance(name, str) for name in names):
            return numbers_of(names)
        return tuple(value) if isinstance(value, range) else value

    @field_validator("sites", mode="before")
    @classmethod
    def _one_site(cls, value: Any) -> Any:
        return tuple(filter(None, [value.strip()])) if isinstance(value, str) else value

    @field_validator(
        "formula",
        "targets",
        "references",
        "checkpoint",
        "samples",
        "samples_of",
        "first",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        value = str(value) if isinstance(value, PurePath) else value
        return None if isinstance(value, str) and not value.strip() else value

    @classmethod
    def parse(cls, usual: Mapping[str, Any] | None = None, /, **fields: Any) -> CampaignSpec:
        """Make a spec that can be run, or say in one line why there is none.

        Parameters
        ----------
        usual
            What a complaint says that a field usually is, where that is not what it is here.
        **fields
            Of the spec; the others are as in a new campaign.

        Raises
        ------
        SpecError
            For a value out of range, an unknown symbol, a formula outside the elements, a space
            group or site that does not exist, constraints that no crystal can meet, or what the
            generator cannot do.
        """
        try:
            usual_rattle = {"rattle": 0.0} if fields.get("keep_symmetry") else {}
            spec = cls(**NEW | usual_rattle | fields)
        except ValidationError as error:
            here = {name: field.default for name, field in cls.model_fields.items()} | NEW
            raise SpecError(*first_complaint(error, here | dict(usual or {}))) from None
        except UnicodeEncodeError as error:
            raise SpecError(f"expected text, got half of a character in {error.object!r}") from None
        constraints = spec.constraints()
        spec._refuse_wrong_generator()
        if spec.keep_symmetry and spec.rattle:
            raise SpecError(
                f"rattle: expected 0 where the space group is kept, got {spec.rattle:g}: rattling "
                "breaks the symmetry",
                "rattle",
            )
        if spec.best_of > 1 and spec.search != "independent":
            raise SpecError(
                f"best_of: expected 1 with the search {spec.search!r}, got {spec.best_of}: a "
                "search has its own order; choose the search 'independent'",
                "best_of",
            )
        settled = ("elements", "subset", "required", "excluded")
        return spec.model_copy(update={name: getattr(constraints, name) for name in settled})

    def constraints(self) -> Constraints:
        """Return the model's constraints, checked to be feasible.

        Raises
        ------
        SpecError
            When no crystal can meet them.
        """
        from model.constraints import ConstraintError  # noqa: PLC0415 - on demand

        try:
            constraints = self.asked()
            constraints.check()
        except ConstraintError as error:
            raise SpecError(str(error), error.field) from error
        return constraints

    def asked(self) -> Constraints:
        """Return the model's constraints, without looking whether a crystal can meet them.

        Raises
        ------
        ConstraintError
            For what cannot be read.
        """
        from model.constraints import Constraints  # noqa: PLC0415 - on demand

        return Constraints.parse(
            elements=self.elements,
            formula=self.formula,
            spacegroups=self.spacegroups,
            sites=self.sites,
            max_atoms=self.max_atoms,
            stability=self.stability,
            subset=self.subset,
            required=self.required,
            excluded=self.excluded,
        )

    def _refuse_wrong_generator(self) -> None:
        """Raise `SpecError` for what the generator lacks, or cannot obey."""
        who = f"the generator {self.generator}"
        if (self.generator == "file") != bool(self.samples):
            raise SpecError(
                "samples: expected the file of the samples, with the generator 'file' and no other",
                "samples",
            )
        if self.generator not in {TRANSFORMER, "file"} and not (self.elements or self.formula):
            raise SpecError(f"elements: {who} needs some: give a system or a formula", "elements")
        deaf = {"file": ("spacegroups", "sites")}.get(self.generator, ())
        deaf = ("sites",) if self.generator.startswith("random") else deaf
        for name in deaf:
            if getattr(self, name):
                raise SpecError(f"{name}: {who} takes none: leave them out", name)

    def drawing(self) -> dict[str, Any]:
        """Return how to draw, as the keywords of `model.sample.sample`."""
        names = ("temperature", "top_p", "search", "geometry_temperature", "again", "templates")
        names += ("unknown", "prototypes", "variants", "retry_every", "best_of")
        return {name: getattr(self, name) for name in names}

    @property
    def chemical_system(self) -> str:
        """The elements in alphabetical order with dashes, "Al-Ca-Cu"; "" for any."""
        return "-".join(sorted(self.elements))

    @property
    def composition(self) -> str:
        """What is asked of the composition, in words: a formula, a system, or which elements."""
        ruled = (("with", self.required), ("without", self.excluded))
        named = [f"{word} {', '.join(sorted(symbols))}" for word, symbols in ruled if symbols]
        return self.formula or self.chemical_system or " ".join(["any elements", *named])

    def refuse_unknown(self, known: Iterable[str], who: str) -> None:
        """Raise `SpecError` when `who` ("the model", "the potential chgnet") lacks an element."""
        unknown = sorted({*self.elements, *self.required} - set(known))
        if unknown:
            raise SpecError(
                f"{who} does not know {', '.join(unknown)}: "
                f"choose other elements or another {who.split()[1]}",
                "elements",
            )


@dataclass(frozen=True)
class Campaign:
    """A campaign as the store knows it at one moment.

    Attributes
    ----------
    id : str
        Cannot be guessed; it is what a link to the campaign carries.
    state, message : CampaignState, str
        The message says why a campaign failed, or what the runner is busy with.
    wanted : str
        The last command: "run", "pause" or "stop".
    counts : dict
        drawn, rejected, duplicate, known, waiting, relaxed, failed (these six add up to drawn),
        valid (not rejected), unique (valid and not duplicate), novel (unique and matching no
        known phase), and reasons {text: count} of the rejected and failed ones.
    created, updated, started, finished : float
        Seconds since 1970 UTC; started and finished are 0.0 until they happen.
    seconds_sampling, seconds_relaxing : float
        Time spent drawing, and relaxing, by all runners of the campaign.
    sequence : int
        Newest sequence number among the candidates.
    provenance : dict
        What the runner used: checkpoint, potential and its hash, reference set.
    deleted : float
        When somebody deleted it; 0.0 when nobody did.
    person : str
        The user who ran it; "" where nobody logs in.
    shared : bool
        Whether every user may look at it.
    """

    id: str
    spec: CampaignSpec
    state: CampaignState
    message: str
    wanted: str
    counts: dict[str, Any]
    created: float
    updated: float
    started: float
    finished: float
    seconds_sampling: float
    seconds_relaxing: float
    sequence: int
    provenance: Mapping[str, str] = field(default_factory=dict)
    deleted: float = 0.0
    person: str = ""
    shared: bool = False

    @property
    def active(self) -> bool:
        """Whether a runner works on it or will."""
        return self.state in {CampaignState.QUEUED, CampaignState.RUNNING} and not self.deleted

    @property
    def origin(self) -> dict[str, str]:
        """Everything that decided the results, for the tables and files that leave the program."""
        asked = self.spec.model_dump_json(exclude={"name", "seed"})
        return {"campaign": self.id, "seed": str(self.spec.seed), "asked": asked, **self.provenance}

    @property
    def seconds_left(self) -> float | None:
        """Time to the end at the pace so far, in seconds; None before there is a pace."""
        drawn = self.counts["drawn"]
        done = sum(self.counts[state] for state in ("relaxed", "failed", "skipped"))
        if self.state == CampaignState.FINISHED:
            return 0.0
        if not drawn or (not done and self.counts["waiting"]):
            return None
        to_draw = max(self.spec.n - drawn, 0)
        to_relax = self.counts["waiting"] + to_draw * (done + self.counts["waiting"]) / drawn
        pace = self.seconds_relaxing / done if done else 0.0
        return to_draw * self.seconds_sampling / drawn + to_relax * pace
