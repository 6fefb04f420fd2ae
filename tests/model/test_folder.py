"""A model folder that a stranger handed over is the model that it describes, or one sentence that names the file."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from asr.common.errors import ConfigError, RunError, UserError
from asr.lm.recurrent import RecurrentLanguageModel
from asr.lm.text import WordTokenizer
from asr.lm.trained import load_language_model
from asr.model.folder import SETTINGS, WEIGHTS, load_model, save_model, weights_checksum
from asr.text.protocol import FILE
from tests.helpers.configurations import composed
from tests.helpers.models import save_small_model


@pytest.fixture(scope="module")
def acoustic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("acoustic"))


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    config = composed("an4", "lm=lstm", "lm.hidden=8", "lm.layers=1", "lm.units=words")
    tokenizer = WordTokenizer(["ONE", "TWO"])
    save_model(folder, RecurrentLanguageModel(config.lm, tokenizer.size), config, tokenizer)
    return folder


@pytest.fixture
def model(acoustic: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(acoustic, tmp_path / "model"))


Tensors = dict[str, torch.Tensor]


def first(tensors: Tensors) -> str:
    return min(name for name in tensors if tensors[name].is_floating_point() and tensors[name].ndim)


def without_one(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name != first(tensors)}


WRONG_WEIGHTS: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "nan": (lambda old: old | {first(old): torch.full_like(old[first(old)], torch.nan)}, "not finite"),
    "inf": (lambda old: old | {first(old): torch.full_like(old[first(old)], torch.inf)}, "not finite"),
    "double": (lambda old: old | {first(old): old[first(old)].double()}, "F64 of shape"),
    "whole numbers": (lambda old: old | {first(old): old[first(old)].long()}, "I64 of shape"),
    "shape": (lambda old: old | {first(old): old[first(old)][None].contiguous()}, "of shape"),
    "empty": (lambda old: old | {first(old): old[first(old)][:0].contiguous()}, "of shape"),
    "missing": (without_one, "is missing"),
    "more": (lambda old: old | {"more": torch.zeros(1)}, "missing belongs"),
    "none": (lambda old: {}, "is missing"),
}


@pytest.mark.parametrize("wrong", WRONG_WEIGHTS)
@pytest.mark.parametrize("kind", ["acoustic", "language"])
def test_weights_of_another_model_or_not_finite_are_refused(
    kind: str, wrong: str, acoustic: Path, language: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(acoustic if kind == "acoustic" else language, tmp_path / "model"))
    load: Callable[[Path], Any] = load_model if kind == "acoustic" else load_language_model
    change, found = WRONG_WEIGHTS[wrong]
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)
    with pytest.raises(RunError, match=found) as error:
        load(folder)
    assert str(folder / WEIGHTS) in str(error.value)


@pytest.mark.parametrize("size", [{"hidden": 100_000}, {"layers": 100}])
def test_weights_are_compared_before_memory_is_taken_for_the_model(size: dict[str, int], model: Path) -> None:
    settings = yaml.safe_load((model / SETTINGS).read_text())
    settings["model"] |= size
    (model / SETTINGS).write_text(yaml.safe_dump(settings))
    with pytest.raises(RunError, match="are not of the model"):
        load_model(model)


@pytest.mark.parametrize("size", [0, 7, 100, 5 << 30])
def test_the_checksum_of_weights_of_another_size_is_refused_before_they_are_read(size: int, model: Path) -> None:
    os.truncate(model / WEIGHTS, size)
    with pytest.raises(RunError, match=f"{WEIGHTS} cannot be read"):
        weights_checksum(model)


@pytest.mark.parametrize("use", [weights_checksum, load_model])
@pytest.mark.parametrize("kind", ["pipe", "folder", "nothing"])
def test_weights_that_are_no_file_are_named(use: Callable[[Path], Any], kind: str, model: Path) -> None:
    (model / WEIGHTS).unlink()
    if kind == "pipe":
        os.mkfifo(model / WEIGHTS)
    elif kind == "folder":
        (model / WEIGHTS).mkdir()
    with pytest.raises(RunError, match=WEIGHTS):
        use(model)


def settings_with(line: str) -> Callable[[Path], None]:
    return lambda folder: (folder / SETTINGS).write_text((folder / SETTINGS).read_text() + line)  # type: ignore[return-value,func-returns-value]


def tokenizer_of(content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / FILE).write_text(content)  # type: ignore[return-value,func-returns-value]


def pipe(name: str) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return replace


@pytest.mark.parametrize(
    "spoil",
    [
        settings_with("more: 1\n"),
        settings_with("? ~\n: 1\n"),
        settings_with("1: 1\n"),
        settings_with("more: &a [1]\n"),
        settings_with("more: ${oc.env:HOME}\n"),
        settings_with("more: " + "[" * 2000 + "\n"),
        tokenizer_of("[" * 100_000),
        tokenizer_of("[]"),
        tokenizer_of("null"),
        tokenizer_of('{"kind": null}'),
        tokenizer_of('{"kind": []}'),
        tokenizer_of('{"kind": "char", "alphabet": "\\ud800 A"}'),
        tokenizer_of('{"kind": "char", "alphabet": {}}'),
        tokenizer_of('{"kind": "bpe", "alphabet": "AB ", "model": ""}'),
        tokenizer_of('{"kind": "bpe", "alphabet": 5, "model": "AAAA"}'),
        tokenizer_of('{"kind": "phone", "phones": [1], "words": {}, "g2p": null}'),
        tokenizer_of('{"kind": "phone", "phones": ["A"], "words": {"a": ["A"]}, "g2p": null}'),
        pipe(FILE),
        pipe(SETTINGS),
        pipe(WEIGHTS),
    ],
)
def test_settings_and_tokenizers_that_are_none_are_one_sentence(spoil: Callable[[Path], None], model: Path) -> None:
    spoil(model)
    with pytest.raises(UserError) as error:
        load_model(model)
    assert str(model) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("group", "value"),
    [("paths", None), ("features", 5), ("model", []), ("cluster", "text"), ("augment", {None: 1}), ("model", {1: 2})],
)
def test_what_is_no_group_is_refused(group: str, value: object, model: Path) -> None:
    settings = yaml.safe_load((model / SETTINGS).read_text())
    (model / SETTINGS).write_text(yaml.safe_dump(settings | {group: value}))
    with pytest.raises(ConfigError) as error:
        load_model(model)
    assert group in str(error.value) and "\n" not in str(error.value)


def test_the_tokenizer_of_a_language_model_is_bounded_too(language: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(language, tmp_path / "language"))
    for content in ("[" * 100_000, '{"kind": "words", "words": 5}', json.dumps({"kind": "words"})):
        (folder / FILE).write_text(content)
        with pytest.raises(RunError, match="is not a tokenizer"):
            load_language_model(folder)
