"""Comparisons: equal sizes, runs that are planned and grouped, figures and findings."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from asr.commands.compare import HELP, main
from asr.common.errors import ConfigError, RunError, UserError
from asr.comparison import grid
from asr.comparison.conclusions import findings
from asr.comparison.document import body, page
from asr.comparison.grid import is_done, parameters_of, plan_grid, plan_table, solve_hidden
from asr.comparison.launcher import environment
from asr.comparison.measured_runs import group_runs, read_run
from asr.comparison.plots import draw
from asr.comparison.summary import Comparison, Origin, length_classes, read_summary, summarize, write_summary
from asr.model.acoustic import count_parameters
from asr.model.folder import build_model
from asr.scoring.error_unit import ErrorUnit
from asr.settings.compose import compose, sweep
from asr.settings.recipe import Recipe, find_recipe
from asr.settings.root import Config
from tests.helpers.compared_runs import TEXTS, write_run
from tests.helpers.corpora import write_corpus

AN4 = find_recipe("an4")
DIGITS = find_recipe("digits")  # its tokenizer needs no transcripts
ORIGIN = Origin("cells", "an4", "asr compare an4", None, "a machine", "2")


def compared(runs: Sequence[Path], origin: Origin = ORIGIN) -> Comparison:
    return summarize(origin, group_runs([read_run(run) for run in runs]), lambda run: 1e6, {}, {})


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "ligru", "hybrid"])
def test_every_model_comes_within_two_per_cent_of_the_wanted_size(model: str) -> None:
    config = compose(AN4, [f"model={model}"])
    for wanted in (2e6, 3.3e5):
        solved = replace(config, model=replace(config.model, hidden=solve_hidden(config, 29, wanted)))
        assert parameters_of(solved, 29) == pytest.approx(wanted, rel=0.02)


def test_parameters_are_counted_as_of_the_built_model() -> None:
    config = compose(AN4, ["model=hybrid", "model.hidden=24"])
    assert parameters_of(config, 29) == count_parameters(build_model(config, 29))


def test_a_size_that_no_model_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"\d+ \(model.hidden=\d+\)"):
        solve_hidden(compose(find_recipe("yesno"), ["model.layers=1", "model.channels=4"]), 7, 2e4)


def test_a_sweep_is_the_product_of_its_lists() -> None:
    assert sweep(AN4, ["model=lstm,gru", "model.dropout=0.1", "seed=range(1,3)"]) == [
        ["model=lstm", "model.dropout=0.1", "seed=1"],
        ["model=lstm", "model.dropout=0.1", "seed=2"],
        ["model=gru", "model.dropout=0.1", "seed=1"],
        ["model=gru", "model.dropout=0.1", "seed=2"],
    ]
    with pytest.raises(ConfigError, match=r"no model=grru.*did you mean gru"):
        sweep(AN4, ["model=lstm,grru"])


def test_the_plan_tells_models_from_seeds_and_sizes_them() -> None:
    overrides = ["model=lstm,gru", "seed=2,1", "compare.parameters=1e6", "model.dropout=0.1", "compare.jobs=2"]
    planned = plan_grid(DIGITS, overrides, [])
    assert [variant.label for variant in planned.variants] == ["lstm", "gru"]
    assert planned.seeds == [2, 1]
    for variant in planned.variants:
        assert variant.overrides[:2] == [f"model={variant.label}", "model.dropout=0.1"]
        assert f"model.hidden={variant.config.model.hidden}" in variant.overrides
        assert variant.config.hardware.threads is not None
        assert variant.parameters == pytest.approx(1e6, rel=0.02)


def test_other_settings_than_the_model_can_be_compared() -> None:
    overrides = ["optimizer.learning_rate=1e-3,2e-3", "seed=1"]
    planned = plan_grid(DIGITS, overrides, [])
    assert [variant.label for variant in planned.variants] == [
        "optimizer.learning_rate=0.001",
        "optimizer.learning_rate=0.002",
    ]
    # The name is also the group of the runs in Weights & Biases, a value that Hydra must be able to read.
    assert compose(DIGITS, [f"tracker.group={planned.name}"]).tracker.group == planned.name


def test_a_comparison_is_found_again_with_more_seeds_or_another_place_and_not_with_another_size() -> None:
    def name(*overrides: str) -> str:
        return plan_grid(DIGITS, overrides, []).name

    first = name("model=lstm,gru", "seed=1")
    assert first == name("model=lstm,gru", "seed=1,2,3", "paths.runs=/tmp/x", "hardware.threads=1", "compare.jobs=2")
    assert first.startswith("lstm-gru-")
    others = [name("model=lstm,gru", "compare.parameters=1e6"), name("model=lstm,gru", "compare.minutes=3")]
    assert len({first, *others}) == 3
    assert name("model=lstm,gru", "compare.name=cells") == "cells"


@pytest.mark.slow
def test_epochs_follow_from_the_minutes_and_one_trial_of_each_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def calibrate(recipe: Recipe, config: Config) -> SimpleNamespace:
        tried.append(f"{config.name} {config.model.hidden}")
        return SimpleNamespace(epoch_seconds=6.0)

    monkeypatch.setattr(grid, "calibrate", calibrate)

    def epochs(minutes: float, *overrides: str) -> list[int]:
        given = [f"paths.runs={tmp_path}", "compare.name=cells", f"compare.minutes={minutes}", *overrides]
        planned = plan_grid(DIGITS, ["model=lstm,gru", *given], [])
        return [timed.config.training.epochs for timed in planned.in_equal_time().variants]

    assert epochs(1) == [10, 10]
    assert epochs(2, "hardware.threads=1", "decoder=beam") == [20, 20]
    assert epochs(2, "training.max_lost_utterances=7", "data.held_out=0.2") == [20, 20]
    assert len(tried) == 2, "the time of an epoch is kept"
    assert epochs(2, "model.hidden=7") == [20, 20]
    assert tried[2:] == ["lstm 7", "gru 7"]
    with pytest.raises(ConfigError, match="leave one of the two out"):
        epochs(2, "model.hidden=7", "training.epochs=3")


@pytest.mark.parametrize(
    ("given", "taken"),
    [(None, ["0", "1", "0"]), ("4,5", ["4", "5", "4"]), ("GPU-a, GPU-b,-1,3", ["GPU-a", "GPU-b", "GPU-a"])],
)
def test_trainings_take_turns_on_the_gpus_that_were_given(
    given: str | None, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == taken


def test_size_and_epochs_cannot_be_both_set_and_solved() -> None:
    overrides = ["model=lstm,gru", "model.hidden=64", "compare.parameters=1e6"]
    with pytest.raises(ConfigError, match="leave one of the two out"):
        plan_grid(DIGITS, overrides, [])


def test_a_run_is_done_when_it_is_trained_to_its_end_and_evaluated(tmp_path: Path) -> None:
    config = compose(AN4, ["training.epochs=3"])
    run = write_run(tmp_path)
    assert is_done(run, config)
    assert not is_done(run, compose(AN4, ["training.epochs=4"]))
    with (run / "metrics.jsonl").open("a") as rows:
        rows.write('{"step": 40, "epoch": 3.5, "seconds": 40.0}\n')
    assert not is_done(run, config)
    (run / "evaluation/test/greedy/results.json").unlink()
    assert not is_done(run, config)


def test_runs_that_differ_in_the_seed_alone_are_one_model(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, "lstm", 2),
        write_run(tmp_path, "gru", 1),
        write_run(tmp_path, "lstm", 1, overrides=["hardware.threads=1"]),
        write_run(tmp_path, "gru", 3, overrides=["model.dropout=0.5", "decoder=greedy"]),
    ]
    groups = group_runs([read_run(run) for run in runs])
    assert {label: [run.config.seed for run in group] for label, group in groups.items()} == {
        "lstm": [1, 2],
        f"gru, model.dropout={compose(AN4).model.dropout}": [1],
        "gru, model.dropout=0.5": [3],
    }


def test_the_plan_lists_the_runs_of_each_variant(tmp_path: Path) -> None:
    write_corpus(tmp_path / "data" / "digits", {split: ["A"] for split in ("train", "dev", "test")})
    overrides = ["model=lstm,gru", "seed=1,2", f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}"]
    planned = plan_grid(DIGITS, overrides, [])
    runs = planned.runs()
    assert [run.name for run in runs] == ["lstm, seed 1", "gru, seed 1", "lstm, seed 2", "gru, seed 2"]
    assert len({run.folder.path for run in runs}) == 4
    assert len(list(planned.inputs())) == 1, "both variants read the same features"
    heads, *lines = plan_table(runs).splitlines()
    assert heads.startswith("model ") and heads.endswith("seeds to do")
    assert [(line.split()[0], line.split()[-3:]) for line in lines] == [
        ("lstm", ["-", "1", "2"]),
        ("gru", ["-", "1", "2"]),
    ]


@pytest.mark.parametrize(
    "override",
    [
        "training.max_lost_utterances=7",
        "training.restart=true",
        "data.held_out=0.2",
        "data.source=/elsewhere",
        "text.case=lower",
        "hardware.threads=1",
        "tracker=offline",
        "augment.reverb.rt60_high_seconds=1.1",
    ],
)
def test_settings_that_change_no_weights_do_not_part_the_runs_of_a_model(override: str, tmp_path: Path) -> None:
    runs = [write_run(tmp_path, seed=1), write_run(tmp_path, seed=2, overrides=[override])]
    groups = group_runs([read_run(run) for run in runs])
    assert {label: [run.config.seed for run in group] for label, group in groups.items()} == {"lstm": [1, 2]}


def test_the_figures_are_those_of_the_runs(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, "lstm", seed, wrong=range(seed)) for seed in (1, 2)]
    runs += [write_run(tmp_path, "gru", seed, wrong=range(8, 20)) for seed in (1, 2)]
    comparison = compared(runs)
    lstm, gru = comparison.models
    assert lstm.wer.mean == pytest.approx(sum(read_run(run).test.wer for run in runs[:2]) / 2)
    assert lstm.peak_memory_mb is not None and lstm.peak_memory_mb.mean == 803
    assert lstm.audio_hours_per_hour.mean == pytest.approx(51.5)
    # The lowest dev WER that all runs reach is that of seed 2, 0.22, after the third epoch.
    assert comparison.dev_wer == pytest.approx(0.22)
    assert gru.seconds_to_dev_wer is not None and gru.seconds_to_dev_wer.mean == 30
    (pair,) = comparison.pairs
    assert pair.mean == pytest.approx(lstm.wer.mean - gru.wer.mean)
    assert pair.high < 0
    assert (comparison.speakers, comparison.utterances) == (8, len(TEXTS))


def test_a_dev_wer_that_a_run_never_reached_has_no_time(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, "lstm"), write_run(tmp_path, "gru", curve={5.0: 0.9, 9.0: 0.1})]
    lstm, gru = compared(runs, replace(ORIGIN, dev_wer=0.15)).models
    assert lstm.seconds_to_dev_wer is None
    assert gru.seconds_to_dev_wer is not None and gru.seconds_to_dev_wer.mean == 9.0


def test_classes_of_length_hold_equally_many_utterances_the_shortest_first(tmp_path: Path) -> None:
    scores = read_run(write_run(tmp_path)).scores
    classes = length_classes(scores)
    assert [len(part) for part in classes] == [6, 6, 6, 6]
    assert sorted(place for part in classes for place in part) == list(range(len(scores)))
    longest = [max(scores[place].duration for place in part) for part in classes]
    assert longest == sorted(longest)


def test_a_comparison_is_read_back_as_it_was(tmp_path: Path) -> None:
    comparison = compared([write_run(tmp_path, "lstm"), write_run(tmp_path, "gru", wrong=[1, 2])])
    write_summary(tmp_path / "comparison.json", comparison)
    assert read_summary(tmp_path / "comparison.json") == comparison


def test_a_stored_comparison_may_lack_what_came_later(tmp_path: Path) -> None:
    comparison = compared([write_run(tmp_path, "lstm"), write_run(tmp_path, "gru")])
    path = tmp_path / "comparison.json"
    write_summary(path, comparison)
    path.write_text(re.sub(r',\s*"evaluated": null', "", path.read_text()))
    assert "evaluated" not in path.read_text() and read_summary(path) == comparison
    path.write_text("{}")
    with pytest.raises(RunError, match="is no comparison of this version"):
        read_summary(path)


def test_only_a_shown_difference_is_claimed(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, "lstm", seed, wrong=[seed]) for seed in (1, 2, 3)]
    runs += [write_run(tmp_path, "gru", seed, wrong=[seed + 4]) for seed in (1, 2, 3)]
    runs += [write_run(tmp_path, "rnn", seed, wrong=range(24)) for seed in (1, 2, 3)]
    said = findings(compared(runs))
    assert any(sentence.startswith("lstm beats rnn by ") for sentence in said)
    assert any(sentence.startswith("No difference between lstm and gru could be shown") for sentence in said)
    assert not any("gru beats lstm" in sentence or "lstm beats gru" in sentence for sentence in said)


def test_a_single_seed_and_few_speakers_are_named(tmp_path: Path) -> None:
    said = " ".join(findings(compared([write_run(tmp_path, "lstm"), write_run(tmp_path, "gru")])))
    assert "one seed only" in said
    assert "8 speakers" in said


def test_the_command_compares_run_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write_run(tmp_path, model, seed, wrong=[seed]) for model in ("lstm", "gru") for seed in (1, 2)]
    main([*map(str, runs), "-o", str(tmp_path / "out"), "--dev-wer", "0.5"])
    comparison = read_summary(tmp_path / "out/comparison.json")
    assert [len(model.runs) for model in comparison.models] == [2, 2]
    assert all(model.multiply_adds_per_second for model in comparison.models)
    assert comparison.dev_wer == 0.5
    assert body(comparison) in capsys.readouterr().out
    page = (tmp_path / "out/comparison.md").read_text()
    for picture in ("wer", "curves", "lengths"):
        assert f"({picture}.png)" in page
        assert (tmp_path / f"out/{picture}.png").read_bytes()[:4] == b"\x89PNG"
        assert (tmp_path / f"out/{picture}.svg").read_text().startswith("<?xml")


def test_runs_of_different_test_sets_are_refused(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, "lstm"), write_run(tmp_path, "gru", texts=["OTHER", *TEXTS[1:]])]
    with pytest.raises(RunError, match="not scored on the same utterances"):
        main([*map(str, runs), "-o", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "needs a RECIPE, or the folders of several runs"),
        (["an4", "--fast"], "unrecognized arguments: --fast"),
        (["an4", "-o", "here"], "-o is for run folders"),
        (["an4", "-m", "compare.jobs=0"], "compare.jobs is 0; it must be at least 1"),
        (["an4", "-m", "modle=lstm,gru"], "did you mean model"),
        (["an5", "-m"], "No recipe at 'an5'"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        main(arguments)


def test_help_names_every_key_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    assert capsys.readouterr().out.strip() == HELP
    for key in vars(compose(AN4).compare):
        assert f"compare.{key}=" in HELP


def test_runs_are_compared_greedily_unless_another_decoder_is_named(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, "lstm", overrides=["decoder=beam"]), write_run(tmp_path, "gru")]
    assert [read_run(run).test.decoder for run in runs] == ["greedy", "greedy"]
    with pytest.raises(RunError, match=r"was evaluated with greedy and not with beam-words: give --decoder"):
        main([*map(str, runs), "-o", str(tmp_path / "out"), "--decoder", "beam-words"])


def test_a_comparison_of_characters_names_the_cer_everywhere(tmp_path: Path) -> None:
    texts = ["今天天气很好", "วันนี้อากาศดีมาก", "ထမင်းစားပြီးပြီလား", "TWO"] * 6
    runs = [
        write_run(tmp_path, model, texts=texts, wrong=wrong, unit=ErrorUnit.character)
        for model, wrong in (("lstm", [0, 1]), ("gru", [0, 1, 2, 4, 5]))
    ]
    comparison = compared(runs)
    write_summary(tmp_path / "comparison.json", comparison)
    assert read_summary(tmp_path / "comparison.json") == comparison
    lstm, gru = comparison.models
    assert (lstm.rate, lstm.other_rate) == (lstm.cer, lstm.wer) and lstm.rate.mean < gru.rate.mean
    assert comparison.pairs[0].mean == pytest.approx(lstm.cer.mean - gru.cer.mean)
    assert comparison.dev_wer == pytest.approx(0.105), "the lowest CER on dev"
    text = page(comparison, draw(comparison, tmp_path))
    assert (
        f"{comparison.characters} characters)" in text and "points of CER" in text and "Test CER of each model" in text
    )
    assert text.index("test CER %") < text.index("test WER %")
    assert not re.search(r"points of WER|dev WER|WER % by length|words", text)


def test_runs_that_count_in_different_units_are_not_compared(tmp_path: Path) -> None:
    runs = [write_run(tmp_path), write_run(tmp_path, "gru", unit=ErrorUnit.character)]
    with pytest.raises(RunError, match=r"in words \(lstm-10\) and in characters \(gru-10\).*same scoring\.unit"):
        compared(runs)


def test_equal_models_are_not_crowned(tmp_path: Path) -> None:
    nothing = dict.fromkeys((0.2, 0.4, 0.6), 1.0)
    silent = [write_run(tmp_path, model, wrong=range(24), curve=nothing) for model in ("lstm", "gru")]
    shown = " ".join(findings(compared(silent)))
    assert "lstm and gru share the lowest WER" in shown and "has the lowest" not in shown
    assert "first, after" not in shown and "not all models recognize anything of dev" in shown
    assert "All models train about as fast" in shown and "fastest" not in shown


def test_models_that_are_as_fast_reach_a_dev_wer_together(tmp_path: Path) -> None:
    curves = {"lstm": {10.1: 0.5, 20.2: 0.2}, "gru": {10.3: 0.5, 20.4: 0.2}, "rnn": {30.0: 0.2}}
    runs = [write_run(tmp_path, model, curve=curve) for model, curve in curves.items()]
    shown = " ".join(findings(compared(runs)))
    assert "lstm and gru reach a dev WER of 20.00 % first, after 20 s of training (rnn 30 s)." in shown


def test_a_single_utterance_shows_no_difference_and_has_no_interval(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, "lstm", texts=["ONE TWO"]), write_run(tmp_path, "gru", wrong=[0], texts=["ONE TWO"])]
    comparison = compared(runs)
    assert [pair.p for pair in comparison.pairs] == [1.0] and not comparison.pairs[0].shown
    shown = body(comparison)
    assert "No difference between lstm and gru could be shown" in shown and "| none |" in shown
