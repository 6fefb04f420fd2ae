"""Frames that are labelled as speech or not: another task of the same trainer, judged by the frame error."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr.commands import check, evaluate, train
from asr.common.errors import ConfigError, DataError, RunError
from asr.comparison.compare import compare_runs
from asr.data.manifest import write_manifest
from asr.data.splits import SPLITS, whole_file
from asr.inference.finished_run import FinishedRun
from asr.report.overview import as_table, summarize
from asr.report.runs import find_runs
from asr.settings.compose import compose
from asr.settings.recipe import Recipe
from asr.settings.training import TrainingConfig
from asr.training.speech_task import FrameLabels, FrameObjective
from tests.helpers.configurations import composed

RECIPE = """
defaults: [/config, override /tracker: disabled, override /tokenizer: speech, override /augment: none, _self_]
features: {source: online}
model: {hidden: 8, channels: 4, layers: 1, dropout: 0}
batching: {global_seconds: 12}
optimizer: {learning_rate: 0.02}
training: {epochs: 6}
hardware: {threads: 1, workers: 0, precision: fp32}
compare: {memory_seeds: 0}
"""
TONES = [(0.5, 1.1), (1.6, 2.3)]


def write_tones(folder: Path) -> Recipe:
    """A recipe whose speech are tones in noise, at the same times in all recordings but for a shift."""
    data = folder / "data" / "tones"
    (folder / "tones").mkdir(parents=True)
    (folder / "tones" / "recipe.yaml").write_text(RECIPE)
    for split, count in zip(SPLITS, (12, 4, 4), strict=True):
        utterances = []
        for number in range(count):
            random = np.random.default_rng([len(split), number])
            time, shift = np.arange(3 * 16000) / 16000, 0.05 * number
            sound = 0.003 * random.standard_normal(len(time))
            spans = [(begin + shift, end + shift) for begin, end in TONES]
            for begin, end in spans:
                sound += 0.2 * np.sin(2 * np.pi * 440 * time) * ((time >= begin) & (time < end))
            path = data / "audio" / f"{split}-{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound, 16000, subtype="PCM_16")
            text = " ".join(f"{begin:.2f}-{end:.2f}" for begin, end in spans)
            utterances.append(
                whole_file(path, text if number else "", f"speaker {number // 2}") if number else silent(path)
            )
        write_manifest(data / f"{split}.jsonl", utterances)
    return Recipe(folder / "tones")


def silent(path: Path):  # type: ignore[no-untyped-def]
    """A recording without speech."""
    soundfile.write(path, 0.003 * np.random.default_rng(len(path.name)).standard_normal(32000), 16000, subtype="PCM_16")
    return whole_file(path, "", "")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path, list[str]]:
    """A recipe, the run of its model that was trained and evaluated, and the overrides of its paths."""
    folder = tmp_path_factory.mktemp("speech")
    recipe = write_tones(folder)
    paths = [
        f"paths.data={folder / 'data'}",
        f"paths.runs={folder / 'runs'}",
        "model=lstm_streaming",
        "model.lookahead=2",
    ]
    train.run(recipe, compose(recipe, paths))
    evaluate.run(recipe, compose(recipe, paths))
    (run,) = (folder / "runs" / "tones").glob("lstm_streaming-*")
    return recipe, run, paths


def test_a_model_learns_which_frames_are_speech(trained: tuple[Recipe, Path, list[str]]) -> None:
    results = json.loads((trained[1] / "evaluation/test/greedy/results.json").read_text())
    assert results["frame_error"] < 0.05
    assert results["frame_error_low"] <= results["frame_error"] <= results["frame_error_high"]
    assert results["speech"]["precision"] > 0.8 and results["speech"]["recall"] > 0.8
    assert results["speech"]["area_under_curve"] > 0.98
    # Two output frames of 20 ms, and what the features and convolutions wait for.
    assert 0.04 < results["speech"]["delay"] < 0.25
    assert "wer" not in results and results["unit"] == "frame"


def test_its_curves_its_line_and_its_comparison_tell_the_frame_error(
    trained: tuple[Recipe, Path, list[str]], tmp_path: Path
) -> None:
    _, run, _ = trained
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"dev/frame_error", "dev/segment_error", "dev/precision", "dev/area_under_curve"} <= set().union(*rows)
    assert "frame error %" in as_table(summarize(find_runs([run]), "test", None))
    written = compare_runs([run], tmp_path / "comparison", None, None, 0)
    assert "test frame error %" in written.body and "area under curve" in written.body
    card = (run / "model/README.md").read_text()
    assert "Voice activity detection" in card and "frame error %" in card and "WER" not in card


def test_it_is_no_recognizer(trained: tuple[Recipe, Path, list[str]]) -> None:
    recipe, run, paths = trained
    with pytest.raises(RunError, match="labels frames as speech or not"):
        FinishedRun.at(run).recognizer()
    with pytest.raises(ConfigError, match="leave it out"):
        evaluate.run(recipe, compose(recipe, [*paths, "decoder=beam"]))
    with pytest.raises(ConfigError, match=r"scoring\.unit=word does not fit"):
        train.run(recipe, compose(recipe, [*paths, "scoring.unit=word"]))


def test_texts_that_are_no_times_are_found_by_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_tones(tmp_path)
    manifest = tmp_path / "data/tones/train.jsonl"
    manifest.write_text(manifest.read_text().replace("0.55-1.15", "YES").replace("2.40", "9.40"))
    config = compose(recipe, [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}"])
    with pytest.raises(DataError, match="has 2 errors"):
        check.run(recipe, config)
    printed = capsys.readouterr().out
    assert "'YES' is no stretch of speech" in printed and "its speech ends at 9.40 s" in printed


def test_a_label_is_that_of_the_middle_of_its_frame(tmp_path: Path) -> None:
    path = tmp_path / "one.wav"
    soundfile.write(path, np.zeros(16000), 16000)
    config = composed("vad", "model.subsampling=2")
    labels = FrameLabels(config, [whole_file(path, "0.10-0.30 0.50-0.60", "")])[0]
    middles = [0.0125 + 0.02 * frame for frame in range(len(labels))]
    assert labels == [int(0.1 <= middle < 0.3 or 0.5 <= middle < 0.6) for middle in middles]
    assert len(labels) == 49


def test_the_loss_is_the_cross_entropy_of_valid_frames_also_at_another_speed() -> None:
    settings = composed("vad").training
    assert isinstance(settings, TrainingConfig)
    objective = FrameObjective.__new__(FrameObjective)
    log_probs = torch.randn(6, 2, 2).log_softmax(dim=2)
    labels, counts = torch.tensor([0, 1, 1, 0, 1, 1, 0]), torch.tensor([4, 3])
    found = FrameObjective.loss_of(objective, log_probs, torch.tensor([4, 3]), labels, counts)
    wanted = -sum(log_probs[frame, 0, labels[frame]] for frame in range(4))
    wanted -= sum(log_probs[frame, 1, labels[4 + frame]] for frame in range(3))
    torch.testing.assert_close(found.float(), wanted)
    # Half the frames: each stands for two labels, of which it has the second.
    found = FrameObjective.loss_of(objective, log_probs[:, :1], torch.tensor([2]), labels[:4], counts[:1])
    wanted = -2 * (log_probs[0, 0, labels[1]] + log_probs[1, 0, labels[3]])
    torch.testing.assert_close(found.float(), wanted)
