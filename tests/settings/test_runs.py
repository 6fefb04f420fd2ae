"""The settings of a run in the place of a recipe: composed as they were, with what a command adds."""

import shutil
from pathlib import Path

import pytest

from asr.commands.subjects import given_recipe
from asr.common.errors import ConfigError
from asr.settings.compose import compose, load_config
from asr.settings.hardware import Precision
from asr.settings.recipe import RECIPES, Recipe
from asr.training.run_folder import find_run_folder


def test_the_settings_of_a_run_are_composed_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that look like numbers, lists and mappings survive; groups leave the other keys alone."""
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(RECIPES / "an4")
    overrides = ["tracker.notes=$5 é", "name='1e3'", "tracker.project=mine", "decoder.nbest=4", "model=hybrid"]
    overrides += ["cluster.sbatch={qos: high}", "tracker.tags=[a b,'007']", "cluster.gpus_per_node=4"]
    config = compose(recipe, overrides)
    run = find_run_folder(Recipe(RECIPES / "an4"), with_manifests(config, tmp_path), Precision.fp32)
    with run.trained(config):
        pass
    with given_recipe(str(run.path), []) as given:
        same = compose(given)
    assert same == load_config(run.path / "config.yaml")
    added = ["tracker=offline", "decoder=beam", "cluster.gpus_per_node=2"]
    with given_recipe(str(run.path), added) as given:
        changed = compose(given, added)
    assert (changed.tracker.mode.name, changed.tracker.project, changed.tracker.notes) == ("offline", "mine", "$5 é")
    assert (changed.decoder.kind.name, changed.decoder.nbest, changed.cluster.ranks_per_node) == ("beam", 4, 2)
    assert changed.model == config.model


def begun(folder: Path, *overrides: str) -> Path:
    """The folder of a run of AN4 of which only the settings are there."""
    config = compose(Recipe(RECIPES / "an4"), overrides)
    run = find_run_folder(Recipe(RECIPES / "an4"), with_manifests(config, folder), Precision.fp32)
    with run.trained(config):
        pass
    return run.path


def test_the_settings_of_a_run_are_there_when_its_job_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job composes them on its node, after the command has ended that submitted it."""
    monkeypatch.chdir(tmp_path)
    run = begun(tmp_path, "seed=7")
    for _ in range(2):
        with given_recipe(str(run), ["cluster=slurm"]) as given:
            pass
    assert compose(given).seed == 7 and given.folder.is_relative_to(tmp_path / "runs" / ".multirun")
    with given_recipe(str(run), []) as given:
        assert not given.folder.is_relative_to(tmp_path)
    assert not given.folder.exists()


def test_a_choice_of_the_recipe_itself_sets_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "an4" / "decoder").mkdir(parents=True)
    shutil.copy(RECIPES / "an4" / "recipe.yaml", tmp_path / "an4")
    (tmp_path / "an4" / "decoder" / "mine.yaml").write_text("defaults: [beam, _self_]\nnbest: 7\n")
    run = begun(tmp_path, "decoder.beam=3")
    added = ["decoder=mine"]
    with given_recipe(str(run), added) as given:
        decoder = compose(given, added).decoder
    assert (decoder.kind.name, decoder.nbest, decoder.beam) == ("beam", 7, 3)


def with_manifests(config, folder: Path):  # type: ignore[no-untyped-def]
    config.paths.data, config.paths.runs = str(folder / "data"), str(folder / "runs")
    (folder / "data" / "an4").mkdir(parents=True)
    for split in ("train", "dev"):
        (folder / "data" / "an4" / f"{split}.jsonl").write_text("")
    return config


def test_a_run_without_settings_that_can_be_read_is_named(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "an4" / "lstm-01234567"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("sead: 1\n")
    with pytest.raises(ConfigError, match=r"There is no key sead"), given_recipe(str(run), []):
        pass


@pytest.mark.parametrize(
    ("begun_with", "otherwise"),
    [
        ("training.restart=true", False), ("check.fix=true", False), ("check.model=m", None), ("check.json=j", None),
        ("listen.utterances=3", 8), ("pack.output=packed", None), ("plan.minutes=5", None), ("compare.jobs=2", 1),
    ],
)  # fmt: skip
def test_what_the_first_command_did_besides_is_not_done_again(
    begun_with: str, otherwise: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = compose(Recipe(RECIPES / "an4"), [begun_with])
    run = find_run_folder(Recipe(RECIPES / "an4"), with_manifests(config, tmp_path), Precision.fp32)
    with run.trained(config):
        pass
    group, key = begun_with.partition("=")[0].split(".")
    with given_recipe(str(run.path), []) as given:
        assert getattr(getattr(compose(given), group), key) == otherwise
        again = compose(given, [begun_with])
        assert getattr(getattr(again, group), key) == getattr(getattr(config, group), key), "it is asked for"
