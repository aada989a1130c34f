from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_store.export_samples import (
    NOON,
    events,
    objects,
    odd_texts,
    response,
    session,
    sessions,
    turn,
    turns,
)

from mcp_coder.llm_store.base import SessionRecord, TurnRecord
from mcp_coder.llm_store.export_lines import LineWriter
from mcp_coder.llm_store.exports import (
    ExportedSession,
    ExportedTurn,
    ExportWriter,
    Flaw,
    Manifest,
    Unknown,
    read_export,
)

PRINTED = [{"type": "system", "subtype": "init"}, {"type": "result", "result": "Noted: blue"}]


def written() -> list[bytes]:
    writer = ExportWriter()
    return [
        writer.manifest(
            made_at=NOON.astimezone(timezone(timedelta(hours=2))),
            mcp_coder_version="0.1.0",
            sessions=1,
            turns=1,
        ),
        writer.session(session(), parent_turn_id="019c1410-6400-7000-8000-000000000000"),
        writer.turn(turn(), response(), PRINTED),
        writer.end(),
    ]


def read_value(kind: str, fields: Mapping[str, Any]) -> list[object]:
    """Return what is read of one line; that all others are missing is left out."""
    line = LineWriter().value(kind, fields)
    return [item for item in read_export([line]) if not (isinstance(item, Flaw) and item.line != 1)]


def turn_fields(**changes: object) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(written()[2])["turn"]
    return {**fields, **changes}


def test_what_was_written_is_read() -> None:
    assert list(read_export(written())) == [
        Manifest(version="1.0", made_at=NOON.isoformat(), mcp_coder_version="0.1.0", sessions=1, turns=1),
        ExportedSession(line=2, session=session(), parent_turn_id="019c1410-6400-7000-8000-000000000000"),
        ExportedTurn(line=3, turn=turn(), response=response(), events=PRINTED),
    ]


def test_the_lines_are_what_the_documentation_says() -> None:
    manifest, first, second, last = (json.loads(line) for line in written())
    assert list(manifest) == [
        "mcp_coder_export",
        "line",
        "made_at",
        "mcp_coder_version",
        "sessions",
        "turns",
        "sha256",
    ]
    assert list(first) == ["line", "session", "sha256"]
    assert first["session"]["cost_usd"] == "0.049283999999999994"
    assert list(second) == ["line", "turn", "sha256"]
    assert second["turn"]["response"] == response()
    assert second["turn"]["events"] == PRINTED
    assert list(last) == ["line", "end", "sha256"]
    assert (last["end"]["sessions"], last["end"]["turns"]) == (1, 1)


def test_the_writer_counts() -> None:
    writer = ExportWriter()
    writer.session(session())
    writer.turn(turn(), None, [])
    writer.turn(turn(), None, [])
    assert (writer.sessions, writer.turns) == (1, 2)


@given(
    sessions,
    turns,
    st.none() | st.builds(response, odd_texts, raw_response=objects, unknown=objects),
    events,
)
def test_any_record_comes_back_equal(
    record: SessionRecord, first: TurnRecord, answer: Any, printed: list[dict[str, object]]
) -> None:
    writer = ExportWriter()
    lines = [
        writer.manifest(made_at=NOON, mcp_coder_version="0.1.0", sessions=1, turns=1),
        writer.session(record),
        writer.turn(first, answer, printed),
        writer.end(),
    ]
    _, found, item = read_export(b"".join(lines).splitlines(keepends=True))
    assert isinstance(found, ExportedSession)
    assert isinstance(item, ExportedTurn)
    assert (found.session, item.turn, item.response, item.events) == (record, first, answer, printed)


def test_damage_stands_among_what_is_whole() -> None:
    lines = written()
    lines[1] = lines[1][:-9] + b"\n"
    manifest, flaw, found = read_export(lines)
    assert isinstance(manifest, Manifest)
    assert flaw == Flaw(line=2, reason="was changed or cut off: its checksum does not fit")
    assert isinstance(found, ExportedTurn)


# --- newer minor versions


def test_fields_of_a_newer_version_are_told_and_kept_where_there_is_a_place() -> None:
    fields = turn_fields(mood="good", events=[{"type": "new", "x": 1}], options={"new_option": 5})
    found, unknown = read_value("turn", fields)
    assert isinstance(found, ExportedTurn)
    assert found.events == [{"type": "new", "x": 1}]
    assert found.turn.options == {"new_option": 5}
    assert unknown == Unknown(names=("turn.mood",))


def test_lines_of_a_newer_version_are_told() -> None:
    assert read_value("attachment", {"name": "x"}) == [Unknown(names=("attachment",))]


def test_a_manifest_with_less_or_more_is_read() -> None:
    line = LineWriter().manifest({"mood": "good"})
    found, unknown, *_ = read_export([line])
    assert found == Manifest(version="1.0", made_at="", mcp_coder_version="", sessions=0, turns=0)
    assert unknown == Unknown(names=("manifest.mood",))


# --- lines that are whole and cannot be read


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"number": "one"}, "cannot be read: turn: number: is no whole number from 0 on"),
        ({"response": "text"}, "cannot be read: turn: response: is no JSON object"),
        ({"events": None}, "cannot be read: turn: events: is no list of JSON objects"),
        ({"events": ["text"]}, "cannot be read: turn: events: is no list of JSON objects"),
    ],
    ids=["number", "response", "no events", "events"],
)
def test_a_turn_that_is_none_is_a_flaw(changes: dict[str, object], reason: str) -> None:
    assert read_value("turn", turn_fields(**changes)) == [Flaw(line=1, reason=reason, damage=False)]


def test_a_session_that_is_none_is_a_flaw() -> None:
    (flaw,) = read_value("session", {"session_id": "../x"})
    assert flaw == Flaw(line=1, reason="cannot be read: session: session_id: is no id", damage=False)


def test_a_parent_turn_that_is_no_text_is_none() -> None:
    fields = json.loads(written()[1])["session"]
    (found,) = read_value("session", {**fields, "parent_turn_id": 5})
    assert found == ExportedSession(line=1, session=session(), parent_turn_id=None)


def test_a_huge_number_that_python_does_not_read_is_a_flaw() -> None:
    body = b'{"line":1,"turn":{"number":' + b"9" * 5000 + b"}"
    line = body + b',"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'
    flaw, _ = read_export([line])
    assert isinstance(flaw, Flaw)
    assert flaw.reason.startswith("cannot be read: turn: ")
