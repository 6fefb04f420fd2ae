"""A corpus of your own, in any format that `data.source` may have."""

from asr.data.own import prepare

__all__ = ["prepare"]
