"""What records become as text; no test here needs a terminal, a file or a clock."""

import json
from decimal import Decimal

import pytest

from mcp_coder.cli.render import (
    ANSWER_FORMATS,
    activity_after,
    answer_text,
    ascii_json,
    error_json,
    error_line,
    event_line,
    money,
    one_line,
    progress_line,
    report_lines,
    tool_note,
)
from mcp_coder.llm_events import (
    Notice,
    Retry,
    SessionStarted,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    TurnEvent,
)
from mcp_coder.llm_types import LLMResponseDict

SESSION = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"


def response(text: str = "Noted", session_id: str | None = SESSION) -> LLMResponseDict:
    return {
        "version": "1.0",
        "timestamp": "2026-01-31T12:00:00+00:00",
        "text": text,
        "session_id": session_id,
        "method": "cli",
        "provider": "claude",
        "raw_response": {"result": text, "total_cost_usd": 0.05},
    }


@pytest.mark.parametrize(
    ("text", "limit", "line"),
    [
        ("plain", None, "plain"),
        ("two\r\nlines\n", None, "two lines"),
        ("tab\there", None, "tab here"),
        ("\x1b[2Jclear \x07bell\x9b", None, "[2Jclear bell"),
        ("right\u202eto left", None, "right to left"),
        ("12345", 5, "12345"),
        ("123456", 5, "1234…"),
        ("", 5, ""),
    ],
)
def test_one_line_is_one_line_without_control_characters(text: str, limit: int | None, line: str) -> None:
    assert one_line(text, limit) == line


@pytest.mark.parametrize("text", ["Noted", "Noted\n", "Noted\n\n\n", "Noted\r\n"], ids=repr)
def test_a_text_ends_with_one_line_feed(text: str) -> None:
    assert answer_text(response(text), "text") == "Noted\n"


def test_spaces_and_inner_lines_of_a_text_stay() -> None:
    assert answer_text(response("  a\n\n  b  \n"), "text") == "  a\n\n  b  \n"


def test_the_other_formats() -> None:
    assert json.loads(answer_text(response(), "json")) == response()
    assert json.loads(answer_text(response(), "raw")) == response()["raw_response"]
    assert json.loads(answer_text(response(), "stream-json")) == {"type": "finished", "response": response()}
    assert answer_text(response(), "session-id") == SESSION + "\n"
    assert answer_text(response(session_id=None), "session-id") == "\n"


@pytest.mark.parametrize("output_format", ANSWER_FORMATS)
def test_every_format_ends_with_exactly_one_line_feed(output_format: str) -> None:
    text = answer_text(response(), output_format)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("text", ["Grüße", "😀", "\u2028", 'quote " and \\'], ids=ascii)
def test_ascii_json_is_ascii_and_means_the_same(text: str) -> None:
    written = ascii_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert written.isascii()
    assert json.loads(written) == {text: [text]}


def test_an_error_has_its_five_keys() -> None:
    document = json.loads(error_json(kind="ServerError", message="busy 😀", status=529, retryable=True))
    assert document == {
        "error": {
            "class": "ServerError",
            "message": "busy 😀",
            "status": 529,
            "session_id": None,
            "retryable": True,
        }
    }


def test_an_answer_that_was_paid_for_stands_beside_the_error() -> None:
    document = json.loads(error_json(kind="StoreError", message="disk full", response={"text": "Noted"}))
    assert document["response"] == {"text": "Noted"}


def test_the_last_line_of_a_stream_that_failed_has_the_same_object() -> None:
    failure = {"kind": "StoreError", "message": "disk\nfull", "response": {"text": "Noted"}}
    line = error_line(**failure)
    assert line.count("\n") == 1
    assert json.loads(line) == {"type": "error", **json.loads(error_json(**failure))}


def test_an_event_is_one_line() -> None:
    line = event_line(TextDelta(text="two\nlines \u2028 😀"))
    assert line.count("\n") == 1
    assert json.loads(line) == {"type": "text", "text": "two\nlines \u2028 😀", "part": 1}


@pytest.mark.parametrize(
    ("event", "note"),
    [
        pytest.param(
            ToolStarted(call_id="1", name="Bash", input={"command": "ls\n-l"}), "Bash: ls -l", id="call"
        ),
        pytest.param(ToolStarted(call_id="1", name="Think", input={}), "Think", id="bare"),
        pytest.param(
            ToolFinished(call_id="1", name="Bash", output="no\nway", is_error=True),
            "Bash failed: no way",
            id="failed",
        ),
        pytest.param(
            ToolFinished(call_id="1", output="no", is_error=True), "a tool failed: no", id="failed_unnamed"
        ),
        pytest.param(ToolFinished(call_id="1", name="Bash", output="out"), "", id="went_well"),
        pytest.param(TextDelta(text="a"), "", id="other"),
    ],
)
def test_a_tool_is_a_short_line(event: TurnEvent, note: str) -> None:
    assert tool_note(event) == note


@pytest.mark.parametrize(
    ("event", "activity"),
    [
        (SessionStarted(session_id=SESSION), "thinking"),
        (ThinkingDelta(text="hm"), "thinking"),
        (TextDelta(text="No"), "writing"),
        (ToolStarted(call_id="1", name="Bash", input={"command": "ls\n-l"}), "running Bash: ls -l"),
        (
            ToolStarted(call_id="1", name="Read", input={"limit": 3, "file_path": "a.py"}),
            "running Read: a.py",
        ),
        (ToolStarted(call_id="1", name="Think", input={}), "running Think"),
        (ToolFinished(call_id="1", output="x"), "thinking"),
        (Retry(attempt=2, status=529), "the model's service failed (529), trying again"),
        (Retry(attempt=2), "the model's service failed (no answer), trying again"),
        (Notice(text="something"), "as before"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_agent_does_follows_from_the_last_event(event: TurnEvent, activity: str) -> None:
    assert activity_after(event, "as before") == activity


@pytest.mark.parametrize(
    ("seconds", "line"), [(0.9, "0:00 x"), (59.99, "0:59 x"), (60, "1:00 x"), (3725, "62:05 x")]
)
def test_progress_counts_minutes(seconds: float, line: str) -> None:
    assert progress_line(seconds, "x") == line


def test_money_is_never_made_up() -> None:
    assert money(None) == "unknown"
    assert money(Decimal("0.05")) == "$0.0500"
    assert money(Decimal(0)) == "$0.0000"


def test_reports_are_aligned_and_one_line_each() -> None:
    assert report_lines([("a", "1"), ("long", "x\ny"), ("none", "")]) == "a     1\nlong  x y\nnone\n"
    assert report_lines([]) == ""
