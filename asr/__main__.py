"""The entry point of `asr`, and of `python -m asr` and `torchrun ... -m asr`."""

import sys
from pathlib import Path

from asr.common.streams import drop_output, open_streams


def main() -> int:
    """Runs the command line; Ctrl-C prints one line even while modules are being imported."""
    open_streams()
    try:
        Path.cwd()  # PyTorch's libraries end the process without it
    except OSError as error:
        print(f"asr: The current folder cannot be used ({error.strerror}): change to another.", file=sys.stderr)
        return 2
    try:
        from asr.commands import cli

        return cli.main()
    except KeyboardInterrupt:
        print("asr: interrupted.", file=sys.stderr)
        return 130
    finally:
        drop_output()


if __name__ == "__main__":
    sys.exit(main())
