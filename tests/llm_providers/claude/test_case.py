from collections.abc import Mapping

import pytest

from mcp_coder.llm_providers.base import Agent, Entry, Outcome, RawEvent
from mcp_coder.llm_providers.claude.case import (
    Case,
    kind_of,
    resets_at,
    retrying_after,
    said,
    says_interrupted,
    signal_of,
    status_of,
    words,
)
from mcp_coder.llm_requests import TurnRequest


def case(result: RawEvent | None = None, **facts: object) -> Case:
    agent = Agent(program="claude", version="2.1.330", config_dir=None, env={})
    outcome = Outcome(entry=Entry(first_id="s1", cwd="/"), agent=agent, method="cli", **facts)  # type: ignore[arg-type]  # rows
    return Case(request=TurnRequest(question="secret prompt"), outcome=outcome, result=result)


def failed_message(error: str, **fields: object) -> RawEvent:
    return {"type": "assistant", "parent_tool_use_id": None, "error": error, **fields}


SUB_AGENT_FAILED = failed_message("rate_limit", api_error_status=429, parent_tool_use_id="toolu_1")


# --- what was printed


def test_raw_is_the_result_unchanged() -> None:
    result = {"type": "result", "x": 1}
    assert case(result).raw is result


def test_raw_without_a_result_is_all_that_was_printed() -> None:
    raw = case(events=({"type": "new"},), unread=("words",), stderr="bad\n").raw
    assert raw == '{"type": "new"}\nwords\nbad'
    assert case().raw == ""


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(case({"result": "R", "errors": ["E"]}, stderr="S"), "R", id="result_first"),
        pytest.param(case({"errors": ["E1", "E2"]}, stderr="S"), "E1\nE2", id="then_its_errors"),
        pytest.param(
            case({"errors": ["[ede_diagnostic] x", 3]}, stderr="S"), "S", id="diagnostics_say_nothing"
        ),
        pytest.param(case({"result": " "}, stderr="S"), "S", id="blank_result"),
        pytest.param(case(stderr="S", unread=("U",)), "S", id="stderr"),
        pytest.param(case(stderr="\n", unread=("", "U")), "U", id="lines_that_are_no_json"),
        pytest.param(case(unread=('{"type": "user", "mess', "[1", "U")), "U", id="no_part_of_an_event"),
        pytest.param(case(), "", id="nothing"),
    ],
)
def test_words(found: Case, text: str) -> None:
    assert words(found) == text


def test_said_is_one_line_of_bearable_length() -> None:
    assert said(case(stderr="a\n  b\tc.\n")) == "a b c"
    assert said(case(stderr="x" * 1000)) == "x" * 239 + "…"
    assert said(case(stderr="x" * 240)) == "x" * 240


# --- status


@pytest.mark.parametrize(
    ("found", "status"),
    [
        pytest.param(case({"api_error_status": 529, "result": "API Error: 500 x"}), 529, id="reported"),
        pytest.param(case({"api_error_status": None, "result": "API Error: 500 x"}), 500, id="text"),
        pytest.param(case({"result": "Failed to authenticate. API Error: 401 x"}), 401, id="text_behind_words"),
        pytest.param(case({"result": "API Error: Request rejected (429) · slow"}), 429, id="in_brackets"),
        pytest.param(case({"result": "Request blocked (HTTP 403) · network"}), 403, id="http"),
        pytest.param(case({"result": "Repeated 529 Overloaded errors"}), 529, id="repeated"),
        pytest.param(case({"result": "status code 503"}), 503, id="status_code"),
        pytest.param(case({"result": "API Error: Connection refused"}), None, id="no_number"),
        pytest.param(case({"result": "prompt has 429 words"}), None, id="another_number"),
        pytest.param(case({"result": "API Error: 200 fine"}), None, id="no_error_status"),
        pytest.param(case({}, events=(failed_message("x", api_error_status=404),)), 404, id="of_the_last_message"),
        pytest.param(case({}, events=(SUB_AGENT_FAILED,)), None, id="of_a_sub_agent"),
        pytest.param(case(stderr="API Error: 500 x"), 500, id="stderr"),
        pytest.param(case(), None, id="nothing"),
    ],
)  # fmt: skip
def test_status(found: Case, status: int | None) -> None:
    assert status_of(found) == status


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        pytest.param((), "", id="none"),
        pytest.param(({"type": "assistant"},), "", id="a_models_message"),
        pytest.param((failed_message("rate_limit"), {"type": "user"}), "rate_limit", id="last_one"),
        pytest.param((SUB_AGENT_FAILED,), "", id="of_a_sub_agent"),
    ],
)
def test_kind(events: tuple[RawEvent, ...], kind: str) -> None:
    assert kind_of(case(events=events)) == kind


# --- limits


def limit_event(resets: object) -> RawEvent:
    return {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": resets}}


@pytest.mark.parametrize(
    ("result", "events", "when"),
    [
        pytest.param({"result": "slow down"}, (), None, id="not_said"),
        pytest.param({}, (limit_event(1750000000), limit_event(1760000000)), 1760000000.0, id="last_event"),
        pytest.param({}, (limit_event(None), limit_event("soon")), None, id="event_without_a_time"),
        pytest.param(
            {"result": "Claude AI usage limit reached|1750000000"}, (), 1750000000.0, id="behind_a_bar"
        ),
        pytest.param({"result": "limit; resets at 1750000000"}, (), 1750000000.0, id="in_words"),
        pytest.param({"result": "You've hit your limit · resets 3pm"}, (), None, id="time_of_day"),
    ],
)
def test_resets_at(result: Mapping[str, object], events: tuple[RawEvent, ...], when: float | None) -> None:
    assert resets_at(case(result, events=events)) == when


@pytest.mark.parametrize(
    ("exit_code", "name"),
    [
        pytest.param(None, None, id="unknown"),
        pytest.param(0, None, id="good"),
        pytest.param(1, None, id="failed"),
        pytest.param(-1, "SIGHUP", id="hup"),
        pytest.param(-2, "SIGINT", id="int"),
        pytest.param(130, "SIGINT", id="int_by_code"),
        pytest.param(-9, "SIGKILL", id="kill"),
        pytest.param(143, "SIGTERM", id="term_by_code"),
        pytest.param(-15, "SIGTERM", id="term"),
        pytest.param(-11, None, id="crashed"),
        pytest.param(128, None, id="no_signal"),
    ],
)
def test_signal(exit_code: int | None, name: str | None) -> None:
    assert signal_of(case(exit_code=exit_code)) == name


def user(content: object, parent: str | None = None) -> RawEvent:
    return {"type": "user", "parent_tool_use_id": parent, "message": {"content": content}}


NOTE = [{"type": "text", "text": "[Request interrupted by user for tool use]"}]


@pytest.mark.parametrize(
    ("events", "interrupted"),
    [
        pytest.param((), False, id="nothing"),
        pytest.param((user(NOTE),), True, id="interrupted"),
        pytest.param((user(NOTE), {"type": "system"}), True, id="with_more_behind"),
        pytest.param((user(NOTE), user("go on")), False, id="went_on"),
        pytest.param((user("[1, 2]"),), False, id="other_words"),
        pytest.param((user(NOTE, "toolu_1"),), False, id="a_sub_agent"),
    ],
)
def test_says_interrupted(events: tuple[RawEvent, ...], interrupted: bool) -> None:
    assert says_interrupted(case(events=events)) is interrupted


RETRY = {"type": "system", "subtype": "api_retry", "error_status": 529, "error": "overloaded"}
ANSWER = {"type": "assistant", "message": {}}


@pytest.mark.parametrize(
    ("events", "text"),
    [
        pytest.param((), "", id="nothing"),
        pytest.param((RETRY,), "HTTP 529", id="status"),
        pytest.param((ANSWER, RETRY, {"type": "result"}), "HTTP 529", id="at_the_end"),
        pytest.param((RETRY, ANSWER), "", id="overcome"),
        pytest.param(({**RETRY, "error_status": None},), "overloaded", id="no_status"),
        pytest.param(({"type": "system", "subtype": "api_retry"},), "an error", id="no_word"),
    ],
)
def test_the_trouble_that_a_retry_is_about(events: tuple[RawEvent, ...], text: str) -> None:
    assert retrying_after(case(events=events)) == text
