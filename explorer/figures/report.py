"""A campaign as one HTML page that needs neither a server nor a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go
import plotly.io
from plotly.offline import get_plotlyjs

from explorer.audit import COUNTED, NOTHING_ASKED, Audit
from explorer.audit import HEADS as ASKED_AND_HELD
from explorer.campaign import Campaign
from explorer.candidate import Candidate, State
from explorer.figures.asked import question_words
from explorer.figures.distributions import distributions_figure, distributions_of
from explorer.figures.hull import hull_figure
from explorer.figures.hull_picture import with_candidates, with_live_hull
from explorer.figures.known import Known
from explorer.figures.retrieval import DRAWN, SPENT, curve_of, whole_ticks
from explorer.figures.style import LIGHT, layout
from explorer.figures.words import NOT_KNOWN, energy_number, escape, formula_label, spacegroup_label
from explorer.marks import Mark
from explorer.retrieval import Curve
from explorer.track_record import DRAWN as LIKE_DRAWN
from explorer.track_record import KINDS as CRYSTALS
from explorer.track_record import prospects, track_record

LISTED = 200
"""Candidates in the table, the lowest above the hull first."""
LIMIT = 0.5
"""eV/atom: what lies further above the hull is not drawn."""
PAPER = 690
"""Pixels between the margins of an A4 or Letter page."""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 14px/1.5 system-ui, 'Segoe UI', Roboto, sans-serif; color: #1c2430; margin: 0 auto;
  max-width: 1080px; padding: 28px 24px 60px; background: #fff; color-scheme: light; }}
h1 {{ font-size: 26px; margin: 0 0 4px; }} h2 {{ font-size: 17px; margin: 32px 0 8px; }}
.muted {{ color: #5b6675; }}
h1, dt, dd {{ overflow-wrap: anywhere; }}
dl {{ display: grid; grid-template-columns: fit-content(55%) 1fr; gap: 3px 18px; margin: 8px 0; }}
dt {{ color: #5b6675; }} dd {{ margin: 0; }}
table {{ border-collapse: collapse; width: 100%; font-size: 13px;
  font-variant-numeric: tabular-nums; }}
th {{ text-align: left; color: #5b6675; font-weight: 600; }}
td, th {{ padding: 4px 10px 4px 0; border-bottom: 1px solid #dfe4ea; vertical-align: top; }}
td.number, th.number {{ text-align: right; width: 90px; padding-right: 18px; }}
td.group {{ white-space: nowrap; }}
td.said {{ overflow-wrap: anywhere; white-space: pre-line; min-width: 120px; width: 28%; }}
.wide {{ overflow-x: auto; }}
@media (max-width: 600px) {{ body {{ padding: 16px 12px 40px; }} }}
@media print {{
  body {{ max-width: none; padding: 0; font-size: 11px; }}
  h2 {{ break-after: avoid; }}
  tr, dl, .plotly-graph-div {{ break-inside: avoid; }}
  .wide {{ overflow: visible; }}
  table {{ font-size: 10px; }}
  .modebar-container {{ display: none; }}
}}
</style><script>{plotly}</script></head><body>
{body}
<script>
// Paper is narrower than most windows, and Plotly sees no change of size when a page is printed.
for (const [event, width] of [["beforeprint", {paper}], ["afterprint", null]]) {{
  addEventListener(event, () => {{
    for (const plot of document.querySelectorAll(".plotly-graph-div")) {{
      Plotly.relayout(plot, {{width, autosize: width === null}})
    }}
  }})
}}
</script>
</body></html>
"""
NOTE = (
    "Energies above the hull are those of the potential, not of DFT: below zero a candidate would "
    "be a new stable phase of that potential. Check it with DFT, and ask a database whether it is "
    "known, before you claim it."
)
FATES = tuple(str(state) for state in State if state != State.DRAWN)
FATE_WORDS = {str(State.SKIPPED): "not relaxed"}
ABOVE, EXPECTED, SAID = "E above hull, eV/atom", "By experience, eV/atom", "Tags and note"
HEADS = ("", "Candidate", "Formula", ABOVE, EXPECTED, "Relaxed", "Competes with", SAID)
ALWAYS = ("Candidate", "Formula", ABOVE, "Relaxed", "Competes with")
"""Columns that stand there though nothing is in them."""
KINDS = {
    ABOVE: " class='number'",
    EXPECTED: " class='number'",
    "Relaxed": " class='group'",
    SAID: " class='said'",
}
"""Of the table's cells, by their heads."""
BY_EXPERIENCE = (
    "<p class='muted'>By experience: where DFT is expected to place a novel candidate, by what it "
    "said of other novel crystals that the potential had placed.</p>"
)


@dataclass(frozen=True)
class Contents:
    """What a report tells.

    Attributes
    ----------
    campaign
        With its counts and its provenance.
    candidates
        All of them, in the order of drawing; structures are not needed.
    known
        What was known of the system beforehand.
    targets
        Names of the structures that the retrieval curve counts.
    marks
        Stars, tags and notes by candidate id.
    audit
        What the candidates hold of the space groups and sites asked for; empty where that is none.
    same
        Id of a candidate to that of the earlier one that it equals once relaxed.
    """

    campaign: Campaign
    candidates: Sequence[Candidate]
    known: Known
    targets: tuple[str, ...] = ()
    marks: Mapping[str, Mark] = field(default_factory=dict)
    audit: Audit = NOTHING_ASKED
    same: Mapping[str, str] = field(default_factory=dict)


def campaign_report(contents: Contents) -> str:
    """Return the report as one HTML document with its plots and their script inside."""
    campaign = contents.campaign
    instruments = {key.capitalize(): value for key, value in campaign.provenance.items()}
    title = campaign.spec.name or formula_label(campaign.spec.composition)
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p class='muted'>Hullscape campaign {escape(campaign.id)}, "
        f"{escape(campaign.state.value)}</p>",
        _section("What was asked", _facts(question_words(campaign.spec))),
        _section("What came out", _counts(campaign) + _prospects(contents)),
        _section("Asked for and held", _audit(contents.audit)),
        _section("Convex hull", _hull(contents)),
        _section("Distributions", _distributions(contents)),
        _section("Targets found", _retrieval(contents)),
        _section("Candidates", _table(contents)),
        _section(
            "Made with",
            _facts(instruments),
        ),
    ]
    return PAGE.format(
        title=escape(title), plotly=get_plotlyjs(), body="\n".join(sections), paper=PAPER
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def _facts(facts: Mapping[str, object]) -> str:
    rows = (f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f"<dl>{''.join(rows)}</dl>" if facts else ""


def _counts(campaign: Campaign) -> str:
    counts = campaign.counts
    told = {FATE_WORDS.get(n, n).capitalize(): counts[n] for n in FATES if counts.get(n)}
    reasons = counts.get("reasons", {})
    lost = {f"Lost: {reason}": number for reason, number in reasons.items()}
    return _facts({"Drawn": f"{counts['drawn']} of {campaign.spec.n}"} | told | lost)


def _audit(held: Audit) -> str:
    """Return the table of what was asked for and how many crystals hold it; "" for nothing."""
    if not held:
        return ""
    head = "".join(f"<th scope='col'>{name}</th>" for name in ASKED_AND_HELD)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line.cells)}</tr>"
        for line in held.lines
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"{table}<p class='muted'>{COUNTED}</p>"


def _prospects(contents: Contents) -> str:
    """Tell how many candidates on the hull DFT would leave there, where that was measured."""
    hull = contents.campaign.spec.hull
    on_hull, stable = prospects(contents.candidates, hull)
    if not on_hull or stable is None:
        return ""
    _, drawn = prospects(contents.candidates, hull, LIKE_DRAWN)
    distinct, _ = prospects([c for c in contents.candidates if c.id not in contents.same], hull)
    fewer = f", {distinct} of them distinct once relaxed" if distinct < on_hull else ""
    return (
        f"<p>{on_hull} novel candidates lie on the hull or below{fewer}. By what DFT said of other "
        f"novel crystals, about {stable:.1f} of {on_hull} are to be expected stable, {drawn:.1f} "
        f"if all are like {CRYSTALS[LIKE_DRAWN]}.</p>"
    )


def _hull(contents: Contents) -> str:
    known = contents.known
    if known.picture.message:
        return f"<p>{escape(known.picture.message)}</p>"
    picture = with_candidates(known.picture, contents.candidates)
    if known.hull is not None:
        picture = with_live_hull(picture, known.hull, contents.candidates)
    if not picture.elements:
        return ""
    level = f"{picture.message} Energies: {picture.level}. {known.competition}".lstrip()
    plot = _plot(hull_figure(picture, threshold=LIMIT), "620px")
    limit = f"Shown up to {LIMIT:g} eV/atom above the hull."
    return f"{plot}<p class='muted'>{escape(level)} {limit} {NOTE}</p>"


def _distributions(contents: Contents) -> str:
    shown = distributions_of(contents.candidates, LIMIT)
    return _plot(distributions_figure(shown), "460px") if shown.densities else ""


def _retrieval(contents: Contents) -> str:
    if not contents.targets:
        return ""
    curve = curve_of(contents.candidates, contents.targets)
    found = curve.found_by_crystals[-1]
    told = f"<p>{found} of {curve.total} {'target' if curve.total == 1 else 'targets'} found.</p>"
    return told + _plot(retrieval_lines(curve), "300px")


def retrieval_lines(curve: Curve) -> go.Figure:
    """Draw targets found against crystals drawn and against relaxations, as steps."""
    lines = (
        ("by crystals drawn", curve.crystals, curve.found_by_crystals, DRAWN, "solid"),
        ("by relaxations", curve.relaxations, curve.found_by_relaxations, SPENT, "7px,4px"),
    )
    figure = go.Figure()
    for name, x, y, colour, dash in lines:
        line = {"shape": "hv", "color": colour, "dash": dash, "width": 2.5}
        figure.add_scatter(x=x.tolist(), y=y.tolist(), name=name, mode="lines", line=line)
    figure.update_layout(layout(LIGHT, "retrieval"))
    figure.update_layout(margin={"l": 50, "r": 8, "t": 24, "b": 44})
    end = max(int(curve.crystals[-1]), int(curve.relaxations[-1]), 1)
    figure.update_xaxes(
        title="crystals drawn, or relaxations",
        range=[0, end],
        tickvals=whole_ticks(end),
        gridcolor=LIGHT.grid,
    )
    figure.update_yaxes(
        title="targets found",
        range=[0, max(curve.total, 1) * 1.08],
        tickvals=whole_ticks(max(curve.total, 1)),
        gridcolor=LIGHT.grid,
    )
    return figure


def _plot(figure: go.Figure, height: str) -> str:
    return plotly.io.to_html(
        figure.update_layout(template="none"),
        include_plotlyjs=False,
        full_html=False,
        default_height=height,
        config={"displaylogo": False, "responsive": True},
    )


def _table(contents: Contents) -> str:
    placed = [c for c in contents.candidates if c.state == State.RELAXED and _has_energy(c)]
    placed.sort(key=lambda candidate: candidate.energy_above_hull)
    rows = [_row(candidate, contents) for candidate in placed[:LISTED]]
    kept = [name for name in HEADS if name in ALWAYS or any(row[name] for row in rows)]
    head = "".join(f"<th scope='col'{KINDS.get(name, '')}>{name}</th>" for name in kept)
    body = "".join(f"<tr>{''.join(_cells(row, kept))}</tr>" for row in rows)
    more = f"<p class='muted'>The lowest {LISTED} of {len(placed)}.</p>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    table = f"<div class='wide'>{table}</div>{BY_EXPERIENCE if EXPECTED in kept else ''}"
    return (table + (more if len(placed) > LISTED else "")) if placed else "<p>None relaxed.</p>"


def _has_energy(candidate: Candidate) -> bool:
    return candidate.energy_above_hull is not None


def _row(candidate: Candidate, contents: Contents) -> dict[str, str]:
    """Return the cells of a candidate by their heads."""
    mark = contents.marks.get(candidate.id, Mark())
    record = track_record(candidate, contents.campaign.spec.hull)
    cells = (
        "★" if mark.starred else "",
        candidate.id,
        formula_label(candidate.formula),
        energy_number(candidate.energy_above_hull),
        energy_number(record.expected) if record else "",
        spacegroup_label(candidate.spacegroup_relaxed),
        formula_label(candidate.decomposition or NOT_KNOWN),
        "; ".join(filter(None, (", ".join(mark.tags), mark.note))),
    )
    return dict(zip(HEADS, cells, strict=True))


def _cells(row: Mapping[str, str], kept: Iterable[str]) -> Iterable[str]:
    for name in kept:
        yield f"<td{KINDS.get(name, '')}>{escape(row[name])}</td>"
