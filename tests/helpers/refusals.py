"""A small recipe with its data, for users' mistakes, and what a command says that refuses them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from asr.commands.cli import main
from tests.helpers.corpora import write_corpus

RECIPE = """
defaults: [/config, override /tracker: disabled, _self_]
tokenizer: {alphabet: " ENOSY"}
model: {hidden: 16, channels: 4}
training: {epochs: 1}
hardware: {threads: 1, workers: 0}
"""
TEXTS = {"train": ["YES NO", "NO YES", "NO NO NO"], "dev": ["YES NO"], "test": ["NO YES YES"]}

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """A command of this process leaves the number of threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def write_recipe(folder: Path, prepare: str | None = None, settings: str = RECIPE) -> None:
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(settings)
    if prepare is not None:
        (folder / "prepare.py").write_text(prepare)


def write_tiny(folder: Path) -> Path:
    """Writes the recipe `tiny` and its prepared data into a folder; gives the folder of the data."""
    write_recipe(folder / "tiny")
    write_corpus(folder / "data" / "tiny", TEXTS)
    return folder / "data" / "tiny"


def refused(capsys: Capture, *arguments: str) -> str:
    """What a command prints that ends with exit code 2 and one last sentence."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    printed = capsys.readouterr()
    assert stop.value.code == 2, printed.err
    assert printed.err.splitlines()[-1].startswith("asr: ")
    assert "Traceback" not in printed.err
    return printed.out + printed.err
