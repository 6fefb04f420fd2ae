"""Decoding of the dev split while training, shared by the ranks."""

from asr.config import Config
from asr.data.loader import evaluation_shares, load
from asr.decoding.decoder import greedy_decoder
from asr.decoding.evaluation import decode_batches
from asr.features.front_end import FrontEnd
from asr.features.inputs import Inputs
from asr.model.acoustic import AcousticModel
from asr.scoring.error_rates import UtteranceScore
from asr.text.protocol import Tokenizer
from asr.training.distributed import Ranks


def decode_dev(
    config: Config, dev: Inputs, front: FrontEnd, model: AcousticModel, tokenizer: Tokenizer, ranks: Ranks
) -> list[UtteranceScore]:
    """Decodes every dev utterance once over all ranks; all of them get all scores."""
    shares = evaluation_shares(dev.seconds(0), ranks.rank, ranks.size, config.batching.max_device_seconds)
    batches = load(shares, dev, [[]] * len(dev.utterances), config.hardware.workers)
    # Whatever decoder=... says: it is not part of a run's identity, and the best model is chosen by what this finds.
    decoder = greedy_decoder(tokenizer)
    return ranks.gather(list(decode_batches(batches, dev.utterances, front, model, decoder)))
