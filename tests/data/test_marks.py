"""Marks: what a person says of utterances, which prepare and check.fix do."""

import json
from pathlib import Path

import pytest

from asr.commands import check, prepare
from asr.common.errors import DataError
from asr.data.manifest import manifest_checksum, read_manifest
from asr.data.marks import MARKS, apply_marks, read_marks, unapplied
from asr.settings.compose import compose
from asr.settings.recipe import Recipe, find_recipe
from asr.settings.root import Config
from tests.helpers.refusals import write_tiny

TRAIN = {"train-0": "YES NO", "train-1": "NO YES", "train-2": "NO NO NO"}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Recipe, Config, Path]:
    """A recipe, its settings, and the folder of its data."""
    data = write_tiny(tmp_path)
    monkeypatch.chdir(tmp_path)
    recipe = find_recipe(str(tmp_path / "tiny"))
    return recipe, compose(recipe, [f"paths.data={data.parent}"]), data


def write_marks(folder: Path, *marks: dict[str, object]) -> None:
    (folder / MARKS).write_text("".join(json.dumps(mark) + "\n" for mark in marks))


def train_texts(recipe: Recipe, config: Config) -> dict[str, str]:
    return {one.id: one.text for one in read_manifest(recipe.manifest(config, "train"))}


@pytest.mark.parametrize("beside", [True, False])
def test_check_fix_does_what_is_marked(
    beside: bool, tiny: tuple[Recipe, Config, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, config, data = tiny
    write_marks(data if beside else recipe.folder, {"id": "train-0", "drop": True}, {"id": "train-1", "text": "NO"})
    assert train_texts(recipe, config) == TRAIN
    check.run(recipe, config)
    assert train_texts(recipe, config) == TRAIN, "only check.fix changes manifests"
    config.check.fix = True
    check.run(recipe, config)
    assert train_texts(recipe, config) == {"train-1": "NO", "train-2": "NO NO NO"}
    printed = capsys.readouterr().out
    assert "left out of train: train-0 (marked)" in printed and "another transcript in train: train-1" in printed
    assert len(read_manifest(data / "train.original.jsonl")) == 3
    left = json.loads((data / "left_out.jsonl").read_text())
    assert (left["split"], left["id"]) == ("train", "train-0") and f"{MARKS}, line 1" in left["reasons"][0]
    before = manifest_checksum(data / "train.jsonl")
    check.run(recipe, config)
    assert manifest_checksum(data / "train.jsonl") == before and "(marked)" not in capsys.readouterr().out


def test_prepare_does_what_is_marked_in_the_recipe(tiny: tuple[Recipe, Config, Path]) -> None:
    recipe, config, data = tiny
    lines = {split: (data / f"{split}.jsonl").read_text() for split in ("train", "dev", "test")}
    (recipe.folder / "prepare.py").write_text(
        f"def prepare(config, archives, output):\n    for name, lines in {lines!r}.items():\n"
        "        (output / f'{name}.jsonl').write_text(lines)\n"
    )
    for split in lines:
        (data / f"{split}.jsonl").unlink()
    write_marks(recipe.folder, {"id": "train-2", "drop": True})
    prepare.run(recipe, config)
    assert sorted(train_texts(recipe, config)) == ["train-0", "train-1"]


def test_prepare_says_what_is_marked_and_not_done(
    tiny: tuple[Recipe, Config, Path], caplog: pytest.LogCaptureFixture
) -> None:
    recipe, config, data = tiny
    write_marks(data, {"id": "train-2", "drop": True})
    prepare.run(recipe, config)
    assert "1 utterances are marked" in caplog.text and "check.fix=true" in caplog.text
    assert train_texts(recipe, config) == TRAIN


def test_marks_beside_the_manifests_replace_those_of_the_recipe(tmp_path: Path) -> None:
    for name, text in (("recipe", "A"), ("data", "B")):
        (tmp_path / name).mkdir()
        write_marks(tmp_path / name, {"id": "1", "text": text})
    assert read_marks([tmp_path / "recipe", tmp_path / "data", tmp_path / "none"])["1"].text == "B"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "not a JSON object"),
        ("[1]", "a mark is"),
        ('{"id": "1"}', "a mark is"),
        ('{"id": 1, "drop": true}', "a mark is"),
        ('{"id": "1", "drop": true, "text": "A"}', "a mark is"),
        ('{"id": "1", "text": " "}', "is empty or not one line"),
        ('{"id": "1", "text": "A\\nB"}', "is empty or not one line"),
        ('{"id": "0", "drop": true}', "marked twice, first in .*line 1"),
    ],
)
def test_a_line_that_is_no_mark_is_named(line: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / MARKS).write_text('{"id": "0", "drop": true}\n' + line + "\n")
    with pytest.raises(DataError, match=rf"marks\.jsonl, line 2.*{sentence}"):
        read_marks([tmp_path])


def test_nothing_is_written_where_nothing_would_remain(tiny: tuple[Recipe, Config, Path]) -> None:
    recipe, config, data = tiny
    write_marks(data, *({"id": name, "drop": True} for name in (*TRAIN, "dev-0")))
    manifests = {split: data / f"{split}.jsonl" for split in ("train", "dev", "test")}
    with pytest.raises(DataError, match="would leave nothing of it"):
        apply_marks(manifests, read_marks([data]))
    assert train_texts(recipe, config) == TRAIN and not (data / "left_out.jsonl").exists()


def test_marks_of_unknown_utterances_are_named(
    tiny: tuple[Recipe, Config, Path], caplog: pytest.LogCaptureFixture
) -> None:
    _, _, data = tiny
    write_marks(data, {"id": "train-9", "drop": True}, {"id": "train-1", "drop": True})
    manifests = {split: data / f"{split}.jsonl" for split in ("train", "dev", "test")}
    marks = read_marks([data])
    assert unapplied(manifests, marks) == [("train", "train-1")]
    assert apply_marks(manifests, marks) == [("train", "train-1")] and "1 marks are of no utterance" in caplog.text
    assert "train-9" in caplog.text
    caplog.clear()
    assert apply_marks(manifests, marks) == [] and "train-1" not in caplog.text
