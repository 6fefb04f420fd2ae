"""Recipes of public corpora, from archives in the publishers' layout that are built of real speech."""

import gzip
import io
import lzma
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from asr.checks.corpus import Requirements
from asr.commands.cli import main
from asr.common.errors import DataError
from asr.data.archives import unpack_deb
from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from tests.helpers.public_corpora import SMALL, add, encoded, prepared


def write_librispeech(archive: Path, part: str, utterances: Sequence[Utterance], first: int) -> None:
    """A part as OpenSLR packs it; speakers get numbers from `first` on, and a chapter each."""
    speakers = sorted({utterance.speaker for utterance in utterances})
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for prefix in ("README.TXT", "SPEAKERS.TXT", "LICENSE.TXT"):
            add(tar, f"LibriSpeech/{prefix}", b"of the publisher\n")
        for number, speaker in enumerate(speakers, start=first):
            chapter = f"LibriSpeech/{part}/{number}/198"
            spoken = [utterance for utterance in utterances if utterance.speaker == speaker]
            names = [f"{number}-198-{place:04d}" for place in range(len(spoken))]
            lines = [f"{name} {one.text}\n" for name, one in zip(names, spoken, strict=True)]
            add(tar, f"{chapter}/{number}-198.trans.txt", "".join(lines).encode())
            for name, one in zip(names, spoken, strict=True):
                add(tar, f"{chapter}/{name}.flac", encoded(one, "FLAC"))


DECODED = ["dev-clean", "test-clean", "dev-other", "test-other"]
PARTS = {
    "librispeech_mini": ["train-clean-5", "dev-clean-2"],
    "librispeech_100": ["train-clean-100", *DECODED],
    "librispeech_460": ["train-clean-100", "train-clean-360", *DECODED],
    "librispeech_960": ["train-clean-100", "train-clean-360", "train-other-500", *DECODED],
}


def write_parts(recipe: str, mirror: Path, speech: Sequence[Utterance]) -> None:
    parts = PARTS[recipe]
    for place, part in enumerate(parts):
        write_librispeech(mirror / f"{part}.tar.gz", part, speech[place :: len(parts)], first=19 + 100 * place)


@pytest.mark.parametrize("recipe", PARTS)
def test_librispeech_from_the_publishers_archives(
    recipe: str, mirror: Path, speech: Sequence[Utterance], tmp_path: Path
) -> None:
    write_parts(recipe, mirror, speech)
    splits = prepared(recipe, tmp_path / "data")
    if recipe != "librispeech_mini":
        config = compose(find_recipe(recipe), [f"paths.data={tmp_path / 'data'}", "name=test"])
        manifests = {split: find_recipe(recipe).manifest(config, split) for split in config.evaluation.splits}
        splits |= {split: read_manifest(manifest) for split, manifest in manifests.items()}
    found = [one for split in splits for one in splits[split]]
    assert sorted(one.text for one in found) == sorted(one.text for one in speech)
    texts = {read_waveform(one).numpy().tobytes(): one.text for one in speech}
    assert all(texts[read_waveform(one).numpy().tobytes()] == one.text for one in found)
    assert all(one.id.startswith(f"{one.speaker}-198-") for one in found)
    if recipe == "librispeech_mini":
        assert not {one.speaker for one in splits["train"]} & {one.speaker for one in splits["dev"]}
    else:
        sizes = [len(speech[place :: len(PARTS[recipe])]) for place in range(len(PARTS[recipe]))]
        assert [len(splits[split]) for split in (*SPLITS, *DECODED[2:])] == [sum(sizes[:-4]), *sizes[-4:]]


@pytest.mark.slow
def test_librispeech_through_to_a_wer(mirror: Path, speech: Sequence[Utterance], tmp_path: Path) -> None:
    write_parts("librispeech_mini", mirror, speech)
    paths = [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}"]
    # So little text has few pieces, and the speakers of the parts are the same here.
    main(["run", "librispeech_mini", *paths, *SMALL, "tokenizer.pieces=40", "hardware.workers=0"])
    assert list((tmp_path / "runs").glob("librispeech_mini/*/evaluation/test/greedy/results.json"))


def test_a_line_of_another_chapter_is_refused(mirror: Path, speech: Sequence[Utterance], tmp_path: Path) -> None:
    with tarfile.open(mirror / "train-clean-5.tar.gz", "w:gz") as tar:
        add(tar, "LibriSpeech/train-clean-5/1/2/1-2.trans.txt", b"3-2-0001 HELLO\n")
    with pytest.raises(SystemExit) as stop:
        main(["prepare", "librispeech_mini", f"paths.data={tmp_path / 'data'}"])
    assert stop.value.code == 2


def deb(content: bytes) -> bytes:
    """A Debian package around a data.tar.xz, as `ar` writes it."""
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": content}
    package = b"!<arch>\n"
    for name, body in members.items():
        package += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}".encode() + b"`\n" + body
        package += b"\n" * (len(body) % 2)
    return package


def write_festvox(package: Path, speech: Sequence[Utterance], sentences: Sequence[str]) -> None:
    voice = "./usr/share/festival/voices/russian/msu_ru_nsh_clunits"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        lines = [f'( ru_{number:04d} "{text}" )\n' for number, text in enumerate(sentences)]
        add(tar, f"{voice}/etc/txt.done.data", "".join(lines).encode())
        for number in range(len(sentences)):
            add(tar, f"{voice}/wav/ru_{number:04d}.wav", encoded(speech[number % len(speech)], "WAV"))
    package.write_bytes(deb(lzma.compress(packed.getvalue(), preset=0)))


def test_festvox_ru_from_the_debian_package(mirror: Path, speech: Sequence[Utterance], tmp_path: Path) -> None:
    words = ["Да", "н+ет", "«ёлка»", "д'Артуа", "подъезд"]
    sentences = [f"{first}, {second} - {third}!" for first in words for second in words for third in words]
    write_festvox(mirror / "festvox-ru_0.5+dfsg-6_all.deb", speech, sentences)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        quotations = "Да здравствует мир! Жизнь\nидёт.\n\t-- Некий мудрец\n%\nДай.\n%\nDebian, 2. Да здравствует мир?\n"
        add(tar, "./usr/share/games/fortunes/ru/books", quotations.encode())
        add(tar, "./usr/share/games/fortunes/ru/2001.03", "Ёлка - дерево.\n".encode())
        add(tar, "./usr/share/games/fortunes/ru/books.dat", b"\xff\xfe")
    (mirror / "fortunes-ru_1.52-3.1_all.deb").write_bytes(deb(lzma.compress(packed.getvalue(), preset=0)))
    splits = prepared("festvox_ru", tmp_path / "data")
    assert [len(splits[split]) for split in SPLITS] == [5, 80, 40]
    texts = {one.id: one.text for split in SPLITS for one in splits[split]}
    assert texts["ru_0000"] == "да да да" and texts["ru_0001"] == "да да нет" and texts["ru_0002"] == "да да ёлка"
    assert texts["ru_0003"] == "да да дартуа"
    config = compose(find_recipe("festvox_ru"), [f"paths.data={tmp_path / 'data'}", "name=test"])
    alphabet = {letter for text in texts.values() for letter in text}
    assert alphabet <= set(config.tokenizer.alphabet or "")
    Requirements.of(config, splits["train"])
    (text,) = config.lm.texts
    assert Path(text).read_text(encoding="utf-8").splitlines() == ["ёлка дерево", "да здравствует мир", "жизнь идёт"]


def write_asterisk(mirror: Path, language: str, texts: dict[str, str], speech: Sequence[Utterance]) -> None:
    name = f"asterisk-core-sounds-{language}"
    listed = "".join(f"{key}: {text}\n" for key, text in texts.items())
    lines = gzip.compress(f"\ufeff; Core sounds\n\n{listed}".encode())
    recordings = {
        f"./usr/share/asterisk/sounds/{language}_XX_f_Voice/{key}.wav": encoded(
            speech[number % len(speech)], "WAV", 8000
        )
        for number, key in enumerate(texts)
        if key != "missing"
    }
    for package, files in (
        (name, {f"./usr/share/doc/{name}/core-sounds-{language}.txt.gz": lines}),
        (f"{name}-wav", recordings),
    ):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path, content in files.items():
                add(tar, path, content)
        (mirror / f"{package}_1.6.1-1_all.deb").write_bytes(deb(lzma.compress(packed.getvalue(), preset=0)))


def test_asterisk_in_one_language_and_in_all(mirror: Path, speech: Sequence[Utterance], tmp_path: Path) -> None:
    said = {f"word-{first}{second}": f"{first} {second}." for first in "abcdefgh" for second in "abcdefgh"}
    odd = {
        "beep": "[tono simple]", "dial": "Dial 500 now", "letters/dot": "dot [.]", "missing": "Of no recording",
        "twice": "a b", "digits/1": "Press 1!", "again": "again: once more",
    }  # fmt: skip
    for language in ("en", "es", "fr", "it"):
        write_asterisk(mirror, language, said | odd, speech)
    write_asterisk(mirror, "ru", {key: "да " * number for number, key in enumerate(said, 1)} | odd, speech)
    splits = prepared("asterisk", tmp_path / "en", "text.language=en")
    texts = {one.id: one.text for split in SPLITS for one in splits[split]}
    assert len(texts) == len(said) + 3 and texts["en-digits-1"] == "press one" and texts["en-again"] == "once more"
    split_of = {one.text: split for split in SPLITS for one in splits[split]}
    assert all(split_of[one.text] == split for split in SPLITS for one in splits[split])
    assert {one.sampling_rate for one in splits["train"]} == {8000}
    every = prepared("asterisk", tmp_path / "all")
    assert {one.speaker[:2] for one in every["train"]} == {"en", "es", "fr", "it", "ru"}
    # Russian has no Latin letters.
    assert not any("once" in one.text for one in every["train"] if one.speaker.startswith("ru"))


def test_asterisk_has_five_languages(mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        prepared("asterisk", tmp_path / "data", "text.language=de")
    assert "choose one of en, es, fr, it, ru" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"no package", deb(b"no archive"), deb(b"x" * 9000)[:4000], deb(b"")[:8]])
def test_a_damaged_package_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "damaged.deb").write_bytes(content)
    with pytest.raises(DataError, match=r"damaged\.deb cannot be unpacked"):
        unpack_deb(tmp_path / "damaged.deb", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
