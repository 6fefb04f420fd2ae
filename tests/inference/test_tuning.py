"""Tuning takes weights that dev asks for, not a lone minimum, and the smallest beam that does as well."""

from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from asr.commands import cli
from asr.common.errors import RunError
from asr.data.utterance import Utterance
from asr.decoding.search import UNTUNED, Weights, lexicon_of, read_tuned, resolve, tuning_folder
from asr.inference.evaluation import SplitLogProbs
from asr.inference.tuning import Grid, Trial, robust_best, search_weights
from asr.scoring.error_rates import Score
from asr.scoring.error_unit import ErrorUnit
from asr.settings.compose import compose, plain
from asr.settings.lm import LmUnits
from asr.settings.recipe import find_recipe
from tests.helpers.emissions import CHARACTERS, emission_of, language_model, search_of

CHARACTER = ErrorUnit.character


def trial(lm_weight: float, word_score: float, errors: int) -> Trial:
    counts = {"words": 100, "characters": 1, "substitutions": errors, "deletions": 0, "insertions": 0}
    return Trial(
        Weights(50, lm_weight, word_score), Score(utterances=1, word_errors=errors, character_errors=0, **counts)
    )


def test_of_equal_minima_the_one_in_the_valley_is_taken() -> None:
    errors = {0.0: [3, 9, 9], 1.0: [9, 5, 4], 2.0: [9, 4, 3]}
    grid = [trial(weight, score, errors[weight][score]) for weight in errors for score in range(3)]
    best = robust_best(grid, list(errors), [0, 1, 2])
    assert (best.weights.lm_weight, best.weights.word_score) == (2.0, 2)


def test_weights_are_found_that_the_split_asks_for(tmp_path: Path) -> None:
    lexicon = lexicon_of(["A", "B", "C"], CHARACTERS)
    lm = language_model(tmp_path, ["A C", "A C", "B B"], LmUnits.words, CHARACTERS)
    unsure = emission_of(CHARACTERS, {"A": 1}, {"▁": 1}, {"B": 0.55, "C": 0.45}).numpy()
    sure = emission_of(CHARACTERS, {"A": 1}, {"▁": 1}, {"B": 0.9, "C": 0.1}).numpy()
    texts, emissions = ["A C", "A B"], [unsure, sure]
    utterances = [Utterance(f"{n}", Path("none.wav"), 0.0, 1.0, text, "", 16000) for n, text in enumerate(texts)]
    split = SplitLogProbs(utterances, emissions)
    told: list[Trial] = []
    grid, beams, taken = search_weights(
        search_of(CHARACTERS, lexicon, lm),
        CHARACTERS,
        split,
        processes=1,
        grid=Grid(lm_weights=(0.0, 0.3, 6.0), word_scores=(0.0,), beams=(5, 50)),
        each=told.append,
    )
    assert [each.score.errors for each in grid] == [1, 0, 1]
    assert taken.weights == Weights(5, 0.3, 0.0)
    assert told == [*grid, *beams]


def test_weights_of_a_script_without_spaces_are_those_of_the_lowest_cer(tmp_path: Path) -> None:
    lexicon = lexicon_of(["A", "B", "C"], CHARACTERS)
    lm = language_model(tmp_path, ["A C", "A C", "B B"], LmUnits.words, CHARACTERS)
    emission = emission_of(CHARACTERS, {"A": 1}, {"▁": 1}, {"B": 0.55, "C": 0.45}).numpy()
    split = SplitLogProbs([Utterance("1", Path("none.wav"), 0.0, 1.0, "A CC", "", 16000)], [emission], CHARACTER)
    grid = Grid(lm_weights=(0.0, 0.3), word_scores=(0.0,), beams=(50,))
    trials, _, taken = search_weights(search_of(CHARACTERS, lexicon, lm), CHARACTERS, split, 1, grid)
    assert [each.score.wer for each in trials] == [0.5, 0.5]
    assert [each.score.errors for each in trials] == [2, 1]
    assert (taken.weights.lm_weight, taken.score.rate) == (0.3, 0.25)


def test_a_run_without_n_grams_in_its_settings_is_tuned_with_those_that_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "an4" / "lstm-1"
    run.mkdir(parents=True)
    settings = plain(compose(find_recipe("an4"), ["lm=none"]))
    (run / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(settings)))
    for flags, sentence in ([], "lm=none in its settings"), (["--order", "3"], "No trained model at"):
        with pytest.raises(SystemExit) as ended:
            cli.main(["tune", str(run), *flags])
        assert ended.value.code == 2 and sentence in capsys.readouterr().err


def test_what_was_tuned_stands_in_for_what_is_left_open(tmp_path: Path) -> None:
    assert read_tuned(tmp_path, "lm") is None
    folder = tuning_folder(tmp_path, "lm")
    folder.mkdir(parents=True)
    (folder / "weights.json").write_text('{"beam": 20, "lm_weight": 1.25, "word_score": 2, "dev_wer": 0.1}')
    tuned = read_tuned(tmp_path, "lm")
    assert tuned == Weights(20, 1.25, 2.0)
    decoder = compose(find_recipe("an4"), ["decoder=beam"]).decoder
    assert resolve(decoder, tuned) == tuned and resolve(decoder, None) == UNTUNED
    assert resolve(replace(decoder, lm_weight=0.0), tuned) == Weights(20, 0.0, 2.0)
    (folder / "weights.json").write_text("{}")
    with pytest.raises(RunError, match=r"run `asr tune .*` again"):
        read_tuned(tmp_path, "lm")
