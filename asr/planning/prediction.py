"""What a training is predicted to take."""

from dataclasses import dataclass

MARGIN = 0.2
"""Share of the memory that advice leaves free: a training took up to 1.14 times what was predicted, since in time it
meets other shapes."""


@dataclass(frozen=True)
class Prediction:
    """Figures of one training in one process, measured in a short calibration."""

    name: str
    """Name of the run."""
    parameters: int
    """Trainable numbers of the model."""
    multiply_adds_per_second: float
    """For a second of audio, forward pass."""
    epochs: int
    """Passes that are configured."""
    steps: float
    """Optimizer steps in an epoch, mean."""
    audio_seconds: float
    """Audio fed in an epoch, after speed perturbation (s), mean."""
    padding: float
    """Padded audio that holds nothing, as a share of what is computed in an epoch."""
    training_seconds: float
    """Time of an epoch's steps (s)."""
    validation_seconds: float
    """Time of what follows an epoch: the dev split is decoded, model and checkpoint are saved (s)."""
    output_frames_per_second: float
    """Steps that a recurrent layer takes for a second of audio."""
    peak_bytes: int
    """Peak memory at the planned batches, dev included: of the process, or what PyTorch holds of the GPU."""
    batch_seconds: float
    """Padded audio of the largest planned share of a batch, which is what is on the device at once (s)."""
    base_bytes: float
    """Peak memory of a share of no audio."""
    bytes_per_second: float
    """What each second of padded audio on the device adds to it."""
    device_bytes: int
    """Memory of the device."""
    hardware: str
    """Processor or GPU."""
    precision: str
    threads: int

    @property
    def epoch_seconds(self) -> float:
        """Time of an epoch with all that belongs to it (s)."""
        return self.training_seconds + self.validation_seconds

    @property
    def total_seconds(self) -> float:
        """Time of all epochs (s)."""
        return self.epochs * self.epoch_seconds

    def epochs_within(self, seconds: float) -> int:
        """How many epochs end within a time."""
        return int(seconds / self.epoch_seconds)

    def batch_seconds_within(self, memory: float) -> int:
        """The largest `batching.max_device_seconds` (s) that fits a memory (bytes), with `MARGIN` of it left free.

        0 where not even the model fits.
        """
        room = (1 - MARGIN) * memory - self.base_bytes
        return max(0, int(room / self.bytes_per_second))
