from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import stat
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.llm_store.export_samples import (
    NOON,
    SESSION_ID,
    add_turn,
    contents,
    events,
    halves,
    objects,
    odd_texts,
    response,
    session,
    sessions,
    turn,
    turns,
)

from mcp_coder.llm_errors import (
    InvalidRequestError,
    SessionNotFoundError,
    StoreError,
    UnsupportedVersionError,
)
from mcp_coder.llm_events import Usage
from mcp_coder.llm_sessions.transfer import (
    ExportReport,
    ImportReport,
    export_sessions,
    import_file,
    import_files,
)
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import SessionRecord, Store, TurnRecord
from mcp_coder.llm_store.redact import Redactor

OTHER_ID = "123e4567-e89b-42d3-a456-426614174000"
FORK_ID = "223e4567-e89b-42d3-a456-426614174000"
SECRET = "hunter2-hunter2-hunter2"
LATER = NOON + timedelta(days=1)

TOOL_USE = {
    "type": "assistant",
    "message": {
        "content": [{"type": "tool_use", "id": "1", "name": "Bash", "input": {"command": "git status"}}]
    },
}
TOOL_RESULT = {
    "type": "user",
    "message": {"content": [{"type": "tool_result", "tool_use_id": "1", "content": "no", "is_error": True}]},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store to export from."""
    with contextlib.closing(open_store(f"sqlite:///{tmp_path}/from.sqlite")) as opened:
        yield opened


@pytest.fixture
def empty() -> Iterator[Store]:
    """A store to import to."""
    with contextlib.closing(open_store("memory:")) as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "export.jsonl"


def added(**counts: Any) -> ImportReport:
    """Return a report with these counts and no others."""
    nothing = dict.fromkeys(
        ("sessions", "turns", "sessions_there", "turns_there", "under_way", "refused", "redactions"), 0
    )
    return ImportReport(**{**nothing, "reasons": (), "unknown": (), **counts})


def three_turns(store: Store) -> None:
    store.add_session(session(name="nightly", tags=("ci", "main")))
    add_turn(store, response("one"), usage=Usage(cost_usd=Decimal("0.05"), input_tokens=3))
    add_turn(store, state="failed", text="", error={"class": "RateLimitError", "status": 429, "message": "m"})
    add_turn(store, response("three"), notices=("a note",), carried=("019c1410-6400-7000-8000-000000000001",))


def signed_lines(place: Path) -> list[bytes]:
    return place.read_bytes().splitlines(keepends=True)


# --- there and back


def test_an_export_imported_into_an_empty_store_is_equal(store: Store, empty: Store, place: Path) -> None:
    three_turns(store)
    report = export_sessions(store, [SESSION_ID], place)
    assert report == ExportReport(sessions=1, turns=3, under_way=0, redactions=0)
    assert import_file(empty, place) == added(sessions=1, turns=3)
    assert contents(empty) == contents(store)
    assert empty.session(SESSION_ID).tags == ("ci", "main")


def test_imported_twice_adds_nothing(store: Store, empty: Store, place: Path) -> None:
    three_turns(store)
    export_sessions(store, [SESSION_ID], place)
    import_file(empty, place)
    assert import_file(empty, place) == added(sessions_there=1, turns_there=3)
    assert import_file(store, place) == added(sessions_there=1, turns_there=3)
    assert contents(empty) == contents(store)


def test_only_what_is_missing_is_added_and_nothing_is_overwritten(
    store: Store, empty: Store, place: Path
) -> None:
    three_turns(store)
    export_sessions(store, [SESSION_ID], place)
    import_file(empty, place)
    empty.rename_session(SESSION_ID, "mine")
    add_turn(store, response("four"))
    store.rename_session(SESSION_ID, "theirs")
    export_sessions(store, [SESSION_ID], place)
    assert import_file(empty, place) == added(sessions_there=1, turns=1, turns_there=3)
    assert empty.session(SESSION_ID).name == "mine"
    assert list(empty.turns(SESSION_ID)) == list(store.turns(SESSION_ID))


recorded = st.tuples(
    turns.filter(lambda each: each.state != "started"),
    st.none() | st.builds(response, odd_texts, raw_response=objects),
    events,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(sessions, st.lists(recorded, max_size=3)), max_size=3))
def test_whatever_a_store_holds_comes_back_equal(
    found: list[tuple[SessionRecord, list[tuple[TurnRecord, Any, list[dict[str, object]]]]]],
) -> None:
    with contextlib.closing(open_store("memory:")) as one, contextlib.closing(open_store("memory:")) as two:
        for record, its_turns in found:
            with contextlib.suppress(InvalidRequestError):  # tags that no store takes
                one.add_session(record)
            for each, answer, printed in its_turns:
                begun, ended = halves(each, answer, printed)
                one.import_turn(dataclasses.replace(begun, session_id=record.session_id), ended)
        file = io.BytesIO()
        export_sessions(one, [each.session_id for each in one.sessions()], file)
        file.seek(0)
        report = import_file(two, file)
        assert (report.refused, report.reasons) == (0, ())
        assert without_directories(two) == without_directories(one)


def without_directories(store: Store) -> dict[str, object]:
    """Return all that a store holds, but for where turns were under way: that is the other machine's matter."""
    found: dict[str, Any] = contents(store)
    return {
        session_id: (
            record,
            [(dataclasses.replace(each, directory=None), *rest) for each, *rest in its_turns],
        )
        for session_id, (record, its_turns) in found.items()
    }


def test_the_directory_of_another_machine_is_never_taken_over(
    store: Store, empty: Store, place: Path
) -> None:
    add_turn(store, directory="/home/somebody/else")
    export_sessions(store, [SESSION_ID], place)
    import_file(empty, place)
    assert [each.directory for each in empty.turns(SESSION_ID)] == [None]


def test_turns_under_way_are_exported_and_not_imported(store: Store, empty: Store, place: Path) -> None:
    add_turn(store)
    begun, _ = halves(turn(turn_id="019c1410-6400-7000-8000-00000000000f", directory="/somewhere"))
    store.begin_turn(begun)
    assert export_sessions(store, [SESSION_ID], place).under_way == 1
    assert import_file(empty, place) == added(sessions=1, turns=1, under_way=1)
    assert list(empty.unfinished_turns()) == []


# --- forks


def with_forks(store: Store) -> None:
    """Record a session of two turns, a fork after the first, and a fork of that."""
    add_turn(store)
    add_turn(store)
    store.add_session(session(session_id=FORK_ID, parent_id=SESSION_ID, parent_turn=1, native_id=FORK_ID))
    add_turn(store, session_id=FORK_ID, turn_id="019c1410-6400-7000-8000-0000000000f1", native_id=FORK_ID)
    store.add_session(session(session_id=OTHER_ID, parent_id=FORK_ID, parent_turn=1, native_id=OTHER_ID))
    add_turn(store, session_id=OTHER_ID, turn_id="019c1410-6400-7000-8000-0000000000f2", native_id=OTHER_ID)


def test_forks_are_kept_and_stand_behind_their_parents(store: Store, empty: Store, place: Path) -> None:
    with_forks(store)
    export_sessions(store, [OTHER_ID, FORK_ID, SESSION_ID], place)
    written = [json.loads(line) for line in signed_lines(place)]
    assert [line["session"]["session_id"] for line in written if "session" in line] == [
        SESSION_ID,
        FORK_ID,
        OTHER_ID,
    ]
    assert import_file(empty, place) == added(sessions=3, turns=4)
    assert contents(empty) == contents(store)
    assert next(empty.turns(FORK_ID)).parent_turn_id == next(store.turns(SESSION_ID)).turn_id


def test_a_fork_without_its_parent_still_names_it(store: Store, empty: Store, place: Path) -> None:
    with_forks(store)
    export_sessions(store, [FORK_ID], place)
    import_file(empty, place)
    fork = empty.session(FORK_ID)
    assert (fork.parent_id, fork.parent_turn) == (SESSION_ID, 1)


def test_the_point_of_a_fork_is_that_of_the_turn_that_it_shares(
    store: Store, empty: Store, place: Path
) -> None:
    with_forks(store)
    begun, ended = halves(turn(turn_id="019c1410-6400-7000-8000-000000000aaa"))
    empty.import_turn(begun, ended)  # so that the shared turn is the second here
    export_sessions(store, [SESSION_ID, FORK_ID], place)
    import_file(empty, place)
    assert empty.session(FORK_ID).parent_turn == 2
    assert next(empty.turns(FORK_ID)).parent_turn_id == next(store.turns(SESSION_ID)).turn_id


def test_sessions_that_are_each_others_parents_are_survived(store: Store, empty: Store, place: Path) -> None:
    store.add_session(session(session_id=FORK_ID, parent_id=OTHER_ID))
    store.add_session(session(session_id=OTHER_ID, parent_id=FORK_ID))
    assert export_sessions(store, [FORK_ID, OTHER_ID], place).sessions == 2
    assert import_file(empty, place) == added(sessions=2)


# --- turns that come late


def test_older_turns_change_nothing_of_where_a_session_stands(
    store: Store, empty: Store, place: Path
) -> None:
    add_turn(store, native_id="old-native", counter={"total_cost_usd": 1.0}, config_dir="/old")
    export_sessions(store, [SESSION_ID], place)
    add_turn(empty, turn_id="019c1410-6400-7000-8000-00000000000a", started_at=LATER, ended_at=LATER)
    before = empty.session(SESSION_ID)
    assert import_file(empty, place) == added(sessions_there=1, turns=1)
    after = empty.session(SESSION_ID)
    assert (after.native_id, after.config_dir, after.updated_at) == (
        before.native_id,
        before.config_dir,
        before.updated_at,
    )
    assert [each.counter for each in empty.turns(SESSION_ID)] == [None, None]


def test_an_import_that_died_in_the_middle_is_gone_on_with(store: Store, empty: Store, place: Path) -> None:
    for _ in range(4):
        add_turn(store, counter={"total_cost_usd": 1.0})
    export_sessions(store, [SESSION_ID], place)
    half = place.with_name("half.jsonl")
    half.write_bytes(b"".join(signed_lines(place)[:4]))
    import_file(empty, half, salvage=True)
    assert import_file(empty, place) == added(sessions_there=1, turns=2, turns_there=2)
    assert contents(empty) == contents(store)


# --- secrets


def test_an_export_is_cleaned_of_what_the_store_still_holds(store: Store, place: Path) -> None:
    add_turn(store, response(SECRET), prompt=f"it is {SECRET}", text=SECRET)
    report = export_sessions(store, [SESSION_ID], place, redactor=Redactor(secrets=(SECRET,)))
    assert SECRET.encode() not in place.read_bytes()
    assert report.redactions == 5  # title, prompt, text, and twice in the response
    assert SECRET in next(store.turns(SESSION_ID)).prompt


def test_an_import_is_cleaned(store: Store, empty: Store, place: Path) -> None:
    add_turn(store, response(SECRET), prompt=f"it is {SECRET}", text=SECRET)
    export_sessions(store, [SESSION_ID], place, redactor=Redactor.none())
    report = import_file(empty, place, redactor=Redactor(secrets=(SECRET,)))
    assert report.redactions == 5
    assert SECRET not in repr(contents(empty))
    assert next(empty.turns(SESSION_ID)).redactions == 4


def test_without_a_redactor_it_is_as_the_environment_says(
    store: Store, empty: Store, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_TOKEN", SECRET)
    add_turn(store, prompt=SECRET)
    export_sessions(store, [SESSION_ID], place)
    assert SECRET not in place.read_text("utf-8")
    export_sessions(store, [SESSION_ID], place, redactor=Redactor.none())
    assert SECRET in place.read_text("utf-8")
    import_file(empty, place)
    assert SECRET not in repr(contents(empty))


# --- the file of an export


def test_an_export_is_its_owners_alone_and_there_whole_or_not_at_all(store: Store, tmp_path: Path) -> None:
    three_turns(store)
    place = tmp_path / "new" / "x.jsonl"
    before = os.umask(0o022)
    try:
        export_sessions(store, [SESSION_ID], str(place))
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert os.listdir(place.parent) == ["x.jsonl"]


def test_an_unknown_session_writes_nothing(store: Store, place: Path) -> None:
    add_turn(store)
    place.write_bytes(b"old")
    with pytest.raises(SessionNotFoundError):
        export_sessions(store, [SESSION_ID, OTHER_ID], place)
    assert place.read_bytes() == b"old"


def test_a_place_that_cannot_be_written_is_a_store_error(store: Store, tmp_path: Path) -> None:
    add_turn(store)
    with pytest.raises(StoreError, match=r"cannot write the export to .*: Is a directory"):
        export_sessions(store, [SESSION_ID], tmp_path)
    with pytest.raises(StoreError, match="cannot write the export to /dev/full: No space left"):
        export_sessions(store, [SESSION_ID], "/dev/full")


def test_an_unknown_format_is_refused(store: Store, place: Path) -> None:
    with pytest.raises(InvalidRequestError, match="format must be one of jsonl, markdown, not 'xml'"):
        export_sessions(store, [], place, format="xml")  # type: ignore[arg-type]  # that is what is tested


def test_a_session_that_is_deleted_meanwhile_is_left_out(store: Store, empty: Store, place: Path) -> None:
    add_turn(store)
    store.add_session(session(session_id=OTHER_ID))

    def delete(_done: int, _total: int) -> None:
        store.delete_session(OTHER_ID)

    report = export_sessions(store, [SESSION_ID, OTHER_ID], place, progress=delete)
    assert report.sessions == 1
    assert import_file(empty, place) == added(sessions=1, turns=1)


def test_a_turn_that_is_no_json_is_named(store: Store, place: Path) -> None:
    add_turn(store, options={"value": float("nan")})
    with pytest.raises(StoreError, match="turn 019c1410-6400-7000-8000-000000000000 cannot be exported: "):
        export_sessions(store, [SESSION_ID], place)
    assert not place.exists()


def test_a_session_is_written_once_however_often_it_is_named(store: Store, empty: Store, place: Path) -> None:
    three_turns(store)
    assert export_sessions(store, [SESSION_ID, SESSION_ID], place).sessions == 1


def test_markdown_shows_turns_with_their_tools(store: Store, place: Path) -> None:
    store.add_session(session(name="nightly"))
    begun, ended = halves(turn(), None, [TOOL_USE, TOOL_RESULT])
    store.import_turn(begun, ended)
    report = export_sessions(store, [SESSION_ID], place, format="markdown")
    page = place.read_text("utf-8")
    assert report == ExportReport(sessions=1, turns=1, under_way=0, redactions=0)
    assert page.startswith("# nightly\n")
    assert "```text\nMy favorite color is blue\n```" in page
    assert "- Bash `git status` (failed)" in page


def test_markdown_of_an_agent_that_nobody_here_can_read_has_no_tools(store: Store) -> None:
    begun, ended = halves(turn(provider="other"), None, [TOOL_USE])
    store.import_turn(begun, ended)
    file = io.BytesIO()
    export_sessions(store, [SESSION_ID], file, format="markdown")
    assert b"Tools" not in file.getvalue()


def test_progress_is_told_in_turns_and_in_bytes(store: Store, empty: Store, place: Path) -> None:
    three_turns(store)
    told: list[tuple[int, int]] = []
    export_sessions(store, [SESSION_ID], place, progress=lambda *step: told.append(step))
    assert told == [(1, 3), (2, 3), (3, 3)]
    told.clear()
    import_file(empty, place, progress=lambda *step: told.append(step))
    size = place.stat().st_size
    assert {total for _, total in told} == {size}
    assert told == sorted(told)


# --- damaged files


Damage = Callable[[list[bytes]], list[bytes]]
DAMAGED: dict[str, tuple[Damage, str]] = {
    "cut in a line": (lambda lines: [*lines[:3], lines[3][:50]], "line 4 was changed or cut off"),
    "cut between lines": (lambda lines: lines[:4], "line 5 is missing: the file was cut off before its end"),
    "one byte": (
        lambda lines: [*lines[:3], lines[3].replace(b"blue", b"glue"), *lines[4:]],
        "line 4 was changed",
    ),
    "swapped": (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "line 4 is out of place"),
    "a line gone": (lambda lines: [*lines[:2], *lines[3:]], "line 3 follows a gap: line 3 is missing"),
    "first line": (lambda lines: [b"x" + lines[0], *lines[1:]], "line 1 was changed"),
    "session": (lambda lines: [lines[0], b"{}\n", *lines[2:]], "line 2 was changed"),
}
WHOLE = {"cut in a line": 1, "cut between lines": 2, "one byte": 2, "a line gone": 2}
"""How many of three turns can be salvaged; of the others all."""


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_export_is_refused_by_its_lines_and_can_be_salvaged(
    kind: str, store: Store, empty: Store, place: Path
) -> None:
    three_turns(store)
    export_sessions(store, [SESSION_ID], place)
    damage, reason = DAMAGED[kind]
    place.write_bytes(b"".join(damage(signed_lines(place))))
    with pytest.raises(StoreError, match=f"export.jsonl is damaged: .*{reason}.*Nothing was imported"):
        import_file(empty, place)
    assert list(empty.sessions()) == []
    report = import_file(empty, place, salvage=True)
    assert report.turns == WHOLE.get(kind, 3)
    assert report.sessions == 1
    assert any(reason in told for told in report.reasons)


def test_a_damaged_file_stops_the_whole_files_beside_it(store: Store, empty: Store, place: Path) -> None:
    three_turns(store)
    export_sessions(store, [SESSION_ID], place)
    other = place.with_name("other.jsonl")
    other.write_bytes(place.read_bytes()[:-5])
    with pytest.raises(StoreError, match=r"other\.jsonl is damaged"):
        import_files(empty, [place, other])
    assert list(empty.sessions()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.rstrip(b"\n"),
    ],
    ids=["byte order mark", "CRLF", "no last line feed"],
)
def test_what_other_programs_do_to_text_files_is_no_damage(
    change: Callable[[bytes], bytes], store: Store, empty: Store, place: Path
) -> None:
    three_turns(store)
    export_sessions(store, [SESSION_ID], place)
    place.write_bytes(change(place.read_bytes()))
    assert import_file(empty, place) == added(sessions=1, turns=3)


def test_an_export_of_a_newer_major_version_is_refused(empty: Store, place: Path) -> None:
    place.write_text('{"mcp_coder_export":"2.0","new":"format"}\n')
    with pytest.raises(UnsupportedVersionError, match=r"export.jsonl: Incompatible version: 2\.0"):
        import_file(empty, place, salvage=True)


def test_exports_one_behind_the_other_in_a_file_are_imported(store: Store, empty: Store, place: Path) -> None:
    with_forks(store)
    files = []
    for session_id in (SESSION_ID, FORK_ID, OTHER_ID):
        export_sessions(store, [session_id], place)
        files.append(place.read_bytes())
    place.write_bytes(b"".join(files))
    assert import_file(empty, place) == added(sessions=3, turns=4)
    assert contents(empty) == contents(store)


def test_a_pipe_can_be_imported(store: Store, empty: Store) -> None:
    three_turns(store)
    read, write = os.pipe()
    with open(write, "wb") as file:
        export_sessions(store, [SESSION_ID], file)
    with open(read, "rb") as pipe:
        assert import_file(empty, f"/dev/fd/{pipe.fileno()}") == added(sessions=1, turns=3)


# --- many turns


def peak_of(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def many_turns(store: Store, count: int) -> None:
    for number in range(count):
        begun, ended = halves(
            turn(turn_id=f"019c1410-6400-7000-8000-{number:012}", prompt="p" * 500),
            response("t" * 500),
            [{"type": "assistant", "text": "e" * 1000}],
        )
        store.import_turn(begun, ended)


def peaks_of_a_journey(count: int, place: Path) -> tuple[int, int]:
    """Return how much memory it takes to export and to import so many turns; what SQLite holds is not counted."""
    with contextlib.closing(open_store("memory:")) as one, contextlib.closing(open_store("memory:")) as two:
        many_turns(one, count)
        exporting = peak_of(lambda: export_sessions(one, [SESSION_ID], place))
        importing = peak_of(lambda: import_file(two, place))
        assert two.session(SESSION_ID) == one.session(SESSION_ID)
    return exporting, importing


@pytest.mark.parametrize("count", [900, pytest.param(5000, marks=pytest.mark.long)])
def test_memory_is_flat_over_many_turns(count: int, place: Path) -> None:
    few, many = peaks_of_a_journey(300, place), peaks_of_a_journey(count, place)
    assert many[0] < few[0] * 1.5 + 500_000
    assert many[1] < few[1] * 1.5 + 500_000
