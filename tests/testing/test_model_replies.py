"""Replies as steps, and rules as conditions."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest

from mcp_coder.testing.model_replies import (
    Cut,
    Fail,
    Hold,
    NextBlock,
    Pause,
    Reply,
    Rule,
    Say,
    UseTool,
    numbered_lines,
    status_of,
)
from mcp_coder.testing.recorded_request import RecordedRequest

GATE = Event()

STEPS = {
    "text": (Reply.text("a"), (Say(text="a"),)),
    "chunks": (
        Reply.chunks(["a", "b", "c"], delay=0.5),
        (Say(text="a"), Pause(seconds=0.5), Say(text="b"), Pause(seconds=0.5), Say(text="c")),
    ),
    "chunks at once": (Reply.chunks(["a", "b"]), (Say(text="a"), Say(text="b"))),
    "no chunks": (Reply.chunks([]), ()),
    "tool": (Reply.tool_use("Bash", command="ls"), (UseTool(name="Bash", input={"command": "ls"}),)),
    "tool, a mapping": (Reply.tool_use("X", {"name": 1}), (UseTool(name="X", input={"name": 1}),)),
    "error": (Reply.error(529), ()),
    "stream error": (
        Reply.stream_error("overloaded_error", "busy", after="a"),
        (Say(text="a"), Fail(type="overloaded_error", message="busy")),
    ),
    "hang": (Reply.hang(), (Hold(until=None), Say(text=""))),
    "hang in mid-answer": (
        Reply.hang(after="a", until=GATE, then="b"),
        (Say(text="a"), Hold(until=GATE), Say(text="b")),
    ),
    "cut": (Reply.cut(), (Cut(),)),
    "cut in mid-answer": (Reply.cut(after="a"), (Say(text="a"), Cut())),
    "delayed": (Reply.text("a").delayed(2), (Pause(seconds=2), Say(text="a"))),
    "two blocks": (Reply.text("a") + Reply.text("b"), (Say(text="a"), NextBlock(), Say(text="b"))),
}


@pytest.mark.parametrize(("reply", "steps"), STEPS.values(), ids=STEPS)
def test_a_reply_is_its_steps(reply: Reply, steps: Any) -> None:
    assert reply.steps == steps


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply.error(529), (529, "overloaded_error", "scripted")),
        (Reply.error(429, headers={"retry-after": "1"}), (429, "rate_limit_error", "scripted")),
        (Reply.error(418), (418, "api_error", "scripted")),
        (
            Reply.error(400, "invalid_request_error", "prompt is too long"),
            (400, "invalid_request_error", "prompt is too long"),
        ),
    ],
)
def test_an_error_has_the_type_of_its_status(reply: Reply, expected: Any) -> None:
    assert (reply.status, reply.error_type, reply.message) == expected


def test_an_error_type_leads_back_to_its_status() -> None:
    assert [status_of("overloaded_error"), status_of("rate_limit_error"), status_of("odd_error")] == [
        529,
        429,
        500,
    ]


def test_joined_replies_keep_the_first_usage_and_stop_reason() -> None:
    joined = Reply.text("a") + replace(Reply.text("b").with_usage(output_tokens=7), stop_reason="max_tokens")
    assert (joined.usage, joined.stop_reason) == ({"output_tokens": 7}, "max_tokens")
    assert (Reply.text("a").with_usage(input_tokens=1) + joined).usage == {"input_tokens": 1}
    assert Reply.text("a").with_usage(input_tokens=1).with_usage(output_tokens=2).usage == {
        "input_tokens": 1,
        "output_tokens": 2,
    }


@pytest.mark.parametrize("nbytes", [0, 1, 63, 64, 65, 70_000])
def test_big_answers_have_the_size_asked_for(nbytes: int) -> None:
    text = numbered_lines(nbytes)
    assert len(text.encode()) == nbytes
    assert all(line.startswith(f"{number:09d}") for number, line in enumerate(text.splitlines()[:-1]))
    assert Reply.big(nbytes) == Reply.text(text)


def request(
    content: Any, *, number: Any = 1, session: Any = "s-1", session_number: Any = 1, kind: Any = "turn"
) -> Any:
    return RecordedRequest(
        method="POST",
        path="/v1/messages",
        headers={"x-claude-code-session-id": session},
        body={"messages": [{"role": "user", "content": content}]},
        time=datetime.now(UTC),
        number=number,
        session_number=session_number,
        kind=kind,
    )


ASKED = request("what is 2 + 2")
TOLD = request([{"type": "tool_result", "tool_use_id": "t", "content": "hello-42"}])
OK = Reply.text("ok")
TOOL = Reply.tool_use("Bash", command="ls")

APPLIES = {
    "no condition": (Rule(reply=OK), ASKED, True),
    "no condition, after a tool": (Rule(reply=OK), TOLD, True),
    "a tool use never answers a tool": (Rule(reply=TOOL), TOLD, False),
    "a tool use answers a prompt": (Rule(reply=TOOL), ASKED, True),
    "unless it is wanted": (Rule(reply=TOOL, at="tool_result"), TOLD, True),
    "part of the prompt": (Rule(reply=OK, prompt="2 + 2"), ASKED, True),
    "not in the prompt": (Rule(reply=OK, prompt="3 + 3"), ASKED, False),
    "a pattern": (Rule(reply=OK, prompt=re.compile(r"^what .* 2$")), ASKED, True),
    "a pattern that is not there": (Rule(reply=OK, prompt=re.compile(r"^2")), ASKED, False),
    "a prompt before a tool": (Rule(reply=OK, prompt="hello"), TOLD, False),
    "a tool's output": (Rule(reply=OK, tool_output="42"), TOLD, True),
    "another output": (Rule(reply=OK, tool_output=re.compile("43")), TOLD, False),
    "an output, but a prompt came": (Rule(reply=OK, tool_output="42"), ASKED, False),
    "this session": (Rule(reply=OK, session_id="s-1"), ASKED, True),
    "another session": (Rule(reply=OK, session_id="s-2"), ASKED, False),
    "the nth": (Rule(reply=OK, nth=3), request("x", number=3), True),
    "not the nth": (Rule(reply=OK, nth=2), request("x", number=3), False),
    "the nth of a session": (
        Rule(reply=OK, nth=2, session_id="s-1"),
        request("x", number=9, session_number=2),
        True,
    ),
    "a function": (Rule(reply=OK, when=lambda one: one.model == ""), ASKED, True),
    "a function says no": (Rule(reply=OK, when=lambda one: one.model == "x"), ASKED, False),
    "a sub-agent": (Rule(reply=OK), request("x", kind="subagent"), True),
    "side work is left alone": (Rule(reply=OK), request("x", kind="side"), False),
    "side work, when wanted": (Rule(reply=OK, kinds=frozenset({"side"})), request("x", kind="side"), True),
    "a computed reply": (Rule(reply=lambda _: TOOL), TOLD, True),
}


@pytest.mark.parametrize(("rule", "asked", "applies"), APPLIES.values(), ids=APPLIES)
def test_a_rule_applies_where_all_its_conditions_hold(
    rule: Rule, asked: RecordedRequest, applies: bool
) -> None:
    assert rule.applies_to(asked) is applies


def test_a_reply_may_depend_on_the_request() -> None:
    assert Rule(reply=OK).reply_to(ASKED) is OK
    assert Rule(reply=lambda one: Reply.text(one.prompts[0].upper())).reply_to(ASKED) == Reply.text(
        "WHAT IS 2 + 2"
    )
