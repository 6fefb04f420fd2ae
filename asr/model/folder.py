"""A trained model is data: model.safetensors, config.yaml and tokenizer files in one folder. Loading runs no code."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from asr.common.documents import open_bytes
from asr.common.errors import ConfigError, RunError
from asr.common.files import atomic_write, atomic_write_text, sync
from asr.common.processes import machine_memory
from asr.features.extractor import FeatureExtractor
from asr.model.acoustic import AcousticModel, count_parameters
from asr.model.hub import download, is_address, shown
from asr.settings.compose import as_yaml, load_config
from asr.settings.recipe import MODEL, SETTINGS
from asr.settings.root import Config
from asr.text.protocol import FILE as TOKENIZER
from asr.text.protocol import Tokenizer
from asr.text.tokenizer import load_tokenizer

AnyModel = TypeVar("AnyModel", bound=nn.Module)

WEIGHTS = "model.safetensors"
CONFIDENCE = "confidence.json"
CARD = "README.md"
FILES = (WEIGHTS, SETTINGS, TOKENIZER, CONFIDENCE, CARD)
"""All that a model folder may hold; the last two are not needed."""
PARAMETER_BYTES = 4
TRAINED = 5
"""What a training keeps of each parameter: weight, gradient, two moments and the average."""


def build_model(config: Config, tokens: int, copies: int = 1) -> AcousticModel:
    """The acoustic model of a configuration, with random weights, for a number of tokens, the blank included.

    Args:
        copies: How often its parameters shall fit into memory.

    Raises:
        ConfigError: They would not, or settings do not fit together.
    """
    with torch.device("cpu"):  # its filters are computed, even where the model is only measured
        dim = FeatureExtractor(config.features, config.data.sampling_rate).dim
    return build_if_it_fits(
        lambda: AcousticModel(config.model, dim, tokens, config.features.normalization), "model", copies
    )


def build_if_it_fits(build: Callable[[], AnyModel], group: str, copies: int = 1) -> AnyModel:
    """Builds a model once its parameters, counted without memory for them, are known to fit into that of the machine.

    Raises:
        ConfigError: They would not; names the settings of the group.
    """
    with torch.device("meta"):
        measured = build()
    if torch.get_default_device().type == "meta":
        return measured
    parameters, memory = count_parameters(measured), machine_memory()
    if parameters * copies * PARAMETER_BYTES > memory:
        raise ConfigError(
            f"A model of {group}.hidden and {group}.layers as they are has {parameters:,} parameters, which take "
            f"{parameters * copies * PARAMETER_BYTES / 1e9:,.1f} GB{' in training' if copies > 1 else ''}, and this "
            f"machine has {memory / 1e9:,.1f} GB: lower {group}.hidden or {group}.layers."
        )
    return build()


def find_model(path: Path) -> Path | None:
    """The model folder at a path, which may be the folder of its run or, as hf://OWNER/NAME, on the Hugging Face hub;
    None where there are no weights.

    Raises:
        RunError: It cannot be downloaded, or holds no model.
    """
    if is_address(path):
        downloaded = download(path, FILES)
        if not (downloaded / WEIGHTS).is_file():
            raise RunError(f"{shown(path)} holds no model of asr: it has no {WEIGHTS}.")
        return downloaded
    return next((folder for folder in (path / MODEL, path) if (folder / WEIGHTS).is_file()), None)


def model_folder(path: str | Path, given_as: str) -> Path:
    """The model folder at a path that a user gave by a key or an argument; it may be the folder of its run.

    Raises:
        RunError: There is no model.
    """
    found = find_model(Path(path))
    if found is None:
        raise RunError(f"No trained model at {path}: give the folder of a run or of a model as {given_as}.")
    return found


def weights_checksum(model: Path) -> str:
    """SHA-256 of the weights in a model folder.

    Raises:
        RunError: They cannot be read.
    """
    with _weights(model / WEIGHTS), open_bytes(model / WEIGHTS) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _weights(path: Path) -> Iterator[Any]:
    """Weights, open, of which the header was compared with the size of the file; an error names them."""
    try:
        with open_bytes(path), safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise RunError(f"The weights {path} cannot be read ({error}): copy the folder again.") from None


def save_model(folder: Path, model: nn.Module, config: Config, tokenizer: Tokenizer) -> None:
    """Writes a model folder, each file whole or not at all, the weights in float32.

    Raises:
        RunError: It cannot be written, as on a full disk.
    """
    tensors = {name: tensor.float().cpu().contiguous() for name, tensor in model.state_dict().items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(folder)
        atomic_write_text(folder / SETTINGS, as_yaml(config))
        with atomic_write(folder / WEIGHTS) as weights:
            save_file(tensors, weights)
        sync(folder)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"The model cannot be written to {folder} ({error}): make room there, then give the same command again."
        ) from None


def load_model(folder: Path) -> tuple[AcousticModel, Config, Tokenizer]:
    """Loads a model folder, ready for evaluation on the CPU.

    Raises:
        RunError: A file is missing or damaged, or the weights are not those of the configuration.
    """
    if not (folder / WEIGHTS).is_file():
        raise RunError(f"No trained model at {folder}: it has no {WEIGHTS}.")
    config, tokenizer = load_config(folder / SETTINGS), load_tokenizer(folder)
    model = with_weights(lambda: build_model(config, tokenizer.size), folder)
    return model.eval().requires_grad_(requires_grad=False), config, tokenizer


def with_weights(build: Callable[[], AnyModel], folder: Path) -> AnyModel:
    """Builds a model with the weights of a model folder.

    They are compared with the model before memory is taken for either, which a few bytes could ask for without end.

    Raises:
        RunError: They cannot be read, are not those of the model, or are not finite.
    """
    path = folder / WEIGHTS
    with torch.device("meta"):
        expected = {name: (list(value.shape), "F32") for name, value in build().state_dict().items()}
    with _weights(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        found = {name: (part.get_shape(), part.get_dtype()) for name, part in slices.items()}
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                raise RunError(
                    f"The weights {path} are not of the model that its {SETTINGS} describes: {name} is "
                    f"{_described(found.get(name))} where {_described(expected.get(name))} belongs; copy the folder "
                    "again."
                )
        tensors = load_file(path)
    odd = next((name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())), None)
    if odd is not None:
        raise RunError(f"The weights {path} hold values in {odd} that are not finite: copy the folder again.")
    model = build()
    model.load_state_dict(tensors)
    return model


def _described(tensor: tuple[list[int], str] | None) -> str:
    return "missing" if tensor is None else f"{tensor[1]} of shape {tensor[0]}"
