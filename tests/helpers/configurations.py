"""Configurations of shipped recipes, each composed once: Hydra takes a quarter of a second."""

from copy import deepcopy
from functools import cache

from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.settings.root import Config


def composed(recipe: str, *overrides: str) -> Config:
    """The configuration of a shipped recipe, which may be changed."""
    return deepcopy(_composed(recipe, overrides))


@cache
def _composed(recipe: str, overrides: tuple[str, ...]) -> Config:
    return compose(find_recipe(recipe), overrides)
