"""Predictions side by side as a table on the console."""

from collections.abc import Sequence

from asr.planning.advice import Budget, Plan, duration, gigabytes

HEADINGS = (
    "model",
    "parameters",
    "multiply-adds/s",
    "epoch",
    "dev of it",
    "epochs",
    "in all",
    "peak memory",
    "at once",
    "fits at once",
)
LEFT = 1  # the first column is a name, the others numbers


def plan_table(plans: Sequence[Plan], budget: Budget) -> str:
    """A line for each model under a line of headings.

    multiply-adds/s is of a second of audio, forward; at once is the padded audio of the largest planned share of a
    batch, and fits at once what the memory would hold.
    """
    rows = [HEADINGS, *(_row(plan, budget) for plan in plans)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _row(plan: Plan, budget: Budget) -> tuple[str, ...]:
    prediction = plan.prediction
    return (
        plan.label,
        f"{prediction.parameters / 1e6:.2f} M",
        f"{prediction.multiply_adds_per_second / 1e6:.0f} M",
        duration(prediction.epoch_seconds),
        duration(prediction.validation_seconds),
        str(prediction.epochs),
        duration(prediction.total_seconds),
        gigabytes(prediction.peak_bytes),
        f"{prediction.batch_seconds:.0f} s",
        f"{prediction.batch_seconds_within(budget.memory)} s",
    )
