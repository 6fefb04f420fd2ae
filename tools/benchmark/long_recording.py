"""Transcribes and aligns a long recording, made of the utterances of a split with pauses and noise.

    python tools/benchmark/long_recording.py runs/an4/RUN --minutes 60
    python tools/benchmark/long_recording.py runs/an4/RUN --vad runs/vad/RUN --noise plucked bells --snr 5 --under

Prints the WER of the utterances one by one, as they are and with the recording's noise, and of the recording, how many
words of its true text were aligned outside their utterances or reach beyond them, and the time and the memory that
`asr transcribe` and `asr align` took at most. With --vad the recording is also cut by that model; with --noise there is
music or steady noise between the utterances, with --under also while they are spoken, and nothing is aligned.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import jiwer
import numpy as np
import soundfile

from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.utterance import Utterance
from asr.inference.recognizer import load
from asr.settings.recipe import RECIPES, Recipe

for recipe in ("digits", "vad"):
    Recipe(RECIPES / recipe).script()  # the modules beside it can be imported from now on
coloured_noise = import_module("digit_synthesis").coloured_noise
noises = import_module("noises")

PAUSES = (0.3, 3.0)
NOISE_DB = -70.0
"""Of the pink noise below full scale; the background of AN4 lies between -74 and -62 dB."""


@dataclass(frozen=True)
class Noise:
    """What sounds between utterances."""

    kinds: Sequence[str]
    """Of recipes/vad/noises.py; each pause has one of them."""
    snr_db: float
    """Of the utterance after the pause, with its silent edges, to the noise."""
    under: bool
    """Whether it goes on under the utterance."""

    def __call__(self, waveform: np.ndarray, pause: int, rate: int, random: np.random.Generator) -> np.ndarray:
        """What is added to a pause of some samples and the utterance after it."""
        samples = pause + (len(waveform) if self.under else 0)
        noise = noises.make_noise(str(random.choice(self.kinds)), random, samples, rate)
        level = np.sqrt(np.square(waveform).mean()) * 10 ** (-self.snr_db / 20)
        return np.pad(level * noise, (0, pause + len(waveform) - samples)).astype(np.float32)


def write_recording(
    path: Path, utterances: Sequence[Utterance], seconds: float, seed: int = 1, between: Noise | None = None
) -> list[tuple[Utterance, float]]:
    """Writes utterances in a drawn order, again and again, until the recording is long enough; gives them in order,
    with the time when each begins (s)."""
    random = np.random.default_rng(seed)
    rate, said, samples = utterances[0].sampling_rate, list[tuple[Utterance, float]](), 0
    with soundfile.SoundFile(path, "w", rate, 1, subtype="PCM_16") as file:
        while samples < seconds * rate:
            for number in random.permutation(len(utterances)):
                pause = np.zeros(round(random.uniform(*PAUSES) * rate), dtype=np.float32)
                waveform = np.concatenate([pause, read_waveform(utterances[number]).numpy()])
                noise = coloured_noise(len(waveform), 1.0, int(random.integers(1 << 30))) * 10 ** (NOISE_DB / 20)
                if between is not None:
                    noise = noise + between(waveform[len(pause) :], len(pause), rate, random)
                file.write(np.clip(waveform + noise.astype(np.float32), -1, 1))
                said.append((utterances[number], (samples + len(pause)) / rate))
                samples += len(waveform)
                if samples >= seconds * rate:
                    break
    return said


def written_alone(folder: Path, recording: Path, said: Sequence[tuple[Utterance, float]]) -> list[Path]:
    """Writes each utterance of the recording into a file of its own; gives these in order."""
    paths = []
    with soundfile.SoundFile(recording) as file:
        for number, (utterance, start) in enumerate(said):
            file.seek(round(start * file.samplerate))
            paths.append(folder / f"{number}.wav")
            soundfile.write(paths[-1], file.read(round(utterance.duration * file.samplerate)), file.samplerate)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--data", help="the corpus, where it has moved: as paths.data")
    parser.add_argument("--vad", metavar="MODEL", help="a run of the recipe vad: the recording is also cut by it")
    parser.add_argument("--noise", nargs="+", choices=sorted({**noises.TRAINING, **noises.HELD_OUT}), metavar="KIND")
    parser.add_argument("--snr", type=float, default=5.0, help="of the utterances to that noise (dB, 5)")
    parser.add_argument("--under", action="store_true", help="the noise goes on under the utterances")
    options = parser.parse_args()
    between = Noise(options.noise, options.snr, options.under) if options.noise else None
    recognizer = load(options.run / "model")
    config = recognizer.config
    config.paths.data = options.data or config.paths.data
    utterances = read_manifest(Recipe(Path(options.run.absolute().parent.name)).manifest(config, options.split))
    alone = dict(
        zip(
            (utterance.id for utterance in utterances),
            recognizer.transcribe([utterance.audio_filepath for utterance in utterances]),
            strict=True,
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        said = write_recording(path, utterances, 60 * options.minutes, between=between)
        seconds = soundfile.info(path).duration
        detectors = {"whole": [], **({"whole, --vad": ["--vad", options.vad]} if options.vad else {})}
        transcribed = {
            name: run("transcribe", str(options.run), str(path), "--format", "json", *flags)
            for name, flags in detectors.items()
        }
        references = [utterance.text for utterance, _ in said]
        noisy = recognizer.transcribe(written_alone(Path(folder), path, said))
        text = Path(folder) / "text.txt"
        text.write_text("\n".join(references), encoding="utf-8")
        aligned = between is None and run("align", str(options.run), str(path), str(text), "--format", "json")
    one_by_one = jiwer.process_words(references, [alone[utterance.id] for utterance, _ in said])
    with_noise = jiwer.process_words(references, noisy)
    whole = {
        name: jiwer.process_words(" ".join(references), json.loads(output)["text"])
        for name, (output, _, _) in transcribed.items()
    }
    kinds = f" and {', '.join(options.noise)} at {options.snr:g} dB SNR" if options.noise else ""
    print(f"{len(said)} utterances of {options.split} in {seconds / 60:.1f} min, noise at {NOISE_DB:g} dB{kinds}")
    for name, found in {"one by one": one_by_one, "the same with the noise": with_noise, **whole}.items():
        print(
            f"{name:<23} WER {100 * found.wer:.2f} %: {found.substitutions} substitutions, {found.deletions} "
            f"deletions, {found.insertions} insertions"
        )
    for name, (_, took, memory) in transcribed.items():
        print(
            f"asr transcribe, {name}: {took:.0f} s, {seconds / took:.0f} times real time; at most {memory:.2f} GB of "
            "memory"
        )
    if aligned:
        print_alignment(said, *aligned)


def print_alignment(said: Sequence[tuple[Utterance, float]], aligned: str, took: float, memory: float) -> None:
    """Prints how many words were aligned outside their utterances."""
    words = iter(json.loads(aligned)["words"])
    elsewhere = beyond = 0
    for utterance, start in said:
        end = start + utterance.duration
        for _, word in zip(utterance.text.split(), words, strict=False):
            elsewhere += word["end"] <= start or end <= word["start"]
            beyond += word["start"] < start - 0.1 or end + 0.1 < word["end"]
    print(
        f"asr align: {elsewhere} words outside their utterances, {beyond} reach more than 0.1 s beyond them; "
        f"{took:.0f} s; at most {memory:.2f} GB of memory"
    )


def run(*arguments: str) -> tuple[str, float, float]:
    """What a command of asr prints, the time that it takes (s) and its memory at most (GB)."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "asr", *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    return output, time.perf_counter() - began, usage.ru_maxrss / 1e6


if __name__ == "__main__":
    main()
