"""Runs that are damaged or not there: a command ends with one sentence that names the file and the remedy."""

import shutil
from pathlib import Path

import pytest
import torch

from asr.commands.cli import main
from tests.helpers.refusals import Capture, refused, threads, write_tiny  # noqa: F401  a fixture among them


def test_an_evaluation_before_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    write_tiny(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert "There is no run of tiny in" in refused(capsys, "evaluate", "tiny")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe, its data and its finished run."""
    folder = tmp_path_factory.mktemp("trained")
    write_tiny(folder)
    before = torch.get_num_threads()
    assert main(["train", str(folder / "tiny"), f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]) == 0
    torch.set_num_threads(before)
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of the recipe `tiny`, which lies in the current folder with its data."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (run,) = Path("runs/tiny").iterdir()
    return run


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model/model.safetensors", b"\x08"),
        ("model/config.yaml", b"seed: ["),
        ("model/config.yaml", b"\xff"),
        ("model/tokenizer.json", b"{}"),
        ("metrics.jsonl", b"\xff\n"),
        ("metrics.jsonl", b""),
        ("summary.json", b"{"),
    ],
)
def test_a_damaged_run(file: str, content: bytes, run: Path, capsys: Capture) -> None:
    (run / file).write_bytes(content)
    assert file in refused(capsys, "evaluate", "tiny")


@pytest.mark.parametrize(
    "row",
    [
        '{"step": 1}',
        '{"step": null, "epoch": 1, "seconds": 1}',
        '{"step": 1, "epoch": "x"}',
        '{"step": 1, "epoch": 1, "seconds": 1, "dev/wer": "x"}',
        '{"step": 1, "epoch": 1, "seconds": 1, "dev/wer": [1]}',
        '{"step": 1, "epoch": 1, "seconds": 1, "dev/wer": true}',
        '{"step": 1, "epoch": 1, "seconds": 1, "dev/wer": 1' + "0" * 400 + "}",
    ],
)
def test_a_row_of_metrics_without_its_numbers(row: str, run: Path, capsys: Capture) -> None:
    (run / "metrics.jsonl").write_text(row + "\n")
    assert "is not a row of metrics" in refused(capsys, "evaluate", "tiny")
    assert main(["runs"]) == 0
    assert "is not a row of metrics" in capsys.readouterr().err


@pytest.mark.parametrize(
    "utterances", ["5", "[5]", "[{}]", '[{"id": "a", "reference": "A", "hypothesis": null, "wer": 0}]',
                   '[{"id": "a", "reference": "A", "hypothesis": "", "wer": "0"}]']
)  # fmt: skip
def test_a_panel_that_is_none_is_refused_before_the_training_goes_on(
    utterances: str, run: Path, capsys: Capture
) -> None:
    (run / "panel.jsonl").write_text(f'{{"step": 1, "epoch": 1, "utterances": {utterances}}}\n')
    (run / ".reported").unlink()
    assert "panel.jsonl is not a row of metrics" in refused(capsys, "train", "tiny")


@pytest.mark.parametrize("content", [b"\xff", b"", b"\xfe\xff"])
def test_what_is_kept_of_an_evaluation_may_be_damaged(content: bytes, run: Path, capsys: Capture) -> None:
    assert main(["evaluate", "tiny"]) == 0
    (kept,) = run.glob("evaluation/test/*/.reported")
    kept.write_bytes(content)
    capsys.readouterr()
    assert main(["run", "tiny"]) == 0
    assert "Already evaluated" not in capsys.readouterr().out


def test_a_finished_run_without_its_model_says_how_to_get_one(run: Path, capsys: Capture) -> None:
    shutil.rmtree(run / "model")
    assert "start over with training.restart=true" in refused(capsys, "train", "tiny")


@pytest.mark.usefixtures("run")
def test_an_output_that_is_a_file(capsys: Capture) -> None:
    assert "recipe.yaml cannot be used (File exists)" in refused(
        capsys, "report", "runs/tiny", "-o", "tiny/recipe.yaml"
    )
