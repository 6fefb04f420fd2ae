"""Decoding of the dev split while training, shared by the ranks."""

from asr.config import Config
from asr.data.loader import evaluation_shares, load
from asr.decoding.decoder import build_decoder
from asr.decoding.evaluation import decode_batches
from asr.features.front_end import FrontEnd
from asr.features.inputs import Inputs
from asr.model.acoustic import AcousticModel
from asr.scoring.error_rates import UtteranceScore
from asr.text.protocol import Tokenizer
from asr.training.distributed import Ranks
from asr.training.lost import LostUtterances


def decode_dev(
    config: Config,
    dev: Inputs,
    front: FrontEnd,
    model: AcousticModel,
    tokenizer: Tokenizer,
    ranks: Ranks,
    lost: LostUtterances,
) -> list[UtteranceScore]:
    """Decodes every dev utterance once over all ranks; all of them get all scores.

    Args:
        lost: Takes note of those that cannot be read any more, which have no score.
    """
    shares = evaluation_shares(dev.seconds(0), ranks.rank, ranks.size, config.batching.max_device_seconds)
    batches = lost.watch(load(shares, dev, [[]] * len(dev.utterances), config.hardware.workers, dev.ids))
    decoder = build_decoder(config.decoder, tokenizer)
    return ranks.gather(list(decode_batches(batches, dev.utterances, front, model, decoder)))
