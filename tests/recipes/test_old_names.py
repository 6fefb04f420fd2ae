"""A prepare.py written before modules moved still imports what it did, and prepares."""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.data.manifest import read_manifest
from asr.data.splits import SPLITS
from asr.old_names import MOVED
from asr.settings.compose import compose
from asr.settings.recipe import Recipe
from tests.helpers.corpora import write_utterance

LINES = [line for line in Path(__file__).with_name("old_imports.txt").read_text().splitlines() if line]
"""Of the shipped recipes as they were, then the public names of the modules that recipes import from."""

PREPARE = """
from asr.config import Config
from asr.data.corpus import SPLITS, whole_file, write_splits
from asr.data.draws import mix
from asr.data.folders import appearing_file
from asr.data.sources import table
from asr.errors import DataError


def prepare(config: Config, archives, output):
    paths = sorted(archives.glob("*.wav"), key=lambda path: mix("order", path.stem))
    with appearing_file(output / "order.txt") as file:
        file.write_text(" ".join(path.stem for path in paths))
    utterances = [whole_file(path, "YES", "") for path in paths]
    write_splits(output, {split: [one] for split, one in zip(SPLITS, utterances)})
"""


@pytest.fixture(autouse=True)
def as_in_a_new_process() -> Iterator[None]:
    yield
    for name in MOVED:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_line_of_an_old_recipe_imports(line: str) -> None:
    names: dict[str, object] = {}
    exec(line, names)
    assert len(names) > 1


def test_each_old_module_warns_once_at_the_line_that_imports_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("from asr.data.draws import mix\nfrom asr.data.draws import keys_of\nimport asr.data.corpus\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile(script.read_text(), str(script), "exec"), {})
    assert [(str(one.message), one.filename, one.lineno) for one in caught] == [
        ("asr.data.draws is now asr.common.seeds; mix is derive_seed there.", str(script), 1),
        ("asr.data.corpus is now asr.data.splits.", str(script), 3),
    ]
    assert {one.category for one in caught} == {DeprecationWarning}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_names_are_the_new_ones() -> None:
    from asr.common.errors import DataError
    from asr.common.seeds import derive_seed

    names: dict[str, object] = {}
    exec("from asr.errors import DataError\nfrom asr.data.draws import mix", names)
    assert names["DataError"] is DataError and names["mix"] is derive_seed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_old_recipe_prepares(tmp_path: Path) -> None:
    for number in range(3):
        write_utterance(tmp_path / "archives" / f"{number}.wav", "YES", seed=number)
    recipe = Recipe(tmp_path / "old")
    recipe.folder.mkdir()
    (recipe.folder / "recipe.yaml").write_text("defaults: [/config, _self_]\n")
    (recipe.folder / "prepare.py").write_text(PREPARE)
    config = compose(recipe, [f"paths.data={tmp_path / 'data'}", "name=test"])
    recipe.prepare(config, tmp_path / "archives")
    order = (recipe.data(config) / "order.txt").read_text().split()
    assert [read_manifest(recipe.manifest(config, split))[0].id for split in SPLITS] == order


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"asr\.data\.never"):
        exec("import asr.data.never", {})
    with pytest.raises(ImportError, match="nothing"):
        exec("from asr.data.corpus import nothing", {})
