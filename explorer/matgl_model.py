"""A potential of matgl for many crystals at once, as a torch-sim model.

Shapes: B crystals, N atoms, E directed bonds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import vesin
from ase import units
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_sim.models.interface import ModelInterface
from torch_sim.state import SimState


class MatglModel(ModelInterface):
    """Energies (eV), forces (eV/Å) and stresses (eV/Å³) of a batch; matgl itself says GPa.

    A crystal with an atom that has no neighbour gets a NaN energy, because nothing would hold that
    atom, and zero force looks like convergence.

    Parameters
    ----------
    network
        A `matgl.apps.pes.Potential`, on its device.
    """

    def __init__(self, network: torch.nn.Module, *, gradients: bool = True) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self._flags = {"calc_forces": gradients, "calc_stresses": gradients}
        self._device, self._dtype = network.data_mean.device, torch.float64
        self._compute_forces = self._compute_stress = gradients
        self._types = {symbol: i for i, symbol in enumerate(network.model.element_types)}
        self._finder = vesin.NeighborList(cutoff=float(network.model.cutoff), full_list=True)

    def forward(self, state: SimState, **_: Any) -> dict[str, Tensor]:
        """Evaluate every crystal of the state; see `torch_sim.models.interface`."""
        crystals = state.to_atoms()
        graphs = [self._graph(atoms) for atoms in crystals]
        cells = torch.stack([torch.from_numpy(atoms.cell.array) for atoms in crystals])
        batch = Batch.from_data_list(graphs).to(self._device)
        with self._asked():
            answer = self.network(batch, cells.to(self._device, torch.float32), torch.zeros(1, 2))
        energy = answer[0].detach().double().reshape(-1).clone()
        lonely = [len(set(g.edge_index[0].tolist())) < g.num_nodes for g in graphs]
        energy[torch.tensor(lonely, device=self._device)] = torch.nan
        if not self._compute_forces:
            return {"energy": energy}
        stress = answer[2].detach().double().reshape(-1, 3, 3) * units.GPa
        return {
            "energy": energy,
            "forces": answer[1].detach().double(),
            "stress": (stress + stress.mT) / 2,
        }

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Have the network compute what was asked for, and leave it as it was.

        The same object serves callers who want gradients and others who do not, matgl's own
        calculator among them.
        """
        before = {name: getattr(self.network, name) for name in self._flags}
        vars(self.network).update(self._flags)
        try:
            yield
        finally:
            vars(self.network).update(before)

    def _graph(self, atoms: Any) -> Data:
        """Return the graph that matgl's own converter makes, by a faster neighbour search."""
        first, second, images = self._finder.compute(
            atoms.positions, atoms.cell.array, periodic=True, quantities="ijS"
        )
        kinds = [self._types[symbol] for symbol in atoms.get_chemical_symbols()]
        pairs = np.stack([first, second]).astype(np.int64)
        scaled = np.linalg.solve(atoms.cell.array.T, atoms.positions.T).T
        return Data(
            num_nodes=len(atoms),
            edge_index=torch.from_numpy(pairs),
            pbc_offset=torch.from_numpy(images.astype(np.float32)),
            node_type=torch.tensor(kinds),
            frac_coords=torch.from_numpy(scaled.astype(np.float32)),
        )
