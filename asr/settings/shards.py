"""Settings of the group `shards`."""

from dataclasses import dataclass


@dataclass
class ShardsConfig:
    """Where audio is read from. None of it changes a training: shards hold the same samples as the files."""

    source: str | None
    """Folder or address (s3://, gs://, https://, ...) of what `asr pack` wrote; null reads the files of the
    manifests."""
    cache: str | None
    """Folder on a local disk that keeps what came from a server; null keeps nothing."""
    cache_gb: float
    """Largest size of the cache (GB). Of a corpus that is larger, a fixed part is kept."""
    timeout_seconds: float
    """Longest time of one request to a server (s); then it counts as audio that cannot be read."""
