"""A run is its own configuration: commands take it by its folder, by its hash or as RECIPE/best, with its settings."""

import json
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.commands.cli import main
from asr.commands.subjects import given_recipe
from asr.inference.evaluation import evaluate_split
from asr.settings.compose import compose, load_config
from asr.settings.hardware import Precision
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.settings.runs import at_home
from tests.helpers.refusals import Capture, refused, threads, write_tiny  # noqa: F401  a fixture among them

OF_THE_RUN = ["model.hidden=8", "training.epochs=2", "hardware.precision=fp32", "decoder.nbest=3", "seed=3"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, its data and two runs: one in which much differs from the recipe, one in which little."""
    folder = tmp_path_factory.mktemp("trained")
    write_tiny(folder)
    before, here = torch.get_num_threads(), Path.cwd()
    os.chdir(folder)
    assert main(["train", "tiny", *OF_THE_RUN]) == 0
    assert main(["train", "tiny"]) == 0
    os.chdir(here)
    torch.set_num_threads(before)
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the current folder."""
    shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def runs() -> tuple[Path, Path]:
    """The run with much that differs, and the other."""
    found = sorted(Path("runs/tiny").iterdir(), key=lambda run: load_config(run / "config.yaml").seed)
    assert len(found) == 2
    return found[1], found[0]


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", ["model folder", "beginning of the hash", "best"])
@pytest.mark.usefixtures("place")
def test_a_run_is_evaluated_with_its_settings_however_it_is_named(name: str) -> None:
    run, other = runs()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row | {"dev/wer": 0.0}) + "\n" for row in rows))
    digest = run.name.rpartition("-")[2]
    given = {
        "model folder": str(run / "model"),
        "beginning of the hash": digest[:4],
        "best": "tiny/best",
    }[name]
    assert main(["evaluate", given]) == 0
    results = json.loads((run / "evaluation/test/greedy/results.json").read_text())
    assert (results["seed"], results["run"], results["config_hash"]) == (3, run.name, digest)
    assert not (other / "evaluation").exists()


@pytest.mark.usefixtures("place")
def test_overrides_that_do_not_change_the_run_may_be_added() -> None:
    run, _ = runs()
    assert main(["evaluate", str(run), "decoder=beam", "lm=none", "decoder.beam=5", "evaluation.splits=[test]"]) == 0
    assert [path.name for path in (run / "evaluation" / "test").iterdir()] == ["beam-words"]
    assert (run / "evaluation/test/beam-words/nbest.jsonl").is_file(), "decoder.nbest is that of the run"


@pytest.mark.parametrize("command", ["evaluate", "train"])
@pytest.mark.usefixtures("place")
def test_overrides_that_would_make_another_run_are_refused(command: str, capsys: Capture) -> None:
    run, _ = runs()
    before = snapshot(Path("runs"))
    printed = refused(capsys, command, str(run), "model.hidden=9", "tracker=disabled")
    assert "model.hidden=9 (there 8) would make another run than" in printed
    assert snapshot(Path("runs")).keys() == before.keys()


@pytest.mark.usefixtures("place")
def test_a_training_goes_on_with_its_own_settings() -> None:
    run, other = runs()
    whole = snapshot(run / "model")
    rows = (run / "metrics.jsonl").read_text()
    newest = max((run / "checkpoints").glob("*.pt"), key=lambda path: int(path.name.split("-")[1]))
    newest.unlink()
    for name in (".reported", "model"):
        shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    assert main(["train", str(run)]) == 0
    assert {path.name for path in Path("runs/tiny").iterdir()} == {run.name, other.name}
    assert snapshot(run / "model") == whole
    losses = [
        [row.get("train/loss") for row in map(json.loads, text.splitlines())]
        for text in (rows, (run / "metrics.jsonl").read_text())
    ]
    assert losses[0] == losses[1]


@pytest.mark.usefixtures("place")
def test_a_training_that_was_begun_with_a_restart_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    main(["train", "tiny", *OF_THE_RUN[:3], "seed=9", "training.restart=true"])
    run = next(run for run in Path("runs/tiny").iterdir() if load_config(run / "config.yaml").seed == 9)
    first, newest = sorted((run / "checkpoints").glob("*.pt"), key=lambda path: int(path.name.split("-")[1]))
    newest.unlink()
    (run / ".reported").unlink()
    kept = first.stat().st_mtime_ns
    caplog.set_level("INFO", "asr")
    assert main(["train", str(run)]) == 0
    assert first.stat().st_mtime_ns == kept and "Resuming from step" in caplog.text


def test_a_finished_run_is_found_from_any_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = (path.absolute() for path in runs())
    before = snapshot(run / "model")
    monkeypatch.chdir(place.parent)
    assert main(["run", str(run)]) == 0
    changed = {path.name for path, content in snapshot(run / "model").items() if content != before.get(path)}
    assert changed == {"README.md"}, "which now has results"
    assert not (place.parent / "runs").exists() and not (place.parent / "data").exists()


@pytest.mark.usefixtures("place")
def test_a_training_goes_on_in_the_precision_that_it_began_with(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Another machine may resolve hardware.precision=auto otherwise."""
    precision, other = Precision.fp32, Precision.bf16
    run, _ = runs()
    settings = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(settings.replace(f"precision: {precision.name}", "precision: auto"))
    monkeypatch.setattr("asr.training.hardware.resolve_precision", lambda config, device: given(config, other))

    def given(config: object, automatic: Precision) -> Precision:
        chosen: Precision = config.precision  # type: ignore[attr-defined]
        return automatic if chosen is Precision.auto else chosen

    assert main(["train", str(run)]) == 0
    assert len(list(Path("runs/tiny").iterdir())) == 2
    printed = refused(capsys, "train", str(run), f"hardware.precision={other.name}")
    assert f"is trained in {precision.name}: leave out hardware.precision={other.name}" in printed


@pytest.mark.usefixtures("place")
def test_a_run_with_another_name_is_the_same_run(capsys: Capture) -> None:
    run, _ = runs()
    digest = run.name.rpartition("-")[2]
    good = run.rename(run.parent / "good")
    before = snapshot(good / "model")
    assert main(["train", str(good)]) == 0
    assert snapshot(good / "model") == before
    assert main(["evaluate", str(good)]) == 0
    results = json.loads((good / "evaluation/test/greedy/results.json").read_text())
    assert (results["run"], results["config_hash"]) == ("good", digest)
    (good / "provenance.json").unlink()
    assert "its name has none: give it the name back" in refused(capsys, "train", str(good))
    good.rename(run)
    assert main(["train", str(run)]) == 0, "of an older run the name counts"


def test_a_training_does_not_go_on_with_other_data(place: Path, capsys: Capture) -> None:
    run, _ = runs()
    manifest = place / "data/tiny/train.jsonl"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[1:]))
    assert "was trained with other settings or data" in refused(capsys, "train", str(run))
    assert main(["evaluate", str(run)]) == 0


@pytest.mark.parametrize(
    ("command", "written"),
    [
        (["lm", "train"], "data/tiny/lm/ngram3-words-*/lm.arpa"),
        (["check"], "data/tiny/findings.json"),
        (["extract"], "data/tiny/features/*"),
        (["pack"], "data/tiny/shards/shards.json"),
    ],
)
def test_every_command_on_a_recipe_takes_a_run(command: list[str], written: str, place: Path) -> None:
    run, _ = runs()
    assert main([*command, str(run)]) == 0
    assert list(place.glob(written))


def test_a_plan_and_an_export_take_a_run_too(place: Path, capsys: Capture) -> None:
    run, _ = runs()
    assert main(["export", str(run), "--to", "nemo", "-o", "out"]) == 0
    (train,) = (place / "out").glob("*train*.json")
    assert len(train.read_text().splitlines()) == 3
    with given_recipe(str(run), ["-m", "model=gru"]) as recipe:
        assert (recipe.name, recipe.run, compose(recipe, ["model=gru"]).model.cells[0].name) == (
            "tiny", run.absolute(), "gru",
        )  # fmt: skip
    assert at_home(recipe).folder == Path("tiny")


@pytest.mark.usefixtures("place")
def test_the_run_of_a_language_model_is_resumed_by_its_own_command(capsys: Capture) -> None:
    settings = ["lm=lstm", "lm.hidden=8", "lm.epochs=1", "hardware.precision=fp32"]
    assert main(["lm", "train", "tiny", *settings]) == 0
    (model,) = Path("runs/tiny/lm").iterdir()
    assert main(["lm", "train", str(model)]) == 0
    assert main(["lm", "train", model.name.rpartition("-")[2]]) == 0
    assert [*Path("runs/tiny/lm").iterdir()] == [model]
    for command in ("train", "evaluate"):
        assert "is the run of a language model" in refused(capsys, command, str(model))


@pytest.mark.usefixtures("place")
def test_without_a_matching_run_those_that_are_there_are_named(capsys: Capture) -> None:
    run, other = runs()
    printed = refused(capsys, "evaluate", "tiny", "model.hidden=8", "training.epochs=2", "seed=4")
    assert f"{run.name} (seed=3, here 4" in printed
    assert f"{other.name} (" in printed and "model.hidden=16, here 8" in printed
    assert printed.index(run.name) < printed.index(other.name), "the closest comes first"
    assert set(re.findall(r"-([0-9a-f]{8})\b", printed)) == {path.name.rpartition("-")[2] for path in runs()}
    evaluate, train, shown = (shlex.split(text)[1:] for text in re.findall(r"`(asr [^`]*)`", printed))
    assert evaluate == ["evaluate", str(run.absolute())]
    assert main(evaluate) == 0
    assert train == ["train", "tiny", "model.hidden=8", "training.epochs=2", "seed=4"]
    assert main(shown) == 0


@pytest.mark.usefixtures("place")
def test_a_run_of_another_precision_or_of_other_data_is_told_as_that(capsys: Capture) -> None:
    assert "hardware.precision=fp32)" in refused(
        capsys, "evaluate", "tiny", *OF_THE_RUN[:2], "seed=3", "hardware.precision=fp64"
    )
    manifest = Path("data/tiny/train.jsonl")
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[1:]))
    assert "trained on other data)" in refused(capsys, "evaluate", "tiny", *OF_THE_RUN)


def test_a_recipe_without_any_run_is_trained_first(place: Path, capsys: Capture) -> None:
    shutil.rmtree(place / "runs")
    assert "There is no run of tiny in" in refused(capsys, "evaluate", "tiny")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("runs/tiny", "holds 2 runs: name one, as runs/tiny/"),
        ("fffff", "No recipe at 'fffff'"),
        ("other/best", "No run at runs/other"),
        ("runs/tiny/lstm-lost", "No recipe at 'runs/tiny/lstm-lost'"),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_is_neither_a_recipe_nor_a_run(name: str, sentence: str, capsys: Capture) -> None:
    assert sentence in refused(capsys, "evaluate", name)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits that are decoded."""
    splits: list[str] = []

    def counted(recipe: Recipe, config: Config, split: str, *arguments: Any) -> Any:
        splits.append(split)
        return evaluate_split(recipe, config, split, *arguments)

    monkeypatch.setattr("asr.commands.evaluate.evaluate_split", counted)
    return splits


BEAM = ["decoder=beam", "lm=none", "decoder.beam=5"]


@pytest.mark.parametrize("settings", [[], BEAM])
def test_a_finished_run_prints_its_result_and_decodes_nothing(
    settings: list[str], place: Path, decoded: list[str], capsys: Capture
) -> None:
    main(["run", "tiny", *settings])
    first = capsys.readouterr().out
    table = first[first.index("recipe ") : first.index("Run: ")]
    assert decoded == ["dev", "test"]
    before = snapshot(place / "runs")
    assert main(["run", "tiny", *settings]) == 0
    assert table in capsys.readouterr().out
    assert decoded == ["dev", "test"]
    after = snapshot(place / "runs")
    assert {path.name for path in after if after[path] != before.get(path)} == {"train.log"}
    assert main(["evaluate", "tiny", *settings]) == 0
    assert decoded == ["dev", "test"] * 2, "asr evaluate decodes whenever it is called"


@pytest.mark.parametrize("changed", ["decoder", "split", "results", "tracking"])
def test_what_was_not_decoded_like_this_is_decoded(changed: str, place: Path, decoded: list[str]) -> None:
    main(["run", "tiny", *BEAM])
    (test,) = place.glob("runs/tiny/*/evaluation/test/beam-words")
    del decoded[:]
    more = []
    match changed:
        case "decoder":
            more = ["decoder.beam=6"]
        case "split":
            manifest = place / "data/tiny/test.jsonl"
            manifest.write_text(manifest.read_text().replace("NO YES", "YES YES"))
        case "results":
            (test / "results.json").write_text("{")
        case "tracking":
            (test / ".reported").unlink()  # it was killed before everything was kept
    assert main(["run", "tiny", *BEAM, *more]) == 0
    assert decoded == ["dev", "test"]
