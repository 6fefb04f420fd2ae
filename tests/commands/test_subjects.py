"""Recipes and runs as users name them: by folder, by name, by the beginning of a hash, or as RECIPE/best."""

from pathlib import Path

import pytest
import yaml

from asr.commands.cli import main
from asr.commands.subjects import find_run, given_recipe, run_roots
from asr.common.errors import RunError
from tests.helpers.refusals import Capture, refused


def write_settings(run: Path, **settings: object) -> Path:
    """A folder that looks like a run."""
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    return run


def test_the_beginning_of_a_hash_must_tell_runs_apart(tmp_path: Path) -> None:
    first = write_settings(tmp_path / "an4" / "lstm-0123abcd")
    second = write_settings(tmp_path / "yesno" / "my-gru-0123ffff")
    lm = write_settings(tmp_path / "an4" / "lm" / "lstm-words-99990000")
    assert [find_run(name, tmp_path) for name in ("0123a", "0123ffff", "9999")] == [first, second, lm]
    assert find_run("7777", tmp_path) == Path("7777")
    with pytest.raises(RunError, match=r"0123 begins the hash of 2 runs: .*lstm-0123abcd, .*my-gru-0123ffff"):
        find_run("0123", tmp_path)
    with pytest.raises(RunError, match="has a dev error rate yet"):
        find_run("an4/best", tmp_path)


def test_a_recipe_comes_before_a_run_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "abcd").mkdir()
    (tmp_path / "abcd" / "recipe.yaml").write_text("defaults: [/config, _self_]\n")
    write_settings(tmp_path / "runs" / "an4" / "lstm-abcd0000")
    for name in ("abcd", "an4"):
        with given_recipe(name, []) as recipe:
            assert recipe.run is None and recipe.name == name


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of a recipe that sets paths.runs, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPERIMENTS", "experiments")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "recipe.yaml").write_text(
        "defaults: [/config, _self_]\npaths: {runs: '${oc.env:EXPERIMENTS}/asr'}\n"
    )
    run = write_settings(Path("experiments/asr/mine/lstm-01234567"), seed=1)
    (run / "metrics.jsonl").write_text('{"step": 1, "epoch": 1, "seconds": 1, "dev/wer": 0.5}\n')
    return run


@pytest.mark.parametrize(
    "name", ["0123", "mine/best", "experiments/asr/mine/best", "experiments/asr/mine/lstm-01234567"]
)
def test_a_run_is_found_where_its_recipe_has_its_runs(name: str, elsewhere: Path) -> None:
    assert find_run(name).absolute() == elsewhere.absolute()


def test_the_runs_of_all_recipes_here_are_listed(elsewhere: Path, capsys: Capture) -> None:
    write_settings(Path("runs/an4/gru-89abcdef"), seed=1)
    for arguments, both in (([], True), (["mine"], False), (["an4", "mine"], True)):
        assert main(["runs", *arguments]) == 0
        printed = capsys.readouterr().out
        assert elsewhere.name in printed and ("gru-89abcdef" in printed) is both


def test_a_recipe_that_cannot_be_read_hides_no_runs(elsewhere: Path, capsys: Capture) -> None:
    for name, text in {"a": "a: [", "b": "- 1", "c": "paths: 3", "d": "paths: {runs: '${nothing}'}"}.items():
        Path(name).mkdir()
        Path(name, "recipe.yaml").write_text(text)
    assert run_roots() == [Path("runs"), Path("experiments/asr")]
    assert find_run("0123").absolute() == elsewhere.absolute()
    assert "there are runs of mine" in refused(capsys, "runs", "an4")
