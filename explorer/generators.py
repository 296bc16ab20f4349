"""The generators by name, each as one function from constraints to drawn crystals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from explorer.baseline_imported import read_samples, replay
from explorer.baseline_matra import matra
from explorer.baseline_substitution import substitution
from explorer.baseline_transformer import transformer
from explorer.baselines import Drawn
from explorer.campaign import CampaignSpec
from explorer.prototypes import SHIPPED
from explorer.samples import Sample, count_fitting
from model.checkpoint import SHIPPED as WEIGHTS
from model.checkpoint import LoadedNetwork
from model.constraints import Constraints
from model.matra import KIND as MATRA
from model.phases import SHIPPED as PHASES
from model.stability import FILE as STABILITY
from model.templates import SHIPPED as TEMPLATES
from model.trees import FILE as TREES

METHODS = ("transformer", "substitution", "similarity", "random", "random-neutral", "file")
"""What `generator` makes."""

Generate = Callable[..., Iterator[Drawn]]
"""Called as ``generate(constraints, n=..., seed=..., start=0)``: crystals start to n - 1, in order,
or fewer where there are no more."""


def generator(
    method: str,
    loaded: LoadedNetwork | None = None,
    options: Mapping[str, Any] | None = None,
    samples: Sequence[Drawn] = (),
) -> Generate:
    """Return the generator of that name.

    Parameters
    ----------
    method : str
        One of `METHODS`: the trained network; known prototypes filled by frequency or by chemical
        similarity; PyXtal's random crystals, of any formula or of neutral ones; the samples of a
        file.
    loaded, options
        The network and how to draw from it: temperature, the keywords of
        `transformer` after the seed. The baseline matra takes the temperature of these alone.
    samples
        What "file" gives, in this order.

    Raises
    ------
    ValueError
        If there is no such generator, no network for the transformer, or no sample of a file.
    """
    if method not in METHODS:
        raise ValueError(f"expected a method of {', '.join(METHODS)}, got {method!r}")
    if method == "transformer":
        if loaded is None:
            raise ValueError("the transformer needs a network, got none")
        if loaded.kind == MATRA:
            return partial(matra, loaded, temperature=(options or {}).get("temperature", 1.0))
        return partial(transformer, loaded, **(options or {}))
    if method == "file" and not samples:
        raise ValueError("the generator 'file' needs samples, got none: give a file of them")
    return {
        "substitution": substitution,
        "similarity": partial(substitution, similar=True),
        "random": _random,
        "random-neutral": partial(_random, charge_balanced=True),
        "file": partial(replay, samples),
    }[method]


def _random(constraints: Constraints, **options: Any) -> Iterator[Drawn]:
    from explorer.baseline_random import random_crystals  # noqa: PLC0415 - PyXtal takes a second

    return random_crystals(constraints, **options)


@dataclass(frozen=True)
class Source:
    """A generator that is ready to draw, and what it is.

    Attributes
    ----------
    generate
        See `Generate`.
    name
        For provenance: the method, and for samples their file.
    identity
        What its crystals depend on beside the seed: the network, the prototypes, PyXtal's version
        or the samples, with a hash. A campaign goes on only with the same.
    """

    generate: Generate
    name: str
    identity: str


def open_source(
    spec: CampaignSpec,
    loaded: LoadedNetwork | None,
    *,
    batch_size: int = 256,
    samples: Sequence[Sample] = (),
) -> Source:
    """Open the generator that a campaign asks for; the network draws `batch_size` together.

    `samples` are those that the campaign was given; without any, its file is read.

    Raises
    ------
    ValueError
        As `generator`; `StructureFileError` when the samples cannot be read, and `SpecError` when
        none of them can be of the campaign.
    """
    method = spec.generator
    if method == "file":
        return _file(spec, [one.drawn(index) for index, one in enumerate(samples)])
    identity = {
        "transformer": lambda: _network(loaded, spec),
        "substitution": partial(_named, SHIPPED),
        "similarity": partial(_named, SHIPPED),
    }.get(method, lambda: f"PyXtal {version('pyxtal')}")
    options = spec.drawing() | {"batch_size": batch_size}
    return Source(generator(method, loaded, options), method, identity())


def _file(spec: CampaignSpec, given: Sequence[Drawn]) -> Source:
    path = Path(spec.samples)
    samples = given or read_samples(path, spec.samples_of)
    count_fitting(spec, samples)
    name = " ".join(part for part in (path.name, spec.samples_of) if part)
    return Source(
        generator("file", samples=samples), f"file {name}", f"{name} [{_digest(samples)}]"
    )


def _network(loaded: LoadedNetwork, spec: CampaignSpec) -> str:
    chosen, searched = spec.best_of > 1, spec.search != "independent"
    files = [TEMPLATES] if spec.templates and (searched or chosen) else []
    files += [SHIPPED] if spec.prototypes and spec.search == "likeliest" else []
    if chosen:
        weights = Path(spec.checkpoint) if spec.checkpoint else WEIGHTS
        files += sorted(weights.glob(STABILITY.format("*")))
        files += [weights / TREES] if loaded.trees is not None else []
        files += [PHASES] if loaded.reads_facts else []
    return ", ".join([loaded.checkpoint_id, *map(_named, files)])


def _named(file: Path) -> str:
    return f"{file.name} [{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}]"


def _digest(samples: Sequence[Drawn]) -> str:
    """Hash what the samples hold, in their order: a folder of files has no bytes of its own."""
    digest = hashlib.sha256()
    for one in samples:
        if one.crystal is not None:
            digest.update(repr(one.crystal.to_dict()).encode())
        elif one.given is not None:
            digest.update(one.given.formula.encode())
            digest.update(one.given.lattice.matrix.tobytes() + one.given.frac_coords.tobytes())
        else:
            digest.update(one.reason.encode())
    return digest.hexdigest()[:8]
