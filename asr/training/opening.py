"""Finished runs whose dev split tells of speech that they have not learnt."""

from pathlib import Path
from typing import TYPE_CHECKING

from asr.common.errors import ConfigError

if TYPE_CHECKING:
    from asr.settings.recipe import Recipe
    from asr.settings.root import Config


def open_run(run: Path, data: str | None, verb: str) -> "tuple[Recipe, Config]":
    """The recipe and the settings of a run.

    Args:
        run: Its folder, runs/RECIPE/NAME-HASH.
        data: Where the corpus is now; None is where the settings say.
        verb: What would be done with it, for the sentence that refuses.

    Raises:
        ConfigError: The run was trained on dev.
        RunError: There is no such run.
    """
    from asr.settings.compose import load_config
    from asr.settings.recipe import Recipe

    config = load_config(run / "config.yaml")
    if config.training.with_dev:
        raise ConfigError(f"This run was trained on dev, which tells nothing of other speech then: {verb} another.")
    if data is not None:
        config.paths.data = data
    return Recipe(Path(run.absolute().parent.name)), config
