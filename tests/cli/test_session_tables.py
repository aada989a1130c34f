"""Sessions, turns and what was found, as people see them."""

from __future__ import annotations

from datetime import UTC, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from tests.cli.stored import ALIKE, BEGUN, FIRST, USAGE, new_session, new_turn_record

from mcp_coder.cli.session_tables import (
    clock,
    counted,
    hits_table,
    session_report,
    sessions_table,
    size,
    tokens,
    took,
    tools,
    turn_state,
    turns_table,
)
from mcp_coder.cli.tables import Table, plain_text
from mcp_coder.cli.tools_used import ToolCall
from mcp_coder.llm_events import Usage
from mcp_coder.llm_store.base import SearchHit

OSLO = ZoneInfo("Europe/Oslo")


def cells(table: Table, row: int = 0) -> dict[str, str]:
    return {column.heading: cell for column, cell in zip(table.columns, table.rows[row], strict=True)}


# --- single values


def test_the_clock_is_that_of_the_zone() -> None:
    assert clock(BEGUN, OSLO) == "2026-01-31 13:00"
    assert clock(None, OSLO) == ""


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 turns"), (1, "1 turn"), (2, "2 turns"), (1234, "1,234 turns")]
)
def test_things_are_counted(number: int, text: str) -> None:
    assert counted(number, "turn") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(999, "999 B"), (1000, "1.0 kB"), (2_500_000_000, "2.5 GB"), (5 * 10**12, "5000.0 GB")],
)
def test_sizes_have_their_unit(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (1.25, "1.2 s"), (60, "1:00 min"), (3725.4, "62:05 min"), (-3, "0.0 s")],
)
def test_turns_take_time(seconds: float, text: str) -> None:
    assert took(new_turn_record(ended_at=BEGUN + timedelta(seconds=seconds))) == text


def test_a_turn_under_way_took_nothing_yet() -> None:
    assert took(new_turn_record(ended_at=None)) == ""


def test_tools_are_counted_in_the_order_of_their_first_use() -> None:
    assert tools([ToolCall(name="Bash"), ToolCall(name="Read"), ToolCall(name="Bash")]) == "Bash x2, Read"
    assert tools([]) == ""


def test_a_state_names_the_error() -> None:
    assert turn_state(new_turn_record()) == "succeeded"
    failed = new_turn_record(state="failed", error={"class": "RateLimitError", "message": "slow down"})
    assert turn_state(failed) == "failed (RateLimitError)"


def test_tokens_are_whole() -> None:
    assert tokens(USAGE) == "10 in, 20 out, 3,000 read from cache, 40 written to it"


# --- sessions


def test_a_session_is_a_row() -> None:
    session = new_session(
        name="nightly",
        tags=("ci", "x"),
        project="/home/dev/project",
        turns=1200,
        unrecorded_usd=Decimal("0.12"),
    )
    assert cells(sessions_table([session], OSLO, {FIRST: "5fb8e1b7"})) == {
        "session": "5fb8e1b7",
        "changed": "2026-01-31 13:00",
        "turns": "1,200",
        "cost": "$0.0500",
        "unaccounted": "",
        "unrecorded": "$0.1200",
        "project": "project",
        "name": "nightly",
        "tags": "ci, x",
        "title": "My favorite color is blue",
    }


@pytest.mark.parametrize(
    ("cost", "unaccounted", "shown", "counted"),
    [
        ("0.05", 0, "$0.0500", ""),
        ("0.05", 2, "$0.0500", "2"),
        ("0", 2, "unknown", "2"),
        ("0", 0, "$0.0000", ""),
    ],
)
def test_unknown_cost_is_counted_and_never_shown_as_zero(
    cost: str, unaccounted: int, shown: str, counted: str
) -> None:
    session = new_session(cost_usd=Decimal(cost), unaccounted_turns=unaccounted)
    row = cells(sessions_table([session], UTC, {}))
    assert (row["session"], row["cost"], row["unaccounted"]) == (FIRST, shown, counted)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/home/dev/project", "project"), ("/home/dev/x/", "x"), ("C:\\work\\x", "x"), ("/", ""), (None, "")],
)
def test_a_project_is_shown_by_its_last_name(path: str | None, name: str) -> None:
    assert cells(sessions_table([new_session(project=path)], UTC, {}))["project"] == name


def test_the_report_of_a_plain_session_has_nothing_that_is_not_known() -> None:
    names = [name for name, _ in session_report(new_session(), OSLO)]
    assert names == ["session", "title", "agent", "begun", "changed", "turns", "cost", "tokens"]


def test_the_report_of_a_session_has_all_that_is_known() -> None:
    session = new_session(
        name="nightly",
        tags=("ci",),
        native_id="another",
        project="/home/dev/project",
        cwd="/home/dev/project/src",
        parent_id=ALIKE,
        parent_turn=3,
        unaccounted_turns=1,
        unrecorded_usd=Decimal("0.12"),
    )
    report = dict(session_report(session, OSLO))
    assert report["agent's id"] == "another"
    assert report["directory"] == "/home/dev/project/src"
    assert report["forked from"] == f"{ALIKE}, turn 3"
    assert report["unaccounted"] == "1 turn of unknown cost"
    assert report["unrecorded"] == "$0.1200 beside these turns"


def test_a_fork_of_unknown_point_names_its_parent_alone() -> None:
    assert dict(session_report(new_session(parent_id=ALIKE), OSLO))["forked from"] == ALIKE


# --- turns and hits


def test_a_turn_is_a_row() -> None:
    turn = new_turn_record(prompt="p" * 200, text="two\nlines")
    assert cells(turns_table([(turn, [ToolCall(name="Bash")])], OSLO)) == {
        "turn": "1",
        "begun": "2026-01-31 13:00",
        "took": "1.2 s",
        "cost": "$0.0006",
        "state": "",
        "tools": "Bash",
        "prompt": "p" * 99 + "…",
        "answer": "two lines",
    }


def test_a_turn_that_did_not_succeed_says_so() -> None:
    table = turns_table(
        [
            (new_turn_record(state="interrupted", usage=Usage()), ()),
            (new_turn_record(number=2, state="started", usage=Usage(), ended_at=None), ()),
        ],
        OSLO,
    )
    assert (cells(table)["state"], cells(table)["cost"]) == ("interrupted", "unknown")
    assert (cells(table, 1)["state"], cells(table, 1)["cost"]) == ("started", "")


def test_a_hit_is_a_row() -> None:
    hits = [
        SearchHit(session_id=FIRST, turn_id="a", number=3, started_at=BEGUN, snippet="is \x02blue\x03"),
        SearchHit(session_id=ALIKE, turn_id="b", number=1, started_at=BEGUN, snippet="blue"),
    ]
    table = hits_table(hits, {FIRST: "nightly", ALIKE: None}, OSLO, {FIRST: "5fb8e1b7-5"})
    assert list(cells(table).values()) == [
        "5fb8e1b7-5",
        "3",
        "2026-01-31 13:00",
        "nightly",
        "is \x02blue\x03",
    ]
    assert cells(table, 1)["session"] == ALIKE
    assert "is blue" in plain_text(table)
