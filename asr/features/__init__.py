"""From waveforms to feature frames, and their augmentation."""
