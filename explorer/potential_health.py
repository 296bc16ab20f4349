"""Whether loaded weights are what they say: a dozen well-known crystals, before any use.

Weights of an older matgl load into a newer one without an error and are wrong by several eV/atom;
a hull would show that only as nonsense. The verdict is kept by checkpoint in the user's cache
folder, so that it is paid for once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from ase import Atoms
from ase.build import bulk
from platformdirs import user_cache_path
from pymatgen.core import Lattice, Structure
from torch_sim.models.interface import ModelInterface

from explorer.batch_evaluation import static_answers
from explorer.crystals import from_atoms, to_atoms
from explorer.potential_base import Potential, PotentialError, digest
from explorer.potential_units import amiss

TOLERANCE = 0.15
"""eV/atom that a crystal may differ from what the scale of the potential says."""
EXAMINED = "energies, cells, stiffness, derivatives"
"""What a verdict is about: an older one was about less."""
SANE_ENERGY = (-15.0, 1.0)
"""eV/atom between which the energy of a crystal lies, whatever the scale of its potential."""

MP2020 = {
    "C": -9.064,
    "Si": -5.312,
    "Al": -3.664,
    "Cu": -4.084,
    "Fe": -8.355,
    "Na": -1.287,
    "NaCl": -3.666,
    "MgO": -6.311,
    "GaAs": -4.059,
    "ZnS": -3.726,
    "CaF2": -6.145,
    "NiAl": -5.410,
    "TiO2": -9.383,
}
MATPES_PBE = {
    "C": -8.886,
    "Si": -5.241,
    "Al": -3.744,
    "Cu": -3.760,
    "Fe": -8.196,
    "Na": -1.246,
    "NaCl": -3.356,
    "MgO": -5.865,
    "GaAs": -4.099,
    "ZnS": -3.387,
    "CaF2": -5.783,
    "NiAl": -5.294,
    "TiO2": -8.821,
}
SCALES: Mapping[str, Mapping[str, float]] = {"MP2020": MP2020, "MatPES-PBE": MATPES_PBE}
"""Energies, eV/atom, of the crystals below as they are built, with nothing relaxed.

MP2020: by CHGNet 0.3.0, whose mean error on that scale is 0.03 eV/atom. MatPES-PBE: by
TensorNet-MatPES-PBE-v2025.1-PES, as converted for matgl 4.1 and equal to the release that it was
published for. A good potential of another family differs by less than the tolerance.
"""


def known_crystals() -> dict[str, Atoms]:
    """Build the crystals, at measured lattice constants (Å)."""
    rutile = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    )
    return {
        "C": bulk("C", "diamond", a=3.567),
        "Si": bulk("Si", "diamond", a=5.431),
        "Al": bulk("Al", "fcc", a=4.046),
        "Cu": bulk("Cu", "fcc", a=3.615),
        "Fe": bulk("Fe", "bcc", a=2.867),
        "Na": bulk("Na", "bcc", a=4.291),
        "NaCl": bulk("NaCl", "rocksalt", a=5.640),
        "MgO": bulk("MgO", "rocksalt", a=4.212),
        "GaAs": bulk("GaAs", "zincblende", a=5.653),
        "ZnS": bulk("ZnS", "zincblende", a=5.409),
        "CaF2": bulk("CaF2", "fluorite", a=5.463),
        "NiAl": bulk("NiAl", "cesiumchloride", a=2.887),
        "TiO2": to_atoms(rutile),
    }


def scale_of(potential: Potential) -> str | None:
    """Return which of `SCALES` the energies of a potential are on, None when nobody knows."""
    if potential.correction in SCALES:
        return potential.correction
    names = [scale for scale in SCALES if scale in potential.version]
    return names[0] if names else None


def refuse_ill(potential: Potential, model: ModelInterface) -> None:
    """Refuse weights whose energies cannot be right.

    Raises
    ------
    PotentialError
        Naming the worst crystal, its energy and the expected one.
    """
    file = _verdict_file(potential)
    verdict = _read(file)
    if verdict is None:
        verdict = examine(potential, model)
        if not verdict:  # who is told of a flaw mends it, perhaps without another version
            _write(file, verdict)
    if verdict:
        raise PotentialError(
            f"the weights of {potential.name} (checkpoint {potential.checkpoint_hash}) are not "
            f"fit for use: {verdict}"
        )


def examine(potential: Potential, model: ModelInterface) -> str:
    """Compute the crystals whose elements the potential knows; say what is wrong, "" if nothing."""
    crystals = {
        name: atoms
        for name, atoms in known_crystals().items()
        if potential.elements.issuperset(atoms.get_chemical_symbols())
    }
    answers = static_answers(model, map(from_atoms, crystals.values()))
    found = {name: energy for name, (_, energy) in zip(crystals, answers, strict=True)}
    spoken = {name: energy for name, energy in found.items() if not isinstance(energy, str)}
    if found and not spoken:
        return f"it gives no energy for {', '.join(found)}: {next(iter(found.values()))}"
    scale = scale_of(potential)
    verdict = _compared(spoken, SCALES[scale], scale) if scale else _sane(spoken)
    answered = {name: crystals[name] for name in spoken}
    return verdict or amiss(model, answered, scaled=scale is not None)


def _compared(found: Mapping[str, float], expected: Mapping[str, float], scale: str) -> str:
    errors = {name: abs(found[name] - expected[name]) for name in found}
    worst = max(errors, key=errors.__getitem__, default=None)
    if worst is None or errors[worst] <= TOLERANCE:
        return ""
    return (
        f"{worst} has {found[worst]:.3f} eV/atom, expected {expected[worst]:.3f} +- {TOLERANCE} on "
        f"the {scale} scale: get the weights that were made for the installed library, or install "
        "the library that the weights were made for"
    )


def _sane(found: Mapping[str, float]) -> str:
    """Without a scale: energies are of the right size."""
    low, high = SANE_ENERGY
    wild = [name for name, energy in found.items() if not low <= energy <= high]
    if not wild:
        return ""
    return f"{wild[0]} has {found[wild[0]]:.3f} eV/atom, expected between {low:g} and {high:g}"


def _verdict_file(potential: Potential) -> Path:
    """The library that reads the weights is part of the question that the verdict answers."""
    parts = [str(potential.level), scale_of(potential), TOLERANCE, EXAMINED]
    parts += [version(name) for name in ("torch", "matgl", "chgnet")]
    name = digest(str(part).encode() for part in parts)
    return user_cache_path("hullscape") / "health" / f"{name}.json"


def _read(file: Path) -> str | None:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["verdict"])
    except (OSError, ValueError, KeyError):
        return None


def _write(file: Path, verdict: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"verdict": verdict}), encoding="utf-8")
    except OSError:
        # A cache that cannot be written costs a second at each start, nothing else.
        return


__all__ = ["SCALES", "examine", "known_crystals", "refuse_ill", "scale_of"]
