"""A page of a made-up sweep: sizes and learning rates with three seeds each, on utterances with sex and device."""

import json
import random
from dataclasses import replace
from pathlib import Path

from asr.checks.anomalies import RANKING
from asr.data.manifest import write_manifest
from asr.data.utterance import Utterance
from asr.report.page import Report, ReportOptions
from asr.report.utterance_media import AudioChoice
from asr.scoring.provenance import PROVENANCE
from tests.helpers.reports import evaluate, metrics_rows, write_run, write_test_corpus

TEXTS = ["TURN LEFT AT FIVE", "CALL LEE NOW", "THE CODE IS TWO SIX", "STOP", "GO TO PITTSBURGH", "NO THANK YOU"] * 4
HARD = {32: 0.30, 64: 0.18, 128: 0.08}
"""The share of wrong words by hidden size; women fare worse on the phone."""


def told(utterances: list[Utterance]) -> list[Utterance]:
    return [
        replace(one, extra=(("sex", ["female", "male"][n % 2]), ("device", ["phone", "headset"][n % 4 // 2])))
        for n, one in enumerate(utterances)
    ]


def make_sweep(folder: Path) -> Path:
    """Writes the runs and their page; gives the page's folder."""
    utterances = told(write_test_corpus(folder / "data", TEXTS))
    for split in ("train", "dev", "test"):
        write_manifest(folder / f"data/yesno/{split}.jsonl", utterances)
    (folder / "data/yesno/word_classes.json").write_text(json.dumps({"names": ["LEE", "PITTSBURGH"]}))
    anomaly = {"split": "train", "id": utterances[1].id, "score": 0.9, "text": utterances[1].text, "hypothesis": "GO"}
    (folder / "data/yesno" / RANKING).write_text(json.dumps(anomaly) + "\n")
    for hidden, share in HARD.items():
        for rate in ("1e-3", "3e-3"):
            for seed in (1, 2, 3):
                run = folder / "runs/yesno" / f"blstm-{hidden}-{rate}-{seed}"
                wer = share + 0.01 * seed
                rows = metrics_rows(4, dev__wer=lambda epoch, wer=wer: wer + 0.5 / epoch)
                settings = [f"model.hidden={hidden}", f"optimizer.learning_rate={rate}", f"seed={seed}"]
                write_run(run, folder / "data", rows, [*settings, "tracker.tags=[sweep]"])
                origin = {"command": "asr run yesno", "commit": "abc" * 14, "hardware": "a CPU", "torch": "2"}
                (run / PROVENANCE).write_text(json.dumps(origin | {"host": "n1"}))
                evaluate(run, utterances, [_worsened(one, share, f"{hidden} {rate} {seed}") for one in utterances])
    page = folder / "page"
    Report(ReportOptions([folder / "runs/yesno"], page, AudioChoice.embed, pictures=0, data=None)).build()
    return page


def _worsened(utterance: Utterance, share: float, key: str) -> str:
    chance = random.Random(f"{key} {utterance.id}")
    harder = share * (2 if utterance.extra[0][1] == "female" else 0.7)
    return " ".join("UH" if chance.random() < harder else word for word in utterance.text.split())
