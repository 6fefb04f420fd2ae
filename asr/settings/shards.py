"""Settings of the group `shards`."""

from dataclasses import dataclass


@dataclass
class ShardsConfig:
    """Where audio is read from. None of it changes a training: shards hold the same samples as the files."""

    source: str | None
    """Folder or address (s3://, gs://, https://, ...) of what `asr pack` wrote; null reads the files of the
    manifests."""
    cache: str | None
    """Folder on a local disk that caches what comes from a server; null caches nothing."""
    cache_gb: float
    """Largest size of the cache (GB). Of a larger corpus, a fixed part is kept."""
    timeout_seconds: float
    """Timeout of one request to a server (s); after it the audio counts as unreadable."""
