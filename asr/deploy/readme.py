"""The README of a deployed model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from asr.common.templates import render
from asr.deploy.verification import Agreement
from asr.inference.recognizer import Recognizer
from asr.model.acoustic import cells_of_layers
from asr.scoring.provenance import command
from asr.scoring.results import Results

WHAT = {
    "model.onnx": "whole utterances, alone or in batches",
    "model.int8.onnx": "the same in 8 bits, for single utterances only",
    "stream.onnx": "an utterance in chunks",
    "tokens.txt": "each token and its number",
    "lexicon.txt": "the word of each pronunciation",
    "transcribe.py": "prints the greedy text of recordings",
    "stream.py": "how `stream.onnx` is used",
}


@dataclass(frozen=True)
class Deployment:
    """A model as it is deployed."""

    name: str
    recipe: str | None
    """That it was trained on; None where only the model is at hand."""
    recognizer: Recognizer
    metadata: Mapping[str, str]
    """Of its graphs."""
    files: Mapping[str, int]
    """Sizes of the files beside the README (bytes)."""
    source: str
    """What the graphs were compared on."""
    agreements: Mapping[str, Agreement]
    """How well each graph agrees with PyTorch."""
    results: Sequence[Results]
    """Evaluations of the run."""


def render_readme(made: Deployment, template: str) -> str:
    """The content of README.md, by one of the templates."""
    config = made.recognizer.config
    return render(
        "asr.deploy",
        template,
        name=made.name,
        recipe=made.recipe,
        tokens=made.recognizer.tokenizer.size,
        tokenizer=config.tokenizer.kind.name,
        description=_description(made.recognizer),
        mels=made.recognizer.front.extractor.dim,
        sampling_rate=config.data.sampling_rate,
        parameters=f"{made.recognizer.parameters:,}",
        files={
            name: f"{WHAT[name]}, {size / 1e6:.1f} MB" if name.endswith(".onnx") else WHAT[name]
            for name, size in sorted(made.files.items(), key=lambda file: list(WHAT).index(file[0]))
        },
        delay_ms=f"{config.features.hop_ms * (3 + config.model.lookahead * config.model.subsampling):g}",
        frame_ms=f"{config.features.hop_ms * config.model.subsampling:g}",
        streams="stream.onnx" in made.files,
        int8="model.int8.onnx" in made.files,
        results=made.results,
        command=command(),
        checksum=made.metadata["weights_sha256"],
        torch=version("torch"),
        onnxruntime=version("onnxruntime"),
        source=made.source,
        agreements=made.agreements,
    )


def _description(recognizer: Recognizer) -> str:
    model, features = recognizer.config.model, recognizer.config.features
    cells = ", ".join(dict.fromkeys(cell.name for cell in cells_of_layers(model)))
    directions = "both directions" if model.bidirectional else "one direction"
    return (
        f"{model.layers} recurrent layers ({cells}) of {model.hidden} units in {directions} read {features.kind.name} "
        "features."
    )
