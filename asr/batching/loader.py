"""Loads micro-batches in worker processes, in the exact planned order."""

import atexit
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, cast, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from asr.batching.batch_plan import Indices
from asr.common.errors import DataError, RunError, UserError
from asr.common.processes import LOADERS_START
from asr.common.seeds import Keys
from asr.data.utterance import LazyUtterances, Utterance
from asr.text.protocol import Tokenizer


class Examples(Protocol):
    """Training examples, by number."""

    @property
    def ids(self) -> Sequence[str]:
        """The name of each."""

    @property
    def keys(self) -> Keys:
        """Keys for random draws, all different, shape (examples,)."""

    def __call__(self, number: int, epoch: int) -> Tensor:
        """The input of the model for one, (length, ...), a pure function of the seed, the epoch and the example.

        Raises:
            DataError: It cannot be read.
        """

    def seconds(self, epoch: int) -> npt.NDArray[np.float64]:
        """Their sizes in an epoch, shape (examples,): what batches are filled by, seconds of audio or tokens."""

    def in_epoch(self, epoch: int) -> npt.NDArray[np.int64] | None:
        """The numbers of those that an epoch reads, None for all."""


@runtime_checkable
class Prefetches(Protocol):
    """A reader that is faster when it knows what is read next."""

    def prefetch(self, numbers: Indices) -> None:
        """Fetches utterances that are read next."""


Read = Callable[[int, int], Tensor]
"""Reads the input of the model for an utterance, given its number and the epoch: (frames, dim) or (samples,)."""

EVALUATION_SECONDS = 120.0
"""Most padded audio in a batch of evaluation (s): more is not faster, and takes more memory than a training step."""

RETRY_SECONDS = (0.5, 3.0)
"""Pauses before audio that cannot be read is tried again: a file server may be away for a moment."""


@dataclass(frozen=True)
class UnreadableUtterance:
    """An utterance that is missing from its batch because it cannot be read."""

    id: str
    labels: int
    """How many it has."""
    reason: str
    """A sentence that names it."""


@dataclass(frozen=True)
class MicroBatch:
    """What one rank processes at once: a part of a global batch, possibly empty."""

    epoch: int
    utterances: Indices


@dataclass(frozen=True)
class Batch:
    """The padded inputs and the labels of a micro-batch."""

    epoch: int
    utterances: Indices
    """Numbers of the utterances, (batch,)."""
    inputs: Tensor
    """Features (batch, frames, dim) or waveforms (batch, samples), zero past each end."""
    lengths: Tensor
    """Frames or samples of each utterance, int64 (batch,)."""
    labels: Tensor
    """Labels of all utterances one after the other, int64 (labels,)."""
    label_lengths: Tensor
    """Labels of each utterance, int64 (batch,)."""
    unreadable: tuple[UnreadableUtterance, ...] = ()
    """Utterances of the micro-batch that the batch lacks."""

    def to(self, device: torch.device) -> Self:
        """The batch with its inputs and labels on a device; lengths stay in main memory, where cuDNN and CTC need them.

        From pinned memory the copy is asynchronous.
        """
        inputs, labels = (tensor.to(device, non_blocking=True) for tensor in (self.inputs, self.labels))
        return replace(self, inputs=inputs, labels=labels)

    def pin_memory(self) -> Self:
        """The batch in pinned memory, from which a GPU copies asynchronously; the loader calls it."""
        inputs, lengths, labels = (tensor.pin_memory() for tensor in (self.inputs, self.lengths, self.labels))
        return replace(self, inputs=inputs, lengths=lengths, labels=labels)


class BatchReader(Dataset[Batch | UserError]):
    """Reads micro-batches. An error in the data is returned, so that it comes whole out of a worker process.

    Args:
        ids: Of every utterance: batches then leave out those that cannot be read.
    """

    def __init__(self, read: Read, labels: Sequence[Sequence[int]], ids: Sequence[str] | None) -> None:
        self.read, self.labels, self.ids = read, labels, ids

    def __getitem__(self, micro_batch: MicroBatch) -> Batch | UserError:
        inputs, kept, unreadable = [], [], []
        try:
            if isinstance(self.read, Prefetches):
                self.read.prefetch(micro_batch.utterances)
            for number in map(int, micro_batch.utterances):
                try:
                    inputs.append(self._read(number, micro_batch.epoch))
                    kept.append(number)
                except DataError as error:
                    if self.ids is None:
                        raise
                    unreadable.append(UnreadableUtterance(self.ids[number], len(self.labels[number]), str(error)))
        except UserError as error:
            return error
        # Labels are looked up by the numbers of what was read, so that none goes with another utterance's audio.
        labels = [torch.as_tensor(self.labels[number], dtype=torch.int64) for number in kept]
        return Batch(
            micro_batch.epoch,
            np.array(kept, dtype=np.int64),
            pad_sequence(inputs, batch_first=True) if inputs else torch.zeros(0),
            torch.tensor([len(item) for item in inputs], dtype=torch.int64),
            torch.cat(labels) if labels else torch.zeros(0, dtype=torch.int64),
            torch.tensor([len(item) for item in labels], dtype=torch.int64),
            tuple(unreadable),
        )

    def _read(self, number: int, epoch: int) -> Tensor:
        for seconds in RETRY_SECONDS:
            try:
                return self.read(number, epoch)
            except DataError:
                time.sleep(seconds)
        return self.read(number, epoch)


def load(
    micro_batches: Iterable[MicroBatch],
    read: Read,
    labels: Sequence[Sequence[int]],
    workers: int,
    ids: Sequence[str] | None = None,
    pin: bool = False,
) -> Iterator[Batch]:
    """Loads micro-batches one after the other; with workers, ahead of their use.

    Args:
        micro_batches: May be endless; read only as far as the workers prefetch.
        labels: Labels of every utterance.
        workers: Processes that read; 0 reads in this one.
        ids: Of every utterance. With them, a batch leaves out the utterances that cannot be read, after some retries,
            and names them in `unreadable`; without, such an utterance raises.
        pin: Gives batches in pinned memory, for a GPU.

    Raises:
        DataError: An utterance cannot be read.
        RunError: A worker process was killed.
    """
    loader = DataLoader(
        BatchReader(read, labels, ids),
        sampler=micro_batches,  # an iterable of keys for the dataset
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=LOADERS_START if workers else None,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
        worker_init_fn=_start_worker,
    )
    batches = iter(loader)
    shut_down = cast(_MultiProcessingDataLoaderIter, batches)._shutdown_workers if workers else None
    if shut_down is not None:
        # A frame of an error may keep this one until the process ends, which waits for them, and they ignore SIGTERM.
        atexit.register(shut_down)
    try:
        for batch in batches:
            if isinstance(batch, UserError):
                raise batch
            yield batch
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise RunError(
            f"A process that reads audio ended ({str(error).splitlines()[0]}): it may have run out of memory."
        ) from None
    finally:
        if shut_down is not None:
            atexit.unregister(shut_down)
            shut_down()


def _start_worker(worker: int) -> None:
    # Ctrl-C and SIGTERM may reach the whole process group; the training process alone decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def evaluation_batches(
    seconds: npt.NDArray[np.float64], rank: int, ranks: int, max_device_seconds: float
) -> list[MicroBatch]:
    """Plain shards for evaluation: every utterance once over all ranks, similar lengths together.

    Args:
        seconds: Durations (s), shape (utterances,).
        max_device_seconds: Most padded audio in one batch (s), unless EVALUATION_SECONDS is less.
    """
    most = min(max_device_seconds, EVALUATION_SECONDS)
    order = np.argsort(seconds, kind="stable")[rank::ranks]
    batches, start = [], 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * seconds[order[end]] > most:
            batches.append(MicroBatch(0, order[start:end]))
            start = end
    return batches


class LazyLabels(Sequence[Sequence[int]]):
    """Labels that are encoded when they are used, in the processes that load audio, and not kept in memory."""

    def __init__(self, tokenizer: Tokenizer, utterances: Sequence[Utterance]) -> None:
        self.tokenizer, self.utterances = tokenizer, utterances

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self.tokenizer.encode(utterance.text) for utterance in self.utterances[number]]
        return self.tokenizer.encode(self.utterances[number].text)


def labels_of_all(tokenizer: Tokenizer, utterances: Sequence[Utterance]) -> Sequence[Sequence[int]]:
    """The labels of every utterance, by its number."""
    if isinstance(utterances, LazyUtterances):
        return LazyLabels(tokenizer, utterances)
    return [tokenizer.encode(utterance.text) for utterance in utterances]
