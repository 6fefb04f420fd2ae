"""Packing: a corpus into shards of about the same size, each written atomically and only once."""

import hashlib
import json
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from torch import Tensor

from asr.common.documents import read_json
from asr.common.errors import DataError, faults_among
from asr.common.files import atomic_write_text
from asr.common.processes import map_blocks
from asr.data.audio import check_header, decode_waveform, read_waveform
from asr.data.columns import Columns, write_columns
from asr.data.manifest import require_all
from asr.data.shards.index import KINDS, audio_key, contents_of, write_index
from asr.data.utterance import Utterance, id_keys, seconds_of

BLOCK = tarfile.BLOCKSIZE
ENCODINGS = (("FLAC", "PCM_16", "flac"), ("FLAC", "PCM_24", "flac"), ("WAV", "FLOAT", "wav"))
"""Formats for a segment of a longer file: the first that preserves the samples is used."""
NEARLY_WHOLE = 1.05


def audio_bytes(utterance: Utterance) -> tuple[bytes, str]:
    """Bytes that decode to exactly the samples of an utterance: its file, unless it is a segment of it.

    Returns:
        The bytes, and a file extension.

    Raises:
        DataError: The audio cannot be read.
    """
    waveform, path = read_waveform(utterance), utterance.audio_filepath
    if utterance.offset == 0 and soundfile.info(path).frames <= NEARLY_WHOLE * utterance.samples:
        try:
            audio = path.read_bytes()
        except OSError as error:
            raise DataError(f"{utterance.place}: it cannot be read ({error.strerror}).") from None
        if _decodes_to(waveform, audio, utterance):
            return audio, path.suffix.lower().lstrip(".") or "wav"
    with soundfile.SoundFile(path) as file:
        file.seek(round(utterance.offset * file.samplerate))
        whole_numbers = file.read(utterance.samples, dtype="int32")
    for kind, subtype, ending in ENCODINGS:
        buffer = BytesIO()
        samples = waveform.numpy() if subtype == "FLOAT" else whole_numbers
        soundfile.write(buffer, samples, utterance.sampling_rate, format=kind, subtype=subtype)
        if _decodes_to(waveform, buffer.getvalue(), utterance):
            return buffer.getvalue(), ending
    raise DataError(f"{utterance.place}: its samples cannot be stored without loss; convert the file.")


def member_name(id: str) -> str:
    """The key of an utterance: its id, with slashes and dots escaped."""
    return quote(id, safe="").replace(".", "%2E")


def description(utterance: Utterance, name: str) -> bytes:
    """KEY.json: the utterance's line of the manifest, for the audio beside it."""
    row = utterance.row(name) | {"offset": 0.0} | dict(utterance.extra)
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()


def header(name: str, size: int) -> bytes:
    """The header of a member of a tar file, always the same for the same member."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _decodes_to(waveform: Tensor, audio: bytes, utterance: Utterance) -> bool:
    try:
        return torch.equal(decode_waveform(utterance, audio, ""), waveform)
    except DataError:
        return False


PLAN = "plan.json"
PARTS = ".parts"
"""Folder with the contents of each shard until all are there; the index has them all."""
TRIED = 64
"""Utterances from which the bytes per second of a split are estimated."""
HEADERS = 8192
"""Utterances whose headers a process reads per block."""
END = bytes(2 * BLOCK)

Splits = Mapping[str, Sequence[Utterance]]


@dataclass(frozen=True)
class Packed:
    """The contents of a folder of shards."""

    shards: int
    written: int
    """How many of them were written now."""
    utterances: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class _Shard:
    path: Path
    part: Path
    utterances: Sequence[Utterance]
    first: int
    last: int

    def contents(self) -> Columns | None:
        """Its contents, if the shard is complete."""
        try:
            part = Columns(self.part)
            return part if self.path.stat().st_size == part.description["bytes"] else None
        except (OSError, ValueError, KeyError):
            return None


def pack(splits: Splits, folder: Path, megabytes: float) -> Packed:
    """Writes the shards that are not there yet, each of about `megabytes`, on all cores, and their index.

    Raises:
        DataError: The folder has other shards or not all utterances are in them, audio cannot be read, or two
            utterances have the same id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PARTS).mkdir(exist_ok=True)
    for name, size, rows in contents_of(folder):
        before = folder / PARTS / Path(name).with_suffix(".columns")
        if not before.exists():
            write_columns(before, {"bytes": size}, rows)
    _refuse_duplicates(splits)
    plan = _plan(splits, folder, megabytes)
    shards = [*_shards(splits, folder, plan)]
    missing = [shard for shard in shards if shard.contents() is None]
    map_blocks(_write, missing, 1, "Packing", "shards")
    parts = [part for shard in shards if (part := shard.contents()) is not None]
    sizes = {shard.path.name: int(part.description["bytes"]) for shard, part in zip(shards, parts, strict=True)}
    require_all(
        sum(map(len, splits.values())),
        sum(len(part["keys"]) for part in parts),
        f"utterances in the shards of {folder}",
        "delete the folder and pack again",
    )
    write_index(folder, sizes, parts)
    shutil.rmtree(folder / PARTS)
    seconds = sum(float(seconds_of(utterances).sum()) for utterances in splits.values())
    return Packed(len(shards), len(missing), sum(map(len, splits.values())), seconds, sum(sizes.values()))


def _plan(splits: Splits, folder: Path, megabytes: float) -> dict[str, list[int]]:
    """The end of each shard of each split, in utterances: the plan that the folder was started with, or a new one."""
    made_of = {split: _fingerprint(utterances) for split, utterances in splits.items()} | {"megabytes": megabytes}
    path = folder / PLAN
    if path.is_file():
        try:
            begun = read_json(path)
            if begun["made_of"] == made_of:
                ends: dict[str, list[int]] = begun["ends"]
                return ends
        except (ValueError, KeyError, TypeError):
            pass  # damaged
        raise DataError(
            f"{folder} has shards of other manifests or of another pack.shard_mb: set pack.output to another folder, "
            "or delete this one."
        )
    _refuse_unreadable(splits, folder)
    ends = {split: _cut(utterances, megabytes * 1e6) for split, utterances in splits.items()}
    atomic_write_text(path, json.dumps({"made_of": made_of, "ends": ends}) + "\n")
    return ends


def _cut(utterances: Sequence[Utterance], capacity: float) -> list[int]:
    """Ends of shards of about this many bytes, estimated from a few utterances."""
    seconds = seconds_of(utterances)
    tried = np.unique(np.linspace(0, len(seconds) - 1, TRIED).astype(np.int64)).tolist()
    taken = sum(len(audio_bytes(utterances[number])[0]) + 3 * BLOCK for number in tried)
    total = taken / float(seconds[tried].sum()) * float(seconds.sum())
    shards = max(1, round(total / capacity))
    cumulative = np.cumsum(seconds)
    ends = np.searchsorted(cumulative, cumulative[-1] * np.arange(1, shards) / shards) + 1
    return [*(int(end) for end in np.unique(ends) if end < len(seconds)), len(seconds)]


def _fingerprint(utterances: Sequence[Utterance]) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(id_keys(utterances)).data)
    digest.update(np.ascontiguousarray(seconds_of(utterances)).data)
    return digest.hexdigest()


def _refuse_duplicates(splits: Splits) -> None:
    names = [*splits]
    for place, split in enumerate(names):
        for other in names[:place]:
            shared = np.isin(id_keys(splits[split]), id_keys(splits[other]))
            if shared.any():
                name = splits[split][int(shared.argmax())].id
                raise DataError(
                    f"The id {name!r} is in {other} and in {split}: ids must differ among the splits that are packed."
                )


def _shards(splits: Splits, folder: Path, plan: Mapping[str, Sequence[int]]) -> Iterator[_Shard]:
    for split, ends in plan.items():
        for number, (first, last) in enumerate(zip([0, *ends], ends, strict=False)):
            name = f"{split}-{number:06d}"
            # Of a list, only the part that a process packs is sent to it.
            whole = splits[split]
            is_list = isinstance(whole, list)
            yield _Shard(
                folder / f"{name}.tar",
                folder / PARTS / f"{name}.columns",
                whole[first:last] if is_list else whole,
                0 if is_list else first,
                last - first if is_list else last,
            )


def _refuse_unreadable(splits: Splits, folder: Path) -> None:
    """Names all files that are missing or damaged, as far as their headers show it, before a shard is written."""
    blocks = {split: [*range(HEADERS, len(part), HEADERS), len(part)] for split, part in splits.items()}
    found = map_blocks(_unreadable, [*_shards(splits, folder, blocks)], 1, "Reading headers", "blocks")
    if faults := [fault for block in found for fault in block]:
        raise faults_among(faults, sum(map(len, splits.values())), "utterances")


def _unreadable(blocks: Sequence[_Shard]) -> list[list[str]]:
    return [[*_faults(block)] for block in blocks]


def _faults(block: _Shard) -> Iterator[str]:
    for number in range(block.first, block.last):
        try:
            check_header(block.utterances[number])
        except DataError as fault:
            yield str(fault)


def _write(shards: Sequence[_Shard]) -> list[int]:
    return [_write_shard(shard) for shard in shards]


def _write_shard(shard: _Shard) -> int:
    temporary = shard.path.with_suffix(".unfinished")
    rows: dict[str, list[int]] = {name: [] for name in KINDS}
    try:
        with temporary.open("wb") as file:
            for number in range(shard.first, shard.last):
                utterance = shard.utterances[number]
                audio, ending = audio_bytes(utterance)
                name = member_name(utterance.id)
                begin = _add(file, f"{name}.{ending}", audio)
                _add(file, f"{name}.json", description(utterance, f"{name}.{ending}"))
                values = audio_key(utterance), begin, len(audio), zlib.crc32(audio)
                for column, value in zip(KINDS, values, strict=True):
                    rows[column].append(value)
            file.write(END)
            size = file.tell()
        columns: dict[str, npt.NDArray[Any]] = {name: np.array(rows[name], dtype=kind) for name, kind in KINDS.items()}
        shard.part.unlink(missing_ok=True)
        temporary.replace(shard.path)
        write_columns(shard.part, {"bytes": size}, columns)
        return size
    except OSError as error:
        raise DataError(
            f"{shard.path} cannot be written ({error.strerror}): make room or set pack.output to another disk, then "
            "run again; finished shards are kept."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _add(file: BinaryIO, name: str, content: bytes) -> int:
    """Adds a member to a tar file and returns where its content begins."""
    file.write(header(name, len(content)))
    begin = file.tell()
    file.write(content)
    file.write(bytes(-len(content) % BLOCK))
    return begin
