"""The bare turn: its order, its clocks, and what it leaves behind."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcp_coder.llm_errors import (
    AgentNotFoundError,
    InterruptedTurnError,
    InvalidRequestError,
    LLMError,
    LLMTimeoutError,
    SessionError,
    SessionNotFoundError,
)
from mcp_coder.llm_events import Notice, TurnEvent
from mcp_coder.llm_providers.base import Capabilities, TurnBegun, TurnEnded
from mcp_coder.llm_providers.cards import Card
from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.leases import Lease, lease_directory, read_card
from mcp_coder.llm_providers.run import run_turn
from mcp_coder.llm_providers.sessions import named_session_id
from mcp_coder.llm_providers.stopping import stop_all
from mcp_coder.llm_providers.turn_files import keep_for_record
from mcp_coder.llm_providers.warm import WarmAgent
from mcp_coder.llm_requests import new_request
from mcp_coder.llm_types import LLMResponseDict
from mcp_coder.testing import Exit, FakeClaude, Hang, LeaveChild, Print, Sleep, Stderr, Turn, WaitForPrompt

PROVIDER = ClaudeProvider()


@pytest.fixture(autouse=True)
def nothing_is_left(fake_claude: FakeClaude) -> Iterator[None]:
    """Hold after each test here: no program, no private file."""
    yield
    left = [
        pid for call in fake_claude.calls() for pid in (call.pid, *call.children) if psutil.pid_exists(pid)
    ]
    assert [pid for pid in left if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE] == []
    turns = Path(os.environ["MCP_CODER_HOME"], "turns")
    assert not turns.exists() or list(turns.iterdir()) == []


def ask(**arguments: object) -> LLMResponseDict:
    return run_turn(PROVIDER, new_request("hello", **arguments))


def card_of(session_id: str | None) -> Card | None:
    return read_card(lease_directory(os.path.realpath(os.environ["CLAUDE_CONFIG_DIR"])), session_id or "")


def write_transcript(session_id: str) -> None:
    """Let it look as if the agent knew the session."""
    transcript = Path(os.environ["CLAUDE_CONFIG_DIR"], "projects", "x", f"{session_id}.jsonl")
    transcript.parent.mkdir(parents=True)
    transcript.write_text("{}\n")


def unknown_session() -> tuple[Print, Stderr, Exit]:
    text = "No conversation found with session ID: {{resume}}"
    result = {
        "type": "result",
        "subtype": "error_during_execution",
        "is_error": True,
        "num_turns": 0,
        "session_id": "{{uuid}}",
        "errors": [text],
    }
    return Print(result), Stderr(text + "\n"), Exit(1)


def test_hooks_and_prompt_come_in_order(fake_claude: FakeClaude) -> None:
    order: list[str] = []

    def before_feed(turn: TurnBegun) -> None:
        calls = fake_claude.wait_for(lambda calls: len(calls) == 1)
        assert calls[0].lines == ()
        card = card_of(turn.entry.first_id)
        assert card is not None
        assert card.agent["pid"] == calls[0].pid
        assert card.directory == turn.files.directory
        order.append(f"begun {turn.request.question}")

    def after_judge(turn: TurnEnded) -> None:
        assert turn.response is not None
        assert not psutil.pid_exists(fake_claude.calls()[0].pid)
        order.append(f"ended {turn.response['text']}")

    run_turn(PROVIDER, new_request("hello"), before_feed=before_feed, after_judge=after_judge)
    assert order == ["begun hello", "ended You said: hello"]


def test_what_was_printed_is_shown_while_the_agent_works(fake_claude: FakeClaude) -> None:
    tick = Print({"type": "tick"})
    fake_claude.script(WaitForPrompt(), tick, Sleep(0.2), tick, Sleep(0.2), Turn(waits_for_prompt=False))
    seen: list[list[str]] = []
    run_turn(
        PROVIDER,
        new_request("hello"),
        as_printed=lambda printed: seen.append([str(event["type"]) for event in printed[0]]),
    )
    assert ["tick"] in seen
    assert ["tick", "tick"] in seen
    assert not any("result" in printed for printed in seen)


def test_a_hook_that_fails_stops_the_turn_before_the_prompt(fake_claude: FakeClaude) -> None:
    def refuse(_turn: TurnBegun) -> None:
        fake_claude.wait_for(lambda calls: len(calls) == 1)
        raise ValueError("no journal")

    with pytest.raises(ValueError, match="no journal"):
        run_turn(PROVIDER, new_request("hello"), before_feed=refuse)
    assert fake_claude.calls()[0].prompts == []


def test_a_failed_turn_is_judged_and_handed_to_the_hook(fake_claude: FakeClaude) -> None:
    fake_claude.script(Turn(result={"is_error": True, "api_error_status": 529, "result": "API Error: 529"}))
    ended: list[TurnEnded] = []
    with pytest.raises(LLMError) as caught:
        run_turn(PROVIDER, new_request("hello"), after_judge=ended.append)
    assert ended[0].error is caught.value
    assert caught.value.turn_id == ended[0].turn_id
    assert caught.value.session_id == ended[0].outcome.entry.first_id


def test_the_card_tells_what_became_of_each_turn(fake_claude: FakeClaude) -> None:
    fake_claude.script(Turn())
    fake_claude.script(Turn(result={"is_error": True, "api_error_status": 500, "result": "API Error: 500"}))
    fake_claude.script(Turn())
    session = ask()["session_id"]
    card = card_of(session)
    assert card is not None
    assert (card.finished, card.failed, card.agent) == (1, 0, {})
    with pytest.raises(LLMError):
        ask(session_id=session)
    failed = card_of(session)
    assert failed is not None
    assert (failed.finished, failed.failed, failed.point) == (1, 1, card.point)
    ask(session_id=session)
    after = card_of(session)
    assert after is not None
    assert (after.finished, after.failed) == (2, 0)


def test_what_the_caller_should_know_is_told_and_logged(
    fake_claude: FakeClaude, caplog: pytest.LogCaptureFixture
) -> None:
    fake_claude.script(Turn(), Exit(1))
    seen: list[TurnEvent] = []
    with caplog.at_level(logging.INFO, logger="mcp_coder"):
        response = run_turn(PROVIDER, new_request("a secret prompt"), observe=seen.append)
    assert any(isinstance(each, Notice) and "exited with 1" in each.text for each in seen)
    assert {record.name for record in caplog.records} == {"mcp_coder"}
    assert {record.__dict__["session_id"] for record in caplog.records} == {response["session_id"]}
    assert all(record.__dict__["turn_id"] in record.getMessage() for record in caplog.records)
    assert "secret" not in caplog.text


def test_prompts_are_logged_at_debug_only(fake_claude: FakeClaude, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="mcp_coder"):
        run_turn(PROVIDER, new_request("a secret prompt"))
    assert {record.levelname for record in caplog.records if "secret" in record.getMessage()} == {"DEBUG"}


@pytest.mark.parametrize("method", ["cli", "api"])
@pytest.mark.parametrize(
    ("steps", "options", "kind"),
    [
        pytest.param((WaitForPrompt(), Hang()), {"startup_timeout": 0.5}, "startup", id="startup"),
        pytest.param(
            (Turn(prints_result=False), Hang()), {"inactivity_timeout": 0.5}, "inactivity", id="inactivity"
        ),
        pytest.param((WaitForPrompt(), Hang()), {"timeout": 0.8}, "total", id="a tie is total"),
        pytest.param(
            (WaitForPrompt(), *([Print({"type": "tick"}), Sleep(0.1)] * 100)),
            {"timeout": 2.0, "inactivity_timeout": 1.5},
            "total",
            id="slow but lively",
        ),
    ],
)
def test_three_clocks(
    fake_claude: FakeClaude, method: str, steps: tuple[object, ...], options: dict[str, object], kind: str
) -> None:
    fake_claude.script(*steps)  # type: ignore[arg-type]  # rows of a table
    began = time.monotonic()
    with pytest.raises(LLMTimeoutError) as caught:
        ask(method=method, **options)
    limit = next(value for name, value in options.items() if name.startswith(("timeout", kind)))
    assert (caught.value.kind, caught.value.timeout) == (kind, limit)
    assert time.monotonic() - began < float(str(limit)) + 6 + 3  # a busy machine starts the SDK in 3 s


def test_a_session_whose_turn_timed_out_goes_on(fake_claude: FakeClaude) -> None:
    fake_claude.script(WaitForPrompt(), Hang())
    fake_claude.script(Turn())
    with pytest.raises(LLMTimeoutError) as caught:
        ask(startup_timeout=0.3)
    session = caught.value.session_id
    assert ask(session_id=session)["session_id"] == session


def test_an_answer_that_was_there_in_time_counts(fake_claude: FakeClaude) -> None:
    fake_claude.script(Turn(), Hang(), ignores=("SIGINT", "SIGTERM"))
    began = time.monotonic()
    assert ask(timeout=3)["text"] == "You said: hello"
    assert time.monotonic() - began < 3 + 6


def test_a_child_that_holds_the_output_open_is_not_waited_for(fake_claude: FakeClaude) -> None:
    fake_claude.script(LeaveChild(), Turn())
    began = time.monotonic()
    assert ask()["text"] == "You said: hello"
    assert time.monotonic() - began < 10


def test_a_caller_can_stop_its_turn(fake_claude: FakeClaude) -> None:
    fake_claude.script(WaitForPrompt(), Hang())
    asked = threading.Event()

    def stop() -> bool:
        if any(call.prompts for call in fake_claude.calls()):
            asked.set()
        return asked.is_set()

    with pytest.raises(InterruptedTurnError):
        run_turn(PROVIDER, new_request("hello"), stop=stop)


def test_stop_all_stops_a_turn_from_another_thread(fake_claude: FakeClaude) -> None:
    fake_claude.script(WaitForPrompt(), Hang())
    errors: list[BaseException] = []

    def turn() -> None:
        try:
            ask()
        except InterruptedTurnError as error:
            errors.append(error)

    thread = threading.Thread(target=turn)
    thread.start()
    fake_claude.wait_for(lambda calls: any(call.prompts for call in calls))
    stop_all()
    thread.join(10)
    assert len(errors) == 1


def test_an_answer_is_not_lost_to_a_card_that_cannot_be_written(fake_claude: FakeClaude) -> None:
    session = ask()["session_id"]
    leases = Path(lease_directory(os.path.realpath(os.environ["CLAUDE_CONFIG_DIR"])))
    card, kept = leases / f"{session}.now", leases / "kept.json"

    def block(_turn: TurnBegun) -> None:
        card.rename(kept)
        card.mkdir()

    seen: list[TurnEvent] = []
    request = new_request("again", session_id=session)
    answer = run_turn(PROVIDER, request, before_feed=block, observe=seen.append)
    assert answer["text"] == "You said: again"
    assert any(isinstance(each, Notice) and "card could not be written" in each.text for each in seen)
    card.rmdir()
    kept.rename(card)  # as it was in mid-turn: the next holder settles it by the output that was left
    ask(session_id=session)
    settled = card_of(session)
    assert settled is not None
    assert settled.finished == 3


def test_where_somebody_went_on_by_hand_the_old_point_is_none_any_more(fake_claude: FakeClaude) -> None:
    session = str(ask()["session_id"])
    before = card_of(session)
    assert before is not None
    assert before.point is not None
    lease = Lease.take(lease_directory(os.path.realpath(os.environ["CLAUDE_CONFIG_DIR"])), session, wait=0)
    lease.write_card(dataclasses.replace(before, fingerprint="another"))
    lease.release()
    cards: list[Card | None] = []
    request = new_request("again", session_id=session)
    transcript = Path(os.environ["CLAUDE_CONFIG_DIR"], "projects", "-p", f"{session}.jsonl")
    transcript.parent.mkdir(parents=True)
    transcript.write_text("{}\n")
    run_turn(PROVIDER, request, before_feed=lambda _: cards.append(card_of(session)))
    (at_work,) = cards
    assert at_work is not None
    assert (at_work.point, at_work.origin) == (None, session)
    after = card_of(session)
    assert after is not None
    assert after.point is not None


def test_a_card_that_cannot_be_written_before_the_prompt_stops_the_turn(fake_claude: FakeClaude) -> None:
    leases = Path(lease_directory(os.path.realpath(os.environ["CLAUDE_CONFIG_DIR"])))
    (leases / f"{named_session_id('claude', 'nightly')}.now").mkdir()
    with pytest.raises(SessionError, match="nothing was sent"):
        ask(session="nightly")
    assert not any(call.prompts for call in fake_claude.calls())


def test_a_lock_that_cannot_be_opened_is_one_clear_error(fake_claude: FakeClaude) -> None:
    leases = Path(lease_directory(os.path.realpath(os.environ["CLAUDE_CONFIG_DIR"])))
    (leases / f"{named_session_id('claude', 'nightly')}.lock").mkdir()
    with pytest.raises(SessionError, match="lease or card cannot be used"):
        ask(session="nightly")
    assert fake_claude.calls() == []


def test_a_second_way_in_is_not_tried_when_time_is_up(fake_claude: FakeClaude) -> None:
    fake_claude.script(Stderr("Error: Session ID x is already in use.\n"), Hang())
    fake_claude.script(Turn())
    with pytest.raises(LLMTimeoutError):
        ask(session="nightly", timeout=1)
    assert len(fake_claude.calls()) == 1


def test_a_watcher_that_fails_at_a_notice_costs_nobody_the_answer(fake_claude: FakeClaude) -> None:
    fake_claude.script(Turn(), Exit(1))

    def observe(event: TurnEvent) -> None:
        if isinstance(event, Notice):
            raise BrokenPipeError

    response = run_turn(PROVIDER, new_request("hello"), observe=observe)
    assert response["text"] == "You said: hello"


def test_a_record_that_fails_leaves_the_output_for_recovery(fake_claude: FakeClaude) -> None:
    directories: list[Path] = []

    def fail(turn: TurnEnded) -> None:
        assert turn.response is not None
        raise OSError("the store is full")

    def begun(turn: TurnBegun) -> None:
        directories.append(Path(turn.files.directory))
        keep_for_record(turn.files.directory, {"store": "somebody's"})

    with pytest.raises(OSError, match="store is full"):
        run_turn(PROVIDER, new_request("hello"), before_feed=begun, after_judge=fail)
    assert b'"type": "result"' in (directories[0] / "output.jsonl").read_bytes().replace(b'":"', b'": "')
    shutil.rmtree(directories[0])


def test_what_an_agent_cannot_do_is_refused(fake_claude: FakeClaude) -> None:
    class Plain(ClaudeProvider):
        capabilities = Capabilities(methods=("cli",), forks=False, resumes_at=False)

    for options in ({"method": "api"}, {"on_busy": "fork"}, {"after_failure": "drop"}):
        with pytest.raises(InvalidRequestError):
            run_turn(Plain(), new_request("hello", **options))
    assert fake_claude.calls() == []


def test_a_refused_fork_names_the_session_to_fork_from(fake_claude: FakeClaude) -> None:
    fake_claude.script(*unknown_session())
    unknown = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(SessionNotFoundError) as caught:
        ask(session_id=unknown, fork=True)
    assert caught.value.session_id == unknown


def test_an_unknown_session_leaves_no_card(fake_claude: FakeClaude) -> None:
    fake_claude.script(*unknown_session())
    unknown = "00000000-0000-4000-8000-000000000000"
    for _ in range(2):  # the first failure must not make the second look like a session that died early
        with pytest.raises(SessionNotFoundError):
            ask(session_id=unknown)
        assert card_of(unknown) is None


def test_a_session_that_died_early_is_begun_again_under_its_id(fake_claude: FakeClaude) -> None:
    fake_claude.script(WaitForPrompt(), Hang())
    fake_claude.script(*unknown_session())
    fake_claude.script(Turn())
    with pytest.raises(LLMTimeoutError) as caught:
        ask(session="nightly", startup_timeout=0.3)
    write_transcript(str(caught.value.session_id))
    response = ask(session="nightly")
    assert response["session_id"] == caught.value.session_id
    calls = fake_claude.calls()
    assert [call.flag("--resume") for call in calls] == [None, response["session_id"], None]
    assert [call.flag("--session-id") for call in calls] == [
        response["session_id"],
        None,
        response["session_id"],
    ]


def test_a_named_session_that_exists_without_a_card_is_gone_on_with(fake_claude: FakeClaude) -> None:
    fake_claude.script(Stderr("Error: Session ID x is already in use.\n"), Exit(1))
    fake_claude.script(Turn())
    response = ask(session="nightly")
    assert [call.flag("--resume") for call in fake_claude.calls()] == [None, response["session_id"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"cwd": "/no/such/place"}, "cwd '/no/such/place' is no directory", id="cwd"),
        pytest.param({"mcp_config": "/no/such.json"}, "there is no file /no/such.json", id="mcp_config"),
    ],
)
def test_missing_places_are_refused_before_anything_starts(
    fake_claude: FakeClaude, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        ask(**options)
    assert fake_claude.calls() == []


def test_relative_paths_are_the_callers(
    fake_claude: FakeClaude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "mcp.json").write_text('{"mcpServers": {}}')
    monkeypatch.chdir(tmp_path)
    ask(cwd="work", mcp_config="mcp.json", add_dirs=["."])
    call = fake_claude.calls()[0]
    assert call.cwd == str(tmp_path / "work")
    assert call.flag("--mcp-config") == str(tmp_path / "mcp.json")
    assert call.flag("--add-dir") == str(tmp_path)


def test_a_deleted_current_directory_gets_a_clear_error(
    fake_claude: FakeClaude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InvalidRequestError, match="current directory no longer exists"):
        ask()
    with pytest.raises(InvalidRequestError, match="'below' is relative"):
        ask(cwd="below")
    assert ask(cwd=str(tmp_path))["text"] == "You said: hello"
    monkeypatch.chdir(tmp_path)


def test_a_program_that_cannot_be_started_is_not_found(
    tmp_path: Path, fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_CODER_CLAUDE", str(tmp_path / "nothing"))
    with pytest.raises(AgentNotFoundError):
        ask()


# --- agents that are kept


@pytest.fixture
def warm() -> Iterator[WarmAgent]:
    agents = WarmAgent()
    yield agents
    agents.end()


def ask_warm(
    warm: WarmAgent, question: str = "hello", *, hooks: Any = None, **options: object
) -> LLMResponseDict:
    return run_turn(PROVIDER, new_request(question, **options), agents=warm, **(hooks or {}))


def test_two_turns_in_one_agent(fake_claude: FakeClaude, warm: WarmAgent) -> None:
    ended: list[TurnEnded] = []
    first = ask_warm(warm, "one", hooks={"after_judge": ended.append})
    ask_warm(warm, "two", hooks={"after_judge": ended.append}, session_id=first["session_id"])
    (call,) = fake_claude.calls()
    assert call.prompts == ["one", "two"]
    assert [turn.outcome.kept for turn in ended] == [True, True]
    assert [turn.outcome.entry.warm for turn in ended] == [False, True]
    assert [turn.notices for turn in ended] == [(), ()]
    card = card_of(first["session_id"])
    assert card is not None
    assert (card.finished, card.agent, card.marker) == (2, {}, None)


def test_the_card_names_the_mark_of_an_agent_that_is_kept(fake_claude: FakeClaude, warm: WarmAgent) -> None:
    marks: list[str | None] = []

    def begun(turn: TurnBegun) -> None:
        card = card_of(turn.entry.first_id)
        (call,) = fake_claude.wait_for(lambda calls: len(calls) == 1)
        assert card is not None
        assert (turn.kept, card.turn_id, card.agent["pid"]) == (True, turn.turn_id, call.pid)
        marks.append(card.marker)

    hooks = {"before_feed": begun}
    first = ask_warm(warm, hooks=hooks)
    ask_warm(warm, hooks=hooks, session_id=first["session_id"])
    mark = fake_claude.calls()[0].env["MCP_CODER_TURN"]
    assert marks == [mark, mark]


def test_a_plain_agent_has_the_mark_of_its_turn(fake_claude: FakeClaude) -> None:
    def begun(turn: TurnBegun) -> None:
        card = card_of(turn.entry.first_id)
        assert card is not None
        assert (turn.kept, card.marker) == (False, None)

    run_turn(PROVIDER, new_request("hello"), before_feed=begun)


def test_only_the_files_of_the_agent_stay_between_turns(fake_claude: FakeClaude, warm: WarmAgent) -> None:
    ask_warm(warm)
    (directory,) = Path(os.environ["MCP_CODER_HOME"], "turns").iterdir()
    assert directory.name == fake_claude.calls()[0].env["MCP_CODER_TURN"]


def test_a_session_has_the_id_that_it_is_given(fake_claude: FakeClaude, warm: WarmAgent) -> None:
    given = "22222222-2222-4222-8222-222222222222"
    assert ask_warm(warm, hooks={"new_id": given})["session_id"] == given
    assert run_turn(PROVIDER, new_request("hello", session_id=given), new_id="unused")["session_id"] == given
    first, second = fake_claude.calls()
    assert (first.flag("--session-id"), second.flag("--resume")) == (given, given)


def test_a_failed_turn_with_a_given_id_is_gone_on_with(fake_claude: FakeClaude) -> None:
    given = "22222222-2222-4222-8222-222222222222"
    failed = {"is_error": True, "api_error_status": 529, "result": "API Error: 529"}
    fake_claude.script(Turn(result=failed))
    fake_claude.script(Turn())
    with pytest.raises(LLMError):
        run_turn(PROVIDER, new_request("hello"), new_id=given)
    write_transcript(given)
    assert run_turn(PROVIDER, new_request("hello"), new_id=given)["session_id"] == given
    assert fake_claude.calls()[1].flag("--resume") == given


def test_a_failed_turn_leaves_an_agent_that_goes_on(fake_claude: FakeClaude, warm: WarmAgent) -> None:
    failed = {"is_error": True, "api_error_status": 529, "result": "API Error: 529"}
    fake_claude.script(Turn(result=failed), Turn())
    with pytest.raises(LLMError) as caught:
        ask_warm(warm)
    assert warm.rests
    assert ask_warm(warm, session_id=caught.value.session_id)["text"] == "You said: hello"
    (call,) = fake_claude.calls()
    assert len(call.prompts) == 2


def test_dropping_a_failed_turn_takes_another_agent(fake_claude: FakeClaude, warm: WarmAgent) -> None:
    failed = {"is_error": True, "api_error_status": 529, "result": "API Error: 529"}
    fake_claude.script(Turn(), Turn(result=failed))
    fake_claude.script(Turn())
    session = ask_warm(warm)["session_id"]
    point = card_of(session)
    with pytest.raises(LLMError):
        ask_warm(warm, session_id=session)
    ask_warm(warm, session_id=session, after_failure="drop")
    assert point is not None
    assert fake_claude.calls()[1].flag("--resume-session-at") == point.point


def test_a_turn_that_timed_out_leaves_an_agent_that_goes_on(fake_claude: FakeClaude, warm: WarmAgent) -> None:
    init = {"type": "system", "subtype": "init", "session_id": "{{session_id}}"}
    fake_claude.script(Turn(), WaitForPrompt(), Print(init), Hang(), Turn())
    session = ask_warm(warm)["session_id"]
    with pytest.raises(LLMTimeoutError) as caught:
        ask_warm(warm, session_id=session, inactivity_timeout=0.3)
    assert (caught.value.kind, caught.value.session_id) == ("inactivity", session)
    seen: list[TurnEvent] = []
    ask_warm(warm, session_id=session, hooks={"observe": seen.append})
    assert any(isinstance(each, Notice) and "did not finish" in each.text for each in seen)
    (call,) = fake_claude.calls()
    assert (len(call.prompts), call.signals) == (3, ())


def test_an_agent_that_refused_the_entry_is_not_used_again(fake_claude: FakeClaude, warm: WarmAgent) -> None:
    fake_claude.script(Stderr("Error: Session ID x is already in use.\n"), Exit(1))
    fake_claude.script(Turn())
    response = ask_warm(warm, session="nightly")
    ask_warm(warm, session="nightly")
    assert [call.flag("--resume") for call in fake_claude.calls()] == [None, response["session_id"]]
    assert len(fake_claude.calls()[1].prompts) == 2


def test_a_session_error_leaves_no_agent(fake_claude: FakeClaude, warm: WarmAgent) -> None:
    refused, _, _ = unknown_session()
    fake_claude.script(WaitForPrompt(), refused)
    with pytest.raises(SessionNotFoundError):
        ask_warm(warm, session_id="00000000-0000-4000-8000-000000000000")
    assert (warm.rests, warm.in_turn) == (False, False)


def test_an_answer_in_another_session_leaves_no_agent(fake_claude: FakeClaude, warm: WarmAgent) -> None:
    class Strict(ClaudeProvider):
        def judge(self, *_: Any, **__: Any) -> LLMResponseDict:
            raise SessionError("it answered elsewhere")

    with pytest.raises(SessionError):
        run_turn(Strict(), new_request("hello"), agents=warm)
    assert (warm.rests, warm.in_turn) == (False, False)


def test_a_hook_that_fails_before_the_prompt_leaves_no_agent(
    fake_claude: FakeClaude, warm: WarmAgent
) -> None:
    def refuse(_turn: TurnBegun) -> None:
        raise ValueError("no journal")

    with pytest.raises(ValueError, match="no journal"):
        ask_warm(warm, hooks={"before_feed": refuse})
    assert (warm.rests, warm.in_turn) == (False, False)


def test_a_turn_whose_output_is_still_needed_keeps_it_and_ends_the_agent(
    fake_claude: FakeClaude, warm: WarmAgent
) -> None:
    directories: list[Path] = []

    def begun(turn: TurnBegun) -> None:
        directories.append(Path(turn.files.directory))
        keep_for_record(turn.files.directory, {"store": "somebody's"})

    assert ask_warm(warm, hooks={"before_feed": begun})["text"] == "You said: hello"
    assert (warm.rests, warm.in_turn) == (False, False)
    assert b"You said: hello" in (directories[0] / "output.jsonl").read_bytes()
    shutil.rmtree(directories[0])


def test_a_kept_agent_finishes_the_turn_of_a_caller_that_was_killed(
    fake_claude: FakeClaude, tmp_path: Path
) -> None:
    """The session's next turn finds the answer, and leaves nothing of the agent."""
    code = (
        "import os\n"
        "from mcp_coder.llm_providers.claude.provider import ClaudeProvider\n"
        "from mcp_coder.llm_providers.run import run_turn\n"
        "from mcp_coder.llm_providers.warm import WarmAgent\n"
        "from mcp_coder.llm_requests import new_request\n"
        "request, warm = new_request('hello', session='nightly'), WarmAgent()\n"
        "run_turn(ClaudeProvider(), request, agents=warm)\n"
        "run_turn(ClaudeProvider(), request, agents=warm, observe=lambda _: os._exit(9))\n"
    )
    fake_claude.script(Turn(), Turn(delay=0.3))
    fake_claude.script(Turn())
    done = subprocess.run([sys.executable, "-c", code], timeout=60, cwd=tmp_path, check=False)
    assert done.returncode == 9
    card = card_of(named_session_id("claude", "nightly"))
    assert card is not None
    assert card.marker == fake_claude.calls()[0].env["MCP_CODER_TURN"] != card.turn_id
    response = ask(session="nightly")
    after = card_of(response["session_id"])
    assert after is not None
    assert (after.finished, after.marker) == (3, None)
