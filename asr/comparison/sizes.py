"""The size of a model that gives it a wanted number of parameters."""

from dataclasses import replace

import torch

from asr.config import Config
from asr.errors import ConfigError
from asr.features.extractor import FeatureExtractor
from asr.model.acoustic import AcousticModel, count_parameters

TOLERANCE = 0.02


def parameters_of(config: Config, tokens: int) -> int:
    """Trainable numbers of the model of a configuration; none of them takes memory.

    Args:
        tokens: Size of the tokenizer, the blank included.
    """
    dim = FeatureExtractor(config.features, config.data.sampling_rate).dim
    with torch.device("meta"):
        return count_parameters(AcousticModel(config.model, dim, tokens, config.features.normalization))


def solve_hidden(config: Config, tokens: int, parameters: float) -> int:
    """The `model.hidden` that gives a model as many parameters as wanted, within 2 %.

    Of the sizes within 2 % it takes one that is divisible by 16, 8, 4 or 2, the highest of these that can be had, since
    vector units leave lanes empty at odd sizes; among those the nearest.

    Args:
        tokens: Size of the tokenizer, the blank included.
        parameters: How many are wanted.

    Raises:
        ConfigError: No size comes so near.
    """

    def count(hidden: int) -> int:
        return parameters_of(replace(config, model=replace(config.model, hidden=hidden)), tokens)

    def smallest(wanted: float) -> int:
        """The smallest size with at least as many parameters."""
        low, high = 0, 1
        while count(high) < wanted:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if count(middle) < wanted else (low, middle)
        return high

    nearest = smallest(parameters)
    counts = {hidden: count(hidden) for hidden in (nearest - 1, nearest) if hidden}
    first, last = smallest((1 - TOLERANCE) * parameters), smallest((1 + TOLERANCE) * parameters)
    for divisor in (16, 8, 4, 2, 1):
        within = {hidden: count(hidden) for hidden in range(first, last + 1) if hidden % divisor == 0}
        within = {hidden: c for hidden, c in within.items() if abs(c / parameters - 1) <= TOLERANCE}
        if within:
            return min(within, key=lambda hidden: abs(within[hidden] - parameters))
    offered = ", ".join(f"{c} (model.hidden={hidden})" for hidden, c in counts.items())
    raise ConfigError(
        f"No model.hidden gives {parameters:.0f} parameters within 2 %; the nearest are {offered}: change "
        "compare.parameters or model.layers."
    )
