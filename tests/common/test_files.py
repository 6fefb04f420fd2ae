"""Files appear whole or not at all, and one process at a time works under a lock."""

import subprocess
import sys
from pathlib import Path

import pytest

from asr.common.errors import DataError
from asr.common.files import atomic_folder, atomic_write, file_lock, file_name, lines_of, new_folder, read_text


def test_a_file_appears_when_its_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path) as beside:
        beside.write_text("whole")
        assert beside.suffix == ".txt" and not path.exists()
    assert path.read_text() == "whole"
    assert [*path.parent.iterdir()] == [path]


def test_a_file_has_the_permissions_of_the_umask_whatever_wrote_it(tmp_path: Path) -> None:
    """safetensors makes files that only their owner may read, which a laboratory cannot share."""
    script = (
        "import os, sys; os.umask(0o027)\n"
        "from pathlib import Path; from asr.common.files import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as beside:\n"
        "    os.close(os.open(beside, os.O_CREAT | os.O_WRONLY, 0o600))\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "model.safetensors")], check=True)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o640


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as beside:
            beside.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("first", "second"):
        with atomic_folder(folder) as content:
            (content / name).touch()
    assert [path.name for path in folder.iterdir()] == ["second"] and [*tmp_path.iterdir()] == [folder]

    def fail() -> None:
        with atomic_folder(folder) as content:
            (content / "third").touch()
            raise ValueError("fails")

    with pytest.raises(ValueError, match="fails"):
        fail()
    assert [path.name for path in folder.iterdir()] == ["second"] and [*tmp_path.iterdir()] == [folder]


def test_a_lock_is_held_by_one_process(tmp_path: Path) -> None:
    """Another process finds it taken, and free after the block."""
    path = tmp_path / "data" / ".lock"
    program = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    taken = [sys.executable, "-c", program, str(path)]
    with file_lock(path):
        assert b"BlockingIOError" in subprocess.run(taken, capture_output=True, check=False, timeout=60).stderr
    subprocess.run(taken, check=True, timeout=60)


def test_a_lock_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with (
        pytest.raises(DataError, match=r"data/\.lock cannot be written \(Not a directory\): set paths\.data"),
        file_lock(tmp_path / "data" / ".lock"),
    ):
        pass


def test_lines_have_their_numbers_and_blank_ones_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufeffone\r\n\n  \ntwo \nthree".encode())
    assert [*lines_of(path)] == [(1, "one"), (4, "two "), (5, "three")]


@pytest.mark.parametrize(("content", "sentence"), [(b"\xff", "is not in UTF-8"), (None, "cannot be read")])
def test_a_text_that_cannot_be_read_is_named(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"text {sentence}"):
        next(iter(lines_of(path)))


@pytest.mark.parametrize("lines", [0, 1, 9000])
def test_the_line_of_a_character_that_is_not_in_utf_8_is_named(lines: int, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes("ЖДЁШ\r\n".encode() * lines + b"CAF\xc9\n")
    with pytest.raises(DataError, match=f"in line {lines + 1}\\): save it in UTF-8"):
        read_text(tmp_path / "text")


def test_ids_that_differ_in_slashes_have_different_file_names() -> None:
    names = [file_name(id) for id in ("a-b", "a/b", "a/b/", "c")]
    assert names[0] == "a-b" and names[3] == "c" and len(set(names)) == 4
    assert not any("/" in name for name in names)


@pytest.mark.parametrize("name", ["new", "not/there/yet", "empty", "full"])
def test_a_new_folder_is_gone_where_filling_it_fails(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full" / "mine").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))

    def fill() -> None:
        with new_folder(tmp_path / name):
            (tmp_path / name / "part").mkdir()
            (tmp_path / name / "part" / "file").touch()
            raise KeyError

    with pytest.raises(KeyError):
        fill()
    left = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
    assert left == ([tmp_path / "full/part", tmp_path / "full/part/file"] if name == "full" else [])
    assert set(before) <= set(tmp_path.rglob("*"))
    with new_folder(tmp_path / name):
        (tmp_path / name / "kept").touch()
    assert (tmp_path / name / "kept").exists()
