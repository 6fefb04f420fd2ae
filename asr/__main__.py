"""`python -m asr` and `torchrun ... -m asr` are the command line too."""

import sys

from asr.cli import main

sys.exit(main())
