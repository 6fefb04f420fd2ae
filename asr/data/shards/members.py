"""What stands in a shard for an utterance: WebDataset's layout, KEY.flac (or .wav, ...) and KEY.json.

Source: https://github.com/webdataset/webdataset, whose keys end at the first dot.
"""

import json
import tarfile
from dataclasses import asdict
from io import BytesIO
from urllib.parse import quote

import soundfile
import torch
from torch import Tensor

from asr.data.audio import decode_waveform, read_waveform
from asr.data.utterance import Utterance
from asr.errors import DataError

BLOCK = tarfile.BLOCKSIZE
WRITTEN_ANEW = (("FLAC", "PCM_16", "flac"), ("FLAC", "PCM_24", "flac"), ("WAV", "FLOAT", "wav"))
"""Formats for a stretch of a longer file: the first that gives the same samples."""
NEARLY_WHOLE = 1.05


def audio_bytes(utterance: Utterance) -> tuple[bytes, str]:
    """Bytes that decode to exactly the samples of an utterance: those of its file, unless it is a stretch of it.

    Returns:
        The bytes, and the ending of a file name.

    Raises:
        DataError: The audio cannot be read.
    """
    waveform, path = read_waveform(utterance), utterance.audio_filepath
    if utterance.offset == 0 and soundfile.info(path).frames <= NEARLY_WHOLE * utterance.samples:
        try:
            audio = path.read_bytes()
        except OSError as error:
            raise DataError(f"Utterance {utterance.id} ({path}): it cannot be read ({error.strerror}).") from None
        if _decodes_to(waveform, audio, utterance):
            return audio, path.suffix.lower().lstrip(".") or "wav"
    with soundfile.SoundFile(path) as file:
        file.seek(round(utterance.offset * file.samplerate))
        whole_numbers = file.read(utterance.samples, dtype="int32")
    for kind, subtype, ending in WRITTEN_ANEW:
        buffer = BytesIO()
        samples = waveform.numpy() if subtype == "FLOAT" else whole_numbers
        soundfile.write(buffer, samples, utterance.sampling_rate, format=kind, subtype=subtype)
        if _decodes_to(waveform, buffer.getvalue(), utterance):
            return buffer.getvalue(), ending
    raise DataError(f"Utterance {utterance.id} ({path}): its samples cannot be kept as they are; convert the file.")


def member_name(id: str) -> str:
    """The key of an utterance: its id, without what separates names and endings."""
    return quote(id, safe="").replace(".", "%2E")


def description(utterance: Utterance, name: str) -> bytes:
    """KEY.json: the utterance's line of the manifest, about the audio beside it."""
    row = {**asdict(utterance), "audio_filepath": name, "offset": 0.0}
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()


def header(name: str, size: int) -> bytes:
    """The header of a member of a tar file; the same for the same member, whenever it is written."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _decodes_to(waveform: Tensor, audio: bytes, utterance: Utterance) -> bool:
    try:
        return torch.equal(decode_waveform(utterance, audio, ""), waveform)
    except DataError:
        return False
