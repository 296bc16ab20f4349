"""The views of a campaign in Jupyter, as the page shows them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from explorer.figures.words import escape
from explorer.found import Found, read_found
from explorer.headless import DATABASE

HEIGHT = 980  # CSS pixels: the hull, the crystal and the head of the table
_SERVERS: dict[tuple[Path, int], tuple[subprocess.Popen, int]] = {}
"""The servers that this process has started, and their ports. One ends with its standard input."""


class CampaignFrame:
    """Where the views of a campaign are; a notebook shows them as the result of a cell.

    Attributes
    ----------
    address : str
        Of the views, for a browser on this machine.
    """

    def __init__(self, found: Found, address: str, height: int) -> None:
        self.address = address
        self._found, self._height = found, height

    def __repr__(self) -> str:
        return f"{self._found!r}; shown at {self.address}"

    def _repr_html_(self) -> str:
        words = escape(repr(self._found))
        return (
            f"<p>{words}: <a href='{self.address}' target='_blank'>in a tab of its own</a></p>"
            f"<iframe src='{self.address}' title='{words}' width='100%' height='{self._height}' "
            "style='border: 1px solid #8884; border-radius: 8px'></iframe>"
        )


def view(
    found: Found | str | Path, *, dark: bool = False, height: int = HEIGHT, port: int = 0
) -> CampaignFrame:
    """Show a campaign: hull, crystal, table, retrieval curve and distributions, linked by a click.

    They are those of the page, and follow a campaign that is still running. They come from a server
    of this machine, which ends with the notebook's kernel and needs no network.

    Parameters
    ----------
    found
        What `explorer.search` returned, or `explorer.read_found` of any folder of a run; or the
        folder itself.
    dark
        In the dark theme.
    height
        Of the frame, CSS pixels.
    port
        Where the server listens; 0 takes a free one. Where the kernel runs on another machine,
        choose one and forward it, as by ``ssh -L 5007:localhost:5007 MACHINE``.

    Raises
    ------
    FileNotFoundError
        When the folder holds no search (any more).
    RuntimeError
        When the server cannot start, with its own last words.
    """
    found = read_found(found if isinstance(found, str | Path) else found.folder)
    served = _served((found.folder / DATABASE).resolve(), port)
    query = "?dark=true" if dark else ""
    return CampaignFrame(found, f"http://localhost:{served}/{query}", height)


def _served(database: Path, port: int) -> int:
    """Start the server of a campaign unless it is there already; returns its port."""
    server, listening = _SERVERS.get((database, port), (None, 0))
    if server is not None and server.poll() is None:
        return listening
    command = [sys.executable, "-m", "explorer.ui.notebook_server", str(database), str(port)]
    with tempfile.TemporaryFile("w+") as said:
        server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
        )
        answer = server.stdout.readline()
        if not answer:
            server.communicate()
            said.seek(0)
            last = (said.read().strip().splitlines() or ["it said nothing"])[-1]
            raise RuntimeError(f"the views cannot be served: {last}")
    _SERVERS[database, port] = server, int(answer)
    return int(answer)
