"""The light GRU (Ravanelli et al., "Light gated recurrent units for speech recognition", 2018).

A GRU without a reset gate and with ReLU in place of tanh: z = sigmoid(x_z + U_z h), c = relu(x_c + U_c h),
h <- z h + (1 - z) c, where x_z and x_c are the normalized products of the input. The paper normalizes them over the
batch; here it is done over the units of each gate (LayerNorm), so that no utterance depends on another.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from asr.model.kernel.layer_norm import can_normalize, normalize


class LightGRU(nn.Module):
    """The parameters of one layer, laid out and named as in `nn.RNNBase`, with the gates z and c in this order."""

    def __init__(self, input_dim: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        bound = 1 / math.sqrt(hidden)
        for suffix in ("l0", "l0_reverse")[: 1 + bidirectional]:
            for part, dim in (("ih", input_dim), ("hh", hidden)):
                weight = torch.empty(2 * hidden, dim).uniform_(-bound, bound)
                self.register_parameter(f"weight_{part}_{suffix}", nn.Parameter(weight))
            self.register_parameter(f"scale_{suffix}", nn.Parameter(torch.ones(2 * hidden)))
            self.register_parameter(f"shift_{suffix}", nn.Parameter(torch.zeros(2 * hidden)))


def normalized_gates(gates: Tensor, scale: Tensor, shift: Tensor, hidden: int) -> Tensor:
    """LayerNorm over the units of each gate and direction.

    Args:
        gates: Products of the input, (frames, batch, directions * 2 * hidden).
        scale: (directions * 2 * hidden,), as is the shift.
    """
    if can_normalize(gates, scale):
        return normalize(gates, scale, shift, hidden)
    normalized = functional.layer_norm(gates.view(*gates.shape[:2], -1, hidden), (hidden,)).flatten(2)
    return torch.addcmul(shift, normalized.to(scale.dtype), scale)


def light_gru(gates: Tensor, weights: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrence, frame by frame, each direction in the order of its frames.

    Args:
        gates: Products of the input for the gates, (frames, directions, batch, 2 * hidden); at least one frame.
        weights: (directions, 2 * hidden, hidden).
        state: Before the first frame, (directions, batch, hidden).

    Returns:
        The states (frames, directions, batch, hidden) and the last one.
    """
    weights, states = weights.transpose(1, 2), []
    for frame in gates.unbind():
        keep, candidate = (frame + state @ weights).chunk(2, dim=2)
        state = candidate.relu().lerp(state, keep.sigmoid())
        states.append(state)
    return torch.stack(states), state
