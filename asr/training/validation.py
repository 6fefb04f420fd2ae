"""The dev split while training: decoded by all ranks together, and what is logged of it."""

from collections.abc import Sequence

from asr.config import Config
from asr.data.draws import key_of
from asr.data.loader import evaluation_shares, load
from asr.decoding.decoder import greedy_decoder
from asr.decoding.evaluation import Decoded, decode_batches
from asr.decoding.phones import phone_error_rate
from asr.features.front_end import FrontEnd
from asr.features.inputs import Inputs
from asr.model.acoustic import AcousticModel
from asr.scoring.error_rates import UtteranceScore, total
from asr.scoring.intervals import bootstrap_interval
from asr.text.protocol import Tokenizer
from asr.training.distributed import Ranks
from asr.training.lost import LostUtterances

BOOTSTRAP_SAMPLES = 1000
"""Enough for a curve; `asr evaluate` draws more."""


def decode_dev(
    config: Config,
    dev: Inputs,
    front: FrontEnd,
    model: AcousticModel,
    tokenizer: Tokenizer,
    ranks: Ranks,
    lost: LostUtterances,
) -> list[Decoded]:
    """Decodes every dev utterance once over all ranks; all of them get all, in the order of the manifest.

    Args:
        lost: Takes note of those that cannot be read any more, which are left out.
    """
    shares = evaluation_shares(dev.seconds(0), ranks.rank, ranks.size, config.batching.max_device_seconds)
    batches = lost.watch(load(shares, dev, [[]] * len(dev.utterances), config.hardware.workers, dev.ids))
    # Whatever decoder=... says: it is not part of a run's identity, and the best model is chosen by what this finds.
    decoder = greedy_decoder(tokenizer)
    decoded = ranks.gather(list(decode_batches(batches, dev.utterances, front, model, decoder, tokenizer)))
    places = {utterance.id: place for place, utterance in enumerate(dev.utterances)}
    return sorted(decoded, key=lambda one: places[one.score.id])


def dev_metrics(decoded: Sequence[Decoded], tokenizer: Tokenizer) -> dict[str, float]:
    """What is logged of the dev split after an epoch; rates and shares are fractions.

    The loss is that of the transcripts that fit, in nats for each token; dev/per stands there where tokens are phones.
    """
    scores = [one.score for one in decoded]
    score = total(scores)
    low, high = bootstrap_interval(scores, samples=BOOTSTRAP_SAMPLES)
    fitting = [one for one in decoded if one.score.ctc_loss_per_token is not None]
    tokens = sum(one.measures.labels for one in fitting)
    loss = {"dev/loss": sum(one.measures.ctc_loss or 0.0 for one in fitting) / tokens} if tokens else {}
    phones = phone_error_rate(tokenizer, scores)
    frames = sum(one.measures.frames for one in decoded)
    return (
        {
            "dev/wer": score.wer,
            "dev/wer_low": low,
            "dev/wer_high": high,
            "dev/cer": score.cer,
            "dev/substitutions": score.substitutions,
            "dev/deletions": score.deletions,
            "dev/insertions": score.insertions,
            "dev/blank_share": sum(one.measures.blank_frames for one in decoded) / frames,
            "dev/empty_share": sum(not one.score.hypothesis for one in decoded) / len(decoded),
        }
        | loss
        | ({} if phones is None else {"dev/per": phones})
    )


def choose_panel(decoded: Sequence[Decoded], count: int) -> list[UtteranceScore]:
    """The same few utterances after every epoch and in every run on the same dev split, drawn by their ids."""
    drawn = sorted((one.score for one in decoded), key=lambda score: key_of(score.id))[:count]
    return sorted(drawn, key=lambda score: score.id)
