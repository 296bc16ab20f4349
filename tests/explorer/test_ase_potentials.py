"""Calculators of other packages: by entry point, and by the extras of this one."""

import sys
from pathlib import Path

import pytest
from ase.build import bulk
from toy_potentials import install_package

from explorer.ase_potentials import with_whole_path
from explorer.crystals import from_atoms
from explorer.potentials import PotentialError, available, potential
from explorer.relax import Relaxer

MODULE = """
import atexit
from multiprocessing import parent_process
from pathlib import Path

if parent_process():
    atexit.register(Path(__file__).with_name("tidied").touch)

from ase.calculators.emt import EMT

def make():
    return EMT()

make.elements = ("Al", "Cu")
make.correction = "none"

def spelled():
    return EMT()

spelled.elements = "AlCu"
"""
ENTRIES = """[hullscape.potentials]
myemt = my_emt_package:make
broken = my_emt_package:absent
spelled = my_emt_package:spelled
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that offers a calculator, on the path of this and of child processes."""
    install_package(tmp_path, "my_emt_package", MODULE, ENTRIES)
    monkeypatch.delitem(sys.modules, "my_emt_package", raising=False)  # of another test's folder
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_weights_are_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers load them in folders of their own; the name of a model stays one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.model").touch()
    assert with_whole_path("my.model") == str(tmp_path / "my.model")
    assert with_whole_path("medium-mpa-0") == "medium-mpa-0"


def test_a_calculator_of_another_package_relaxes(package: Path) -> None:
    """It is listed, has a version and a hash, works in a worker process and tidies up there."""
    assert "myemt" in available()
    mine = potential("myemt")
    assert mine.level.potential == "myemt 1.2"
    assert mine.elements == {"Al", "Cu"}
    with Relaxer(mine, workers=1) as relaxer:
        result = dict(relaxer.relax([("cu", from_atoms(bulk("Cu", "fcc", a=3.8)))]))["cu"]
    assert result.converged
    assert result.structure.volume * 4 == pytest.approx(3.59**3, rel=0.03)
    assert (package / "tidied").exists()


def test_another_version_is_another_checkpoint(package: Path) -> None:
    """Energies of two releases never meet on one hull."""
    before = potential("myemt").checkpoint_hash
    metadata = package / "my_emt_package-1.2.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: my-emt-package\nVersion: 1.3\n")
    assert potential("myemt").checkpoint_hash != before


def test_another_code_of_one_version_is_another_checkpoint(package: Path) -> None:
    """Who works on a calculator changes it from day to day, and the version never."""
    before = potential("myemt").checkpoint_hash
    assert potential("myemt").checkpoint_hash == before
    with (package / "my_emt_package.py").open("a") as module:
        module.write("SHIFT = 0.1\n")
    assert potential("myemt").checkpoint_hash != before


def test_an_entry_that_cannot_be_imported_is_told(package: Path) -> None:
    """Which one, and why."""
    with pytest.raises(PotentialError, match=r"cannot load my_emt_package:absent of broken"):
        potential("broken")


def test_elements_are_symbols(package: Path) -> None:
    """Of a string each letter was one, and no element was known."""
    with pytest.raises(PotentialError, match=r"spelled: expected symbols .* got 'AlCu'"):
        potential("spelled")


@pytest.mark.parametrize("extra", ["sevennet", "mace", "orb", "mattersim"])
def test_a_missing_package_names_the_extra(extra: str) -> None:
    """What to install, in a line that can be copied; an installed one is listed."""
    if extra in available():
        assert potential(extra).name.startswith(f"{extra}:")
        return
    with pytest.raises(PotentialError, match=rf"pip install 'hullscape\[{extra}\]'"):
        potential(extra)
