"""What the fork server of `tests.helpers.programs` imports once, so that the programs of tests need not."""

from importlib import import_module

import wandb

from asr.commands.help import COMMANDS

for name in COMMANDS:
    import_module(f"asr.commands.{name}")

__all__ = ["wandb"]
