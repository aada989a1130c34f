from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_store.export_samples import objects

from mcp_coder.llm_errors import UnsupportedVersionError
from mcp_coder.llm_store.export_lines import Flaw, Frame, LineWriter, fields_of, flaws_of, frames, is_export


def written(values: int = 4) -> list[bytes]:
    """Return an export of a manifest, so many values, and an end."""
    writer = LineWriter()
    lines = [writer.manifest({"turns": values})]
    lines += [writer.value("turn", {"number": number}) for number in range(values)]
    return [*lines, writer.end({"turns": values})]


def flaws(lines: list[bytes]) -> list[str]:
    return [str(flaw) for flaw in flaws_of(lines)]


def whole(lines: list[bytes]) -> list[int]:
    """Return where the whole lines were written."""
    return [found.place for found in frames(lines) if isinstance(found, Frame)]


def signed(body: bytes) -> bytes:
    """Return a line with a checksum that fits, whatever stands in it."""
    return body + b',"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def test_what_was_written_is_read() -> None:
    lines = written()
    assert flaws(lines) == []
    assert [frame.kind for frame in frames(lines) if isinstance(frame, Frame)] == [
        "manifest",
        *["turn"] * 4,
        "end",
    ]


def test_each_line_is_a_json_object_with_its_number_and_the_checksum_of_what_stands_before() -> None:
    for number, line in enumerate(written(), 1):
        read = json.loads(line)
        assert read["line"] == number
        body = line[: line.rindex(b',"sha256":')]
        assert read["sha256"] == hashlib.sha256(body).hexdigest()


def test_the_last_line_has_the_checksum_of_all_lines_before_it() -> None:
    lines = written()
    assert json.loads(lines[-1])["end"]["sha256_of_lines"] == hashlib.sha256(b"".join(lines[:-1])).hexdigest()


def test_the_first_line_begins_with_the_version() -> None:
    assert written()[0].startswith(b'{"mcp_coder_export":"1.0","line":1,')


@given(objects)
def test_any_value_comes_back_in_one_line_of_utf_8(value: dict[str, object]) -> None:
    writer = LineWriter()
    line = writer.manifest({}) and writer.value("turn", value)
    assert line.count(b"\n") == 1
    assert line.decode().splitlines(keepends=True) == [line.decode()]
    (frame,) = (found for found in frames([line]) if isinstance(found, Frame))
    assert fields_of(frame) == value


def test_readable_text_stays_readable_and_what_steers_a_terminal_does_not() -> None:
    line = LineWriter().value("turn", {"text": "Grüße 🦊 \x1b[2J \x9b2J \u202e \ud800 \u2028"})
    assert "Grüße 🦊 \\u001b[2J \\u009b2J \\u202e \\ud800 \\u2028" in line.decode()


def test_a_mapping_that_is_no_dict_is_written_as_one() -> None:
    line = LineWriter().value("turn", {"options": MappingProxyType({"a": 1})})
    assert json.loads(line)["turn"] == {"options": {"a": 1}}


def nested() -> object:
    value: object = 0
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "error"),
    [(float("nan"), ValueError), ({1, 2}, TypeError), (b"bytes", TypeError), (nested(), ValueError)],
    ids=["nan", "set", "bytes", "nested"],
)
def test_what_json_cannot_hold_is_refused_and_the_export_goes_on(
    value: object, error: type[Exception]
) -> None:
    writer = LineWriter()
    lines = [writer.manifest({"turns": 1})]
    with pytest.raises(error):
        writer.value("turn", {"value": value})
    lines += [writer.value("turn", {"value": 1}), writer.end({})]
    assert flaws(lines) == []


# --- what can be wrong


def test_a_changed_byte_is_told_by_its_line_and_the_others_are_whole() -> None:
    lines = written()
    lines[2] = lines[2].replace(b'"number":1', b'"number":7')
    assert flaws(lines) == ["line 3 was changed or cut off: its checksum does not fit"]
    assert whole(lines) == [1, 2, 4, 5, 6]


def test_any_single_changed_byte_is_found() -> None:
    export = b"".join(written(1))
    for place in range(len(export) - 1):  # but for the last line feed, without which the export is as whole
        damaged = bytearray(export)
        damaged[place] ^= 0x01
        lines = bytes(damaged).split(b"\n")
        try:
            assert flaws([line + b"\n" for line in lines]), place
        except UnsupportedVersionError:
            assert place < 30, place  # a changed digit of the version in the first line


@pytest.mark.parametrize("at", range(1, 120))
def test_a_file_cut_anywhere_is_never_whole(at: int) -> None:
    export = b"".join(written())
    cut = export[: len(export) * at // 120]
    assert flaws(cut.splitlines(keepends=True)) != []


def test_a_file_cut_in_the_middle_of_a_line_says_so() -> None:
    lines = written()[:4]
    lines[3] = lines[3][:20]
    assert flaws(lines) == [
        "line 4 was changed or cut off: its checksum does not fit",
        "line 5 is missing: the file was cut off before its end (4 turns were announced)",
    ]


def test_a_file_cut_between_two_lines_says_so() -> None:
    assert flaws(written()[:4]) == [
        "line 5 is missing: the file was cut off before its end (4 turns were announced)"
    ]


def test_a_missing_last_line_feed_is_nothing() -> None:
    lines = written()
    lines[-1] = lines[-1].rstrip()
    assert flaws(lines) == []


def test_swapped_lines_are_out_of_place_and_whole() -> None:
    lines = written()
    lines[2], lines[3] = lines[3], lines[2]
    assert flaws(lines) == [
        "line 3 follows a gap: line 3 is missing",
        "line 4 is out of place: it was written as line 3",
    ]
    assert sorted(whole(lines)) == [1, 2, 3, 4, 5, 6]


def test_missing_lines_are_told() -> None:
    lines = written()
    del lines[2:4]
    assert flaws(lines) == ["line 3 follows a gap: lines 3 to 4 are missing"]


def test_a_line_that_stands_there_twice_is_told() -> None:
    lines = written()
    lines.insert(2, lines[1])
    assert flaws(lines) == ["line 3 is out of place: it was written as line 2"]


def test_a_line_broken_in_two_does_not_make_the_others_suspect() -> None:
    lines = written()
    lines[2:3] = [lines[2][:10] + b"\n", lines[2][10:]]
    assert flaws(lines) == [
        "line 3 was changed or cut off: its checksum does not fit",
        "line 4 was changed or cut off: its checksum does not fit",
    ]
    assert whole(lines) == [1, 2, 4, 5, 6]


def test_what_stands_behind_the_end_is_told() -> None:
    lines = written()
    assert flaws([*lines, lines[1]]) == ["line 7 stands behind the last line of its export"]
    assert flaws([*lines, b"signature\n"]) == ["line 7 was changed or cut off: its checksum does not fit"]


def test_lines_of_another_export_are_found_by_the_checksum_of_all() -> None:
    lines = written()
    writer = LineWriter()
    other = [writer.manifest({"turns": 4}), writer.value("turn", {"number": 99})]
    assert flaws([lines[0], other[1], *lines[2:]]) == ["line 6 belongs to other lines than those before it"]


def test_an_empty_file_is_cut_off() -> None:
    assert flaws([]) == ["line 1 is missing: the file was cut off before its end"]


def test_a_damaged_first_line_leaves_the_others() -> None:
    lines = written()
    lines[0] = b"\x00" + lines[0]
    assert flaws(lines) == ["line 1 was changed or cut off: its checksum does not fit"]
    assert whole(lines) == [2, 3, 4, 5, 6]


def test_exports_one_behind_the_other_are_read() -> None:
    assert flaws([*written(), *written(2)]) == []
    assert flaws([*written()[:2], *written(2)]) == [
        "line 3 begins an export, and the one before it has no end"
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda export: b"\xef\xbb\xbf" + export,
        lambda export: export.replace(b"\n", b"\r\n"),
        lambda export: b"\xef\xbb\xbf" + export.replace(b"\n", b"\r\n"),
        lambda export: b"\n" + export.replace(b"\n", b"\n\n") + b"  \n",
    ],
    ids=["byte order mark", "CRLF", "both", "blank lines"],
)
def test_what_other_programs_do_to_text_files_is_no_damage(change: Callable[[bytes], bytes]) -> None:
    assert flaws(change(b"".join(written())).splitlines(keepends=True)) == []


# --- versions


def test_a_newer_minor_version_is_read() -> None:
    lines = written()
    body = lines[0][: lines[0].rindex(b',"sha256"')].replace(b'"1.0"', b'"1.7"')
    assert whole([signed(body), *lines[1:]]) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "first", [b'{"mcp_coder_export":"2.0","line":1}', b' { "mcp_coder_export" : "2.0" }']
)
def test_a_newer_major_version_is_refused_whatever_else_it_holds(first: bytes) -> None:
    with pytest.raises(UnsupportedVersionError, match=r"^Incompatible version: 2\.0 "):
        flaws([first + b"\n", b"something else\n"])


# --- is it one?


def test_exports_are_known_by_their_first_line() -> None:
    assert is_export(written()[0])
    assert is_export(b"\xef\xbb\xbf" + written()[0])
    assert is_export(b'{"mcp_coder_export":"2.0","any":"thing"}')


def test_an_export_with_a_damaged_first_line_is_still_one() -> None:
    lines = written()
    assert is_export(b"x" + b"".join(lines))
    assert is_export((b"x" + b"".join(lines)).replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("other", [b"", b"\n", b'{\n  "version": "1.0"\n}', b"a,b\n1,2\n", b"\x00\xff" * 99])
def test_other_files_are_none(other: bytes) -> None:
    assert not is_export(other)


# --- lines whose checksum fits and that are none of ours all the same


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"5", "is no JSON object"),
        (b"[]", "is no JSON object"),
        (b"NaN", "NaN is not JSON"),
        (b'{"a":}', "Expecting value"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    ],
    ids=["number", "list", "constant", "no json", "nested"],
)
def test_a_value_that_is_none_is_told(value: bytes, reason: str) -> None:
    (frame,) = (found for found in frames([signed(b'{"line":1,"turn":' + value)]) if isinstance(found, Frame))
    with pytest.raises(ValueError, match=reason):
        fields_of(frame)


def test_an_end_and_a_manifest_that_hold_nothing_are_survived() -> None:
    nothing = signed(b'{"mcp_coder_export":"1.0","line":1,"turns":')
    assert flaws([nothing]) == ["line 2 is missing: the file was cut off before its end"]
    assert flaws([signed(b'{"line":1,"end":null')]) == ["line 1 belongs to other lines than those before it"]


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_no_bytes_at_all_make_it_fall(lines: list[bytes]) -> None:
    assert all(isinstance(found, Flaw) for found in frames(lines))
