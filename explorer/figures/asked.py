"""What a campaign was asked, in the words of the form: in it, in reports and in comparisons."""

from __future__ import annotations

from pathlib import Path

from explorer.campaign import CampaignSpec
from explorer.figures.words import MINUS, formula_label

LABELS = {
    "formula": "Formula",
    "sites": "Wyckoff sites",
    "spacegroups": "Space groups",
    "max_atoms": "Most atoms",
    "stability": "Aim for crystals",
    "n": "Crystals to draw",
    "seed": "Seed",
    "temperature": "Temperature",
    "generator": "Generator",
    "hull": "Hull",
    "search": "Wyckoff skeletons",
    "geometry_temperature": "Geometry temperature",
    "again": "Cost of another try (nats)",
    "templates": "Known geometries first",
    "unknown": "Cost if unknown (nats)",
    "prototypes": "Known prototypes",
    "variants": "Ordered variants",
    "best_of": "Best of so many draws",
    "give_up": "Give up above (eV/atom)",
    "relax_below": "Relax up to (eV/atom)",
    "rattle": "Rattle by (Å)",
    "keep_symmetry": "Keep the space group",
    "potential": "Potential",
    "targets": "Target structures",
    "samples": "Crystals to judge",
}
"""What the form calls the fields; the elements are a table without a label."""
OF_THE_TABLE = {
    "elements": "Elements",
    "required": "Must appear",
    "excluded": "Must not appear",
    "subset": "Fewer elements allowed",
}
OTHERS = {
    "samples_of": "Generator in the file",
    "top_p": "Top p",
    "retry_every": "Prototypes before a retry",
    "fmax": "Largest force when converged (eV/Å)",
    "max_steps": "Most relaxation steps",
    "first": "Relaxed first with",
    "relax_known": "Known phases relaxed too",
    "references": "References",
    "checkpoint": "Checkpoint of the model",
}
"""What only commands and files ask."""
FIELDS = OF_THE_TABLE | LABELS | OTHERS
CHOICES = {
    "stability": {"low": "near the hull", "high": "far from the hull", "any": "anywhere"},
    "search": {
        "likeliest": "likeliest first",
        "distinct": "random, no repeats",
        "independent": "random",
    },
    "generator": {
        "transformer": "transformer",
        "substitution": "known prototypes",
        "similarity": "similar prototypes",
        "random": "random",
        "random-neutral": "random, neutral",
        "file": "crystals of a file",
    },
    "hull": {
        "filled": "DFT, gaps filled",
        "auto": "DFT, where it applies",
        "dft": "DFT (MP2020)",
        "potential": "of the potential",
    },
}
"""What the form calls what can be chosen, by field and value."""
FILES = ("samples", "targets")


def options(field: str) -> dict[str, str]:
    """Return what can be chosen, words to value."""
    return {words: value for value, words in CHOICES[field].items()}


def value_words(field: str, value: object) -> str:
    """Return a value of a campaign's field for people; "" for none."""
    if value is None:
        return ""
    if field in FILES:
        return Path(str(value)).name
    if field == "elements":
        return "-".join(sorted(value)) or "any"
    if field == "formula":
        return formula_label(str(value))
    if field in CHOICES:
        return CHOICES[field][str(value)]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}".replace("-", MINUS)
    if isinstance(value, int):
        return str(value) if field == "seed" else f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def question_words(spec: CampaignSpec) -> dict[str, str]:
    """Return what was asked, label to value; other fields that have their usual value are left out.

    The elements, their number and what the hull is stand there always.
    """
    given = spec.model_dump(exclude_defaults=True, exclude={"name"}) | {
        name: getattr(spec, name) for name in ("elements", "n", "seed", "hull")
    }
    told = {name: value_words(name, given[name]) for name in FIELDS if name in given}
    return {FIELDS[name]: words for name, words in told.items() if words}
