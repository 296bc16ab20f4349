"""How a complaint is worded: one line of bounded length, whatever a file or a library put in."""

from __future__ import annotations

MOST = 600
"""Characters of a complaint; of a longer one the beginning and the end are kept."""


def one_line(text: object) -> str:
    """Return text without line breaks, control characters and runs of blanks, shortened."""
    words = "".join(sign if sign.isprintable() else " " for sign in str(text)).split()
    line = " ".join(words)
    half = MOST // 2
    return line if len(line) <= MOST else f"{line[:half].rstrip()} … {line[-half:].lstrip()}"
