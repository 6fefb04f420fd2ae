"""Errors. A user's mistake is one sentence: the key, id or file, what was found, what was expected and what to do."""


class UserError(Exception):
    """A mistake of the user. The command line prints it as one sentence and exits with code 2."""


class ConfigError(UserError):
    """A key or a value of the configuration that cannot be used."""


class DataError(UserError):
    """An archive, a manifest, an audio file or a transcript that cannot be used."""


class RunError(UserError):
    """A run folder, a checkpoint or a model folder that cannot be used."""


class Interrupted(Exception):
    """A training that a signal asked to stop, that has saved its state and says how to resume."""

    def __init__(self, sentence: str, signal: int) -> None:
        super().__init__(sentence)
        self.signal = signal
