"""Turns that nobody ended: judged by what their agents left, once, and never while they are under way."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.llm_sessions.recorded import assistant, begin, end, left_output, result

from mcp_coder.llm_errors import StoreError
from mcp_coder.llm_providers import provider_named
from mcp_coder.llm_providers.cards import Card
from mcp_coder.llm_providers.leases import Lease, lease_directory
from mcp_coder.llm_providers.turn_files import keep_for_record
from mcp_coder.llm_sessions.records import WARM
from mcp_coder.llm_sessions.recovery import Recovered, recover, settle_left_turns, settle_turn
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store, TurnRecord

SESSION = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"
CLAUDE = provider_named("claude")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path / "home"))
    opened = open_store("memory:")
    yield opened
    opened.close()


@pytest.fixture
def config_dir(tmp_path: Path) -> str:
    place = tmp_path / "config"
    place.mkdir()
    return str(place)


def left(store: Store, events: Any, config_dir: str | None = None, **fields: Any) -> TurnRecord:
    """Leave a turn as one whose caller was killed."""
    turn_id, directory = left_output(events)
    keep_for_record(directory, {"store": store.url, "session_id": SESSION})
    return begin(store, SESSION, turn_id=turn_id, directory=directory, config_dir=config_dir, **fields)


def recovered(store: Store, **options: Any) -> list[Recovered]:
    return list(recover(store, wait=1, **options))


FAILED = result(
    SESSION, "API Error: 529 overloaded", is_error=True, api_error_status=529, terminal_reason="api_error"
)

LEFT: dict[str, tuple[Any, str, str]] = {
    "an answer": ([assistant(SESSION), result(SESSION)], "succeeded", "an answer"),
    "a failure": ([FAILED], "failed", ""),
    "half an answer": ([assistant(SESSION)], "interrupted", ""),
    "nothing printed": ([], "unknown", ""),
    "no output": (None, "unknown", ""),
}


@pytest.mark.parametrize("case", LEFT)
@pytest.mark.parametrize("method", ["cli", "api"])
def test_a_turn_is_settled_by_what_was_printed(store: Store, config_dir: str, case: str, method: str) -> None:
    events, state, text = LEFT[case]
    turn = left(store, events, config_dir, method=method)
    (found,) = recovered(store)
    assert (found.state, found.number, found.session_id, found.why) == (state, 1, SESSION, "")
    settled = store.turn(turn.turn_id)
    assert (settled.state, settled.text) == (state, text)
    assert settled.notices == ("recorded afterwards: its caller had died",)
    assert store.events(turn.turn_id) == tuple(events or ())
    assert not os.path.exists(turn.directory or "")
    response = store.response(turn.turn_id)
    assert (response is not None) == (state == "succeeded")
    if response is not None:
        assert (response["method"], response["session_id"], response["text"]) == (method, SESSION, text)
    assert recovered(store) == []


REPORT = result(SESSION, "a report", origin={"kind": "task-notification"}, uuid="another")


@pytest.mark.parametrize(
    ("turn_of_its_own", "state", "text"),
    [
        pytest.param([assistant(SESSION), result(SESSION)], "succeeded", "an answer", id="answered"),
        pytest.param([assistant(SESSION)], "interrupted", "", id="in the middle"),
        pytest.param([], "unknown", "", id="not taken up"),
    ],
)
def test_what_a_kept_agent_did_of_its_own_accord_is_no_answer(
    store: Store, config_dir: str, turn_of_its_own: list[Any], state: str, text: str
) -> None:
    turn = left(store, [REPORT, *turn_of_its_own], config_dir, options={WARM: True})
    assert [each.state for each in recovered(store)] == [state]
    settled = store.turn(turn.turn_id)
    assert (settled.state, settled.text) == (state, text)
    if state != "unknown":
        assert store.events(turn.turn_id) == (REPORT, *turn_of_its_own)


def test_the_time_of_an_answer_is_when_it_was_printed(store: Store, config_dir: str) -> None:
    turn = left(store, [result(SESSION)], config_dir)
    os.utime(Path(turn.directory or "", "output.jsonl"), (1_800_000_000, 1_800_000_000))
    recovered(store)
    assert store.turn(turn.turn_id).ended_at == datetime.fromtimestamp(1_800_000_000, UTC)


def test_a_turn_that_the_agent_never_entered_is_no_turn(store: Store, config_dir: str) -> None:
    refused = {
        "type": "result",
        "subtype": "error_during_execution",
        "is_error": True,
        "errors": [f"No conversation found with session ID: {SESSION}"],
        "session_id": SESSION,
    }
    left(store, [refused], config_dir)
    assert [each.state for each in recovered(store)] == ["discarded"]
    assert list(store.sessions()) == []


def test_what_judging_takes_is_in_the_journal(store: Store, config_dir: str) -> None:
    turn = left(store, [result(SESSION)], config_dir, options={"require_mcp": ["files"]})
    assert [each.state for each in recovered(store)] == ["failed"]
    error = store.turn(turn.turn_id).error
    assert error is not None
    assert "required MCP servers" in str(error["message"])
    assert store.turn(turn.turn_id).text == "an answer"  # it was paid for


@pytest.mark.parametrize(
    ("redact", "text"), [([r"ACME-\d+"], "[redacted"), (False, "it is ACME-1234"), (None, "it is ACME-1234")]
)
def test_it_is_redacted_as_its_caller_wanted(
    store: Store, config_dir: str, redact: object, text: str
) -> None:
    options = {} if redact is None else {"redact": redact}
    turn = left(store, [result(SESSION, "it is ACME-1234")], config_dir, options=options)
    recovered(store)
    assert text in store.turn(turn.turn_id).text


def test_a_turn_under_way_is_left_alone(store: Store, config_dir: str) -> None:
    turn = left(store, [assistant(SESSION)], config_dir)
    lease = Lease.take(lease_directory(config_dir), SESSION, wait=0)
    try:
        (found,) = recovered(store)
        # This very thread holds it, as a caller in the middle of its turn does.
        assert (found.state, found.why) == ("started", "it is under way")
        assert store.turn(turn.turn_id).state == "started"
        assert os.path.exists(turn.directory or "")
    finally:
        lease.release()
    assert [each.state for each in recovered(store)] == ["interrupted"]


def test_a_turn_of_another_machine_is_left_alone(store: Store, config_dir: str) -> None:
    begin(store, SESSION, host="elsewhere", directory="/nowhere/turn", config_dir=config_dir)
    (found,) = recovered(store)
    assert (found.state, "elsewhere" in found.why) == ("started", True)


def test_a_session_whose_lease_cannot_be_had_is_left_alone(store: Store, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "mcp_coder" / f"{SESSION}.lock").mkdir(parents=True)
    left(store, [result(SESSION)], str(broken))
    (found,) = recovered(store)
    assert found.state == "started"
    assert "lease" in found.why


def test_a_turn_of_an_agent_that_is_not_known_here_is_left_alone(store: Store, config_dir: str) -> None:
    left(store, [result(SESSION)], config_dir, provider="another")
    (found,) = recovered(store)
    assert (found.state, "another" in found.why) == ("started", True)


def test_only_one_session_where_one_is_named(store: Store, config_dir: str) -> None:
    left(store, [result(SESSION)], config_dir)
    assert recovered(store, session_id="another") == []
    assert len(recovered(store, session_id=SESSION)) == 1


def test_it_stops_when_it_is_told_to(store: Store, config_dir: str) -> None:
    left(store, [result(SESSION)], config_dir)
    assert recovered(store, stop=lambda: True) == []
    assert store.check().unfinished == 1


def test_the_card_of_the_dead_turn_is_settled_too(store: Store, config_dir: str) -> None:
    turn = left(store, [assistant(SESSION), result(SESSION)], config_dir)
    directory = lease_directory(config_dir)
    lease = Lease.take(directory, SESSION, wait=0)
    agent = {"pid": 2**22 + 1, "started": 1.0, "boot": "another"}
    lease.write_card(
        Card(
            first_id=SESSION,
            native_id=SESSION,
            config_dir=config_dir,
            agent=agent,
            turn_id=turn.turn_id,
            directory=turn.directory,
        )
    )
    lease.release()
    recovered(store)
    card = lease.card()
    assert card is not None
    assert (card.finished, dict(card.agent), card.turn_id) == (1, {}, None)


def test_a_turn_ends_once(store: Store, config_dir: str) -> None:
    turn = left(store, [result(SESSION, "the agent's")], config_dir)
    end(store, turn, text="the caller's")
    assert settle_turn(store, CLAUDE, turn) == "succeeded"
    assert store.turn(turn.turn_id).text == "the caller's"


def test_the_dead_turns_of_a_session_that_is_ours(store: Store, config_dir: str) -> None:
    for text in ("one", "two"):
        left(store, [result(SESSION, text)], config_dir)
    settle_left_turns(store, CLAUDE, SESSION)
    assert [(turn.state, turn.text) for turn in store.turns(SESSION)] == [
        ("succeeded", "one"),
        ("succeeded", "two"),
    ]


def test_files_of_turns_that_were_recorded_are_swept(store: Store, config_dir: str) -> None:
    turn = left(store, [result(SESSION)], config_dir)
    end(store, turn)  # and killed before the files were removed
    other_id, others = left_output([])
    keep_for_record(others, {"store": "sqlite:////another", "session_id": SESSION})
    assert recovered(store) == []
    assert not os.path.exists(turn.directory or "")
    assert os.path.exists(others), other_id


def test_a_store_that_fails_is_told(store: Store, config_dir: str) -> None:
    left(store, [result(SESSION)], config_dir)

    class Full:
        def __getattr__(self, name: str) -> Any:
            if name == "end_turn":
                raise StoreError("the disk is full")
            return getattr(store, name)

    with pytest.raises(StoreError):
        list(recover(Full()))
    assert store.check().unfinished == 1
    assert [each.state for each in recovered(store)] == ["succeeded"]


def test_records_are_plain() -> None:
    assert dataclasses.asdict(Recovered(turn_id="t", session_id="s", number=1, state="unknown")) == {
        "turn_id": "t",
        "session_id": "s",
        "number": 1,
        "state": "unknown",
        "why": "",
    }
