"""A run is found again by the same settings and data, and held by one process at a time."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from asr.common.errors import RunError
from asr.settings.compose import compose, load_config
from asr.settings.hardware import Precision
from asr.settings.recipe import RECIPES, Recipe
from asr.settings.root import Config
from asr.training.checkpoint import save_checkpoint
from asr.training.identity import determines_weights, flat_weight_settings
from asr.training.run_folder import RunFolder, find_run_folder
from tests.helpers.configurations import composed
from tests.helpers.corpora import write_corpus

RECIPE = Recipe(RECIPES / "an4")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_corpus(tmp_path / "data" / "an4", {split: ["A B", "B"] for split in ("train", "dev", "test")})
    config = composed("an4")
    config.paths.data, config.paths.runs = str(tmp_path / "data"), str(tmp_path / "runs")
    return config


def find(config: Config, precision: Precision = Precision.fp32) -> RunFolder:
    return find_run_folder(RECIPE, config, precision)


def test_what_trains_other_weights_is_another_run(config: Config, tmp_path: Path) -> None:
    run = find(config).path
    assert find(replace(config, seed=2)).path != run
    assert find(config, Precision.bf16).path != run
    tf32 = replace(config, hardware=replace(config.hardware, tf32=True))
    assert find(tf32).path != run and find(tf32, Precision.bf16).path == find(config, Precision.bf16).path
    assert find(replace(config, training=replace(config.training, restart=True))).path == run
    assert find(replace(config, tracker=replace(config.tracker, tags=["x"]))).path == run
    write_corpus(tmp_path / "data" / "an4", {split: ["A B", "A"] for split in ("train", "dev", "test")})
    assert find(config).path != run


@pytest.mark.parametrize(
    ("override", "same"),
    [
        ("training.max_lost_utterances=7", True),
        ("data.held_out=0.2", True),
        ("hardware.threads=1", True),
        ("decoder=beam", True),
        ("augment.background.snr_low_db=-3", True),  # it is off
        ("augment.noise.snr_low_db=-3", False),
        ("training.epochs=7", False),
        ("data.mixture={train: 2}", False),
        ("debug=overfit", False),
    ],
)
def test_the_hash_covers_what_determines_the_weights(override: str, same: bool, config: Config, tmp_path: Path) -> None:
    changed = compose(RECIPE, [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}", override])
    assert (find(changed).path == find(config).path) == same
    assert (flat_weight_settings(changed) == flat_weight_settings(config)) == same
    assert determines_weights(override.split("=")[0]) or same


def test_runs_keep_their_names(config: Config, tmp_path: Path) -> None:
    """A change of these hashes gives every user's runs new folders: only a default that trains other weights may."""
    for split in ("train", "dev"):
        (tmp_path / "data" / "an4" / f"{split}.jsonl").write_text("")
    assert find(config).config_hash == "7eb2cb04"
    assert find(config, Precision.bf16).config_hash == "a3839013"


def test_another_process_is_kept_out(config: Config) -> None:
    folder = find(config)
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    folder.path.mkdir(parents=True)
    command = [sys.executable, "-c", hold, str(folder.path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RunError, match="is in use by another process"), folder.held():
            pass
        other.communicate(b"\n", timeout=60)
    with folder.held():
        pass


def test_restarting_throws_away_what_is_there_and_nothing_else_does(config: Config) -> None:
    folder = find(config)
    with folder.trained(config):
        (folder.path / "model").mkdir()
    with folder.trained(config):
        assert (folder.path / "model").is_dir()
    with folder.trained(config, restart=True):
        assert not (folder.path / "model").exists()


def test_settings_are_those_of_the_training(config: Config) -> None:
    folder = find(config)
    with folder.trained(config):
        assert load_config(folder.path / "config.yaml") == config
    with folder.held():
        assert load_config(folder.path / "config.yaml") == config


def test_a_new_run_says_in_which_key_it_differs(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asr")
    refused = replace(config, model=replace(config.model, hidden=6))
    for begun in (config, refused):
        with find(begun).trained(begun):
            pass
    (find(config).path / "metrics.jsonl").touch()  # the training was begun and not refused
    (find(config).path.parent / "damaged").mkdir()
    (find(config).path.parent / "damaged" / "config.yaml").touch()
    (find(config).path.parent / "damaged" / "metrics.jsonl").touch()
    other = replace(config, model=replace(config.model, hidden=7))
    with find(other).trained(other):
        pass
    assert f"differs in model.hidden=7 (there {config.model.hidden})" in caplog.text


@pytest.mark.parametrize("name", [".lock", "config.yaml", "train.log"])
def test_a_run_folder_that_cannot_be_written_is_one_sentence(name: str, config: Config) -> None:
    folder = find(config)
    # A folder has the name of the file: not even root can write that.
    (folder.path / name).mkdir(parents=True)
    with pytest.raises(RunError, match=r"The run folder .* cannot be written \(Is a directory: .*\); set paths\.runs"):
        folder.trained(config).__enter__()


def test_a_file_in_the_way_of_the_checkpoints_is_one_sentence(config: Config) -> None:
    folder = find(config)
    folder.path.mkdir(parents=True)
    folder.checkpoints.write_text("a file")
    with pytest.raises(RunError, match=r"The checkpoint of step 7 cannot be written to .*: make room there, or set"):
        save_checkpoint(folder.checkpoints, 7, {}, keep=1)
    assert folder.checkpoints.read_text() == "a file"


@pytest.mark.parametrize("name", [".lock", "train.log", "config.yaml", "evaluation", "checkpoints/.writing"])
@pytest.mark.parametrize("target", ["kept.txt", "new.txt", "."])
def test_nothing_is_written_through_a_link_out_of_the_run_folder(
    name: str, target: str, config: Config, tmp_path: Path
) -> None:
    outside, folder = tmp_path / "outside", find(config)
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    (folder.path / name).parent.mkdir(parents=True)
    (folder.path / name).symlink_to(outside / target)
    with pytest.raises(RunError, match="is a link out of the folder"), folder.held():
        pass
    assert [path.name for path in outside.iterdir()] == ["kept.txt"]
    assert (outside / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize("name", [".lock", "train.log", "metrics.jsonl"])
def test_a_pipe_in_a_run_folder_blocks_nobody(name: str, config: Config) -> None:
    folder = find(config)
    folder.path.mkdir(parents=True)
    os.mkfifo(folder.path / name)
    assert not folder.is_held
    with pytest.raises(RunError, match=f"{name} is neither a file nor a folder"), folder.held():
        pass


@pytest.mark.parametrize("target", [".reported", "nothing", "nothing/below"])
def test_a_link_that_leads_nowhere_is_refused(target: str, config: Config) -> None:
    folder = find(config)
    folder.path.mkdir(parents=True)
    (folder.path / ".reported").symlink_to(target)
    with pytest.raises(RunError, match=r"reported is neither a file nor a folder"), folder.held():
        pass


def test_links_within_a_run_folder_and_those_of_the_tracker_are_no_hindrance(config: Config, tmp_path: Path) -> None:
    folder = find(config)
    (folder.path / "wandb").mkdir(parents=True)
    (folder.path / "wandb" / "latest-run").symlink_to(tmp_path)
    (folder.path / "summary.json").touch()
    (folder.path / "newest.json").symlink_to("summary.json")
    with folder.held():
        pass
