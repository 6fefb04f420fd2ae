"""How much context a model uses, on models whose memory is known: its reach, and hypotheses with limited context."""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.common.errors import RunError
from asr.comparison.context_use import Reach, differentiable, gradient_reach, limit_context, windowed_log_probs, windows
from asr.data.audio import read_waveform
from asr.data.utterance import Utterance
from asr.inference.recognizer import Recognizer, load
from asr.model.acoustic import AcousticModel
from asr.model.folder import build_model, save_model
from asr.scoring.error_rates import score_utterance
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.text.tokenizer import build_tokenizer
from tests.helpers.corpora import write_utterance

HOP = 0.01
CONVOLUTIONS = 3 * HOP
"""The context of the two convolutions on either side."""

TEXTS = ["FOUR FIVE SIX SEVEN", "ONE TWO THREE", "EIGHT NINE"]


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Utterance]:
    folder = tmp_path_factory.mktemp("audio")
    return [write_utterance(folder / f"{number}.wav", text, seed=number) for number, text in enumerate(TEXTS)]


SMALL = ["tokenizer=char", "features.normalization=utterance", "model.hidden=16", "model.channels=4"]


def make_recognizer(
    folder: Path, overrides: Sequence[str], change: Callable[[AcousticModel], None] = lambda model: None
) -> Recognizer:
    config = compose(find_recipe("an4"), [*SMALL, *overrides])
    tokenizer = build_tokenizer(config.tokenizer, [])
    torch.manual_seed(0)
    model = build_model(config, tokenizer.size)
    with torch.no_grad():
        change(model)
    save_model(folder, model, config, tokenizer)
    return load(folder)


def forgetful(model: AcousticModel) -> None:
    """Takes the memory out of plain recurrent layers."""
    for name, weight in model.named_parameters():
        if "weight_hh" in name:
            weight.zero_()


def forward_only(model: AcousticModel) -> None:
    """Takes the input out of the backward direction."""
    for name, weight in model.named_parameters():
        if "weight_ih" in name and "reverse" in name:
            weight.zero_()


def features_of(recognizer: Recognizer, utterance: Utterance) -> torch.Tensor:
    waveform = read_waveform(utterance)
    return recognizer.front(waveform[None], torch.tensor([len(waveform)]))[0][0]


@pytest.mark.parametrize("subsampling", [2, 4])
def test_without_memory_only_the_convolutions_have_context(
    subsampling: int, utterances: Sequence[Utterance], tmp_path: Path
) -> None:
    recognizer = make_recognizer(tmp_path, ["model=rnn", f"model.subsampling={subsampling}"], forgetful)
    reach = gradient_reach(recognizer, utterances)
    near = np.abs(reach.lags) <= CONVOLUTIONS + HOP / 2
    assert (reach.gradient[near] > 0).all()
    assert (reach.gradient[~near] == 0).all()
    assert max(reach.farthest()) <= CONVOLUTIONS + HOP / 2
    assert reach.gradient.max() == 1


def test_a_model_that_only_runs_forward_depends_on_the_past(utterances: Sequence[Utterance], tmp_path: Path) -> None:
    reach = gradient_reach(make_recognizer(tmp_path, ["model=lstm"], forward_only), utterances)
    past, future = reach.farthest(0.0)
    assert past > 0.5
    assert (reach.gradient[reach.lags < -CONVOLUTIONS - HOP / 2] == 0).all()
    assert (reach.gradient[reach.lags > CONVOLUTIONS] > 0).all()
    assert reach.past(0.9) > reach.future(0.9)
    assert (past, future) == (reach.lags.max(), -reach.lags.min())


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "ligru"])
def test_what_is_differentiated_is_what_is_decoded(cell: str, utterances: Sequence[Utterance], tmp_path: Path) -> None:
    recognizer = make_recognizer(tmp_path, [f"model={cell}"])
    features = features_of(recognizer, utterances[0])[None]
    lengths = torch.tensor([features.shape[1]])
    torch.testing.assert_close(
        differentiable(recognizer)(features, lengths)[0], recognizer.model(features, lengths)[0], rtol=1e-5, atol=1e-5
    )


def test_the_reach_follows_from_the_seed(utterances: Sequence[Utterance], tmp_path: Path) -> None:
    recognizer = make_recognizer(tmp_path, ["model=gru"])
    first, again, other = (gradient_reach(recognizer, utterances[:1], seed=seed).gradient for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_utterances_there_is_no_reach(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no utterance"):
        gradient_reach(make_recognizer(tmp_path, ["model=gru"]), [])


def test_shares_are_read_off_the_curve() -> None:
    lags = np.arange(-3, 4) * 0.1
    reach = Reach(lags, np.array([0.0, 0.0, 0.25, 1.0, 0.5, 0.25, 0.001]), np.full(7, 9))
    assert reach.past(0.5) == pytest.approx(0.0)
    assert reach.past(0.9) == pytest.approx(0.2)
    assert reach.future(0.9) == pytest.approx(0.1)
    assert reach.farthest() == pytest.approx((0.2, 0.1))


@pytest.mark.parametrize("frames", [1, 2, 7, 100])
@pytest.mark.parametrize("subsampling", [2, 4])
def test_windows_keep_every_frame_once_and_hold_the_context(frames: int, subsampling: int) -> None:
    for context, kept in product((0, 1, 4, 25, 1000), (0, 1, 3, 1000)):
        check_windows(frames, subsampling, context, kept)


def check_windows(frames: int, subsampling: int, context: int, kept: int) -> None:
    outputs = []
    for window in windows(frames, subsampling, context, kept):
        assert 0 <= window.first_input < window.last_input <= frames
        assert window.first_input % subsampling == 0
        for output in range(window.first_kept, window.last_kept):
            outputs.append(output)
            context_of = (window.first_input - output * subsampling, window.last_input - 1 - output * subsampling)
            assert -context <= context_of[0] <= 0 <= context_of[1] <= context
            if kept <= 1:
                assert context_of[0] < -context + subsampling or window.first_input == 0
                assert context_of[1] == context or window.last_input == frames
    assert outputs == list(range(-(-frames // subsampling)))


@pytest.mark.parametrize("subsampling", [2, 4])
@pytest.mark.parametrize("kept_share", [0.0, 0.25])
def test_a_model_without_memory_loses_nothing_with_limited_context(
    subsampling: int, kept_share: float, utterances: Sequence[Utterance], tmp_path: Path
) -> None:
    recognizer = make_recognizer(tmp_path, ["model=rnn", f"model.subsampling={subsampling}"], forgetful)
    features = features_of(recognizer, utterances[0])
    whole = recognizer.model(features[None], torch.tensor([len(features)]))[0][:, 0]
    cut = windowed_log_probs(recognizer, features, 0.15, kept_share)
    torch.testing.assert_close(cut, whole, rtol=1e-5, atol=1e-5)
    assert (windowed_log_probs(recognizer, features, 0.0, kept_share) - whole).abs().max() > 1e-3


def test_what_lies_beyond_the_context_changes_nothing(utterances: Sequence[Utterance], tmp_path: Path) -> None:
    recognizer = make_recognizer(tmp_path, ["model=lstm"])
    features = features_of(recognizer, utterances[0])
    output, context = 12, 20
    centre = output * recognizer.config.model.subsampling
    changed = features.clone()
    changed[: centre - context] += 1
    changed[centre + context + 1 :] += 1
    before, after = (windowed_log_probs(recognizer, item, context * HOP, 0.25) for item in (features, changed))
    torch.testing.assert_close(after[output], before[output], rtol=1e-5, atol=1e-6)
    assert (after[output + 1] - before[output + 1]).abs().max() > 1e-5
    assert (after[output - 1] - before[output - 1]).abs().max() > 1e-5


def test_the_whole_context_gives_the_ordinary_hypotheses(utterances: Sequence[Utterance], tmp_path: Path) -> None:
    recognizer = make_recognizer(tmp_path, ["model=gru"])
    hypotheses = recognizer.transcribe([utterance.audio_filepath for utterance in utterances])
    ordinary = [score_utterance(*pair) for pair in zip(utterances, hypotheses, strict=True)]
    assert any(hypotheses)
    limited = limit_context(recognizer, utterances, [None, 100.0, 0.05])
    assert [each.seconds for each in limited] == [None, 100.0, 0.05]
    assert limited[0].scores == limited[1].scores == ordinary
