"""onnxruntime: computing graphs, and making their weights smaller."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asr.common.errors import ConfigError
from asr.common.optional import optional
from asr.deploy.acoustic import NEXT
from asr.deploy.features import PREFIX
from asr.settings.model import Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto

Array = npt.NDArray[Any]
QUANTIZED = ("LSTM", "MatMul")
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
ERRORS_ONLY = 3


def open_session(file: Path, threads: int | None = None) -> Any:
    """An onnxruntime.InferenceSession of a file, on the CPU; by default onnxruntime chooses the threads."""
    onnxruntime = optional("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def log_probs_of(session: Any, waveforms: Array, lengths: Array) -> tuple[Array, Array]:
    """The log-probabilities (frames, batch, tokens) of padded waveforms, and the frames of each."""
    log_probs, frames = session.run(None, {"waveforms": waveforms, "waveform_lengths": lengths})
    return log_probs, frames


class ChunkedUtterance:
    """An utterance that goes through the graph of a stream in chunks."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]
        self._state = {
            value.name: np.zeros([size if isinstance(size, int) else 0 for size in value.shape], TYPES[value.type])
            for value in session.get_inputs()
            if value.name not in ("waveform", "final")
        }

    def accept(self, waveform: Array, final: bool = False) -> Array:
        """The log-probabilities that the next samples settle, (frames, tokens)."""
        chunk = {"waveform": waveform[None], "final": np.array([final])}
        values = dict(zip(self._outputs, self._session.run(None, chunk | self._state), strict=True))
        self._state = {name: values[f"{NEXT}{name}"] for name in self._state}
        log_probs: Array = values["log_probs"][:, 0]
        return log_probs


def require_quantizable(cells: "Sequence[Cell]") -> None:
    """Makes sure that quantization would make a model small and fast.

    Raises:
        ConfigError: It would not.
    """
    others = sorted({cell.name for cell in cells} - {Cell.lstm.name})
    if others:
        raise ConfigError(
            f"--int8 quantizes LSTM layers only, and this model has {', '.join(others)} layers, for which onnxruntime "
            "has no quantized operator: leave out --int8, or train one with model=lstm."
        )


def quantize(model: "ModelProto", file: Path) -> None:
    """Writes a graph with the weights of its LSTM layers and matrix products in 8 bits, and those of the features in
    float32."""
    quantization = optional("onnxruntime.quantization", "onnx")
    of_features = [node.name for node in model.graph.node if any(name.startswith(PREFIX) for name in node.input)]
    with _without_advice():
        quantization.quantize_dynamic(model, str(file), op_types_to_quantize=QUANTIZED, nodes_to_exclude=of_features)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keeps what the library advises on the root logger from the user, who can change nothing there."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
