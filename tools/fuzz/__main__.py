"""Searches for faults in what a stranger hands over: files are spoiled at random and used.

    python -m tools.fuzz all --cases 500
    python -m tools.fuzz models --seed 1 --only 123

Each case runs in a process of its own. It may work, or be refused in one sentence; what is a fault is in `cases.py`.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from tools.fuzz.cases import SECONDS, Fault, Fuzzer
from tools.fuzz.subjects import SUBJECTS

SHOWN = 2
"""Faults of a kind that are shown; the others are counted."""


def main() -> None:
    """Runs cases, and exits with code 1 if one of them is a fault."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("subject", choices=[*SUBJECTS, "all"])
    parser.add_argument("--cases", type=int, default=500, metavar="N", help="of each subject (500)")
    parser.add_argument("--first", type=int, default=0, metavar="CASE", help="the number of the first one (0)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="(1)")
    parser.add_argument("--only", type=int, metavar="CASE", help="repeat one case")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help=f"the longest case ({SECONDS:g})")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the folder of the last case here")
    options = parser.parse_args()
    torch.set_num_threads(1)  # threads that ran do not come along when a process is forked
    last = options.first + options.cases
    numbers = range(options.first, last) if options.only is None else [options.only]
    faults = 0
    for name in SUBJECTS if options.subject == "all" else [options.subject]:
        with tempfile.TemporaryDirectory(prefix="asr-fuzz-") as temporary:
            place = options.keep / name if options.keep else Path(temporary) / "place"
            began = time.monotonic()
            fuzzer = Fuzzer(SUBJECTS[name](), options.seed, place, options.seconds)
            kinds: Counter[str] = Counter()
            for fault in fuzzer.run(numbers):
                kinds[fault.what] += 1
                if kinds[fault.what] <= SHOWN:
                    show(name, options.seed, fault)
            print(
                f"{name}, seed {options.seed}: {len(numbers)} cases in {time.monotonic() - began:.0f} s, "
                f"{kinds.total()} faults",
                flush=True,
            )
            for what, count in kinds.most_common():
                print(f"  {count:5} {what}", flush=True)
            faults += kinds.total()
    sys.exit(1 if faults else 0)


def show(name: str, seed: int, fault: Fault) -> None:
    """Prints a fault, and how to repeat it."""
    print(f"FAULT {fault.what}: {name}, seed {seed}, case {fault.number}")
    for said in fault.said:
        print(f"  {said}")
    print(f"  again: python -m tools.fuzz {name} --seed {seed} --only {fault.number}")
    print("  " + fault.shown.replace("\n", "\n  "), flush=True)


if __name__ == "__main__":
    main()
