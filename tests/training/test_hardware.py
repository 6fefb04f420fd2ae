"""Settings of the hardware: precision, TF32, compiled convolutions, pinned memory."""

import functools
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asr.batching.loader import Batch, MicroBatch, load
from asr.common.errors import ConfigError
from asr.model.acoustic import AcousticModel
from asr.settings.compose import compose
from asr.settings.features import Normalization
from asr.settings.hardware import HardwareConfig, Precision
from asr.settings.recipe import RECIPES, Recipe
from asr.training.acoustic_task import compile_front
from asr.training.hardware import Hardware, allow_tf32, resolve_hardware, say_what_changed
from tests.helpers.trainings import SMALL, metrics, prepare_yesno, run_folder, train

RECIPE = Recipe(RECIPES / "an4")
CPU = Hardware(torch.device("cpu"), Precision.fp32)


def hardware(*overrides: str) -> HardwareConfig:
    threads = f"hardware.threads={torch.get_num_threads()}"
    return compose(RECIPE, [threads, "hardware.device=cpu", *overrides]).hardware


@pytest.mark.parametrize("setting", ["hardware.precision=fp16", "hardware.tf32=true"])
def test_what_only_gpus_can_do_is_refused_on_a_cpu_before_a_training(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} needs a GPU"):
        resolve_hardware(hardware(setting))
    resolve_hardware(hardware(setting), trains=False)  # its model can be evaluated here


def test_tf32_is_off_except_where_it_is_wanted() -> None:
    def allowed() -> tuple[bool, bool]:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    before = allowed()
    try:
        for wanted in (True, False):
            allow_tf32(wanted)
            with Hardware(torch.device("cpu"), Precision.fp32, tf32=wanted).in_float32():
                assert allowed() == (False, False), "features and evaluation"
            assert allowed() == (wanted, wanted)
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def model() -> AcousticModel:
    torch.manual_seed(0)
    config = compose(RECIPE, SMALL[:2])
    return AcousticModel(replace(config.model, layers=1), 20, 10, Normalization.utterance)


def fronts(model: AcousticModel) -> list[torch.Tensor]:
    """What the convolutions give for a padded batch, and the gradients of their weights."""
    torch.manual_seed(1)
    features, lengths = torch.randn(3, 57, 20), torch.tensor([57, 31, 8])
    outputs, _ = model.subsampling(features, lengths)
    weights = list(model.subsampling.parameters())
    return [outputs.detach(), *torch.autograd.grad(outputs.square().sum(), weights)]


@pytest.mark.slow  # the compiler takes its time
def test_compiled_convolutions_give_the_same_and_keep_their_names(caplog: pytest.LogCaptureFixture) -> None:
    plain, compiled = model(), model()
    with caplog.at_level(logging.INFO, "asr"):
        assert compile_front(compiled, 20, CPU)
    assert "The convolutions are compiled" in caplog.text
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert all(weight.grad is None for weight in compiled.parameters()), "nothing is left of the trial"
    for one, other in zip(fronts(plain), fronts(compiled), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_where_no_compiler_works_the_model_goes_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def compiler(*arguments: object) -> None:
        raise RuntimeError("no g++ here\nand more lines")

    own = model()
    compiled = functools.partial(own.subsampling.compile, backend=compiler)
    monkeypatch.setattr(own.subsampling, "compile", compiled)
    with caplog.at_level(logging.WARNING, "asr"):
        assert not compile_front(own, 20, CPU)
    (message,) = caplog.messages
    assert message.startswith("hardware.compile=true, but no compiler works here; going on without (")
    assert "no g++ here" in message and "\n" not in message
    for one, other in zip(fronts(model()), fronts(own), strict=True):
        assert torch.equal(one, other)
    torch._dynamo.reset()


@pytest.mark.slow
def test_a_training_with_compiled_convolutions_learns_the_same(tmp_path: Path) -> None:
    losses = []
    for compiled in ("false", "true"):
        folder = tmp_path / compiled
        recipe = prepare_yesno(folder / "data")
        settings = ["training.epochs=1", "hardware.workers=0", "hardware.precision=fp32", "training.log_every_steps=1"]
        assert train(recipe, folder, [*settings, f"hardware.compile={compiled}"]) == 0
        run = run_folder(folder, recipe)
        log = (run / "train.log").read_text()
        assert ("The convolutions are compiled" in log) == (compiled == "true") and "no compiler works" not in log
        losses.append([row["train/loss"] for row in metrics(run) if "train/loss" in row])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.gpu
def test_batches_for_a_gpu_lie_in_pinned_memory(workers: int) -> None:
    micro_batches = [MicroBatch(0, np.array(numbers, dtype=np.int64)) for numbers in ([0, 1], [], [2])]
    batches = load(micro_batches, lambda number, epoch: torch.ones(number + 1, 2), [[1]] * 3, workers, pin=True)
    for batch in batches:
        for tensor in (batch.inputs, batch.labels, batch.lengths):
            assert tensor.is_pinned() or not tensor.numel()  # nothing is nowhere
        moved = batch.to(torch.device("cuda"))
        assert moved.inputs.is_cuda and moved.labels.is_cuda and not moved.lengths.is_cuda


def test_the_lengths_of_a_batch_stay_in_main_memory() -> None:
    labels = torch.tensor([1])
    batch = Batch(0, np.array([0]), torch.ones(1, 4, 2), torch.tensor([4]), labels, labels)
    moved = batch.to(torch.device("meta"))
    assert (moved.inputs.device.type, moved.labels.device.type) == ("meta", "meta")
    assert (moved.lengths.device.type, moved.label_lengths.device.type) == ("cpu", "cpu")


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["hardware.precision=fp16"],
        ["hardware.precision=fp32", "hardware.tf32=true"],
        ["hardware.precision=bf16", "hardware.compile=true", "hardware.workers=1"],
    ],
)
def test_a_training_on_a_gpu_learns_what_one_in_float32_learns(settings: list[str], tmp_path: Path) -> None:
    losses = []
    for name, own in (("own", settings), ("plain", ["hardware.precision=fp32"])):
        recipe = prepare_yesno(tmp_path / name / "data")
        assert train(recipe, tmp_path / name, ["hardware.device=cuda", "training.epochs=4", *own]) == 0
        run = run_folder(tmp_path / name, recipe)
        losses.append([row["train/loss"] for row in metrics(run) if "train/loss" in row][-1])
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ({"ranks": 1}, ""),
        ({"ranks": 2}, "ranks=1 (until here 2)"),
        ({"ranks": 1, "conditions": {"threads": 4, "torch": "2"}}, "threads=2 (until here 4)"),
        ({"ranks": 2, "conditions": {"torch": "1"}}, "ranks=1 (until here 2), torch=2 (until here 1)"),
        ({"ranks": 1, "conditions": {"of a later version": 1}}, ""),
    ],
)
def test_what_changes_the_last_digits_of_a_resumed_training_is_said(
    saved: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "asr")
    say_what_changed(saved, {"ranks": 1, "threads": 2, "torch": "2"})
    assert caplog.messages == ([] if not said else [caplog.messages[0]])
    assert not said or caplog.messages[0].startswith(f"The run goes on with {said}: the batches are the same, but ")
