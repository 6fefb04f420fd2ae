"""Settings of the group `optimizer`."""

from dataclasses import dataclass


@dataclass
class OptimizerConfig:
    """AdamW (Loshchilov & Hutter, 2019)."""

    learning_rate: float
    """The peak learning rate of the schedule."""
    beta1: float
    """Decay of the running mean of the gradient."""
    beta2: float
    """Decay of the running mean of the squared gradient; lower it for short trainings."""
    weight_decay: float
    """Decay of weight matrices; biases and normalization layers are left out."""
