"""The training loop, its distribution over ranks, checkpoints and optimization."""
