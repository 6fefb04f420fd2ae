"""Speech recognition with recurrent networks and CTC: recipes, training, evaluation.

As a library: `asr.load("runs/an4/lstm-.../model").transcribe(["a.wav"])`.
"""

from typing import TYPE_CHECKING, Any

from asr import old_names

if TYPE_CHECKING:
    from asr.inference.recognizer import Recognizer, load

__all__ = ["Recognizer", "load"]

old_names.install()


def __getattr__(name: str) -> Any:
    # torch takes seconds to import, and `asr --help` must not.
    if name not in __all__:
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    from asr.inference import recognizer

    return getattr(recognizer, name)
