"""Settings of the group `pack`."""

from dataclasses import dataclass


@dataclass
class PackConfig:
    """How `asr pack` writes shards."""

    output: str | None
    """Folder of the shards; null is `shards` in the recipe's data folder."""
    shard_mb: float
    """Approximate size of each shard (MB); fewer and larger ones are better for servers, smaller ones for copying."""
