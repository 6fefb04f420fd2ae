"""W&B's own variables count where neither the recipe nor the command line says otherwise."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from asr.commands.cli import main
from asr.comparison.launcher import environment
from asr.settings.compose import compose, load_config, plain
from asr.settings.recipe import find_recipe
from asr.settings.tracker import TrackerMode
from asr.tracking import wandb_start
from asr.tracking.wandb_start import NOTED
from asr.training.run_folder import RunFolder
from asr.training.session import open_tracker
from tests.helpers.offline_runs import records
from tests.helpers.refusals import write_tiny
from tests.helpers.tracked import no_login  # noqa: F401  a fixture

pytestmark = pytest.mark.usefixtures("no_login")

VARIABLES = {
    "WANDB_PROJECT": ("project", "speech", "speech"),
    "WANDB_ENTITY": ("entity", "team", "team"),
    "WANDB_NAME": ("name", "first try", "first try"),
    "WANDB_RUN_GROUP": ("group", "seeds", "seeds"),
    "WANDB_TAGS": ("tags", "quick, erster Lauf,第一次", ["quick", "erster Lauf", "第一次"]),
    "WANDB_NOTES": ("notes", "a: note, with #5", "a: note, with #5"),
    "WANDB_JOB_TYPE": ("job_type", "pilot", "pilot"),
}
"""By variable, the key of the tracker, a value and what the key becomes."""


def test_every_variable_is_the_default_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = vars(compose(find_recipe("yesno")).tracker)
    assert [unset[key] for key, _, _ in VARIABLES.values()] == ["asr", None, None, None, [], None, None]
    for name, (_, value, _) in VARIABLES.items():
        monkeypatch.setenv(name, value)
    found = vars(compose(find_recipe("yesno"), ["tracker=offline"]).tracker)
    assert {key: found[key] for key, _, _ in VARIABLES.values()} == {key: read for key, _, read in VARIABLES.values()}
    by_hand = [
        "tracker.project=mine", "tracker.entity=me", "tracker.name=mine", "tracker.group=g", "tracker.tags=[t]",
        "tracker.notes=n", "tracker.job_type=j",
    ]  # fmt: skip
    given = vars(compose(find_recipe("yesno"), by_hand).tracker)
    assert [given[key] for key, _, _ in VARIABLES.values()] == ["mine", "me", "mine", "g", ["t"], "n", "j"]
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    assert vars(compose(find_recipe("yesno")).tracker) == unset


def test_they_reach_the_run_and_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (_, value, _) in VARIABLES.items():
        monkeypatch.setenv(name, value)
    recipe = find_recipe("yesno")
    config = compose(recipe, ["tracker=offline"])
    folder = RunFolder(tmp_path / "runs" / "yesno" / "lstm-01234567", "01234567")
    with folder.trained(config), open_tracker(recipe, config, folder, 0) as tracker:
        tracker.log(1, 0.1, 1.0, {"train/loss": 1.0})
    (run,) = records(folder.path, "run")
    assert (run["project"], run["entity"], run["display_name"]) == ("speech", "team", "first try")
    assert (run["run_group"], run["job_type"], run["notes"]) == ("seeds", "pilot", "a: note, with #5")
    assert set(run["tags"]) == {"yesno", "quick", "erster Lauf", "第一次"}
    for name in VARIABLES:
        monkeypatch.delenv(name)
    assert load_config(folder.path / "config.yaml").tracker == config.tracker


def test_runs_of_a_multirun_have_its_group_and_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the command line or the recipe says otherwise; a single run is what the environment says."""
    write_tiny(tmp_path)
    monkeypatch.chdir(tmp_path)
    found: list[Any] = []
    monkeypatch.setattr(
        "asr.commands.train.run", lambda recipe, config: found.append((config.tracker.group, config.tracker.name))
    )
    monkeypatch.setenv("WANDB_RUN_GROUP", "theirs")
    monkeypatch.setenv("WANDB_NAME", "theirs")
    main(["train", "tiny"])
    main(["train", "tiny", "-m", "seed=1,2"])
    main(["train", "tiny", "-m", "seed=1,2", "tracker.group=mine", "tracker.name=mine"])
    with (tmp_path / "tiny" / "recipe.yaml").open("a") as recipe:
        recipe.write("tracker: {group: mine}\n")
    main(["train", "tiny", "-m", "seed=1,2"])
    assert (
        found == [("theirs", "theirs")] + [("tiny seed=1,2", None)] * 2 + [("mine", "mine")] * 2 + [("mine", None)] * 2
    )
    assert "WANDB_NAME" not in environment(0), "each training of a comparison has a name of its own"


@pytest.mark.parametrize("variable", ["WANDB_NAME", "WANDB_NOTES", "WANDB_TAGS", "WANDB_JOB_TYPE", "WANDB_RUN_GROUP"])
def test_an_older_run_does_not_become_what_the_environment_says_today(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, value, _ = VARIABLES[variable]
    config = compose(find_recipe("yesno"))
    settings = plain(config)
    del settings["tracker"][key]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv(variable, value)
    assert load_config(tmp_path / "config.yaml") == config


def test_a_missing_login_is_said_once_by_all_processes_of_a_command(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(NOTED, "")
    monkeypatch.delenv(NOTED)
    monkeypatch.setattr(wandb_start, "_logged_in", lambda: False)
    caplog.set_level("INFO", "asr")
    for _ in range(3):
        assert wandb_start.modes_of(TrackerMode.auto) == ("offline",)
    assert caplog.text.count("Not logged in") == 1
    monkeypatch.delenv(NOTED)
    assert environment(0)[NOTED], "trainings of a comparison leave it to the comparison"
