"""The documents of ``--json``: their shapes, which are stable, and their text."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.stored import BEGUN, FIRST, new_session, new_turn_record

from mcp_coder.cli.session_json import (
    array_pieces,
    hit_document,
    json_text,
    session_document,
    show_document,
    store_document,
    tools_document,
    turn_document,
    usage_document,
)
from mcp_coder.cli.tools_used import ToolCall
from mcp_coder.llm_events import ModelUsage, Usage
from mcp_coder.llm_store.base import SearchHit, StoreReport, UsageReport, UsageRow

# --- the text


@given(st.decimals(min_value=0, max_value=10_000, places=8))
def test_money_keeps_its_digits(amount: Decimal) -> None:
    assert json.loads(json_text({"cost_usd": amount}), parse_float=Decimal)["cost_usd"] == amount


@pytest.mark.parametrize(("amount", "written"), [("0.00063", "0.00063"), ("12.50", "12.5"), ("0", "0.0")])
def test_money_is_a_number(amount: str, written: str) -> None:
    assert json_text([Decimal(amount)]) == f"[\n  {written}\n]\n"


def test_what_is_no_json_is_a_fault() -> None:
    with pytest.raises(TypeError, match="timedelta is not JSON"):
        json_text({"seconds": timedelta(1)})


@pytest.mark.parametrize("documents", [[], [1], [{"a": "x\ny"}, [1, 2]], [None, {}]], ids=repr)
@pytest.mark.parametrize("indent", ["", "  "])
def test_pieces_make_an_array(documents: list[object], indent: str) -> None:
    text = "".join(array_pieces(iter(documents), indent=indent))
    assert json.loads(text) == documents
    assert text == json_text(documents).rstrip("\n").replace("\n", f"\n{indent}")


# --- the documents


def test_the_shape_of_a_session() -> None:
    session = new_session(
        updated_at=BEGUN.astimezone(timezone(timedelta(hours=2))), tags=("ci",), input_tokens=7
    )
    assert json.loads(json_text(session_document(session))) == {
        "session_id": FIRST,
        "name": None,
        "title": "My favorite color is blue",
        "tags": ["ci"],
        "provider": "claude",
        "native_id": None,
        "project": None,
        "cwd": None,
        "parent_id": None,
        "parent_turn": None,
        "created_at": "2026-01-31T12:00:00+00:00",
        "updated_at": "2026-01-31T12:00:00+00:00",
        "turns": 1,
        "cost_usd": 0.05,
        "unaccounted_turns": 0,
        "unrecorded_usd": 0.0,
        "tokens": {"input": 7, "output": 0, "cache_read": 0, "cache_write": 0},
    }


def test_a_session_that_is_shown_has_its_turns_for_their_count() -> None:
    listed, shown = session_document(new_session()), show_document(new_session())
    assert shown.pop("turn_count") == listed.pop("turns") == 1
    assert shown == listed


def test_the_shape_of_a_turn() -> None:
    model = ModelUsage(model="claude-sonnet-4-5", input_tokens=10, cost_usd=Decimal("0.00063"))
    usage = Usage(input_tokens=10, thinking_tokens=3, cost_usd=Decimal("0.00063"), models=(model,))
    turn = new_turn_record(usage=usage, notices=("one",), carried=("turn-0",))
    tokens = {"input": 10, "output": 0, "cache_read": 0, "cache_write": 0}
    assert json.loads(json_text(turn_document(turn, [ToolCall(name="Bash")]))) == {
        "number": 1,
        "turn_id": "turn-1",
        "state": "succeeded",
        "prompt": "My favorite color is blue",
        "text": "Noted",
        "error": None,
        "started_at": "2026-01-31T12:00:00+00:00",
        "ended_at": "2026-01-31T12:00:01.250000+00:00",
        "seconds": 1.25,
        "cost_usd": 0.00063,
        "unaccounted": False,
        "unrecorded_usd": None,
        "tokens": {**tokens, "thinking": 3},
        "model": "claude-sonnet-4-5",
        "models": [{"model": "claude-sonnet-4-5", "cost_usd": 0.00063, "tokens": tokens}],
        "method": "cli",
        "tools": [{"name": "Bash", "calls": 1, "errors": 0}],
        "agent_version": "2.1.330",
        "mcp_coder_version": "0.2.0",
        "cwd": "/home/dev/project",
        "host": "machine",
        "notices": ["one"],
        "carried": ["turn-0"],
        "redactions": 0,
    }


def test_a_turn_of_unknown_cost_is_null_and_says_so() -> None:
    document = turn_document(new_turn_record(state="interrupted", usage=Usage(), error={"class": "X"}))
    assert (document["cost_usd"], document["unaccounted"], document["error"]) == (None, True, {"class": "X"})
    started = turn_document(new_turn_record(state="started", usage=Usage(), ended_at=None))
    assert (started["unaccounted"], started["ended_at"], started["seconds"]) == (False, None, None)


def test_tools_are_summed_up_by_name() -> None:
    calls = [ToolCall(name="Bash"), ToolCall(name="Read", failed=True), ToolCall(name="Bash", failed=True)]
    assert tools_document(calls) == [
        {"name": "Bash", "calls": 2, "errors": 1},
        {"name": "Read", "calls": 1, "errors": 1},
    ]


def test_a_hit_says_where_its_words_are() -> None:
    hit = SearchHit(
        session_id=FIRST,
        turn_id="turn-1",
        number=1,
        started_at=BEGUN,
        snippet="\x02My\x03 color is \x02blue\x03.",
    )
    document = hit_document(hit, new_session(name="nightly", project="/p"))
    assert document == {
        "session_id": FIRST,
        "name": "nightly",
        "project": "/p",
        "turn_id": "turn-1",
        "number": 1,
        "started_at": "2026-01-31T12:00:00+00:00",
        "snippet": "My color is blue.",
        "highlights": [[0, 2], [12, 16]],
    }
    assert hit_document(hit, None)["name"] is None


def row(key: str, **changes: object) -> UsageRow:
    sums = {"turns": 2, "cost_usd": Decimal("0.5"), "unaccounted_turns": 1, "unrecorded_usd": Decimal(0)}
    return UsageRow(key=key, **{**sums, **changes})  # type: ignore[arg-type]  # the table's own values


def test_the_shape_of_sums() -> None:
    report = UsageReport(
        rows=(row("2026-01-31", models=(row("sonnet", unrecorded_usd=None),)), row("2026-02-01")),
        total=row(""),
    )
    plain = {
        "turns": 2,
        "cost_usd": 0.5,
        "unaccounted_turns": 1,
        "unrecorded_usd": 0.0,
        "tokens": {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0},
    }
    document = json.loads(json_text(usage_document(report, by="day", zone="UTC")))
    assert document == {
        "by": "day",
        "zone": "UTC",
        "rows": [
            {"key": "2026-01-31", **plain, "models": [{"key": "sonnet", **plain, "unrecorded_usd": None}]},
            {"key": "2026-02-01", **plain},
        ],
        "total": {"key": "", **plain},
    }


def test_the_shape_of_a_check() -> None:
    report = StoreReport(problems=("torn",), notes=(), size_bytes=5, sessions=1, turns=2, unfinished=0)
    assert store_document(report, store="memory:") == {
        "store": "memory:",
        "sound": False,
        "problems": ["torn"],
        "notes": [],
        "size_bytes": 5,
        "sessions": 1,
        "turns": 2,
        "unfinished": 0,
    }
