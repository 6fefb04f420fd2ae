"""Models on the Hugging Face hub: what is downloaded loads as from a folder, and what cannot be is one sentence."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import asr
from asr.commands.cli import main
from asr.common.errors import RunError
from asr.model.folder import (
    CARD,
    CONFIDENCE,
    FILES,
    SETTINGS,
    WEIGHTS,
    load_model,
    model_folder,
)
from asr.model.hub import download, is_address, upload
from tests.helpers.hub_server import TOKEN, Hub, Repository, hub_server
from tests.helpers.models import save_small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_small_model(tmp_path_factory.mktemp("model"))
    (folder / CARD).write_text("---\nlibrary_name: asr\n---\n")
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with hub_server(monkeypatch, tmp_path / "cache") as server:
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def there(hub: Hub, model: Path) -> Hub:
    """A hub with the model, beside which a stranger put other things."""
    hub.repositories["me/letters"] = Repository()
    strange = {"run.py": b"raise SystemExit", "model/model.safetensors": b"", "weights.bin": b"\0" * 100}
    hub.repositories["me/letters"].commit(contents(model) | strange)
    return hub


def test_a_model_of_the_hub_is_the_model_of_its_folder(there: Hub, model: Path) -> None:
    expected, found = asr.load(model), asr.load("hf://me/letters")
    waveforms, lengths = torch.randn(1, 16000), torch.tensor([16000])
    assert torch.equal(found.log_probs(waveforms, lengths)[0], expected.log_probs(waveforms, lengths)[0])
    # A path has one slash where the address has two.
    folder = model_folder(Path("hf://me/letters"), "training.init_from")
    assert {path.name for path in folder.iterdir()} == {*FILES} - {CONFIDENCE}
    assert not any("run.py" in asked or "weights.bin" in asked or "model/" in asked for asked in files_asked(there))


def files_asked(hub: Hub) -> list[str]:
    return [asked for asked in hub.asked if "/resolve/" in asked]


def test_a_revision_is_the_model_as_it_was(there: Hub, model: Path, tmp_path: Path) -> None:
    repository = there.repositories["me/letters"]
    before = repository.head
    repository.commit(contents(model) | {WEIGHTS: b"damaged"})
    with pytest.raises(RunError, match="cannot be read"):
        load_model(model_folder("hf://me/letters", "MODEL"))
    for revision in (before, before[:40]):
        assert asr.load(f"hf://me/letters@{revision}").tokenizer.size == asr.load(model).tokenizer.size
    with pytest.raises(RunError, match=r"hf://me/letters has no revision v7: give a branch, a tag or a commit"):
        asr.load("hf://me/letters@v7")


def test_what_was_downloaded_is_there_without_a_connection(there: Hub) -> None:
    first = model_folder("hf://me/letters", "MODEL")
    there.broken = True
    assert model_folder("hf://me/letters", "MODEL") == first


def test_a_file_of_the_hub_is_bounded_as_one_of_a_folder(there: Hub, model: Path) -> None:
    repository = there.repositories["me/letters"]
    for name, content in {SETTINGS: b"a: &a [*a]\n" * 30_000, "tokenizer.json": b"[" * 100_000}.items():
        repository.commit(contents(model) | {name: content})
        with pytest.raises((RunError, asr.common.errors.ConfigError)) as error:
            asr.load("hf://me/letters")
        assert name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("hf://letters", "hf://letters is no address of a model: write hf://OWNER/NAME or"),
        ("hf://me/letters/model", "is no address of a model"),
        ("hf://me/../letters", "is no address of a model"),
        ("hf://me/letters@", "is no address of a model"),
        ("hf://me/a--b", "hf://me/a--b has a name that the hub refuses"),
        ("hf://m\u00e9/letters", "is no address of a model"),
        ("hf://me/nothing", "hf://me/nothing does not exist, or is not yours to use"),
        ("hf://me/other", "hf://me/other holds no model of asr: it has no model.safetensors"),
    ],
)
def test_what_is_no_model_is_one_sentence(there: Hub, address: str, sentence: str) -> None:
    there.repositories["me/other"] = Repository()
    there.repositories["me/other"].commit({"README.md": b"Nothing."})
    for path in (address, Path(address)):
        with pytest.raises(RunError) as error:
            model_folder(path, "MODEL")
        assert sentence in str(error.value) and "\n" not in str(error.value)


def test_a_hub_that_fails_is_one_sentence(hub: Hub) -> None:
    hub.broken = True
    with pytest.raises(RunError, match=r"hf://me/letters cannot be reached \(.+\): is there a connection\?"):
        asr.load("hf://me/letters")


def test_a_private_model_wants_a_token_which_nothing_shows(
    there: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there.token = TOKEN
    for wrong in (None, "hf_" + "wrong" * 5):
        if wrong is not None:
            monkeypatch.setenv("HF_TOKEN", wrong)
        with pytest.raises(RunError, match="HF_TOKEN, gives the token") as error:
            asr.load("hf://me/letters")
        assert wrong is None or wrong not in str(error.value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    asr.load("hf://me/letters")
    assert TOKEN not in caplog.text


def test_recordings_are_transcribed_by_a_model_of_the_hub(
    there: Hub, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 16000)
    soundfile.write(tmp_path / "a.wav", noise, 16000)
    assert main(["transcribe", str(model), str(tmp_path / "a.wav")]) == 0
    expected = capsys.readouterr().out
    assert main(["transcribe", "hf://me/letters", str(tmp_path / "a.wav")]) == 0
    assert capsys.readouterr().out == expected


def test_an_upload_is_one_commit_and_what_is_stale_goes(there: Hub, model: Path) -> None:
    given = {name: model / name for name in (WEIGHTS, SETTINGS, "tokenizer.json")}
    address = upload("me/new", given | {CARD: b"# New\n"}, [CONFIDENCE], public=False)
    repository = there.repositories["me/new"]
    assert repository.private and address == f"{there.address}/me/new/commit/{repository.head}"
    assert repository.files == {name: path.read_bytes() for name, path in given.items()} | {CARD: b"# New\n"}
    repository.commit(repository.files | {CONFIDENCE: b"{}", "notes.txt": b"Mine."})
    commits = len(repository.commits)
    upload("me/new", given | {CARD: b"# Newer\n"}, [CONFIDENCE], public=False)
    assert len(repository.commits) == commits + 1
    assert repository.files.keys() == {*given, CARD, "notes.txt"} and repository.files[CARD] == b"# Newer\n"
    assert asr.load("hf://me/new").tokenizer.size == asr.load(model).tokenizer.size
    upload("me/public", given, [], public=True)
    assert not there.repositories["me/public"].private


@pytest.mark.parametrize("repo", ["new", "me/new/er", "../new", "hf://me/new", "me/", "m\u00e9/new"])
def test_names_that_are_none_are_refused_before_anything_is_sent(hub: Hub, repo: str) -> None:
    with pytest.raises(RunError, match="is no name of a repository: write OWNER/NAME"):
        upload(repo, {}, [], public=False)
    assert not hub.asked


def test_paths_of_this_machine_are_no_addresses() -> None:
    assert not any(is_address(path) for path in ("hf", Path("hf/me/letters"), "runs/hf:/x", "./hf://me/letters"))


def test_the_library_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(asr.common.errors.ConfigError, match=r"pip install 'asr\[hub\]'"):
        download("hf://me/letters", FILES)
