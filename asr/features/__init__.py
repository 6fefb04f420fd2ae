"""From waveforms to normalized features: extraction, the feature store, augmentation."""
