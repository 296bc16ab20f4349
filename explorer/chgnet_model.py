"""CHGNet for many crystals at once, as a torch-sim model: same network, same numbers, less work.

Against CHGNet's own forward pass: linear layers act on atoms and bonds before their results are
gathered to the more numerous messages, messages of both directions of a bond share its part,
angle functions are computed once for both orders of an angle, the last update of angle features
(which nothing reads) is left out, and one backward pass ends at the bond vectors.

Shapes: B crystals, N atoms, E bonds (S short ones first), D = 2 S, A angles; F = 64 features.
"""

from __future__ import annotations

from typing import Any

import torch
from chgnet.model import CHGNet
from torch import Tensor, nn
from torch.nn.functional import linear, silu
from torch_sim.models.interface import ModelInterface
from torch_sim.state import SimState

from explorer.batch_edges import Edges, find_edges, forces_and_stress
from explorer.chgnet_graph import AngleGraph, angle_graph, short_first


class ChgnetModel(ModelInterface):
    """Energies (eV), forces (eV/Å) and stresses (eV/Å³) of a batch.

    A crystal with an atom that has no neighbour within 6 Å gets a NaN energy: CHGNet would report
    zero force for that atom, which looks like convergence.
    """

    def __init__(self, network: CHGNet, *, gradients: bool = True) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        weight = network.atom_embedding.embedding.weight
        self._device, self._dtype = weight.device, torch.float64
        self._compute_forces = self._compute_stress = gradients
        convert = network.graph_converter
        self.cutoff, self.short_cutoff = convert.atom_graph_cutoff, convert.bond_graph_cutoff
        self.atom_convs = [_Gate(layer.twoBody_atom, 3) for layer in network.atom_conv_layers]
        self.bond_convs = [_Gate(layer.twoBody_bond, 4) for layer in network.bond_conv_layers]
        # The features of angles after the last bond convolution reach no atom.
        self.angle_updates = [_Gate(layer.twoBody_bond, 4) for layer in network.angle_layers[:-1]]

    def forward(self, state: SimState, **_: Any) -> dict[str, Tensor]:
        """Evaluate every crystal of the state; see `torch_sim.models.interface`."""
        owner, numbers = state.system_idx, state.atomic_numbers
        cells = state.row_vector_cell
        atoms, crystals = len(owner), len(cells)
        edges = find_edges(state.positions, cells, owner, self.cutoff)
        edges, short = short_first(edges, self.short_cutoff)
        vectors = edges.vectors.to(torch.float32).requires_grad_(self._compute_forces)
        with torch.set_grad_enabled(self._compute_forces):
            per_atom = self._atomic_energies(numbers, vectors, edges, short)
        per_atom, total = per_atom.detach().double(), per_atom.sum()
        reference = self.network.composition_model.fc.weight[0, numbers - 1].double()
        energy = torch.zeros(crystals, dtype=torch.float64, device=self._device)
        energy.index_add_(0, owner, per_atom + reference)
        energy[_with_lonely_atoms(edges, owner, crystals)] = torch.nan
        if not self._compute_forces:
            return {"energy": energy}
        (slopes,) = torch.autograd.grad(total, vectors)
        volumes = torch.linalg.det(cells).abs()
        forces, stress = forces_and_stress(edges, slopes, atoms, volumes)
        return {"energy": energy, "forces": forces, "stress": stress}

    def _atomic_energies(
        self, numbers: Tensor, vectors: Tensor, edges: Edges, short: int
    ) -> Tensor:
        """Return the interaction energy of each atom, eV, (N,)."""
        network = self.network
        lengths = vectors.norm(dim=1)
        expand = network.bond_basis_expansion
        far, near = expand.rbf_expansion_ag(lengths), expand.rbf_expansion_bg(lengths[:short])
        atom = network.atom_embedding(numbers - 1)
        bond, weight = network.bond_embedding(far), network.bond_weights_ag(far)
        bond, rest = bond[:short], bond[short:]
        angles = angle_graph(edges, short, len(numbers))
        near_weight = network.bond_weights_bg(near)
        angle = self._angle_features(vectors[:short] / lengths[:short, None], angles)
        for level, convolve in enumerate(self.atom_convs):
            out = network.atom_conv_layers[level].mlp_out.layers[1]
            atom = atom + linear(convolve.of_bonds(atom, bond, rest, weight, edges), out.weight)
            if level == len(self.bond_convs):
                break
            out = network.bond_conv_layers[level].mlp_out.layers[1]
            update = self.bond_convs[level].of_angles(atom, bond, angle, angles)
            message = update * near_weight[angles.bond][angles.right]
            gathered = torch.zeros_like(bond[angles.bond]).index_add(0, angles.left, message)
            gathered = torch.zeros_like(bond).index_add(0, angles.bond, gathered) * near_weight
            bond = bond + linear(gathered, out.weight)
            if level < len(self.angle_updates):
                angle = angle + self.angle_updates[level].of_angles(atom, bond, angle, angles)
        return network.mlp(network.readout_norm(atom)).view(-1)

    def _angle_features(self, directions: Tensor, angles: AngleGraph) -> Tensor:
        """Embed the cosines between unit vectors (S, 3), once for both orders of an angle."""
        directed = directions[angles.bond] * angles.sign
        left, right = directed[angles.left[angles.half]], directed[angles.right[angles.half]]
        cosine = (left * right).sum(dim=1) * (1 - 1e-6)
        waves = self.network.angle_basis_expansion.fourier_expansion(torch.acos(cosine))
        return self.network.angle_embedding(waves)[angles.whole]


class _Gate(nn.Module):
    """CHGNet's gated layers, with the first one split by what it reads."""

    def __init__(self, gated: nn.Module, parts: int) -> None:
        super().__init__()
        pair = (gated.mlp_core.layers, gated.mlp_gate.layers)
        linears = [[layer for layer in side if isinstance(layer, nn.Linear)] for side in pair]
        weight = torch.cat([side[0].weight for side in linears])
        self.parts = [part.contiguous() for part in weight.chunk(parts, dim=1)]
        self.bias = torch.cat([side[0].bias for side in linears])
        self.second = [side[1] for side in linears] if len(linears[0]) > 1 else None
        self.norms = (gated.bn1, gated.bn2)

    def of_bonds(
        self, atom: Tensor, bond: Tensor, rest: Tensor, weight: Tensor, edges: Edges
    ) -> Tensor:
        """Send messages along both directions of every bond; returns their sums, (N, F)."""
        to_center, of_bond, to_neighbor = self.parts
        center, neighbor = linear(atom, to_center, self.bias), linear(atom, to_neighbor)
        shared = torch.cat([linear(bond, of_bond), linear(rest, of_bond)])
        total = torch.zeros_like(atom)
        for here, there in ((edges.first, edges.second), (edges.second, edges.first)):
            hidden = center.index_select(0, here) + neighbor.index_select(0, there) + shared
            total = total.index_add(0, here, self._finish(hidden) * weight)
        return total

    def of_angles(self, atom: Tensor, bond: Tensor, angle: Tensor, angles: AngleGraph) -> Tensor:
        """Combine the two bonds, the angle and the atom between them, (A, F)."""
        of_left, of_right, of_angle, of_center = self.parts
        center = linear(atom, of_center, self.bias).index_select(0, angles.center)
        left = center + linear(bond, of_left).index_select(0, angles.bond)
        right = linear(bond, of_right).index_select(0, angles.bond)
        hidden = left.index_select(0, angles.left) + right.index_select(0, angles.right)
        return self._finish(hidden + linear(angle, of_angle))

    def _finish(self, hidden: Tensor) -> Tensor:
        if self.second is not None:
            hidden = silu(hidden)
        core, gate = hidden.chunk(2, dim=1)
        if self.second is not None:
            core, gate = self.second[0](core), self.second[1](gate)
        return silu(self.norms[0](core)) * torch.sigmoid(self.norms[1](gate))


def _with_lonely_atoms(edges: Edges, owner: Tensor, crystals: int) -> Tensor:
    """Mark crystals with an atom that no bond reaches, (B,)."""
    lonely = torch.ones(len(owner), dtype=torch.bool, device=owner.device)
    lonely[edges.first] = lonely[edges.second] = False
    marked = torch.zeros(crystals, dtype=torch.bool, device=owner.device)
    marked[owner[lonely]] = True
    return marked
