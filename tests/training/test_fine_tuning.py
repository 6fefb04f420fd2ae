"""`training.init_from`: what is taken from a trained model, what starts at random, and what is refused."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from asr.commands import train
from asr.common.errors import ConfigError, RunError
from asr.model.folder import load_model
from asr.settings.compose import compose
from asr.settings.hardware import Precision
from asr.settings.recipe import RECIPES, Recipe
from asr.settings.root import Config
from asr.training.run_folder import find_run_folder
from tests.helpers.corpora import write_corpus
from tests.helpers.hub_server import Repository, hub_server
from tests.helpers.trainings import SMALL

RECIPE = Recipe(RECIPES / "an4")
SETTINGS = [*SMALL, "hardware.workers=0", "hardware.precision=fp32", "features.normalization=corpus", "model.layers=2"]


def settings(folder: Path, *overrides: str) -> Config:
    paths = [f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]
    return compose(RECIPE, [*paths, *SETTINGS, *overrides])


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, a run that was trained on it, and a link `run` to that."""
    folder = tmp_path_factory.mktemp("trained")
    texts = ["A B", "B A", "B", "A A"]
    write_corpus(folder / "data" / "an4", {"train": texts, "dev": texts[:1], "test": texts[1:2]})
    config = settings(folder, "training.epochs=1")
    threads = torch.get_num_threads()
    train.run(RECIPE, config)
    torch.set_num_threads(threads)
    (folder / "run").symlink_to(find_run_folder(RECIPE, config, Precision.fp32).path)
    return folder


def fine_tune(trained: Path, *overrides: str) -> dict[str, torch.Tensor]:
    """The weights after a training at a rate of nearly zero, so about those that it began with."""
    start = f"training.init_from={trained / 'run'}"
    config = settings(trained, start, "training.epochs=1", "optimizer.learning_rate=1e-12", *overrides)
    train.run(RECIPE, config)
    return load_model(find_run_folder(RECIPE, config, Precision.fp32).model)[0].state_dict()


def test_a_fine_tuned_model_starts_with_the_weights_and_the_statistics_of_the_trained_one(
    trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="asr")
    before = load_model(trained / "run" / "model")[0].state_dict()
    write_corpus(trained / "data" / "an4", {"train": ["B B A"], "dev": ["A"], "test": ["B"]})
    after = fine_tune(trained)
    assert after.keys() == before.keys()
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, rtol=0, atol=1e-6, msg=name)
    assert "Weights are initialized from" in caplog.text and "at random" not in caplog.text


def test_a_model_of_the_hub_is_a_model_to_start_from(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub_server(monkeypatch, tmp_path / "cache") as hub:
        hub.repositories["me/letters"] = Repository()
        files = {path.name: path.read_bytes() for path in (trained / "run/model").iterdir()}
        hub.repositories["me/letters"].commit(files)
        after = fine_tune(trained, "training.init_from=hf://me/letters", "seed=2")
        before = load_model(trained / "run" / "model")[0].state_dict()
        for name, weight in before.items():
            torch.testing.assert_close(after[name], weight, rtol=0, atol=1e-6, msg=name)
        assert fine_tune(trained, "seed=2").keys() == after.keys(), "the same run, which is finished"


def test_heads_of_other_tokens_and_new_heads_start_at_random_and_the_log_says_so(
    trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="asr")
    before = load_model(trained / "run" / "model")[0].state_dict()
    after = fine_tune(trained, "tokenizer.alphabet=' BA'", "model.intermediate_layer=1")
    assert after["head.weight"].shape[0] == 4
    assert "but the head and intermediate head at random, since its tokens differ" in caplog.text
    for name, weight in before.items():
        if not name.startswith("head."):
            torch.testing.assert_close(after[name], weight, rtol=0, atol=1e-6, msg=name)


def test_another_architecture_is_refused_and_its_keys_are_named(trained: Path) -> None:
    with pytest.raises(ConfigError) as error:
        fine_tune(trained, "model.hidden=25", "features.hop_ms=12", "model.cells=[gru]", "model.dropout=0.5")
    for difference in ("model.hidden=25 (there 24)", "features.hop_ms=12.0 (there 10.0)", "model.cells=['gru', 'gru']"):
        assert difference in str(error.value)
    assert "model.dropout" not in str(error.value)


def test_a_place_without_a_model_is_refused(trained: Path) -> None:
    with pytest.raises(RunError, match=r"No trained model at .*data: .* as training\.init_from"):
        fine_tune(trained, f"training.init_from={trained / 'data'}")


def test_a_run_is_known_by_the_weights_it_began_with_and_not_by_their_place(trained: Path, tmp_path: Path) -> None:
    def path(init_from: Path | None) -> Path:
        config = settings(trained, f"training.init_from={init_from or 'null'}")
        return find_run_folder(RECIPE, config, Precision.fp32).path

    shutil.copytree(trained / "run" / "model", tmp_path / "copy")
    assert path(trained / "run") == path(trained / "run" / "model") == path(tmp_path / "copy")
    assert path(trained / "run") != path(None)
    weights = bytearray((tmp_path / "copy" / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "copy" / "model.safetensors").write_bytes(weights)
    assert path(tmp_path / "copy") != path(trained / "run")
