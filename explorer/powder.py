"""Measured powder patterns: columns of angle and intensity, as diffractometers write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from explorer.complaints import one_line, too_large

MAX_MEGABYTES = 8
FEWEST, MOST = 10, 500_000
"""Points of a pattern."""
MOST_HEADER = 200
"""Lines before the first numbers."""
HIGHEST = 1e30
"""Largest intensity, so that their differences are numbers too."""
COMMENTS = ("#", "!", "%", ";", "//", "'", '"', "*", "_")
SEPARATOR = re.compile(r"[\s,;]+")
NUMBER = r"[+-]?\d*,?\d+(?:[eE][+-]?\d+)?"
DECIMAL_COMMAS = re.compile(rf"{NUMBER}\s+{NUMBER}(?:\s|$)")
"""Two numbers that blanks alone keep apart: a comma within one cannot separate them."""
GROUPED = re.compile(r"[+-]?\d*\.\d+\s+[+-]?\d+,\d")
"""A point in the angle and a comma in the intensity: that may mean thousands, or a third column."""


class PatternError(ValueError):
    """A file that is no powder pattern; one line that says what was expected and what was found."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@dataclass(frozen=True, eq=False)
class MeasuredPattern:
    """A pattern as it was measured.

    Attributes
    ----------
    name
        Of the file.
    angles
        2 theta, degrees, ascending, (N,).
    intensities
        The highest is 100 and the lowest is 0, (N,).
    """

    name: str
    angles: np.ndarray
    intensities: np.ndarray

    def thinned(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Return at most so many points: of each stretch the highest, so that no peak is lost."""
        size = -(-len(self.angles) // most)
        starts = range(0, len(self.angles), size)
        kept = [start + int(np.argmax(self.intensities[start : start + size])) for start in starts]
        return self.angles[kept], self.intensities[kept]


def read_pattern(name: str, content: bytes) -> MeasuredPattern:
    """Read two columns, angle and intensity; further columns and lines before them are passed by.

    Parameters
    ----------
    name
        Of the file, for messages.
    content
        Its bytes: .xy, .csv, .dat, .txt; separated by blanks, commas, semicolons or tabs.
        Unless commas separate, numbers may have decimal commas.

    Raises
    ------
    PatternError
        When it is too large, binary, or holds anything but a powder pattern.
    """
    if len(content) > MAX_MEGABYTES * 2**20:
        raise PatternError(f"{name}: {too_large(len(content), MAX_MEGABYTES)}")
    if b"\0" in content:
        raise PatternError(f"{name}: expected text with two columns, got a binary file")
    rows = _rows(name, content.decode("utf-8-sig", errors="replace").splitlines())
    if not FEWEST <= len(rows) <= MOST:
        raise PatternError(
            f"{name}: expected {FEWEST} to {MOST} lines of angle and intensity, got {len(rows)}"
        )
    return _checked(name, np.array(rows))


def _rows(name: str, lines: list[str]) -> list[tuple[float, float]]:
    rows: list[tuple[float, float]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith(COMMENTS):
            continue
        pair = _pair(text)
        if pair is not None:
            rows.append(pair)
        elif rows or number > MOST_HEADER:
            raise PatternError(
                f"{name}, line {number}: expected an angle and an intensity, got {text[:40]!r}"
            )
    return rows


def _pair(text: str) -> tuple[float, float] | None:
    if GROUPED.match(text):
        return None
    if ";" in text or DECIMAL_COMMAS.match(text):
        text = text.replace(",", ".")
    try:
        angle, intensity = (float(part) for part in SEPARATOR.split(text)[:2])
    except ValueError:
        return None
    return angle, intensity


def _checked(name: str, rows: np.ndarray) -> MeasuredPattern:
    """Sort and normalise; raises PatternError for what cannot be angles and intensities."""
    if not np.isfinite(rows).all():
        strange = int((~np.isfinite(rows)).sum())
        raise PatternError(f"{name}: expected finite numbers, got {strange} that are not")
    angles, counts = rows[np.argsort(rows[:, 0], kind="stable")].T
    if angles[0] < 0 or angles[-1] > 180:
        raise PatternError(
            f"{name}: expected 2 theta in degrees from 0 to 180 in the first column, "
            f"got {angles[0]:g} to {angles[-1]:g}"
        )
    low, high = counts.min(), counts.max()
    if max(-low, high) > HIGHEST:
        raise PatternError(
            f"{name}: expected intensities up to {HIGHEST:g}, got {max(-low, high):g}"
        )
    if not high > low:
        raise PatternError(f"{name}: expected intensities that differ, all are {high:g}")
    return MeasuredPattern(name, angles, 100 * (counts - low) / (high - low))
