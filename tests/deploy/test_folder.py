"""`asr deploy`: a folder that runs without this package, and what is refused."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr.commands.cli import main
from asr.deploy import folder as folder_module
from asr.deploy import verification
from asr.deploy.runtime import open_session
from asr.inference.recognizer import Recognizer
from asr.model.folder import build_model, save_model, weights_checksum
from asr.settings.tokenizer import TokenizerKind
from asr.text.char import CharTokenizer
from asr.text.phone import PhoneTokenizer
from asr.text.protocol import Tokenizer
from tests.helpers.compared_runs import write_run
from tests.helpers.configurations import composed
from tests.helpers.corpora import tones, write_corpus
from tests.helpers.models import SMALL, random_recognizer
from tests.helpers.refusals import Capture, refused

NONE = "features.normalization=none"
STREAMING = ("model=lstm_streaming", NONE)
PRONUNCIATIONS = {"TOO": ("T", "UW"), "TWO": ("T", "UW"), "A": ("AH",), "AT": ("AH", "T")}


def saved(folder: Path, overrides: Sequence[str] = (NONE,), tokenizer: Tokenizer | None = None) -> Recognizer:
    """Writes a model folder with random weights; a tokenizer takes the place of that of AN4."""
    recognizer = random_recognizer(overrides, [])
    if tokenizer is not None:
        config = composed("an4", "tokenizer=char", *SMALL, *overrides)
        config.tokenizer.kind = TokenizerKind.phone if isinstance(tokenizer, PhoneTokenizer) else TokenizerKind.char
        torch.manual_seed(1)
        model = build_model(config, tokenizer.size).eval()
        with torch.no_grad():
            model.head.weight *= 3
        recognizer = Recognizer(model, config, tokenizer, torch.device("cpu"))
    save_model(folder, recognizer.model, recognizer.config, recognizer.tokenizer)
    return recognizer


def write_speech(path: Path, recognizer: Recognizer) -> str:
    """Writes a recording; gives the text that PyTorch recognizes."""
    waveform = tones("ONE TWO SIX") + tones("ZERO ONE E")[: len(tones("ONE TWO SIX"))].mean()
    soundfile.write(path, waveform, 16000, subtype="FLOAT")
    (text,) = recognizer.decoder(*recognizer.log_probs(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)])))
    return text


def run_script(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a script that can import neither torch nor this package."""
    for forbidden in ("torch", "asr"):
        (script.parent / f"{forbidden}.py").write_text("raise ImportError('it must not be needed')")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120)


def test_a_model_runs_from_its_folder_alone(tmp_path: Path, capsys: Capture) -> None:
    recognizer = saved(tmp_path / "model", STREAMING)
    out = tmp_path / "out"
    assert main(["deploy", str(tmp_path / "model"), "--to", "onnx", "-o", str(out), "--int8"]) == 0
    printed = capsys.readouterr()
    assert {path.name for path in out.iterdir()} == {
        "README.md", "model.onnx", "model.int8.onnx", "stream.onnx", "tokens.txt", "transcribe.py", "stream.py",
    }  # fmt: skip
    assert "5 generated signals" in printed.err and "5 generated signals" in (out / "README.md").read_text()
    assert "10 of 10 greedy texts the same" in printed.out
    text = write_speech(tmp_path / "a.wav", recognizer)
    assert len(text) > 5
    for script in ("transcribe.py", "stream.py"):
        ended = run_script(out / script, str(tmp_path / "a.wav"))
        assert (ended.returncode, ended.stdout) == (0, f"{text}\n"), ended.stderr
    assert ended.stderr.count("\n") > 10, "the text so far"
    assert run_script(out / "transcribe.py", str(tmp_path / "a.wav"), "--model", "model.int8.onnx").returncode == 0


def test_recordings_that_the_script_cannot_read_are_told_in_a_sentence(tmp_path: Path) -> None:
    saved(tmp_path / "model")
    assert main(["deploy", str(tmp_path / "model"), "--to", "onnx", "-o", str(tmp_path / "out")]) == 0
    script, file = tmp_path / "out/transcribe.py", tmp_path / "a.wav"
    for rate, channels in ((8000, 1), (16000, 2)):
        soundfile.write(file, np.zeros((rate, channels)), rate)
        ended = run_script(script, str(file))
        assert ended.returncode == 1
        assert f"{file} has {rate} Hz and {channels} channels, the model reads 16000 Hz and one channel" in ended.stderr
        assert "Traceback" not in ended.stderr
    ended = run_script(script, str(tmp_path / "gone.wav"))
    assert ended.returncode == 1 and "gone.wav cannot be read" in ended.stderr and "Traceback" not in ended.stderr
    soundfile.write(file, np.zeros(100), 16000)
    assert run_script(script, str(file)).stdout == "\n", "shorter than a window"


@pytest.mark.parametrize(
    ("tokenizer", "lines"),
    [
        (CharTokenizer(" \u0430\u0431\u0432\u0433\u0451"), ["<blk> 0", "\u2581 1", "\u0430 2"]),
        (CharTokenizer("\u05d0\u05d1\u05d2 \u0627\u0628"), ["<blk> 0", "\u05d0 1", "\u05d1 2"]),
        (PhoneTokenizer(["AH", "T", "UW"], PRONUNCIATIONS, None), ["<blk> 0", "\u2581 1", "AH 2"]),
    ],
    ids=["Cyrillic", "from right to left", "phones"],
)
def test_tokens_of_every_kind_and_script_become_the_same_texts(
    tokenizer: Tokenizer, lines: list[str], tmp_path: Path
) -> None:
    recognizer = saved(tmp_path / "model", tokenizer=tokenizer)
    out = tmp_path / "out"
    assert main(["deploy", str(tmp_path / "model"), "--to", "onnx", "-o", str(out)]) == 0
    written = (out / "tokens.txt").read_text(encoding="utf-8").splitlines()
    assert written[:3] == lines and len(written) == tokenizer.size
    assert (out / "lexicon.txt").is_file() == isinstance(tokenizer, PhoneTokenizer)
    text = write_speech(tmp_path / "a.wav", recognizer)
    assert text
    assert run_script(out / "transcribe.py", str(tmp_path / "a.wav")).stdout == f"{text}\n"


def test_a_run_is_compared_on_its_dev_split_and_its_results_are_told(tmp_path: Path, capsys: Capture) -> None:
    write_corpus(tmp_path / "data/an4", {"train": ["TWO"], "dev": ["ONE", "TWO SIX", "NINE"], "test": ["TWO"]})
    run = write_run(tmp_path / "runs/an4", wrong=[1], overrides=[f"paths.data={tmp_path / 'data'}"])
    saved(run / "model")
    out = tmp_path / "out"
    assert main(["deploy", str(run), "--to", "onnx", "-o", str(out)]) == 0
    printed = capsys.readouterr()
    assert "Compared on 3 utterances of dev." in printed.out and not printed.err
    readme = (out / "README.md").read_text()
    assert readme.startswith(f"# an4 {run.name}\n")
    assert "| test | greedy | " in readme and "trained on the recipe an4" in readme
    session = open_session(out / "model.onnx")
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["weights_sha256"] == weights_checksum(run / "model") and facts["weights_sha256"] in readme
    assert [facts[name] for name in ("sampling_rate", "hop", "subsampling", "blank", "tokenizer")] == [
        "16000", "160", "4", "0", "char",
    ]  # fmt: skip
    assert json.loads(facts["vocabulary"])[:2] == ["<blank>", "\u2581"]
    for file in (tmp_path / "data/an4").rglob("*.wav"):
        file.unlink()
    assert main(["deploy", str(run), "--to", "onnx", "-o", str(tmp_path / "again")]) == 0
    printed = capsys.readouterr()
    assert "The dev split cannot be read" in printed.err and "5 generated signals" in printed.out


def test_nothing_is_overwritten(tmp_path: Path, capsys: Capture) -> None:
    saved(tmp_path / "model")
    command = ["deploy", str(tmp_path / "model"), "--to", "onnx", "-o"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full/note.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    assert "full is not empty, and nothing there is overwritten" in refused(capsys, *command, str(tmp_path / "full"))
    assert "is a file: give a folder for -o" in refused(capsys, *command, str(tmp_path / "file"))
    assert main([*command, str(tmp_path / "empty")]) == 0
    assert (tmp_path / "empty/model.onnx").is_file()
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["note.txt"]


@pytest.mark.parametrize("cell", ["gru", "rnn", "ligru"])
def test_a_model_that_onnxruntime_cannot_quantize_is_refused(cell: str, tmp_path: Path, capsys: Capture) -> None:
    saved(tmp_path / "model", [NONE, f"model.cells=[lstm,{cell}]"])
    command = ["deploy", str(tmp_path / "model"), "--to", "onnx", "-o", str(tmp_path / "out"), "--int8"]
    assert f"this model has {cell} layers" in refused(capsys, *command)
    assert main(command[:-1]) == 0


def test_a_graph_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    saved(tmp_path / "model", STREAMING)
    command = ["deploy", str(tmp_path / "model"), "--to", "onnx", "-o", str(tmp_path / "out")]
    right = verification.log_probs_of
    for wrong in (0.01, np.nan):
        monkeypatch.setattr(verification, "log_probs_of", lambda *given: (right(*given)[0] + wrong, right(*given)[1]))  # noqa: B023
        assert "model.onnx differs from PyTorch by" in refused(capsys, *command)
    monkeypatch.setattr(verification, "log_probs_of", right)
    monkeypatch.setattr(verification.ChunkedUtterance, "accept", lambda *given, **named: np.zeros((1, 29), np.float32))
    assert "stream.onnx differs from PyTorch by" in refused(capsys, *command)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_missing_library_is_told_before_anything_is_done(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    saved(tmp_path / "model")
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(folder_module, "whole_graph", None)
    said = refused(capsys, "deploy", str(tmp_path / "model"), "--to", "onnx", "-o", str(tmp_path / "out"))
    assert f"{library} is needed" in said and "pip install 'asr[onnx]' brings it" in said
    assert not (tmp_path / "out").exists()


def test_what_is_no_recognizer_is_refused(tmp_path: Path, capsys: Capture) -> None:
    target = ["--to", "onnx", "-o", str(tmp_path / "out")]
    assert "No trained model at" in refused(capsys, "deploy", str(tmp_path / "gone"), *target)
    run = write_run(tmp_path / "runs/an4", overrides=["lm=lstm"])
    saved(run / "model")
    (tmp_path / "runs/an4/lm").mkdir()
    lm = run.rename(tmp_path / "runs/an4/lm/lstm-words-01234567")
    assert "is the run of a language model, which is not exported" in refused(capsys, "deploy", str(lm), *target)
