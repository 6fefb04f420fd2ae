"""Settings of the group `plan`."""

from dataclasses import dataclass


@dataclass
class PlanConfig:
    """The budget of a training, for the advice of `asr plan`; a training does not depend on it."""

    memory_gb: float | None
    """Memory that the training may use (GB); null is all that the device has."""
    minutes: float | None
    """Time that the training may take (min); null is as long as its epochs take."""
