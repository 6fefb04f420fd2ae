"""The hypotheses of several models are pooled, and each is scored by all of them."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby, product

import pytest
import torch
from torch import Tensor

from asr.decoding.beam import BeamDecoder
from asr.decoding.greedy import greedy
from asr.inference.ensembles import Pool, average, text_log_probs
from asr.text.char import CharTokenizer
from asr.text.protocol import Tokenizer
from tests.decoding.test_beam_search import CHARACTERS, heard, search_of

OTHERS = CharTokenizer(" CBA")


@dataclass
class Hearing:
    """A recognizer that always hears the same."""

    tokenizer: Tokenizer
    emission: Tensor

    def log_probs(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.emission[:, None], torch.tensor([len(self.emission)])


def pooled(
    members: Sequence[Hearing], text_score: Callable[[str], float] = lambda text: 0.0, keep: int = 1
) -> list[str]:
    with ExitStack() as opened:
        decoders = [
            opened.enter_context(BeamDecoder(replace(search_of(one.tokenizer), nbest=10), one.tokenizer, 1))
            for one in members
        ]
        (found,) = Pool(members, decoders, text_score, keep)(torch.zeros(1, 1), torch.tensor([1])).hypotheses
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


def test_a_pool_of_one_orders_hypotheses_as_its_search_does() -> None:
    emission = heard(CHARACTERS, {"A": 0.9, "B": 0.1}, {"▁": 0.999, "B": 0.001}, {"": 1.0})
    assert pooled([Hearing(CHARACTERS, emission)], keep=3) == ["A", "B", "AB"]


def test_a_text_that_a_model_cannot_write_is_out() -> None:
    one, other = CharTokenizer(" AB"), CharTokenizer(" B")
    members = [Hearing(one, heard(one, {"A": 0.9, "B": 0.1})), Hearing(other, heard(other, {"B": 0.5, "": 0.5}))]
    assert set(pooled(members, keep=9)) == {"B", ""}


def test_what_one_model_is_sure_of_wins_over_what_the_other_guesses() -> None:
    unsure = Hearing(CHARACTERS, heard(CHARACTERS, {"A": 0.6, "B": 0.4}))
    sure = Hearing(OTHERS, heard(OTHERS, {"B": 0.9, "A": 0.1}))
    assert (pooled([unsure]), pooled([sure])) == (["A"], ["B"])
    assert pooled([unsure, sure], keep=2) == ["B", "A"], "the tokens need not be the same"
    assert pooled([unsure, sure], lambda text: 5.0 * (text == "A")) == ["A"]


def test_a_token_that_the_models_write_in_other_frames_is_kept() -> None:
    early = heard(CHARACTERS, {"A": 0.9, "": 0.1}, {"": 0.9}, {"": 0.9, "A": 0.01})
    late = heard(CHARACTERS, {"": 0.9, "A": 0.01}, {"": 0.9}, {"A": 0.9, "": 0.1})
    assert greedy(average([early, late])[:, None], torch.tensor([3])) == [[]], "an average of frames loses it"
    assert pooled([Hearing(CHARACTERS, early), Hearing(CHARACTERS, late)]) == ["A"]
