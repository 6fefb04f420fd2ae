"""The hypotheses of several models are combined, and each is scored by all of them."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby, product

import pytest
import torch
from torch import Tensor

from asr.decoding.beam import BeamDecoder
from asr.decoding.decoder import GreedyDecoder, greedy
from asr.inference.ensembles import HypothesisEnsemble, average, text_log_probs
from asr.inference.recognition import BatchRecognizer
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.text.char import CharTokenizer
from asr.text.protocol import Tokenizer
from tests.helpers.emissions import CHARACTERS, emission_of, search_of

OTHERS = CharTokenizer(" CBA")


class Fixed(BatchRecognizer):
    """A recognizer whose log-probabilities are always the same."""

    config = compose(find_recipe("an4"))
    parameters = 0

    def __init__(self, tokenizer: Tokenizer, emission: Tensor) -> None:
        self.tokenizer, self.emission, self.decoder = tokenizer, emission, GreedyDecoder(tokenizer)

    def log_probs(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.emission[:, None], torch.tensor([len(self.emission)])


def combined(
    members: Sequence[Fixed], text_score: Callable[[str], float] = lambda text: 0.0, keep: int = 1
) -> list[str]:
    with ExitStack() as opened:
        decoders = [
            opened.enter_context(BeamDecoder(replace(search_of(one.tokenizer), nbest=10), one.tokenizer, 1))
            for one in members
        ]
        ensemble = HypothesisEnsemble(members, decoders, text_score, keep)
        (found,) = ensemble.recognize(torch.zeros(1, 1), torch.tensor([1])).hypotheses
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    return [item.text for item in found]


def test_the_probability_of_a_text_is_that_of_all_its_paths() -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(4, len(CHARACTERS.symbols)).log_softmax(-1)
    paths: dict[tuple[int, ...], float] = {}
    for path in product(range(len(CHARACTERS.symbols)), repeat=4):
        written = tuple(token for token, _ in groupby(path) if token)
        probability = math.exp(sum(float(log_probs[frame, token]) for frame, token in enumerate(path)))
        paths[written] = paths.get(written, 0.0) + probability
    space = CHARACTERS.separator
    assert space is not None
    texts = ["A", "AB", "A B", "", "CABA"]
    expected = []
    for text in texts:
        tokens = tuple(CHARACTERS.encode(text))
        ways = {(*before, *tokens, *behind) for before in ((), (space,)) for behind in ((), (space,))}
        expected.append(math.log(sum(paths.get(way, 0.0) for way in ways)))
    assert text_log_probs(log_probs, CHARACTERS, texts) == pytest.approx(expected)
    assert text_log_probs(log_probs, CHARACTERS, ["ABABA", "X"]) == [-math.inf, -math.inf]
    assert text_log_probs(log_probs[:0], CHARACTERS, ["A", ""]) == [-math.inf, 0.0]


def test_an_ensemble_of_one_orders_hypotheses_as_its_search_does() -> None:
    emission = emission_of(CHARACTERS, {"A": 0.9, "B": 0.1}, {"▁": 0.999, "B": 0.001}, {"": 1.0})
    assert combined([Fixed(CHARACTERS, emission)], keep=3) == ["A", "B", "AB"]


def test_a_text_that_a_model_cannot_write_is_out() -> None:
    one, other = CharTokenizer(" AB"), CharTokenizer(" B")
    members = [
        Fixed(one, emission_of(one, {"A": 0.9, "B": 0.1})),
        Fixed(other, emission_of(other, {"B": 0.5, "": 0.5})),
    ]
    assert set(combined(members, keep=9)) == {"B", ""}


def test_a_confident_model_outweighs_one_that_guesses() -> None:
    unsure = Fixed(CHARACTERS, emission_of(CHARACTERS, {"A": 0.6, "B": 0.4}))
    confident = Fixed(OTHERS, emission_of(OTHERS, {"B": 0.9, "A": 0.1}))
    assert (combined([unsure]), combined([confident])) == (["A"], ["B"])
    assert combined([unsure, confident], keep=2) == ["B", "A"], "the tokens need not be the same"
    assert combined([unsure, confident], lambda text: 5.0 * (text == "A")) == ["A"]


def test_a_token_that_the_models_write_in_other_frames_is_kept() -> None:
    early = emission_of(CHARACTERS, {"A": 0.9, "": 0.1}, {"": 0.9}, {"": 0.9, "A": 0.01})
    late = emission_of(CHARACTERS, {"": 0.9, "A": 0.01}, {"": 0.9}, {"A": 0.9, "": 0.1})
    assert greedy(average([early, late])[:, None], torch.tensor([3])) == [[]], "an average of frames loses it"
    assert combined([Fixed(CHARACTERS, early), Fixed(CHARACTERS, late)]) == ["A"]
