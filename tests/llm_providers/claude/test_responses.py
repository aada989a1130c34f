import copy
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mcp_coder.llm_errors import ResponseFormatError
from mcp_coder.llm_providers.base import Agent, Entry, Outcome, RawEvent
from mcp_coder.llm_providers.claude.fields import answer_in
from mcp_coder.llm_providers.claude.parse import read_output
from mcp_coder.llm_providers.claude.responses import (
    ApiDetails,
    answer_text,
    api_details,
    new_response,
    raw_response_of,
)

SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"


def events_of(name: str) -> tuple[RawEvent, ...]:
    return read_output((SAMPLES / f"{name}.stdout").read_bytes()).events


def outcome(method: str, events: tuple[RawEvent, ...], messages: tuple[RawEvent, ...] = ()) -> Outcome:
    agent = Agent(program="claude", version="2.1.330", config_dir=None, env={})
    return Outcome(
        entry=Entry(first_id="s1", cwd="/"), agent=agent, method=method, events=events, sdk_messages=messages
    )


def test_a_response_has_the_seven_fields_and_its_own_copy_of_what_was_reported() -> None:
    raw = {"result": "Hi"}
    response = new_response(
        text="Hi", session_id="s1", method="cli", raw_response=raw, timestamp="2026-01-31T12:00:00Z"
    )
    assert response == {
        "version": "1.0",
        "timestamp": "2026-01-31T12:00:00Z",
        "text": "Hi",
        "session_id": "s1",
        "method": "cli",
        "provider": "claude",
        "raw_response": raw,
    }
    assert response["raw_response"] is not raw


# --- raw_response


def test_by_the_program_the_raw_response_is_the_result_unchanged() -> None:
    events = events_of("live_plain")
    result = answer_in(events)
    assert result is not None
    before = copy.deepcopy(result)
    assert raw_response_of(outcome("cli", events), result, "x") == before == result


# What the SDK makes of the program's events: its own names, the init event under "data", and fields left out.
SDK_INIT = {
    "type": "system",
    "subtype": "init",
    "data": {"session_id": "s1", "model": "opus", "cwd": "/x", "tools": ["Bash"]},
}
SDK_SAID = {"type": "assistant", "content": [{"type": "text", "text": "Hi"}], "message_id": "msg_1"}
SDK_RESULT = {
    "type": "result",
    "uuid": "r1",
    "num_turns": 1,
    "total_cost_usd": 0.5,
    "model_usage": {"opus": {}},
}
PRINTED = {
    **SDK_RESULT,
    "modelUsage": {"opus": {}},
    "model_usage_since_last_result": {"opus": {"costUSD": 0.1}},
}


def test_by_the_sdk_the_raw_response_has_its_three_parts() -> None:
    raw = raw_response_of(outcome("api", (PRINTED,), (SDK_INIT, SDK_SAID, SDK_RESULT)), PRINTED, "Hi")
    assert list(raw) == ["session_info", "result_info", "raw_messages"]
    assert raw["session_info"] == {"session_id": "s1", "model": "opus", "cwd": "/x", "tools": ["Bash"]}
    json.dumps(raw, allow_nan=False)


def test_a_result_that_the_sdk_shortened_is_completed_by_what_was_printed() -> None:
    details = api_details("Hi", (SDK_INIT, SDK_SAID, SDK_RESULT), (PRINTED,))
    assert details["text"] == "Hi"
    assert details["raw_messages"] == [SDK_INIT, SDK_SAID, PRINTED]
    assert details["result_info"] == {key: value for key, value in PRINTED.items() if key != "type"}


def test_another_result_is_left_as_the_sdk_gave_it() -> None:
    details = api_details("Hi", (SDK_RESULT,), ({**PRINTED, "uuid": "r2"},))
    assert details["raw_messages"] == [SDK_RESULT]


def test_without_messages_the_events_stand_in() -> None:
    events = events_of("live_plain")
    raw = raw_response_of(outcome("api", events), events[-2], "x")
    assert raw["session_info"]["version"] == "2.1.330"  # type: ignore[index]  # a mapping
    assert raw["raw_messages"] == list(events)


def test_details_of_nothing() -> None:
    nothing: ApiDetails = {"text": "", "session_info": {}, "result_info": {}, "raw_messages": []}
    assert api_details("", ()) == nothing


def test_the_result_of_the_answer_is_the_one_in_result_info() -> None:
    events = events_of("live_background_agent")
    details = api_details("x", events, events)
    assert details["result_info"]["total_cost_usd"] == 0.001
    assert [message["type"] for message in details["raw_messages"]].count("result") == 2


# --- the text


def said(text: str, *, message: str = "msg_1", parent: str | None = None) -> RawEvent:
    content = [{"type": "text", "text": text}, {"type": "tool_use", "text": "no"}]
    return {"type": "assistant", "parent_tool_use_id": parent, "message": {"id": message, "content": content}}


@pytest.mark.parametrize(
    ("result", "events", "text"),
    [
        pytest.param({"result": "Hi"}, (said("other"),), "Hi", id="result"),
        pytest.param({"result": " "}, (), " ", id="blank_is_text"),
        pytest.param({"result": ""}, (said("Hi"),), "Hi", id="empty_result"),
        pytest.param({}, (said("Hi"),), "Hi", id="no_result_text"),
        pytest.param({"result": None}, (said("Hi"),), "Hi", id="null_result_text"),
        pytest.param({"result": ""}, (said("a"), said("b")), "a\nb", id="one_message_in_two_blocks"),
        pytest.param(
            {"result": ""}, (said("a", message="m1"), said("b", message="m2")), "b", id="last_message"
        ),
        pytest.param(
            {"result": ""}, (said("a", message="m1"), said(" ", message="m2")), "a", id="last_with_text"
        ),
        pytest.param(
            {"result": ""}, (said("a"), said("b", message="m2", parent="t")), "a", id="not_a_sub_agents"
        ),
    ],
)
def test_s32_answer_text(result: RawEvent, events: tuple[RawEvent, ...], text: str) -> None:
    assert answer_text(result, events) == text


@pytest.mark.parametrize(
    ("result", "events"),
    [
        pytest.param({"result": "", "usage": {"output_tokens": 5}}, (), id="nothing_said"),
        pytest.param({"result": ""}, (said(" "),), id="blanks_said"),
        pytest.param({"result": ""}, (said("x", parent="t"),), id="only_a_sub_agent_spoke"),
        pytest.param({"result": ["a"]}, (said("x"),), id="no_text"),
        pytest.param({"result": 0}, (said("x"),), id="a_number"),
    ],
)
def test_s32_no_answer_text(result: RawEvent, events: tuple[RawEvent, ...]) -> None:
    with pytest.raises(ResponseFormatError) as caught:
        answer_text(result, events)
    assert caught.value.raw is result


# --- structured answers

SCHEMA = {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}


def test_a_real_structured_answer_is_json_that_fits() -> None:
    events = events_of("live_structured")
    assert answer_text(answer_in(events) or {}, events, SCHEMA) == '{"color":"blue"}'


def test_a_real_answer_without_structure_is_refused() -> None:
    events = events_of("live_structured_mismatch")
    with pytest.raises(ResponseFormatError, match="no answer that fits json_schema"):
        answer_text(answer_in(events) or {}, events, SCHEMA)


@pytest.mark.parametrize(
    ("schema", "answer", "text"),
    [
        pytest.param(
            SCHEMA, {"color": "gr\u00fcn", "n": 1}, '{"color":"gr\u00fcn","n":1}', id="unicode_as_is"
        ),
        pytest.param({"type": "array"}, [1, 2], "[1,2]", id="array"),
        pytest.param({"type": ["null", "object"]}, None, "null", id="null_is_an_answer"),
        pytest.param({}, "x", '"x"', id="empty_schema"),
        pytest.param({"type": "zork"}, 1, "1", id="schema_that_is_none"),
        pytest.param({"type": "string", "pattern": "\\p{L}"}, "x", '"x"', id="pattern_of_another_language"),
        pytest.param({"$ref": "https://example.invalid/x"}, 1, "1", id="schema_elsewhere"),
        pytest.param({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}, 1, "1", id="definitions"),
    ],
)
def test_structured_text(schema: Mapping[str, object], answer: object, text: str) -> None:
    assert answer_text({"structured_output": answer}, (), schema) == text


@pytest.mark.parametrize(
    ("schema", "answer", "where"),
    [
        pytest.param(SCHEMA, {"color": 3}, r"at \$\.color \(rule 'type'\)", id="wrong_type"),
        pytest.param(SCHEMA, {}, r"at \$ \(rule 'required'\)", id="missing"),
        pytest.param({"items": {"minimum": 5}}, [9, 3], r"at \$\[1\] \(rule 'minimum'\)", id="in_an_array"),
    ],
)
def test_structured_misfit_names_the_place(schema: Mapping[str, object], answer: object, where: str) -> None:
    result = {"structured_output": answer}
    with pytest.raises(ResponseFormatError, match=where) as caught:
        answer_text(result, (), schema)
    assert caught.value.raw is result


def test_the_schema_checker_is_loaded_only_for_schemas() -> None:
    code = "import sys, mcp_coder.llm_providers.claude.responses; print('jsonschema' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
