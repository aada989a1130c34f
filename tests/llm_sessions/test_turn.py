"""The whole turn: journaled before the prompt, recorded before the answer; no answer is lost to a store."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.llm_errors import (
    InvalidRequestError,
    NotRecordedWarning,
    ResponseFormatError,
    SessionNotFoundError,
    StoreError,
)
from mcp_coder.llm_events import SessionStarted, TurnEvent
from mcp_coder.llm_requests import new_request
from mcp_coder.llm_sessions import stores
from mcp_coder.llm_sessions.records import CleanEvents
from mcp_coder.llm_sessions.turn import project_of, record_turn
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store, TurnRecord
from mcp_coder.testing import Exit, FakeClaude, Print, Turn, WaitForPrompt

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def fake(fake_claude: FakeClaude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClaude]:
    monkeypatch.chdir(tmp_path)
    yield fake_claude
    stores.close_all()


@pytest.fixture
def store(fake: FakeClaude) -> Iterator[Store]:
    opened = open_store("memory:")
    yield opened
    opened.close()


class Faulty:
    """A store that fails at one of its methods, as on a full disk; all else goes to a real one."""

    def __init__(self, store: Store, method: str, error: Exception | None = None) -> None:
        self._store, self._method, self._error = store, method, error or StoreError("the disk is full")

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == self._method else getattr(self._store, name)

    def _fail(self, *_: object, **__: object) -> None:
        raise self._error


def turns(store: Store) -> list[TurnRecord]:
    return [turn for session in store.sessions() for turn in store.turns(session.session_id)]


def test_the_journal_is_written_before_the_prompt_is_handed_over(fake: FakeClaude, store: Store) -> None:
    states: list[list[str]] = []

    def watch(event: TurnEvent) -> None:
        if isinstance(event, SessionStarted):
            states.append([turn.state for turn in turns(store)])

    answer = record_turn(new_request("Hello", timeout=30), store=store, observe=watch)
    assert states == [["started"]]
    (turn,) = turns(store)
    assert (turn.state, turn.prompt, turn.text) == ("succeeded", "Hello", answer["text"])


def test_what_is_made_ready_ahead_breaks_no_turn(
    fake: FakeClaude, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: CleanEvents, *_printed: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(CleanEvents, "take", fail)
    answer = record_turn(new_request("Hello", timeout=30), store=store)
    (turn,) = turns(store)
    assert (turn.state, turn.text) == ("succeeded", answer["text"])
    assert [event["type"] for event in store.events(turn.turn_id)] == ["system", "assistant", "result"]


def test_a_redactor_of_the_callers(fake: FakeClaude, store: Store) -> None:
    fake.script(Turn(text="it is ACME-1234"))
    answer = record_turn(new_request("Is it ACME-1234?", timeout=30), store=store, redact=[r"ACME-\d+"])
    (turn,) = turns(store)
    assert answer["text"] == "it is ACME-1234"
    assert "ACME" not in turn.prompt + turn.text
    record_turn(new_request("Is it ACME-1234?", timeout=30), store=store, redact=False)
    assert "Is it ACME-1234?" in [turn.prompt for turn in turns(store)]


def test_a_broken_pattern_starts_nothing(fake: FakeClaude, store: Store) -> None:
    with pytest.raises(InvalidRequestError):
        record_turn(new_request("Hello", timeout=30), store=store, redact=["("])
    assert fake.calls() == []


def test_a_session_that_is_unknown_leaves_no_record(fake: FakeClaude, store: Store) -> None:
    refused = {
        "type": "result",
        "subtype": "error_during_execution",
        "is_error": True,
        "errors": [f"No conversation found with session ID: {UNKNOWN}"],
    }
    fake.script(WaitForPrompt(), Print(refused))
    with pytest.raises(SessionNotFoundError):
        record_turn(new_request("Hello", session_id=UNKNOWN, timeout=30), store=store)
    assert list(store.sessions()) == []


def test_a_turn_that_was_stopped_before_its_prompt_leaves_no_record(fake: FakeClaude, store: Store) -> None:
    asked = []

    def stop() -> bool:
        asked.append(1)
        return bool(turns(store))  # as soon as it is journaled

    with pytest.raises(Exception, match="stopped"):
        record_turn(new_request("Hello", timeout=30), store=store, stop=stop)
    assert list(store.sessions()) == []
    assert asked


def test_a_named_store_that_fails_before_the_prompt(fake: FakeClaude, store: Store) -> None:
    fake.script(WaitForPrompt(), Print({"type": "never"}))
    with pytest.raises(StoreError, match="nothing was sent") as caught:
        record_turn(new_request("Hello", timeout=30), store=Faulty(store, "begin_turn"))
    assert caught.value.session_id is not None
    assert caught.value.response is None
    assert [call.prompts for call in fake.calls()] in ([], [[]])


@pytest.mark.parametrize("error", [None, ValueError("a fault of ours")], ids=["full", "fault"])
def test_a_named_store_that_fails_behind_the_answer(
    fake: FakeClaude, store: Store, error: Exception | None
) -> None:
    with pytest.raises(StoreError, match="sessions recover") as caught:
        record_turn(new_request("Hello", timeout=30), store=Faulty(store, "end_turn", error))
    assert caught.value.response is not None
    assert caught.value.response["text"] == "You said: Hello"
    (turn,) = turns(store)
    assert (turn.state, turn.turn_id) == ("started", caught.value.turn_id)
    assert os.path.exists(os.path.join(turn.directory or "", "output.jsonl"))


def test_the_error_of_a_turn_is_told_even_where_it_cannot_be_recorded(fake: FakeClaude, store: Store) -> None:
    fake.script(Turn(prints_result=False, prints_assistant=False), Exit(0))
    with pytest.raises(ResponseFormatError) as caught:
        record_turn(new_request("Hello", timeout=30), store=Faulty(store, "end_turn"))
    assert "could not be recorded" in "".join(caught.value.__notes__)


class _Default:
    """The default store of this test, made to fail at a method."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        from mcp_coder.llm_store.sqlite import SQLiteStore

        def fail(*_: object, **__: object) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(SQLiteStore, method, fail)


@pytest.mark.parametrize("method", ["begin_turn", "end_turn"])
def test_a_default_store_that_fails_is_a_warning(
    fake: FakeClaude, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    _Default(monkeypatch, method)
    with pytest.warns(NotRecordedWarning, match="the disk is full") as told:
        assert record_turn(new_request("Hello", timeout=30))["text"] == "You said: Hello"
    assert len(told) == 1


def test_where_warnings_are_errors_the_answer_is_in_the_error(
    fake: FakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Default(monkeypatch, "end_turn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(StoreError) as caught:
            record_turn(new_request("Hello", timeout=30))
    assert caught.value.response is not None


def test_a_fault_of_ours_in_the_journal_breaks_no_call(
    fake: FakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr("mcp_coder.llm_sessions.turn.new_turn", fail)
    with pytest.warns(NotRecordedWarning, match="a fault of ours"):
        assert record_turn(new_request("Hello", timeout=30))["text"] == "You said: Hello"
    with pytest.raises(StoreError, match="a fault of ours"):
        record_turn(new_request("Hello", timeout=30), store=f"sqlite:///{os.getcwd()}/named.sqlite")


def test_a_place_that_cannot_be_marked_takes_the_journal_back(
    fake: FakeClaude, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mcp_coder.llm_sessions.turn.keep_for_record", refuse)
    with pytest.raises(StoreError, match="No space left"):
        record_turn(new_request("Hello", timeout=30), store=store)
    assert list(store.sessions()) == []


def test_the_project_of_a_directory(tmp_path: Path) -> None:
    below = tmp_path / "project" / "src" / "deep"
    below.mkdir(parents=True)
    assert project_of(str(below)) == str(below)
    (tmp_path / "project" / ".git").mkdir()
    assert project_of(str(below)) == str(tmp_path / "project")
    (tmp_path / "project" / "src" / ".git").write_text("gitdir: elsewhere")  # a worktree, or a submodule
    assert project_of(str(below)) == str(tmp_path / "project" / "src")
    assert project_of("") == ""
