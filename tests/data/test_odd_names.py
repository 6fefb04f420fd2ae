"""Names of files are bytes, and texts have any character: what a recipe, a manifest and a configuration can say."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from asr.commands.cli import main
from asr.common.errors import ConfigError, DataError
from asr.data.manifest import read_manifest
from asr.data.own import write_recipe
from asr.data.recording import open_recording, recording_seconds
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from tests.helpers.corpora import write_utterance
from tests.helpers.refusals import Capture, refused, write_tiny

LATIN_1 = os.fsdecode(b"caf\xe9")


def write_source(folder: Path, name: str = "one", text: str = "YES NO") -> Path:
    """A folder of recordings, one of them with the name and the text."""
    folder.mkdir(parents=True)
    write_utterance(folder.parent / "tones.wav", "YES NO")
    for number in range(20):
        each = folder / (f"{number}" if number else name)
        shutil.copy(folder.parent / "tones.wav", f"{each}.wav")
        each.with_suffix(".txt").write_text("YES NO" if number else text, encoding="utf-8")
    return folder


def test_a_recipe_says_where_its_source_is_and_which_characters_it_has(tmp_path: Path) -> None:
    text = "\x7f\x9b\ufffe ${a}\\\"'"
    source = write_source(tmp_path / "a\nname: b" / "\x7f\x85\x9f\ufffe\u2028\U0001f600: #b", text=text)
    write_recipe(tmp_path / "mine", source, {})
    written = yaml.safe_load((tmp_path / "mine" / "recipe.yaml").read_text(encoding="utf-8"))
    assert list(written) == ["defaults", "data", "tokenizer", "training"]
    config = compose(find_recipe(str(tmp_path / "mine")))
    assert config.data.source == str(source)
    assert sorted(config.tokenizer.alphabet or "") == sorted({*"YES NO", *text})


@pytest.mark.parametrize(("name", "fault"), [(LATIN_1, "is not in UTF-8"), ("a${b}", "has ${")])
def test_a_recipe_refuses_a_source_that_a_configuration_cannot_name(tmp_path: Path, name: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=f"{fault.replace('$', '[$]')}.*: rename it"):
        write_recipe(tmp_path / "mine", write_source(tmp_path / name), {})
    assert not (tmp_path / "mine").exists()


def test_audio_whose_name_is_not_utf_8_is_named_before_a_recipe_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not in UTF-8, as manifests are: rename"):
        write_recipe(tmp_path / "mine", write_source(tmp_path / "source", LATIN_1), {})
    assert not (tmp_path / "mine").exists()


def test_a_recording_is_read_whatever_bytes_its_name_has(tmp_path: Path) -> None:
    path = write_source(tmp_path / "source", LATIN_1) / f"{LATIN_1}.wav"
    with open_recording(path, 16000) as recording:
        assert sum(map(len, recording.blocks)) == round(16000 * recording_seconds(path)) > 0


def test_a_line_that_no_utterance_needs_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}\n".format(" " * 50_000_000 + "{}"))
    with pytest.raises(DataError, match="line 1: it has more than 1,048,576 bytes: correct or remove"):
        read_manifest(tmp_path / "train.jsonl")


@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("duration", [1e-9, 3e-5])
def test_a_duration_of_less_than_a_sample_is_a_finding(
    tmp_path: Path, duration: float, shards: bool, capsys: Capture
) -> None:
    data = write_tiny(tmp_path)
    arguments = ["check", str(tmp_path / "tiny"), f"paths.data={tmp_path}/data"]
    if shards:
        assert main(["pack", *arguments[1:]]) == 0
        arguments.append(f"shards.source={data}/shards")
    first, *others = (data / "train.jsonl").read_text().splitlines(keepends=True)
    row = json.loads(first) | {"duration": duration}
    (data / "train.jsonl").write_text("".join([json.dumps(row) + "\n", *others]))
    said = refused(capsys, *arguments)
    assert "has 2 errors, named above" in said and (shards or "s is less than a sample; correct it or leave" in said)


@pytest.mark.parametrize("field", ["audio_filepath", "id"])
def test_a_manifest_with_nul_in_a_name_is_refused(tmp_path: Path, field: str) -> None:
    row = {
        "id": "a",
        "audio_filepath": "a.wav",
        "offset": 0,
        "duration": 1,
        "text": "A",
        "speaker": "",
        "sampling_rate": 8000,
    }
    (tmp_path / "train.jsonl").write_text(json.dumps(row | {field: "a\0.wav"}) + "\n")
    with pytest.raises(DataError, match=f"line 1: '{field}' has the character NUL"):
        read_manifest(tmp_path / "train.jsonl")


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("paths.runs", "a\\0b", "has the character NUL"),
        ("data.source", "a\\\\${b}", "has ${"),
        ("tokenizer.alphabet", "caf\\udce9", "is not in UTF-8"),
    ],
)
def test_a_text_that_cannot_be_kept_in_a_configuration_is_refused(
    tmp_path: Path, key: str, value: str, fault: str
) -> None:
    group, name = key.split(".")
    settings = f'defaults: [/config, _self_]\nname: a\n{group}: {{{name}: "{value}"}}\n'
    (tmp_path / "recipe.yaml").write_text(settings, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        compose(find_recipe(str(tmp_path)))
    assert str(error.value).startswith(f"{key} is ") and fault in str(error.value)
