"""A whole turn, as a page."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from tests.cli.stored import FIRST, new_turn_record

from mcp_coder.cli.tools_used import ToolCall
from mcp_coder.cli.turn_page import turn_page, without_controls
from mcp_coder.llm_events import Usage

OSLO = ZoneInfo("Europe/Oslo")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("\tindented", "\tindented"),
        ("\x1b[2Jclear\x07\x08\x9b1A", "[2Jclear1A"),
        ("right\u202eto left", "rightto left"),
        ("par\u2028agraph\x85next", "par\nagraph\nnext"),
        ("😀 Grüße", "😀 Grüße"),
    ],
    ids=ascii,
)
def test_lines_stay_and_controls_go(text: str, shown: str) -> None:
    assert without_controls(text) == shown


def test_a_plain_turn() -> None:
    turn = new_turn_record(prompt="  Say\n\n  this", text="Noted\n\n")
    assert turn_page(turn, [], OSLO) == (
        f"session    {FIRST}\n"
        "turn       1 (turn-1)\n"
        "state      succeeded\n"
        "begun      2026-01-31 13:00\n"
        "took       1.2 s\n"
        "cost       $0.0006\n"
        "tokens     10 in, 20 out, 3,000 read from cache, 40 written to it\n"
        "model      claude-sonnet-4-5\n"
        "method     cli\n"
        "agent      claude 2.1.330\n"
        "directory  /home/dev/project\n"
        "machine    machine\n"
        "\n--- prompt\n  Say\n\n  this\n"
        "\n--- answer\nNoted\n"
    )


def test_a_turn_with_all_that_can_be_said_of_one() -> None:
    turn = new_turn_record(
        state="failed",
        error={"class": "RateLimitError", "message": "slow\x1b[2J down"},
        text="",
        usage=Usage(unrecorded_usd=Decimal("0.12")),
        carried=("turn-0",),
        redactions=2,
        notices=("one thing", "another"),
    )
    calls = [ToolCall(name="Bash", detail="ls\n-la", failed=True), ToolCall(name="Think")]
    page = turn_page(turn, calls, OSLO).splitlines()
    assert "state       failed (RateLimitError)" in page
    assert "error       slow [2J down" in page
    assert "cost        unknown" in page
    assert "unrecorded  $0.1200 before it" in page
    assert "carried     1 prompt of turns that did not finish" in page
    assert "redacted    2 secrets" in page
    assert [line for line in page if line.startswith("note")] == [
        "note        one thing",
        "note        another",
    ]
    assert page[page.index("--- tools") + 1 :][:2] == ["Bash  ls -la  (failed)", "Think"]
    assert "--- answer" not in page


def test_a_turn_under_way_has_no_cost_yet() -> None:
    turn = new_turn_record(state="started", ended_at=None, error=None, usage=Usage(), text="")
    page = turn_page(turn, [], OSLO)
    assert "cost       not known yet\n" in page
    assert "took" not in page


def test_an_error_without_a_message_is_the_state_alone() -> None:
    page = turn_page(new_turn_record(state="failed", error={"class": "AgentError"}), [], OSLO)
    assert "failed (AgentError)" in page
    assert "error " not in page
