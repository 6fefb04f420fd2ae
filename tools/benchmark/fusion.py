"""What a recurrent language model and hot words cost a beam search, on the log-probabilities of a trained model.

    python tools/benchmark/fusion.py RUN LM [key=value ...]

RUN is the folder of a trained run, LM that of a recurrent language model. It counts the time of the processor, so other
work on the machine changes it little.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

from asr.decoding.beam import BeamDecoder
from asr.decoding.search import Rescorer, Search
from asr.decoding.setup import DecodingSetup
from asr.inference.evaluation import split_log_probs
from asr.inference.recognizer import load
from asr.lm.ngram import language_model
from asr.lm.trained import load_language_model
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe

UTTERANCES = 10
"""Spread over the split."""


def main() -> None:
    run, lm_folder = Path(sys.argv[1]), Path(sys.argv[2])
    recipe = find_recipe(run.absolute().parent.name)
    config = compose(recipe, ["decoder=beam", *sys.argv[3:]])
    recognizer, recurrent = load(run / "model"), load_language_model(lm_folder)
    dev = split_log_probs(recipe, config, "dev", recognizer)
    chosen = range(0, len(dev.utterances), max(1, len(dev.utterances) // UTTERANCES))
    emissions = [dev.emissions[number] for number in chosen]
    audio = sum(dev.utterances[number].duration for number in chosen)
    search = DecodingSetup(recipe, config, language_model(recipe, config)).search(recognizer.tokenizer)
    words = [word for number in chosen for word in dev.utterances[number].text.split()]
    hot = tuple((word,) for word in dict.fromkeys(words))[:10]
    several = replace(search, nbest=config.decoder.recurrent_nbest)
    searches: dict[str, tuple[Search, Rescorer | None]] = {
        "n-grams": (search, None),
        "rescored": (several, Rescorer(recurrent, 0.5, 0.0)),
        "hot words": (
            replace(search, hot=hot if search.lexicon else (tuple(search.symbols[1:3]),), hot_boost=1.0),
            None,
        ),
        "fused": (replace(search, recurrent=str(recurrent.folder), recurrent_weight=0.5), None),
    }
    print(f"{len(emissions)} dev utterances, {audio:.0f} s; beam {search.beam}, {search.lm}")
    for name, (wanted, rescorer) in searches.items():
        with BeamDecoder(wanted, recognizer.tokenizer, 1, rescorer, 1) as decoder:
            decoder.search_emissions(emissions[:1])  # loads the language models
            began = time.process_time()
            decoder.search_emissions(emissions)
            print(f"{name:<10} {audio / (time.process_time() - began):.1f} times real time", flush=True)


if __name__ == "__main__":
    main()
