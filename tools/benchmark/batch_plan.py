"""Plans an epoch of ten million utterances: time and memory.

    python tools/benchmark/batch_plan.py [UTTERANCES [GLOBAL_SECONDS]]

The durations are drawn, 6.9 s in the mean. Time is that of the processor, one core of it. Memory is the most that the
process took beyond what it had before, the durations and keys of the utterances included.
"""

import sys
import time

import numpy as np
import torch

from asr.batching.batch_plan import plan_epoch, split_batch
from asr.settings.compose import compose
from asr.settings.recipe import RECIPES, Recipe
from asr.training.hardware import peak_bytes

RANKS = 8
SPLIT = 200
"""Batches that are split over the ranks, as a training does step by step."""


def main() -> None:
    utterances = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000
    global_seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1600.0
    batching = compose(Recipe(RECIPES / "an4"), [f"batching.global_seconds={global_seconds}"]).batching
    before = peak_bytes(torch.device("cpu"))
    draws = np.random.default_rng(0)
    seconds = draws.gamma(4.0, 1.6, utterances) + 0.5
    keys = draws.integers(0, 2**63, utterances, dtype=np.uint64)
    began = time.process_time()
    batches = plan_epoch(seconds, keys, batching, seed=1, epoch=1)
    took, gigabytes = time.process_time() - began, (peak_bytes(torch.device("cpu")) - before) / 1e9
    what = f"{utterances} utterances in {len(batches)} batches"
    print(f"{what}: planned in {took:.1f} s of one core, with {gigabytes:.2f} GB")
    began = time.process_time()
    for batch in batches[:SPLIT]:
        split_batch(seconds[batch], RANKS, global_seconds / RANKS)
    each = (time.process_time() - began) / min(SPLIT, len(batches))
    print(f"a batch split over {RANKS} ranks in {1000 * each:.1f} ms")


if __name__ == "__main__":
    main()
