"""Stretches of speech: written, read, found in probabilities, and matched."""

import numpy as np
import pytest

from asr.common.errors import DataError
from asr.inference.forced_alignment import FrameTimes
from asr.inference.speech import area_under_curve, matched, speech_spans
from asr.text.speech import read_spans, written_spans

TIMES = FrameTimes(0.02, 0.0)


def test_stretches_are_read_as_they_were_written() -> None:
    spans = [(0.31, 1.02), (1.38, 2.0)]
    assert read_spans(written_spans(spans)) == spans
    assert read_spans("") == []


@pytest.mark.parametrize("text", ["YES", "1.0", "2.0-1.0", "0.5-1.0 0.9-2.0", "1-", "-0.5-1.0"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="is no stretch of speech"):
        read_spans(text)


def test_short_pauses_belong_to_speech_and_short_bursts_do_not() -> None:
    speech = np.zeros(100, dtype=np.float32)
    speech[10:30] = speech[35:50] = 0.9  # 0.1 s apart
    speech[70:73] = 0.9  # 60 ms
    assert speech_spans(speech, TIMES) == [(0.2, 1.0)]


def test_segments_match_where_they_share_half_of_both() -> None:
    assert matched([(0, 1), (2, 3)], [(0.1, 1.2), (2.6, 4)]) == [(0, 0)]
    assert matched([(0, 1)], []) == []


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    scores, labels = np.array([0.1, 0.4, 0.35, 0.8], dtype=np.float32), np.array([False, False, True, True])
    assert area_under_curve(scores, labels) == pytest.approx(0.75)
    assert area_under_curve(np.full(4, 0.5, dtype=np.float32), labels) == pytest.approx(0.5)
    assert area_under_curve(scores, np.ones(4, dtype=bool)) == 0.5
