"""A corpus of your own, at `data.source` in any known format."""

from asr.data.own import prepare

__all__ = ["prepare"]
