"""Transcripts as text, JSON, subtitles (SubRip, WebVTT), NIST's CTM and Praat's TextGrid."""

import html
import json
from collections.abc import Sequence
from dataclasses import asdict

from asr.inference.transcription import Transcript, Word

ENDINGS = {"txt": "txt", "json": "json", "srt": "srt", "vtt": "vtt", "ctm": "ctm", "textgrid": "TextGrid"}
"""Endings of the files, by format."""

CUE_GAP = 0.6
"""A pause that ends a line of subtitles (s)."""
CUE_SECONDS = 6.0
CUE_CHARACTERS = 80


def formatted(transcript: Transcript, name: str) -> str:
    """A transcript in one of the formats of ENDINGS."""
    return _WRITERS[name](transcript)


def as_utf8(text: str) -> str:
    """A text in which the bytes of a name that is not UTF-8 are escapes, as JSON has them too."""
    return text.encode(errors="backslashreplace").decode()


def cues(words: Sequence[Word]) -> list[list[Word]]:
    """Words as lines of subtitles: a pause, CUE_SECONDS or CUE_CHARACTERS end a line."""
    lines: list[list[Word]] = []
    for word in words:
        line = lines[-1] if lines else []
        characters = sum(len(other.text) + 1 for other in line) + len(word.text)
        if (
            not line
            or word.start - line[-1].end > CUE_GAP
            or word.end - line[0].start > CUE_SECONDS
            or characters > CUE_CHARACTERS
        ):
            lines.append([word])
        else:
            line.append(word)
    return lines


def _txt(transcript: Transcript) -> str:
    return transcript.text + "\n"


def _json(transcript: Transcript) -> str:
    content = {
        "audio_filepath": str(transcript.path),
        "duration": round(transcript.seconds, 3),
        "text": transcript.text,
        "words": [asdict(word) for word in transcript.words],
    }
    return as_utf8(json.dumps(content, ensure_ascii=False)) + "\n"


def _srt(transcript: Transcript) -> str:
    blocks = (
        f"{number}\n{_clock(line[0].start, ',')} --> {_clock(line[-1].end, ',')}\n{_line(line)}\n"
        for number, line in enumerate(cues(transcript.words), start=1)
    )
    return "\n".join(blocks)


def _vtt(transcript: Transcript) -> str:
    blocks = (
        f"{_clock(line[0].start, '.')} --> {_clock(line[-1].end, '.')}\n{html.escape(_line(line), quote=False)}\n"
        for line in cues(transcript.words)
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _ctm(transcript: Transcript) -> str:
    """`recording channel start duration word confidence`; a recording's name has no white space there."""
    name = as_utf8("_".join(transcript.path.stem.split())) or "-"
    rows = (
        f"{name} 1 {word.start:.3f} {word.end - word.start:.3f} {word.text}"
        f"{'' if word.confidence is None else f' {word.confidence:.4f}'}\n"
        for word in transcript.words
    )
    return "".join(rows)


def _textgrid(transcript: Transcript) -> str:
    """Praat's long format: one tier of words, with empty intervals between them."""
    intervals: list[tuple[float, float, str]] = []
    place = 0.0
    for word in transcript.words:
        if word.start > place:
            intervals.append((place, word.start, ""))
        intervals.append((max(word.start, place), word.end, word.text))
        place = word.end
    end = max(transcript.seconds, place)
    if end > place or not intervals:
        intervals.append((place, end, ""))
    lines = [
        'File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end:.3f}",
        "tiers? <exists>", "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"',
        '        name = "words"', "        xmin = 0", f"        xmax = {end:.3f}",
        f"        intervals: size = {len(intervals)}",
    ]  # fmt: skip
    for number, (start, stop, text) in enumerate(intervals, start=1):
        quoted, indent = text.replace('"', '""'), " " * 12
        lines += [f"        intervals [{number}]:", f"{indent}xmin = {start:.3f}", f"{indent}xmax = {stop:.3f}"]
        lines.append(f'{indent}text = "{quoted}"')
    return "\n".join(lines) + "\n"


_WRITERS = {"txt": _txt, "json": _json, "srt": _srt, "vtt": _vtt, "ctm": _ctm, "textgrid": _textgrid}


def _line(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _clock(seconds: float, point: str) -> str:
    """hh:mm:ss,mmm"""
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
