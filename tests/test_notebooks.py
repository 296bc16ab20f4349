"""The notebooks run from a clean kernel, as a reader runs them."""

import json
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LOADER = "application/vnd.holoviews_load.v0+json"


def test_there_is_a_tour() -> None:
    """A repository without notebooks would pass the other tests."""
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_errors(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cell succeeds, in a folder of its own; only a search leaves one there, which it names.

    A cell that removed it would take away what the views above read, and whatever lies in a folder
    that a reader chose instead.
    """
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    # With more threads than cores, those that wait spin and everything takes ten times longer.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert not fetched_by(cells), "a reader without a network sees no figure"
    kept = {"Al-Ca-Cu"} if path.stem == "first_search" else set()
    assert {left.name for left in tmp_path.iterdir()} == kept


def fetched_by(cells: list) -> set[str]:
    """Return what the loaders of HoloViews and Panel among the outputs fetch from other hosts."""
    loaders = [
        output["data"][LOADER]
        for cell in cells
        for output in cell.outputs
        if LOADER in output.get("data", {})
    ]
    lists = [found for loader in loaders for found in re.findall(r"js_urls = (\[.*?\]);", loader)]
    assert bool(lists) == any("retrieval_figure" in cell.source for cell in cells)
    return {address for found in lists for address in json.loads(found)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    """Outputs grow, and hide what changed."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)
