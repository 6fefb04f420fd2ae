"""Holding out dev and test where a corpus has none: whole speakers, drawn by their names alone."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

from asr.data.corpus import SPLITS
from asr.data.draws import mix
from asr.data.utterance import Utterance
from asr.errors import DataError

log = logging.getLogger(__name__)

FEWEST_SPEAKERS = 6
"""With fewer, whole speakers held out would leave too few to train on."""


def complete_splits(splits: Mapping[str | None, Sequence[Utterance]], share: float) -> dict[str, list[Utterance]]:
    """Train, dev and test, of which those that are missing are held out of train.

    Args:
        splits: What there is; None holds utterances of no split, which are taken for training.
        share: Of the training audio, for each split that is missing.

    Raises:
        DataError: There is nothing to train on, or too little to hold any of it out.
    """
    found = {split: list(splits.get(split, ())) for split in SPLITS}
    found["train"] = [*found["train"], *splits.get(None, ())]
    missing = [split for split in ("test", "dev") if not found[split]]
    speakers = {utterance.speaker for utterance in found["train"] if utterance.speaker}
    by_speaker = len(speakers) >= FEWEST_SPEAKERS
    if missing and not by_speaker:
        log.info("%d speakers are known, too few to hold any out: dev and test hear those of train.", len(speakers))
    for split in missing:
        found["train"], found[split] = hold_out(found["train"], share, split, by_speaker)
    return found


def hold_out(
    utterances: Sequence[Utterance], share: float, name: str, by_speaker: bool = True
) -> tuple[list[Utterance], list[Utterance]]:
    """Takes utterances out until they hold a share of the audio: all of a speaker, or single ones.

    The choice depends on the names alone, so that a corpus that grows keeps most of its split.

    Args:
        share: Of the audio, above 0 and below 1.
        name: Of what is held out: another name is another choice.
        by_speaker: Takes whole speakers; utterances of unknown ones are taken singly.

    Returns:
        What stays, and what is held out.

    Raises:
        DataError: Nothing would stay.
    """
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        groups[f"speaker {utterance.speaker}" if by_speaker and utterance.speaker else utterance.id].append(utterance)
    wanted = share * sum(utterance.duration for utterance in utterances)
    held: set[str] = set()
    for group in sorted(groups, key=lambda group: mix("hold out", name, group)):
        if held and sum(utterance.duration for chosen in held for utterance in groups[chosen]) >= wanted:
            break
        held.add(group)
    out = {utterance.id for group in held for utterance in groups[group]}
    stays = [utterance for utterance in utterances if utterance.id not in out]
    if not stays:
        raise DataError(f"{len(utterances)} utterances are too few to hold {name} out of them: add recordings.")
    return stays, [utterance for utterance in utterances if utterance.id in out]
