"""The numbers of compared campaigns side by side, and what they were given differently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from explorer.figures.versus import NEAR, Contender, Difference, Funnel, funnel, seeds_told
from explorer.figures.words import NOT_KNOWN, energy_label, escape
from explorer.ui.theme import LINE

TABLE_LOOK = """
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; min-width: 500px; font-size: 13px; margin-top: 4px;
  font-variant-numeric: tabular-nums; table-layout: fixed; }
th, td { text-align: left; padding: 4px 14px 4px 0; vertical-align: top; }
td, thead th { overflow-wrap: anywhere; }
tr + tr > *, tbody tr:first-child > * { border-top: 1px solid LINE; }
thead th { font-weight: 600; padding-bottom: 7px; }
thead td { width: max(21%, 130px); }
th[scope=row] { font-weight: 400; color: var(--muted); }
td b { font-weight: 600; }
td .share { color: var(--muted); margin-left: 6px; }
a { color: var(--panel-primary-color); text-decoration: none; font-weight: 600; }
a:hover { text-decoration: underline; }
a:focus-visible { outline: 2px solid var(--panel-primary-color); outline-offset: 2px; }
i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px;
  vertical-align: -1px; }
thead span { display: block; font-weight: 400; color: var(--muted); font-size: 12px; }
h2 { margin: 12px 0 0; font-size: 11px; letter-spacing: 0.06em; color: var(--muted);
  text-transform: uppercase; }
td.scale { color: light-dark(#8a5a00, #f2c14e); }
""".replace("LINE", LINE)


class Line(NamedTuple):
    """One row of the funnel: its name, the count, what it is a share of, and help text."""

    name: str
    count: Callable[[Funnel], int]
    whole: Callable[[Funnel], int] | None = None
    of: str = ""
    help: str = ""


FUNNEL = (
    Line("Drawn", lambda f: f.drawn),
    Line("Valid", lambda f: f.valid, lambda f: f.drawn, "drawn",
         "Decoded, with no atoms too close"),
    Line("Unique", lambda f: f.unique, lambda f: f.drawn, "drawn",
         "Equal to no earlier crystal of the campaign, as drawn"),
    Line("Novel", lambda f: f.novel, lambda f: f.drawn, "drawn",
         "Unique, and equal to no known phase"),
    Line("Relaxed", lambda f: f.relaxed, lambda f: f.relaxed + f.failed, "relaxations",
         "Relaxed to the limits of forces, stress and energy"),
    Line("Failed", lambda f: f.failed, lambda f: f.relaxed + f.failed, "relaxations"),
    Line(f"Within {NEAR:g} eV/atom", lambda f: f.near, lambda f: f.relaxed, "relaxed",
         "Of the hull, after relaxation"),
    Line("On or below the hull", lambda f: f.on_hull, lambda f: f.relaxed, "relaxed"),
    Line("Stable, unique and novel", lambda f: f.sun, lambda f: f.drawn, "drawn",
         "On or below the hull, novel, and unique as drawn: what relaxes into one counts each"),
)  # fmt: skip


def versus_html(
    contenders: Sequence[Contender], colours: Sequence[str], unlike: Sequence[Difference]
) -> str:
    """Return the table: a column for each campaign, with counts and what they do not share."""
    counted = [funnel(contender) for contender in contenders]
    head = "".join(
        _head(contender, colour, seed)
        for contender, colour, seed in zip(
            contenders, colours, seeds_told(contenders), strict=False
        )
    )
    rows = "".join(_row(line, counted) for line in FUNNEL)
    rows += _plain_row("Lowest", [energy_label(f.lowest) for f in counted], "Energy above the hull")
    rows += _plain_row("Targets found", [_found(contender) for contender in contenders])
    group = "What differs" if unlike else "Nothing differs in what they were asked"
    return (
        f"<div class='wide'><table><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody>"
        f"<tbody><tr><th colspan='{len(contenders) + 1}' scope='rowgroup'><h2>{group}</h2></th>"
        f"</tr>{''.join(map(_difference_row, unlike))}</tbody></table></div>"
    )


def _head(contender: Contender, colour: str, seed: str) -> str:
    campaign = contender.campaign
    generator = campaign.spec.generator if campaign.spec.name else ""  # else the title tells it
    state = "deleted" if campaign.deleted else campaign.state.value
    told = ", ".join(filter(None, (generator, seed, state, campaign.id[:4])))
    return (
        f"<th scope='col'><i style='background:{escape(colour)}'></i>"
        f"<a href='?campaign={escape(campaign.id)}'>{escape(contender.title)}</a>"
        f"<span>{escape(told)}</span></th>"
    )


def _row(line: Line, counted: Sequence[Funnel]) -> str:
    cells = []
    for each in counted:
        share = ""
        if line.whole is not None and line.whole(each):
            percent = 100 * line.count(each) / line.whole(each)
            share = f"<span class='share'>{percent:.0f} % of {line.whole(each):,} {line.of}</span>"
        cells.append(f"<td><b>{line.count(each):,}</b>{share}</td>")
    return f"<tr>{_name(line.name, line.help)}{''.join(cells)}</tr>"


def _plain_row(name: str, values: Sequence[str], told: str = "") -> str:
    cells = "".join(f"<td>{escape(value or NOT_KNOWN)}</td>" for value in values)
    return f"<tr>{_name(name, told)}{cells}</tr>"


def _name(name: str, told: str) -> str:
    return f"<th scope='row' title='{escape(told)}'>{escape(name)}</th>"


def _found(contender: Contender) -> str:
    curve = contender.curve
    return f"{curve.found_by_crystals[-1]} of {curve.total}" if curve.total else ""


def _difference_row(item: Difference) -> str:
    """Return what the campaigns were given; what moves the energy scale stands out."""
    kind = " class='scale'" if item.scale else ""
    cells = "".join(f"<td{kind}>{escape(value or NOT_KNOWN)}</td>" for value in item.values)
    return f"<tr>{_name(item.what, '')}{cells}</tr>"
