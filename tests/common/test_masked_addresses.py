"""Credentials in addresses are in no message, no file of a run and nothing that Weights & Biases gets."""

import logging
import sys
from pathlib import Path

import pytest

from asr.commands.cli import log_to_stderr, main
from asr.common.errors import ConfigError, DataError, masked
from asr.data.shards.ranges import RemoteRanges, open_ranges
from asr.settings.compose import compose, load_config, plain
from asr.settings.recipe import find_recipe
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_run import Job
from asr.training.run_folder import RunFolder
from tests.helpers.refusals import write_tiny

Capture = pytest.CaptureFixture[str]
SECRET = "hunter2"
ADDRESS = f"https://me:{SECRET}@shards.invalid/mine"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ADDRESS, "https://***@shards.invalid/mine"),
        (f"s3://KEY:{SECRET}@bucket", "s3://***@bucket"),
        (f"simplecache::https://{SECRET}@host/a@b", "simplecache::https://***@host/a@b"),
        (f"https://me:p@{SECRET}@host", "https://***@host"),
        (f"https://host/a?x=1&X-Amz-Signature={SECRET}&y=2", "https://host/a?x=1&X-Amz-Signature=***&y=2"),
        (f"'{ADDRESS}' and {ADDRESS}", "'https://***@shards.invalid/mine' and https://***@shards.invalid/mine"),
        ("https://host:8080/a@b?page=1 me@host", "https://host:8080/a@b?page=1 me@host"),
    ],
)
def test_credentials_are_masked_and_nothing_else(text: str, shown: str) -> None:
    assert masked(text) == shown == masked(shown)
    assert str(DataError(text)) == shown


def test_a_run_keeps_an_address_without_its_credentials(tmp_path: Path) -> None:
    config = compose(find_recipe("yesno"), [f"shards.source={ADDRESS}", f"tracker.notes={ADDRESS}"])
    assert config.shards.source == ADDRESS
    assert SECRET not in str(plain(config))
    folder = RunFolder(tmp_path / "run", "", acoustic=False)
    with folder.trained(config):
        logging.getLogger("asr").warning("from %s", ADDRESS)
    for path in folder.path.iterdir():
        assert SECRET not in path.read_text()
    assert load_config(folder.path / "config.yaml").shards.source == "https://***@shards.invalid/mine"


@pytest.mark.parametrize("what", ["job", "hydra", "all"])
def test_a_configuration_that_is_printed_has_none(what: str, capsys: Capture) -> None:
    assert main(["train", "yesno", f"shards.source={ADDRESS}", "--cfg", what]) == 0
    shown = capsys.readouterr().out
    assert SECRET not in shown and "***@shards.invalid/mine" in shown


def test_an_address_without_its_credentials_is_not_asked() -> None:
    with pytest.raises(ConfigError, match="has no credentials, since run folders keep none: give it with them"):
        open_ranges("https://***@shards.invalid/mine", 1)


def test_the_address_that_is_read_has_its_credentials(tmp_path: Path) -> None:
    ranges = open_ranges(f"memory://me:{SECRET}@host", 1)
    assert isinstance(ranges, RemoteRanges)
    assert SECRET in ranges.address


def test_a_command_and_its_log_show_no_credentials(tmp_path: Path, capsys: Capture) -> None:
    write_tiny(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(
            ["check", str(tmp_path / "tiny"), f"paths.data={tmp_path}/data", f"shards.source=memory://me:{SECRET}@host"]
        )
    log_to_stderr()
    logging.getLogger("asr").warning("from %s", ADDRESS)
    printed = capsys.readouterr().err
    assert stop.value.code == 2
    assert SECRET not in printed and "memory://***@host/shards.json cannot be read" in printed


def test_weights_and_biases_gets_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny(tmp_path)
    arguments = ["train", "yesno", f"tracker.notes={ADDRESS}", f"shards.source={ADDRESS}", "wandb_token=" + SECRET]
    monkeypatch.setattr(sys, "argv", ["asr", *arguments])
    config = compose(find_recipe("yesno"), ["tracker=offline", *arguments[2:4]])
    with Tracker(tmp_path / "run", config.tracker, Job("run", "yesno", plain(config), "train")):
        pass
    assert sys.argv[1:] == arguments
    sent = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" and b"shards.invalid" in path.read_bytes() for path in sent)
    assert not [path for path in sent if SECRET.encode() in path.read_bytes()]
