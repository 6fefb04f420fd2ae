"""`asr listen` writes what a training reads: the same sounds, and a page that opens without a network."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.batching.dataset import Dataset
from asr.commands.cli import main
from asr.data.manifest import read_manifest
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from tests.helpers.corpora import write_corpus

ROOMS = ["features.source=online", "augment=rooms", "augment.reverb.probability=1.0", "augment.gain.probability=0"]


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    texts = {"train": ["A B", "C D E", "F", "G H"], "dev": ["A"], "test": ["B"]}
    write_corpus(tmp_path / "data" / "an4", texts)
    return [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}", "tokenizer=char"]


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.files: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.files += [value for name, value in attributes if name in ("src", "href") and value and value != "data:,"]


def test_it_writes_what_a_training_reads(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["listen", "an4", *settings, *ROOMS, "listen.utterances=2", "listen.epochs=2"])
    folder = tmp_path / "runs" / "an4" / "listen"
    assert f"open {folder / 'index.html'}" in capsys.readouterr().out
    config = compose(find_recipe("an4"), [*settings, *ROOMS])
    utterances = read_manifest(tmp_path / "data" / "an4" / "train.jsonl")
    train = Dataset(utterances, None, config.augment, config.seed)
    ids = [one.id for one in utterances]
    sounds = sorted(folder.glob("*-epoch*.wav"))
    assert len(sounds) == 4 and len({path.name[:4] for path in sounds}) == 2
    for path in sounds:
        match = re.fullmatch(r"\d+-(.*)-epoch(\d)\.wav", path.name)
        assert match is not None
        expected = train(ids.index(match[1]), int(match[2]))
        expected = expected / expected.abs().max().clamp_min(1.0)
        written, rate = soundfile.read(path, dtype="float32")
        assert rate == 16000 and np.allclose(written, expected, atol=1 / 32768)
    originals = {path.name: soundfile.read(path)[0] for path in folder.glob("*-original.wav")}
    plain = [soundfile.read(one.audio_filepath)[0] for one in utterances]
    assert all(any(np.array_equal(sound, one) for one in plain) for sound in originals.values())


def test_the_page_shows_each_file_and_needs_no_network(settings: list[str], tmp_path: Path) -> None:
    main(["listen", "an4", *settings, "listen.utterances=3", "listen.epochs=1", f"listen.folder={tmp_path / 'page'}"])
    page = (tmp_path / "page" / "index.html").read_text()
    links = Links()
    links.feed(page)
    written = sorted(path.name for path in (tmp_path / "page").glob("*.*") if path.suffix in (".wav", ".png"))
    assert sorted(links.files) == written and len(written) == 12
    assert "http:" not in page and "https:" not in page and "<script" not in page
    for path in (tmp_path / "page").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_what_was_drawn_is_named(settings: list[str], tmp_path: Path) -> None:
    main(["listen", "an4", *settings, *ROOMS, "augment.speed_factors=[0.9]", "listen.utterances=1", "listen.epochs=1"])
    page = (tmp_path / "runs" / "an4" / "listen" / "index.html").read_text()
    assert re.search(r"epoch 0: speed 0\.9, reverb", page)


def test_another_folder_is_left_alone_and_its_own_is_replaced(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("two years")
    few = ["listen.utterances=1", "listen.epochs=1"]
    with pytest.raises(SystemExit) as stop:
        main(["listen", "an4", *settings, *few, f"listen.folder={tmp_path / 'mine'}"])
    assert stop.value.code == 2 and "was not written by `asr listen`" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "two years"
    for epochs in (2, 1):
        main(["listen", "an4", *settings, "listen.utterances=1", f"listen.epochs={epochs}"])
    assert len([*(tmp_path / "runs" / "an4" / "listen").glob("*-epoch*.wav")]) == 1
