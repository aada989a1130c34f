from collections.abc import Sequence
from pathlib import Path

import pytest

from mcp_coder.llm_providers.base import Finish, RawEvent
from mcp_coder.llm_providers.claude.parse import read_output
from mcp_coder.llm_providers.claude.turn_end import (
    TurnTracker,
    finish,
    is_failure,
    is_local_command,
    own_events,
)

SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"


def events_of(name: str) -> tuple[RawEvent, ...]:
    return read_output((SAMPLES / f"{name}.stdout").read_bytes()).events


def system(subtype: str, **fields: object) -> RawEvent:
    return {"type": "system", "subtype": subtype, **fields}


def result(text: str = "answer", **fields: object) -> dict[str, object]:
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "result": text,
        "session_id": "s1",
        **fields,
    }


def started(task: str, kind: str = "local_agent", **fields: object) -> RawEvent:
    return system("task_started", task_id=task, task_type=kind, **fields)


def updated(task: str, status: str) -> RawEvent:
    return system("task_updated", task_id=task, patch={"status": status})


def notified(task: str, status: str = "completed") -> RawEvent:
    return system("task_notification", task_id=task, status=status)


def tasks(*ids: str, kind: str = "local_agent") -> RawEvent:
    return system("background_tasks_changed", tasks=[{"task_id": one, "task_type": kind} for one in ids])


RUNNING = system("session_state_changed", state="running")
IDLE = system("session_state_changed", state="idle")
INIT = system("init", session_id="s1")
RESULT = result()
REPORT = result("report", origin={"kind": "task-notification"})
ERROR = result(is_error=True)
BROKEN_OFF = result(is_error=True, subtype="error_during_execution")
SAID: RawEvent = {"type": "assistant", "uuid": "m1", "parent_tool_use_id": None, "message": {"content": []}}


PROMPT = "p1"
ECHO: RawEvent = {"type": "user", "uuid": PROMPT, "isReplay": True, "message": {"content": "Hello"}}
ECHO_OF_ANOTHER: RawEvent = {**ECHO, "uuid": "p0"}


def end_of(events: Sequence[RawEvent], prompt_id: str | None = None) -> int | None:
    """Return the place of the event at which the turn is over."""
    tracker = TurnTracker(prompt_id=prompt_id)
    for place, event in enumerate(events):
        tracker.see(event)
        if tracker.over:
            return place
    return None


# Each row: the events, and the place of the one that ends the turn.
ENDS = [
    pytest.param([], None, id="nothing"),
    pytest.param([INIT, SAID], None, id="no_result"),
    pytest.param([INIT, RESULT], 1, id="result"),
    pytest.param([{"type": "new"}, {}, RESULT], 2, id="unknown_events"),
    pytest.param([RUNNING, INIT, RESULT], None, id="state_still_running"),
    pytest.param([RUNNING, INIT, RESULT, IDLE], 3, id="state_idle"),
    pytest.param([RUNNING, INIT, IDLE, RESULT], 3, id="state_idle_before_the_result"),
    pytest.param([RUNNING, IDLE], None, id="idle_without_a_result"),
    pytest.param([RUNNING, RESULT, RUNNING, INIT, REPORT, IDLE], 5, id="state_goes_on_running"),
    pytest.param([RUNNING, RESULT, started("t"), IDLE], 3, id="idle_is_the_last_word"),
    pytest.param([started("t"), RESULT], None, id="task_running"),
    pytest.param([started("t"), notified("t"), RESULT], 2, id="task_done_before_the_result"),
    pytest.param([started("t"), RESULT, notified("t")], None, id="report_due"),
    pytest.param([started("t"), RESULT, updated("t", "completed"), notified("t"), INIT, REPORT], 5, id="report"),
    pytest.param([started("t"), RESULT, updated("t", "failed")], None, id="report_due_of_a_failed_task"),
    pytest.param([started("t"), RESULT, updated("t", "killed")], 2, id="killed_task_is_not_reported"),
    pytest.param([started("t"), RESULT, notified("t", "stopped")], 2, id="stopped_task_is_not_reported"),
    pytest.param([started("t"), RESULT, updated("t", "running")], None, id="task_goes_on"),
    pytest.param([started("t"), started("u"), RESULT, notified("t"), REPORT], None, id="another_task_runs"),
    pytest.param([started("t"), started("u"), RESULT, notified("t"), notified("u"), REPORT], 5, id="two_tasks"),
    pytest.param([started("t", "local_workflow"), RESULT], None, id="workflow_running"),
    pytest.param([started("t", "local_bash"), RESULT], 1, id="shell_in_the_background"),
    pytest.param([started("t", ambient=True), RESULT], 1, id="housekeeping_task"),
    pytest.param([RESULT, notified("x")], 0, id="report_of_a_task_nobody_knows"),
    pytest.param([tasks("t"), RESULT], None, id="list_of_tasks"),
    pytest.param([tasks("t", kind="local_bash"), RESULT], 1, id="list_of_shells"),
    pytest.param([tasks("t"), tasks(), RESULT], 2, id="list_empty_again"),
    pytest.param([system("background_tasks_changed", tasks=["junk"]), RESULT], 1, id="list_of_junk"),
    pytest.param([RUNNING, INIT, ERROR], 2, id="error_ends_at_once"),
    pytest.param([RUNNING, started("t"), ERROR], None, id="error_with_a_task_running"),
    pytest.param([RUNNING, started("t"), ERROR, IDLE], 3, id="error_with_a_task_then_idle"),
    pytest.param([RUNNING, started("t"), BROKEN_OFF], 2, id="broken_off_with_a_task_running"),
    pytest.param([INIT, REPORT, RESULT], 2, id="a_report_before_the_answer"),
    pytest.param([RUNNING, REPORT, IDLE], 2, id="idle_behind_a_report"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "end"), ENDS)
def test_end(events: list[RawEvent], end: int | None) -> None:
    assert end_of(events) == end


def test_over_stays_over() -> None:
    tracker = TurnTracker()
    for event in (RUNNING, RESULT, IDLE, RUNNING):
        tracker.see(event)
    assert tracker.over


# Each row: what a kept program prints from a turn's beginning on, and the place of the event that ends the turn.
ENDS_OF_KEPT = [
    pytest.param([RUNNING, ECHO, INIT, RESULT, IDLE], 4, id="plain"),
    pytest.param([INIT, ECHO, RESULT], 2, id="without_states"),
    pytest.param([RUNNING, INIT, REPORT, IDLE], None, id="a_report_that_was_under_way"),
    pytest.param([RUNNING, INIT, REPORT, IDLE, RUNNING, ECHO, INIT, RESULT, IDLE], 8, id="a_report_then_the_turn"),
    pytest.param([INIT, REPORT, ECHO, INIT, RESULT], 4, id="a_report_without_states"),
    pytest.param([REPORT, ECHO_OF_ANOTHER, REPORT], None, id="the_echo_of_another_prompt"),
    pytest.param([ECHO, started("t"), RESULT, notified("t"), INIT, REPORT], 5, id="a_report_of_its_own"),
    pytest.param([INIT, result(num_turns=0), ECHO], 1, id="a_command_answers_before_its_echo"),
    pytest.param([RUNNING, ERROR], 1, id="an_error_before_the_echo"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "end"), ENDS_OF_KEPT)
def test_end_in_a_kept_program(events: list[RawEvent], end: int | None) -> None:
    assert end_of(events, PROMPT) == end


# Each row: what is the program's own, and what is the turn's; together they are what was printed.
PARTS = [
    pytest.param([], [], id="nothing"),
    pytest.param([], [RUNNING, ECHO, INIT, RESULT, IDLE], id="a_turn"),
    pytest.param([], [INIT, result(num_turns=0), ECHO], id="a_command_answers_before_its_echo"),
    pytest.param([RUNNING, INIT, REPORT], [IDLE, RUNNING, ECHO, INIT, RESULT, IDLE], id="a_report_before"),
    pytest.param([REPORT, IDLE, INIT, REPORT], [ECHO, RESULT], id="two_reports_before"),
    pytest.param([], [ECHO, RESULT, INIT, REPORT], id="a_report_of_its_own"),
    pytest.param([INIT, REPORT], [ECHO, RESULT, REPORT], id="one_before_and_one_of_its_own"),
    pytest.param([ECHO_OF_ANOTHER, REPORT], [SAID], id="killed_before_it_was_taken_up"),
    pytest.param([], [INIT, RESULT], id="a_program_that_echoes_nothing"),
    pytest.param([], [{"origin": {"kind": "task-notification"}}, ECHO], id="an_origin_is_no_report"),
]


@pytest.mark.parametrize(("own", "turn"), PARTS)
def test_what_a_kept_program_did_of_its_own_accord(own: list[RawEvent], turn: list[RawEvent]) -> None:
    assert own_events([*own, *turn], PROMPT) == (tuple(own), tuple(turn))


# Each row: a real output, and the event that ends its turn.
REAL_ENDS = {
    "json_success": "result",
    "stream_tool_use": "result",
    "live_plain": "idle",
    "live_background_agent": "idle",
    "live_foreground_agent": "idle",
    "live_background_shell": "idle",
    "live_structured": "idle",
    "live_command_cost": "idle",
    "live_command_clear": "idle",
    "live_api_error_529": "result",
    "live_interrupted": "result",
    "live_sigint": "result",
    "live_max_turns": "result",
    "live_max_budget": "result",
    "live_unknown_session": "result",
    "live_config_broken": "result",
    "live_sigterm": None,
}


@pytest.mark.parametrize(("name", "kind"), REAL_ENDS.items(), ids=REAL_ENDS)
def test_end_of_real_turns(name: str, kind: str | None) -> None:
    events = events_of(name)
    place = end_of(events)
    found = None if place is None else events[place].get("state", events[place]["type"])
    assert found == kind


def test_s36_the_report_of_a_background_agent_belongs_to_its_turn() -> None:
    events = events_of("live_background_agent")
    assert end_of(events) == len(events) - 1
    without_states = [event for event in events if event.get("subtype") != "session_state_changed"]
    assert end_of(without_states) == len(without_states) - 1


# --- what is left for the next turn


TOOL_RESULT: RawEvent = {
    "type": "user",
    "uuid": "m2",
    "parent_tool_use_id": None,
    "message": {"content": [{"type": "tool_result", "tool_use_id": "t"}]},
}


@pytest.mark.parametrize(
    ("events", "native_id", "last"),
    [
        pytest.param([], None, None, id="nothing"),
        pytest.param([INIT], "s1", None, id="init"),
        pytest.param([system("init")], None, None, id="init_without_id"),
        pytest.param([INIT, result(session_id="s2")], "s2", None, id="result_has_another_id"),
        pytest.param([RESULT, system("init", session_id="s2")], "s1", None, id="init_after_the_result"),
        pytest.param([INIT, result(session_id=None)], "s1", None, id="result_without_id"),
        pytest.param([RESULT], "s1", None, id="result_alone"),
        pytest.param([ERROR], None, None, id="error_before_the_session_began"),
        pytest.param([INIT, ERROR], "s1", None, id="error_after"),
        pytest.param([SAID], None, "m1", id="message"),
        pytest.param([SAID, {**SAID, "uuid": "m3"}], None, "m3", id="last_message"),
        pytest.param([SAID, {**SAID, "uuid": None}], None, "m1", id="message_without_id"),
        pytest.param([SAID, {**SAID, "uuid": "m3", "parent_tool_use_id": "t"}], None, "m1", id="sub_agent_message"),
        pytest.param([SAID, TOOL_RESULT], None, "m2", id="ends_with_a_tool_result"),
        pytest.param([SAID, {**TOOL_RESULT, "parent_tool_use_id": "t"}], None, "m1", id="tool_result_of_a_sub_agent"),
        pytest.param([SAID, {**TOOL_RESULT, "message": {"content": "words"}}], None, "m1", id="words_of_a_user"),
    ],
)  # fmt: skip
def test_left_for_the_next_turn(events: list[RawEvent], native_id: str | None, last: str | None) -> None:
    found = finish(events)
    assert (found.native_id, found.point) == (native_id, last)


@pytest.mark.parametrize(
    ("events", "begun", "answered"),
    [
        pytest.param([], False, False, id="nothing"),
        pytest.param([RUNNING], False, False, id="not_taken_up"),
        pytest.param([INIT], True, False, id="taken_up"),
        pytest.param([INIT, SAID], True, False, id="in_the_middle"),
        pytest.param([INIT, RESULT], True, True, id="answered"),
        pytest.param([INIT, ERROR], True, False, id="failed"),
        pytest.param([INIT, RESULT, REPORT], True, True, id="with_a_report"),
        pytest.param([INIT, result(num_turns=0)], False, False, id="local_command"),
    ],
)
def test_how_far_it_came(events: list[RawEvent], begun: bool, answered: bool) -> None:
    found = finish(events)
    assert (found.begun, found.answered) == (begun, answered)


def test_finish_of_real_turns() -> None:
    session = "954b1de8-fc68-4652-bfd9-a18650ec0689"
    (tool_result,) = [event["uuid"] for event in events_of("live_structured") if event["type"] == "user"]
    point = str(tool_result)
    assert finish(events_of("live_structured")) == Finish(
        begun=True, answered=True, native_id=session, point=point
    )
    assert finish(events_of("live_unknown_session")) == Finish()
    assert not finish(events_of("live_command_clear")).begun
    assert not finish(events_of("live_interrupted")).answered


# --- results


@pytest.mark.parametrize(
    ("fields", "failed"),
    [
        pytest.param(
            {"subtype": "success", "is_error": False, "terminal_reason": "completed"}, False, id="good"
        ),
        pytest.param({}, False, id="bare"),
        pytest.param({"subtype": "success", "is_error": True}, True, id="api_error"),
        pytest.param({"subtype": "error_max_turns"}, True, id="subtype"),
        pytest.param({"terminal_reason": "aborted_tools"}, True, id="aborted"),
    ],
)
def test_is_failure(fields: dict[str, object], failed: bool) -> None:
    assert is_failure(fields) is failed


def assistant(model: str) -> RawEvent:
    return {"type": "assistant", "message": {"model": model}}


USED_NOTHING = result(num_turns=0) | {"model_usage_since_last_result": {}}
USED = result(num_turns=0) | {"model_usage_since_last_result": {"opus": {}}}


@pytest.mark.parametrize(
    ("event", "events", "local"),
    [
        pytest.param(result(num_turns=0), [], True, id="no_turns"),
        pytest.param(result(num_turns=1), [], False, id="a_turn"),
        pytest.param(result(), [], False, id="turns_unknown"),
        pytest.param(result(num_turns=0, is_error=True), [], False, id="an_error"),
        pytest.param(USED_NOTHING, [assistant("opus")], True, id="used_nothing"),
        pytest.param(USED, [], False, id="asked_a_model"),
        pytest.param({**USED, "local_command": "compact", "result": ""}, [], True, id="compact"),
        pytest.param({**USED, "local_command": "review"}, [], False, id="review"),
        pytest.param(result(num_turns=0, modelUsage={"opus": {}}), [], True, id="totals_of_earlier_turns"),
        pytest.param(result(num_turns=0, usage={"output_tokens": 3}), [], False, id="older_program_used_tokens"),
        pytest.param(result(num_turns=0), [assistant("opus")], False, id="older_program_asked_a_model"),
        pytest.param(result(num_turns=0), [assistant("<synthetic>")], True, id="older_program_spoke_itself"),
    ],
)  # fmt: skip
def test_is_local_command(event: RawEvent, events: list[RawEvent], local: bool) -> None:
    assert is_local_command(event, events) is local


@pytest.mark.parametrize("name", ["cost", "clear", "compact", "context"])
def test_real_local_commands(name: str) -> None:
    events = events_of(f"live_command_{name}")
    (answer,) = [event for event in events if event["type"] == "result"]
    assert is_local_command(answer, events)


def test_a_real_command_that_asked_a_model() -> None:
    events = events_of("live_command_review")
    assert not is_local_command(events[-2], events)
