"""Measures `asr extract` on the training split of a prepared recipe, in seconds of audio per second of one core.

    python tools/benchmark/extraction.py recipes/an4 [key=value ...]

Reading, resampling, starting the worker process and writing are included. "Stored" counts the audio at every speed that
is stored, "corpus" each utterance once.
"""

import sys
import tempfile
import time
from pathlib import Path

from asr.data.manifest import read_manifest
from asr.features.extraction import Extraction, stored_factors
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe


def main() -> None:
    recipe = find_recipe(sys.argv[1])
    config = compose(recipe, sys.argv[2:])
    utterances = read_manifest(recipe.manifest(config, "train"))
    corpus = sum(utterance.duration for utterance in utterances)
    print(f"{config.features.kind.value}, {len(utterances)} utterances, {corpus / 60:.1f} minutes, one worker process")
    for factors in ([1.0], stored_factors("train", config.augment)):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            extraction = Extraction(utterances, config.features, config.data.sampling_rate, factors)
            extraction.run(Path(folder) / "store", workers=1)
            seconds = time.perf_counter() - start
        stored = sum(corpus / factor for factor in factors)
        print(
            f"speeds {factors}: {seconds:.2f} s, stored {stored / seconds:,.0f}x real time, "
            f"corpus {corpus / seconds:,.0f}x real time"
        )


if __name__ == "__main__":
    main()
