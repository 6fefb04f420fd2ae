"""`asr check`: what it prints and keeps of its findings, and the cleaned manifests of `check.fix`."""

import dataclasses
import json
from pathlib import Path

import pytest

from asr.checks import corpus as corpus_check
from asr.checks.findings import FINDINGS, read_findings
from asr.commands import check
from asr.common.errors import DataError
from asr.data.manifest import manifest_checksum, read_manifest
from asr.data.splits import SPLITS
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from tests.helpers.sound_corpora import (
    VICTIM,
    Corpus,
    change,
    findings_of,
    of_another,
    write_manifests,
)


def test_check_fix_writes_cleaned_manifests_and_says_what_is_gone(
    corpus: Corpus, recipe: Recipe, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus["test"][2] = dataclasses.replace(corpus["test"][2], text="")
    of_another(corpus, "test", 3)
    write_manifests(corpus, recipe, config)
    config.check.json = str(recipe.folder / "found" / "all.json")
    with pytest.raises(DataError, match=r"check\.fix=true"):
        check.run(recipe, config)
    stored = json.loads(Path(config.check.json).read_text())["findings"]
    assert {(row["kind"], row["utterance"]) for row in stored} >= {("empty transcript", corpus["test"][2].id)}
    config.check.fix = True
    capsys.readouterr()
    check.run(recipe, config)
    printed = capsys.readouterr().out
    gone = {("train", corpus["train"][VICTIM].id), ("test", corpus["test"][2].id)}
    for split, name in gone:
        assert f"left out of {split}: {name}" in printed
    for split in SPLITS:
        kept = [one for one in corpus[split] if (split, one.id) not in gone]
        assert read_manifest(recipe.manifest(config, split)) == kept
    for split in ("train", "test"):
        assert read_manifest(recipe.data(config) / f"{split}.original.jsonl") == corpus[split]
    left = [json.loads(line) for line in (recipe.data(config) / "left_out.jsonl").read_text().splitlines()]
    assert {(row["split"], row["id"]) for row in left} == gone and all(row["reasons"] for row in left)
    check.run(recipe, config)


def test_what_a_check_found_is_kept_as_long_as_the_manifests_stay(
    corpus: Corpus, recipe: Recipe, config: Config
) -> None:
    change(corpus, text="YES 1")
    of_another(corpus, "test", 3)
    write_manifests(corpus, recipe, config)
    with pytest.raises(DataError):
        check.run(recipe, config)
    stored = recipe.data(config) / FINDINGS
    checksums = {split: manifest_checksum(recipe.manifest(config, split)) for split in SPLITS}
    read = {split: read_manifest(recipe.manifest(config, split)) for split in SPLITS}
    assert read_findings(stored, checksums) == findings_of(read, config) != []
    assert read_findings(stored, checksums | {"dev": "another"}) is None


def test_a_sound_corpus_is_checked_once(
    corpus: Corpus, recipe: Recipe, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifests(corpus, recipe, config)
    check.run_once(recipe, config)
    examined: list[object] = []

    def examine(*arguments: object, **options: object) -> list[object]:
        examined.append(arguments)
        return []

    monkeypatch.setattr(corpus_check, "examine", examine)
    check.run_once(recipe, config)
    assert not examined
    config.model.subsampling *= 2  # asks more of every utterance
    check.run_once(recipe, config)
    assert len(examined) == 1
    change(corpus, speaker="another")
    write_manifests(corpus, recipe, config)
    check.run_once(recipe, config)
    assert len(examined) == 2


def test_check_fix_leaves_no_split_empty(corpus: Corpus, recipe: Recipe, config: Config) -> None:
    corpus["dev"] = [dataclasses.replace(one, text="") for one in corpus["dev"]]
    write_manifests(corpus, recipe, config)
    config.check.fix = True
    with pytest.raises(DataError, match="would leave nothing of it"):
        check.run(recipe, config)
    assert read_manifest(recipe.manifest(config, "dev")) == corpus["dev"]


def test_many_findings_are_counted(
    corpus: Corpus, recipe: Recipe, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus["train"] = [dataclasses.replace(one, text=f"{one.text}!") for one in corpus["train"]]
    corpus["train"][0] = dataclasses.replace(corpus["train"][0], text=f"{corpus['train'][0].text} 1")
    write_manifests(corpus, recipe, config)
    config.check.lines = 3
    check.run(recipe, config)
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "has '!'" in line]) == 3
    assert "37 more of these kinds: check.lines prints more, check.json=FILE writes all." in lines
    assert [line.split() for line in lines[-4:-1]] == [
        ["severity", "findings", "kind"],
        ["warning", "40", "punctuation"],
        ["warning", "1", "digits"],
    ]
