"""Model folders and language models, with which a recording is transcribed."""

import shutil
from pathlib import Path
from random import Random

import numpy as np
import soundfile
import torch

from asr.inference.confidence import EVIDENCE, ConfidenceMap, write_confidence
from asr.lm.recurrent import RecurrentLanguageModel
from asr.lm.text import WordTokenizer
from asr.lm.trained import load_language_model, next_words, score_text
from asr.model.folder import build_model, save_model
from asr.text.tokenizer import build_tokenizer
from tests.helpers.configurations import composed
from tests.helpers.corpora import tones
from tools.fuzz.cases import Subject, Use, command
from tools.fuzz.files import BULKY, spoil_folder

SMALL = ["model.hidden=8", "model.channels=2", "model.layers=2"]
TEXTS = ["ONE TWO", "TWO THREE ONE", "ONE ONE", "THREE"]
KINDS = {
    "char": ["tokenizer=char", "model=lstm"],
    "bpe": ["tokenizer=bpe", "tokenizer.alphabet=null", "tokenizer.pieces=16", "model=gru"],
    "phone": ["tokenizer=phone", "tokenizer.lexicon=lexicon.txt", "tokenizer.g2p=null", "model=gru"],
    "stream": ["tokenizer=char", "model=lstm", "model.bidirectional=false", "features.normalization=none"],
}
"""Overrides of the acoustic models."""
ARPA = """\\data\\
ngram 1=6
ngram 2=4

\\1-grams:
-1.2\t<unk>\t0
0\t<s>\t-0.3
-1.0\t</s>\t0
-0.8\tONE\t-0.2
-0.9\tTWO\t-0.2
-1.1\tTHREE\t-0.1

\\2-grams:
-0.4\t<s> ONE
-0.5\tONE TWO
-0.3\tTWO </s>
-0.6\tTHREE ONE

\\end\\
"""


class Models(Subject):
    """Acoustic models of all tokenizers, a recurrent language model, and an ARPA file."""

    name = "models"
    kinds = (*KINDS, *KINDS, "language", "arpa")

    def make(self) -> None:
        soundfile.write("speech.wav", tones("ONE TWO"), 16000, subtype="PCM_16")
        Path("lexicon.txt").write_text("ONE W AH N\nTWO T UW\nTHREE TH R IY\n")
        for kind, overrides in KINDS.items():
            config = composed("an4", *SMALL, *overrides)
            tokenizer = build_tokenizer(config.tokenizer, TEXTS)
            torch.manual_seed(0)
            model = build_model(config, tokenizer.size)
            if config.features.normalization.name == "corpus":
                model.normalizer.fit([torch.from_numpy(np.random.default_rng(0).normal(size=(50, 80)).astype("f"))])
            save_model(Path(kind), model, config, tokenizer)
            write_confidence(Path(kind), ConfidenceMap((0.1,) * len(EVIDENCE), 0.5), "dev")
        config = composed("an4", "lm=lstm", "lm.hidden=8", "lm.layers=1", "lm.units=words")
        words = WordTokenizer(["ONE", "TWO"])
        save_model(Path("language"), RecurrentLanguageModel(config.lm, words.size), config, words)
        Path("arpa").mkdir()
        Path("arpa/lm.arpa").write_text(ARPA)

    def take(self, kind: str, good: Path) -> Use:
        shutil.copy(good / "speech.wav", "speech.wav")
        if kind == "language":
            shutil.copytree(good / kind, "model")
            return Use(score_and_continue)
        shutil.copytree(good / (kind if kind in KINDS else "char"), "model")
        if kind in KINDS:
            return command("transcribe", "model", "speech.wav", "--format", "json")
        shutil.copytree(good / kind, "lm")
        return command("transcribe", "model", "speech.wav", "--lm", "lm/lm.arpa")

    def spoil(self, kind: str, draw: Random, outside: Path) -> list[str]:
        if kind == "arpa":
            return spoil_folder(draw, Path("lm"), outside, huge=BULKY)
        return spoil_folder(draw, Path("model"), outside)


def score_and_continue() -> None:
    """Scores a sentence with a recurrent language model, and continues it."""
    trained = load_language_model(Path("model"))
    score_text(trained.model, trained.tokenizer, trained.config.lm.units, ["ONE TWO", ""])
    next_words(trained, "ONE", 3)
