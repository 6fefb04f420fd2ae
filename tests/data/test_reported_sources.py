"""Sources that made other toolkits fail, as their users reported: each is read, or refused with what to do."""

import json
import unicodedata
from pathlib import Path

import pytest

from asr.common.errors import ConfigError, DataError
from asr.data.formats.reading import read_source
from asr.data.utterance import Utterance
from asr.settings.data import DataConfig, SourceFormat
from tests.helpers.corpora import write_utterance

NAMES = "abcd"


def read(source: Path) -> dict[str, Utterance]:
    config = DataConfig(
        sampling_rate=16000, mixture={"train": 1.0}, source=str(source), format=SourceFormat.auto, columns={},
        license=None, held_out=0.1, convert=False,
    )  # fmt: skip
    return {one.id: one for part in read_source(config, source.parent / "audio").values() for one in part}


def clips(folder: Path, ending: str = "wav") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        path = folder / f"{name}.wav"
        write_utterance(path, "YES NO")
        path.rename(folder / f"{name}.{ending}")
    return folder


def kaldi(folder: Path, **files: str) -> Path:
    """A data directory of Kaldi; a template is a line for each clip."""
    for name, template in files.items():
        lines = "".join(template.format(name, clips=folder / "wav") for name in NAMES)
        (folder / name.replace("_scp", ".scp")).write_text(lines)
    return folder


def test_a_legacy_encoding_names_the_file(tmp_path: Path) -> None:
    """https://github.com/openspeech-team/openspeech/issues/98"""
    clips(tmp_path)
    row = {"audio_filepath": "a.wav", "text": "안녕", "duration": 1.0}
    (tmp_path / "train.jsonl").write_bytes(json.dumps(row, ensure_ascii=False).encode("cp949"))
    with pytest.raises(DataError, match=r"train\.jsonl.*UTF-8"):
        read(tmp_path / "train.jsonl")


def test_an_array_is_no_manifest(tmp_path: Path) -> None:
    """https://github.com/NVIDIA-NeMo/Speech/issues/3590"""
    clips(tmp_path)
    (tmp_path / "train.jsonl").write_text(json.dumps([{"audio_filepath": "a.wav", "text": "YES", "duration": 1.0}]))
    with pytest.raises(DataError, match=r"line 1: .*array"):
        read(tmp_path / "train.jsonl")


def test_two_objects_on_a_line_are_told(tmp_path: Path) -> None:
    """https://github.com/NVIDIA-NeMo/Speech/issues/4156"""
    clips(tmp_path)
    row = json.dumps({"audio_filepath": "a.wav", "text": "YES", "duration": 0.1})
    (tmp_path / "train.jsonl").write_text(f"{row}\n{row} {row}\n")
    with pytest.raises(DataError, match="line 2"):
        read(tmp_path / "train.jsonl")


def test_a_comma_without_quotes_cuts_no_transcript(tmp_path: Path) -> None:
    """https://github.com/pytorch/audio/issues/4161"""
    clips(tmp_path)
    (tmp_path / "train.csv").write_text("audio,text\na.wav,AND AS WE HURRIED UP TOWN, JOE EXPLAINED\nb.wav,YES\n")
    with pytest.raises(DataError, match=r"line 2: 3 values for 2 columns"):
        read(tmp_path / "train.csv")


@pytest.mark.parametrize(("named", "written"), [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "kaldi"])
def test_names_of_files_match_whatever_the_form_of_their_letters(
    named: str, written: str, kind: str, tmp_path: Path
) -> None:
    """https://github.com/google-research/bert/issues/135; macOS decomposes names of files."""
    name = "한글é.wav"
    (clips(tmp_path) / "a.wav").rename(tmp_path / unicodedata.normalize(named, name))
    name = unicodedata.normalize(written, name)
    match kind:
        case "csv":
            source = tmp_path / "train.csv"
            source.write_text(f"audio,text,id\n{name},YES,one\n")
        case "jsonl":
            source = tmp_path / "train.jsonl"
            source.write_text(json.dumps({"id": "one", "audio_filepath": name, "text": "YES"}))
        case _:
            source = tmp_path
            (source / "wav.scp").write_text(f"one {name}\n")
            (source / "text").write_text("one YES\n")
    (utterance,) = read(source).values()
    assert utterance.audio_filepath.is_file() and utterance.text == "YES"


def test_a_decoder_in_wav_scp_is_not_run(tmp_path: Path) -> None:
    """https://github.com/lhotse-speech/lhotse/pull/354, https://github.com/csukuangfj/kaldi_native_io/issues/23"""
    clips(tmp_path / "wav")
    found = read(kaldi(tmp_path, wav_scp="{0} sph2pipe -f wav {clips}/{0}.wav |\n", text="{0} YES\n"))
    assert {one.audio_filepath.name for one in found.values()} == {"a.wav", "b.wav", "c.wav", "d.wav"}
    kaldi(tmp_path, wav_scp="{0} sox {clips}/{0}.wav -t wav - speed 1.1 | tee " + str(tmp_path / "made") + " |\n")
    with pytest.raises(DataError, match=r"wav\.scp"):
        read(tmp_path)
    assert not (tmp_path / "made").exists()


def test_a_segment_that_ends_at_minus_one_lasts_to_the_end(tmp_path: Path) -> None:
    """https://github.com/lhotse-speech/lhotse/issues/925"""
    clips(tmp_path / "wav")
    found = read(kaldi(tmp_path, wav_scp="{0} {clips}/{0}.wav\n", segments="s{0} {0} 0.2 -1\n", text="s{0} YES\n"))
    assert {(one.offset, round(one.duration, 3)) for one in found.values()} == {(0.2, 0.6)}


@pytest.mark.parametrize(
    ("files", "missing"),
    [({"wav_scp": "{0} {clips}/{0}.wav\n"}, "text"), ({"feats_scp": "{0} x.ark:1\n"}, r"wav\.scp")],
)
def test_an_incomplete_directory_of_kaldi_is_told(files: dict[str, str], missing: str, tmp_path: Path) -> None:
    """https://github.com/lhotse-speech/lhotse/issues/719, https://github.com/lhotse-speech/lhotse/issues/921"""
    clips(tmp_path / "wav")
    with pytest.raises(DataError, match=f"Kaldi without .*{missing}"):
        read(kaldi(tmp_path, **files))


def test_empty_lines_of_kaldi_are_nothing(tmp_path: Path) -> None:
    """https://github.com/lhotse-speech/lhotse/pull/725"""
    clips(tmp_path / "wav")
    assert len(read(kaldi(tmp_path, wav_scp="\n{0} {clips}/{0}.wav\n\n", text="{0} YES\n \n"))) == len(NAMES)


@pytest.mark.parametrize("end", [".txt", ".TXT"])
def test_upper_case_names_of_timit_are_read(end: str, tmp_path: Path) -> None:
    """https://github.com/andabi/deep-voice-conversion/issues/10"""
    for path in clips(tmp_path, "WAV").glob("*.WAV"):
        path.with_suffix(end).write_text("SHE HAD\n")
    assert {one.text for one in read(tmp_path).values()} == {"SHE HAD"}


def test_a_quote_in_a_table_of_common_voice_is_a_letter(tmp_path: Path) -> None:
    """https://github.com/coqui-ai/STT/pull/2321, https://github.com/common-voice/common-voice/issues/5189"""
    clips(tmp_path)
    texts = ['"では、危険だ"と彼は', "\"Ha'e he'i", "plain", 'at the "end"']
    lines = [f"{name}.wav\t{text}" for name, text in zip(NAMES, texts, strict=True)]
    (tmp_path / "train.tsv").write_text("path\tsentence\n" + "\n".join(lines) + "\n")
    assert [one.text for one in read(tmp_path / "train.tsv").values()] == texts


def test_a_table_of_lj_speech_needs_names(tmp_path: Path) -> None:
    """https://github.com/rhasspy/piper/issues/246"""
    clips(tmp_path)
    lines = [f'{name}|Raw, "text|PLAIN TEXT' for name in NAMES]
    (tmp_path / "metadata.csv").write_text("\n\n".join(lines))
    with pytest.raises(ConfigError, match="line of names"):
        read(tmp_path / "metadata.csv")
    (tmp_path / "metadata.csv").write_text("\n\n".join(["audio|raw|text", *lines]))
    assert {one.text for one in read(tmp_path / "metadata.csv").values()} == {"PLAIN TEXT"}


def test_the_duration_of_a_cut_is_not_that_of_the_recording(tmp_path: Path) -> None:
    """https://github.com/NVIDIA-NeMo/Speech/issues/10060"""
    clips(tmp_path)
    row = {"audio_filepath": "a.wav", "text": "YES", "offset": 0.25, "duration": 0.5}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"offset": 0.0}))
    assert {(one.offset, one.duration) for one in read(tmp_path / "train.jsonl").values()} == {(0.25, 0.5), (0.0, 0.5)}


@pytest.mark.parametrize(
    "header", ["File name;Speaker;Transcription", "Audio_File;SPEAKER ID;Text", "recording;spk;sentence"]
)
def test_tables_of_spreadsheets_and_telephones_name_columns_their_way(header: str, tmp_path: Path) -> None:
    clips(tmp_path)
    (tmp_path / "Export.csv").write_text(f"{header}\r\na.wav;ann;YES, OR NO\r\n", encoding="utf-8-sig")
    (one,) = read(tmp_path / "Export.csv").values()
    assert (one.speaker, one.audio_filepath.name) == ("ann", "a.wav")
