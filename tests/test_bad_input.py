"""Bad input: whatever a user gets wrong, a command ends with one sentence that names it, and exit code 2."""

import json
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import soundfile
import torch

from asr.bounds import BOUNDS
from asr.cli import main
from asr.composition import compose, flattened, known_keys, plain
from asr.data.archives import unpack
from asr.errors import ConfigError, DataError
from asr.recipe import Recipe, find_recipe
from tests.corpora import tones, write_corpus

RECIPE = """
defaults: [/config, override /tracker: disabled, _self_]
tokenizer: {alphabet: " ENOSY"}
model: {hidden: 16, channels: 4}
training: {epochs: 1}
hardware: {threads: 1, workers: 0}
"""
TEXTS = {"train": ["YES NO", "NO YES", "NO NO NO"], "dev": ["YES NO"], "test": ["NO YES YES"]}

Capture = pytest.CaptureFixture[str]
Mistake = Callable[[Path], object]
"""Spoils the prepared data in a folder."""


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data of the recipe `tiny`, which lies in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path / "tiny")
    write_corpus(tmp_path / "data" / "tiny", TEXTS)
    return tmp_path / "data" / "tiny"


def write_recipe(folder: Path, prepare: str | None = None, settings: str = RECIPE) -> None:
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(settings)
    if prepare is not None:
        (folder / "prepare.py").write_text(prepare)


def refused(capsys: Capture, *arguments: str) -> str:
    """What a command prints that ends with exit code 2 and one last sentence."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    printed = capsys.readouterr()
    assert stop.value.code == 2, printed.err
    assert printed.err.splitlines()[-1].startswith("asr: ")
    assert "Traceback" not in printed.err
    return printed.out + printed.err


def rewrite(data: Path, split: str = "train", **fields: object) -> None:
    """Changes fields of the first utterance of a split."""
    manifest = data / f"{split}.jsonl"
    first, *rest = manifest.read_text().splitlines(keepends=True)
    manifest.write_text(json.dumps(json.loads(first) | fields) + "\n" + "".join(rest))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def first_audio(data: Path) -> Path:
    return data / "audio" / "train-0.wav"


def as_8_khz(data: Path) -> None:
    text = TEXTS["train"][0]
    soundfile.write(first_audio(data), tones(text, 8000), 8000, subtype="PCM_16")
    rewrite(data, sampling_rate=8000)


def as_stereo(data: Path) -> None:
    waveform = tones(TEXTS["train"][0])
    soundfile.write(first_audio(data), np.stack([waveform, waveform], axis=1), 16000)


def with_nan(data: Path) -> None:
    waveform = tones(TEXTS["train"][0])
    waveform[5] = np.nan
    soundfile.write(first_audio(data), waveform, 16000, subtype="FLOAT")


@pytest.mark.parametrize("command", ["prepare", "check", "extract", "train", "evaluate", "run"])
@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.hiden=3", "There is no key model.hiden; did you mean model.hidden?"),
        ("seed=abc", "seed is 'abc', where a whole number belongs."),
        ("model.dropout=2", "model.dropout is 2.0; it must be at least 0 and below 1."),
        ("seed=1,2", "Ambiguous value for argument 'seed=1,2': add -m to run each, or write a [list]."),
    ],
)
def test_a_wrong_override(command: str, override: str, sentence: str, data: Path, capsys: Capture) -> None:
    assert refused(capsys, command, "tiny", override) == f"asr: {sentence}\n"


@pytest.mark.parametrize("command", ["prepare", "run"])
def test_a_missing_archive_without_network(command: str, data: Path, monkeypatch: Any, capsys: Capture) -> None:
    def fail(*arguments: object, **options: object) -> NoReturn:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    monkeypatch.setenv("ASR_MIRRORS", "nowhere")
    (sentence,) = refused(capsys, command, "yesno").splitlines()
    assert "waves_yesno.tar.gz is on no mirror" in sentence
    assert "(no network): put waves_yesno.tar.gz into" in sentence


@pytest.mark.parametrize(
    ("mistake", "commands", "sentence"),
    [
        (lambda data: cut(first_audio(data)), "check extract train run", "the file ends after"),
        (lambda data: first_audio(data).unlink(), "check extract train run", "the audio file is missing"),
        (lambda data: first_audio(data).write_bytes(b"RIFF"), "check extract train run", "cannot be decoded"),
        (as_8_khz, "check extract train run", "8000 Hz"),
        (as_stereo, "check extract train run", "the file has 2 channels"),
        (with_nan, "check extract train run", "values that are not finite"),
        (lambda data: rewrite(data, text="NÖ"), "check train run", "The character 'Ö'"),
        (lambda data: rewrite(data, text=" "), "check train run", "the transcript is empty"),
        (lambda data: rewrite(data, text="YES " * 50), "check train run", "CTC needs"),
        (lambda data: rewrite(data, duration=0.001), "check extract train run", "train-0"),
    ],
)
def test_an_utterance_that_cannot_be_used(
    mistake: Mistake, commands: str, sentence: str, data: Path, capsys: Capture
) -> None:
    mistake(data)
    for command in commands.split():
        printed = refused(capsys, command, "tiny")
        assert sentence in printed
        assert "Utterance train-0" in printed
    if "extract" in commands:
        assert sentence in refused(capsys, "train", "tiny", "features.source=online")


@pytest.mark.parametrize("command", ["prepare", "check", "extract", "train", "evaluate", "run"])
def test_a_missing_manifest(command: str, data: Path, capsys: Capture) -> None:
    (data / "dev.jsonl").unlink()
    assert ("dev.jsonl" if command not in ("prepare", "run") else "prepare.py") in refused(capsys, command, "tiny")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe\x00\n", "line 1: not a JSON object"),
        (b"[1, 2]\n", "line 1: not a JSON object"),
        (b"", "is empty: delete it"),
    ],
)
def test_a_manifest_of_garbage(content: bytes, sentence: str, data: Path, capsys: Capture) -> None:
    (data / "train.jsonl").write_bytes(content)
    for command in ("prepare", "check", "extract", "train", "run"):
        assert sentence in refused(capsys, command, "tiny")


@pytest.mark.parametrize(
    "fields", [{"duration": float("nan")}, {"duration": float("inf")}, {"duration": 0}, {"offset": float("nan")}]
)
def test_an_utterance_of_no_length(fields: dict[str, Any], data: Path, capsys: Capture) -> None:
    rewrite(data, **fields)
    assert "line 1: duration and sampling_rate must be above 0" in refused(capsys, "check", "tiny")


def test_an_id_that_stands_twice(data: Path, capsys: Capture) -> None:
    rewrite(data, id="train-1")
    assert "line 2: the id 'train-1' stands there twice" in refused(capsys, "check", "tiny")


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "other", "paths.data=file"],
        ["run", "other", "paths.data=file"],
        ["train", "tiny", "paths.runs=file"],
        ["train", "tiny", "paths.runs=file", "-m"],
    ],
)
def test_a_file_where_a_folder_belongs(arguments: list[str], data: Path, capsys: Capture) -> None:
    Path("file").touch()
    write_recipe(Path("other"), "def prepare(config, archives, output): output.mkdir()\n")
    assert "Not a directory" in refused(capsys, *arguments)


def test_an_evaluation_before_the_training(data: Path, capsys: Capture) -> None:
    assert "has no model yet: `asr train`" in refused(capsys, "evaluate", "tiny")


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (None, "has no"),
        ("x = 1\n", "has no function prepare(config, archives, output)"),
        ("def prepare(config, archives, output): pass\n", "wrote no manifest for train, dev, test"),
        ("def prepare(config, archives, output): open('lost.txt')\n", "cannot be prepared in"),
        (
            "from asr.data.corpus import write_splits\n"
            "def prepare(config, archives, output): write_splits(output, {'train': []})\n",
            "No utterance is left for train",
        ),
    ],
)
def test_a_recipe_that_prepares_nothing(prepare: str | None, sentence: str, data: Path, capsys: Capture) -> None:
    write_recipe(Path("other"), prepare)
    assert sentence in refused(capsys, "prepare", "other")
    assert not list(Path("data").glob("other/*.jsonl"))


def test_a_group_given_as_a_value(data: Path) -> None:
    write_recipe(Path("other"), settings="defaults: [/config, _self_]\nmodel: gru\n")
    with pytest.raises(ConfigError, match=r"^model is 'gru', where a group with the keys"):
        compose(Recipe(Path("other").absolute()))


def test_a_recipe_in_another_encoding(data: Path, capsys: Capture) -> None:
    (Path("tiny") / "recipe.yaml").write_bytes("tokenizer: {alphabet: ÄÖ}".encode("latin-1"))
    assert "recipe.yaml is not in UTF-8" in refused(capsys, "train", "tiny")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe, its data and its finished run."""
    folder = tmp_path_factory.mktemp("trained")
    write_recipe(folder / "tiny")
    write_corpus(folder / "data" / "tiny", TEXTS)
    threads = torch.get_num_threads()
    main(["train", str(folder / "tiny"), f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"])
    torch.set_num_threads(threads)
    return folder


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
def test_a_damaged_run(
    file: str, content: bytes, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (run,) = Path("runs/tiny").iterdir()
    (run / file).write_bytes(content)
    assert file in refused(capsys, "evaluate", "tiny")


def test_damage_inside_an_archive_is_found(tmp_path: Path) -> None:
    whole, damaged = tmp_path / "whole.tar.gz", tmp_path / "damaged.tar.gz"
    (tmp_path / "file").write_bytes(bytes(10_000))
    with tarfile.open(whole, "w:gz", compresslevel=0) as tar:
        for number in range(3):
            tar.add(tmp_path / "file", f"corpus/file-{number}")
    # tarfile alone takes the second header, now damaged, for the end of the archive.
    damaged.write_bytes(whole.read_bytes().replace(b"corpus/file-1", b"corpus/evil-1"))
    assert len(list(unpack(whole, tmp_path / "good").rglob("file-*"))) == 3
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(damaged, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_every_bound_has_its_key_and_holds_for_every_recipe() -> None:
    assert BOUNDS.keys() <= known_keys().keys()
    for name in ("an4", "digits", "yesno"):
        values = flattened(plain(compose(find_recipe(name))))
        assert all(values[key] is None or bounds.hold(values[key]) for key, bounds in BOUNDS.items())


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.epochs=0", "at least 1"),
        ("training.clip_norm=nan", "above 0"),
        ("training.early_stopping_epochs=0", "at least 1"),
        ("batching.global_seconds=0", "above 0"),
        ("model.hidden=-1", "from 1 to 100000"),
        ("model.subsampling=3", "2 or 4"),
        ("schedule.warmup=1", "at least 0 and below 1"),
        ("hardware.threads=0", "at least 1"),
        ("augment.speed_factors=[]", "one number or more, each from 0.5 to 2"),
        ("features.hop_ms=0", "from 1 to 1000"),
        ("name=a/b", "a file name without a slash that begins with no dot"),
        ("name=''", "a file name without a slash that begins with no dot"),
    ],
)
def test_a_value_out_of_its_bounds(override: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose(find_recipe("an4"), [override])
    key = override.split("=")[0]
    assert str(error.value).startswith(f"{key} is ") and str(error.value).endswith(f"; it must be {words}.")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("def prepare(:\n", "prepare.py, line 1: SyntaxError"),
        ("import no_such_module\n", "prepare.py, line 1: ModuleNotFoundError"),
        ("prepare = 3\n", "has no function prepare(config, archives, output)"),
        (
            "def prepare(config, archives, output):\n    raise ValueError('odd')\n",
            "prepare.py, line 2: ValueError: odd",
        ),
    ],
)
def test_a_mistake_in_a_recipes_own_script_names_its_line(
    script: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path / "mine", script)
    assert sentence in refused(capsys, "prepare", "mine")


@pytest.mark.parametrize("field", ["id", "text", "audio_filepath"])
def test_half_a_character_in_a_manifest(field: str, data: Path, capsys: Capture) -> None:
    rewrite(data, **{field: "\ud800"})
    assert f"{field!r} holds half a character" in refused(capsys, "check", "tiny")


def test_an_output_that_is_a_file(data: Path, capsys: Capture) -> None:
    assert main(["train", "tiny"]) == 0
    assert "recipe.yaml cannot be used (File exists)" in refused(
        capsys, "report", "runs/tiny", "-o", "tiny/recipe.yaml"
    )


@pytest.mark.parametrize(
    "row", ['{"step": 1}', '{"step": null, "epoch": 1, "seconds": 1}', '{"step": 1, "epoch": "x"}']
)
def test_a_row_of_metrics_without_its_numbers(row: str, data: Path, capsys: Capture) -> None:
    assert main(["train", "tiny"]) == 0
    (run,) = Path("runs/tiny").glob("lstm-*")
    (run / "metrics.jsonl").write_text(row + "\n")
    assert "is not a row of metrics" in refused(capsys, "evaluate", "tiny")


def test_variables_of_a_launcher_that_are_no_numbers(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "x")
    assert "variables of torchrun or Slurm cannot be read" in refused(capsys, "train", "tiny")


def test_a_finished_run_without_its_model_says_how_to_get_one(data: Path, capsys: Capture) -> None:
    assert main(["train", "tiny"]) == 0
    (run,) = Path("runs/tiny").glob("lstm-*")
    shutil.rmtree(run / "model")
    assert "begin anew with training.restart=true" in refused(capsys, "train", "tiny")
