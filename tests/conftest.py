"""The order of the files: those that take minutes first, so that no process is left with one."""

from __future__ import annotations

import pytest

LONG = ("test_browser", "test_users", "test_faults", "test_readme", "test_notebooks", "test_sample")
"""How the names of files begin that start servers, browsers or whole campaigns."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files before all others, without changing anything else."""
    items.sort(key=lambda item: not item.path.name.startswith(LONG))
