"""The detector of diverging trainings: no alarm of healthy curves, and every divergence within two epochs."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from asr.tracking.diagnostics import Severity, diverging
from asr.tracking.divergence import LossWatch

Row = dict[str, Any]
EPOCHS = 40
ONSET = 20
"""The epoch after which a loss begins to rise."""


def usual(epoch: float) -> float:
    """CTC: many blanks at first, then a plateau, then words."""
    return 0.1 + 50 * math.exp(-epoch * 4) + (3 if epoch < 6 else 3 * math.exp((6 - epoch) / 8))


def curve(loss: Callable[[float], float], steps: int, logged: int, seed: int, means: bool) -> list[Row]:
    """Rows of a training whose steps scatter about a loss, one in twenty far above it.

    Args:
        steps: In an epoch.
        logged: Steps between two rows.
        means: Whether the end of an epoch has the mean of its steps, as trainings of today.
    """
    generator = random.Random(seed)
    rows: list[Row] = []
    of_epoch: list[float] = []
    for step in range(1, EPOCHS * steps + 1):
        odd = generator.choice([1.6, 2.5, 4.0]) if generator.random() < 0.05 else 1.0
        value = loss(step / steps) * math.exp(generator.gauss(0, 0.15)) * odd
        of_epoch.append(value)
        heading = {"step": step, "epoch": step / steps, "seconds": 1.0 * step}
        if step % logged == 0 or step % steps == 0:
            rows.append(heading | {"train/loss": value, "train/learning_rate": 1e-3})
        if step % steps == 0:
            finite = [one for one in of_epoch if math.isfinite(one)]
            if means and finite:
                rows.append(heading | {"train/epoch_loss": sum(finite) / len(finite), "dev/wer": 0.5})
            of_epoch = []
    return rows


def first_alarm(rows: Sequence[Row]) -> float | None:
    """The epochs until a divergence shows."""
    watch = LossWatch()
    return next((row["epoch"] for row in rows if watch.see(row)), None)


CADENCES = [(13, 10), (42, 10), (42, 1), (7, 7), (300, 10)]
"""Steps in an epoch, and steps between rows."""


@pytest.mark.parametrize(("steps", "logged"), CADENCES)
@pytest.mark.parametrize("means", [True, False])
def test_healthy_trainings_raise_no_alarm(steps: int, logged: int, means: bool) -> None:
    for seed in range(3):
        assert first_alarm(curve(usual, steps, logged, seed, means)) is None


def exploding(epoch: float) -> float:
    return usual(ONSET) * (1.0 if epoch <= ONSET else 6.0)


DIVERGING = {
    "jumps": exploding,
    "from 121 to 872": lambda epoch: 121 + 751 * min(1.0, max(0.0, epoch - ONSET)),
    "doubles every epoch": lambda epoch: usual(ONSET) * 4 ** max(0.0, epoch - ONSET),
    "is not finite": lambda epoch: usual(epoch) if epoch <= ONSET else math.nan,
}


@pytest.mark.parametrize(("steps", "logged"), CADENCES)
@pytest.mark.parametrize("kind", DIVERGING)
def test_a_diverging_training_is_found_within_two_epochs(kind: str, steps: int, logged: int) -> None:
    for seed in range(3):
        found = first_alarm(curve(DIVERGING[kind], steps, logged, seed, means=True))
        assert found is not None and ONSET < found <= ONSET + 2


YESNO = [
    7.445, 6.66, 5.457, 3.751, 2.39, 1.436, 1.049, 0.967, 0.939, 0.936, 0.919, 0.902, 0.788, 0.629, 0.412, 0.349,
    0.311, 0.223, 0.055, 0.038, 0.036, 0.066, 0.181, 0.033, 0.031, 0.054, 0.028, 0.053, 0.247, 0.383, 0.134, 0.061,
    0.024, 0.021, 0.159, 0.031, 0.016, 0.066, 0.017, 0.073, 0.009, 0.069, 0.006, 0.005,
]  # fmt: skip
"""Epochs of the recipe yesno: the mean loss of each."""


def by_epochs(means: Sequence[float]) -> list[Row]:
    return [
        {"step": 13 * epoch, "epoch": float(epoch), "seconds": epoch, name: mean}
        for epoch, mean in enumerate(means, start=1)
        for name in ("train/loss", "train/epoch_loss")
    ]


def test_a_model_that_is_nearly_perfect_does_not_diverge_where_it_errs_once() -> None:
    assert first_alarm(by_epochs(YESNO)) is None


@pytest.mark.parametrize("after", [[0.95, 0.95], [3.0, 3.0], [40.0], [math.nan, math.nan]])
def test_a_nearly_perfect_model_that_is_lost_diverges(after: list[float]) -> None:
    found = first_alarm(by_epochs([*YESNO, *after]))
    assert found is not None and len(YESNO) < found <= len(YESNO) + 2


def test_two_odd_rows_at_the_end_of_an_epoch_are_no_divergence() -> None:
    losses = [51.2, 26.7, 5.0, 4.6, 4.3, 4.5, 4.2, 4.1, 4.3, 4.03, 4.2, 10.5, 6.3]
    rows = [{"step": 10 * n, "epoch": n / 5, "seconds": n, "train/loss": loss} for n, loss in enumerate(losses, 1)]
    assert diverging(rows) is None


def test_a_loss_that_is_high_from_its_start_and_rises_is_found() -> None:
    """As with optimizer.learning_rate=1, where the first step is the best of all."""
    losses = [121.0, 140, 300, 560, 800, 860, 872]
    rows = [{"step": 10 * n, "epoch": n, "seconds": n, "train/loss": loss} for n, loss in enumerate(losses, 1)]
    found = diverging(rows)
    assert found is not None and "from 121 at step 10 to 680 at step 60" in found.sentence


def test_a_single_loss_that_is_not_finite_is_a_skipped_step_and_no_divergence() -> None:
    rows = curve(usual, 13, 10, 1, means=True)
    rows[20]["train/loss"] = math.nan
    assert first_alarm(rows) is None


def test_what_was_said_while_training_is_said_afterwards_and_how_it_ended() -> None:
    rows = curve(exploding, 42, 10, 1, means=True)
    at = next(place for place, row in enumerate(rows) if row["epoch"] == first_alarm(rows))
    early = next(found for end in (at + 1, at + 2) if (found := diverging(rows[:end])) is not None)
    late = diverging(rows)
    assert late is not None
    assert late.sentence.startswith(early.sentence.split(" (learning rate")[0])
    assert f" at step {rows[-1]['step']}" in late.sentence


def test_a_training_that_recovered_is_told_as_unstable() -> None:
    rows = curve(lambda epoch: 8.0 if ONSET < epoch < ONSET + 3 else usual(epoch), 13, 10, 1, means=True)
    found = diverging(rows)
    assert found is not None and found.severity is Severity.warning
    assert found.sentence.endswith(" again: the training was unstable.")


def test_a_nearly_perfect_model_that_is_fine_tuned_raises_no_alarm() -> None:
    # yesno, from a model of yesno: the first steps and epochs as they were.
    losses = [0.0009, 0.0012, 0.0002, 0.0007, 0.0002, 0.0001, 0.0008, 0.0004, 0.0005, 0.0086, 0.0004, 0.0003, 0.0005]
    means = [0.0018, 0.0124, 0.0057, 0.0051, 0.0026, 0.0035, 0.0336]
    rows = [{"step": 10 * n, "epoch": n / 2, "train/loss": loss} for n, loss in enumerate(losses, start=1)]
    rows += [{"step": 20 * n, "epoch": float(n), "train/epoch_loss": mean} for n, mean in enumerate(means, start=1)]
    assert first_alarm(sorted(rows, key=lambda row: row["epoch"])) is None
