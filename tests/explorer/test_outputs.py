"""Outputs are written whole, and never over what this program did not write."""

import os
from pathlib import Path

import pytest

from explorer.campaign import SpecError
from explorer.outputs import refuse_full_folder, refuse_unwritable, replacing


def test_a_full_folder_keeps_what_it_holds(tmp_path: Path) -> None:
    """Only a folder that is known to be ours gives way; an empty one does too."""
    for name in ("theirs", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("years")
    with pytest.raises(SpecError, match=r"new or an empty folder, it holds thesis\.txt"):
        refuse_full_folder(tmp_path / "theirs")
    with pytest.raises(OSError, match="not empty"), replacing(tmp_path / "theirs") as part:
        part.mkdir()
    assert (tmp_path / "theirs" / "thesis.txt").read_text() == "years"
    for name, own in (("theirs", True), ("empty", False)):
        with replacing(tmp_path / name, own=own) as part:
            part.mkdir()
            (part / "new").touch()
        assert [file.name for file in (tmp_path / name).iterdir()] == ["new"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "theirs"]


def test_the_folder_that_one_is_in_is_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exchanged working directory would be gone for the shell that stands in it."""
    monkeypatch.chdir(tmp_path)
    for name in (".", "", str(tmp_path)):
        with pytest.raises(SpecError, match="the folder you are in"):
            refuse_full_folder(Path(name))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """And nothing beside it."""
    (tmp_path / "out.json").write_text("old")
    with pytest.raises(ValueError, match="no"), replacing(tmp_path / "out.json") as part:
        part.write_text("half")
        raise ValueError("no")
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]
    assert (tmp_path / "out.json").read_text() == "old"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is written."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with replacing(tmp_path / "link") as part:
        part.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_pipe_gets_the_bytes_and_stays(tmp_path: Path) -> None:
    """As /dev/stdout does; nothing may be put in its place."""
    read, write = os.pipe()
    path = Path(f"/dev/fd/{write}")
    refuse_unwritable(path)
    with replacing(path) as part:
        part.write_text("told")
    os.close(write)
    with os.fdopen(read) as end:
        assert end.read() == "told"
