"""The wire form: a reader of ours puts streams together again, and gets what the whole message says."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mcp_coder.testing.messages_api import (
    MessageHead,
    content_of,
    error_object,
    event_bytes,
    message_of,
    stream_of,
    token_count,
    usage_of,
)
from mcp_coder.testing.model_replies import Cut, Hold, NextBlock, Pause, Reply, Say

HEAD = MessageHead(message_id="msg_1", model="opus", input_size=400)


def events_of(reply: Any) -> Any:
    return [one for one in stream_of(HEAD, reply) if isinstance(one, dict)]


def assembled(events: Any) -> Any:
    """Read a stream as a client does."""
    message = {**events[0]["message"], "content": []}
    for event in events[1:]:
        kind = event["type"]
        if kind == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append({**event["content_block"]})
        elif kind == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            if delta["type"] == "text_delta":
                block["text"] += delta["text"]
            else:
                block["json"] = block.get("json", "") + delta["partial_json"]
        elif kind == "content_block_stop":
            block = message["content"][event["index"]]
            if "json" in block:
                block["input"] = json.loads(block.pop("json"))
        elif kind == "message_delta":
            message = {**message, **event["delta"], "usage": event["usage"]}
    return message


WHOLE = {
    "text": (Reply.text("hello"), [{"type": "text", "text": "hello"}], "end_turn"),
    "chunks": (Reply.chunks(["a", "b"], delay=0.1), [{"type": "text", "text": "ab"}], "end_turn"),
    "a tool": (
        Reply.tool_use("Bash", command="ls"),
        [{"type": "tool_use", "id": "toolu_1_0", "name": "Bash", "input": {"command": "ls"}}],
        "tool_use",
    ),
    "text and two tools": (
        Reply.text("look") + Reply.tool_use("A") + Reply.tool_use("B", x=1),
        [
            {"type": "text", "text": "look"},
            {"type": "tool_use", "id": "toolu_1_1", "name": "A", "input": {}},
            {"type": "tool_use", "id": "toolu_1_2", "name": "B", "input": {"x": 1}},
        ],
        "tool_use",
    ),
    "two texts": (
        Reply.text("a") + Reply.text("b"),
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "end_turn",
    ),
    "text behind a tool": (
        Reply(steps=(*Reply.tool_use("A").steps, Say(text="b"))),
        [{"type": "tool_use", "id": "toolu_1_0", "name": "A", "input": {}}, {"type": "text", "text": "b"}],
        "tool_use",
    ),
    "a pause within a text": (Reply.hang(after="a", then="b"), [{"type": "text", "text": "ab"}], "end_turn"),
    "nothing": (Reply.text(""), [], "end_turn"),
    "a stop reason": (
        replace(Reply.text("x"), stop_reason="max_tokens"),
        [{"type": "text", "text": "x"}],
        "max_tokens",
    ),
    "large": (Reply.big(70_000), [{"type": "text", "text": Reply.big(70_000).said}], "end_turn"),
}


@pytest.mark.parametrize(("reply", "content", "stop_reason"), WHOLE.values(), ids=WHOLE)
def test_stream_and_whole_message_say_the_same(reply: Reply, content: Any, stop_reason: str) -> None:
    message = message_of(HEAD, reply)
    assert (message["content"], message["stop_reason"]) == (content, stop_reason)
    assert assembled(events_of(reply)) == message


def test_a_stream_is_in_the_order_of_the_api() -> None:
    kinds = [one["type"] for one in events_of(Reply.text("a") + Reply.tool_use("B"))]
    assert kinds[0] == "message_start"
    assert kinds[1:4] == ["content_block_start", "content_block_delta", "content_block_stop"]
    assert kinds[-2:] == ["message_delta", "message_stop"]


def test_what_is_waited_for_before_the_content_comes_before_anything_is_sent() -> None:
    first, second, *_ = stream_of(HEAD, Reply.text("a").delayed(3))
    assert first == Pause(seconds=3)
    assert isinstance(second, dict)
    assert second["type"] == "message_start"


def kinds_of(reply: Reply) -> list[object]:
    return [one["type"] if isinstance(one, dict) else one for one in stream_of(HEAD, reply)]


def test_a_hang_in_mid_answer_comes_after_what_was_said() -> None:
    kinds = kinds_of(Reply.hang(after="a"))
    assert kinds.index(Hold()) == kinds.index("content_block_delta") + 1
    assert kinds_of(Reply.hang(after=""))[:2] == ["message_start", Hold()]


def test_a_cut_is_the_last_thing() -> None:
    assert list(stream_of(HEAD, Reply.cut())) == [Cut()]
    assert list(stream_of(HEAD, Reply.cut(after="a")))[-1] == Cut()


def test_an_error_in_the_stream_is_the_last_thing() -> None:
    assert events_of(Reply.stream_error("overloaded_error", "busy"))[-1] == error_object(
        "overloaded_error", "busy"
    )


def test_steps_that_say_nothing_leave_no_block() -> None:
    assert content_of(HEAD, [Pause(seconds=1), NextBlock(), Say(text="")]) == []


def test_usage_follows_from_sizes_unless_it_is_given() -> None:
    assert usage_of(HEAD, Reply.text("x" * 40)) == {
        "input_tokens": 100,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 10,
    }
    assert usage_of(HEAD, Reply.text("x").with_usage(output_tokens=5))["output_tokens"] == 5
    assert usage_of(HEAD, Reply.tool_use("A", command="x" * 100))["output_tokens"] > 25
    assert token_count(0) == {"input_tokens": 1}
    assert token_count(400) == {"input_tokens": 100}


def test_an_event_is_one_line_of_data() -> None:
    assert (
        event_bytes({"type": "ping", "x": "a\nb"}) == b'event: ping\ndata: {"type": "ping", "x": "a\\nb"}\n\n'
    )
