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
    reads each of their utterances; `train` is the recipe's own. With 0.3, each is read in three of ten epochs."""
    source: str | None
    """A corpus of your own, for recipes/own and those of `asr new`: a folder or file in one of the formats."""
    format: SourceFormat
    """Format of the source; auto detects it."""
    columns: dict[str, str]
    """Columns of a table or of a Hugging Face dataset, as in {audio: path, text: sentence, speaker: client_id}; also
    id and, of a table, offset, duration or end, and split. Common names are found without it."""
    license: str | None
    """Licence of the corpus, for the model card: as Hugging Face names it, such as cc-by-4.0, or in words."""
    held_out: float
    """Share of the training audio of a source that becomes dev, and test, where it has none."""
    convert: bool
    """Convert the audio of a source to data.sampling_rate and one channel: the one that the source names, else the mean
    of all."""
