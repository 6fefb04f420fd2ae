"""Ranks that do not find each other say so in one sentence."""

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest
import torch

from asr.commands.cli import exit_codes
from asr.training import distributed
from tests.helpers.programs import run


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


def join_two() -> None:
    """Waits for a second rank, for a second."""
    with exit_codes():
        distributed.join_ranks(torch.device("cpu"), join_minutes=0.02)


def join(rank: int, port: int) -> subprocess.CompletedProcess[str]:
    """A rank of two that finds no other."""
    places = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return run(join_two, [], **places)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def only_line(ended: subprocess.CompletedProcess[str]) -> str:
    """What it says, which is one sentence: no stacks of PyTorch's own before it."""
    (line,) = ended.stderr.strip().splitlines()
    return line


def test_a_rank_that_never_comes_is_missed_by_the_first() -> None:
    ended = join(0, free_port())
    assert ended.returncode == 2
    assert "1 of 2 ranks came" in only_line(ended) and "cluster.join_minutes" in only_line(ended)


def test_a_first_rank_that_never_comes_is_missed_by_the_others() -> None:
    ended = join(1, free_port())
    assert ended.returncode == 2
    assert "Rank 1 waited" in only_line(ended) and "not all 2 ranks came" in only_line(ended)


def test_a_port_that_is_taken_is_named(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    ended = join(0, port)
    assert ended.returncode == 2
    assert f"Port {port} of 127.0.0.1 is taken: set MASTER_PORT" in only_line(ended)


def test_what_native_code_says_else_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with distributed.native_errors_held():
        os.write(2, b"a warning of NCCL")
    assert capfd.readouterr().err == "a warning of NCCL"
    with pytest.raises(ZeroDivisionError), distributed.native_errors_held():  # noqa: PT012  what is lost otherwise
        os.write(2, b"a fault of NCCL")
        raise ZeroDivisionError
    assert capfd.readouterr().err == "a fault of NCCL"
