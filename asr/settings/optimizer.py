"""Settings of the group `optimizer`."""

from dataclasses import dataclass


@dataclass
class OptimizerConfig:
    """AdamW (Loshchilov & Hutter, 2019)."""

    learning_rate: float
    """The highest rate that the schedule reaches."""
    beta1: float
    """Memory of the mean gradient."""
    beta2: float
    """Memory of the squared gradient; lower it for short trainings."""
    weight_decay: float
    """Decay of weight matrices; biases and norms are left out."""
