"""Training steps of this project and of the same network in plain PyTorch, on one batch, and the ceilings of both."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from plain_network import PlainNetwork
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from asr.model.acoustic import AcousticModel
from asr.model.kernel import library
from asr.settings.compose import compose
from asr.settings.features import Normalization
from asr.settings.model import Cell
from asr.settings.recipe import RECIPES, Recipe
from asr.settings.root import Config
from asr.training.optimization import build_optimizer

GATES = {Cell.rnn: 1, Cell.lstm: 4, Cell.gru: 3, Cell.ligru: 2}
TOKENS, LABELS, CLIP_NORM = 30, 30, 5.0
CEILING_SIZE = 2048


@dataclass(frozen=True)
class Variant:
    """One way to run a step."""

    way: str
    """kernel and dense are this project's, with and without its kernel; packed is plain PyTorch."""
    precision: str

    def autocast(self) -> torch.autocast | nullcontext[None]:
        """Matrix products in the precision."""
        return torch.autocast("cpu", torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def __str__(self) -> str:
        return f"{self.way} {self.precision}"


PACKED = Variant("packed", "fp32")


@dataclass(frozen=True)
class Sizes:
    """Sizes of the model and the batch."""

    layers: int
    hidden: int
    batch: int
    frames: int
    """Of the longest utterance as the recurrent layers see it; the features have twice as many."""
    shortest: float
    """Length of the shortest utterance, as a share of the longest; the others lie evenly between."""

    def lengths(self) -> Tensor:
        """Feature frames of each utterance."""
        return (2 * self.frames * torch.linspace(self.shortest, 1, self.batch)).round().long()


def model_config(cell: Cell, sizes: Sizes) -> Config:
    """The defaults of the project in the sizes of the benchmark."""
    config = compose(Recipe(RECIPES / "an4"), [f"model={cell.name}", "model.subsampling=2"])
    return replace(config, model=replace(config.model, layers=sizes.layers, hidden=sizes.hidden))


class Step:
    """A training step that can be run again and again: forward, CTC loss, backward, clipping, AdamW."""

    def __init__(self, cell: Cell, sizes: Sizes, variant: Variant) -> None:
        config = model_config(cell, sizes)
        self.variant, settings, dim = variant, config.model, config.features.mels
        torch.manual_seed(0)
        # The input is normalized already; statistics of a corpus would be among the weights.
        self.model: nn.Module = AcousticModel(settings, dim, TOKENS, Normalization.utterance)
        if variant.way == "packed":
            dims = (settings.channels, dim, TOKENS, settings.dropout, settings.subsampling // 2)
            plain = PlainNetwork(cell, settings.layers, settings.hidden, *dims)
            plain.load_state_dict(self.model.state_dict())
            self.model = plain
        self.optimizer = build_optimizer(self.model, config.optimizer)
        torch.manual_seed(1)
        self.lengths = sizes.lengths()
        self.features = torch.randn(sizes.batch, int(self.lengths.max()), dim)
        self.labels = torch.randint(1, TOKENS, (sizes.batch, LABELS))

    def loss(self) -> Tensor:
        """The CTC loss, with dropout if the model is in training mode."""
        library.enable(self.variant.way == "kernel")
        with self.variant.autocast():
            log_probs, lengths = self.model(self.features, self.lengths)
        wide = log_probs.float() if self.variant.way == "packed" else log_probs.double()
        return functional.ctc_loss(wide, self.labels, lengths, torch.full((len(lengths),), LABELS), reduction="sum")

    def __call__(self) -> None:
        torch.manual_seed(2)
        (self.loss() / self.labels.numel()).backward()
        clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()


def assert_same_network(cell: Cell, sizes: Sizes) -> None:
    """Compares loss and gradients of this project's step and of the plain one, in float32 and without dropout."""
    results = []
    for way in ("packed", "kernel"):
        step = Step(cell, sizes, Variant(way, "fp32"))
        step.model.eval()
        loss = step.loss()
        results.append([loss.detach(), *torch.autograd.grad(loss, list(step.model.parameters()))])
    for theirs, ours in zip(*results, strict=True):
        distance = torch.linalg.vector_norm(theirs - ours)
        assert distance <= 1e-3 * torch.linalg.vector_norm(theirs), f"{cell.name}: the networks differ"


def multiply_adds(cell: Cell, sizes: Sizes) -> int:
    """Multiply-adds of a training step, frames that exist only: what no implementation can do without."""
    config = model_config(cell, sizes).model
    hidden, dim, channels = sizes.hidden, model_config(cell, sizes).features.mels, config.channels
    width, rows = 2 * hidden, int((sizes.lengths() // 2).sum())
    features_1, features_2 = -(-dim // 2), -(-dim // 4)
    first = rows * features_1 * channels * 9
    second = rows * features_2 * channels * channels * 9
    projection = rows * channels * features_2 * width
    recurrent = sizes.layers * rows * 2 * GATES[cell] * hidden * (width + hidden)
    head = rows * width * TOKENS
    # Backward as much again for the weights and, except for the first convolution, for the inputs.
    return 2 * first + 3 * (second + projection + recurrent + head)


def ceilings(sizes: Sizes) -> dict[str, dict[str, Callable[[], int]]]:
    """By precision, what bounds the speed: each call runs once and gives its multiply-adds.

    `mm` multiplies big square matrices; `lstm` is oneDNN's inference of one direction, the whole batch of equal length.
    """
    found: dict[str, dict[str, Callable[[], int]]] = {}
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        square = torch.randn(CEILING_SIZE, CEILING_SIZE).to(dtype)
        lstm = nn.LSTM(2 * sizes.hidden, sizes.hidden).to(dtype)
        inputs = torch.randn(sizes.frames, sizes.batch, 2 * sizes.hidden).to(dtype)

        def multiply(square: Tensor = square) -> int:
            torch.mm(square, square)
            return CEILING_SIZE**3

        @torch.inference_mode()
        def infer(lstm: nn.LSTM = lstm, inputs: Tensor = inputs) -> int:
            lstm(inputs)
            return inputs.shape[0] * inputs.shape[1] * 4 * sizes.hidden * 3 * sizes.hidden

        found[precision] = {"mm": multiply, "lstm": infer}
    return found


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@contextmanager
def threads(number: int) -> Iterator[None]:
    """This number of threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure_steps(cell: Cell, sizes: Sizes, variants: list[Variant], rounds: int) -> dict[str, object]:
    """Times all variants in turn, in alternating order, with the ceilings between them.

    Returns:
        Medians (ms), medians of the ratios within rounds, G multiply-adds/s of the ceilings, and the share of the
        higher ceiling that each variant reaches.
    """
    if cell is not Cell.ligru:
        assert_same_network(cell, sizes)
    steps = {variant: Step(cell, sizes, variant) for variant in variants}
    bounds = ceilings(sizes)
    for step in steps.values():
        step()
    seconds: dict[Variant, list[float]] = {variant: [] for variant in variants}
    rates: dict[str, dict[str, list[float]]] = {
        precision: {name: [] for name in bounds[precision]} for precision in bounds
    }
    for number in range(rounds):
        for variant in variants if number % 2 == 0 else reversed(variants):
            seconds[variant].append(timed(steps[variant]))
        for precision, calls in bounds.items():
            for name, call in calls.items():
                operations = call()
                rates[precision][name].append(operations / timed(call) / 1e9)
    ceiling = {
        precision: {name: statistics.median(found) for name, found in of.items()} for precision, of in rates.items()
    }
    work = multiply_adds(cell, sizes)
    result: dict[str, object] = {"giga_multiply_adds": work / 1e9, "ceilings_giga_multiply_adds_per_second": ceiling}
    for variant in variants:
        median = statistics.median(seconds[variant])
        entry = {"milliseconds": 1000 * median}
        if PACKED in seconds:
            pairs = zip(seconds[PACKED], seconds[variant], strict=True)
            entry["times_packed_fp32"] = statistics.median(theirs / ours for theirs, ours in pairs)
        entry["share_of_ceiling"] = work / median / 1e9 / max(ceiling[variant.precision].values())
        result[str(variant)] = entry
    return result
