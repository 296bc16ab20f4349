"""What holds for the whole suite: the order of the files, and the threads of each process."""

from __future__ import annotations

import os

import pytest
from pymatgen.symmetry.groups import SpaceGroup

# One process for each core runs tests: two threads each would wait for one another all the time.
# Read when torch is first imported, and by all programs that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Hundreds of programs are started. Where no bytecode may be kept, each would compile all modules
# of this project anew: one second in seven.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

HELD = SpaceGroup("Fm-3m")
"""pymatgen forgets a group that nobody holds, and takes a second to make this one anew."""

LONG = ("test_browser", "test_users", "test_faults", "test_readme", "test_notebooks", "test_sample")
"""How the names of files begin that start servers, browsers or whole campaigns."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first, so that no process is left with one at the end."""
    items.sort(key=lambda item: not item.path.name.startswith(LONG))
