"""Utterances and manifests, audio, archives, the feature store, the batch plan and the loader."""
