"""What the README says runs, and what it names exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", README, re.DOTALL)
TOUR = [text for kind, text in BLOCKS if kind == "bash" and text.startswith("hullscape ")]
SET_UP = [text for kind, text in BLOCKS if kind == "bash" and "python3 -m venv" in text]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for the whole tour, since its commands build on each other."""
    return tmp_path_factory.mktemp("tour")


@pytest.mark.parametrize("block", TOUR, ids=lambda text: text.split("\n")[0][:50])
def test_commands_run(block: str, folder: Path) -> None:
    """Every command of the tour ends well, one after the other in one folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-euc", block],
        cwd=folder,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=500,
    )


def test_tour_left_what_it_promises(folder: Path) -> None:
    """The campaign's folder holds what the README says."""
    campaign = folder / "campaign"
    assert len((campaign / "candidates.csv").read_text().splitlines()) == 9
    assert (campaign / "summary.json").is_file()


def test_python_blocks_run(folder: Path) -> None:
    """Python blocks run as they stand, in a fresh interpreter."""
    blocks = [text for kind, text in BLOCKS if kind == "python"]
    assert blocks
    for block in blocks:
        subprocess.run([sys.executable, "-c", block], cwd=folder, check=True, timeout=300)


def test_set_up_commands_are_two_single_lines() -> None:
    """One line sets up and serves, the other sets up and tests; CI runs the latter."""
    serve, tests = (text.strip() for text in SET_UP)
    assert serve.endswith("panel serve app.py")
    assert tests.endswith("-m pytest")
    assert "\n" not in serve + tests
    assert "grep -m 1 -- '-m pytest$' README.md" in (ROOT / ".ci" / "run").read_text()


def test_named_files_exist() -> None:
    """Every file and folder that the README names is there."""
    named = re.findall(r"`((?:model|explorer|notebooks|assets)/[\w/.-]*)`", README)
    named += re.findall(r"\]\((?!http)([\w/.-]+)\)", README)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_other_commands_are_known() -> None:
    """Commands named in the running text exist with the options named beside them."""
    from typer.main import get_command  # noqa: PLC0415

    from explorer.cli import app  # noqa: PLC0415

    known = get_command(app).commands
    named = set(re.findall(r"`hullscape (\w+)", README))
    assert named
    assert named <= set(known)


def test_the_app_tells_the_same_results() -> None:
    """What the first page shows of the measurements stands in the README, word for word."""
    assert (ROOT / "explorer" / "data" / "results.md").read_text(encoding="utf-8") in README


def test_rows_of_a_table_have_as_many_cells_as_its_head() -> None:
    """A row that is too long or too short puts its figures under another head."""
    rows = re.split(r"\n(?!\|)", README)
    tables = [block.split("\n") for block in rows if "\n|" in block]
    assert len(tables) > 5
    for table in tables:
        cells = {len(re.split(r"(?<!\\)\|", row)) for row in table if row.startswith("|")}
        assert len(cells) == 1, table[0]
