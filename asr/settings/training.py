"""Settings of the group `training`."""

from dataclasses import dataclass


@dataclass
class TrainingConfig:
    init_from: str | None
    """Fine-tunes a trained model: its folder or that of its run. Its weights and feature statistics are taken over, and
    its architecture must be the same; where the tokens differ, the CTC heads start from scratch."""
    epochs: int
    """Passes over the training utterances."""
    clip_norm: float
    """Norm to which longer gradients are clipped."""
    intermediate_weight: float
    """Weight of the intermediate CTC loss in the total, where model.intermediate_layer adds one."""
    ema_decay: float
    """Decay per step of the exponential moving average of the weights that is evaluated; 0 turns it off."""
    early_stopping_epochs: int | None
    """Epochs without a better dev error rate after which training stops; null never stops early."""
    max_skipped_steps: int
    """Steps skipped for a loss or gradient that is not finite, after which training stops."""
    max_lost_utterances: int
    """Utterances whose audio may become unreadable during training before it stops; 0 stops at the first."""
    checkpoint_minutes: float
    """Longest time between checkpoints (minutes); one is written after each epoch too."""
    keep_checkpoints: int
    """How many of the newest checkpoints are kept on disk."""
    log_every_steps: int
    """Steps between lines of metrics.jsonl and of the log."""
    with_dev: bool
    """Train on dev too, with settings that were tuned without it: the last model is kept, only test is evaluated."""
    deterministic: bool
    """Use deterministic kernels only: bit-identical resume on CUDA, but slower; CPUs are always deterministic."""
    restart: bool
    """Discard what the run folder holds and start again."""
