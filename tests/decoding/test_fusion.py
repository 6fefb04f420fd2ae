"""Recurrent language models and hot words in the beam search, and hypotheses that are rescored."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.data.utterance import Utterance
from asr.decoding.beam import BeamDecoder
from asr.decoding.search import UNTUNED, Hypothesis, Rescorer, Search, language_model_scores, lexicon_of
from asr.inference.tuning import search_recurrent_weights
from asr.lm.recurrent import RecurrentLanguageModel
from asr.lm.trained import TrainedLanguageModel, load_language_model
from asr.model.folder import save_model
from asr.settings.compose import compose
from asr.settings.lm import LmUnits
from asr.settings.recipe import RECIPES, find_recipe
from tests.helpers.emissions import CHARACTERS, decode, emission_of, language_model, search_of

UNSURE = emission_of(CHARACTERS, {"A": 0.9}, {"▁": 0.9}, {"B": 0.51, "C": 0.49}, {"▁": 0.9}, {"A": 0.9})
LEXICON = lexicon_of(["A", "B", "C"], CHARACTERS)


def favouring(letter: str, folder: Path, context: float = 0.01) -> TrainedLanguageModel:
    """A recurrent model of random weights to which one letter is more probable than the others.

    Args:
        context: How much it minds what was before.
    """
    overrides = ["lm=lstm", "lm.units=tokens", "lm.hidden=8", "tokenizer=char"]
    config = compose(find_recipe("an4"), overrides)
    torch.manual_seed(0)
    model = RecurrentLanguageModel(config.lm, CHARACTERS.size)
    with torch.no_grad():
        model.embedding.weight *= context
        model.head.bias[CHARACTERS.encode(letter)[0]] += 3
    save_model(folder, model, config, CHARACTERS)
    return load_language_model(folder)


def test_no_hot_words_change_nothing_and_a_boost_lets_the_phrase_appear(tmp_path: Path) -> None:
    lm = language_model(tmp_path, ["A B A", "A B A", "A C"], LmUnits.words, CHARACTERS)
    search = replace(search_of(CHARACTERS, LEXICON, lm), lm_weight=0.5)
    assert decode(search, CHARACTERS, [UNSURE]) == ["A B A"]
    assert not replace(search, hot_boost=5.0).composite, "without phrases KenLM is asked as ever"
    for phrase in ("C",), ("C", "A"), ("A", "C", "A"):
        assert decode(replace(search, hot=(phrase,), hot_boost=4.0), CHARACTERS, [UNSURE]) == ["A C A"]
        assert decode(replace(search, hot=(phrase,), hot_boost=0.0), CHARACTERS, [UNSURE]) == ["A B A"]
    begun_only = replace(search, hot=(("C", "C"),), hot_boost=4.0)
    assert decode(begun_only, CHARACTERS, [UNSURE]) == ["A B A"], "what is unfinished is taken back"


def test_hot_words_are_asked_for_as_the_docs_say() -> None:
    pages = [page.read_text(encoding="utf-8") for page in (RECIPES.parent / "docs" / "how-to").glob("*.md")]
    lines = (line for page in pages for line in page.splitlines())
    (line,) = (line for line in lines if line.startswith("$") and "decoder.hot_words" in line)
    _, _, _, recipe, *overrides = shlex.split(line)
    assert compose(find_recipe(recipe), overrides).decoder.hot_words == ["RUBOUT", "G M"]


def test_hot_words_are_found_among_tokens_too() -> None:
    search = search_of(CHARACTERS)
    assert decode(search, CHARACTERS, [UNSURE]) == ["A B A"]
    assert decode(replace(search, hot=(("C", "▁", "A"),), hot_boost=3.0), CHARACTERS, [UNSURE]) == ["A C A"]


def test_phrases_that_overlap_and_begin_alike_are_followed() -> None:
    hot = pytest.importorskip("asr.decoding.fusion", exc_type=RuntimeError).HotWords([[1, 2, 3], [2, 4]], boost=1.0)
    begun, total = (), 0.0
    for unit in (1, 2, 4):  # 1 2 is given up, 2 4 is whole
        begun, score = hot.follow(begun, unit)
        total += score
    assert (begun, total) == ((), 2.0)
    begun, total = (), 0.0
    for unit in (1, 1, 2, 5):
        begun, score = hot.follow(begun, unit)
        total += score
    assert (begun, total) == ((), 0.0)


@pytest.mark.parametrize("by_words", [True, False])
def test_a_recurrent_model_is_asked_within_the_search(by_words: bool, tmp_path: Path) -> None:
    trained = favouring("C", tmp_path)
    search = search_of(CHARACTERS, LEXICON if by_words else None)
    fused = replace(search, recurrent=str(trained.folder), recurrent_weight=1.0)
    assert decode(fused, CHARACTERS, [UNSURE]) == ["A C A"]
    assert decode(replace(fused, recurrent_weight=0.0), CHARACTERS, [UNSURE]) == ["A B A"]


def test_within_the_search_a_text_scores_what_it_scores_afterwards(tmp_path: Path) -> None:
    trained = favouring("C", tmp_path, context=1.0)
    several = replace(search_of(CHARACTERS, LEXICON), nbest=20, beam=200)
    plain_scores = scores(several)
    fused = scores(replace(several, recurrent=str(trained.folder), recurrent_weight=0.7))
    log_probs = language_model_scores(trained, list(fused))
    assert len(fused.keys() & plain_scores.keys()) > 3
    for text in fused.keys() & plain_scores.keys():
        assert fused[text] == pytest.approx(plain_scores[text] + 0.7 * log_probs[text], abs=1e-3)


def scores(search: Search) -> dict[str, float]:
    with BeamDecoder(search, CHARACTERS, processes=1) as decoder:
        (found,) = decoder.search_emissions([UNSURE.numpy()])
    return {item.text: item.score for item in found}


def test_hypotheses_are_rescored(tmp_path: Path) -> None:
    trained = favouring("C", tmp_path)
    found = [[Hypothesis("A B", -1.0), Hypothesis("A C", -1.5)], [Hypothesis("B", -1.0)]]
    for weight, expected in ((0.0, "A B"), (1.0, "A C")):
        (first, _), (only,) = Rescorer(trained, weight, 0.0)(found)
        assert (first.text, only.text) == (expected, "B")
    (first, _), _ = Rescorer(trained, 0.0, 2.0)([[found[0][0], Hypothesis("A B C", -2.0)], found[1]])
    assert (first.text, first.score) == ("A B C", 4.0)


def test_weights_of_rescoring_are_found_on_a_split(tmp_path: Path) -> None:
    trained = favouring("C", tmp_path)
    found = [[Hypothesis("A B", -1.0), Hypothesis("A C", -1.5)], [Hypothesis("B", -1.0), Hypothesis("C C", -9.0)]]
    utterances = [Utterance(f"{n}", Path("none.wav"), 0.0, 1.0, text, "", 16000) for n, text in enumerate(["A C", "B"])]
    log_probs = language_model_scores(trained, ["A B", "A C", "B", "C C"])
    grid, taken = search_recurrent_weights(utterances, found, log_probs, UNTUNED)
    assert taken.score.errors == 0 and taken.weights.recurrent_weight > 0
    none = next(trial for trial in grid if trial.weights == replace(UNTUNED, recurrent_weight=0.0))
    assert none.score.errors == 1
