"""Settings of the group `training`."""

from dataclasses import dataclass


@dataclass
class TrainingConfig:
    init_from: str | None
    """Fine-tunes a trained model: its folder or that of its run. Its weights and the statistics of its features are
    taken over, and its architecture must be the same; where the tokens differ, the CTC heads begin anew."""
    epochs: int
    """Passes over the training utterances."""
    clip_norm: float
    """Longest gradient; longer ones are shortened to it."""
    intermediate_weight: float
    """Share of the loss that the intermediate head has where model.intermediate_layer asks for one."""
    ema_decay: float
    """Weight averaging used for evaluation: memory per step; 0 turns it off."""
    early_stopping_epochs: int | None
    """Stop after so many epochs without a better dev WER; null never stops early."""
    max_skipped_steps: int
    """Stop when so many steps had a loss or gradient that is not finite."""
    max_lost_utterances: int
    """Stop when the audio of more utterances than this vanished or was damaged while training; 0 stops at the first."""
    checkpoint_minutes: float
    """Longest time between checkpoints (minutes); one is written after each epoch too."""
    keep_checkpoints: int
    """How many of the newest checkpoints stay on disk."""
    log_every_steps: int
    """Steps between lines of metrics."""
    with_dev: bool
    """Train on dev too, with what was tuned without it: the last model is kept, and test alone is evaluated."""
    deterministic: bool
    """Only deterministic kernels: bit-identical resume on CUDA, slower there; CPUs always are."""
    restart: bool
    """Throw away what the run folder holds and begin anew."""
