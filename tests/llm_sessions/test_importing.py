from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.llm_store.export_samples import (
    NOON,
    SESSION_ID,
    add_turn,
    contents,
    halves,
    response,
    session,
    turn,
)

from mcp_coder.llm_errors import StoreError
from mcp_coder.llm_serialization import serialize_llm_response
from mcp_coder.llm_sessions.import_sources import Source
from mcp_coder.llm_sessions.importing import Importer, ImportReport
from mcp_coder.llm_sessions.transfer import import_file, import_files
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store
from mcp_coder.llm_store.export_lines import LineWriter
from mcp_coder.llm_store.export_records import session_json, turn_json
from mcp_coder.llm_store.exports import ExportWriter
from mcp_coder.llm_store.redact import Redactor

OTHER_ID = "123e4567-e89b-42d3-a456-426614174000"
SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture
def store() -> Iterator[Store]:
    with contextlib.closing(open_store("memory:")) as opened:
        yield opened


def at(seconds: int) -> str:
    return f"2026-01-31T12:00:{seconds:02}+00:00"


def stored(place: Path, text: str, seconds: int, **changes: Any) -> Path:
    """Store a response as ``--store-response`` does."""
    serialize_llm_response(response(text, timestamp=at(seconds), **changes), place)
    return place


def counts(report: ImportReport) -> dict[str, object]:
    """Return what of a report is not nothing."""
    return {name: value for name, value in dataclasses.asdict(report).items() if value}


def texts(store: Store, session_id: str = SESSION_ID) -> list[str]:
    return [each.text for each in store.turns(session_id)]


# --- stored responses


def test_a_stored_response_becomes_a_turn_of_its_session(store: Store, tmp_path: Path) -> None:
    place = stored(tmp_path / "x.json", "Noted: blue", 5)
    assert counts(import_file(store, place)) == {"sessions": 1, "turns": 1}
    (found,) = store.turns(SESSION_ID)
    assert (found.prompt, found.text, found.state) == ("", "Noted: blue", "succeeded")
    assert store.response(found.turn_id) == response("Noted: blue", timestamp=at(5))
    assert store.session(SESSION_ID).title == "(answer) Noted: blue"


def test_responses_of_a_session_are_put_in_the_order_of_their_times(store: Store, tmp_path: Path) -> None:
    files = [
        stored(tmp_path / "c.json", "three", 30),
        stored(tmp_path / "a.json", "one", 10),
        stored(tmp_path / "b.json", "two", 20),
        stored(tmp_path / "o.json", "other", 15, session_id=OTHER_ID),
    ]
    assert counts(import_files(store, files)) == {"sessions": 2, "turns": 4}
    assert texts(store) == ["one", "two", "three"]
    ids = [each.turn_id for each in store.turns(SESSION_ID)]
    assert ids == sorted(ids)


def test_imported_twice_adds_nothing(store: Store, tmp_path: Path) -> None:
    files = [stored(tmp_path / f"{number}.json", "same text", number) for number in range(3)]
    import_files(store, files)
    before = contents(store)
    assert counts(import_files(store, files)) == {"sessions_there": 1, "turns_there": 3}
    assert counts(import_files(store, [files[0], files[0]])) == {"sessions_there": 1, "turns_there": 2}
    assert contents(store) == before


def test_a_turn_that_was_recorded_is_not_there_twice(store: Store, tmp_path: Path) -> None:
    add_turn(store, response("recorded", timestamp=at(5)), text="recorded")
    place = stored(tmp_path / "x.json", "recorded", 5)
    assert counts(import_file(store, place)) == {"sessions_there": 1, "turns_there": 1}
    assert texts(store) == ["recorded"]


def test_what_cannot_become_a_turn_is_refused_and_the_rest_is_taken(store: Store, tmp_path: Path) -> None:
    lost = stored(tmp_path / "lost.json", "lost", 1, session_id=None)
    report = import_files(store, [lost, stored(tmp_path / "x.json", "kept", 2)])
    assert counts(report) == {
        "sessions": 1,
        "turns": 1,
        "refused": 1,
        "reasons": (f"{lost}: it belongs to no session: it has no session_id",),
    }


def test_a_stored_response_is_cleaned_and_still_the_same_turn(store: Store, tmp_path: Path) -> None:
    place = stored(tmp_path / "x.json", f"it is {SECRET}", 5)
    redactor = Redactor(secrets=(SECRET,))
    assert import_file(store, place, redactor=redactor).redactions == 3
    assert SECRET not in repr(contents(store))
    assert next(store.turns(SESSION_ID)).redactions == 3
    assert import_file(store, place, redactor=redactor).turns_there == 1
    assert import_file(store, place, redactor=Redactor.none()).turns == 0


def test_responses_cost_what_their_counters_tell(store: Store, tmp_path: Path) -> None:
    files = [
        stored(tmp_path / f"{n}.json", f"{n}", n, raw_response=counted(total=n * 0.25, all_tokens=10 * n))
        for n in (1, 2, 3)
    ]
    import_files(store, files)
    assert [each.usage.cost_usd for each in store.turns(SESSION_ID)] == [Decimal("0.25")] * 3
    found = store.session(SESSION_ID)
    assert (found.cost_usd, found.unaccounted_turns) == (Decimal("0.75"), 0)


def counted(*, total: float, all_tokens: int) -> dict[str, object]:
    return {
        "type": "result",
        "total_cost_usd": total,
        "usage": {"input_tokens": 10},
        "modelUsage": {"m": {"inputTokens": all_tokens, "costUSD": total}},
    }


def test_a_response_that_comes_late_is_added_and_changes_nothing_else(store: Store, tmp_path: Path) -> None:
    add_turn(store, started_at=NOON.replace(hour=20), ended_at=NOON.replace(hour=20), native_id="now")
    raw = {**counted(total=0.25, all_tokens=10), "session_id": "then"}
    import_file(store, stored(tmp_path / "x.json", "late", 5, raw_response=raw))
    assert store.session(SESSION_ID).native_id == "now"
    assert [each.counter for each in store.turns(SESSION_ID)] == [None, None]
    assert store.session(SESSION_ID).unrecorded_usd == 0


# --- exports that are not as they should be


def lines_of(*values: tuple[str, dict[str, Any]]) -> bytes:
    """Return an export of these values."""
    writer = LineWriter()
    lines = [writer.manifest({"turns": 1}), *(writer.value(*value) for value in values), writer.end({})]
    return b"".join(lines)


def whole_turn(**changes: object) -> dict[str, Any]:
    return {**turn_json(turn()), "response": None, "events": [], **changes}


def imported(store: Store, tmp_path: Path, *values: tuple[str, dict[str, Any]]) -> ImportReport:
    place = tmp_path / "x.jsonl"
    place.write_bytes(lines_of(*values))
    return import_file(store, place)


def test_a_turn_without_its_session_makes_it(store: Store, tmp_path: Path) -> None:
    assert counts(imported(store, tmp_path, ("turn", whole_turn()))) == {"sessions": 1, "turns": 1}
    assert store.session(SESSION_ID).title == "My favorite color is blue"


def test_what_this_version_does_not_know_is_told_once(store: Store, tmp_path: Path) -> None:
    second = whole_turn(turn_id="019c1410-6400-7000-8000-000000000002", mood="bad")
    report = imported(
        store, tmp_path, ("turn", whole_turn(mood="good")), ("turn", second), ("attachment", {"name": "x"})
    )
    assert counts(report) == {"sessions": 1, "turns": 2, "unknown": ("turn.mood", "attachment")}


def test_a_line_that_cannot_be_read_is_refused_and_the_rest_is_taken(store: Store, tmp_path: Path) -> None:
    report = imported(store, tmp_path, ("turn", whole_turn(number="one")), ("turn", whole_turn()))
    assert (report.turns, report.refused) == (1, 1)
    (reason,) = report.reasons
    assert reason.endswith("x.jsonl: line 2 cannot be read: turn: number: is no whole number from 0 on")


def test_a_session_that_no_store_takes_is_refused_and_its_turns_are_taken(
    store: Store, tmp_path: Path
) -> None:
    odd = {**session_json(session(tags=("two\nlines",))), "parent_turn_id": None}
    report = imported(store, tmp_path, ("session", odd), ("turn", whole_turn()))
    assert (report.sessions, report.turns, report.refused) == (1, 1, 1)
    assert "line 2 cannot be taken: " in report.reasons[0]


def test_of_many_refusals_the_first_hundred_are_told(store: Store, tmp_path: Path) -> None:
    report = imported(store, tmp_path, *[("turn", whole_turn(number=None))] * 150)
    assert (report.refused, len(report.reasons)) == (150, 100)


def test_a_parent_turn_of_another_session_leaves_the_point_as_it_was(store: Store, tmp_path: Path) -> None:
    add_turn(store, session_id=OTHER_ID, turn_id="019c1410-6400-7000-8000-00000000000b")
    fork = session_json(session(parent_id="323e4567-e89b-42d3-a456-426614174000", parent_turn=7))
    fork["parent_turn_id"] = "019c1410-6400-7000-8000-00000000000b"
    imported(store, tmp_path, ("session", fork))
    assert store.session(SESSION_ID).parent_turn == 7


def test_a_file_that_changes_between_two_looks_is_not_taken_for_whole(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "x.jsonl"
    place.write_bytes(lines_of(("turn", whole_turn()))[:-9])
    source = Source(name="x.jsonl", path=str(place), size=1, is_export=True)
    with pytest.raises(StoreError, match=r"x\.jsonl was changed while it was read: line 3 "):
        list(Importer(store, Redactor.none()).take(source, salvage=False))


def test_every_field_of_a_turn_has_its_place(store: Store, tmp_path: Path) -> None:
    """What an import leaves out is what is said to be left out, and a new field is not forgotten."""
    full = turn(
        options={"model": "x"},
        counter={"total_cost_usd": 0.5},
        baseline={"first": True},
        carried=("019c1410-6400-7000-8000-000000000000",),
        notices=("a note",),
        redactions=2,
        error={"class": "E"},
        directory="/there",
    )
    writer = ExportWriter()
    lines = [
        writer.manifest(made_at=NOON, mcp_coder_version="0.1.0", sessions=1, turns=1),
        writer.session(session()),
        writer.turn(full, response(), [{"type": "result"}]),
        writer.end(),
    ]
    place = tmp_path / "x.jsonl"
    place.write_bytes(b"".join(lines))
    import_file(store, place)
    (found,) = store.turns(SESSION_ID)
    assert found == dataclasses.replace(full, directory=None)


def test_a_turn_that_is_under_way_here_is_left_to_its_caller(store: Store, tmp_path: Path) -> None:
    begun, _ = halves(turn())
    store.begin_turn(begun)
    report = imported(store, tmp_path, ("turn", whole_turn()))
    assert counts(report) == {"sessions_there": 1, "turns_there": 1}
    assert next(store.turns(SESSION_ID)).state == "started"


def test_the_lines_of_a_file_are_json(tmp_path: Path) -> None:
    for line in lines_of(("turn", whole_turn())).splitlines():
        assert isinstance(json.loads(line), dict)
