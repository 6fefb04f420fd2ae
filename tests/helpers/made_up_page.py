"""A small page with everything that a report can show, of runs that were not trained."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from asr.model.folder import build_model, save_model
from asr.report.page import Report, ReportOptions
from asr.report.utterance_media import AudioChoice
from asr.scoring.results import evaluation_folder
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.text.tokenizer import build_tokenizer
from tests.helpers.reports import evaluate, metrics_rows, write_panel, write_run, write_test_corpus

REFERENCES = [*["NO", "YES", "NO NO", "OH NO"] * 5, "שלום עולם"]
MEASURES = {"confidence": 0.5, "ctc_loss_per_token": 1.25}
BINS = [{"words": 10 * place, "confidence": place / 10, "right": place / 12} for place in range(1, 10)]


@dataclass(frozen=True)
class MadeUp:
    """A page and what it is of."""

    page: Path
    runs: Path
    utterance: str = "utterance?run=lstm&split=test&decoder=beam&id=1"
    """The address of an utterance of a beam search, with picture and n-best list."""


def make_up(folder: Path) -> MadeUp:
    """A run that was decoded in two ways, with its model, n-best lists and calibration; and a second run."""
    utterances = write_test_corpus(folder / "data", REFERENCES)
    runs = folder / "runs" / "yesno"
    parts = {"time__compute_share": 0.6, "time__update_share": 0.1, "train__gradient_norm_head": 0.5}
    for name in ("lstm", "gru"):
        run = write_run(
            runs / name, folder / "data", metrics_rows(6, **parts), [f"model.hidden={len(name) * 16}", "tokenizer=char"]
        )
        write_panel(run, [["", "NO"], ["NO", "YES"]], ["NO", "YES"])
        evaluate(run, utterances, [text.replace("YES", "OH") for text in REFERENCES])
    lstm = runs / "lstm"
    evaluate(lstm, utterances, [*["NO", "YES NO", "", "NO"] * 5, "NO"], decoder="beam")
    _with_confidence(lstm)
    best = [{"text": text, "score": -1.5} for text in ("YES NO", "YES", "")]
    rows = [{"id": one.id, "hypotheses": best} for one in utterances]
    (evaluation_folder(lstm, "test", "beam") / "nbest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (lstm / "calibration" / "test").mkdir(parents=True)
    figures = {"words": 450, "right": 0.8, "ece": 0.031, "nce": 0.25, "bins": BINS}
    (lstm / "calibration" / "test" / "calibration.json").write_text(json.dumps(figures))
    config = compose(find_recipe("yesno"), ["model.hidden=8", "model.channels=4", "tokenizer=char"])
    tokenizer = build_tokenizer(config.tokenizer, [])
    torch.manual_seed(1)
    model = build_model(config, tokenizer.size)
    model.normalizer.fit([torch.randn(50, config.features.mels or 0)])
    save_model(lstm / "model", model, config, tokenizer)
    page = folder / "page"
    Report(ReportOptions([runs], page, AudioChoice.embed, pictures=60, data=None)).build()
    return MadeUp(page, runs)


def _with_confidence(run: Path) -> None:
    for decoder in ("greedy", "beam"):
        path = evaluation_folder(run, "test", decoder) / "hypotheses.jsonl"
        rows = [json.loads(line) | MEASURES for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
