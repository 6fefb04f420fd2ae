"""What Kaldi's scripts refuse in a data directory, without Kaldi.

Source: utils/validate_data_dir.sh (with --no-feats), utils/validate_text.pl and utils/fix_data_dir.sh, which run awk,
sort, cmp and grep under LC_ALL=C, so that all is compared by bytes and only ASCII's blanks separate columns.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path


def validate_data_dir(folder: Path) -> list[str]:
    """The complaints of utils/validate_data_dir.sh; the script itself ends with the first."""
    said: list[str] = []
    for name in ("utt2spk", "spk2utt", "text", "wav.scp"):
        if not (folder / name).is_file() or not (folder / name).stat().st_size:
            return [f"{name}: no such file, or an empty one"]
    for name in ("utt2spk", "spk2utt", "text", "wav.scp", "segments"):
        if (folder / name).is_file():
            said += _sorted_and_unique(folder / name)
    pairs = [_fields(line) for line in _lines(folder / "utt2spk")]
    if any(len(pair) != 2 for pair in pairs):
        return [*said, "utt2spk: wrong format"]
    ids = [pair[0] for pair in pairs]
    if _sorted_by_second_column(folder / "utt2spk") != _lines(folder / "utt2spk"):
        said.append("utt2spk: not in sorted order when sorted first on speaker-id")
    of_speakers = [(name, line[0]) for line in map(_fields, _lines(folder / "spk2utt")) for name in line[1:]]
    if of_speakers != [(name, speaker) for name, speaker in pairs]:
        said.append("spk2utt and utt2spk do not seem to match")
    said += validate_text(folder / "text")
    if _keys(folder / "text") != ids:
        said.append("text: other utterances than utt2spk")
    return said + _validate_audio(folder, ids)


def _validate_audio(folder: Path, ids: Sequence[bytes]) -> list[str]:
    said = []
    if any(re.match(rb"\S+\s+~", line) for line in _lines(folder / "wav.scp")):
        said.append("wav.scp: a tilde")
    if not (folder / "segments").is_file():
        return said if _keys(folder / "wav.scp") == ids else [*said, "wav.scp: other utterances than utt2spk"]
    rows = [_fields(line) for line in _lines(folder / "segments")]
    if any(len(row) != 4 or float(row[3]) <= float(row[2]) for row in rows):
        return [*said, "segments: badly formatted"]
    if [row[0] for row in rows] != ids:
        said.append("segments: other utterances than utt2spk")
    if sorted({row[1] for row in rows}) != _keys(folder / "wav.scp"):
        said.append("wav.scp: other recordings than segments")
    return said


def validate_text(path: Path) -> list[str]:
    """The complaints of utils/validate_text.pl, and of the searches for symbols and unprintable characters."""
    said = []
    for line in path.read_bytes().decode().split("\n")[:-1]:
        if any(character.isspace() and character not in "\t " for character in line):
            said.append("text: disallowed white space")
        if any(unicodedata.category(c) in ("Cc", "Cn", "Cs") and not c.isspace() for c in line):
            said.append("text: non-printable characters")
        if re.search(r"(?<!\w)(<s>|</s>|#0)(?!\w)", line, re.ASCII):
            said.append("text: illegal symbol")
    return said


def fix_data_dir(folder: Path) -> list[str]:
    """What utils/fix_data_dir.sh would refuse, sort or drop: whole lines are sorted there, not keys."""
    said = [
        f"{name}: not in sorted order"
        for name in ("utt2spk", "spk2utt", "text", "wav.scp", "segments")
        if (folder / name).is_file() and sorted(_lines(folder / name), key=_key) != _lines(folder / name)
    ]
    for name in ("utt2spk", "spk2utt"):
        if sorted(_lines(folder / name)) != _lines(folder / name):
            said.append(f"{name}: fix this yourself")
    if _sorted_by_second_column(folder / "utt2spk") != _lines(folder / "utt2spk"):
        said.append("utt2spk: not in sorted order when sorted first on speaker-id")
    kept = set(_keys(folder / "utt2spk")) & set(_keys(folder / "text"))
    kept &= set(_keys(folder / ("segments" if (folder / "segments").is_file() else "wav.scp")))
    if kept != set(_keys(folder / "utt2spk")):
        said.append(f"kept {len(kept)} utterances")
    return said


def _sorted_and_unique(path: Path) -> list[str]:
    whole = path.read_bytes()
    said = [] if whole.endswith(b"\n") else [f"{path.name}: invalid newline"]
    return said if _keys(path) == sorted(set(_keys(path))) else [*said, f"{path.name}: not sorted or has duplicates"]


def _sorted_by_second_column(path: Path) -> list[bytes]:
    """As `sort -k2`: by the rest of the line from the blank before the second column, then by the whole line."""
    return sorted(_lines(path), key=lambda line: (line[len(_key(line)) :], line))


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().removesuffix(b"\n").split(b"\n")


def _fields(line: bytes) -> list[bytes]:
    return re.split(rb"[ \t]+", line.strip(b" \t"))


def _key(line: bytes) -> bytes:
    return _fields(line)[0]


def _keys(path: Path) -> list[bytes]:
    return [_key(line) for line in _lines(path)]
