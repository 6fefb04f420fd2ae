"""Spoken digit strings: made by eSpeak NG in many voices, with noise, all drawn from a seed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from digit_synthesis import Prompt, Voice, synthesize

from asr.common.errors import DataError
from asr.common.files import atomic_folder
from asr.common.seeds import derive_seed, keys_of, uniform
from asr.data.splits import whole_file, write_splits
from asr.settings.root import Config

Option = TypeVar("Option")

WORDS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
SEPARATORS = (" ", ", ")
ACCENTS = (
    "en", "en-us", "en-us-nyc", "en-029", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd",
)  # fmt: skip

# No timbre is in two splits, nor are timbres that are versions of each other.
VARIANTS = {
    "train": (
        "f1", "f3", "f4", "m1", "m2", "m4", "m5", "m7", "klatt", "klatt3", "klatt5", "Alex", "Alicia", "Andrea",
        "Annie", "Denis", "Gene", "Hugo", "Lee", "Marco", "Michael", "Mike", "Reed", "adam", "anika", "belinda",
        "benjamin", "caleb", "david", "edward", "grandpa", "ian", "john", "linda", "marcelo", "miguel", "norbert",
        "pablo", "quincy", "robert", "sandro", "travis", "zac",
    ),
    "dev": ("f5", "m6", "klatt6", "Andy", "antonio", "aunty", "paul", "steph"),
    "test": ("f2", "m3", "m8", "klatt4", "Diogo", "Jacky", "Mario", "grandma", "max", "pedro", "shelby", "victor"),
}  # fmt: skip


@dataclass(frozen=True)
class Corpus:
    """What the corpus holds."""

    seed: int
    """All draws follow from it; not the seed of the training, so that all trainings share one corpus."""
    utterances: dict[str, int]
    """How many in each split."""
    digits: tuple[int, int]
    """Fewest and most in an utterance."""


CORPUS = Corpus(seed=1, utterances={"train": 3000, "dev": 200, "test": 400}, digits=(3, 7))


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Draws the prompts, synthesizes them into audio/ and writes the manifests."""
    write_corpus(CORPUS, config, output)


def write_corpus(corpus: Corpus, config: Config, output: Path) -> None:
    """Makes a corpus of spoken digits; audio/words.jsonl has the start of each word."""
    prompts = {split: draw_prompts(corpus, split) for split in corpus.utterances}
    with atomic_folder(output / "audio") as folder:
        spoken = [prompt for split in prompts.values() for prompt in split]
        write_word_starts(folder / "words.jsonl", spoken, synthesize(spoken, folder, config.data.sampling_rate))
    write_splits(
        output,
        {
            split: [
                whole_file(output / "audio" / f"{prompt.id}.wav", transcript(prompt), str(prompt.voice))
                for prompt in prompts[split]
            ]
            for split in prompts
        },
    )


def write_word_starts(path: Path, prompts: Sequence[Prompt], starts: Sequence[Sequence[float]]) -> None:
    """Writes a line with the id, the words and their starts (s) for each prompt."""
    with path.open("w", encoding="utf-8") as lines:
        for prompt, its_starts in zip(prompts, starts, strict=True):
            words = transcript(prompt).split()
            if len(words) != len(its_starts):
                raise DataError(
                    f"Prompt {prompt.id}: eSpeak NG tells the starts of {len(its_starts)} words of {len(words)}: "
                    "install a version of espeakng_loader that tells all."
                )
            lines.write(json.dumps({"id": prompt.id, "words": words, "starts": its_starts}) + "\n")


def draw_prompts(corpus: Corpus, split: str) -> list[Prompt]:
    """The prompts of a split; each is a function of the corpus's seed and its own id."""
    ids = [f"{split}-{number:05d}" for number in range(corpus.utterances[split])]
    return [draw_prompt(corpus, id, VARIANTS[split]) for id in ids]


def draw_prompt(corpus: Corpus, id: str, variants: Sequence[str]) -> Prompt:
    """One prompt, every property drawn uniformly from its range."""
    key = keys_of([id])

    def between(low: float, high: float, stream: str) -> float:
        return low + (high - low) * float(uniform(key, "digits", stream, corpus.seed)[0])

    def one_of(options: Sequence[Option], stream: str) -> Option:
        return options[int(between(0, len(options), stream))]

    fewest, most = corpus.digits
    length = one_of(range(fewest, most + 1), "length")
    words = [one_of(WORDS, f"digit {place}") for place in range(length)]
    return Prompt(
        id=id,
        text=one_of(SEPARATORS, "separator").join(words).lower(),
        voice=Voice(one_of(ACCENTS, "accent"), one_of(variants, "variant")),
        words_per_minute=round(between(120, 180, "rate")),
        pitch=round(between(20, 80, "pitch")),
        pitch_range=round(between(20, 80, "range")),
        silence=(between(0.1, 0.3, "before"), between(0.1, 0.3, "after")),
        snr_db=between(10, 40, "snr"),
        noise_slope=between(0, 2, "slope"),
        noise_seed=derive_seed("digits", "noise", corpus.seed, id),
        peak=between(0.1, 0.9, "peak"),
    )


def transcript(prompt: Prompt) -> str:
    """The words of a prompt, without its pauses."""
    return prompt.text.replace(",", "").upper()
