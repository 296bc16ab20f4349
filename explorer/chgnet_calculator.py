"""CHGNet as an ASE calculator that spends one backward pass a step.

The calculator that comes with CHGNet also predicts magnetic moments and builds a second-order
graph for its training loss; a relaxation needs neither. Same network, same numbers.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from chgnet.graph import CrystalGraph
from chgnet.model import CHGNet
from chgnet.model.model import BatchedGraph
from pymatgen.core import Structure


def load_network(version: str, device: str) -> CHGNet:
    """Load the weights that come inside the chgnet wheel."""
    # It announces itself whatever `verbose` says.
    with contextlib.redirect_stdout(io.StringIO()):
        network = CHGNet.load(model_name=version, use_device=device, verbose=False)
    network.graph_converter.set_isolated_atom_response("error")
    return network.eval()


class ChgnetCalculator(Calculator):
    """Energy (eV), forces (eV/Å) and stress (eV/Å³) of CHGNet.

    Atoms without any neighbour within 6 Å raise ValueError: CHGNet would report zero force for
    them, which looks like convergence.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, network: CHGNet) -> None:
        super().__init__()
        self.network = network
        self.device = next(network.parameters()).device

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Evaluate the network once for every property."""
        super().calculate(atoms, properties, system_changes)
        structure = Structure(
            np.asarray(self.atoms.cell),
            self.atoms.numbers,
            self.atoms.get_scaled_positions(wrap=False),
        )
        graph = self.network.graph_converter(structure).to(self.device)
        self.results = self._evaluate(graph, structure.volume)

    def _evaluate(self, graph: CrystalGraph, volume: float) -> dict[str, Any]:
        batch = BatchedGraph.from_graphs(
            [graph],
            bond_basis_expansion=self.network.bond_basis_expansion,
            angle_basis_expansion=self.network.angle_basis_expansion,
            compute_stress=True,
        )
        per_atom = self.network._compute(batch)["e"]
        total = per_atom.sum() * len(graph.atomic_number)
        gradients = torch.autograd.grad(total, [batch.atom_positions[0], batch.strains[0]])
        composition = self.network.composition_model([graph])
        energy = float(total.detach()) + float(composition) * len(graph.atomic_number)
        forces, virial = (g.detach().cpu().numpy().astype(float) for g in gradients)
        stress = virial / volume
        voigt = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        return {"energy": energy, "free_energy": energy, "forces": -forces, "stress": voigt}


def static_energies(
    network: CHGNet, structures: Sequence[Structure], batch_size: int = 16
) -> Iterator[float]:
    """Yield the energy of each structure as given, eV/atom.

    Without a gradient tape a batch costs a sixth of the time. A structure that has no graph, such
    as one with an isolated atom, gives NaN.
    """
    for start in range(0, len(structures), batch_size):
        graphs = [_graph_or_none(network, s) for s in structures[start : start + batch_size]]
        kept = [g for g in graphs if g is not None]
        with torch.no_grad():
            energies = _energies(network, kept) if kept else []
        answers = iter(energies)
        # The tape is off only inside the block above, never while this generator sleeps.
        yield from [float("nan") if g is None else next(answers) for g in graphs]


def _energies(network: CHGNet, graphs: list[CrystalGraph]) -> list[float]:
    with warnings.catch_warnings():
        # CHGNet turns tensors into numbers in a way that torch frowns upon.
        warnings.simplefilter("ignore", UserWarning)
        return network.forward(graphs, task="e")["e"].cpu().tolist()


def _graph_or_none(network: CHGNet, structure: Structure) -> CrystalGraph | None:
    try:
        return network.graph_converter(structure)
    except ValueError:
        return None
