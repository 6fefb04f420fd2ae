"""A sound corpus, a copy of it with a victim to break, and the recipe that reads it."""

from pathlib import Path

import pytest

from asr.settings.compose import compose
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from tests.helpers.sound_corpora import Corpus, paths, sound_corpus, with_a_victim, write_recipe


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return sound_corpus(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def corpus(sound: Corpus, tmp_path: Path) -> Corpus:
    return with_a_victim(sound, tmp_path)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return write_recipe(tmp_path)


@pytest.fixture
def config(recipe: Recipe, tmp_path: Path) -> Config:
    return compose(recipe, [*paths(tmp_path), "name=test"])
