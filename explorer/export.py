"""Export: chosen candidates in files that others read, with where everything comes from."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from explorer import export_formats as write
from explorer.audit import NOTHING_ASKED, audit
from explorer.candidate import Candidate
from explorer.cif_files import MOST_MOVED
from explorer.export_formats import Chosen, Files, cell
from explorer.export_words import readme
from explorer.marks import Mark
from model.constraints import Constraints

__all__ = [
    "FORMATS",
    "REPORT",
    "USUAL",
    "ExportError",
    "cell",
    "chosen_formats",
    "export_candidates",
]


@dataclass(frozen=True)
class Format:
    """One way to write candidates.

    Attributes
    ----------
    title
        For people.
    files
        What it adds to the export.
    words
        What these files hold, one sentence.
    write
        Makes the files.
    """

    title: str
    files: str
    words: str
    write: Callable[[Chosen], Files]


FORMATS = {
    "cif": Format(
        "CIF",
        "cifs/*.cif",
        "One CIF each, with the symmetry found at 0.1 Å, or less where that would move its atoms "
        f"by more than {MOST_MOVED:g} Å (rms).",
        write.cifs,
    ),
    "extxyz": Format(
        "extxyz",
        "candidates.extxyz",
        "All structures for ASE: `uid` is the candidate's id; energy (eV), forces (eV/Å), stress "
        "(eV/Å³, ASE's sign).",
        write.extxyz,
    ),
    "csv": Format(
        "CSV table",
        "candidates.csv",
        "Every candidate as a row, also those without a structure.",
        write.table,
    ),
    "poscar": Format("POSCAR", "poscars/*.vasp", "One POSCAR each, primitive cell.", write.poscars),
    "json": Format(
        "pymatgen JSON",
        "candidates.json",
        "A list; `Structure.from_dict(item['structure'])` gives each structure back.",
        write.pymatgen_json,
    ),
    "optimade": Format(
        "OPTIMADE JSON",
        "optimade.json",
        "The answer of an OPTIMADE server; what is ours begins with `_hullscape_`.",
        write.optimade,
    ),
    "lemat": Format(
        "LeMat-GenBench CSV",
        "lemat/*.csv",
        "Input of the benchmark LeMat-GenBench (`run_benchmarks.py --csv`): `generated.csv` has "
        "all crystals as drawn, rejected and repeated ones too; `relaxed.csv` relaxed ones.",
        write.lemat,
    ),
    "vasp": Format(
        "VASP inputs",
        "vasp/*/",
        "pymatgen's MPRelaxSet for a DFT relaxation; POTCAR.spec names the POTCARs, which VASP's "
        "licence keeps you from getting here.",
        write.vasp_inputs,
    ),
}
"""By the name that `--format` takes."""

REPORT = "report"
"""Name of the campaign's HTML report, which is written elsewhere and handed over as a file."""
README, PROVENANCE = "README.md", "provenance.json"
"""Files that every export has."""
NO_FOLDER = {
    *(".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".cif", ".csv", ".json", ".html"),
    *(".extxyz", ".xyz", ".vasp", ".poscar", ".parquet"),
}
"""Endings of files that an export is not: a folder of that name would puzzle who asked for it."""
USUAL = ("cif", "extxyz", "csv")
"""What is written when nobody chooses."""


class ExportError(OSError):
    """An export that could not be written; the message names the place and the reason."""


def chosen_formats(names: Iterable[str]) -> tuple[str, ...]:
    """Read the names of formats, also "cif,poscar" and "all"; none gives the usual ones.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    parts = [part.strip().lower() for text in names for part in text.split(",") if part.strip()]
    known = (*FORMATS, REPORT)
    unknown = [part for part in parts if part not in {*known, "all"}]
    if unknown:
        raise ValueError(f"expected a format of {', '.join(known)} or all, got {unknown[0]!r}")
    return known if "all" in parts else tuple(dict.fromkeys(parts)) or USUAL


def export_candidates(
    candidates: Iterable[Candidate],
    provenance: Mapping[str, Any],
    destination: str | Path,
    *,
    formats: Iterable[str] = USUAL,
    marks: Mapping[str, Mark] | None = None,
    more: Mapping[str, str] | None = None,
    asked: Constraints | None = None,
    hull: str = "",
) -> Path:
    """Write candidates to a zip or a folder, whole or not at all.

    Beside the formats there is always `README.md`, which says what the files and numbers mean, and
    `provenance.json`. Candidates without a structure are in the table only.

    Parameters
    ----------
    candidates
        Relaxed ones are written relaxed, the others as drawn.
    provenance
        Where they come from: model checkpoint, seed, constraints, potential and its hash,
        reference set. Values are written as text.
    destination
        A name that ends in .zip, or a folder to make. An older export is replaced, a folder that
        holds anything else is not.
    formats
        Names of `FORMATS`.
    marks
        Stars, tags and notes by candidate id.
    more
        Further files, name to text.
    asked
        The constraints of their campaign: what the candidates hold of its space groups and sites is
        told then.
    hull
        Which hull their campaign asked for: what DFT is expected to say of novel ones is told then.

    Raises
    ------
    ExportError
        When the destination cannot be written.
    """
    destination = Path(destination).expanduser()
    refuse_foreign_folder(destination)
    candidates = list(candidates)
    held = audit(candidates, asked) if asked is not None else NOTHING_ASKED
    chosen = Chosen(candidates, provenance, marks or {}, held, hull)
    files = files_of(chosen, [name for name in FORMATS if name in set(formats)], more or {})
    part = destination.with_name(f".{destination.name}.{os.getpid()}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.suffix.lower() == ".zip":
            _write_zip(part, files)
        else:
            _write_folder(part, files)
            if destination.is_dir():
                shutil.rmtree(destination)
        part.replace(destination)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExportError(f"cannot write {destination}: {reason}: choose another place") from error
    finally:
        _remove(part)
    return destination


def refuse_foreign_folder(destination: Path) -> None:
    """Raise `ExportError` for a folder that holds anything but an older export, or is none."""
    if destination.suffix.lower() in NO_FOLDER:
        raise ExportError(
            f"cannot write {destination}: expected a name that ends in .zip or a folder's, got "
            f"{destination.suffix!r}"
        )
    if not destination.is_dir():
        return
    written = {PROVENANCE, README, f"{REPORT}.html"}
    written |= {Path(one.files).parts[0] for one in FORMATS.values()}
    held = {item.name for item in destination.iterdir()}
    if held and not (PROVENANCE in held and held <= written):
        raise ExportError(
            f"cannot write {destination}: expected a new folder or an older export, it holds "
            f"{min(held - written or held)}: choose another place, or a name that ends in .zip"
        )


def files_of(chosen: Chosen, formats: Iterable[str], more: Mapping[str, str]) -> dict[str, str]:
    """Return all files of an export, name to text."""
    names = list(formats)
    files = {file: text for name in names for file, text in FORMATS[name].write(chosen)}
    held = {FORMATS[name].files: FORMATS[name].words for name in names}
    origin = {
        "hullscape": version("hullscape"),
        **{str(key): str(value) for key, value in chosen.provenance.items()},
        "candidates": [candidate.id for candidate in chosen.candidates],
        "left_out": chosen.left_out,
    }
    if chosen.audit:
        origin["asked_and_held"] = chosen.audit.to_list()
    provenance = json.dumps(origin, indent=1, ensure_ascii=False) + "\n"
    return {
        README: readme(chosen, held, list(more)),
        PROVENANCE: provenance,
        **files,
        **more,
    }


def _write_zip(path: Path, files: Mapping[str, str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def _write_folder(path: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
