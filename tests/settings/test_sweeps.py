"""The files of conf/sweep: as Hydra's multirun, and as Weights & Biases reads them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from asr.commands import cli
from asr.commands.cli import main
from asr.commands.help import group_choices
from asr.common.errors import ConfigError
from asr.settings.compose import compose, sweep
from asr.settings.model import Cell
from asr.settings.recipe import CONF, find_recipe
from asr.settings.sweeps import group_name
from tests.settings.test_composition import write_recipe

SWEEPS = group_choices()["sweep"]


@pytest.mark.parametrize("name", SWEEPS)
def test_the_first_and_the_last_point_of_every_sweep_compose(name: str) -> None:
    recipe = find_recipe("yesno")
    points = sweep(recipe, [f"sweep={name}"])
    assert len({tuple(point) for point in points}) == len(points) > 1
    for point in (points[0], points[-1]):
        compose(recipe, point)


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
def test_every_point_of_every_sweep_composes(name: str) -> None:
    recipe = find_recipe("yesno")
    for point in sweep(recipe, [f"sweep={name}"])[1:-1]:
        compose(recipe, point)


@pytest.mark.parametrize("name", SWEEPS)
def test_the_agent_of_wandb_starts_the_same_trainings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECIPE", "yesno")
    described = yaml.safe_load((CONF / "sweep" / f"{name}.yaml").read_text())
    assert described["method"] in ("grid", "random") and described["metric"]["name"] == "dev/wer.min"
    drawn = {key: {"value": given["values"][-1]} for key, given in described["parameters"].items()}
    arguments = create_sweep_command_args({"args": drawn})
    command: list[str] = []
    for part in create_sweep_command(described["command"]):
        command += arguments["args_no_hyphens"] if part == "${args_no_hyphens}" else [part]
    program, verb, recipe, *overrides = command
    assert (program, verb, recipe) == ("asr", "run", "yesno")
    last = sweep(find_recipe("yesno"), [f"sweep={name}"])[-1]
    assert compose(find_recipe("yesno"), overrides) == compose(find_recipe("yesno"), ["tracker=online", *last])


def test_what_is_set_by_hand_wins_over_the_sweep() -> None:
    points = sweep(find_recipe("an4"), ["model=gru", "sweep=cells", "training.epochs=3"])
    assert points == [["model=gru", "training.epochs=3", f"seed={seed}"] for seed in (1, 2, 3)]


def test_a_sweep_runs_every_point_in_one_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    monkeypatch.setattr("asr.commands.train.run", lambda recipe, config: _note(ran, config))
    monkeypatch.setattr(cli, "log_to_stderr", lambda: None)
    assert main(["train", "an4", "sweep=cells", "seed=1,2", f"paths.runs={tmp_path}"]) == 0
    jobs = [json.loads(line) for line in ran.read_text().splitlines()]
    assert [job[:2] for job in jobs] == [[cell, seed] for seed in (1, 2) for cell in ("lstm", "gru", "rnn", "lstm+gru")]
    assert {job[2] for job in jobs} == {"an4 seed=1,2 model=lstm,gru,rnn,hybrid"}
    assert main(["train", "an4", "seed=2", f"paths.runs={tmp_path}"]) == 0
    assert main(["train", "an4", "-m", "seed=2,3", "tracker.group=mine", f"paths.runs={tmp_path}"]) == 0
    assert [json.loads(line)[2] for line in ran.read_text().splitlines()[8:]] == [None, "mine", "mine"]


def _note(path: Path, config: Any) -> float:
    cells = "+".join(cell.name for cell in config.model.cells)
    with path.open("a") as file:
        file.write(json.dumps([cells, config.seed, config.tracker.group]) + "\n")
    return 0.0


def test_a_group_is_named_after_what_tells_its_runs_apart() -> None:
    given = ["model=lstm,gru", "paths.runs=/elsewhere", "tracker=offline", "hardware.threads=1"]
    assert group_name(find_recipe("an4"), given) == "an4 model=lstm,gru"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("method: bayes", "is no sweep: it has no parameters"),
        ("parameters: {seed: {min: 1, max: 3}}", "gives no values for seed: only `wandb sweep` draws"),
    ],
)
def test_a_file_that_is_no_sweep_is_named(text: str, sentence: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe", "")
    (recipe.folder / "sweep").mkdir()
    (recipe.folder / "sweep" / "odd.yaml").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        sweep(recipe, ["sweep=odd"])


def test_a_value_may_be_anything_that_an_override_can_say(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe", "")
    (recipe.folder / "sweep").mkdir()
    (recipe.folder / "sweep" / "own.yaml").write_text(
        "parameters: {model.residual: {values: [true, false]}, model.projection: {values: [null, 4]}, seed: {value: 7}}"
    )
    configs = [compose(recipe, point) for point in sweep(recipe, ["sweep=own"])]
    assert {(config.model.residual, config.model.projection, config.seed) for config in configs} == {
        (residual, projection, 7) for residual in (True, False) for projection in (None, 4)
    }
    assert configs[0].model.cells == [Cell.lstm]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sweep=cell"], "There is no sweep=cell, only cells, "),
        (["sweep=cells,seeds"], "sweep takes one name"),
        (["sweep=cells", "--cfg", "job"], "a sweep runs and --cfg only prints"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", "an4", *arguments])
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert sentence in printed and printed.count("\n") == 1
