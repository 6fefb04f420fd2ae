"""The log-probabilities of a split, computed once for many decodings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from asr.config import Config
from asr.data.folders import appearing_file
from asr.data.loader import evaluation_shares, load
from asr.data.manifest import read_manifest
from asr.data.shards.audio import open_audio
from asr.data.utterance import Utterance
from asr.decoding.combination import Combination
from asr.features.inputs import Inputs
from asr.progress import Progress
from asr.recipe import Recipe


@dataclass(frozen=True)
class HeardSplit:
    """What models hear in a split."""

    utterances: Sequence[Utterance]
    emissions: Sequence[npt.NDArray[np.float32]]
    """Log-probabilities of each utterance, (frames, tokens)."""


def split_log_probs(recipe: Recipe, config: Config, split: str, heard: Combination) -> HeardSplit:
    """Computes the log-probabilities of every utterance of a split.

    Raises:
        DataError: The manifest or an utterance cannot be read.
    """
    utterances = read_manifest(recipe.manifest(config, split))
    audio = open_audio(config.shards, recipe.data(config))
    inputs = Inputs(utterances, None, None, config.seed, audio=audio)
    shares = evaluation_shares(inputs.seconds(0), 0, 1, config.batching.max_device_seconds)
    found: dict[int, npt.NDArray[np.float32]] = {}
    with Progress(f"Hearing {split}", len(utterances), "utterances") as progress:
        for batch in load(shares, inputs, [[]] * len(utterances), config.hardware.workers):
            log_probs, lengths = heard.log_probs(batch.inputs, batch.lengths)
            for place, number in enumerate(batch.utterances):
                found[int(number)] = log_probs[: int(lengths[place]), place].float().cpu().numpy()
            progress.advance(len(batch.utterances))
    return HeardSplit(utterances, [found[number] for number in range(len(utterances))])


def kept_log_probs(recipe: Recipe, config: Config, split: str, heard: Combination, file: Path, key: str) -> HeardSplit:
    """As `split_log_probs`, but read from a file if it is there for the same key, else kept there.

    Args:
        file: A .npz.
        key: Of all that determines the log-probabilities.
    """
    try:
        with np.load(file, allow_pickle=False) as kept:
            if str(kept["key"]) == key:
                utterances = read_manifest(recipe.manifest(config, split))
                return HeardSplit(utterances, [kept[f"{number}"] for number in range(len(utterances))])
    except (OSError, ValueError, KeyError, BadZipFile):
        pass  # not there, or damaged: computed anew
    computed = split_log_probs(recipe, config, split, heard)
    arrays: dict[str, Any] = {f"{number}": emission for number, emission in enumerate(computed.emissions)}
    with appearing_file(file) as beside:
        np.savez(beside, key=np.array(key), **arrays)
    return computed
