import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_coder.llm_errors import ResponseFormatError
from mcp_coder.llm_providers.claude.parse import (
    Reading,
    event_in,
    is_delta,
    parse_cli_json_string,
    read_output,
)

SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"
STREAMS = sorted(path.stem for path in SAMPLES.glob("*.stdout") if path.stem.startswith(("live", "stream")))
OBJECTS = sorted(path.stem for path in SAMPLES.glob("json_*.stdout") if path.stem != "json_verbose_list")


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.stdout").read_bytes()


# --- one line


@pytest.mark.parametrize(
    ("line", "event"),
    [
        pytest.param(b'{"type":"result"}\n', {"type": "result"}, id="object"),
        pytest.param(b'  {"a": 1}\r\n', {"a": 1}, id="blanks_around"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', {"a": 1}, id="bom"),
        pytest.param('{"a": "gr\u00fc\u00df \u2028"}'.encode(), {"a": "gr\u00fc\u00df \u2028"}, id="unicode"),
        pytest.param(b'{"a": "\xff"}', {"a": "\ufffd"}, id="no_utf8"),
        pytest.param(b'{"a": NaN, "b": -Infinity}', {"a": None, "b": None}, id="nan"),
        pytest.param(b'{"a": "\\ud800"}', {"a": "\ud800"}, id="lone_surrogate"),
        pytest.param(b'{"type":"never seen","x":[1]}', {"type": "never seen", "x": [1]}, id="unknown_kept"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b"  \r\n", None, id="blank"),
        pytest.param(b"Warning: no stdin", None, id="words"),
        pytest.param(b"[1]", None, id="array"),
        pytest.param(b'"text"', None, id="scalar"),
        pytest.param(b'{"a": ', None, id="cut"),
        pytest.param(b'{"a": 1} x', None, id="more_behind"),
        pytest.param(b"[" * 100_000, None, id="too_deep"),
        pytest.param(b'{"a": ' + b"1" * 5000 + b"}", None, id="number_beyond_reading"),
    ],
)
def test_event_in(line: bytes, event: object) -> None:
    assert event_in(line) == event


@given(st.binary())
def test_no_line_ever_raises(line: bytes) -> None:
    event = event_in(line)
    assert event is None or isinstance(event, dict)
    assert isinstance(read_output(line), Reading)


# --- a whole output


@pytest.mark.parametrize("name", STREAMS)
def test_real_streams_are_read_line_by_line(name: str) -> None:
    lines = sample(name).splitlines()
    assert read_output(sample(name)) == Reading(events=tuple(json.loads(line) for line in lines))


@pytest.mark.parametrize("name", OBJECTS)
def test_real_objects_are_one_event(name: str) -> None:
    assert read_output(sample(name)) == Reading(events=(json.loads(sample(name)),))


def test_a_real_array_gives_each_of_its_events() -> None:
    events = json.loads(sample("json_verbose_list"))
    assert read_output(sample("json_verbose_list")) == Reading(events=tuple(events))
    assert [event["type"] for event in events] == ["system", "assistant", "result"]


A, B = {"a": 1}, {"b": "x\ny"}


@pytest.mark.parametrize(
    ("output", "reading"),
    [
        pytest.param("", Reading(), id="empty"),
        pytest.param("\n \n\r\n", Reading(), id="blank_lines"),
        pytest.param('{"a": 1}', Reading(events=(A,)), id="no_end_of_line"),
        pytest.param('{"a": 1}\n\n{"b": "x\\ny"}\n', Reading(events=(A, B)), id="blank_line_between"),
        pytest.param(json.dumps(A, indent=2), Reading(events=(A,)), id="indented"),
        pytest.param(
            f"note\n{json.dumps(A, indent=2)}\nbye\n",
            Reading(events=(A,), unread=("note", "bye")),
            id="indented_amid_words",
        ),
        pytest.param(
            json.dumps([A, 3, B], indent=1), Reading(events=(A, B), unread=("3",)), id="array_with_junk"
        ),
        pytest.param('[{"a": 1}]\n{"b": "x\\ny"}\n', Reading(events=(A, B)), id="array_then_line"),
        pytest.param(
            '[INFO] up\n{"a": 1}\n', Reading(events=(A,), unread=("[INFO] up",)), id="word_in_brackets"
        ),
        pytest.param("null\n12\n", Reading(unread=("null", "12")), id="scalars"),
        pytest.param('{"a": 1}{"b": 2}\n', Reading(unread=('{"a": 1}{"b": 2}',)), id="two_on_a_line"),
        pytest.param(
            '{"a": 1} x\n{"a": 1}\n', Reading(events=(A,), unread=('{"a": 1} x',)), id="words_behind"
        ),
        pytest.param('{"a": 1}\r\n{"a": 1}\r\n', Reading(events=(A, A)), id="windows"),
        pytest.param(
            '{"a": "x\u2028y\u0085z"}\n',
            Reading(events=({"a": "x\u2028y\u0085z"},)),
            id="other_line_ends_within",
        ),
        pytest.param('{"a": 1}\n{"a": ', Reading(events=(A,), unread=('{"a":',), cut=True), id="cut"),
        pytest.param('{"a": 1}\n{"a": \n', Reading(events=(A,), unread=('{"a":',)), id="broken_but_ended"),
        pytest.param(
            '{"a": \n{"a": 1}', Reading(events=(A,), unread=('{"a":',)), id="broken_before_the_last"
        ),
        pytest.param(
            "Execution error", Reading(unread=("Execution error",), cut=True), id="words_without_end"
        ),
        pytest.param('{"a": 1}\n  ', Reading(events=(A,)), id="blanks_at_the_end"),
    ],
)
def test_read_output(output: str, reading: Reading) -> None:
    assert read_output(output.encode()) == reading


def test_a_cut_real_stream_keeps_what_came_before() -> None:
    reading = read_output(sample("live_plain")[:-20])
    assert reading.cut
    assert len(reading.unread) == 1
    assert reading.events == read_output(sample("live_plain")).events[:-1]


def test_deep_nesting_is_left_unread() -> None:
    deep = "[" * 100_000
    assert read_output(f'{deep}\n{{"a": 1}}\n'.encode()) == Reading(events=(A,), unread=(deep,))


def test_deltas_and_only_they_are_not_kept() -> None:
    kept = [event["type"] for event in read_output(sample("stream_partial")).events if not is_delta(event)]
    assert kept == ["system", "system", "assistant", "result"]


# --- what callers of the program's own output know


@pytest.mark.parametrize("name", ["json_success", "json_verbose_list", "stream_partial"])
def test_every_form_of_output_is_parsed(name: str) -> None:
    parsed = parse_cli_json_string(sample(name).decode())
    assert parsed["text"] == "Noted: blue"
    assert parsed["session_id"] == parsed["raw_response"]["session_id"]
    assert parsed["raw_response"]["type"] == "result"


def test_the_result_is_kept_unchanged() -> None:
    assert parse_cli_json_string(sample("json_success").decode())["raw_response"] == json.loads(
        sample("json_success")
    )


def test_an_error_result_has_no_text() -> None:
    assert parse_cli_json_string(sample("json_max_turns").decode())["text"] == ""


def test_an_object_without_a_type_is_a_result() -> None:
    bare = {"result": "Hi", "cost": 1}
    assert parse_cli_json_string(json.dumps(bare)) == {"text": "Hi", "session_id": None, "raw_response": bare}


def test_the_answer_wins_over_a_later_report() -> None:
    parsed = parse_cli_json_string(sample("live_background_agent").decode())
    assert "origin" not in parsed["raw_response"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("words", id="words"),
        pytest.param('{"type": "result", "result": "cut', id="cut"),
        pytest.param('{"type": "system"}', id="no_result"),
        pytest.param('{"session_id": "s"}', id="no_type_and_no_result"),
        pytest.param("[]", id="empty_array"),
        pytest.param('{"type": "result", "result": ["a"]}', id="text_is_a_list"),
        pytest.param("\ud800", id="lone_surrogate"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ResponseFormatError) as caught:
        parse_cli_json_string(text)
    assert isinstance(caught.value, ValueError)
    assert caught.value.raw is not None
