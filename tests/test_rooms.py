"""The doors between the rooms stay shut: what may import what."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODEL_MAY = {"torch", "numpy", "safetensors", "model"}


@pytest.mark.parametrize("path", sorted((ROOT / "model").rglob("*.py")), ids=lambda p: p.name)
def test_model_imports_only_torch_numpy_and_safetensors(path: Path) -> None:
    """A copy of ``model/`` alone works on a bare GPU machine."""
    assert imported(path) - set(sys.stdlib_module_names) <= MODEL_MAY


@pytest.mark.parametrize(
    "path", sorted((ROOT / "explorer").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_panel_stays_in_the_ui(path: Path) -> None:
    """No computation depends on the page, and nothing turns back to it."""
    inside = path.relative_to(ROOT / "explorer").parts[0]
    if inside != "ui":
        assert not imported(path) & {"panel", "panel_material_ui", "bokeh"}
        assert "explorer.ui" not in path.read_text(encoding="utf-8")


def test_model_runs_without_the_rest() -> None:
    """Sampling in a fresh process loads neither pymatgen, spglib, ASE nor Panel."""
    program = (
        "import sys\n"
        "from model.checkpoint import load_network\n"
        "from model.constraints import Constraints\n"
        "from model.sample import sample\n"
        "draws = list(sample(load_network(), Constraints.parse('Al-Ca-Cu'), seed=0, count=2))\n"
        "assert all(draw.crystal for draw in draws)\n"
        "strangers = {'pymatgen', 'spglib', 'ase', 'panel', 'pandas', 'explorer'}\n"
        "assert not strangers & set(sys.modules), strangers & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


def test_page_is_up_without_what_takes_seconds() -> None:
    """A server that was killed is back in half the time: what computes is imported when it does."""
    program = (
        "import sys\n"
        "import explorer.ui.page\n"
        "slow = {'torch', 'crystal_toolkit', 'sklearn', 'networkx', 'pymatgen.io.vasp'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


def test_no_room_is_called_utils() -> None:
    """File names say what is inside."""
    assert not [p for p in ROOT.glob("*/**/util*.py") if ".venv" not in p.parts]


def imported(path: Path) -> set[str]:
    """Top-level names of all modules that a file imports, at its head or within functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names
