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
import yaml

from asr.commands.cli import main
from asr.commands.subjects import find_run, given_recipe
from asr.common.errors import ConfigError, RunError
from asr.inference.evaluation import evaluate_split
from asr.settings.compose import compose, load_config
from asr.settings.hardware import Precision
from asr.settings.recipe import RECIPES, Recipe
from asr.settings.root import Config
from asr.settings.runs import at_home
from asr.training.run_folder import find_run_folder
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


@pytest.mark.parametrize(
    ("begun_with", "otherwise"),
    [
        ("training.restart=true", False), ("check.fix=true", False), ("check.model=m", None), ("check.json=j", None),
        ("listen.utterances=3", 8), ("pack.output=packed", None), ("plan.minutes=5", None), ("compare.jobs=2", 1),
    ],
)  # fmt: skip
def test_what_the_first_command_did_besides_is_not_done_again(
    begun_with: str, otherwise: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = compose(Recipe(RECIPES / "an4"), [begun_with])
    run = find_run_folder(Recipe(RECIPES / "an4"), with_manifests(config, tmp_path), Precision.fp32)
    with run.trained(config):
        pass
    group, key = begun_with.partition("=")[0].split(".")
    with given_recipe(str(run.path), []) as given:
        assert getattr(getattr(compose(given), group), key) == otherwise
        again = compose(given, [begun_with])
        assert getattr(getattr(again, group), key) == getattr(getattr(config, group), key), "it is asked for"


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
def test_the_run_of_a_language_model_is_gone_on_with_by_its_own_command(capsys: Capture) -> None:
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
    evaluate, train = (shlex.split(text)[1:] for text in re.findall(r"`(asr [^`]*)`", printed))
    assert evaluate == ["evaluate", str(run.absolute())]
    assert main(evaluate) == 0
    assert train == ["train", "tiny", "model.hidden=8", "training.epochs=2", "seed=4"]


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


def write_settings(run: Path, **settings: object) -> Path:
    """A folder that looks like a run."""
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    return run


def test_the_beginning_of_a_hash_must_tell_runs_apart(tmp_path: Path) -> None:
    first = write_settings(tmp_path / "an4" / "lstm-0123abcd")
    second = write_settings(tmp_path / "yesno" / "my-gru-0123ffff")
    lm = write_settings(tmp_path / "an4" / "lm" / "lstm-words-99990000")
    assert [find_run(name, tmp_path) for name in ("0123a", "0123ffff", "9999")] == [first, second, lm]
    assert find_run("7777", tmp_path) == Path("7777")
    with pytest.raises(RunError, match=r"0123 begins the hash of 2 runs: .*lstm-0123abcd, .*my-gru-0123ffff"):
        find_run("0123", tmp_path)
    with pytest.raises(RunError, match="has a dev error rate yet"):
        find_run("an4/best", tmp_path)


def test_a_recipe_comes_before_a_run_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "abcd").mkdir()
    (tmp_path / "abcd" / "recipe.yaml").write_text("defaults: [/config, _self_]\n")
    write_settings(tmp_path / "runs" / "an4" / "lstm-abcd0000")
    for name in ("abcd", "an4"):
        with given_recipe(name, []) as recipe:
            assert recipe.run is None and recipe.name == name


def test_the_settings_of_a_run_are_composed_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that look like numbers, lists and mappings survive; groups leave the other keys alone."""
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(RECIPES / "an4")
    overrides = ["tracker.notes=$5 é", "name='1e3'", "tracker.project=mine", "decoder.nbest=4", "model=hybrid"]
    overrides += ["cluster.sbatch={qos: high}", "tracker.tags=[a b,'007']", "cluster.gpus_per_node=4"]
    config = compose(recipe, overrides)
    run = find_run_folder(Recipe(RECIPES / "an4"), with_manifests(config, tmp_path), Precision.fp32)
    with run.trained(config):
        pass
    with given_recipe(str(run.path), []) as given:
        same = compose(given)
    assert same == load_config(run.path / "config.yaml")
    added = ["tracker=offline", "decoder=beam", "cluster.gpus_per_node=2"]
    with given_recipe(str(run.path), added) as given:
        changed = compose(given, added)
    assert (changed.tracker.mode.name, changed.tracker.project, changed.tracker.notes) == ("offline", "mine", "$5 é")
    assert (changed.decoder.kind.name, changed.decoder.nbest, changed.cluster.ranks_per_node) == ("beam", 4, 2)
    assert changed.model == config.model


def begun(folder: Path, *overrides: str) -> Path:
    """The folder of a run of AN4 of which only the settings are there."""
    config = compose(Recipe(RECIPES / "an4"), overrides)
    run = find_run_folder(Recipe(RECIPES / "an4"), with_manifests(config, folder), Precision.fp32)
    with run.trained(config):
        pass
    return run.path


def test_the_settings_of_a_run_are_there_when_its_job_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job composes them on its node, after the command has ended that submitted it."""
    monkeypatch.chdir(tmp_path)
    run = begun(tmp_path, "seed=7")
    for _ in range(2):
        with given_recipe(str(run), ["cluster=slurm"]) as given:
            pass
    assert compose(given).seed == 7 and given.folder.is_relative_to(tmp_path / "runs" / ".multirun")
    with given_recipe(str(run), []) as given:
        assert not given.folder.is_relative_to(tmp_path)
    assert not given.folder.exists()


def test_a_choice_of_the_recipe_itself_sets_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "an4" / "decoder").mkdir(parents=True)
    shutil.copy(RECIPES / "an4" / "recipe.yaml", tmp_path / "an4")
    (tmp_path / "an4" / "decoder" / "mine.yaml").write_text("defaults: [beam, _self_]\nnbest: 7\n")
    run = begun(tmp_path, "decoder.beam=3")
    added = ["decoder=mine"]
    with given_recipe(str(run), added) as given:
        decoder = compose(given, added).decoder
    assert (decoder.kind.name, decoder.nbest, decoder.beam) == ("beam", 7, 3)


def with_manifests(config, folder: Path):  # type: ignore[no-untyped-def]
    config.paths.data, config.paths.runs = str(folder / "data"), str(folder / "runs")
    (folder / "data" / "an4").mkdir(parents=True)
    for split in ("train", "dev"):
        (folder / "data" / "an4" / f"{split}.jsonl").write_text("")
    return config


def test_a_run_without_settings_that_can_be_read_is_named(tmp_path: Path) -> None:
    run = write_settings(tmp_path / "runs" / "an4" / "lstm-01234567", sead=1)
    with pytest.raises(ConfigError, match=r"There is no key sead"), given_recipe(str(run), []):
        pass


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
