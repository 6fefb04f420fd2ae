"""Run folders as training and evaluation leave them, with made-up figures, for tests of comparisons."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import OmegaConf

from asr.scoring.error_rates import score_texts, total
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.results import Results, write_results
from asr.settings.compose import plain
from asr.text.char import CharTokenizer
from tests.helpers.configurations import composed

TEXTS = ["ONE TWO THREE", "TWO TWO", "ONE", "THREE ONE TWO ONE", "TWO THREE", "ONE ONE", "THREE", "TWO"] * 3


def write_run(
    folder: Path,
    model: str = "lstm",
    seed: int = 1,
    wrong: Sequence[int] = (),
    overrides: Sequence[str] = (),
    curve: Mapping[float, float] | None = None,
    texts: Sequence[str] = TEXTS,
    unit: ErrorUnit = ErrorUnit.word,
) -> Path:
    """Writes a run of AN4 that got the utterances with these numbers wrong.

    Args:
        curve: Dev WER by the seconds of training.
    """
    config = composed("an4", f"model={model}", "tracker=disabled", *overrides)
    config.seed = seed
    run = folder / f"{model}-{seed}{len(overrides)}"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(plain(config))))
    (run / "model").mkdir()
    CharTokenizer(" ABC").save(run / "model")
    curve = curve or {10.0: 0.9, 20.0: 0.4, 30.0: 0.2 + 0.01 * seed}
    rows = []
    for epoch, (seconds, wer) in enumerate(curve.items(), start=1):
        row = {"step": 10 * epoch, "epoch": float(epoch), "seconds": seconds}
        rows.append(row | {"time/step_seconds": 1.0, "time/audio_hours_per_hour": 50.0 + seed})
        rows.append(row | {"dev/wer": wer, "dev/cer": wer / 2, "system/peak_memory_mb": 800.0 + epoch})
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = [
        score_texts(
            f"u{number}", f"speaker-{number // 3}", 1.0 + number / 10, text, "TWO" if number in wrong else text, unit
        )
        for number, text in enumerate(texts)
    ]
    score = total(scores)
    results = Results(
        recipe="an4",
        run=run.name,
        split="test",
        decoder="greedy",
        utterances=score.utterances,
        words=score.words,
        wer=score.wer,
        wer_low=score.wer,
        wer_high=score.wer,
        cer=score.cer,
        substitutions=score.substitutions,
        deletions=score.deletions,
        insertions=score.insertions,
        seed=seed,
        parameters=1_000_000,
        train_seconds=rows[-1]["seconds"],
        audio_seconds=30.0,
        real_time_factor=0.01,
        hardware="a machine",
        torch="2",
        command=f"asr run an4 model={model} seed={seed}",
        commit=None,
        config_hash=run.name,
    )
    if unit is ErrorUnit.character:
        results = replace(results, unit=unit, characters=score.characters, cer_low=score.cer, cer_high=score.cer)
    for split in ("dev", "test"):
        write_results(run, replace(results, split=split), scores)
    return run
