"""Utterances and manifests, audio, archives, splits, corpus formats in and out, shards."""
