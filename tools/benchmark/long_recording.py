"""Transcribes a long recording, made of the utterances of a split with pauses and noise, and compares with them alone.

    python tools/benchmark/long_recording.py runs/an4/RUN --minutes 60

Prints the WER of both, the time, and the memory that `asr transcribe` took at most.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import jiwer
import numpy as np
import soundfile

from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.synthesis import coloured_noise
from asr.data.utterance import Utterance
from asr.decoding.recognizer import load
from asr.recipe import Recipe

PAUSES = (0.3, 3.0)
NOISE_DB = -70.0
"""Of the pink noise below full scale; the background of AN4 lies between -74 and -62 dB."""


def write_recording(path: Path, utterances: Sequence[Utterance], seconds: float, seed: int = 1) -> list[Utterance]:
    """Writes utterances in a drawn order, again and again, until the recording is long enough; gives them in order."""
    random = np.random.default_rng(seed)
    rate, said, samples = utterances[0].sampling_rate, list[Utterance](), 0
    with soundfile.SoundFile(path, "w", rate, 1, subtype="PCM_16") as file:
        while samples < seconds * rate:
            for number in random.permutation(len(utterances)):
                pause = np.zeros(round(random.uniform(*PAUSES) * rate), dtype=np.float32)
                waveform = np.concatenate([pause, read_waveform(utterances[number]).numpy()])
                noise = coloured_noise(len(waveform), 1.0, int(random.integers(1 << 30)))
                file.write(np.clip(waveform + noise * np.float32(10 ** (NOISE_DB / 20)), -1, 1))
                said.append(utterances[number])
                samples += len(waveform)
                if samples >= seconds * rate:
                    break
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--data", help="the corpus, where it has moved: as paths.data")
    options = parser.parse_args()
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
        said = write_recording(path, utterances, 60 * options.minutes)
        seconds = soundfile.info(path).duration
        began = time.perf_counter()
        command = [sys.executable, "-m", "asr", "transcribe", str(options.run), str(path), "--format", "json"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert child.stdout is not None
        transcript = json.loads(child.stdout.read())
        _, status, usage = os.wait4(child.pid, 0)
        took = time.perf_counter() - began
    assert status == 0
    references = [utterance.text for utterance in said]
    one_by_one = jiwer.process_words(references, [alone[utterance.id] for utterance in said])
    whole = jiwer.process_words(" ".join(references), transcript["text"])
    print(f"{len(said)} utterances of {options.split} in {seconds / 60:.1f} min, noise at {NOISE_DB:g} dB")
    for name, found in (("one by one", one_by_one), ("whole", whole)):
        print(
            f"{name:<10} WER {100 * found.wer:.2f} %: {found.substitutions} substitutions, {found.deletions} "
            f"deletions, {found.insertions} insertions"
        )
    print(f"{took:.0f} s, {seconds / took:.0f} times real time; at most {usage.ru_maxrss / 1e6:.2f} GB of memory")


if __name__ == "__main__":
    main()
