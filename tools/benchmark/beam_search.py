"""Compares beam search with the plain Python reference of the tests, on the log-probabilities of a trained model.

    python -m tools.benchmark.beam_search RUN [key=value ...]

RUN is the folder of a trained run. Both keep the same number of hypotheses and take turns over some dev utterances, one
core for both; the reference searches without a language model, which makes it faster.
"""

import sys
import time
from pathlib import Path

from asr.decoding.beam import BeamDecoder
from asr.decoding.setup import DecodingSetup
from asr.inference.evaluation import split_log_probs
from asr.inference.recognizer import load
from asr.lm.ngram import language_model
from asr.settings.compose import compose
from asr.settings.decoder import DecoderKind
from asr.settings.recipe import find_recipe
from tests.helpers.prefix_beam_search import prefix_beam_search

ROUNDS = 3
UTTERANCES = 20
"""Spread over the split: the reference takes long with many tokens."""


def main() -> None:
    run = Path(sys.argv[1])
    recipe = find_recipe(run.absolute().parent.name)
    config = compose(recipe, ["decoder=beam", *sys.argv[2:]])
    assert config.decoder.kind is DecoderKind.beam
    recognizer = load(run / "model")
    cached = split_log_probs(recipe, config, "dev", recognizer)
    chosen = range(0, len(cached.utterances), max(1, len(cached.utterances) // UTTERANCES))
    emissions = [cached.emissions[number] for number in chosen]
    seconds_of_audio = sum(cached.utterances[number].duration for number in chosen)
    search = DecodingSetup(recipe, config, language_model(recipe, config)).search(recognizer.tokenizer)
    print(f"{len(emissions)} dev utterances, {seconds_of_audio:.0f} s; beam {search.beam}, {search.lm}")
    times: dict[str, list[float]] = {"asr": [], "reference": []}
    with BeamDecoder(search, recognizer.tokenizer, processes=1) as decoder:
        decoder.search_emissions(emissions[:1])  # loads the language model
        for _ in range(ROUNDS):
            began = time.perf_counter()
            decoder.search_emissions(emissions)
            times["asr"].append(time.perf_counter() - began)
            began = time.perf_counter()
            for emission in emissions:
                prefix_beam_search(emission.tolist(), search.beam)
            times["reference"].append(time.perf_counter() - began)
    for name, seconds in times.items():
        print(f"{name:<10} {', '.join(f'{seconds_of_audio / each:.0f}' for each in seconds)} times real time")
    ratios = [theirs / ours for ours, theirs in zip(times["asr"], times["reference"], strict=True)]
    print(f"ratio of each pair: {', '.join(f'{ratio:.1f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
