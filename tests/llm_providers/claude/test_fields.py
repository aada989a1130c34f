from collections.abc import Mapping

import pytest

from mcp_coder.llm_providers.claude import fields

JUNK: tuple[object, ...] = (None, True, 1, 1.5, "text", [1], {"a": 1})


@pytest.mark.parametrize("value", JUNK, ids=repr)
def test_each_field_is_read_as_its_type_or_as_empty(value: object) -> None:
    event = {"key": value}
    assert fields.text_in(event, "key") == (value if isinstance(value, str) else "")
    assert fields.mapping_in(event, "key") == (value if isinstance(value, dict) else {})
    assert fields.list_in(event, "key") == (value if isinstance(value, list) else ())
    number = value if type(value) in (int, float) else None
    assert fields.number_in(event, "key") == number


def test_a_missing_field_is_empty() -> None:
    assert fields.text_in({}, "key") == ""
    assert fields.mapping_in({}, "key") == {}
    assert fields.list_in({}, "key") == ()
    assert fields.number_in({}, "key") is None


def test_true_is_no_number() -> None:
    assert fields.number_in({"key": True}, "key") is None


@pytest.mark.parametrize(
    ("event", "main"),
    [
        pytest.param({}, True, id="no_word_of_a_parent"),
        pytest.param({"parent_tool_use_id": None}, True, id="none"),
        pytest.param({"parent_tool_use_id": "toolu_1"}, False, id="sub_agent"),
    ],
)
def test_main_thread(event: Mapping[str, object], main: bool) -> None:
    assert fields.is_main_thread(event) is main


@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        pytest.param("plain", ({"type": "text", "text": "plain"},), id="text"),
        pytest.param([{"type": "text"}, "junk", 3], ({"type": "text"},), id="list_with_junk"),
        pytest.param(None, (), id="nothing"),
        pytest.param({"type": "text"}, (), id="no_list"),
    ],
)
def test_blocks(content: object, blocks: object) -> None:
    assert fields.blocks_in({"message": {"content": content}}) == blocks


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param("plain", "plain", id="text"),
        pytest.param([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb", id="blocks"),
        pytest.param([{"type": "image"}, {"type": "text"}], "", id="no_text_in_them"),
        pytest.param(None, "", id="nothing"),
    ],
)
def test_text_of_blocks(content: object, text: str) -> None:
    assert fields.text_of_blocks(content) == text


RESULT = {"type": "result", "result": "answer"}
ASKED = {**RESULT, "origin": {"kind": "human"}}
REPORT = {"type": "result", "result": "report", "origin": {"kind": "task-notification"}}


@pytest.mark.parametrize(
    ("events", "answer"),
    [
        pytest.param([], None, id="none"),
        pytest.param([{"type": "assistant"}, {}], None, id="no_result"),
        pytest.param([{"type": "assistant", "result": "x"}], None, id="another_type_with_a_result"),
        pytest.param([RESULT], RESULT, id="one"),
        pytest.param([{"result": "old"}], {"result": "old"}, id="object_without_type"),
        pytest.param([RESULT, REPORT], RESULT, id="then_a_report"),
        pytest.param([REPORT, RESULT], RESULT, id="after_a_report"),
        pytest.param([{**RESULT, "result": "first"}, RESULT], RESULT, id="two_the_last_wins"),
        pytest.param(
            [RESULT, ASKED],
            ASKED,
            id="asked_by_people",
        ),
        pytest.param([REPORT], REPORT, id="only_a_report"),
    ],
)
def test_answer(events: list[dict[str, object]], answer: object) -> None:
    assert fields.answer_in(events) == answer


@pytest.mark.parametrize(
    ("event", "report"),
    [
        pytest.param(RESULT, False, id="no_origin"),
        pytest.param(ASKED, False, id="asked_by_people"),
        pytest.param(REPORT, True, id="a_report"),
        pytest.param({**RESULT, "origin": "task-notification"}, False, id="junk"),
    ],
)
def test_answers_report(event: Mapping[str, object], report: bool) -> None:
    assert fields.answers_report(event) is report


@pytest.mark.parametrize(
    ("event", "echo"),
    [
        pytest.param({"type": "user", "uuid": "p1", "isReplay": True}, True, id="the_echo"),
        pytest.param({"type": "user", "uuid": "p2", "isReplay": True}, False, id="of_another_prompt"),
        pytest.param({"type": "user", "uuid": "p1"}, False, id="a_message_of_that_id"),
        pytest.param({"type": "user", "uuid": "p1", "isReplay": "true"}, False, id="junk"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_echo(event: Mapping[str, object], echo: bool) -> None:
    assert fields.is_echo(event, "p1") is echo


def test_all_results_are_kept() -> None:
    assert fields.results_in([RESULT, {"type": "system"}, REPORT]) == (RESULT, REPORT)
