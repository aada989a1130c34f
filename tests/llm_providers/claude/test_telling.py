"""What a watcher is told: rows of events, and what the real program printed."""

import doctest
from pathlib import Path

import pytest

from mcp_coder.llm_events import (
    Retry,
    SessionStarted,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    TurnEvent,
)
from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude import telling
from mcp_coder.llm_providers.claude.fields import answer_in, text_in
from mcp_coder.llm_providers.claude.parse import read_output
from mcp_coder.llm_providers.claude.telling import EventTeller, told_in
from mcp_coder.llm_sessions.watching import Watching

SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"
STREAMS = sorted(path.stem for path in SAMPLES.glob("*.stdout") if path.stem.startswith(("live", "stream")))
PROMPT = "0e2f0d5c-5d5c-4a36-b4a4-0d5e6a6c3f11"
RETRY = {"type": "system", "subtype": "api_retry"}
INIT = {"type": "system", "subtype": "init", "session_id": "s"}
ECHO = {"type": "user", "isReplay": True, "uuid": PROMPT, "message": {"content": "Hello"}}


def sample(name: str) -> tuple[RawEvent, ...]:
    return read_output((SAMPLES / f"{name}.stdout").read_bytes()).events


def user(*blocks: object, **fields: object) -> RawEvent:
    return {"type": "user", "message": {"content": list(blocks)}, **fields}


def piece(parent: str | None = None, /, **event: object) -> RawEvent:
    return {"type": "stream_event", "parent_tool_use_id": parent, "event": event}


def begins(message_id: str) -> RawEvent:
    return piece(type="message_start", message={"id": message_id})


def block(kind: str, **fields: object) -> RawEvent:
    return piece(type="content_block_start", content_block={"type": kind, **fields})


def delta(parent: str | None = None, /, **fields: object) -> RawEvent:
    return piece(parent, type="content_block_delta", delta=fields)


def text(piece: str) -> RawEvent:
    return delta(type="text_delta", text=piece)


def message(message_id: str, *blocks: object, parent: str | None = None, model: str = "m") -> RawEvent:
    content = [{"type": "text", "text": each} if isinstance(each, str) else each for each in blocks]
    return {
        "type": "assistant",
        "parent_tool_use_id": parent,
        "message": {"id": message_id, "model": model, "content": content},
    }


def tool(call_id: str) -> RawEvent:
    return {"type": "tool_use", "id": call_id, "name": "Bash", "input": {"command": "ls"}}


def result(**fields: object) -> RawEvent:
    return {"type": "result", "result": "x", **fields}


REPORT = {"kind": "task-notification"}
CALLED = ToolStarted(call_id="t", name="Bash", input={"command": "ls"})


@pytest.mark.parametrize(
    ("event", "told"),
    [
        pytest.param(
            {**INIT, "model": "m", "claude_code_version": "2.1.330"},
            (SessionStarted(session_id="s", model="m", version="2.1.330"),),
            id="init",
        ),
        pytest.param({"type": "system", "subtype": "init"}, (SessionStarted(session_id=""),), id="init_bare"),
        pytest.param(
            {**RETRY, "attempt": 2, "error_status": 529, "retry_delay_ms": 1071},
            (Retry(attempt=2, status=529, delay=1.071),),
            id="retry",
        ),
        pytest.param({**RETRY, "error_status": None}, (Retry(attempt=1),), id="retry_bare"),
        pytest.param(text("Hi"), (TextDelta(text="Hi"),), id="text"),
        pytest.param(text(""), (), id="empty_text"),
        pytest.param(
            block("text", text="Hi"), (TextDelta(text="Hi"),), id="text_in_the_beginning_of_its_block"
        ),
        pytest.param(delta(type="thinking_delta", thinking="hm"), (ThinkingDelta(text="hm"),), id="thinking"),
        pytest.param(delta("toolu_1", type="text_delta", text="Hi"), (), id="text_of_a_sub_agent"),
        pytest.param(delta(type="input_json_delta", partial_json="{"), (), id="other_delta"),
        pytest.param(block("tool_use"), (), id="other_block"),
        pytest.param(piece(type="message_stop"), (), id="no_delta"),
        pytest.param(message("1", "Hi"), (TextDelta(text="Hi"),), id="whole_text"),
        pytest.param(message("1", ""), (), id="whole_empty_text"),
        pytest.param(
            message("1", {"type": "thinking", "thinking": "hm"}, {"type": "odd"}),
            (ThinkingDelta(text="hm"),),
            id="whole_thinking",
        ),
        pytest.param(message("1", "Hi", parent="toolu_1"), (), id="whole_text_of_a_sub_agent"),
        pytest.param(message("1", "API Error", model="<synthetic>"), (), id="the_programs_own_words"),
        pytest.param(message("1", tool("t"), parent="toolu_1"), (CALLED,), id="tool_of_a_sub_agent"),
        pytest.param(
            user({"type": "text"}, {"type": "tool_result", "tool_use_id": "t", "content": "out"}),
            (ToolFinished(call_id="t", output="out"),),
            id="tool_result",
        ),
        pytest.param(
            user(
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "text", "text": "no"}],
                    "is_error": True,
                }
            ),
            (ToolFinished(call_id="t", output="no", is_error=True),),
            id="tool_result_bad",
        ),
        pytest.param(user({"type": "tool_result"}, isReplay=True), (), id="echo"),
        pytest.param({"type": "user", "message": {"content": "words"}}, (), id="user_words"),
        pytest.param({"type": "system", "subtype": "status"}, (), id="other_system"),
        pytest.param(result(), (), id="result"),
        pytest.param({}, (), id="empty"),
    ],
)
def test_one_event(event: RawEvent, told: tuple[TurnEvent, ...]) -> None:
    assert EventTeller().told(event) == told


def part(number: int, text: str) -> TextDelta:
    return TextDelta(text=text, part=number)


@pytest.mark.parametrize(
    ("events", "told"),
    [
        pytest.param(
            [begins("1"), block("text", text=""), text("Hel"), text("lo"), message("1", "Hello")],
            [part(1, "Hel"), part(1, "lo")],
            id="pieces_and_the_whole",
        ),
        pytest.param(
            [
                begins("1"),
                block("text", text=""),
                text("Look."),
                message("1", "Look."),
                message("1", tool("t")),
                user({"type": "tool_result", "tool_use_id": "t", "content": "out"}),
                begins("2"),
                block("text", text=""),
                text("Done"),
                message("2", "Done"),
            ],
            [
                part(1, "Look."),
                CALLED,
                ToolFinished(call_id="t", name="Bash", output="out"),
                part(2, "Done"),
            ],
            id="a_text_before_a_tool",
        ),
        pytest.param(
            [message("1", "one", "", "two"), message("1", "three")],
            [part(1, "one"), part(2, "two"), part(3, "three")],
            id="whole_texts_of_one_message",
        ),
        pytest.param(
            [begins("1"), block("text", text=""), message("1", "Hello")],
            [part(2, "Hello")],
            id="announced_in_pieces_and_told_whole",
        ),
        pytest.param(
            [
                begins("1"),
                delta(type="thinking_delta", thinking="hm"),
                message("1", {"type": "thinking", "thinking": "hm"}),
                block("text", text=""),
                text("Hello"),
                message("1", "Hello"),
            ],
            [ThinkingDelta(text="hm"), part(1, "Hello")],
            id="thinking_then_text",
        ),
        pytest.param(
            [
                begins("1"),
                block("text", text=""),
                text("Hel"),
                begins("2"),
                block("text", text=""),
                text("Hello"),
            ],
            [part(1, "Hel"), part(2, "Hello")],
            id="broken_off_and_begun_again",
        ),
        pytest.param(
            [
                message("1", "answer"),
                result(),
                INIT,
                message("2", {"type": "thinking", "thinking": "hm"}, "to the report"),
                message("3", tool("t")),
            ],
            [part(1, "answer"), SessionStarted(session_id="s"), CALLED],
            id="what_is_said_to_a_report_after_the_answer",
        ),
        pytest.param(
            [result(origin=REPORT), message("1", "answer")],
            [part(1, "answer")],
            id="report_before_the_answer",
        ),
        pytest.param(
            [INIT, INIT, {**INIT, "session_id": "t"}],
            [SessionStarted(session_id="s"), SessionStarted(session_id="t")],
            id="started_again",
        ),
    ],
)
def test_many_events(events: list[RawEvent], told: list[TurnEvent]) -> None:
    assert list(told_in(events)) == told


def test_what_a_kept_program_does_before_it_takes_the_prompt_up_is_not_told() -> None:
    teller = EventTeller(wait_for_echo=PROMPT)
    before = [
        INIT,
        RETRY,
        begins("0"),
        block("text", text=""),
        text("report"),
        delta(type="thinking_delta", thinking="hm"),
        message("0", tool("t")),
        user({"type": "tool_result", "tool_use_id": "t", "content": "out"}),
        result(origin=REPORT),
        result(),
    ]
    assert [each for event in before for each in teller.told(event)] == [
        SessionStarted(session_id="s"),
        Retry(attempt=1),
    ]
    assert teller.told({**ECHO, "uuid": "another"}) == ()
    assert teller.told(ECHO) == ()
    (told,) = teller.told(message("1", "answer"))
    assert isinstance(told, TextDelta)
    assert told.text == "answer"


# --- what the real program printed


def test_a_real_stream_is_told_in_order() -> None:
    assert [type(each) for each in told_in(sample("stream_partial"))] == [SessionStarted, TextDelta]
    assert list(told_in(sample("stream_tool_use")))[1:] == [
        part(1, "echo: RUNTOOL please\n"),
        ToolStarted(
            call_id="toolu_10021629a5c24c17",
            name="Bash",
            input={"command": "echo hello from the tool", "description": "say hello"},
        ),
        ToolFinished(call_id="toolu_10021629a5c24c17", name="Bash", output="hello from the tool"),
        part(2, "The tool printed its output."),
    ]


def test_real_retries_are_told() -> None:
    assert [
        each for each in told_in(sample("live_api_error_529")) if not isinstance(each, SessionStarted)
    ] == [
        Retry(attempt=1, status=529, delay=0.591),
        Retry(attempt=2, status=529, delay=1.071),
    ]


@pytest.mark.parametrize("name", STREAMS)
def test_of_every_real_answer_the_last_part_is_its_text(name: str) -> None:
    events = sample(name)
    answer = answer_in(events)
    told: list[TurnEvent] = []
    watching = Watching(told.append)
    for event in told_in(events):
        watching(event)
    of_the_program = [each for each in told if isinstance(each, TextDelta)]
    watching.complete(text_in(answer or {}, "result"))
    if answer is not None and answer.get("is_error") is False and name not in WITHOUT_ITS_TEXT:
        assert [each for each in told if isinstance(each, TextDelta)] == of_the_program


WITHOUT_ITS_TEXT = {
    "live_command_clear",
    "live_command_compact",
    "live_command_context",
    "live_command_cost",
    "live_command_review",
    "live_structured",
}
"""Answers that the program itself gave, or that are JSON of ours."""


def test_the_documented_examples_hold() -> None:
    assert doctest.testmod(telling).failed == 0
