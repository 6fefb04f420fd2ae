"""Run folders, which are listed, reviewed, evaluated, trained on and transcribed with."""

import hashlib
import io
import shutil
from pathlib import Path
from random import Random

import torch

from asr.commands.cli import main
from tests.helpers.refusals import write_tiny
from tools.fuzz.cases import Subject, Use, command
from tools.fuzz.files import plant, spoil_folder
from tools.fuzz.mutations import odd, shown

RUN = "runs/tiny/run"
LISTED = ("config.yaml", "metrics.jsonl", "results.json", "provenance.json", "state.json")
LIKELY = {
    "runs": LISTED,
    "errors": ("config.yaml", "results.json", "hypotheses.jsonl", "test.jsonl"),
    "report": (*LISTED, "hypotheses.jsonl", "panel.jsonl", "train.log", "findings.json"),
    "evaluate": ("config.yaml", "metrics.jsonl", "provenance.json", "tokenizer.json", "model.safetensors",
                 "results.json", ".reported"),
    "train": ("config.yaml", "metrics.jsonl", "provenance.json", "panel.jsonl", "summary.json", ".lock",
              ".reported", "train.log"),
    "run": (".reported", "results.json", "config.yaml", "metrics.jsonl", "summary.json"),
    "transcribe": ("config.yaml", "tokenizer.json", "model.safetensors"),
}  # fmt: skip
"""Files that a command reads, by the command."""

PLANTED = (
    "checkpoints/.writing", "evaluation/test/beam", "evaluation/test/greedy/search.json", "tuning", "profile", "wandb",
    "model/confidence.json", "evaluation/summary.json", "lm", "train.log", ".lock", "panel.jsonl",
)  # fmt: skip
"""Files and folders that commands write or read, where there are any."""


class Runs(Subject):
    """A finished run of a small recipe, with its corpus."""

    name = "runs"
    kinds = (*("runs", "errors") * 8, *("report", "transcribe") * 3, *("evaluate",) * 2, "train", "run")

    def make(self) -> None:
        write_tiny(Path.cwd())
        main(["check", "tiny"])
        main(["run", "tiny", "training.epochs=2", "training.checkpoint_minutes=0", "training.keep_checkpoints=2"])
        (run,) = Path("runs/tiny").iterdir()
        run.rename(RUN)

    def take(self, kind: str, good: Path) -> Use:
        shutil.copytree(good, ".", dirs_exist_ok=True)
        return {
            "runs": command("runs"),
            "errors": command("errors", RUN),
            "report": command("report", RUN, "-o", "report", "--pictures", "2", writes=["report"]),
            "evaluate": command("evaluate", RUN, writes=["runs"]),
            "run": command("run", RUN, writes=["runs", "data"]),
            "train": command("train", RUN, writes=["runs", "data"]),
            "transcribe": command("transcribe", RUN, "data/tiny/audio/test-0.wav"),
        }[kind]

    def spoil(self, kind: str, draw: Random, outside: Path) -> list[str]:
        run, said = Path(RUN), []
        if kind in ("runs", "report") and draw.random() < 0.5:
            shutil.copytree(run, run.with_name("other"))
        if draw.random() < 0.1:
            said.append(plant(draw, run, PLANTED, outside))
        if kind == "train":
            said += _spoil_checkpoints(draw, sorted((run / "checkpoints").glob("*.pt")))
        return said + spoil_folder(draw, run, outside, LIKELY[kind])


def _spoil_checkpoints(draw: Random, paths: list[Path]) -> list[str]:
    """Removes the newest one, so that the training has more to do, or changes one, with a right checksum."""
    if draw.random() < 0.3:
        return []
    said = []
    if draw.random() < 0.5 and len(paths) > 1:
        paths.pop().unlink()
        said.append("the newest checkpoint is removed")
    if draw.random() < 0.5:
        return said
    state = torch.load(paths[-1], weights_only=True)
    said.append(f"the newest checkpoint: {_spoil_state(draw, state)}")
    buffer = io.BytesIO()
    torch.save(state, buffer)
    paths[-1].unlink()
    checksum = hashlib.sha256(buffer.getvalue()).hexdigest()[:16]
    step = draw.choice((1, 2, 3, 999_999_999)) if draw.random() < 0.2 else int(paths[-1].name[5:14])
    (paths[-1].parent / f"step-{step:09d}-{checksum}.pt").write_bytes(buffer.getvalue())
    return said


def _spoil_state(draw: Random, state: object, name: str = "") -> str:
    """Changes a value of nested dictionaries and lists."""
    places: list[object] = list(state) if isinstance(state, dict) else [*range(len(state))]  # type: ignore[arg-type]
    key = draw.choice(places)
    value, name = state[key], f"{name}.{key}"  # type: ignore[index]
    if isinstance(value, dict | list) and value and draw.random() < 0.85:
        return _spoil_state(draw, value, name)
    if isinstance(value, torch.Tensor) and draw.random() < 0.8:
        changed: object = draw.choice(
            (value * float("nan"), value.double(), value[None], value.flatten()[:0], value.to(torch.int64),
             value * 1e30, -value)
        )  # fmt: skip
    elif draw.random() < 0.2:
        del state[key]  # type: ignore[attr-defined]
        return f"{name} is left out"
    else:
        changed = odd(draw)
    state[key] = changed  # type: ignore[index]
    return f"{name} is {shown(changed)}"
