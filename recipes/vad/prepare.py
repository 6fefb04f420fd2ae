"""Recordings with speech, pauses and noise, made of AN4's utterances; which frames are speech is in speech.txt.

Train has pauses with the sound of the room only, since noise is mixed in while it trains. Dev has noises of the same
kinds at levels that are drawn; test has other speakers and noises of other kinds, at 10 dB. The splits test_0db and
test_20db are the same recordings at other levels.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from noises import HELD_OUT, TRAINING, make_noise

from asr.common.errors import DataError
from asr.common.seeds import derive_seed
from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.splits import SPLITS, whole_file, write_splits
from asr.data.utterance import Utterance
from asr.settings.recipe import find_recipe
from asr.settings.root import Config
from asr.text.speech import Spans, read_spans, written_spans

Samples = npt.NDArray[np.float32]
Recording = tuple[str, str, Samples, Spans]
"""Its name, its speaker, its sound and where speech is."""

SPEECH = Path(__file__).parent / "speech.txt"
RATE = 16000
UTTERANCES = 2
"""In a recording."""
PAUSE_SECONDS = (0.5, 3.0)
"""Before, between and after the utterances of a recording, besides their own edges."""
NOISE_SECONDS = 30.0
NOISES_OF_A_KIND = 6
SNR_DB = (0.0, 20.0)
"""Of dev."""
TEST_SNR_DB = {"test": 10.0, "test_0db": 0.0, "test_20db": 20.0}
SILENT, SILENT_SECONDS = 30, 10.0
"""Recordings of train without speech."""


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Prepares AN4, then writes noises and recordings."""
    find_recipe("an4").script().prepare(config, archives, output / "an4")
    speech = read_speech(SPEECH)
    for kind in TRAINING:
        for number in range(NOISES_OF_A_KIND):
            noise = make_noise(kind, random(kind, number), round(NOISE_SECONDS * RATE), RATE)
            write(output / "noises" / "train" / f"{kind}-{number}.wav", 0.05 * noise)
    splits: dict[str, list[Utterance]] = {}
    for split in SPLITS:
        clean = [*recordings(read_manifest(output / "an4" / f"{split}.jsonl"), speech, split)]
        if split == "train":
            splits[split] = [save(output, split, one, one[2]) for one in [*clean, *silent_recordings()]]
        elif split == "dev":
            splits[split] = [noisy(output, split, one, TRAINING, draw(one[0], SNR_DB)) for one in clean]
        else:
            for name, snr_db in TEST_SNR_DB.items():
                splits[name] = [noisy(output, name, one, HELD_OUT, snr_db) for one in clean]
    write_splits(output, splits)


def silent_recordings() -> Iterator[Recording]:
    """Recordings without speech, which noise is mixed into as into the others."""
    for number in range(SILENT):
        name = f"noise-{number:03d}"
        yield name, "", 0.002 * make_noise("coloured", random(name), round(SILENT_SECONDS * RATE), RATE), ()


def recordings(utterances: Sequence[Utterance], speech: dict[str, Spans], split: str) -> Iterator[Recording]:
    """Utterances of one speaker with pauses around them that sound like the room."""
    by_speaker: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        by_speaker[utterance.speaker].append(utterance)
    for speaker, members in by_speaker.items():
        for first in range(0, len(members), UTTERANCES):
            name = f"{split}-{members[first].id}"
            parts: list[Samples] = []
            spans: list[tuple[float, float]] = []
            for number, utterance in enumerate(members[first : first + UTTERANCES]):
                sound = read_waveform(utterance).numpy()
                if utterance.id not in speech:
                    raise DataError(f"{SPEECH} has no line for {utterance.id}: make it again with find_speech.py.")
                tone = RoomTone(sound, speech[utterance.id], name, number)
                parts.append(tone(draw(f"{name} before {number}", PAUSE_SECONDS)))
                start = sum(map(len, parts)) / RATE
                spans += [(begin + start, end + start) for begin, end in speech[utterance.id]]
                parts.append(sound)
            parts.append(tone(draw(f"{name} behind", PAUSE_SECONDS)))
            yield name, speaker, np.concatenate(parts), spans


class RoomTone:
    """Noise with the spectrum of what an utterance has around its speech."""

    def __init__(self, sound: Samples, spans: Spans, name: str, number: int) -> None:
        edges = [0, *(round(edge * RATE) for span in spans for edge in span), len(sound)]
        quiet = [sound[begin:end] for begin, end in zip(edges[::2], edges[1::2], strict=True)]
        frames = [part[: len(part) // 512 * 512].reshape(-1, 512) for part in quiet]
        power = np.square(np.abs(np.fft.rfft(np.concatenate(frames) * np.hanning(512), axis=1)))
        self.power = np.median(power, axis=0) if len(power) else np.full(257, 1e-6)
        self.generator = random(name, number)

    def __call__(self, seconds: float) -> Samples:
        """Some seconds of it."""
        samples = round(seconds * RATE)
        power = np.interp(np.fft.rfftfreq(samples), np.fft.rfftfreq(512), self.power)
        # The median of the power is ln 2 of its mean.
        gain = np.sqrt(power / np.log(2) / np.square(np.hanning(512)).sum())
        spectrum = np.fft.rfft(self.generator.standard_normal(samples)) * gain
        return np.fft.irfft(spectrum, samples).astype(np.float32)


def noisy(output: Path, split: str, recording: Recording, kinds: Iterable[str], snr_db: float) -> Utterance:
    """A recording with a noise, at a ratio (dB) of the power of its speech to that of the noise."""
    name, _, sound, spans = recording
    kind = str(random(name, "kind").choice(sorted(kinds)))
    spoken = np.concatenate([sound[round(begin * RATE) : round(end * RATE)] for begin, end in spans])
    noise = make_noise(kind, random(name, kind), len(sound), RATE)
    level = np.sqrt(np.square(spoken).mean()) * 10 ** (-snr_db / 20)
    return save(output, split, recording, sound + level * noise, kind)


def save(output: Path, split: str, recording: Recording, sound: Samples, noise: str = "") -> Utterance:
    """Writes a recording and gives its utterance."""
    name, speaker, _, spans = recording
    path = output / "audio" / split / f"{name}.wav"
    write(path, sound)
    utterance = whole_file(path, written_spans(spans), speaker)
    return replace(utterance, extra=(("noise", noise),)) if noise else utterance


def write(path: Path, sound: Samples) -> None:
    """Writes 16-bit audio that is not clipped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    peak = float(np.abs(sound).max())
    soundfile.write(path, sound / max(1.0, peak / 0.99), RATE, subtype="PCM_16")


def read_speech(path: Path) -> dict[str, Spans]:
    """The stretches of speech of each utterance: lines of its id and begins and ends in seconds."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name: read_spans(spans) for name, _, spans in (line.partition(" ") for line in lines if line)}


def random(*names: str | int) -> np.random.Generator:
    """A generator that depends on names only."""
    return np.random.default_rng(derive_seed("vad", *names))


def draw(name: str, bounds: tuple[float, float]) -> float:
    """A number between two, that depends on a name only."""
    return float(random(name).uniform(*bounds))
