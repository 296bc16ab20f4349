"""The instruments of a campaign: sampler, screen, relaxer and hulls, opened together."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymatgen.core import Composition

from explorer.baselines import Drawn
from explorer.campaign import TRANSFORMER, CampaignSpec, SpecError
from explorer.candidate import Candidate, State
from explorer.complaints import one_line
from explorer.crystals import spacegroup_of
from explorer.dft_hull import FILLED, competing_phases, refuse_scale, serves
from explorer.generators import Source, open_source
from explorer.hopeless import Ceiling
from explorer.hull import Hull, destabilised_text
from explorer.known_phases import known_phases
from explorer.logs import say
from explorer.potentials import Potential, potential
from explorer.reference_supply import MissingElementError, shipped_for, supply
from explorer.references import DFT, HULL_WORDS, POTENTIAL, ReferencePhases
from explorer.relax import Relaxer
from explorer.relaxers import open_relaxer
from explorer.samples import Sample
from explorer.screen import Screen
from explorer.structure_files import NamedStructure
from explorer.targets import TargetList, default_targets, given_targets

if TYPE_CHECKING:
    from explorer.cluster import ClusterRelaxer
    from model.checkpoint import LoadedNetwork
    from model.constraints import Constraints

BLOCK = 32
"""Crystals drawn, screened and committed together; also bounds how many may wait."""


@dataclass
class Drawing:
    """A stream of draws between two blocks.

    Attributes
    ----------
    rest : iterator or None
        What is still to come of it.
    next_index : int
        Number of the crystal that it gives next.
    """

    rest: Iterator[Drawn] | None = None
    next_index: int = 0


@dataclass(frozen=True)
class Laboratory:
    """What a campaign works with.

    Attributes
    ----------
    source, constraints : Source, Constraints
        What draws crystals, and what every one of them satisfies.
    screen : Screen
        Judges them before any relaxation, and says what a relaxed one equals.
    relaxer : Relaxer or ClusterRelaxer
    library : Library
        Known phases and hulls.
    targets : TargetList
        What the campaign looks for.
    provenance : mapping of str
        What the results come from, in words.
    network : LoadedNetwork or None
        The model, where the generator has one.
    """

    source: Source
    constraints: Constraints
    screen: Screen
    relaxer: Relaxer | ClusterRelaxer
    library: Library
    targets: TargetList
    provenance: Mapping[str, str]
    network: LoadedNetwork | None = None
    _drawing: Drawing = field(default_factory=Drawing, init=False, repr=False)

    def draws(self, spec: CampaignSpec, start: int, count: int) -> Iterator[Drawn]:
        """Draw crystals `start` to `start + count` of a campaign, or fewer at a generator's end.

        A generator goes on from where the last call ended; called with another `start` it begins
        anew and passes over those before.
        """
        drawing = self._drawing
        if drawing.rest is None or drawing.next_index != start:
            drawing.next_index = start
            drawing.rest = self.source.generate(
                self.constraints, n=max(spec.n, start + count), seed=spec.seed, start=start
            )
        for draw in islice(drawing.rest, count):
            drawing.next_index = draw.index + 1
            yield draw

    def appraise(self, block: Sequence[Candidate]) -> list[Candidate]:
        """Tell of candidates that wait for their relaxation how likely they are to be worth it."""
        waiting = [one for one in block if one.state == State.WAITING and one.crystal is not None]
        if self.network is None or not waiting:
            return list(block)
        from model.sample import stability_score  # noqa: PLC0415 - imports torch

        scores = stability_score(self.network, [one.crystal for one in waiting])
        known = {one.id: float(score) for one, score in zip(waiting, scores, strict=True)}
        return [replace(one, stability=known.get(one.id)) for one in block]

    def place(self, candidate: Candidate) -> Candidate:
        """Put a relaxed candidate on the hull of its elements; a failed one stays as it is."""
        if candidate.state != State.RELAXED:
            return candidate
        candidate = self.screen.recognise(candidate)
        symmetric = replace(candidate, spacegroup_relaxed=spacegroup_of(candidate.relaxed))
        formula = symmetric.formula
        hull = self.library.hull(formula)
        point = hull.place(formula, symmetric.energy_per_atom, symmetric.level)
        if point.reason:
            return replace(symmetric, state=State.FAILED, reason=point.reason)
        return replace(
            symmetric,
            energy_above_hull=point.energy_above_hull,
            formation_energy=point.formation_energy,
            decomposition=point.decomposition,
            reaction=point.reaction,
            # The hull also has phases whose structure is not at hand.
            composition_known=symmetric.composition_known or point.decomposition == formula,
            destabilises=destabilised_text(hull.lowering(symmetric)),
        )


@dataclass
class Library:
    """Known phases and hulls by chemical system, read when first asked for.

    Attributes
    ----------
    potential : str
        Whose energies the phases carry.
    file : str or None
        A reference file of the user's; None takes the one relaxed or shipped for the potential.
    mode : str
        What `hull` is made of: "potential", "dft", "auto" or "filled".
    system : str
        The system of the whole campaign, "Al-Ca-Cu"; "" takes each candidate's own.
    """

    potential: str
    file: str | None
    system: str
    mode: str = POTENTIAL
    _hulls: dict[str, Hull] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Relaxation workers, which look at hulls too, work in folders of their own.
        self.file = str(Path(self.file).expanduser().absolute()) if self.file else None

    def references(self, system: str) -> ReferencePhases:
        """Read the known phases of a chemical system.

        Raises
        ------
        ReferenceFileError
            When none of this potential are shipped, and none have been relaxed yet.
        """
        return known_phases(self.potential, system, self.mode, self.file)

    def competing(self, system: str) -> ReferencePhases:
        """Read what the hull of a chemical system is made of."""
        return competing_phases(self.references(system), self.mode)

    def hull(self, formula: str) -> Hull:
        """Return the hull that a formula belongs on."""
        system = self.system or Composition(formula).chemical_system
        if system not in self._hulls:
            self._hulls[system] = Hull(self.competing(system))
        return self._hulls[system]


def open_laboratory(
    spec: CampaignSpec,
    device: str = "auto",
    workers: int | None = None,
    targets: Sequence[NamedStructure] = (),
    *,
    samples: Sequence[Sample] = (),
    say: Callable[[str], None] = say,
    should_stop: Callable[[], bool] = lambda: False,
) -> Laboratory:
    """Load everything that a campaign needs, or say in one line why that cannot be.

    Parameters
    ----------
    spec : CampaignSpec
    device : str
        "cpu", "cuda", "cuda:1", or "auto".
    workers : int or None
        Relaxation processes; None for one on each core.
    targets : sequence of NamedStructure
        What the campaign was given to look for; without any, known phases of its system.
    samples : sequence of Sample
        Crystals that it was given to judge; without any, the file that its spec names is read.
    say, should_stop : callable
        As in `explorer.reference_supply.supply`, which relaxes known phases where a potential
        brings none.

    Raises
    ------
    ValueError
        `SpecError`, `PotentialError`, `ReferenceFileError` or a bad checkpoint.
    SupplyStoppedError
        When it had to stop while known phases were relaxed.
    """
    import torch  # noqa: PLC0415 - seconds to import

    # The cores belong to the relaxation workers; threads that wait for a busy core, spinning,
    # make sampling ten times slower.
    torch.set_num_threads(1)
    device = choose_device(device)
    chosen = potential(spec.potential, device)
    network = _network(spec, device)
    spec.refuse_unknown(chosen.elements, f"the potential {spec.potential}")
    library = Library(spec.potential, spec.references, spec.chemical_system, spec.hull)
    heard = {"say": say, "should_stop": should_stop}
    references = check_references(library, chosen, workers=workers, **heard)
    tell_role(spec, chosen, say)
    first = potential(spec.first, device) if spec.first else None
    looked_for = given_targets(spec, targets) if targets else default_targets(references)
    source = open_source(spec, network, batch_size=BLOCK, samples=samples)
    return Laboratory(
        source=source,
        constraints=spec.constraints(),
        screen=Screen(
            library.references, relax_known=spec.relax_known, targets=looked_for.structures
        ),
        relaxer=_relaxer(spec, library, chosen, first=first, workers=workers, say=say),
        library=library,
        targets=looked_for,
        provenance={
            **{"generator": source.name, "checkpoint": source.identity},
            **_energy_words(chosen, first),
            **_hull_words(library),
            "device": device,
        },
        network=network,
    )


def _relaxer(
    spec: CampaignSpec, library: Library, chosen: Potential, **how: Any
) -> Relaxer | ClusterRelaxer:
    """Open what relaxes as a campaign asks; `how` goes on to `open_relaxer`."""
    return open_relaxer(
        *(chosen, spec.fmax, spec.max_steps),
        rattle=spec.rattle,
        keep_symmetry=spec.keep_symmetry,
        ceiling=_ceiling(spec, library, chosen),
        **how,
    )


def tell_role(spec: CampaignSpec, chosen: Potential, say: Callable[[str], None]) -> None:
    """Say what a reference file of the user's does not do on the hull of DFT alone."""
    if spec.references and spec.hull != FILLED and serves(chosen.level, spec.hull):
        say(
            f"{Path(spec.references).name} tells which crystals are known, but its compounds do "
            f"not compete: hull {spec.hull} is made of published energies; choose hull filled, or "
            "hull potential, to place candidates on them"
        )


def _energy_words(chosen: Potential, first: Potential | None) -> dict[str, str]:
    """Return which potentials relax, by role."""
    return {"potential": str(chosen.level)} | ({"first": str(first.level)} if first else {})


def _network(spec: CampaignSpec, device: str) -> LoadedNetwork | None:
    """Load the network, where it is what draws, and see that it knows the elements."""
    if spec.generator != TRANSFORMER:
        return None
    from model.checkpoint import load_network  # noqa: PLC0415 - imports torch

    network = load_network(spec.checkpoint, device)
    spec.refuse_unknown(network.known_elements, "the model")
    return network


def _hull_words(library: Library) -> dict[str, str]:
    """Say what candidates compete with, and what is missing there."""
    competing = library.competing(library.system)
    return {
        "references": competing.name,
        "known_phases": library.references(library.system).name,
        "hull": HULL_WORDS[competing.mode],
        "coverage": competing.coverage if library.system else "",
    }


def _ceiling(spec: CampaignSpec, library: Library, chosen: Potential) -> Ceiling | None:
    """Tell when a relaxation is not begun, or given up; each worker reads the hulls for itself."""
    if spec.give_up is None and spec.relax_below is None:
        return None
    above, below = (math.inf if x is None else x for x in (spec.give_up, spec.relax_below))
    return Ceiling(replace(library, _hulls={}), chosen.level, above, below)


def check_references(
    library: Library,
    chosen: Potential,
    *,
    systems: Iterable[str] = (),
    workers: int | None = None,
    say: Callable[[str], None] = say,
    should_stop: Callable[[], bool] = lambda: False,
) -> ReferencePhases:
    """Return the known phases of the campaign's system, which must span it at the same level.

    Where the potential brings none they are relaxed first, for the library's system or those named
    (on the hull of DFT their elements alone), and the library reads them from then on; see
    `explorer.reference_supply.supply` for `workers`, `say` and `should_stop`, and what is raised.
    """
    if not library.file:
        # By the level, not by the name: another release of a potential has other energies.
        shipped = shipped_for(chosen)
        options = {"workers": workers, "say": say, "should_stop": should_stop}
        library.file = str(shipped or _supplied(library, chosen, systems, **options))
    references = library.references(library.system)
    if references.level != chosen.level:
        raise SpecError(
            f"the reference phases are of {references.level}, the potential is {chosen.level}: "
            f"give references that were computed with this potential",
            "potential",
        )
    if library.system and references.missing_elements:
        raise SpecError(
            f"no elemental reference phase for {', '.join(references.missing_elements)}: "
            f"import one with 'hullscape references import'",
            "elements",
        )
    competing_phases(references, library.mode)
    return references


def _supplied(library: Library, chosen: Potential, systems: Iterable[str], **options: Any) -> Path:
    """Relax what a hull needs of some systems; refuse to relax the phases of all."""
    if library.mode == DFT:
        refuse_scale(chosen.level)
    wanted = sorted(set(systems)) or [library.system]
    if serves(chosen.level, library.mode):
        symbols = "-".join(filter(None, wanted)) or "-".join(chosen.elements)
        wanted = sorted(set(symbols.split("-")))
    if not all(wanted):
        raise SpecError(
            f"no reference phases of {chosen.level.potential} are at hand, and without elements "
            "there are too many to relax: choose elements, or give references",
            "elements",
        )
    try:
        return supply(wanted, chosen, library.potential, **options)
    except MissingElementError as error:
        raise SpecError(str(error), "elements") from error


def choose_device(device: str) -> str:
    """Return the device to work on; "auto" takes a GPU when there is one.

    Raises
    ------
    SpecError
        When the device does not exist.
    """
    import torch  # noqa: PLC0415 - seconds to import

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|(cuda|mps|xpu)(:\d+)?", device):
        raise SpecError(f"expected the device cpu, cuda, cuda:1 or auto, got {device!r}", "device")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        raise SpecError(
            f"device {device!r} cannot be used: {one_line(reason)}: choose cpu or auto", "device"
        ) from error
    return device
