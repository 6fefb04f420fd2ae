"""The phone error rate, where the tokens of a model are phones."""

from collections.abc import Iterable

import jiwer

from asr.errors import DataError
from asr.scoring.error_rates import UtteranceScore
from asr.text.phone import PhoneTokenizer
from asr.text.protocol import Tokenizer


def phone_error_rate(tokenizer: Tokenizer, scores: Iterable[UtteranceScore]) -> float | None:
    """Wrong, missing and inserted phones against those of the references, as a fraction; word boundaries do not count.

    References are the phones of their words by the lexicon's first pronunciation, hypotheses those that were decoded,
    or of the words that a beam search wrote. Utterances with a word without any pronunciation are left out.

    Returns:
        None where tokens are no phones, or where no utterance is left.
    """
    if not isinstance(tokenizer, PhoneTokenizer):
        return None
    references, hypotheses = [], []
    for score in scores:
        try:
            pair = tokenizer.said(score.reference), tokenizer.said(score.hypothesis)
        except DataError:
            continue
        references.append(pair[0])
        hypotheses.append(pair[1])
    return float(jiwer.wer(references, hypotheses)) if references else None
