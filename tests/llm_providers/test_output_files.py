"""What was read of an output file is gone, what was not read is still there, whatever is printed meanwhile."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_coder.llm_providers import output_files
from mcp_coder.llm_providers.output_files import open_output, output_in, take_away_read

needs_holes = pytest.mark.skipif(sys.platform != "linux", reason="holes are made on Linux only")
LONG = b"x" * 5000
"""More than a block of a file system."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "output"
    file.touch()
    return file


@pytest.fixture
def output(path: Path) -> Iterator[io.FileIO]:
    with open_output(str(path)) as file:
        yield file


@pytest.fixture(params=[pytest.param("a hole", marks=needs_holes), "none can be made", "too large a hole"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Take away by each of the ways."""
    if request.param == "none can be made":
        monkeypatch.setattr(output_files, "_make_hole", lambda _descriptor, _size: False)
    if request.param == "too large a hole":
        monkeypatch.setattr(output_files, "_LARGEST_HOLE", 0)
    return str(request.param)


def write(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.mark.parametrize("earlier", [b"one\n", LONG, LONG * 20], ids=len)
def test_what_was_read_is_gone(path: Path, output: io.FileIO, way: str, earlier: bytes) -> None:
    for _ in range(3):
        write(path, earlier)
        assert output.read() == earlier
        take_away_read(output)
        assert output_in(str(path)) == b""
        assert set(path.read_bytes()) <= {0}  # a secret, say
        write(path, b"two\n")
        assert output_in(str(path)) == b"two\n"
        assert output.read() == b"two\n"


def test_where_nothing_was_read_all_stays(path: Path, output: io.FileIO, way: str) -> None:
    take_away_read(output)
    write(path, b"one\n")
    take_away_read(output)
    assert output.read() == output_in(str(path)) == b"one\n"


@needs_holes
@pytest.mark.parametrize("earlier", [b"one\n", LONG], ids=len)
def test_what_is_printed_behind_a_read_stays(path: Path, output: io.FileIO, earlier: bytes) -> None:
    write(path, earlier)
    output.read()
    write(path, b"two\n")
    take_away_read(output)
    assert output_in(str(path)) == b"two\n"
    assert output.read() == b"two\n"


@needs_holes
def test_a_file_takes_no_room_for_what_was_taken_away(path: Path, output: io.FileIO) -> None:
    for _ in range(50):
        write(path, LONG * 20)
        output.read()
        take_away_read(output)
    assert os.stat(path).st_blocks * 512 < len(LONG) * 20


_PRINTS = """
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
for number in range(int(sys.argv[2])):
    os.write(file, b"%d %s\\n" % (number, b"x" * (number % 700)))
"""


@needs_holes
def test_no_line_is_lost_of_a_program_that_prints_without_a_pause(path: Path, output: io.FileIO) -> None:
    count, seen, rest = 20_000, 0, b""
    with subprocess.Popen([sys.executable, "-c", _PRINTS, str(path), str(count)]) as program:
        while seen < count:
            ended = program.poll() is not None
            *lines, rest = (rest + output.read()).split(b"\n")
            take_away_read(output)
            for line in lines:
                assert line.split()[0] == str(seen).encode()
                seen += 1
            assert seen == count or not ended
    assert (rest, output_in(str(path))) == (b"", b"")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for read in (output_in, open_output):
        with pytest.raises(FileNotFoundError):
            read(str(tmp_path / "output"))


@needs_holes
@pytest.mark.parametrize(
    "error", [OSError("not supported"), AttributeError("fallocate"), ImportError("ctypes")]
)
def test_a_system_that_makes_no_holes(
    path: Path, output: io.FileIO, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(output_files, "libc", refuse)
    write(path, b"one\n")
    output.read()
    take_away_read(output)
    assert path.read_bytes() == b""
    write(path, b"two\n")
    assert output.read() == b"two\n"


def test_a_file_of_another_system_is_read_from_its_first_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, b"\0" * 100 + b"one\n")
    monkeypatch.setattr(sys, "platform", "plan9")
    assert output_in(str(path)) == b"one\n"
