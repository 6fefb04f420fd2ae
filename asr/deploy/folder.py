"""Folders in which a trained model runs without this package: graphs, tokens, a script and a README."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from asr.common.errors import ConfigError, RunError
from asr.common.files import atomic_folder
from asr.common.optional import optional
from asr.deploy.acoustic import can_stream, stream_graph, whole_graph
from asr.deploy.readme import Deployment, render_readme
from asr.deploy.runtime import quantize, require_quantizable
from asr.deploy.verification import Agreement, Signals, agreement, compare, compare_stream, signals_of
from asr.inference.finished_run import FinishedRun
from asr.inference.recognizer import Recognizer
from asr.model.acoustic import cells_of_layers
from asr.model.card import evaluations_of
from asr.model.folder import weights_checksum
from asr.settings.recipe import SETTINGS
from asr.settings.runs import is_language_model
from asr.text.phone import PhoneTokenizer
from asr.text.protocol import BLANK, Tokenizer

if TYPE_CHECKING:
    from onnx import ModelProto

TEMPLATES = Path(__file__).parent / "templates"
BLANK_SYMBOL = "<blk>"
"""As sherpa-onnx and icefall write it in a tokens.txt."""


class Target(Protocol):
    """What a model is written for."""

    @property
    def readme(self) -> str:
        """The template of its README."""

    def check(self, recognizer: Recognizer) -> None:
        """Raises ConfigError for a model that cannot be written for it."""

    def write(
        self, recognizer: Recognizer, metadata: dict[str, str], signals: Signals, folder: Path
    ) -> dict[str, Agreement]:
        """Writes graphs, and what belongs to them, into an empty folder.

        Returns:
            How well each graph agrees with PyTorch, by its file.

        Raises:
            ConfigError: The model cannot be exported.
            RunError: A graph differs from PyTorch.
        """


@dataclass(frozen=True)
class Onnx:
    """Graphs of waveforms, and scripts that use them."""

    int8: bool
    """Whether a quantized graph is written too."""
    readme: str = "README.md"

    def check(self, recognizer: Recognizer) -> None:
        if self.int8:
            require_quantizable(cells_of_layers(recognizer.config.model))

    def write(
        self, recognizer: Recognizer, metadata: dict[str, str], signals: Signals, folder: Path
    ) -> dict[str, Agreement]:
        agreements: dict[str, Agreement] = {}
        graph = whole_graph(recognizer, metadata)
        agreements["model.onnx"] = compare(recognizer, save_graph(graph, folder / "model.onnx"), signals)
        if self.int8:
            quantize(graph, folder / "model.int8.onnx")
            agreements["model.int8.onnx"] = agreement(recognizer, folder / "model.int8.onnx", signals)
        scripts = ["transcribe.py"]
        if can_stream(recognizer.config):
            file = save_graph(stream_graph(recognizer, metadata), folder / "stream.onnx")
            agreements["stream.onnx"] = compare_stream(recognizer, file, signals)
            scripts.append("stream.py")
        for script in scripts:
            (folder / script).write_bytes((TEMPLATES / script).read_bytes())
        return agreements


def deploy(run: FinishedRun, folder: Path, target: Target) -> Deployment:
    """Writes a model into a new folder, which is there only if its graphs compute what PyTorch does.

    Args:
        run: Whose model it is; its dev split is what the graphs are compared on.
        folder: Not there, or empty.
        target: What it is written for.

    Raises:
        ConfigError: The folder is not empty, a library is not installed, or the model cannot be exported.
        RunError: There is no such model, or a graph differs from PyTorch.
    """
    _require_empty(folder)
    for library in ("onnx", "onnxruntime"):
        optional(library, "onnx")
    of_run = (run.path / SETTINGS).is_file()
    if of_run and is_language_model(run.path, run.config):
        raise RunError(f"{run.path} is the run of a language model, which is not exported: give that of a recognizer.")
    recognizer = run.recognizer()
    target.check(recognizer)
    metadata = metadata_of(recognizer, weights_checksum(run.model))
    signals = signals_of(run, recognizer)
    with atomic_folder(folder) as content:
        agreements = target.write(recognizer, metadata, signals, content)
        _write_tokens(recognizer.tokenizer, content)
        made = Deployment(
            f"{run.recipe.name} {run.path.name}" if of_run else run.model.absolute().name,
            run.recipe.name if of_run else None,
            recognizer,
            metadata,
            {path.name: path.stat().st_size for path in sorted(content.iterdir())},
            signals.source,
            agreements,
            evaluations_of(run.path) if of_run else [],
        )
        (content / "README.md").write_text(render_readme(made, target.readme), encoding="utf-8")
    return made


def metadata_of(recognizer: Recognizer, checksum: str) -> dict[str, str]:
    """What the graphs say of a model, as texts.

    Args:
        checksum: SHA-256 of its weights.
    """
    config = recognizer.config
    return {
        "sampling_rate": str(config.data.sampling_rate),
        "hop": str(recognizer.front.extractor.hop),
        "subsampling": str(config.model.subsampling),
        "vocabulary": json.dumps(list(recognizer.tokenizer.symbols), ensure_ascii=False),
        "blank": str(BLANK),
        "tokenizer": config.tokenizer.kind.name,
        "weights_sha256": checksum,
    }


def _require_empty(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty, and nothing there is overwritten: give another folder for -o.")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: give a folder for -o.")


def save_graph(graph: "ModelProto", file: Path) -> Path:
    """Writes a graph; gives the file."""
    file.write_bytes(graph.SerializeToString())
    return file


def _write_tokens(tokenizer: Tokenizer, folder: Path) -> None:
    """tokens.txt, with a token and its number a line; of phones also lexicon.txt, with a word and its phones a line."""
    symbols = [BLANK_SYMBOL, *list(tokenizer.symbols)[BLANK + 1 :]]
    lines = "".join(f"{symbol} {number}\n" for number, symbol in enumerate(symbols))
    (folder / "tokens.txt").write_text(lines, encoding="utf-8", newline="\n")
    if isinstance(tokenizer, PhoneTokenizer):
        words: dict[str, str] = {}
        for word, phones in tokenizer.words.items():
            words.setdefault(" ".join(phones), word)
        lines = "".join(f"{word} {phones}\n" for phones, word in words.items())
        (folder / "lexicon.txt").write_text(lines, encoding="utf-8", newline="\n")
