"""Crystal <-> token row, and the vocabulary.

A row is ``stability order header skeleton lattice coordinates``:

- ``header``: number of elements, the elements in formula order, the formula (counts, or
  ``NO_FORMULA``) and the space group; the group comes last, or first if the order token says so;
- ``skeleton``: a (Wyckoff position, element) pair for every site, in order, then ``END``;
- ``lattice``: volume per atom, then the ratios b/a and c/a and the angles, as far as they are free;
- ``coordinates``: the free coordinates, site by site.

A continuous value is one token for its bin and, beside it, one of 64 steps within the bin; the two
have their own distributions. Bins are centred so that 0, 1/2, 1/3, 1/8 and 90 degrees are exact.

Letters in shapes: T tokens of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from model.crystal import Site, WyckoffCrystal, lattice_parameters, lattice_vectors
from model.elements import atomic_number, formula_rank, symbol_of
from model.wyckoff import LETTERS, crystal_family, table

MAX_SITES = 20
MAX_ELEMENTS = 8
MAX_COUNT = 64
MAX_LENGTH = 2 + 1 + MAX_ELEMENTS + MAX_ELEMENTS + 1 + 2 * MAX_SITES + 1 + 6 + 3 * MAX_SITES
"""Longest row: every part of a row at its largest."""

PAD, LOW, HIGH, ANY, ELEMENTS_FIRST, SPACEGROUP_FIRST, END, NO_FORMULA = range(8)
N_ELEMENTS_0 = 8
ELEMENT_0 = N_ELEMENTS_0 + MAX_ELEMENTS
SPACEGROUP_0 = ELEMENT_0 + 118
COUNT_0 = SPACEGROUP_0 + 230
POSITION_0 = COUNT_0 + MAX_COUNT
VOLUME_0 = POSITION_0 + 1731
RATIO_0 = VOLUME_0 + 128
ANGLE_0 = RATIO_0 + 128
COORDINATE_0 = ANGLE_0 + 128
VOCABULARY = COORDINATE_0 + 96
"""Number of tokens."""
FINE_STEPS = 64
"""Steps within the bin of a continuous value."""
STABILITY = {"low": LOW, "high": HIGH, "any": ANY}


class Role(IntEnum):
    """What a token says; the grammar knows the role of the next token before it is drawn."""

    PROMPT = 0
    N_ELEMENTS = 1
    ELEMENT = 2
    COUNT = 3
    SPACEGROUP = 4
    POSITION = 5
    SITE_ELEMENT = 6
    VOLUME = 7
    RATIO_B = 8
    RATIO_C = 9
    ALPHA = 10
    BETA = 11
    GAMMA = 12
    X = 13
    Y = 14
    Z = 15
    DONE = 16


@dataclass(frozen=True)
class Scale:
    """How a continuous value becomes a bin and a step within it."""

    first: int
    """Token of the first bin."""
    bins: int
    """Number of bins."""
    low: float
    """Centre of the first bin."""
    high: float
    """One bin beyond the centre of the last bin."""
    periodic: bool = False
    """Whether ``high`` is ``low`` again."""

    def encode(self, value: float) -> tuple[int, int]:
        """Token and step of a value.

        Raises
        ------
        ValueError
            If the value is not finite or lies outside the scale.
        """
        steps = self.bins * FINE_STEPS
        if not np.isfinite(value):
            raise ValueError(f"expected a finite value, got {value}")
        place = round((value - self.low) / (self.high - self.low) * steps) + FINE_STEPS // 2
        if self.periodic:
            place %= steps
        if not 0 <= place < steps:
            raise ValueError(
                f"expected a value between {self.low} and {self.high}, got {value:.4f}"
            )
        return self.first + place // FINE_STEPS, place % FINE_STEPS

    def decode(self, token: int, fine: int) -> float:
        """Value of a token and its step."""
        place = (token - self.first) * FINE_STEPS + fine - FINE_STEPS // 2
        value = self.low + place * (self.high - self.low) / (self.bins * FINE_STEPS)
        return value % 1.0 if self.periodic else value


VOLUME_SCALE = Scale(VOLUME_0, 128, float(np.log(2.5)), float(np.log(250.0)))
"""Natural logarithm of the volume per atom in cubic angstrom."""
RATIO_SCALE = Scale(RATIO_0, 128, -4.0, 4.0)
"""Natural logarithm of b/a and c/a."""
ANGLE_SCALE = Scale(ANGLE_0, 128, 20.0, 160.0)
"""Degrees."""
COORDINATE_SCALE = Scale(COORDINATE_0, 96, 0.0, 1.0, periodic=True)
"""Fractional coordinates."""
SCALES = {
    Role.VOLUME: VOLUME_SCALE,
    Role.RATIO_B: RATIO_SCALE,
    Role.RATIO_C: RATIO_SCALE,
    Role.ALPHA: ANGLE_SCALE,
    Role.BETA: ANGLE_SCALE,
    Role.GAMMA: ANGLE_SCALE,
    Role.X: COORDINATE_SCALE,
    Role.Y: COORDINATE_SCALE,
    Role.Z: COORDINATE_SCALE,
}
LATTICE_ROLES = {
    "cubic": (Role.VOLUME,),
    "hexagonal": (Role.VOLUME, Role.RATIO_C),
    "tetragonal": (Role.VOLUME, Role.RATIO_C),
    "orthorhombic": (Role.VOLUME, Role.RATIO_B, Role.RATIO_C),
    "monoclinic": (Role.VOLUME, Role.RATIO_B, Role.RATIO_C, Role.BETA),
    "triclinic": (Role.VOLUME, Role.RATIO_B, Role.RATIO_C, Role.ALPHA, Role.BETA, Role.GAMMA),
}


class TokenError(ValueError):
    """A crystal that does not fit the vocabulary, or a row that is no crystal."""


@dataclass(frozen=True)
class Row:
    """One crystal as arrays over its tokens."""

    tokens: np.ndarray
    """Tokens, (T,) int16."""
    fine: np.ndarray
    """Step within the bin; 0 where the token is not continuous, (T,) int8."""
    roles: np.ndarray
    """Role of each token, (T,) int8."""
    sites: np.ndarray
    """Index of the site that a coordinate belongs to; -1 elsewhere, (T,) int8."""

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.tokens)


def crystal_to_row(
    crystal: WyckoffCrystal,
    *,
    stability: str = "any",
    spacegroup_first: bool = False,
    formula: bool = False,
) -> Row:
    """Write a crystal as tokens, sites in canonical order.

    Parameters
    ----------
    stability : {"low", "high", "any"}
        What the first token says of the energy above the hull.
    spacegroup_first : bool
        Whether the space group comes before the elements.
    formula : bool
        Whether the header states the reduced formula.

    Raises
    ------
    TokenError
        If the crystal has too many sites or elements, or a value outside its scale.
    """
    sites = sorted_sites(crystal)
    if len(sites) > MAX_SITES:
        raise TokenError(f"expected at most {MAX_SITES} sites, got {len(sites)}")
    if len(crystal.composition) > MAX_ELEMENTS:
        raise TokenError(f"expected at most {MAX_ELEMENTS} elements in {crystal.formula}")
    parts = _header(crystal, stability, spacegroup_first, formula)
    for site in sites:
        position = table().position(crystal.spacegroup, site.letter)
        parts.append((POSITION_0 + position, 0, Role.POSITION, -1))
        parts.append((element_token(site.element), 0, Role.SITE_ELEMENT, -1))
    parts.append((END, 0, Role.POSITION, -1))
    try:
        parts += _lattice(crystal)
        parts += _coordinates(crystal, sites)
    except ValueError as error:
        raise TokenError(f"{crystal.formula}: {error}") from None
    tokens, fine, roles, owners = zip(*parts, strict=True)
    return Row(
        np.array(tokens, np.int16),
        np.array(fine, np.int8),
        np.array(roles, np.int8),
        np.array(owners, np.int8),
    )


def row_to_crystal(tokens: np.ndarray, fine: np.ndarray) -> WyckoffCrystal:
    """Read a token row; the inverse of ``crystal_to_row`` up to the steps of continuous values.

    Raises
    ------
    TokenError
        If the row is not a complete crystal.
    """
    values = [int(token) for token in tokens]
    if END not in values:
        raise TokenError("the row has no end of its sites")
    end = values.index(END)
    group = next((t for t in values[2:end] if SPACEGROUP_0 <= t < COUNT_0), None)
    first = next((k for k, t in enumerate(values[:end]) if t >= POSITION_0), None)
    if group is None or first is None or (end - first) % 2:
        raise TokenError("the row has no space group or no complete site")
    spacegroup = group - SPACEGROUP_0 + 1
    pairs = [(values[k] - POSITION_0, values[k + 1]) for k in range(first, end, 2)]
    roles = row_tail(spacegroup, [position for position, _ in pairs])
    rest, steps = values[end + 1 :], [int(step) for step in fine[end + 1 :]]
    if len(rest) < len(roles):
        raise TokenError(f"expected {len(roles)} numbers after the sites, got {len(rest)}")
    numbers = [SCALES[role].decode(rest[k], steps[k]) for k, (role, _) in enumerate(roles)]
    free: list[list[float]] = [[] for _ in pairs]
    for (_, owner), number in zip(roles, numbers, strict=True):
        if owner >= 0:
            free[owner].append(number)
    sites = tuple(
        Site(LETTERS[table().letter[position]], symbol_of(token - ELEMENT_0 + 1), tuple(values_))
        for (position, token), values_ in zip(pairs, free, strict=True)
    )
    shape = {
        role: number for (role, owner), number in zip(roles, numbers, strict=True) if owner < 0
    }
    return WyckoffCrystal(spacegroup, sites, lattice_of([p for p, _ in pairs], shape))


def row_tail(spacegroup: int, positions: list[int]) -> list[tuple[Role, int]]:
    """Roles, with the owning site or -1, of what follows the skeleton."""
    tail = [(role, -1) for role in LATTICE_ROLES[crystal_family(spacegroup)]]
    for owner, position in enumerate(positions):
        axes = np.flatnonzero(table().free_axes[position])
        tail += [(Role(Role.X + int(axis)), owner) for axis in axes]
    return tail


def sorted_sites(crystal: WyckoffCrystal) -> list[Site]:
    """Sites by letter, then by element in formula order, then by coordinates."""
    rank = formula_rank()
    return sorted(
        crystal.sites,
        key=lambda s: (LETTERS.index(s.letter), rank[atomic_number(s.element) - 1], s.free),
    )


def element_token(symbol: str) -> int:
    """Token of an element."""
    return ELEMENT_0 + atomic_number(symbol) - 1


def _header(
    crystal: WyckoffCrystal, stability: str, spacegroup_first: bool, formula: bool
) -> list[tuple[int, int, Role, int]]:
    composition = crystal.composition
    divisor = int(np.gcd.reduce(list(composition.values())))
    counts = [count // divisor for count in composition.values()]
    group = [(SPACEGROUP_0 + crystal.spacegroup - 1, 0, Role.SPACEGROUP, -1)]
    chemistry = [(N_ELEMENTS_0 + len(composition) - 1, 0, Role.N_ELEMENTS, -1)]
    chemistry += [(element_token(symbol), 0, Role.ELEMENT, -1) for symbol in composition]
    if formula and max(counts) <= MAX_COUNT:
        chemistry += [(COUNT_0 + count - 1, 0, Role.COUNT, -1) for count in counts]
    else:
        chemistry += [(NO_FORMULA, 0, Role.PROMPT, -1)]
    order = SPACEGROUP_FIRST if spacegroup_first else ELEMENTS_FIRST
    prompt = [(STABILITY[stability], 0, Role.PROMPT, -1), (order, 0, Role.PROMPT, -1)]
    return prompt + (group + chemistry if spacegroup_first else chemistry + group)


def _lattice(crystal: WyckoffCrystal) -> list[tuple[int, int, Role, int]]:
    a, b, c, alpha, beta, gamma = crystal.lattice
    volume = abs(np.linalg.det(lattice_vectors(*crystal.lattice)))
    atoms = sum(int(table().multiplicity[position]) for position in crystal.positions)
    values = {
        Role.VOLUME: float(np.log(volume / atoms)),
        Role.RATIO_B: float(np.log(b / a)),
        Role.RATIO_C: float(np.log(c / a)),
        Role.ALPHA: alpha,
        Role.BETA: beta,
        Role.GAMMA: gamma,
    }
    roles = LATTICE_ROLES[crystal_family(crystal.spacegroup)]
    return [(*SCALES[role].encode(values[role]), role, -1) for role in roles]


def _coordinates(crystal: WyckoffCrystal, sites: list[Site]) -> list[tuple[int, int, Role, int]]:
    parts = []
    for owner, site in enumerate(sites):
        axes = table().free_axes[table().position(crystal.spacegroup, site.letter)]
        for axis, value in zip(np.flatnonzero(axes), site.free, strict=True):
            parts.append((*COORDINATE_SCALE.encode(value), Role(Role.X + int(axis)), owner))
    return parts


def lattice_of(
    positions: list[int], shape: dict[Role, float]
) -> tuple[float, float, float, float, float, float]:
    """Conventional lattice parameters from the volume per atom, the ratios and the angles.

    Parameters
    ----------
    positions : list of int
        Rows of the Wyckoff table, one a site.
    shape : dict
        Value of each free lattice number, by role.

    Raises
    ------
    TokenError
        If the angles cannot meet in a cell.
    """
    spacegroup = int(table().group[positions[0]])
    atoms = sum(int(table().multiplicity[position]) for position in positions)
    gamma = 120.0 if crystal_family(spacegroup) == "hexagonal" else 90.0
    angles = (
        shape.get(Role.ALPHA, 90.0),
        shape.get(Role.BETA, 90.0),
        shape.get(Role.GAMMA, gamma),
    )
    ratios = (1.0, np.exp(shape.get(Role.RATIO_B, 0.0)), np.exp(shape.get(Role.RATIO_C, 0.0)))
    try:
        unit = lattice_vectors(*ratios, *angles)
    except ValueError as error:
        raise TokenError(str(error)) from None
    scale = (np.exp(shape[Role.VOLUME]) * atoms / abs(np.linalg.det(unit))) ** (1 / 3)
    return lattice_parameters(unit * scale)
