"""The delay of a stream: from the end of a word, by a model that reads all of the utterance, until it is written."""

import dataclasses
from pathlib import Path

import pytest
import torch

from asr.batching.dataset import Dataset
from asr.batching.loader import Batch
from asr.common.errors import ConfigError, RunError
from asr.data.utterance import Utterance
from asr.inference.delay import aligner_of, word_delays
from asr.inference.evaluation import read_batches
from asr.inference.recognizer import Recognizer
from asr.settings.compose import as_yaml
from asr.settings.recipe import SETTINGS
from tests.helpers.configurations import composed
from tests.helpers.corpora import write_corpus
from tests.helpers.models import save_small_model
from tests.helpers.tone_recognizer import tone_recognizer

TEXTS = ["AB CD", "EF GH IJ KL MN OP QR"]
FRAME, HOP, WINDOW = 0.04, 0.01, 0.025


@pytest.fixture(scope="module")
def aligner() -> Recognizer:
    return tone_recognizer()


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("corpus")
    return Dataset(write_corpus(folder, {"train": ["A"], "dev": ["A"], "test": TEXTS})["test"], None, None, 1)


def streaming(lookahead: int) -> Recognizer:
    """The same recognizer with the settings of a stream."""
    recognizer = tone_recognizer()
    model = dataclasses.replace(recognizer.config.model, bidirectional=False, lookahead=lookahead)
    recognizer.config = dataclasses.replace(recognizer.config, model=model)
    return recognizer


def one_batch(split: Dataset, recognizer: Recognizer) -> Batch:
    config = dataclasses.replace(recognizer.config, hardware=dataclasses.replace(recognizer.config.hardware, workers=0))
    (batch,) = read_batches(split, config)
    return batch


def delays_of(split: Dataset, aligner: Recognizer, lookahead: int, utterances: list[Utterance]) -> list[float]:
    return word_delays(utterances, one_batch(split, aligner), streaming(lookahead), aligner)


def test_a_word_is_written_when_the_audio_for_its_last_token_has_arrived(split: Dataset, aligner: Recognizer) -> None:
    utterances = list(split.utterances)
    delays = delays_of(split, aligner, 0, utterances)
    assert len(delays) == 2 + 7
    # From the frame of the last letter, which is 0.1 s long: its window, the convolutions, less what the end has on it.
    assert all(-0.1 < delay < 0.1 for delay in delays)


@pytest.mark.parametrize("lookahead", [1, 5, 10])
def test_lookahead_adds_its_frames_to_the_delay(lookahead: int, split: Dataset, aligner: Recognizer) -> None:
    utterances = list(split.utterances)
    without, with_it = delays_of(split, aligner, 0, utterances), delays_of(split, aligner, lookahead, utterances)
    added = torch.tensor(with_it) - torch.tensor(without)
    # The end of the utterance ends all waiting.
    assert float(added.max()) == pytest.approx(lookahead * FRAME)
    assert bool((added >= -1e-9).all()) and bool((added <= lookahead * FRAME + 1e-6).all())


def test_wrong_words_have_no_delay(split: Dataset, aligner: Recognizer) -> None:
    utterances = [split.utterances[0], dataclasses.replace(split.utterances[1], text="EF GH ZZ KL MN OP QR")]
    assert len(delays_of(split, aligner, 0, utterances)) < 2 + 7


def test_an_utterance_that_the_aligning_model_cannot_write_is_left_out(split: Dataset, aligner: Recognizer) -> None:
    utterances = [split.utterances[0], dataclasses.replace(split.utterances[1], text="ПЯТЬ")]
    assert len(delays_of(split, aligner, 0, utterances)) == 2


def saved(folder: Path, *overrides: str) -> str:
    """A run with a small model."""
    save_small_model(folder / "model")
    for place in (folder, folder / "model"):
        (place / SETTINGS).write_text(as_yaml(composed("an4", *overrides)))
    return str(folder)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model=lstm"], "model.bidirectional=true and reads whole"),
        (["features.normalization=utterance"], "features.normalization=utterance, which is known"),
        (["decoder=beam"], "leave out decoder=beam"),
        (["evaluation.models=[runs/an4/gru-1]"], "evaluation.models"),
        (["data.sampling_rate=8000", "features.mels=40"], "16000 Hz, and the run for 8000 Hz"),
    ],
)
def test_settings_without_a_delay_are_refused(overrides: list[str], sentence: str, tmp_path: Path) -> None:
    run = saved(tmp_path / "lstm-0")
    given = [f"evaluation.alignment_model={run}"]
    with pytest.raises(ConfigError, match=sentence):
        aligner_of(composed("an4", "model=lstm_streaming", *given, *overrides))


def test_a_model_of_one_direction_does_not_say_when_words_end(tmp_path: Path) -> None:
    run = saved(tmp_path / "lstm-0", "model=gru_streaming")
    with pytest.raises(ConfigError, match="is of one direction too"):
        aligner_of(composed("an4", "model=lstm_streaming", f"evaluation.alignment_model={run}"))


def test_without_a_model_there_is_no_delay() -> None:
    assert aligner_of(composed("an4", "model=lstm_streaming")) is None
    with pytest.raises(RunError, match=r"evaluation\.alignment_model"):
        aligner_of(composed("an4", "model=lstm_streaming", "evaluation.alignment_model=nowhere"))
