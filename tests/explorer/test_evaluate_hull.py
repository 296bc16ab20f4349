"""A potential's hull against the one of DFT: nothing lost, nothing compared with itself."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure

from explorer.cli import main
from explorer.crystals import NamedStructure
from explorer.dft_hull import dft_references
from explorer.evaluate.hull import (
    LABELS,
    calibration,
    compare,
    evaluate_hull,
    read_labels,
    without,
)
from explorer.hull import Hull
from explorer.isolation import Sandbox
from explorer.novelty import Matcher
from explorer.phases import Phase, form_id
from explorer.potentials import Potential, potential
from explorer.references import HULL_WORDS, ReferencePhases
from explorer.relax import Relaxer
from explorer.track_record import DRAWN, KINDS, experiences

SYSTEM = "Ca-O-Ti"


@pytest.fixture(scope="module")
def chgnet() -> Potential:
    """The potential of the shipped phases."""
    return potential("chgnet")


@pytest.fixture(scope="module")
def matcher() -> Iterator[Matcher]:
    """The usual tolerances, in a child of this module's own."""
    with Sandbox() as sandbox:
        yield Matcher(sandbox=sandbox)


def quiet(_: str) -> None:
    """Swallow progress."""


def ternaries() -> list[Phase]:
    """Return the shipped ternary phases of one system."""
    return ReferencePhases.shipped(SYSTEM).targets(max_e_above_hull=0.1)


def judged(phases: list[Phase], chgnet: Potential, matcher: Matcher, **options: object) -> dict:
    """Judge shipped phases under new names, so that only their structure gives them away."""
    named = [NamedStructure(f"new-{k}", phase.structure) for k, phase in enumerate(phases)]
    distances = [phase.e_above_hull_dft for phase in phases]
    options |= {"matcher": matcher, "progress": quiet}
    return evaluate_hull(named, distances, chgnet, ReferencePhases.shipped, **options)


def test_figures_of_a_small_table_worked_out_by_hand() -> None:
    """One hit, one false alarm, one miss and one true negative at 0; errors in eV/atom."""
    truth, predicted = np.array([-0.1, 0.2, 0.0, 0.5]), np.array([0.0, -0.1, 0.05, 0.5])
    told = compare(truth, predicted)
    assert told["confusion"]["0"] == {
        "true_positive": 1,
        "false_positive": 1,
        "false_negative": 1,
        "true_negative": 1,
    }
    assert (told["precision"]["0"], told["recall"]["0"], told["f1"]["0"]) == (0.5, 0.5, 0.5)
    assert told["auc"]["0"] == 0.5
    assert (told["precision"]["0.1"], told["recall"]["0.1"]) == (0.6667, 1.0)
    assert told["mae"] == pytest.approx(0.1125)
    assert told["median_absolute_error"] == pytest.approx(0.075)
    assert told["bias"] == pytest.approx(-0.0375)
    assert told["spearman"] == pytest.approx(0.4)


def test_figures_of_nothing_are_unknown_and_not_zero() -> None:
    """Without structures there is no error; without stable ones no recall."""
    nothing = compare(np.array([]), np.array([]))
    assert nothing["mae"] is nothing["spearman"] is nothing["auc"]["0"] is None
    unstable = compare(np.array([0.5, 0.6]), np.array([0.5, 0.6]))
    assert unstable["recall"]["0"] is unstable["precision"]["0"] is None
    assert unstable["spearman"] == 1.0


def test_a_known_phase_does_not_compete_with_itself(chgnet: Potential, matcher: Matcher) -> None:
    """The shipped phase that is the same crystal is left out, whatever it is called."""
    phases = ternaries()
    told = judged(phases, chgnet, matcher, signed=False)
    assert told["n"] == told["n_placed"] == len(phases)
    assert told["mae"] < 0.05
    assert told["without_rivals"] == 0
    assert told["potential"] == str(chgnet.level)
    assert told["references"].startswith("references-chgnet.parquet")
    stable = next(
        phase for phase in phases if phase.id in Hull(ReferencePhases.shipped(SYSTEM)).stable
    )
    alone = judged([stable], chgnet, matcher)
    assert alone["bias"] < 0, "without itself, a stable phase lies below the hull of the others"


def test_a_known_phase_does_not_compete_with_its_relaxed_form(
    chgnet: Potential, matcher: Matcher
) -> None:
    """EuSb2, which CHGNet turns into another crystal: as far from the hull as if it had not."""
    found = ReferencePhases.shipped("Eu-Sb")
    phase = next(phase for phase in found.phases if phase.id == "mp-611062")
    form = next(other for other in found.phases if other.id == form_id(phase.id))

    def without_it(system: str) -> ReferencePhases:
        found = ReferencePhases.shipped(system)
        return replace(found, phases=[one for one in found.phases if one.id != form.id])

    named = [NamedStructure("new", phase.structure)]
    options = {"matcher": matcher, "progress": quiet}
    with_form, without_form = (
        evaluate_hull(named, [0.0], chgnet, known, **options)["bias"]
        for known in (ReferencePhases.shipped, without_it)
    )
    assert with_form == without_form < 0


def test_leaving_nothing_out_keeps_the_hull() -> None:
    """A hull is built once for all the structures that are no known phase."""
    hull = Hull(ReferencePhases.shipped("Ca-O"))
    assert without(hull, {"nothing"}) is hull
    fewer = without(hull, {hull.stable[0]})
    assert len(fewer.references.phases) == len(hull.references.phases) - 1


def test_what_cannot_be_placed_is_counted_with_its_reason(
    chgnet: Potential, matcher: Matcher
) -> None:
    """A foreign element, colliding atoms and a lonely atom are neither lost nor zero."""
    lattice = Lattice.cubic(3.4)
    bad = [
        ("polonium", Structure(lattice, ["Po"], [[0, 0, 0]])),
        ("close", Structure(lattice, ["Ca", "O"], [[0, 0, 0], [0.01, 0, 0]])),
        ("lonely", Structure(Lattice.cubic(7.5), ["Ca"], [[0, 0, 0]])),
    ]
    named = [NamedStructure(*pair) for pair in bad]
    named.append(NamedStructure("good", ternaries()[0].structure))
    told = evaluate_hull(
        named, [0.1] * 4, chgnet, ReferencePhases.shipped, matcher=matcher, progress=quiet
    )
    assert (told["n"], told["n_placed"], told["without_rivals"]) == (4, 1, 0)
    assert told["reasons"] == {
        "chgnet does not know Po": 1,
        "atoms closer than 0.7 Å": 1,
        "the potential gives no energy": 1,
    }


def test_structures_that_do_not_relax_are_not_placed(chgnet: Potential, matcher: Matcher) -> None:
    """An energy that is not at rest would count as an error of the potential."""
    moved = [phase.structure.copy() for phase in ternaries()[:1]]
    moved[0].perturb(0.1)
    named = [NamedStructure("moved", structure) for structure in moved]
    with Relaxer(chgnet, workers=1, max_steps=1) as relaxer:
        told = evaluate_hull(
            named, [0.0], chgnet, ReferencePhases.shipped,
            matcher=matcher, relaxer=relaxer, progress=quiet,
        )  # fmt: skip
    assert told["reasons"] == {"not converged in 1 steps": 1}
    assert (told["n_placed"], told["mae"], told["geometry"]) == (0, None, "relaxed")


def labelled_file(path: Path, column: str = "e_above_hull") -> Path:
    """Write shipped phases, the last of them without a label."""
    phases = ternaries()
    rows = {
        "id": [phase.id for phase in phases],
        "lattice": [np.ravel(phase.lattice) for phase in phases],
        "numbers": [phase.numbers for phase in phases],
        "frac_coords": [np.ravel(phase.frac_coords) for phase in phases],
        column: [phase.e_above_hull_dft for phase in phases[:-1]] + [None],
    }
    pq.write_table(pa.table(rows), path)
    return path


def test_the_command_judges_a_random_sample(tmp_path: Path, capsys) -> None:
    """What was asked travels with the figures; rows without a label do not count."""
    file, out = labelled_file(tmp_path / "in.parquet"), tmp_path / "out.json"
    arguments = ["evaluate", "hull", str(file), "-n", "3", "--seed", "4", "--json", str(out)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--device", "cpu"])
    assert ended.value.code == 0
    told = json.loads(out.read_text())
    assert (told["n"], told["n_placed"]) == (3, 3)
    assert told["hull"] == HULL_WORDS["dft"]
    assert told["failed"] == 0
    assert set(told["auc"]) == set(told["f1"]) == {"0", "0.05", "0.1"}
    assert sum(row["n"] for row in told["calibration"]) == 3
    assert told["asked"]["label"] == "e_above_hull"
    assert told["asked"]["labelled"] == len(ternaries()) - 1
    assert "n_placed" in capsys.readouterr().out


def test_both_hulls_and_the_plot(tmp_path: Path) -> None:
    """The option form works, the hull asked for is named, and the plot is a page of its own."""
    file, plot = labelled_file(tmp_path / "in.parquet"), tmp_path / "plot.html"
    out = tmp_path / "out.json"
    arguments = ["evaluate", "hull", "--labelled", str(file), "-n", "2", "--hull", "potential"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--plot", str(plot), "--json", str(out), "--device", "cpu"])
    assert ended.value.code == 0
    assert json.loads(out.read_text())["hull"] == HULL_WORDS["potential"]
    assert "predicted distance from the hull" in plot.read_text()


def test_what_is_expected_is_judged_beside_the_potential(tmp_path: Path) -> None:
    """Relaxed on the filled hull: each crystal in a table, and what its record expected of it."""
    file, table = labelled_file(tmp_path / "in.parquet", LABELS[0]), tmp_path / "placed.parquet"
    out = tmp_path / "out.json"
    arguments = ["evaluate", "hull", str(file), "-n", "2", "--relax", "--crystals", str(table)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json", str(out), "--device", "cpu", "--workers", "1"])
    assert ended.value.code == 0
    told, placed = json.loads(out.read_text()), pd.read_parquet(table)
    assert len(placed) == 2
    assert abs(placed["predicted"] - placed["dft"]).mean() == pytest.approx(told["mae"], abs=1e-4)
    assert set(placed["potential"]) == {told["potential"]}
    learned = experiences()[told["potential"], DRAWN]
    pairs = zip(placed["formula"], placed["predicted"], strict=True)
    expected = np.array([learned.record(*pair).expected for pair in pairs])
    assert set(told["by_experience"]) == set(KINDS)
    foretold = told["by_experience"][DRAWN]
    assert (foretold["n"], foretold["learned_from"]) == (2, 0)
    assert foretold["bias"] == pytest.approx((expected - placed["dft"]).mean(), abs=1e-4)


@pytest.mark.parametrize("files", [[], ["a.parquet", "--labelled", "b.parquet"]])
def test_one_file_is_expected(files: list[str], capsys) -> None:
    """No file and two files are told in one line."""
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "hull", *files])
    assert ended.value.code == 2
    assert f"got {2 if files else 0}" in capsys.readouterr().err


def test_a_known_phase_stays_on_the_hull_of_dft(chgnet: Potential, matcher: Matcher) -> None:
    """Its DFT energy says nothing of the potential's: the distance is the potential's error."""

    def competing(system: str) -> ReferencePhases:
        return dft_references(ReferencePhases.shipped(system))

    phases = ternaries()
    told = judged(phases, chgnet, matcher, signed=False, competing=competing)
    assert told["n_placed"] == len(phases)
    assert told["mae"] < 0.1
    assert told["hull"] == HULL_WORDS["dft"]


def test_calibration_counts_every_distance_once() -> None:
    """Bins of the predicted distance hold the DFT means, spreads and stable shares."""
    rows = calibration(np.array([-0.1, 0.1, 0.3, 0.9]), np.array([-0.2, 0.0, 0.01, 0.7]))
    assert [row["n"] for row in rows] == [1, 1, 1, 0, 0, 0, 1]
    assert (rows[0]["from"], rows[0]["to"], rows[0]["stable"]) == (None, -0.1, 1.0)
    assert (rows[1]["stable"], rows[1]["near"]) == (0.0, 1.0)
    assert (rows[2]["predicted"], rows[2]["dft"], rows[2]["stable"]) == (0.01, 0.3, 0.0)
    assert rows[3]["dft"] is None


def test_a_file_without_labels_is_refused(tmp_path: Path) -> None:
    """The message says which columns would do; a file of another kind is named."""
    with pytest.raises(ValueError, match="decomposition_energy or e_above_hull"):
        read_labels(labelled_file(tmp_path / "in.parquet", "something"))
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(ValueError, match="expected a Parquet file"):
        read_labels(tmp_path / "text.parquet")
