"""What the library's number fields lack: a second Enter, and names for their two buttons."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from panel.custom import JSComponent

STATIC = Path(__file__).parent / "static"


class NumberKeys(JSComponent):
    """Watches the whole page, shows nothing; one for each page."""

    _esm: ClassVar[Path] = STATIC / "number_keys.js"

    def __init__(self, **params: object) -> None:
        super().__init__(**{"margin": 0, "height": 0} | params)
