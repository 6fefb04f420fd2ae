"""What can be a user's mistake: one sentence that names the thing, what was found and the remedy."""


class UserError(Exception):
    """A mistake of the user. The command line prints it as one sentence and exits with code 2."""


class ConfigError(UserError):
    """A key or a value of the configuration that cannot be used."""


class DataError(UserError):
    """An archive, a manifest, an audio file or a transcript that cannot be used."""


class RunError(UserError):
    """A run folder, a checkpoint or a model folder that cannot be used."""
