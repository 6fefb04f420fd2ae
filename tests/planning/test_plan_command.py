"""`asr plan`: what it prints, what it leaves alone, and the advice that it gives."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.batching.dataset import Dataset
from asr.batching.steps import Steps
from asr.commands.cli import main
from asr.commands.plan import HELP
from asr.data.manifest import read_manifest
from asr.model.acoustic import count_parameters
from asr.model.folder import build_model
from asr.planning.advice import Budget, Corpus, Plan, advise
from asr.planning.measure import measure, planned_epoch
from asr.planning.prediction import Prediction
from asr.scoring.results import Results
from asr.settings.batching import BatchingConfig, BatchOrder
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.text.tokenizer import build_tokenizer
from tests.helpers.corpora import write_corpus
from tests.helpers.trainings import SMALL, asr

AN4 = find_recipe("an4")
TEXTS = ["ONE TWO", "TWO THREE", "THREE ONE", "TWO TWO ONE", "ONE", "THREE", "TWO ONE", "THREE THREE"]
CORPUS = Corpus("an4", 900, 0.7, 2.5, 6.4)
BATCHING = BatchingConfig(global_seconds=3.0, max_device_seconds=2.5, length_jitter=0.05, order=BatchOrder.random)

PREDICTION = Prediction(
    name="lstm",
    parameters=5_000_000,
    multiply_adds_per_second=132e6,
    epochs=80,
    steps=40,
    audio_seconds=2500,
    padding=0.05,
    training_seconds=27.0,
    validation_seconds=3.0,
    output_frames_per_second=25,
    peak_bytes=2 * 10**9,
    batch_seconds=60.0,
    base_bytes=0.8e9,
    bytes_per_second=20e6,
    device_bytes=24 * 10**9,
    hardware="a processor",
    precision="fp32",
    threads=2,
)
RESULTS = Results(
    recipe="an4", run="lstm-12345678", split="test", decoder="greedy", utterances=130, words=773, wer=0.08,
    wer_low=0.06, wer_high=0.1, cer=0.04, substitutions=50, deletions=6, insertions=6, seed=1, parameters=5_000_000,
    train_seconds=1400.0, audio_seconds=357.0, real_time_factor=0.01, hardware="a processor", torch="2", command="asr",
    commit=None, config_hash="12345678",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    write_corpus(folder / "data" / "an4", {"train": TEXTS * 4, "dev": TEXTS[:3], "test": TEXTS[3:]})
    return folder


@pytest.mark.slow
def test_models_stand_side_by_side_and_nothing_is_left_behind(folder: Path) -> None:
    manifests = {path: path.read_bytes() for path in (folder / "data/an4").glob("*.jsonl")}
    swept = ["-m", "model=lstm,gru", "model.layers=1", "training.epochs=7", "plan.minutes=600", "hardware.workers=0"]
    planned = asr("plan", "an4", folder, swept)
    assert planned.returncode == 0
    heading, lstm, gru, _, measured_on, *sentences = planned.stdout.splitlines()
    assert heading.split()[:2] == ["model", "parameters"]
    assert (lstm.split()[0], gru.split()[0]) == ("lstm", "gru")
    assert measured_on.startswith("Tried on")
    text = "\n".join(sentences)
    assert "in 32 utterances" in text
    assert "ends all 7 epochs" in text
    assert sentences[-1].startswith("Begin with")
    assert all(re.search(r"\d", sentence) for sentence in sentences)
    assert not (folder / "runs").exists()
    assert manifests == {path: path.read_bytes() for path in (folder / "data/an4").glob("*.jsonl")}


def test_a_prediction_has_the_figures_of_the_model_and_of_the_plan(folder: Path, tmp_path: Path) -> None:
    paths = [f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]
    config = compose(
        AN4, [*SMALL, *paths, "model=gru", "batching.global_seconds=4", "training.epochs=2", "hardware.workers=0"]
    )
    threads = torch.get_num_threads()
    prediction = measure(AN4, config, tmp_path / "run")
    torch.set_num_threads(threads)
    model = build_model(config, build_tokenizer(config.tokenizer, []).size)
    assert prediction.parameters == count_parameters(model)
    seconds = sum(utterance.duration for utterance in read_manifest(AN4.manifest(config, "train")))
    assert prediction.audio_seconds == pytest.approx(seconds, rel=0.15)  # at drawn speeds
    assert prediction.steps >= seconds / 4 / 1.15
    assert 3 < prediction.batch_seconds < 6
    assert prediction.training_seconds > 0
    assert prediction.validation_seconds > 0
    assert 100e6 < prediction.base_bytes < prediction.peak_bytes < prediction.device_bytes
    assert prediction.total_seconds == 2 * prediction.epoch_seconds


def test_without_manifests_it_says_how_to_get_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["plan", "an4", f"paths.data={tmp_path}"])
    assert stop.value.code == 2
    assert f"run `asr prepare an4 paths.data={tmp_path}` first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "needs a RECIPE"),
        (["model=gru"], "needs a RECIPE"),
        (["an4", "--memory"], "unrecognized arguments: --memory"),
        (["an4", "modle=gru"], "no key modle; did you mean model?"),
        (["an4", "plan.minutes=0"], "plan.minutes is 0.0; it must be above 0 and at most 1e9."),
        (["an4", "tokenizer=char", "-m", "model=gru,gru"], "Two of the planned settings are the same"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: Sequence[str], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"paths.data={folder / 'data'}"] if arguments[:1] == ["an4"] else []
    with pytest.raises(SystemExit) as stop:
        main(["plan", *arguments, *paths])
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--help"]) == 0
    assert capsys.readouterr().out.strip() == HELP


def test_the_time_of_an_epoch_follows_from_a_few_of_its_steps(folder: Path) -> None:
    config = compose(AN4, [f"paths.data={folder / 'data'}"])
    utterances = read_manifest(AN4.manifest(config, "train"))
    inputs = Dataset(utterances, None, config.augment, seed=1)
    steps = Steps(inputs, [[1]] * len(utterances), BATCHING, 1, 0, 1)
    first, second = (planned_epoch(steps, epoch) for epoch in (0, 1))
    for epoch in (first, second):
        assert sum(len(step.utterances) for step in epoch.steps) == len(utterances)
        assert (epoch.largest <= BATCHING.max_device_seconds).all()
        assert (epoch.padded >= [step.seconds - 1e-9 for step in epoch.steps]).all()

    def cost(padded: np.ndarray, longest: np.ndarray) -> np.ndarray:
        """Seconds whose number per second of padded audio grows linearly with the longest utterance."""
        return padded * (0.1 + 0.02 * longest)

    chosen = first.spread(5)
    assert len({step.position for step in chosen}) == 5
    costs = cost(first.padded, first.longest)
    measured = [(step, float(costs[step.position])) for step in chosen]
    # Steps beyond the chosen ones take as long as the nearest, hence the tolerance.
    assert first.seconds(measured, first) == pytest.approx(costs.sum(), rel=0.02)
    assert second.seconds(measured, first) == pytest.approx(cost(second.padded, second.longest).sum(), rel=0.02)
    everything = [(step, float(seconds)) for step, seconds in zip(first.steps, first.padded, strict=True)]
    assert first.seconds(everything, first) == pytest.approx(first.padded.sum())


def advice(*plans: Plan, minutes: float | None = None, memory: float = 24e9) -> str:
    return "\n".join(advise(CORPUS, plans, Budget(None if minutes is None else 60 * minutes, memory)))


LSTM = Plan("lstm", PREDICTION, RESULTS)
GRU = Plan("gru", replace(PREDICTION, name="gru", training_seconds=17.0, multiply_adds_per_second=99e6), None)


def test_data_and_speed_are_told_with_their_figures() -> None:
    text = advice(LSTM, GRU)
    assert "0.70 h in 900 utterances; half of them are shorter than 2.5 s" in text
    assert "the longest, 6.4 s, takes a recurrent layer 160 steps; padding is 5.0 %" in text
    assert "gru takes 20.0 s for an epoch of 0.69 h of audio, 125x real time" in text
    assert "lstm takes 1.50 times as long (30.0 s), with 1.33 times the multiply-adds of gru." in text
    assert "lstm 0:40:00 for 80 epochs, gru 0:26:40 for 80 epochs" in text


def test_times_within_a_tenth_are_no_difference() -> None:
    near = replace(GRU, prediction=replace(GRU.prediction, training_seconds=26.0))
    assert "lstm takes the same time, as far as this trial can tell (30.0 s)" in advice(LSTM, near)


def test_much_padding_is_named() -> None:
    assert "lower batching.length_jitter" not in advice(LSTM)
    assert "lower batching.length_jitter" in advice(replace(LSTM, prediction=replace(PREDICTION, padding=0.2)))


def test_a_time_that_is_too_short_becomes_fewer_epochs() -> None:
    text = advice(LSTM, GRU, minutes=30)
    assert "Within 30 min, lstm ends 60 of its 80 epochs (training.epochs=60" in text
    assert "gru ends all 80 epochs after 0:26:40" in text
    assert "Begin with gru: of what fits it is the quickest, 20.0 s an epoch" in text
    text = advice(LSTM, minutes=0.4)
    assert "lstm does not finish its first epoch of 30.0 s" in text
    assert text.splitlines()[-1].startswith("None of this fits")


def test_memory_that_is_too_little_becomes_smaller_micro_batches_or_a_smaller_model() -> None:
    # 0.8 * 1.5 GB hold 0.4 GB of audio at 20 MB a second.
    text = advice(LSTM, memory=1.5e9)
    assert "lstm needs 2.00 GB" in text
    assert "set batching.max_device_seconds=20" in text
    text = advice(LSTM, memory=0.8e9)
    assert "it takes 0.80 GB before any audio, so lower model.hidden" in text
    assert "lstm peaks at 2.00 GB of 24.00 GB" in advice(LSTM)


def test_accuracy_is_that_of_stored_results_alone() -> None:
    text = advice(LSTM, GRU)
    assert "lstm-12345678 has a WER of 8.00 % (6.00 - 10.00 %) with 5.00 M parameters" in text
    assert "no result of gru is stored with an4, and a plan predicts none" in text
    assert text.endswith("only a training tells whether it reaches the 8.00 % of lstm.")
    assert advice(GRU, replace(LSTM, stored=None)).endswith("no stored result speaks for another.")


@pytest.mark.parametrize(("wer", "begin"), [(0.095, "gru"), (0.12, "lstm")])
def test_of_two_stored_results_the_quicker_model_may_lie_within_the_interval(wer: float, begin: str) -> None:
    worse = replace(GRU, stored=replace(RESULTS, run="gru-12345678", wer=wer, wer_low=wer - 0.02, wer_high=wer + 0.02))
    assert advice(LSTM, worse).splitlines()[-1].startswith(f"Begin with {begin}")
