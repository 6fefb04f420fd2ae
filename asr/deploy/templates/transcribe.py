"""Writes what is said in recordings: python transcribe.py FILE ... [--model model.int8.onnx]

Needs numpy, onnxruntime and soundfile, and the files beside it.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

HERE = Path(__file__).parent


def read(file, rate):
    """The samples of a recording, float32 (samples,)."""
    try:
        samples, found = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        sys.exit(f"{file} cannot be read ({error}).")
    if found != rate or samples.shape[1] != 1:
        sys.exit(
            f"{file} has {found} Hz and {samples.shape[1]} channels, the model reads {rate} Hz and one channel: "
            f"convert it, as with `ffmpeg -i FILE -ar {rate} -ac 1 CONVERTED.wav`."
        )
    return samples[:, 0]


def text_of(log_probs, facts):
    """The greedy text of log-probabilities (frames, tokens): repeats are merged, blanks dropped."""
    best, blank, symbols = log_probs.argmax(axis=1), int(facts["blank"]), json.loads(facts["vocabulary"])
    before = [blank, *best][: len(best)]
    written = [symbols[new] for new, old in zip(best, before, strict=True) if new not in (old, blank)]
    if facts["tokenizer"] != "phone":
        return re.sub(" +", " ", "".join(written).replace("\u2581", " ")).strip(" ")
    lines = (HERE / "lexicon.txt").read_text(encoding="utf-8").split("\n")
    lexicon = {phones: word for word, _, phones in (line.partition(" ") for line in lines)}
    words = [word.split() for word in " ".join(written).split("\u2581")]
    unknown = "/{}/".format
    return " ".join(lexicon.get(" ".join(word), unknown("\u00b7".join(word))) for word in words if word)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--model", default="model.onnx", help="a graph beside this script (model.onnx)")
    options = parser.parse_args()
    session = onnxruntime.InferenceSession(str(HERE / options.model), providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    sys.stdout.reconfigure(encoding="utf-8")
    for file in options.files:
        samples = read(file, int(facts["sampling_rate"]))
        inputs = {"waveforms": samples[None], "waveform_lengths": np.array([len(samples)])}
        log_probs, lengths = session.run(["log_probs", "log_prob_lengths"], inputs)
        print(text_of(log_probs[: lengths[0], 0], facts))


if __name__ == "__main__":
    main()
