"""Values as cells of a table that a spreadsheet may open."""

from __future__ import annotations

import math
from typing import Any


def cell(value: Any) -> str:
    """Return a value as text for a CSV cell; empty when unknown.

    Text that a spreadsheet would take for a formula gets a leading apostrophe.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    text = str(value)
    numeric = isinstance(value, int)
    return f"'{text}" if not numeric and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
