"""The corpus check finds every kind of broken audio and transcript with its id; none reaches a training unseen."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from asr.checks.findings import Severity
from asr.commands.cli import main
from asr.data.audio import read_waveform
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from tests.helpers.sound_corpora import (
    VICTIM,
    Corpus,
    change,
    findings_of,
    of_another,
    paths,
    write_manifests,
)

Samples = npt.NDArray[np.float32]


def edit(corpus: Corpus, change_bytes: Callable[[bytes], bytes]) -> None:
    """Changes the bytes of the file, whatever the manifest says."""
    path = corpus["train"][VICTIM].audio_filepath
    path.write_bytes(change_bytes(path.read_bytes()))


def filter(
    corpus: Corpus, change_samples: Callable[[Samples], npt.NDArray[np.float64] | Samples], **options: str
) -> None:
    """Changes the sound; the manifest says what the file then says."""
    victim = corpus["train"][VICTIM]
    samples = change_samples(read_waveform(victim).numpy())
    soundfile.write(victim.audio_filepath, samples, 16000, **({"subtype": "PCM_16"} | options))
    change(corpus, duration=len(samples) / 16000)


def as_format(corpus: Corpus, suffix: str, edit_bytes: Callable[[bytes], bytes] = bytes, again: bool = False) -> None:
    """Another format, then other bytes; with `again`, the manifest says what libsndfile makes of them."""
    victim = corpus["train"][VICTIM]
    path = victim.audio_filepath.with_suffix(suffix)
    format = {"format": "NIST"} if suffix == ".sph" else {}
    soundfile.write(path, read_waveform(victim).numpy(), 16000, subtype="PCM_16", **format)
    path.write_bytes(edit_bytes(path.read_bytes()))
    change(corpus, audio_filepath=path)
    if again:
        change(corpus, duration=soundfile.info(path).duration)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def cut_before_prepare(corpus: Corpus) -> None:
    edit(corpus, cut)
    change(corpus, duration=soundfile.info(corpus["train"][VICTIM].audio_filepath).duration)


def swapped(header: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:header] + np.frombuffer(content[header:], "<i2").byteswap().tobytes()


def big_endian_said_to_be_little(content: bytes) -> bytes:
    """A SPHERE file whose header says the other order than its samples have."""
    other = {b"01": b"10", b"10": b"01"}
    place = content.index(b"sample_byte_format -s2 ") + len(b"sample_byte_format -s2 ")
    return content[:place] + other[content[place : place + 2]] + content[place + 2 :]


def folder_in_its_place(corpus: Corpus) -> None:
    path = corpus["train"][VICTIM].audio_filepath
    path.unlink()
    path.mkdir()


def noise(samples: Samples) -> npt.NDArray[np.float64]:
    return 0.1 * np.random.default_rng(1).standard_normal(len(samples))


def noise_bytes(count: int) -> bytes:
    return np.random.default_rng(2).bytes(count)


def text(words: str) -> Callable[[Corpus], object]:
    """A word of the transcript is another."""
    return lambda corpus: change(corpus, text=" ".join([*corpus["train"][VICTIM].text.split()[:1], words]))


E, W = Severity.error, Severity.warning

KINDS: dict[str, tuple[Callable[[Corpus], object], Severity, str, str]] = {
    # Files.
    "missing": (lambda c: c["train"][VICTIM].audio_filepath.unlink(), E, "unreadable", "missing"),
    "a folder": (folder_in_its_place, E, "unreadable", "missing"),
    "no bytes": (lambda c: edit(c, lambda b: b""), E, "unreadable", "cannot be decoded"),
    "a header alone": (lambda c: edit(c, lambda b: b[:44]), E, "unreadable", "ends after 0"),
    "half a header": (lambda c: edit(c, lambda b: b[:20]), E, "unreadable", "cannot be decoded"),
    "text in its place": (lambda c: edit(c, lambda b: b"<html>404</html>"), E, "unreadable", "cannot be decoded"),
    "bits of chance": (lambda c: edit(c, lambda b: bytes(range(256)) * 99), E, "unreadable", "cannot be decoded"),
    "cut short": (lambda c: edit(c, cut), E, "unreadable", "is truncated"),
    "cut before prepare": (cut_before_prepare, E, "header", "bytes more than the file has"),
    "SPHERE cut before prepare": (lambda c: as_format(c, ".sph", cut, again=True), E, "header", "is truncated"),
    "concatenated with another": (lambda c: edit(c, lambda b: b + noise_bytes(16000)), W, "header", "more follow"),
    "a recorder interrupted": (
        lambda c: edit(c, lambda b: b[:40] + bytes(4) + b[44:]), E, "unreadable", "it is empty, but",
    ),
    "FLAC cut short": (lambda c: as_format(c, ".flac", cut), E, "unreadable", ""),
    "FLAC with a hole": (
        lambda c: as_format(c, ".flac", lambda b: b[: len(b) // 2] + bytes(4000) + b[len(b) // 2 + 4000 :]),
        E, "unreadable", "",
    ),
    "Ogg cut short": (lambda c: (filter(c, lambda s: s), edit(c, cut)), E, "unreadable", ""),
    "another rate": (
        lambda c: soundfile.write(c["train"][VICTIM].audio_filepath, np.zeros(40000), 8000), E, "unreadable", "8000 Hz",
    ),
    "two channels": (
        lambda c: soundfile.write(c["train"][VICTIM].audio_filepath, np.zeros((90000, 2)), 16000), E, "unreadable",
        "2 channels",
    ),
    "not a number": (
        lambda c: filter(c, lambda s: np.append(s, np.nan), subtype="FLOAT"), E, "unreadable", "not finite",
    ),
    "infinite": (lambda c: filter(c, lambda s: np.append(s, np.inf), subtype="FLOAT"), E, "unreadable", "not finite"),
    # Sound.
    "silence": (lambda c: filter(c, np.zeros_like), E, "silent", "silence"),
    "a dithered silence": (
        lambda c: filter(c, lambda s: np.sign(noise(s)) / 32768), E, "silent", "silence",
    ),
    "faint": (lambda c: filter(c, lambda s: s * (0.001 / np.abs(s).max())), W, "faint", "dBFS"),
    "clipped": (lambda c: filter(c, lambda s: (s * (5 / np.abs(s).max())).clip(-1, 1)), W, "clipped", "clipped"),
    "clipped and turned down": (
        lambda c: filter(c, lambda s: 0.5 * (s * (5 / np.abs(s).max())).clip(-1, 1)), W, "clipped", "clipped",
    ),
    "a DC offset": (lambda c: filter(c, lambda s: s + 0.1), W, "DC offset", "its mean is 0.1"),
    "bytes in the other order": (lambda c: edit(c, swapped(44)), E, "byte order", "bytes are swapped"),
    "bytes shifted by one": (
        lambda c: edit(c, lambda b: b[:44] + b"\0" + b[44:-1]), E, "byte order", "bytes are swapped",
    ),
    "SPHERE with the other order": (
        lambda c: as_format(c, ".sph", big_endian_said_to_be_little), E, "byte order", "bytes are swapped",
    ),
    "white noise": (lambda c: filter(c, noise), W, "noise", "noise"),
    "a lost connection": (
        lambda c: filter(c, lambda s: np.where(np.arange(len(s)) > 0.4 * len(s), 0, s)), W, "dropout", "zeros",
    ),
    # Lengths.
    "a click": (lambda c: (filter(c, lambda s: s[4000:5000]), change(c, text="A")), W, "too short", "that short"),
    "very long": (lambda c: filter(c, lambda s: np.tile(s, 1 + 40 * 16000 // len(s))), W, "too long", "segment it"),
    "a duration that lies": (
        lambda c: change(c, duration=c["train"][VICTIM].duration / 2), W, "duration", "the file has",
    ),
    "a duration beyond the end": (lambda c: change(c, duration=99.0), E, "unreadable", "ends after"),
    "an offset beyond the end": (lambda c: change(c, offset=99.0), E, "unreadable", "ends after 0"),
    "too much text": (lambda c: change(c, text="TWO TWO " * 40 + "A"), E, "too short for CTC", "CTC needs"),
    "spoken too fast": (
        lambda c: change(c, text=("ABCDEFGHIJKLMNOPQRST" * 20)[: round(39 * c["train"][VICTIM].duration)]),
        W, "speaking rate", "does the transcript belong",
    ),
    "hardly spoken": (
        lambda c: (filter(c, lambda s: np.tile(s, 1 + 28 * 16000 // len(s))[: 28 * 16000]), change(c, text="A")),
        W, "speaking rate", "does the transcript belong",
    ),
    # Transcripts.
    "no transcript": (lambda c: change(c, text=""), E, "empty transcript", "empty"),
    "a transcript of spaces": (lambda c: change(c, text=" \u00a0 "), E, "empty transcript", "empty"),
    "digits": (text("42"), W, "digits", "has digits"),
    "digits of another script": (text("٤٢"), W, "digits", "has digits"),
    "punctuation": (text("WELL, YES!"), W, "punctuation", "',' (U+002C), '!' (U+0021)"),
    "a mark of noise": (text("[NOISE]"), W, "punctuation", "'[' (U+005B)"),
    "currency": (text("5 $"), W, "digits", "has digits"),
    "a byte order mark": (text("\ufeffYES"), W, "odd character", "U+FEFF (ZERO WIDTH NO-BREAK SPACE)"),
    "a soft hyphen": (text("YES\u00adNO"), W, "odd character", "U+00AD (SOFT HYPHEN)"),
    "a lost character": (text("NA\ufffdVE"), W, "odd character", "U+FFFD"),
    "a hard space": (text("YES\u00a0NO"), W, "odd character", "U+00A0 (NO-BREAK SPACE) as a space"),
    "a tab": (text("YES\tNO"), W, "odd character", "U+0009"),
    "two spaces": (text("YES  NO"), W, "spaces", "repeated spaces"),
    "letters in pieces": (text("CAFE\u0301"), W, "not in NFC", "U+0301 (COMBINING ACUTE ACCENT)"),
    "another encoding": (text("CAFÃ‰"), W, "wrong encoding", "read as another encoding"),
    "letters that look alike": (text("СAT"), W, "mixed scripts", "'С' (U+0421)"),  # noqa: RUF001  that is the mistake
    # Between utterances.
    "another's audio": (lambda c: of_another(c, "train", 3), W, "two transcripts", "whose transcript differs"),
}  # fmt: skip


def test_the_sound_corpus_has_no_findings(corpus: Corpus, config: Config) -> None:
    assert findings_of(corpus, config) == []


def test_there_are_fifty_kinds() -> None:
    assert len(KINDS) >= 50


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_found_with_its_id(kind: str, corpus: Corpus, config: Config) -> None:
    spoil, severity, name, words = KINDS[kind]
    spoil(corpus)
    victim = corpus["train"][VICTIM].id
    findings = findings_of(corpus, config)
    blamed = {finding.utterance for finding in findings}
    assert blamed == {victim} or (kind == "another's audio" and blamed <= {victim, corpus["train"][3].id})
    found = [finding for finding in findings if finding.kind == name]
    assert found and found[0].severity is severity and found[0].split == "train", findings
    assert words in found[0].message and victim in str(found[0])
    assert len(findings) <= 2, findings


def test_audio_of_test_in_train_is_left_out_of_train(corpus: Corpus, config: Config) -> None:
    of_another(corpus, "test", 3)
    (finding,) = (one for one in findings_of(corpus, config) if one.severity is Severity.error)
    assert (finding.split, finding.utterance) == ("test", corpus["test"][3].id)
    assert finding.leave_out == ("train", corpus["train"][VICTIM].id)


def test_a_wav_from_a_pipe_has_no_length_in_its_header(corpus: Corpus, config: Config) -> None:
    edit(corpus, lambda content: content[:40] + struct.pack("<I", 0xFFFFFFFF) + content[44:])
    assert findings_of(corpus, config) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_refuses_it_or_goes_on(
    kind: str, corpus: Corpus, recipe: Recipe, config: Config, tmp_path: Path
) -> None:
    KINDS[kind][0](corpus)
    write_manifests(corpus, recipe, config)
    arguments = ["run", str(recipe.folder), *paths(tmp_path)]
    if KINDS[kind][1] is Severity.error:
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    else:
        main(arguments)
