"""What a run in Weights & Biases has besides curves: tables with audio and alignments, images, alerts, artifacts."""

import html
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asr.scoring.error_rates import UtteranceScore
from asr.scoring.error_unit import ErrorUnit

if TYPE_CHECKING:
    import wandb


@dataclass(frozen=True)
class WorstUtterance:
    """A badly recognized utterance with its audio."""

    score: UtteranceScore
    waveform: npt.NDArray[np.float32]
    """Shape (samples,), in [-1, 1]."""
    sampling_rate: int
    """Hz."""


SIGNS = {
    "S": ("≠", "substituted", "#7a4b00", "#ffe9c2"),
    "D": ("−", "deleted", "#8a1f11", "#ffdfd9"),  # noqa: RUF001  a minus sign
    "I": ("+", "inserted", "#1f4e8a", "#dbe9ff"),
}


def send_worst(run: "wandb.Run", utterances: Sequence[WorstUtterance]) -> None:
    """The worst utterances as a table with audio and alignment."""
    import wandb

    columns = ["id", "speaker", "duration", "wer", "cer", "ctc_loss_per_token", "confidence"]
    table = wandb.Table(columns=[*columns, "reference", "hypothesis", "alignment", "audio"])
    for row in utterances:
        score = row.score
        audio = wandb.Audio(row.waveform, sample_rate=row.sampling_rate, caption=score.id)
        aligned = alignment_html(score.reference, score.hypothesis, score.alignment, score.unit)
        figures = [getattr(score, column) for column in columns]
        table.add_data(*figures, score.reference, score.hypothesis, wandb.Html(aligned, inject=False), audio)
    with _staging(run):
        run.summary["worst_utterances"] = table  # The history's steps belong to the rows of metrics.jsonl.


def send_table(run: "wandb.Run", name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table in the summary, replacing an earlier one of its name."""
    import wandb

    table = wandb.Table(columns=list(columns), data=[list(row) for row in rows], allow_mixed_types=True)
    with _staging(run):
        run.summary[name] = table


def send_pictures(run: "wandb.Run", pictures: Mapping[str, Path]) -> None:
    """Image files, by name."""
    import wandb

    with _staging(run):
        run.log({name: wandb.Image(str(path)) for name, path in pictures.items()})


def send_alert(run: "wandb.Run", title: str, text: str, problem: bool) -> None:
    """A message to the followers of the run, by mail or chat according to their account settings."""
    run.alert(title, text, level="ERROR" if problem else "INFO", wait_duration=0)


def send_model(run: "wandb.Run", name: str, folder: Path, metadata: Mapping[str, Any]) -> None:
    """A model folder as a new version of an artifact of the run; none if nothing changed."""
    run.log_artifact(_artifact(name, "model", _files(folder), metadata), aliases=["latest", "best"])


def use_model(run: "wandb.Run", name: str, folder: Path) -> None:
    """Records that a run uses a model."""
    _use(run, _artifact(name, "model", _files(folder), {}))


def use_manifests(run: "wandb.Run", name: str, manifests: Sequence[Path]) -> None:
    """Records that a run uses manifests, the same version of one artifact as long as they do not change."""
    _use(run, _artifact(name, "manifest", {f"{path.parent.name}/{path.name}": path for path in manifests}, {}))


def alignment_html(reference: str, hypothesis: str, letters: str, unit: ErrorUnit = ErrorUnit.word) -> str:
    """A reference above its hypothesis, word by word or character by character, errors in colour and with a sign.

    Args:
        letters: The alignment of the two, as of `asr.scoring.error_rates.alignment_letters`.
        unit: What is aligned.
    """
    references, hypotheses = iter(unit.items(reference)), iter(unit.items(hypothesis))
    cells = []
    for letter in letters:
        above = "" if letter == "I" else next(references)
        below = "" if letter == "D" else next(hypotheses)
        sign, title, ink, ground = SIGNS.get(letter, ("", "correct", "#1b1b1b", "#ffffff"))
        cells.append(
            f'<td title="{title}" style="color:{ink};background:{ground};padding:2px 6px;text-align:center">'
            f"{html.escape(above) or '&nbsp;'}<br>{html.escape(below) or '&nbsp;'}<br><b>{sign or '&nbsp;'}</b></td>"
        )
    return (
        '<meta charset="utf-8"><table style="font:14px sans-serif;border-collapse:collapse;background:#ffffff"><tr>'
        f'<th style="text-align:left">reference<br>hypothesis<br>&nbsp;</th>{"".join(cells)}</tr></table>'
    )


def _artifact(name: str, kind: str, files: Mapping[str, Path], metadata: Mapping[str, Any]) -> "wandb.Artifact":
    import wandb

    artifact = wandb.Artifact(name, type=kind, metadata=dict(metadata))
    for inside, file in files.items():
        artifact.add_file(str(file), inside, policy="immutable")  # Refers to the file, without a copy.
    return artifact


def _files(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}


def _use(run: "wandb.Run", artifact: "wandb.Artifact") -> None:
    """Like `wandb.Run.use_artifact`, which refuses offline runs, and online waits for the server indefinitely.

    The private method underneath does neither; if it changes, the artifact is logged as one that the run made.
    """
    try:
        run._log_artifact(artifact, aliases=["latest"], is_user_created=True, use_after_commit=True)
    except (AttributeError, TypeError):
        run.log_artifact(artifact)


@contextmanager
def _staging(run: "wandb.Run") -> Iterator[None]:
    """Media wait for their upload in the run folder and not in the user's home, unless WANDB_DATA_DIR is set."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(run.settings.sync_dir)
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]
