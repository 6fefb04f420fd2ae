"""Settings of the data: the corpus and the batches."""

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


@dataclass
class CheckConfig:
    """The doctor. None of it changes a training, but for the manifests that `fix` cleans."""

    json: str | None
    """Write all findings into this file too, as JSON."""
    fix: bool
    """Write the manifests anew without the utterances that have errors; those as they were stay beside them."""
    lines: int
    """Findings of a kind that are printed; the rest of them is counted."""
    model: str | None
    """Folder of a run or of a model that looks for anomalies: transcripts that do not belong to their audio."""
    anomaly: float
    """Score from which a transcript is an anomaly: 0 fits as usual in its split, 1 no better than transcripts of other
    utterances. Lower finds more of what is wrong in part, and more that is right but hard to hear."""
    fix_anomalies: bool
    """check.fix leaves anomalies out of train too; listen to them first."""


@dataclass
class PackConfig:
    """How `asr pack` writes shards."""

    output: str | None
    """Folder of the shards; null is `shards` in the recipe's data folder."""
    shard_mb: float
    """About so much each shard has (MB); fewer and larger ones are better for servers, smaller ones for copying."""


@dataclass
class ShardsConfig:
    """Where audio is read from. None of it changes a training: shards hold the same samples as the files."""

    source: str | None
    """Folder or address (s3://, gs://, https://, ...) of what `asr pack` wrote; null reads the files of the
    manifests."""
    cache: str | None
    """Folder on a local disk that keeps what came from a server; null keeps nothing."""
    cache_gb: float
    """Largest size of the cache (GB). Of a corpus that is larger, a fixed part is kept."""
    timeout_seconds: float
    """Longest time of one request to a server (s); then it counts as audio that cannot be read."""


class BatchOrder(Enum):
    random = "random"
    short_to_long_first = "short_to_long_first"


@dataclass
class BatchingConfig:
    global_seconds: float
    """Audio in one optimizer step over all ranks (s). Larger steps are smoother but fewer."""
    max_device_seconds: float
    """Padded audio that one rank takes at once (s); lower it when memory runs out: the gradients stay the same."""
    length_jitter: float
    """Relative noise on the lengths before sorting: more mixes batches better and pads more."""
    order: BatchOrder
    """Order of the batches in the first epoch; short_to_long_first is SortaGrad (Deep Speech 2)."""
