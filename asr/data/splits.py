"""Splits: what a recipe's prepare.py makes of a corpus."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import soundfile

from asr.common.errors import DataError
from asr.common.seeds import derive_seed
from asr.data.headers import count_samples, length_fault
from asr.data.manifest import require_all, write_manifest
from asr.data.utterance import Extra, Utterance

SPLITS = ("train", "dev", "test")


def whole_file(path: Path, text: str, speaker: str, id: str | None = None, extra: Extra = ()) -> Utterance:
    """The utterance that fills an audio file; length and rate come from the file's header, the id from its name.

    Further fields, as in `extra=(("sex", "female"),)`, are kept: results are told by them.

    Of a truncated file it is what can be read; `asr check` names those.

    Raises:
        DataError: The file is missing or its header cannot be read.
    """
    try:
        info = soundfile.info(path)
        samples = count_samples(path, info.frames)
        fault = length_fault(path, samples)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"The audio file {path} cannot be read ({error}): replace it or leave it out.") from None
    if fault is not None:
        raise DataError(f"The audio file {path}: {fault}, or leave it out.")
    fields = id or path.stem, path, 0.0, samples / info.samplerate, text, speaker, info.samplerate
    return Utterance(*fields, extra=extra)


def write_splits(output: Path, splits: Mapping[str, Sequence[Utterance]]) -> None:
    """Writes the manifests train.jsonl, dev.jsonl and test.jsonl, and before them those of any further splits.

    Raises:
        DataError: A split has no utterance; then no manifest is written.
    """
    require_splits(output, splits)
    for split in (*(split for split in splits if split not in SPLITS), *SPLITS):
        require_all(len(splits[split]), write_manifest(output / f"{split}.jsonl", splits[split]), f"lines of {split}")


def require_splits(output: Path, splits: Mapping[str, Sequence[Utterance]]) -> None:
    """Refuses an empty split.

    Raises:
        DataError: There is one.
    """
    for split in (*SPLITS, *splits):
        if not splits.get(split):
            raise DataError(
                f"No utterance is left for {split} in {output}: the archive may differ from the publisher's; delete "
                "the folder and prepare the corpus from the publisher's archive."
            )


log = logging.getLogger(__name__)

FEWEST_SPEAKERS = 6
"""With fewer, holding out whole speakers would leave too few to train on."""


def complete_splits(splits: Mapping[str | None, Sequence[Utterance]], share: float) -> dict[str, list[Utterance]]:
    """Train, dev and test; missing ones are held out of train.

    Args:
        splits: The splits of the corpus; None holds utterances of no split, which are used for training.
        share: Of the training audio, for each split that is missing.

    Raises:
        DataError: There is too little to train on or to hold out.
    """
    found = {split: list(splits.get(split, ())) for split in SPLITS}
    found["train"] = [*found["train"], *splits.get(None, ())]
    if not found["train"]:
        there = ", ".join(f"{len(part)} for {split}" for split, part in found.items() if part) or "none at all"
        raise DataError(f"The source has no utterance for training ({there}): name a part of it train.")
    missing = [split for split in ("test", "dev") if not found[split]]
    if len(found["train"]) <= len(missing):
        raise DataError(
            f"The source has too few utterances for training, {len(found['train'])}, to hold out "
            f"{' and '.join(missing)} of them: {len(missing) + 1} are the least; add recordings."
        )
    speakers = {utterance.speaker for utterance in found["train"] if utterance.speaker}
    by_speaker = len(speakers) >= FEWEST_SPEAKERS
    if missing and not by_speaker:
        few = "%d speakers are known, too few to hold any out: dev and test share the speakers of train."
        log.info(few, len(speakers))
    if empty := [split for split in missing if split in splits]:
        log.warning("The source has %s without any utterance, held out of train now.", " and ".join(empty))
    for split in missing:
        found["train"], found[split] = hold_out(found["train"], share, split, by_speaker)
    return found


def hold_out(
    utterances: Sequence[Utterance], share: float, name: str, by_speaker: bool = True
) -> tuple[list[Utterance], list[Utterance]]:
    """Holds out utterances until they make up a share of the audio: all of a speaker, or single ones.

    The choice depends on names only, so that a growing corpus keeps most of its split.

    Args:
        share: Of the audio, above 0 and below 1.
        name: Of what is held out; another name makes another choice.
        by_speaker: Hold out whole speakers; utterances of unknown speakers are held out singly.

    Returns:
        What remains, and what is held out.

    Raises:
        DataError: Nothing would remain.
    """
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        groups[f"speaker {utterance.speaker}" if by_speaker and utterance.speaker else utterance.id].append(utterance)
    wanted = share * sum(utterance.duration for utterance in utterances)
    held: set[str] = set()
    for group in sorted(groups, key=lambda group: derive_seed("hold out", name, group)):
        if held and sum(utterance.duration for chosen in held for utterance in groups[chosen]) >= wanted:
            break
        held.add(group)
    out = {utterance.id for group in held for utterance in groups[group]}
    stays = [utterance for utterance in utterances if utterance.id not in out]
    if not stays:
        raise DataError(f"{len(utterances)} utterances are too few to hold out {name}: add recordings.")
    return stays, [utterance for utterance in utterances if utterance.id in out]
