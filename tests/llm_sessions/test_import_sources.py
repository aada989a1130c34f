from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest
from tests.llm_store.export_samples import NOON, response, session

from mcp_coder.llm_errors import InvalidRequestError, StoreError, UnsupportedVersionError
from mcp_coder.llm_serialization import serialize_llm_response
from mcp_coder.llm_sessions.import_sources import Source, examined, response_in
from mcp_coder.llm_store.exports import ExportWriter


def an_export() -> bytes:
    writer = ExportWriter()
    manifest = writer.manifest(made_at=NOON, mcp_coder_version="0.1.0", sessions=1, turns=0)
    return manifest + writer.session(session()) + writer.end()


def stored(place: Path, timestamp: str) -> Path:
    serialize_llm_response(response(timestamp=timestamp), place)
    return place


def looked_at(place: Path, *, salvage: bool = False) -> Source:
    with examined([place], salvage=salvage) as (source,):
        return source


def test_exports_come_as_given_and_then_responses_in_the_order_of_their_times(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.jsonl").write_bytes(an_export())
    files = [
        stored(tmp_path / "third.json", "2026-01-31T12:00:03+00:00"),
        tmp_path / "b.jsonl",
        stored(tmp_path / "first.json", "2026-01-31T12:00:01+00:00"),
        tmp_path / "a.jsonl",
        stored(tmp_path / "second.json", "2026-01-31T15:00:02+03:00"),
    ]
    with examined(files, salvage=False) as sources:
        assert [Path(source.name).name for source in sources] == [
            "b.jsonl",
            "a.jsonl",
            "first.json",
            "second.json",
            "third.json",
        ]
        assert [source.is_export for source in sources] == [True, True, False, False, False]
        assert sources[0].size == len(an_export())


def test_a_stream_is_copied_into_a_private_file_that_is_gone_afterwards() -> None:
    with examined([io.BytesIO(an_export())], salvage=False) as (source,):
        assert source.name == "standard input"
        assert stat.S_IMODE(os.stat(source.path).st_mode) == 0o600
        assert Path(source.path).read_bytes() == an_export()
    assert not os.path.exists(source.path)


def test_a_stream_is_called_as_it_calls_itself(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(an_export())
    with open(tmp_path / "x.jsonl", "rb") as file, examined([file], salvage=False) as (source,):
        assert source.name == str(tmp_path / "x.jsonl")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_response_is_known_in_every_encoding_that_it_may_have(encoding: str, tmp_path: Path) -> None:
    text = stored(tmp_path / "x.json", "2026-01-31T12:00:01+00:00").read_text("utf-8")
    place = tmp_path / "other.json"
    place.write_bytes(text.encode(encoding))
    assert not looked_at(place).is_export
    assert response_in(str(place), str(place)) == response(timestamp="2026-01-31T12:00:01+00:00")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"a,b\n1,2\n", "it holds no JSON object"),
        (b"[1, 2]", "it holds no JSON object"),
        (b"\x7fELF\x00\x00", "it holds no JSON object"),
        (b'{"version": "1.0"', "Expecting ',' delimiter"),
        (b'{"text": "x"}', "Missing 'version' field"),
        (b'{"a": "\xff"}', "Not utf-8 (invalid start byte)"),
        (b"{" * 100_000, "Expecting property name enclosed in double quotes"),
    ],
    ids=["empty", "csv", "array", "program", "cut", "no version", "no text", "braces"],
)
def test_what_is_neither_is_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    place.write_bytes(data)
    with pytest.raises(InvalidRequestError) as caught:
        looked_at(place, salvage=True)
    assert str(caught.value) == f"{place} is neither an export of sessions nor a stored response: {reason}"


def test_a_newer_major_version_is_refused_by_name(tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    place.write_text('{"version": "2.0"}')
    with pytest.raises(UnsupportedVersionError, match=r"x\.json: Incompatible version: 2\.0"):
        looked_at(place)
    place.write_text('{"mcp_coder_export": "2.0"}')
    with pytest.raises(UnsupportedVersionError, match=r"x\.json: Incompatible version: 2\.0"):
        looked_at(place, salvage=True)


def test_damage_is_told_by_its_lines_and_not_without_end(tmp_path: Path) -> None:
    place = tmp_path / "x.jsonl"
    place.write_bytes(an_export()[:-20])
    with pytest.raises(StoreError, match=r"line 3 was changed or cut off: .*; line 4 is missing"):
        looked_at(place)
    assert looked_at(place, salvage=True).is_export
    place.write_bytes(an_export() + b"junk\n" * 1000)
    with pytest.raises(StoreError, match=r"; and more\. Nothing was imported"):
        looked_at(place)


def test_what_is_not_there_or_no_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        looked_at(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        looked_at(tmp_path)
