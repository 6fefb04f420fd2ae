"""Measures large corpora: a manifest of millions of lines, and how fast shards are read from a local disk.

python tools/benchmark/scale.py make FOLDER --utterances 1e7    # a synthetic manifest and its index
python tools/benchmark/scale.py manifest FOLDER --workers 16    # open it, plan an epoch, read with workers
python tools/benchmark/scale.py shards MANIFEST FOLDER --hours 8 --flac    # audio of a manifest, repeated
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from asr.batching.dataset import Dataset
from asr.batching.loader import labels_of_all, load
from asr.batching.steps import Steps, micro_batches_of
from asr.data.manifest import index_path, make_index, read_manifest
from asr.data.shards.packing import pack
from asr.data.shards.reader import open_audio
from asr.data.utterance import Utterance
from asr.settings.batching import BatchingConfig, BatchOrder
from asr.settings.compose import compose
from asr.settings.recipe import RECIPES, Recipe
from asr.settings.shards import ShardsConfig
from asr.text.char import CharTokenizer

BLOCK = 100_000
WORDS = ["THE", "OF", "AND", "TO", "IN", "A", "WAS", "HE", "THAT", "IT", "HIS", "HER", "WITH", "AS", "HAD", "FOR"]
ALPHABET = " ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Silence:
    """Audio that takes no time: what is measured is everything else."""

    remote = False

    def read(self, utterance: Utterance) -> torch.Tensor:
        return torch.zeros(16)

    def check(self, utterance: Utterance) -> None:
        pass

    def verify(self) -> dict[str, str]:
        return {}

    def prefetch(self, utterances: Sequence[Utterance]) -> None:
        pass

    def stamps(self, utterances: Sequence[Utterance], data: Path) -> Iterator[list[Any]]:
        yield from ([] for _ in utterances)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("--utterances", type=float, default=1e7)
    reading = commands.add_parser("manifest")
    reading.add_argument("folder", type=Path)
    reading.add_argument("--workers", type=int, default=16)
    reading.add_argument("--batches", type=int, default=400)
    sharding = commands.add_parser("shards")
    sharding.add_argument("manifest", type=Path)
    sharding.add_argument("folder", type=Path)
    sharding.add_argument("--hours", type=float, default=8)
    sharding.add_argument("--flac", action="store_true", help="of FLAC files, not the files as they are")
    options = parser.parse_args()
    torch.set_num_threads(1)
    match options.command:
        case "make":
            make(options.folder, int(options.utterances))
        case "manifest":
            measure_manifest(options.folder / "train.jsonl", options.workers, options.batches)
        case _:
            measure_shards(options.manifest, options.folder, options.hours, options.flac)


def make(folder: Path, utterances: int) -> None:
    """Writes the manifest and its index."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "train.jsonl"
    with Pool() as pool, path.open("w") as file:
        for lines in pool.imap(
            _lines, [(first, min(first + BLOCK, utterances)) for first in range(0, utterances, BLOCK)]
        ):
            file.write(lines)
    began = time.perf_counter()
    make_index(path)
    print(
        f"{utterances:,} lines, {path.stat().st_size / 1e9:.2f} GB; index made in {time.perf_counter() - began:.1f} s"
    )


def _lines(stretch: tuple[int, int]) -> str:
    first, last = stretch
    draw = np.random.default_rng(first)
    seconds = (draw.gamma(4, 1.6, last - first) + 0.5).round(3).tolist()
    words = draw.integers(0, len(WORDS), (last - first, 32)).tolist()
    rows = []
    for number, duration, row in zip(range(first, last), seconds, words, strict=True):
        book, text = f"{number // 500:06d}", " ".join(WORDS[one] for one in row[: int(duration * 2.5) + 1])
        rows.append(
            f'{{"id": "book-{book}-{number:09d}", "audio_filepath": "audio/{book}/{number:09d}.flac", "offset": 0.0, '
            f'"duration": {duration}, "text": "{text}", "speaker": "s{number // 4000}", "sampling_rate": 16000}}\n'
        )
    return "".join(rows)


def measure_manifest(path: Path, workers: int, batches: int) -> None:
    """Opens, plans and reads, and prints what each took."""
    base = _memory(os.getpid(), "Pss")
    began = time.perf_counter()
    utterances = read_manifest(path)
    opened = time.perf_counter()
    print(f"opened: {len(utterances):,} utterances in {opened - began:.3f} s; index {_size(index_path(path))}")
    batching = BatchingConfig(600.0, 600.0, 0.1, BatchOrder.random)
    augment = compose(Recipe(RECIPES / "yesno"), ["augment=speed"]).augment
    inputs = Dataset(utterances, None, augment, 1, audio=Silence())
    labels = labels_of_all(CharTokenizer(ALPHABET), utterances)
    steps = Steps(inputs, labels, batching, 1, 0, 1)
    step = next(steps.start(0, 0, 1))
    print(f"planned: {step.epoch_steps:,} steps in {time.perf_counter() - opened:.1f} s")
    print(f"memory of this process: {_peak() / 1e9:.2f} GB at most, of which {base / 1e9:.2f} GB before the manifest")
    children_before = set(_children())
    began, read = time.perf_counter(), 0
    loaded = load(micro_batches_of(steps.start(0, 0, 1)), inputs, labels, workers, inputs.ids)
    for number, batch in enumerate(loaded, start=1):
        read += len(batch.utterances)
        if number == batches:
            break
    seconds = time.perf_counter() - began
    children = [pid for pid in _children() if pid not in children_before]
    alone = [_memory(pid, "Pss") for pid in children]
    private = [_memory(pid, "Private_Dirty") for pid in children]
    print(
        f"{len(children)} workers read {read:,} utterances in {seconds:.1f} s; proportional set size "
        f"{(sum(alone) + _memory(os.getpid(), 'Pss')) / 1e9:.2f} GB of all processes together, "
        f"{np.mean(alone) / 1e6:.0f} MB of a worker, of which private {np.mean(private) / 1e6:.0f} MB"
    )
    loaded.close()  # type: ignore[attr-defined]


def measure_shards(manifest: Path, folder: Path, hours: float, flac: bool) -> None:
    """Packs and reads in random order with one thread, with nothing of the shards in memory."""
    known = read_manifest(manifest)
    if flac:
        known = [_as_flac(utterance, folder / "flac") for utterance in known]
    seconds = sum(utterance.duration for utterance in known)
    copies = int(-(-hours * 3600 // seconds))
    utterances = [replace(one, id=f"{one.id}-{copy}") for copy in range(copies) for one in known]
    began = time.perf_counter()
    packed = pack({"train": utterances}, folder / "shards", 1000)
    print(
        f"packed: {packed.seconds / 3600:.2f} h, {packed.bytes / 1e6:,.0f} MB in {packed.shards} shards, "
        f"{packed.written} written in {time.perf_counter() - began:.1f} s"
    )
    for path in (folder / "shards").glob("*.tar"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    audio = open_audio(ShardsConfig(str(folder / "shards"), None, 1.0, 30.0), folder)
    order = np.random.default_rng(1).permutation(len(utterances)).tolist()
    for attempt in ("from the disk", "from memory"):
        began, work = time.perf_counter(), time.process_time()
        for number in order:
            audio.read(utterances[number])
        wall, cpu = time.perf_counter() - began, time.process_time() - work
        print(
            f"read {attempt}: {packed.seconds / wall:,.0f} times real time ({wall:.1f} s), "
            f"{packed.seconds / cpu:,.0f} for each second of one core"
        )


def _as_flac(utterance: Utterance, folder: Path) -> Utterance:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{utterance.id}.flac"
    if not path.is_file():
        samples, rate = soundfile.read(utterance.audio_filepath, dtype="int16")
        soundfile.write(path, samples, rate)
    return replace(utterance, audio_filepath=path)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _memory(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(field)


def _peak() -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()
