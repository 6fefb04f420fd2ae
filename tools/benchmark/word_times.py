"""How far the word starts of forced alignment are from the true ones, which a synthesizer told: spoken digits.

python tools/benchmark/word_times.py runs/digits/RUN
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.decoding.decoder import greedy
from asr.inference.forced_alignment import align, frame_times, word_spans
from asr.inference.recognizer import load
from asr.settings.recipe import Recipe


def main() -> None:
    """Prints the errors of the starts of the reference's words, and of the hypothesis's where it is right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path, help="a trained run of recipes/digits")
    parser.add_argument("--split", default="test", help="dev or test (test)")
    parser.add_argument("--data", help="the corpus, where it has moved: as paths.data")
    options = parser.parse_args()
    recognizer = load(options.run / "model")
    config, tokenizer = recognizer.config, recognizer.tokenizer
    config.paths.data = options.data or config.paths.data
    recipe = Recipe(Path(options.run.absolute().parent.name))
    manifest = recipe.manifest(config, options.split)
    lines = (manifest.parent / "audio" / "words.jsonl").read_text(encoding="utf-8").splitlines()
    truth = {row["id"]: row["starts"] for row in map(json.loads, lines)}
    times = frame_times(config)
    errors: dict[str, list[float]] = {"reference": [], "hypothesis": []}
    for utterance in read_manifest(manifest):
        waveform = read_waveform(utterance)
        log_probs, lengths = recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
        tokens = {"reference": tokenizer.encode(utterance.text), "hypothesis": greedy(log_probs, lengths)[0]}
        for which, written in tokens.items():
            (alignment,) = align(log_probs, lengths, [written])
            if alignment is None:
                continue
            words = times.words(word_spans(alignment, tokenizer))
            if [word.text for word in words] == utterance.text.split():
                errors[which] += np.subtract([word.start for word in words], truth[utterance.id]).tolist()
    print(f"{options.split}, frames of {1000 * times.frame_seconds:.0f} ms, error of word starts in ms")
    for which, found in errors.items():
        print(f"{which:<10} {describe(found)}")


def describe(errors: Iterable[float]) -> str:
    """Errors (s) in a line, in ms."""
    found = 1000 * np.asarray(list(errors))
    middle, most, all_but_few = np.quantile(np.abs(found), (0.5, 0.9, 0.99))
    return (
        f"{len(found)} words: median of the absolute error {middle:.0f}, 90 % below {most:.0f}, 99 % below "
        f"{all_but_few:.0f}; median error {np.median(found):+.0f}"
    )


if __name__ == "__main__":
    main()
