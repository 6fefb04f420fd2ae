"""`asr deploy --to hub`: a model folder goes to the Hugging Face hub as it is, and is loaded from there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import asr
from asr.commands.cli import main
from asr.model.card import FOLDER, MARK
from asr.model.folder import CARD, CONFIDENCE, SETTINGS, WEIGHTS, build_model, save_model
from asr.settings.compose import as_yaml
from asr.text.tokenizer import build_tokenizer
from tests.helpers.configurations import composed
from tests.helpers.hub_server import TOKEN, Hub, hub_server
from tests.helpers.models import SMALL
from tests.helpers.refusals import Capture, refused

DEPLOY = ["--to", "hub", "--repo", "me/letters"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with hub_server(monkeypatch, tmp_path / "cache") as server:
        yield server


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The run of a model with random weights, with things of its own in the folder of the model."""
    folder = tmp_path / "runs/an4/lstm-01234567"
    config = composed("an4", "tokenizer=char", *SMALL)
    tokenizer = build_tokenizer(config.tokenizer, [])
    model = build_model(config, tokenizer.size)
    model.normalizer.fit([torch.randn(50, 80)])
    save_model(folder / "model", model, config, tokenizer)
    (folder / SETTINGS).write_text(as_yaml(config))
    (folder / "model" / "notes.txt").write_text("Mine.")
    (folder / "model" / ".env").write_text("HF_TOKEN=mine")
    return folder


def test_a_run_is_uploaded_with_its_card_and_nothing_else(hub: Hub, run: Path, capsys: Capture) -> None:
    assert main(["deploy", str(run), *DEPLOY]) == 0
    printed = capsys.readouterr().out
    repository = hub.repositories["me/letters"]
    assert f"Uploaded: {hub.address}/me/letters/commit/{repository.head}" in printed
    assert "`asr transcribe hf://me/letters FILE` uses it." in printed
    files = repository.files
    assert files.keys() == {WEIGHTS, SETTINGS, "tokenizer.json", CARD}
    for name in (WEIGHTS, SETTINGS, "tokenizer.json"):
        assert files[name] == (run / "model" / name).read_bytes()
    card = files[CARD].decode()
    assert 'asr.load("hf://me/letters")' in card and FOLDER not in card and MARK in card
    assert not (run / "model" / CARD).exists(), "the run is as it was"
    assert repository.private
    waveforms, lengths = torch.randn(1, 16000), torch.tensor([16000])
    found, expected = (asr.load(place).log_probs(waveforms, lengths)[0] for place in ("hf://me/letters", run))
    assert torch.equal(found, expected)


def test_a_card_that_was_changed_by_hand_goes_as_it_is(hub: Hub, run: Path) -> None:
    (run / "model" / CARD).write_text("# Mine\n")
    assert main(["deploy", str(run), *DEPLOY]) == 0
    assert hub.repositories["me/letters"].files[CARD] == b"# Mine\n"


def test_a_model_folder_alone_goes_as_it_is_and_what_it_lacks_goes_from_the_hub(hub: Hub, run: Path) -> None:
    (run / "model" / CARD).write_text("# Mine\n")
    (run / "model" / CONFIDENCE).write_text("{}")
    (run / SETTINGS).unlink()
    assert main(["deploy", str(run / "model"), *DEPLOY, "--public"]) == 0
    repository = hub.repositories["me/letters"]
    assert repository.files[CARD] == b"# Mine\n" and CONFIDENCE in repository.files and not repository.private
    repository.commit(repository.files | {"audio.wav": b"theirs"})
    for name in (CARD, CONFIDENCE):
        (run / "model" / name).unlink()
    assert main(["deploy", str(run / "model"), *DEPLOY]) == 0
    assert repository.files.keys() == {WEIGHTS, SETTINGS, "tokenizer.json", CARD, "audio.wav"}


def test_a_dry_run_names_the_files_and_asks_nobody(hub: Hub, run: Path, capsys: Capture) -> None:
    assert main(["deploy", str(run), *DEPLOY, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    size = (run / "model" / WEIGHTS).stat().st_size
    assert f"{WEIGHTS}: {size:,} bytes" in printed and "Nothing was uploaded to me/letters" in printed
    assert not hub.asked


def test_a_token_is_asked_for_and_shown_nowhere(
    hub: Hub, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    hub.token = TOKEN
    printed = refused(capsys, "deploy", str(run), *DEPLOY)
    assert "HF_TOKEN" in printed and "me/letters" in printed
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert main(["deploy", str(run), *DEPLOY]) == 0
    ended = capsys.readouterr()
    assert TOKEN not in ended.out + ended.err + printed
    kept = [path for path in run.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert not kept and TOKEN.encode() not in b"".join(hub.repositories["me/letters"].files.values())


def test_a_damaged_model_stays_here(hub: Hub, run: Path, capsys: Capture) -> None:
    (run / "model" / WEIGHTS).write_bytes(b"damaged")
    assert WEIGHTS in refused(capsys, "deploy", str(run), *DEPLOY)
    tokenizer = run / "model/tokenizer.json"
    tokenizer.write_text(json.dumps({"kind": "char", "alphabet": {}}))
    assert not hub.asked


def test_a_hub_that_fails_is_one_sentence(hub: Hub, run: Path, capsys: Capture) -> None:
    hub.broken = True
    printed = refused(capsys, "deploy", str(run), *DEPLOY)
    assert "The repository me/letters cannot be reached (HTTP 500)" in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--to", "hub"], "--to hub needs --repo OWNER/NAME."),
        (["--to", "onnx"], "--to onnx needs -o FOLDER."),
        (["--to", "sherpa-onnx"], "--to sherpa-onnx needs -o FOLDER."),
        ([*DEPLOY, "-o", "out"], "-o belongs to --to onnx and sherpa-onnx, not to --to hub: leave it out."),
        (["--to", "sherpa-onnx", "-o", "out", "--int8"], "--int8 belongs to --to onnx, not to --to sherpa-onnx"),
        (["--to", "onnx", "-o", "out", "--repo", "me/x"], "--repo belongs to --to hub, not to --to onnx"),
        (["--to", "onnx", "-o", "out", "--dry-run"], "--dry-run belongs to --to hub"),
        (["--to", "hub", "--repo", "letters"], "'letters' is no name of a repository: write OWNER/NAME."),
    ],
)
def test_options_of_other_targets_are_refused(
    hub: Hub, run: Path, arguments: list[str], sentence: str, capsys: Capture
) -> None:
    assert sentence in refused(capsys, "deploy", str(run), *arguments)
    assert not hub.asked
