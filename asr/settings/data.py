"""Settings of the group `data`."""

from dataclasses import dataclass
from enum import Enum


class SourceFormat(Enum):
    auto = "auto"
    folder = "folder"
    table = "table"
    nemo = "nemo"
    kaldi = "kaldi"
    lhotse = "lhotse"
    huggingface = "huggingface"


@dataclass
class DataConfig:
    sampling_rate: int
    """Samples per second that every file must have (Hz); nothing is resampled silently."""
    mixture: dict[str, float]
    """Training manifests by their path in paths.data, as in {train: 1, digits/train.jsonl: 0.3}, and how often an epoch
    reads each of their utterances; `train` is the recipe's own. With 0.3 each is read in three of ten epochs."""
    source: str | None
    """A corpus of your own, for recipes/own and those of `asr new`: a folder or file in one of the formats."""
    format: SourceFormat
    """How the source is written; auto finds out."""
    columns: dict[str, str]
    """Columns of a table or of a dataset of Hugging Face, as in {audio: path, text: sentence, speaker: client_id}; also
    id and, of a table, offset, duration and split. Usual names are found without it."""
    held_out: float
    """Share of the training audio of a source that becomes dev, and test, where it has none."""
    convert: bool
    """Write the audio of a source anew, at data.sampling_rate and with one channel: the one that the source names, else
    the mean of all."""
