"""What is written of a turn: every fact of it, none of its secrets."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from mcp_coder.llm_errors import (
    AgentError,
    InterruptedTurnError,
    LimitReachedError,
    LLMError,
    LLMTimeoutError,
    PermissionDeniedError,
    RateLimitError,
)
from mcp_coder.llm_events import Usage
from mcp_coder.llm_providers.base import Agent, Entry, Finish, Outcome, TurnBegun, TurnFiles
from mcp_coder.llm_requests import TurnRequest, new_request
from mcp_coder.llm_sessions.records import WARM, CleanEvents, Reading, ending_from, new_turn, request_of
from mcp_coder.llm_store.redact import Redactor
from mcp_coder.llm_types import LLMResponseDict

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECRET = "the-password-of-this-test"
REDACTOR = Redactor(secrets=(SECRET,))
AGENT = Agent(program="/bin/claude", version="2.1.330", config_dir="/home/me/.claude", env={"KEY": SECRET})
ENTRY = Entry(first_id="first", resume="native", cwd="/home/me/project")


def begun(request: TurnRequest, entry: Entry = ENTRY, source_id: str | None = None) -> TurnBegun:
    files = TurnFiles(turn_id="turn", directory="/state/turn", output="/state/turn/o", errors="/state/turn/e")
    return TurnBegun(
        turn_id="turn", request=request, entry=entry, agent=AGENT, files=files, source_id=source_id
    )


def journal_of(request: TurnRequest, entry: Entry = ENTRY, source_id: str | None = None) -> Any:
    return new_turn(
        begun(request, entry, source_id),
        started_at=NOW,
        host="here",
        project="/home/me",
        carried=["earlier"],
        baseline={"first": True},
        redactor=REDACTOR,
    )


def test_the_journal_has_what_was_asked_and_where() -> None:
    turn = journal_of(new_request("Hello", session="nightly", method="api", model="haiku"))
    assert (turn.turn_id, turn.session_id, turn.native_id, turn.session_name) == (
        "turn",
        "first",
        "native",
        "nightly",
    )
    assert (turn.prompt, turn.method, turn.model, turn.provider) == ("Hello", "api", "haiku", "claude")
    assert (turn.cwd, turn.project, turn.config_dir) == ("/home/me/project", "/home/me", "/home/me/.claude")
    assert (turn.agent_version, turn.host, turn.directory) == ("2.1.330", "here", "/state/turn")
    assert (turn.carried, turn.baseline, turn.redactions) == (("earlier",), {"first": True}, 0)
    assert (turn.parent_id, turn.parent_point) == (None, None)


def test_the_journal_of_a_fork_names_its_parent_and_not_the_parents_name() -> None:
    entry = dataclasses.replace(ENTRY, begin="new", fork=True, resume_at="point")
    turn = journal_of(new_request("Hello", session="nightly", fork=True), entry, "parent")
    assert (turn.parent_id, turn.parent_point, turn.session_name) == ("parent", "point", None)


def test_only_options_that_were_given_are_kept_as_plain_json() -> None:
    request = new_request(
        "Hello", allowed_tools=["Read", "Edit"], max_turns=3, env={"B": "1", "A": SECRET}, fork=False
    )
    assert journal_of(request).options == {
        "allowed_tools": ["Read", "Edit"],
        "max_turns": 3,
        "env": ["A", "B"],
    }
    assert journal_of(new_request("Hello", model="haiku", cwd="/")).options == {}


def test_the_journal_says_that_an_agent_is_kept_and_no_option_comes_of_it() -> None:
    turn = new_turn(
        dataclasses.replace(begun(new_request("Hello", max_turns=3)), kept=True),
        started_at=NOW,
        host="here",
        project="/home/me",
        carried=[],
        baseline={},
        redactor=REDACTOR,
    )
    assert turn.options == {"max_turns": 3, WARM: True}
    assert WARM not in journal_of(new_request("Hello", max_turns=3)).options
    assert request_of(turn.prompt, turn.options) == new_request("Hello")


def test_no_secret_is_written_and_each_is_counted() -> None:
    turn = journal_of(new_request(f"use {SECRET}", append_system_prompt=f"it is {SECRET}"))
    assert SECRET not in repr(turn)
    assert turn.redactions == 2


@pytest.mark.parametrize("choice", [False, ["ACME-[0-9]+"], ("ACME-[0-9]+",)])
def test_what_is_to_be_taken_out_is_kept_for_whoever_writes_the_record(choice: Any) -> None:
    turn = new_turn(
        begun(new_request("Hello")),
        started_at=NOW,
        host="here",
        project="/",
        carried=(),
        baseline={},
        redactor=REDACTOR,
        redact=choice,
    )
    assert turn.options == {"redact": choice and ["ACME-[0-9]+"]}


def test_a_pattern_that_spells_a_secret_out_is_not_kept() -> None:
    turn = new_turn(
        begun(new_request("Hello")),
        started_at=NOW,
        host="here",
        project="/",
        carried=(),
        baseline={},
        redactor=REDACTOR,
        redact=[SECRET, "ACME"],
    )
    assert turn.options == {"redact": ["ACME"]}


def test_what_judging_takes_comes_back_from_the_journal() -> None:
    asked = new_request("Hello", json_schema={"type": "object"}, require_mcp=["files"], on_denial="error")
    again = request_of("Hello", journal_of(asked).options)
    assert (again.question, again.json_schema, again.require_mcp, again.on_denial) == (
        "Hello",
        {"type": "object"},
        ("files",),
        "error",
    )
    plain = request_of("Hello", {})
    assert (plain.json_schema, plain.require_mcp, plain.on_denial) == (None, (), "record")


RESPONSE: LLMResponseDict = {
    "version": "1.0",
    "timestamp": NOW.isoformat(),
    "text": f"it is {SECRET}",
    "session_id": "first",
    "method": "cli",
    "provider": "claude",
    "raw_response": {"result": f"it is {SECRET}", "uuid": "id"},
}
READING = Reading(
    usage=Usage(input_tokens=3, cost_usd=Decimal("0.5")),
    version=1,
    counter={"total": 1},
    model="haiku",
    finish=Finish(begun=True, answered=True, native_id="native 2", point="message"),
)


def ending_of(
    response: LLMResponseDict | None = None,
    error: LLMError | None = None,
    reading: Reading = READING,
    clean_events: CleanEvents | None = None,
    **printed: Any,
) -> Any:
    printed = printed or {"events": ({"type": "result", "result": SECRET},)}
    return ending_from(
        Outcome(entry=ENTRY, agent=AGENT, method="cli", **printed),
        ended_at=NOW,
        response=response,
        error=error,
        notices=["a notice"],
        reading=reading,
        redactor=REDACTOR,
        clean_events=clean_events,
    )


def test_what_an_agent_did_between_turns_is_kept_before_the_turn() -> None:
    report, answer = {"type": "result", "result": f"report {SECRET}"}, {"type": "result", "result": "answer"}
    ending = ending_of(RESPONSE, between=(report,), events=(answer,))
    assert [event["result"] for event in ending.events] == [f"report {REDACTOR.text(SECRET)[0]}", "answer"]


def test_an_answer_is_recorded_without_secrets_and_left_as_it_is() -> None:
    ending = ending_of(RESPONSE)
    assert (ending.state, ending.error) == ("succeeded", None)
    assert SECRET not in repr(ending)
    assert ending.redactions == 3
    assert ending.text == ending.response["text"] == ending.response["raw_response"]["result"]
    assert RESPONSE["text"] == f"it is {SECRET}"
    assert (ending.usage, ending.reading, ending.counter) == (READING.usage, 1, {"total": 1})
    assert (ending.model, ending.native_id, ending.point) == ("haiku", "native 2", "message")
    assert ending.notices == ("a notice",)


def test_a_turn_without_an_answer_is_no_point_to_fork_at() -> None:
    reading = dataclasses.replace(READING, finish=Finish(begun=True, native_id="native", point="message"))
    assert ending_of(error=AgentError("failed"), reading=reading).point is None


def limit_reached() -> LimitReachedError:
    error = LimitReachedError("too many turns")
    error.limit = "turns"
    return error


@pytest.mark.parametrize(
    ("error", "state", "told"),
    [
        (RateLimitError("slow down", status=429), "failed", {"status": 429, "retryable": True}),
        (AgentError("broke", returncode=3), "failed", {"returncode": 3, "retryable": False}),
        (limit_reached(), "failed", {"limit": "turns"}),
        (LLMTimeoutError("too long", kind="inactivity"), "interrupted", {"kind": "inactivity"}),
        (InterruptedTurnError("stopped"), "interrupted", {"class": "InterruptedTurnError"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, LLMError) else None,
)
def test_an_error_is_recorded_as_the_caller_was_told_it(
    error: LLMError, state: str, told: dict[str, object]
) -> None:
    ending = ending_of(error=error)
    assert (ending.state, ending.text, ending.response) == (state, "", None)
    assert told.items() <= ending.error.items()
    assert ending.error["message"] == error.message
    assert None not in ending.error.values()


def test_an_answer_that_an_error_withheld_is_kept() -> None:
    ending = ending_of(error=PermissionDeniedError("denied", response=RESPONSE))
    assert (ending.state, ending.text) == ("failed", ending.response["text"])
    assert SECRET not in repr(ending)


# --- events that were cleaned ahead


class Counting(Redactor):
    """A redactor that counts what it is asked to clean."""

    asked = 0

    def value(self, value: Any) -> tuple[Any, int]:
        Counting.asked += 1
        return super().value(value)


def test_each_event_is_cleaned_once_and_in_its_place() -> None:
    Counting.asked = 0
    clean = CleanEvents(Counting(secrets=(SECRET,)))
    events: list[dict[str, object]] = [{"at": number, "said": f"{number} {SECRET}"} for number in range(4)]
    growing = events[:1]
    clean.take(growing)
    growing += events[1:3]
    clean.take(growing)
    clean.take(growing)
    assert Counting.asked == 3
    written, found = clean.all_of([events[3], *events[:3]])
    assert (found, Counting.asked) == (4, 4)
    assert [event["at"] for event in written] == [3, 0, 1, 2]
    assert SECRET not in repr(written)
    assert events[0]["said"] == f"0 {SECRET}"


def test_lists_that_grow_side_by_side_are_taken_each_for_itself() -> None:
    Counting.asked = 0
    clean = CleanEvents(Counting(secrets=(SECRET,)))
    events: list[dict[str, object]] = [{"at": number} for number in range(3)]
    messages: list[dict[str, object]] = [{"message": number} for number in range(3)]
    clean.take(events[:1], messages[:0])
    clean.take(events, messages[:2])
    clean.take(events, messages)
    assert Counting.asked == 6
    assert clean.all_of([*events, *messages]) == ([*events, *messages], 0)
    assert Counting.asked == 6


RAWS = {
    "nothing": {},
    "a result": {"type": "result", "result": f"it is {SECRET}", "permission_denials": []},
    "messages": {
        "session_info": {"tools": ["Read", SECRET], "session_id": "s"},
        "raw_messages": [{"type": "system", "data": {"text": SECRET}}, {"type": "result", "uuid": "u"}],
        "result_info": {"result": SECRET},
    },
    "lists of other things": {"numbers": [1, 2], "mixed": [{"a": SECRET}, SECRET], "texts": [SECRET]},
    "keys with secrets": {SECRET: [{"a": 1}], f"{SECRET} ": [{SECRET: SECRET}], "z": SECRET},
}


@pytest.mark.parametrize("raw", RAWS.values(), ids=RAWS)
def test_a_raw_response_is_cleaned_as_one_value_would_be(raw: dict[str, object]) -> None:
    before = repr(raw)
    clean = CleanEvents(REDACTOR).response(raw)
    assert clean == REDACTOR.value(raw)
    assert list(clean[0]) == list(REDACTOR.value(raw)[0])
    assert clean[0] is not raw
    assert repr(raw) == before


def test_messages_in_a_raw_response_are_cleaned_once() -> None:
    messages: list[dict[str, object]] = [{"text": f"{number} {SECRET}"} for number in range(2)]
    Counting.asked = 0
    clean = CleanEvents(Counting(secrets=(SECRET,)))
    clean.take([], messages)
    raw, found = clean.response({"raw_messages": messages, "session_info": {}})
    assert (found, Counting.asked) == (2, 3)
    assert raw == {"raw_messages": clean.all_of(messages)[0], "session_info": {}}


def test_what_holds_no_secret_is_the_very_event() -> None:
    event = {"type": "system"}
    (written,), found = CleanEvents(REDACTOR).all_of([event])
    assert (written is event, found) == (True, 0)


def test_an_ending_is_the_same_whether_its_events_were_cleaned_ahead_or_not() -> None:
    events = ({"type": "assistant", "text": SECRET}, dict(RESPONSE["raw_response"]))
    endings = []
    for ahead in ((), events[:1], events):
        clean = CleanEvents(REDACTOR)
        clean.take(ahead)
        endings.append(ending_of(RESPONSE, clean_events=clean, between=({"type": "user"},), events=events))
    assert endings[0] == endings[1] == endings[2]
    assert endings[0].redactions == 4
    assert SECRET not in repr(endings[0])
    # The raw response is one of the events: cleaned once, and a record of its own all the same.
    assert endings[0].response is not None
    raw = endings[0].response["raw_response"]
    assert raw == endings[0].events[-1]
    assert raw is not endings[0].events[-1]
