"""The entry point of `asr`, and of `python -m asr` and `torchrun ... -m asr`."""

import sys


def main() -> int:
    """Runs the command line; Ctrl-C prints one line even while modules are being imported."""
    try:
        from asr.commands import cli

        return cli.main()
    except KeyboardInterrupt:
        print("asr: interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
