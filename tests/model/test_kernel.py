"""The kernel for recurrent layers on CPUs against PyTorch's own, and what happens where there is none."""

import ctypes
import logging
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from asr.model import light_gru
from asr.model.kernel import library, product, recurrence
from asr.model.kernel.library import KernelMissing, build, open_library
from asr.model.kernel.product import RoundedLinear
from asr.model.kernel.recurrence import PackedFrames
from asr.model.recurrent import RecurrentLayer
from asr.settings.compose import compose
from asr.settings.model import Cell
from asr.settings.recipe import RECIPES, Recipe
from asr.training.hardware import resolve_hardware
from tests.helpers.programs import PATIENCE

# frames, batch, hidden: less than a vector, more than a block of rows, neither a multiple of anything
SHAPES = [(9, 1, 7), (33, 5, 16), (12, 61, 24), (21, 19, 37)]
NARROWER = ["-march=x86-64-v3", pytest.param("-march=x86-64", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def compiled() -> ctypes.CDLL:
    try:
        return open_library(build(library.cache_folder()))
    except KernelMissing as missing:
        pytest.skip(f"no kernel here: {missing}")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, compiled: ctypes.CDLL) -> ctypes.CDLL:
    monkeypatch.setattr(recurrence, "load", lambda: compiled)
    return compiled


def lengths_of(frames: int, batch: int) -> Tensor:
    """Of utterances in no order, among them one of all the frames and one of a single frame."""
    lengths = torch.randint(1, frames + 1, (batch,))
    lengths[batch // 2], lengths[-1] = frames, frames if batch == 1 else 1
    return lengths


def make_layer(cell: Cell, hidden: int, bidirectional: bool) -> RecurrentLayer:
    torch.manual_seed(0)
    layer = RecurrentLayer(cell, input_dim=10, hidden=hidden, bidirectional=bidirectional)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += torch.empty_like(parameter).uniform_(-0.2, 0.2)
    return layer


def outputs_and_gradients(layer: RecurrentLayer, path: str, inputs: Tensor, lengths: Tensor) -> list[Tensor]:
    inputs = inputs.clone().requires_grad_()
    outputs = getattr(layer, path)(inputs, lengths).float()
    valid = (torch.arange(len(inputs))[:, None] < lengths)[:, :, None]
    weights = torch.linspace(-1, 1, outputs.numel()).view_as(outputs)
    gradients = torch.autograd.grad((outputs * weights * valid).sum(), [inputs, *layer.parameters()])
    return [outputs * valid, *gradients]


def assert_fused_equals_dense(cell: Cell, shape: tuple[int, int, int], bidirectional: bool) -> None:
    frames, batch, hidden = shape
    layer = make_layer(cell, hidden, bidirectional)
    inputs, lengths = torch.randn(frames, batch, 10), lengths_of(frames, batch)
    fused, dense = (outputs_and_gradients(layer, path, inputs, lengths) for path in ("fused", "dense"))
    torch.testing.assert_close(fused[0], dense[0], rtol=0, atol=1e-5)
    for mine, theirs in zip(fused[1:], dense[1:], strict=True):
        assert torch.linalg.vector_norm(mine - theirs) <= 1e-4 * torch.linalg.vector_norm(theirs)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", list(Cell))
def test_the_kernel_equals_the_dense_way_forward_and_backward(
    cell: Cell, shape: tuple[int, int, int], bidirectional: bool, use: ctypes.CDLL
) -> None:
    assert_fused_equals_dense(cell, shape, bidirectional)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are names of x86-64 processors")
@pytest.mark.parametrize("target", NARROWER)
def test_a_kernel_for_narrower_vectors_says_the_same(
    target: str, compiled: ctypes.CDLL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = open_library(build(tmp_path, (target,)))
    monkeypatch.setattr(recurrence, "load", lambda: narrow)
    for cell in Cell:
        assert_fused_equals_dense(cell, (12, 61, 37), bidirectional=True)


@pytest.mark.parametrize("cell", list(Cell))
def test_in_bfloat16_the_kernel_stays_near_the_dense_way_in_float32(cell: Cell, use: ctypes.CDLL) -> None:
    if not use.recurrence_has_bfloat16():
        pytest.skip("this processor does not multiply in bfloat16")
    layer, lengths = make_layer(cell, 24, bidirectional=True), lengths_of(33, 19)
    inputs = torch.randn(33, 19, 10)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(inputs, lengths).dtype is torch.bfloat16
        fused = outputs_and_gradients(layer, "forward", inputs, lengths)
    dense = outputs_and_gradients(layer, "dense", inputs, lengths)
    for mine, theirs in zip(fused, dense, strict=True):
        assert torch.linalg.vector_norm(mine - theirs) <= 0.03 * torch.linalg.vector_norm(theirs)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only these processors may have a matrix unit")
@pytest.mark.parametrize("shape", [(9, 1, 7), (12, 61, 33)])
def test_with_and_without_a_matrix_unit_bfloat16_says_nearly_the_same(
    shape: tuple[int, int, int], compiled: ctypes.CDLL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled.recurrence_has_bfloat16():
        pytest.skip("this processor does not multiply in bfloat16")
    plain = open_library(build(tmp_path, (*library.NATIVE, "-mno-amx-bf16")))
    frames, batch, hidden = shape
    for cell in Cell:
        layer, inputs, lengths = (
            make_layer(cell, hidden, True),
            torch.randn(frames, batch, 10),
            lengths_of(frames, batch),
        )
        results = []
        for kernel in (compiled, plain):
            monkeypatch.setattr(recurrence, "load", lambda kernel=kernel: kernel)
            with torch.autocast("cpu", torch.bfloat16):
                results.append(outputs_and_gradients(layer, "fused", inputs, lengths))
        for mine, theirs in zip(*results, strict=True):
            assert torch.linalg.vector_norm(mine - theirs) <= 0.02 * torch.linalg.vector_norm(theirs)


@pytest.mark.parametrize("onednn", [True, False])
def test_either_library_multiplies_forwards_and_backwards(onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if onednn and not product.has_onednn():
        pytest.skip("PyTorch was built without oneDNN, or has other operators of it")
    monkeypatch.setattr(product, "onednn_is_quicker", lambda: onednn)
    inputs, weights = torch.randn(3, 50, 20, requires_grad=True), torch.randn(30, 20, requires_grad=True)
    mine, theirs = product.linear(inputs, weights), functional.linear(inputs, weights)
    torch.testing.assert_close(mine, theirs)
    for direction in (torch.randn_like(mine), torch.ones(()).expand_as(mine)):
        gradients = (torch.autograd.grad(y, (inputs, weights), direction, retain_graph=True) for y in (mine, theirs))
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    # Gradients of recurrent weights are of one direction's columns.
    for rows in (0, 1, 50):
        left, right = torch.randn(rows, 40)[:, 5:25], torch.randn(rows, 30)[:, 10:20]
        torch.testing.assert_close(product.transposed_product(left, right), left.T @ right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gates_are_normalized_as_torch_does_it_with_any_number_of_threads(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, compiled: ctypes.CDLL
) -> None:
    torch.manual_seed(0)
    gates = (3 * torch.randn(70, 2, 4 * 37) + 1).to(dtype).requires_grad_()
    scale, shift = (torch.randn(4 * 37, requires_grad=True) for _ in range(2))
    direction = torch.randn(70, 2, 4 * 37).to(dtype)
    assert light_gru.can_normalize(gates, scale)

    def run(threads: int) -> list[Tensor]:
        torch.set_num_threads(threads)
        outputs = light_gru.normalized_gates(gates, scale, shift, 37).to(dtype)
        return [outputs.detach(), *torch.autograd.grad(outputs, (gates, scale, shift), direction)]

    before = torch.get_num_threads()
    try:
        one, three = run(1), run(3)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(mine, other) for mine, other in zip(one, three, strict=True))
    monkeypatch.setattr(light_gru, "can_normalize", lambda gates, scale: False)
    exact = dtype is torch.float32
    for mine, theirs in zip(one, run(before), strict=True):
        distance = torch.linalg.vector_norm(mine.float() - theirs.float())
        assert distance <= (1e-5 if exact else 1e-2) * torch.linalg.vector_norm(theirs.float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cell", list(Cell))
def test_the_recurrence_gives_the_same_bits_in_any_batch_and_with_any_number_of_threads(
    cell: Cell, dtype: torch.dtype, use: ctypes.CDLL
) -> None:
    if dtype is torch.bfloat16 and not use.recurrence_has_bfloat16():
        pytest.skip("this processor does not multiply in bfloat16")
    torch.manual_seed(0)
    count = {Cell.rnn: 1, Cell.lstm: 4, Cell.gru: 3, Cell.ligru: 2}[cell]
    weights, biases = 0.3 * torch.randn(2, count * 20, 20), 4 if cell is Cell.gru else count
    bias = None if cell is Cell.ligru else torch.randn(2, biases * 20)
    given, lengths = torch.randn(15, 29, 2 * count * 20).to(dtype), lengths_of(15, 29)

    def run(utterances: slice) -> tuple[Tensor, Tensor]:
        frames = PackedFrames.of(lengths[utterances], 15)
        gates = given[:, utterances].clone().requires_grad_()
        outputs = recurrence.recurrence(cell, frames.pack(gates), weights, bias, frames)
        return outputs.detach(), torch.autograd.grad(outputs.float().square().sum(), gates)[0]

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        whole = run(slice(None))
        torch.set_num_threads(3)
        shared = run(slice(None))
    finally:
        torch.set_num_threads(threads)
    alone = [torch.cat(parts, dim=1) for parts in zip(*(run(slice(n, n + 1)) for n in range(29)), strict=True)]
    for one, other, third in zip(whole, shared, alone, strict=True):
        assert torch.equal(one, other) and torch.equal(one, third)


@pytest.mark.skipif(platform.system() != "Linux", reason="/proc is Linux's")
def test_the_kernel_shares_the_threads_of_torch(compiled: ctypes.CDLL) -> None:
    # In a process of its own: other packages may bring a runtime for themselves.
    lines = [
        "import ctypes, re, torch",
        f"assert ctypes.CDLL({compiled._name!r}).recurrence_has_threads()",
        r"print(len(set(re.findall(r'\S*/lib(?:gomp|iomp5|omp)\b\S*', open('/proc/self/maps').read()))))",
    ]
    found = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE
    )
    assert found.stdout == "1\n"


def test_past_the_ends_stand_zeros_and_no_gradient_comes_from_there(use: ctypes.CDLL) -> None:
    layer, lengths = make_layer(Cell.gru, 16, bidirectional=True), torch.tensor([4, 9])
    inputs = torch.randn(9, 2, 10, requires_grad=True)
    outputs = layer.fused(inputs, lengths)
    assert not outputs[4:, 0].any()
    outputs.sum().backward()
    assert inputs.grad is not None and not inputs.grad[4:, 0].any() and inputs.grad[:4, 0].any()


@pytest.mark.parametrize("cell", [Cell.rnn, Cell.lstm, Cell.gru])
def test_what_is_not_a_number_does_not_vanish(cell: Cell, use: ctypes.CDLL) -> None:
    layer, inputs = make_layer(cell, 16, bidirectional=False), torch.zeros(3, 1, 10)
    inputs[1, 0, 0] = float("nan")
    outputs = layer.fused(inputs, torch.tensor([3]))
    assert outputs[0].isfinite().all() and outputs[1:].isnan().all()


def test_the_recipe_chooses_whether_layers_use_the_kernel(use: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "compiled_kernel", lambda: use)
    monkeypatch.setattr(recurrence, "load", library.load)
    threads = torch.get_num_threads()
    try:
        for choice, dtype in (("off", None), ("auto", torch.float32)):
            resolve_hardware(compose(Recipe(RECIPES / "an4"), [f"hardware.kernel={choice}"]).hardware)
            assert recurrence.kernel_dtype(torch.zeros(1)) is dtype
        assert recurrence.kernel_dtype(torch.zeros(1, dtype=torch.float64)) is None
    finally:
        library.enable(True)
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        ("/nowhere/g++", "nowhere"),
        ("false", "false fails"),
        ("", "no C++ compiler"),
        ("g++ 'x", "is no command"),
        ("g++ -no-such-option", "fails"),
    ],
)
def test_without_a_compiler_layers_go_the_dense_way_and_the_log_says_so_once(
    compiler: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if not compiler:
        monkeypatch.setenv("PATH", str(tmp_path))
    library.compiled_kernel.cache_clear()
    layer, inputs, lengths = make_layer(Cell.lstm, 8, bidirectional=True), torch.randn(5, 2, 10), torch.tensor([5, 3])
    try:
        with caplog.at_level(logging.INFO):
            assert torch.equal(layer(inputs, lengths), layer.dense(inputs, lengths))
            layer(inputs, lengths)
    finally:
        library.compiled_kernel.cache_clear()
    (record,) = caplog.records
    assert reason in record.getMessage() and record.levelno == logging.INFO


def test_a_kernel_is_compiled_once(compiled: ctypes.CDLL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "compiler"
    log = tmp_path / "log"
    compiler.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && : > "$2"; shift; done\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    first, second = build(tmp_path / "cache"), build(tmp_path / "cache")
    assert first == second and list((tmp_path / "cache").iterdir()) == [first]
    assert len([line for line in log.read_text().splitlines() if "-o" in line]) == 1
    assert build(tmp_path / "cache", ("-march=other",)) != first


@pytest.mark.parametrize("damage", [b"", b"half", b"\x7fELF another library"])
def test_a_damaged_kernel_is_compiled_again(
    compiled: ctypes.CDLL, damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = tmp_path / Path(compiled._name).name
    kept.write_bytes(damage if damage != b"half" else Path(compiled._name).read_bytes()[:5000])
    assert build(tmp_path) == kept
    assert str(kept) in caplog.text
    open_library(kept)
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_that_are_added_change_neither_outputs_nor_gradients(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = RoundedLinear(24, 10).to(dtype)
    inputs = torch.randn(3, 77, 24, dtype=dtype, requires_grad=True)  # 231 rows, computed as 256
    plain = nn.functional.linear(inputs, layer.weight, layer.bias)
    rounded = layer(inputs)
    assert rounded.shape == plain.shape
    torch.testing.assert_close(rounded, plain)
    direction = torch.randn_like(plain)
    over = [inputs, *layer.parameters()]
    for ours, theirs in zip(*(torch.autograd.grad(out, over, direction) for out in (rounded, plain)), strict=True):
        torch.testing.assert_close(ours, theirs)
