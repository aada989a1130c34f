"""What the fake program reads out of its arguments, and the shape of its events beside the real ones."""

import uuid
from typing import Any

import pytest

from mcp_coder.testing import program_events as events

FLAGS = [
    (["--resume=abc"], "abc"),
    (["--resume", "abc"], "abc"),
    (["-p", "--resume", "abc", "--verbose"], "abc"),
    (["--resume", "--verbose"], ""),
    (["--resume"], ""),
    (["--resumed=abc"], None),
    ([], None),
]


@pytest.mark.parametrize(("argv", "value"), FLAGS)
def test_a_flag_is_read_in_both_forms(argv: list[str], value: Any) -> None:
    assert events.flag(argv, "--resume") == value


PROMPTS = [
    (["-p", "hello", "--verbose"], "hello"),
    (["--print=hello"], "hello"),
    (["-p", "--output-format", "json", "hello"], "hello"),
    (["-p", "--output-format", "json"], None),
    (["-p", "--output-format=json", "hello"], "hello"),
    (["-p", "--verbose", "hello"], "hello"),
    (["hello"], "hello"),
    (["-p", "--resume", "abc"], None),
    (["-p"], None),
    ([], None),
]


@pytest.mark.parametrize(("argv", "prompt"), PROMPTS)
def test_a_prompt_among_the_arguments(argv: list[str], prompt: str) -> None:
    assert events.prompt_in(argv) == prompt


NEW = "(new)"
SESSIONS = [
    ([], "asked", NEW),
    (["--session-id", "a"], "asked", "a"),
    (["--resume", "a"], "asked", "a"),
    (["-r", "a"], "asked", "a"),
    (["--resume", "a", "--fork-session"], "asked", NEW),
    (["--resume", "a", "--fork-session", "--session-id", "b"], "asked", "b"),
    (["--session-id", "a"], "new_on_resume", "a"),
    (["--resume", "a"], "new_on_resume", NEW),
    (["--session-id", "a"], "new", NEW),
    (["--resume", "a"], "other", "other"),
]


@pytest.mark.parametrize(("argv", "session", "expected"), SESSIONS)
def test_the_session_id_of_a_call(argv: list[str], session: str, expected: Any) -> None:
    chosen = events.session_id_for(argv, session)
    if expected == NEW:
        assert chosen != events.session_id_for(argv, session)
        assert str(uuid.UUID(chosen, version=4)) == chosen
    else:
        assert chosen == expected


FORMS = [
    ([], "asked", "text"),
    (["--output-format", "text"], "asked", "text"),
    (["--output-format=json"], "asked", "object"),
    (["--output-format", "json", "--verbose"], "asked", "array"),
    (["--output-format=stream-json", "--verbose"], "asked", "lines"),
    (["--output-format=stream-json"], "array", "array"),
]


@pytest.mark.parametrize(("argv", "output", "form"), FORMS)
def test_the_form_of_the_output(argv: list[str], output: Any, form: str) -> None:
    assert events.output_form(argv, output) == form


@pytest.mark.parametrize(
    ("content", "text"), [("hi", "hi"), ([{"type": "text", "text": "a"}, {"type": "image"}], "a\n"), ([], "")]
)
def test_the_text_of_a_message(content: Any, text: str) -> None:
    assert events.text_of({"message": {"content": content}}) == text


def test_placeholders_are_filled_at_any_depth() -> None:
    value = {"{{a}}": ["{{a}}-{{b}}", {"x": "{{c}}"}, 3], "n": None}
    assert events.filled(value, {"a": "1", "b": "2"}) == {"1": ["1-2", {"x": "{{c}}"}, 3], "n": None}


@pytest.mark.parametrize(("subtype", "key"), [("initialize", "commands"), ("interrupt", "still_queued")])
def test_control_requests_are_answered(subtype: str, key: str) -> None:
    answer = events.control_response({"request_id": "7", "request": {"subtype": subtype}})
    assert answer["type"] == "control_response"
    assert (answer["response"]["subtype"], answer["response"]["request_id"]) == ("success", "7")
    assert key in answer["response"]["response"]
    assert events.control_response({})["response"]["response"] == {}


def test_a_result_has_the_turns_usage_and_the_sessions_totals() -> None:
    turn = {**events.PLAIN_TURN, "result": {"num_turns": 3}, "without": ["uuid"]}
    result = events.result_event(turn, {"cost": 0.5, "input_tokens": 5000, "output_tokens": 50})
    assert (result["type"], result["subtype"], result["num_turns"]) == ("result", "success", 3)
    assert (result["usage"]["input_tokens"], result["usage"]["output_tokens"]) == (1000, 10)
    assert (result["total_cost_usd"], result["modelUsage"]["{{model}}"]["inputTokens"]) == (0.5, 5000)
    assert "uuid" not in result


def test_an_aborted_turn_before_any_other_has_no_model_usage() -> None:
    result = events.result_event(events.ABORTED_TURN, {"cost": 0.0, "input_tokens": 0, "output_tokens": 0})
    assert (result["is_error"], result["terminal_reason"], result["modelUsage"]) == (
        True,
        "aborted_streaming",
        {},
    )
    assert "result" not in result


def test_init_and_assistant_events_are_of_the_session() -> None:
    turn = {
        **events.PLAIN_TURN,
        "session_id": "other",
        "init": {"mcp_servers": [{"name": "x", "status": "failed"}]},
    }
    init, assistant = events.init_event(turn), events.assistant_event(turn)
    assert (init["session_id"], init["mcp_servers"][0]["status"]) == ("other", "failed")
    assert (assistant["session_id"], assistant["message"]["content"][0]["text"]) == (
        "other",
        "You said: {{prompt}}",
    )
    assert events.init_event(events.PLAIN_TURN)["session_id"] == "{{session_id}}"
