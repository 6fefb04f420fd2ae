"""Compares an own n-gram model with one that KenLM's `lmplz` estimates of the same text: time and perplexity.

    python tools/benchmark/language_models.py TRAIN.txt HELD_OUT.txt [--order 4] [--prune 0 0 1]

Texts have a sentence a line. `lmplz` must be on the PATH: it is built from KenLM's sources with CMake and Boost.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

from asr.lm.kneser_ney import Perplexity, estimate
from asr.lm.ngram import write_arpa
from asr.lm.scores import open_model, score_sentences, total_perplexity
from asr.lm.text import number_units, read_sentences

FALLBACK = (0.5, 1.0, 1.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--order", type=int, default=4)
    parser.add_argument("--prune", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    held_out = list(read_sentences(options.held_out))
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "asr.arpa", Path(folder) / "lmplz.arpa"
        began = time.perf_counter()
        text = number_units(read_sentences(options.train), str.split)
        write_arpa(estimate(text, options.order, options.prune, FALLBACK), ours)
        print(f"{(text.places > 0).sum()} words with the ends of sentences, order {options.order}")
        _print("asr", time.perf_counter() - began, total_perplexity(score_sentences(open_model(ours), held_out)))
        began = time.perf_counter()
        prune, fallback = map(str, options.prune), map(str, FALLBACK)
        command = ["lmplz", "-o", str(options.order), "--prune", *prune, "--discount_fallback", *fallback]
        files = ["--text", str(options.train), "--arpa", str(theirs)]
        subprocess.run([*command, *files], check=True, capture_output=True)
        _print("lmplz", time.perf_counter() - began, total_perplexity(score_sentences(open_model(theirs), held_out)))


def _print(name: str, seconds: float, found: Perplexity) -> None:
    print(f"{name:<6}{seconds:6.1f} s  perplexity {found.including:.4f}, {found.excluding:.4f} without unknown words")


if __name__ == "__main__":
    main()
