"""One pass over a split: every utterance once, in the order of the manifest, whatever ranks and batches there are."""

import dataclasses
from pathlib import Path

import pytest
import torch

from asr.batching.dataset import Dataset
from asr.common.errors import DataError
from asr.inference.evaluation import decode_utterances, read_batches, recognize_batches
from asr.inference.recognizer import Recognizer
from asr.settings.root import Config
from tests.helpers.corpora import write_corpus
from tests.helpers.tone_recognizer import tone_recognizer

TEXTS = ["AB CD", "EF", "GH IJ KL", "MN O", "P"]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return tone_recognizer()


@pytest.fixture
def split(tmp_path: Path) -> Dataset:
    return Dataset(write_corpus(tmp_path, {"train": ["A"], "dev": ["A"], "test": TEXTS})["test"], None, None, 1)


def config_of(recognizer: Recognizer, seconds: float) -> Config:
    """Batches of this many seconds, read in this process."""
    return dataclasses.replace(
        recognizer.config,
        batching=dataclasses.replace(recognizer.config.batching, max_device_seconds=seconds),
        hardware=dataclasses.replace(recognizer.config.hardware, workers=0),
    )


def test_utterances_are_scored_in_the_order_of_the_manifest(recognizer: Recognizer, split: Dataset) -> None:
    batches = read_batches(split, config_of(recognizer, 2.0))
    decoded = decode_utterances(recognizer, split.utterances, batches)
    assert [one.number for one in decoded] == [0, 1, 2, 3, 4]
    assert [one.score.hypothesis for one in decoded] == TEXTS
    assert [[item.text for item in one.hypotheses] for one in decoded] == [[text] for text in TEXTS]
    assert all(one.score.errors == 0 and one.measures.ctc_loss is not None for one in decoded)


def test_ranks_share_the_utterances_and_find_what_one_finds(recognizer: Recognizer, split: Dataset) -> None:
    config = config_of(recognizer, 60.0)
    alone = decode_utterances(recognizer, split.utterances, read_batches(split, config))
    shared = [
        one
        for rank in range(3)
        for one in decode_utterances(recognizer, split.utterances, read_batches(split, config, rank, 3))
    ]
    assert len(shared) == len(alone)
    for one, other in zip(alone, sorted(shared, key=lambda one: one.number), strict=True):
        assert dataclasses.replace(one.score, ctc_loss_per_token=None) == dataclasses.replace(
            other.score, ctc_loss_per_token=None
        )
        assert one.score.ctc_loss_per_token == pytest.approx(other.score.ctc_loss_per_token, abs=1e-5)


def test_an_unreadable_utterance_ends_the_pass_or_is_left_out_and_named(
    recognizer: Recognizer, split: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr.batching.loader.RETRY_SECONDS", ())
    split.utterances[1].audio_filepath.unlink()
    config = config_of(recognizer, 60.0)
    with pytest.raises(DataError, match=split.utterances[1].id):
        decode_utterances(recognizer, split.utterances, read_batches(split, config))
    decoded = decode_utterances(recognizer, split.utterances, read_batches(split, config, tolerant=True))
    assert [one.number for one in decoded] == [0, 2, 3, 4]


def test_a_batch_of_which_nothing_could_be_read_is_skipped(
    recognizer: Recognizer, split: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr.batching.loader.RETRY_SECONDS", ())
    split.utterances[4].audio_filepath.unlink()
    batches = list(read_batches(split, config_of(recognizer, 0.1), tolerant=True))
    assert sorted(len(batch.utterances) for batch in batches) == [0, 1, 1, 1, 1]
    found = list(recognize_batches(recognizer, batches))
    assert sorted(number for numbers, _ in found for number in numbers) == [0, 1, 2, 3]
    assert all(torch.isfinite(recognition.log_probs).all() for _, recognition in found)
