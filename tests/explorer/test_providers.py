"""Phases from databases: an OPTIMADE server on loopback, and what goes wrong without one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from optimade.adapters.structures.pymatgen import from_pymatgen
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

from explorer.cli import app
from explorer.phases import ReferenceFileError, read_chemical_systems, read_notes
from explorer.providers import (
    KEY,
    ProviderError,
    from_materials_project,
    from_optimade,
    optimade_filter,
    read_documents,
)
from explorer.references import ReferencePhases

START_SECONDS = 120.0


def entry_of(name: str, structure: Structure, **changes: object) -> str:
    """Write a structure as a line of OPTIMADE's exchange format."""
    attributes = json.loads(from_pymatgen(structure).model_dump_json()) | changes
    attributes["last_modified"] = {"$date": "2026-01-01T00:00:00Z"}
    return json.dumps({"id": name, "type": "structures", "attributes": attributes})


@pytest.fixture(scope="module")
def served() -> dict[str, Structure]:
    """Return real phases of Al and Al-Ca, and one of another system."""
    phases = ReferencePhases.shipped("Al-Ca-O").phases
    kept = {p.id: p.structure for p in phases if p.chemsys in {"Al", "Al-Ca"}}
    kept["foreign"] = next(p.structure for p in phases if p.chemsys == "Al-O")
    return kept


@pytest.fixture(scope="module")
def server(served: dict[str, Structure], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve them and a disordered one with optimade's own reference server; yields its URL."""
    folder = tmp_path_factory.mktemp("optimade")
    lines = ['{"x-optimade": {"meta": {"api_version": "1.2.0"}}}']
    lines += [entry_of(name, structure) for name, structure in served.items()]
    pair = Structure(Lattice.cubic(4.0), ["Al", "Ca"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    both = {"name": "M", "chemical_symbols": ["Al", "Ca"], "concentration": [0.5, 0.5]}
    once = {"species": [both], "species_at_sites": ["M"], "nsites": 1}
    once |= {"cartesian_site_positions": [[0, 0, 0]], "structure_features": ["disorder"]}
    lines.append(entry_of("mixed", pair, **once))
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    settings = {"insert_test_data": False, "insert_from_jsonl": str(folder / "data.jsonl")}
    (folder / "config.json").write_text(json.dumps(settings | {"database_backend": "mongomock"}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "optimade.server.main:app", "--port", str(port)],
        env=os.environ | {"OPTIMADE_CONFIG_FILE": str(folder / "config.json")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_answers(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_it_answers(url: str, process: subprocess.Popen) -> None:
    """Ask until the server answers; fail when it has died."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "the OPTIMADE server died"
        try:
            if requests.get(f"{url}/v1/info", timeout=5).ok:
                return
        except requests.ConnectionError:
            continue
    raise AssertionError("the OPTIMADE server does not answer")


def test_the_filter_names_every_subsystem() -> None:
    """It uses only what every server must understand."""
    assert optimade_filter(["Ca", "Al"]) == (
        '(elements HAS ALL "Al" AND nelements=1) OR (elements HAS ALL "Ca" AND nelements=1)'
        ' OR (elements HAS ALL "Al", "Ca" AND nelements=2)'
    )


def test_a_system_is_fetched_from_a_server(server: str, served: dict[str, Structure]) -> None:
    """All its phases come as they are, none of another system; what is disordered is told."""
    found = from_optimade(server, ["Al", "Ca"])
    fetched = dict(found.structures)
    assert set(fetched) == set(served) - {"foreign"}
    assert set(found.refused) == {"mixed"}
    assert "partial" in found.refused["mixed"]
    for name, structure in fetched.items():
        assert structure.composition == served[name].composition
        assert structure.volume == pytest.approx(served[name].volume)
        assert structure.distance_matrix == pytest.approx(served[name].distance_matrix, abs=1e-6)


def test_fetched_phases_make_a_reference_set(server: str, tmp_path: Path) -> None:
    """The command names the source, adds the element that the server lacks, and tells refusals."""
    out = tmp_path / "fetched.parquet"
    command = ["references", "import", "--optimade", server, "--elements", "Al-Ca", "--no-relax"]
    done = CliRunner().invoke(app, [*command, "-o", str(out), "--json", str(tmp_path / "t.json")])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "t.json").read_text())
    assert told["elements_added"] == ["Ca"]
    assert set(told["refused"]) == {"mixed"}
    found = ReferencePhases.from_file(out, "Al-Ca")
    assert found.missing_elements == ()
    assert {p.source for p in found.phases if p.chemsys == "Al-Ca"} == {server}
    assert read_chemical_systems(out) == ["Al", "Al-Ca", "Ca"]
    assert "static" in read_notes(out)["geometry"]


def test_a_server_that_cannot_be_asked_is_named(server: str, tmp_path: Path) -> None:
    """Neither a wrong path nor a closed port leaves a file, or more than one line."""
    for url in (f"{server}/nonsense", "http://127.0.0.1:1", "nonsense"):
        with pytest.raises(ProviderError, match="expected an OPTIMADE server"):
            from_optimade(url, ["Al"])
    with pytest.raises(ProviderError) as told:
        from_optimade("http://127.0.0.1:1", ["Al"])
    assert "\n" not in str(told.value)


def test_the_materials_project_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one it is said where to get it."""
    monkeypatch.delenv(KEY, raising=False)
    with pytest.raises(ProviderError, match=f"{KEY}: get one at https://"):
        from_materials_project(["Al"], 0.1)


def test_documents_of_the_materials_project_are_read() -> None:
    """Structures come as objects or as dictionaries."""
    copper = Structure(Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
    documents = [
        {"material_id": "mp-1", "structure": copper},
        {"material_id": "mp-2", "structure": copper.as_dict()},
    ]
    found = read_documents(documents)
    assert [name for name, _ in found.structures] == ["mp-1", "mp-2"]
    assert found.structures[0].structure == found.structures[1].structure


def test_an_import_of_nothing_says_what_to_give(tmp_path: Path) -> None:
    """Nothing is written."""
    runner = CliRunner()
    out = str(tmp_path / "x.parquet")
    bare = runner.invoke(app, ["references", "import", "-o", out])
    assert isinstance(bare.exception, (ValueError, SystemExit, ReferenceFileError))
    assert not (tmp_path / "x.parquet").exists()
