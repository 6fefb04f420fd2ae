"""A trained recurrent language model: model.safetensors, config.yaml and the tokenizer in one folder."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch

from asr.common.errors import ConfigError, RunError
from asr.lm.ngram import lm_name
from asr.lm.recurrent import RecurrentLanguageModel
from asr.lm.text import KIND, WordTokenizer
from asr.model.folder import SETTINGS, WEIGHTS, find_model, read_weights
from asr.settings.compose import load_config
from asr.settings.lm import LmUnits
from asr.settings.root import Config
from asr.text.protocol import FILE, Tokenizer
from asr.text.tokenizer import load_tokenizer


@dataclass(frozen=True)
class TrainedLanguageModel:
    """A recurrent language model, ready to be asked."""

    model: RecurrentLanguageModel
    config: Config
    tokenizer: Tokenizer
    folder: Path

    @property
    def by_words(self) -> bool:
        """Whether its tokens are words, some of which it may not know."""
        return self.config.lm.units is LmUnits.words

    @property
    def key(self) -> str:
        """Differs between models, as lstm-tokens-0123abcd."""
        digest = hashlib.sha256((self.folder / WEIGHTS).read_bytes()).hexdigest()[:8]
        return f"{lm_name(self.config.lm)}-{digest}"


def load_language_model(path: Path, device: str = "cpu") -> TrainedLanguageModel:
    """Loads a model folder, or that of a run.

    Raises:
        ConfigError: It is no recurrent language model's.
        RunError: There is none, or a file is missing or damaged.
    """
    folder = find_model(path)
    if folder is None:
        raise RunError(f"No trained language model at {path}: `asr lm train RECIPE lm=lstm` makes one and says where.")
    config = load_config(folder / SETTINGS)
    if not config.lm.kind.recurrent or not (folder / FILE).is_file():
        raise ConfigError(f"{folder} holds no recurrent language model: give one of `asr lm train RECIPE lm=lstm`.")
    tokenizer = load_units(folder)
    model = RecurrentLanguageModel(config.lm, tokenizer.size)
    read_weights(model, folder)
    model = model.eval().requires_grad_(requires_grad=False).to(torch.device(device))
    return TrainedLanguageModel(model, config, tokenizer, folder)


def load_units(folder: Path) -> Tokenizer:
    """Reads the tokenizer of a language model's folder, which may be of words.

    Raises:
        RunError: There is none, or the file is damaged.
    """
    try:
        saved = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if isinstance(saved, dict) and saved.get("kind") == KIND:
            return WordTokenizer.load(saved)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / FILE} is not a tokenizer ({error}): copy the model folder again.") from None
    return load_tokenizer(folder)
