"""Run folders as a training and an evaluation leave them, made without either."""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from omegaconf import OmegaConf

from asr.data.splits import whole_file, write_splits
from asr.data.utterance import Utterance
from asr.scoring.error_rates import UtteranceScore, score_texts, score_utterance
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.results import Results, split_figures, write_results
from asr.settings.compose import compose, plain
from asr.settings.recipe import find_recipe
from asr.tracking.metrics import panel_row

RATE = 8000


def write_noise(path: Path, seconds: float = 0.3) -> None:
    """Writes a short file that sounds of nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).normal(0, 0.1, round(seconds * RATE))
    soundfile.write(path, noise * np.linspace(0, 1, len(noise)), RATE, subtype="PCM_16")


def write_test_corpus(data: Path, texts: Sequence[str], suffix: str = ".wav", name: str = "{}") -> list[Utterance]:
    """Writes yesno with the given transcripts as its test split, a speaker for each ten; gives the test utterances."""
    folder = data / "yesno"
    utterances = []
    for number, text in enumerate(texts):
        path = folder / "audio" / f"{name.format(number)}{suffix}"
        write_noise(path, 0.2 + 0.1 * (number % 5))
        utterances.append(whole_file(path, text, f"speaker {number // 10}"))
    for split in ("train", "dev"):
        write_noise(folder / "audio" / f"{split}.wav")
    others = {
        split: [whole_file(folder / "audio" / f"{split}.wav", "YES", f"{split} speaker")] for split in ("train", "dev")
    }
    write_splits(folder, {**others, "test": utterances})
    return utterances


def metrics_rows(epochs: int, steps: int = 4, **values: Any) -> list[dict[str, Any]]:
    """Rows of a training; a value is a number, or a function of the epoch (with its fraction)."""
    ordinary = {
        "train/loss": lambda epoch: 3 / (1 + epoch),
        "train/learning_rate": 1e-3,
        "train/gradient_norm": 1.0,
        "data/padding_share": 0.05,
        "time/step_seconds": 0.3,
        "time/data_wait_share": 0.01,
        "time/audio_hours_per_hour": 100.0,
        "dev/wer": lambda epoch: 0.1 + 0.9 / epoch,
        "dev/cer": lambda epoch: 0.05 + 0.9 / epoch,
    }
    chosen = ordinary | {name.replace("__", "/"): value for name, value in values.items()}
    rows = []
    for step in range(1, epochs * steps + 1):
        epoch = step / steps
        at = {name: value(epoch) if callable(value) else value for name, value in chosen.items()}
        heading = {"step": step, "epoch": epoch, "seconds": 2.0 * step}
        rows.append(heading | {name: value for name, value in at.items() if not name.startswith("dev/")})
        if step % steps == 0:
            rows.append(heading | {name: value for name, value in at.items() if name.startswith("dev/")})
    return rows


def write_run(folder: Path, data: Path, rows: Sequence[dict[str, Any]], overrides: Sequence[str] = ()) -> Path:
    """Writes the settings and the metrics of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = _settings(*overrides) | {"paths": {"data": str(data), "runs": "runs"}}
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(settings)), encoding="utf-8")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@cache
def _settings(*overrides: str) -> dict[str, Any]:
    return plain(compose(find_recipe("yesno"), overrides))


def write_panel(
    run: Path,
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[str],
    unit: ErrorUnit = ErrorUnit.word,
) -> None:
    """Writes what a run made of a panel of utterances after each of its epochs."""

    def scores(pairs: Iterable[tuple[str, str]]) -> list[UtteranceScore]:
        return [score_texts(f"dev {place}", "", 1.0, *pair, unit) for place, pair in enumerate(pairs)]

    lines = [
        panel_row(4 * epoch, epoch, scores(pairs))
        for epoch, pairs in enumerate((zip(references, written, strict=True) for written in hypotheses), start=1)
    ]
    (run / "panel.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def evaluate(
    run: Path,
    utterances: Sequence[Utterance],
    hypotheses: Sequence[str],
    split: str = "test",
    unit: ErrorUnit = ErrorUnit.word,
    decoder: str = "greedy",
) -> None:
    """Writes an evaluation of a run with the given hypotheses."""
    scores = [score_utterance(*pair, unit) for pair in zip(utterances, hypotheses, strict=True)]
    write_evaluation(run, scores, split, decoder)


def write_evaluation(run: Path, scores: Sequence[UtteranceScore], split: str = "test", decoder: str = "greedy") -> None:
    """Writes an evaluation of a run."""
    results = Results(
        recipe="yesno",
        run=run.name,
        split=split,
        decoder=decoder,
        **split_figures(scores, samples=200),
        seed=1,
        parameters=1_000_000,
        train_seconds=100.0,
        audio_seconds=10.0,
        real_time_factor=0.01,
        hardware="a processor",
        torch="2",
        command="asr run yesno",
        commit=None,
        config_hash="0" * 8,
    )
    write_results(run, results, scores)
