"""`asr train`: trains the model of a recipe, from where an earlier start left off."""

from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.training.acoustic_training import AcousticTraining
from asr.training.session import train


def run(recipe: Recipe, config: Config) -> float:
    """Begins or resumes the run of a configuration.

    Returns:
        The best error rate on the dev split.
    """
    return train(AcousticTraining(recipe, config))
