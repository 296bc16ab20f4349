"""Hostile and malformed inputs of every kind that people hand in, made from seed and number."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from urllib.parse import quote_plus

from hostile_networks import NETWORK, RECIPE, STATE, set_of_phases, signed
from hostile_structures import SOUND, Cell, broken, cif, extxyz, parquet, poscar, pymatgen_json

MARK = "hullscape-was-here"
"""File that whatever runs a command, or leaves its folder, would leave behind."""
PAYLOAD = "data-pwned"
"""Attribute that no element of a page may have."""
NUMBERS = [
    *("nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "0", "-1", "-5.0", "1e6", "1e17", "1e400"),
    *("0.0000001", "٣", "1,5", "?", "0x10", "1_000", "--1", "1e", "230", "231", "0.5(3)"),
    *("99999999999999999999", "9" * 5000),
]
WORDS = (
    f"<script {PAYLOAD}>alert(1)</script>",
    f"<img src=x {PAYLOAD} onerror=alert(1)>",
    f"\" {PAYLOAD} onmouseover=\"alert(1)",
    f"'{PAYLOAD} onfocus='alert(1)",
    f"</script><svg {PAYLOAD} onload=alert(1)>",
    '=HYPERLINK("http://x","y")',
    "+cmd|' /C calc'!A0",
    "-2+3+SUM(1)",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "../../../../" + MARK,
    "/etc/passwd",
    "..\\..\\" + MARK,
    f"$(touch {MARK})",
    f"`touch {MARK}`",
    f"; touch {MARK} #",
    f"__import__('os').system('touch {MARK}')",
    "{{7*7}}",
    "%s%n%x",
    "'; DROP TABLE campaigns; --",
    "a\nb\n\nTraceback (most recent call last):",
    "\u202egnp.\x00\x07",
    "\ud800",
    "a" * 5000,
    "Qq",
    "D",
    "NaN",
    "[" * 3000,
)  # fmt: skip


@dataclass(frozen=True)
class Input:
    """One thing that somebody hands in.

    Attributes
    ----------
    number
        Of the input; with the seed it decides all the rest.
    kind
        One of `KINDS`.
    name
        What the file is called.
    content
        Its bytes; of kinds that are no files, JSON.
    """

    number: int
    kind: str
    name: str
    content: bytes


def make(seed: int, number: int) -> Input:
    """Return an input, the same for the same seed and number."""
    random = Random(f"{seed}/{number}")
    kind = random.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
    name, content = KINDS[kind][1](random)
    if random.random() < 0.05:
        stem, dot, suffix = name.rpartition(".")
        name = f"{random.choice(WORDS)[:150]}{stem}{dot}{suffix}"
    return Input(number, kind, name.replace("/", "\\"), content)


def mutated(content: bytes, random: Random) -> bytes:
    """Return content with one to four things wrong."""
    for _ in range(random.randint(1, 4)):
        content = random.choice(MUTATIONS)(content, random)
    return content[: 1 << 20]


def _spot(content: bytes, random: Random) -> int:
    return random.randrange(len(content) + 1)


def _flip(content: bytes, random: Random) -> bytes:
    changed = bytearray(content or b"x")
    for _ in range(random.randint(1, 8)):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _cut(content: bytes, random: Random) -> bytes:
    start, end = sorted((_spot(content, random), _spot(content, random)))
    return content[:start] if random.random() < 0.5 else content[:start] + content[end:]


def _repeat(content: bytes, random: Random) -> bytes:
    start, end = sorted((_spot(content, random), _spot(content, random)))
    return content[:end] + content[start:end] * random.choice([1, 2, 40]) + content[end:]


def _insert(content: bytes, random: Random) -> bytes:
    spot = _spot(content, random)
    word = random.choice([*WORDS, *NUMBERS]).encode("utf-8", "surrogatepass")
    return content[:spot] + word + content[spot:]


def _replace_token(content: bytes, random: Random) -> bytes:
    """Put a hostile number or word in the place of one that stands between blanks."""
    parts = content.split(b" ")
    word = random.choice([*NUMBERS, *NUMBERS, *WORDS]).encode("utf-8", "surrogatepass")
    parts[random.randrange(len(parts))] = word
    return b" ".join(parts)


def _recode(content: bytes, random: Random) -> bytes:
    text = content.decode("utf-8", "replace")
    code = random.choice(["utf-16", "utf-32", "utf-8-sig", "utf-7"])
    return text.encode(code, "replace")


def _shuffle_lines(content: bytes, random: Random) -> bytes:
    lines = content.split(b"\n")
    random.shuffle(lines)
    return random.choice([b"\n", b"\r\n", b"\r", b"\n\n"]).join(lines)


MUTATIONS = (
    _flip, _cut, _repeat, _insert, _insert, _replace_token, _replace_token, _replace_token, _recode,
    _shuffle_lines,
)  # fmt: skip


def _cell(random: Random) -> Cell:
    return broken(random) if random.random() < 0.5 else random.choice(SOUND)


def _perhaps(content: str | bytes, random: Random, chance: float = 0.6) -> bytes:
    """Return content as it is, or with something wrong."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return mutated(data, random) if random.random() < chance else data


PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
GROUPS = ("P 1", "F m -3 m", "P 6_3/m m c", "I 41/a c d", "nonsense", "225", "")


def _cif(random: Random) -> tuple[str, bytes]:
    name = random.choice(WORDS).split()[0] if random.random() < 0.1 else "x"
    group = random.choice(GROUPS) if random.random() < 0.3 else "P 1"
    return "a.cif", _perhaps(cif(_cell(random), group, name), random)


def _poscar(random: Random) -> tuple[str, bytes]:
    return random.choice(["POSCAR", "a.vasp", "CONTCAR"]), _perhaps(poscar(_cell(random)), random)


def _extxyz(random: Random) -> tuple[str, bytes]:
    frames = [extxyz(_cell(random)) for _ in range(random.randint(1, 3))]
    return random.choice(["a.extxyz", "a.xyz"]), _perhaps("".join(frames), random)


def _decoded(random: Random) -> dict[str, object]:
    """Return what a general decoder of JSON would turn into a call."""
    return random.choice(
        [
            {"@module": "os", "@class": "system", "command": f"touch {MARK}"},
            {"@module": "os", "@callable": "system", "@bound": None},
            {"@module": "subprocess", "@class": "Popen", "args": ["touch", MARK]},
            {"@module": "builtins", "@class": "eval"},
            {"@module": "numpy", "@class": "array", "dtype": "object", "data": [1]},
        ]
    )


def _json(random: Random) -> tuple[str, bytes]:
    items = [json.loads(pymatgen_json(_cell(random))) for _ in range(random.randint(1, 2))]
    if random.random() < 0.3 and items[0]["sites"]:
        items[0]["sites"][0]["properties"] = {"x": _decoded(random)}
        items[0]["properties"] = _decoded(random)
    entries = [{"entry_id": random.choice(WORDS), "structure": item} for item in items]
    return "a.json", _perhaps(json.dumps(random.choice([items, items[0], entries])), random)


def _parquet(random: Random) -> tuple[str, bytes]:
    cells = [_cell(random) for _ in range(random.randint(1, 3))]
    values = ["x", None, float("nan"), float("-inf"), 0.0, 1e9]
    more = {"e_above_hull": [random.choice(values[random.randint(0, 1) :][1:]) for _ in cells]}
    more |= {"id": [random.choice(WORDS[:20]) for _ in cells]} if random.random() < 0.3 else {}
    return "a.parquet", _perhaps(parquet(cells, **more), random, 0.4)


def _names_inside(random: Random) -> list[str]:
    tricks = [f"../../{MARK}.cif", f"/{MARK}.cif", f"..\\{MARK}.cif", "a/../../b.cif", "a\x00.cif"]
    usual = ["a.cif", "b.CIF", "deep/er/c.cif", "a.cif", "noise.txt", "ü\u202e.cif", ".hidden.cif"]
    return [random.choice([*usual, *usual, *tricks]) for _ in range(random.randint(0, 4))]


@cache
def _bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.cif", bytes(300 << 20))
    return file.getvalue()


def _zip(random: Random) -> tuple[str, bytes]:
    trick, file = random.random(), io.BytesIO()
    if trick < 0.04:
        return "a.zip", _bomb()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", random.choice(PACKINGS)) as archive:
        warnings.simplefilter("ignore")  # of names that stand twice
        for name in _names_inside(random):
            archive.writestr(name, _perhaps(cif(_cell(random)), random, 0.3))
        if trick < 0.14:
            link = zipfile.ZipInfo("link.cif")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        elif trick < 0.2:
            archive.writestr("inner.zip", _zip(random)[1])
    return "a.zip", _perhaps(file.getvalue(), random, 0.4)


def _tar(random: Random) -> tuple[str, bytes]:
    file = io.BytesIO()
    packing, suffix = random.choice([("w", "tar"), ("w:gz", "tar.gz"), ("w:xz", "tar.xz")])
    with tarfile.open(fileobj=file, mode=packing) as archive:
        for name in _names_inside(random):
            data = cif(_cell(random)).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        if random.random() < 0.3:
            link = tarfile.TarInfo("link.cif")
            link.type = random.choice([tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
            link.linkname = "/etc/passwd"
            archive.addfile(link)
    return f"a.{suffix}", _perhaps(file.getvalue(), random, 0.4)


def _csv(random: Random) -> tuple[str, bytes]:
    if random.random() < 0.5:
        row = ["225", "[4.0,4.0,4.0,90,90,90]", "[[0,0,0]]", "[13]", "[1]"]
        spoilt = [json.dumps(random.choice([*WORDS, *NUMBERS])) if random.random() < 0.2 else v
                  for v in row]  # fmt: skip
        rows = ["G,L,X,A,W", *(",".join(f'"{v}"' for v in some) for some in (row, spoilt))]
    else:
        texts = [cif(_cell(random)), pymatgen_json(_cell(random)), random.choice(WORDS)]
        cells = [random.choice(texts).replace('"', '""') for _ in range(3)]
        rows = [random.choice(["cif", "structure", "other"]), *(f'"{text}"' for text in cells)]
    return random.choice(["output_225.csv", "a.csv"]), _perhaps("\n".join(rows), random)


def _pattern(random: Random) -> tuple[str, bytes]:
    mark = random.choice([" ", ",", "\t", "; "])
    rows = [[f"{10 + k / 10:.2f}", str(random.randint(1, 900))] for k in range(40)]
    for _ in range(random.choice([0, 0, 1, 3])):
        random.choice(rows)[random.randint(0, 1)] = random.choice(NUMBERS)
    return random.choice(["a.xy", "a.csv"]), _perhaps("\n".join(map(mark.join, rows)), random, 0.5)


FIELDS = {
    "elements": ["Al-Ca-Cu", "Na,Cl", "Al", "", "-".join(["H", "He", "Li", "Be", "B"] * 4)],
    "formula": ["CaAl2", "CaAl1-4Cu1-3", "H0-99He0-99Li0-99Be0-99", "Al99999999999", "(CaO)2"],
    "spacegroups": ["139", "cubic", "1-230", "Fm-3m,225", "0", "231", "195-206,cubic"],
    "sites": ["139:2a=Ca", "139:4d=none", "225:4a=Na,Cl, 225:4b", "1:1a=" + "Al," * 50],
    "required": ["Al", "Al-Ca", "Og"],
    "excluded": ["F-Cl", "Al"],
    "max_atoms": ["64", "1", "0", "100", "101", "1e3"],
    "n": ["64", "0", "1000000", "99999999999"],
    "seed": ["1", "-1", str(2**63)],
    "temperature": ["1", "0", "nan", "inf", "-1"],
    "stability": ["low", "high", "any", "low "],
    "search": ["likeliest", "distinct", "independent"],
    "subset": ["true", "false", "TRUE", "1"],
    "best_of": ["8", "0"],
    "potential": ["chgnet", "matgl:/etc", "matgl:../x", "nothing", ""],
    "unknown": ["1", "nan"],
}  # fmt: skip


def _asked(random: Random) -> dict[str, str]:
    """Return some fields of a form, some of them with hostile values."""
    names = ["elements", *random.sample(list(FIELDS), random.randint(1, 5))]
    strange = [*WORDS, *NUMBERS]
    return {
        name: random.choice(strange if random.random() < 0.25 else FIELDS[name]) for name in names
    }


def _query(random: Random) -> tuple[str, bytes]:
    pairs = "&".join(
        f"{name}={quote_plus(value, errors='replace')}" for name, value in _asked(random).items()
    )
    return "query", _perhaps("?" + pairs, random, 0.3)


def _toml(random: Random) -> tuple[str, bytes]:
    lines = [f"{name} = {json.dumps(value)}" for name, value in _asked(random).items()]
    lines += random.choice([[], ["a = " + "[" * 3000 + "]" * 3000], ["n = " + "9" * 5000]])
    return "a.toml", _perhaps("\n".join(lines), random, 0.5)


def _form(random: Random) -> tuple[str, bytes]:
    return "form", json.dumps(_asked(random)).encode()


def _names(random: Random) -> tuple[str, bytes]:
    words = [random.choice(WORDS) for _ in range(4)]
    spoilt = mutated(words[0].encode("utf-8", "replace"), random).decode("utf-8", "replace")
    return "names", json.dumps([*words, spoilt]).encode()


class _Command:
    """Unpickles to a command that leaves the mark."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os  # noqa: PLC0415 - belongs to the trick alone

        return os.system, (f"touch {MARK}",)


def _archive(files: dict[str, bytes], random: Random) -> bytes:
    """Return a folder as JSON of latin-1 texts, one of its files spoilt or replaced by a pickle."""
    name = random.choice(list(files))
    spoilt = random.random()
    if spoilt < 0.15:
        files = files | {name: pickle.dumps(_Command())}
    elif spoilt < 0.25:
        files = {other: data for other, data in files.items() if other != name}
    elif spoilt < 0.95:
        files = files | {name: mutated(files[name], random)}
    files = signed(files) if random.random() < 0.6 else files
    return json.dumps({name: data.decode("latin-1") for name, data in files.items()}).encode()


def _checkpoint(random: Random) -> tuple[str, bytes]:
    return "weights", _archive(dict(NETWORK), random)


def _state(random: Random) -> tuple[str, bytes]:
    return "run", _archive(dict(STATE), random)


def _recipe(random: Random) -> tuple[str, bytes]:
    return "recipe.toml", _perhaps(RECIPE, random, 0.9)


def _references(random: Random) -> tuple[str, bytes]:
    return "references.parquet", _perhaps(set_of_phases(random), random, 0.4)


KINDS: dict[str, tuple[int, Callable[[Random], tuple[str, bytes]]]] = {
    "cif": (20, _cif),
    "poscar": (12, _poscar),
    "extxyz": (10, _extxyz),
    "json": (12, _json),
    "parquet": (10, _parquet),
    "zip": (8, _zip),
    "tar": (4, _tar),
    "csv": (6, _csv),
    "pattern": (10, _pattern),
    "query": (12, _query),
    "toml": (8, _toml),
    "form": (12, _form),
    "names": (6, _names),
    "checkpoint": (5, _checkpoint),
    "state": (3, _state),
    "recipe": (3, _recipe),
    "references": (5, _references),
}
"""How often each kind comes, and what makes one."""
