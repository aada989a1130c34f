from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mcp_coder.llm_sessions.whole_file import whole_file


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_written_is_there_when_the_block_ends(tmp_path: Path) -> None:
    place = tmp_path / "export.jsonl"
    with whole_file(place) as file:
        file.write(b"one\n")
        file.write(b"two\n")
        file.flush()
        assert not place.exists()
    assert place.read_bytes() == b"one\ntwo\n"
    assert os.listdir(tmp_path) == ["export.jsonl"]


def test_it_replaces_an_old_file_in_one_step(tmp_path: Path) -> None:
    place = tmp_path / "export.jsonl"
    place.write_bytes(b"old")
    with whole_file(str(place)) as file:
        file.write(b"new")
        assert place.read_bytes() == b"old"
    assert place.read_bytes() == b"new"


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "export.jsonl"
    place.write_bytes(b"old")

    def interrupted() -> None:
        with whole_file(place) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert place.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["export.jsonl"]


def test_only_the_owner_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with whole_file(tmp_path / "new" / "deep" / "x.jsonl") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "new" / "deep" / "x.jsonl") == 0o600
    assert mode_of(tmp_path / "new") == mode_of(tmp_path / "new" / "deep") == 0o700


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "x"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    with whole_file(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_device_is_written_to(tmp_path: Path) -> None:
    with whole_file("/dev/null") as file:
        file.write(b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_standard_output_that_is_a_pipe_is_written_to() -> None:
    code = "from mcp_coder.llm_sessions.whole_file import whole_file as f\nwith f('/dev/stdout') as o: o.write(b'x')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"x"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with whole_file(pipe) as file:
        file.write(b"through")
    reader.join(30)
    assert read == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError), whole_file(tmp_path / "file" / "x"):  # noqa: PT011 - which one is the system's matter
        pass
    with pytest.raises(IsADirectoryError), whole_file(tmp_path):
        pass
