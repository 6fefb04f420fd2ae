"""Metrics as JSON lines on disk, always; Weights & Biases on top."""
