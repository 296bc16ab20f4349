"""Two potentials in a row: the second one's verdicts, whatever the first one makes of a crystal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from toy_potentials import emt

from explorer.batch_relaxation import Batch
from explorer.potentials import potential
from explorer.relax import Relaxer
from explorer.relax_stages import Stages
from explorer.relaxation import Limits

SITES = [[0, 0, 0], [0.53, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


def fcc(symbol: str, a: float) -> Structure:
    """Return a cubic cell of four atoms, the second one displaced."""
    return Structure(Lattice.cubic(a), [symbol] * 4, SITES)


def test_energies_and_verdicts_are_those_of_the_accurate_potential():
    """The same minimum as without the first stage, in fewer of the accurate one's steps."""
    accurate, fast = potential("chgnet", "cpu"), emt()
    items = [("copper", fcc("Cu", 3.9)), ("sodium", fcc("Na", 5.5)), ("gold", fcc("Au", 4.4))]
    items.append(("overlap", Structure(Lattice.cubic(4), ["Cu"] * 2, [[0] * 3, [0.01, 0, 0]])))
    with Relaxer(accurate, workers=1) as plain, Relaxer(accurate, workers=1, first=fast) as staged:
        alone, both = dict(plain.relax(items)), dict(staged.relax(items))
    assert set(both) == set(alone)
    for name in ("copper", "gold", "sodium"):
        assert both[name].converged
        assert both[name].level == accurate.level
        assert both[name].energy_per_atom == pytest.approx(alone[name].energy_per_atom, abs=2e-3)
        first_step = both[name].trace.energies[0]
        assert len(both[name].trace.energies) <= both[name].steps + 1
        assert first_step <= alone[name].trace.energies[0] + 1e-6
    # the fast potential knows no sodium: there is one stage then
    assert len(both["sodium"].trace.energies) == both["sodium"].steps + 1
    assert len(both["copper"].trace.energies) < both["copper"].steps + 1
    assert not both["overlap"].converged
    assert both["overlap"].reason == alone["overlap"].reason


def test_what_the_fast_potential_cannot_relax_starts_from_where_it_was_drawn():
    """A first stage that explodes, or that runs out of steps, loses nothing."""
    chosen = emt()
    copper = fcc("Cu", 3.9)
    limits = Limits(max_steps=3)
    short = Batch(chosen.model(), chosen.level, limits)
    stages = Stages(short, Batch(chosen.model(), chosen.level, Limits()), chosen, limits)
    assert stages.add("copper", copper) is None
    (ended,) = [pair for _ in range(200) for pair in stages.advance()]
    assert ended[1].converged
    assert ended[1].steps >= 3
    broken = Batch(chosen.model(), chosen.level, Limits())
    broken.advance = lambda: [("copper", replace(ended[1], reason="the cell exploded"))]
    second = Batch(chosen.model(), chosen.level, Limits(max_steps=0))
    stages = Stages(broken, second, chosen, Limits())
    stages.add("copper", copper)
    (ended,) = stages.advance()
    assert np.allclose(ended[1].structure.lattice.matrix, copper.lattice.matrix)
    assert len(stages.clear()) == 1


def test_only_the_batched_engine_has_stages():
    """ASE's FIRE is there to compare with."""
    with pytest.raises(ValueError, match="only the batched engine"):
        Relaxer(emt(), engine="ase", first=emt())
