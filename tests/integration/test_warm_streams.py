"""Streams, warm and cold: whole, alike by both methods, left early, broken in the middle."""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.integration.conftest import LONGEST

from mcp_coder import (
    LLMResponseDict,
    ServerError,
    Session,
    SessionNotFoundError,
    TurnStream,
    open_session,
    prompt_llm,
    stream_llm,
)
from mcp_coder.llm_events import (
    SessionStarted,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    TurnEvent,
    TurnFinished,
    UsageReported,
)
from mcp_coder.testing import FakeClaude, Reply, StandIn, Turn

if TYPE_CHECKING:
    Agents = Callable[[], list[psutil.Process]]
    Remaining = Callable[[], list[psutil.Process]]

pytestmark = pytest.mark.usefixtures("leaves_nothing")

BLUE, COLOR, ALL = "My favorite color is blue", "What is my favorite color?", "What did I say?"
ANY_TOOL: dict[str, Any] = {"permission_mode": "bypassPermissions", "env": {"IS_SANDBOX": "1"}}

both_methods = pytest.mark.parametrize("method", ["cli", "api"])
one_method_soon = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])


def warm(**options: Any) -> Session:
    return open_session(**{"timeout": LONGEST, **options})


def wait_until(holds: Callable[[], object]) -> None:
    until = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def last_part(events: Iterable[TurnEvent]) -> str:
    """Return the pieces of the last text, joined."""
    pieces = [event for event in events if isinstance(event, TextDelta)]
    return "".join(event.text for event in pieces if event.part == pieces[-1].part)


def whole(stream: TurnStream) -> tuple[list[TurnEvent], LLMResponseDict]:
    """Read a stream to its end, and check that law."""
    assert stream.response is None
    events = [*stream]
    assert [*stream] == []  # once
    last = events[-1]
    assert isinstance(last, TurnFinished)
    assert stream.response == last.response
    assert last_part(events) == last.response["text"]
    return events, last.response


SCHEMA = {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}


def plain(event: TurnEvent) -> tuple[object, ...]:
    """Return what of an event does not depend on this run."""
    if isinstance(event, SessionStarted):
        return ("session", event.model, event.version)
    if isinstance(event, ToolStarted):
        return ("tool", event.name, dict(event.input))
    if isinstance(event, ToolFinished):
        return ("tool finished", event.name, event.output, event.is_error)
    if isinstance(event, TurnFinished):
        return ("finished", event.response["text"])
    if isinstance(event, UsageReported):
        return ("usage", event.usage.input_tokens > 0, event.usage.cost_usd is not None)
    return tuple(dataclasses.asdict(event).items())


def script(model: StandIn) -> None:
    """Let the model speak, run a tool, speak again, fail with a tool, and answer in pieces."""
    model.server.add_rule(
        Reply.text("Let me look.") + Reply.tool_use("Bash", command="echo forty-two"), prompt="look"
    )
    model.server.add_rule(
        Reply.text("And again.") + Reply.tool_use("Bash", command="echo oops; exit 3"),
        tool_output="forty-two",
    )
    model.server.add_rule(Reply.chunks(["It ", "is ", "done ✓ 🦊."], delay=0.02), tool_output="oops")


@one_method_soon
def test_the_pieces_of_the_last_part_are_the_answer(model: StandIn, agents: Agents, method: str) -> None:
    script(model)
    with warm(method=method, **ANY_TOOL) as session:
        events, answer = whole(session.stream("look"))
        assert answer["text"] == "It is done ✓ 🦊."
        assert [
            plain(event) for event in events if not isinstance(event, (SessionStarted, UsageReported))
        ] == [
            (("text", "Let me look."), ("part", 1)),
            ("tool", "Bash", {"command": "echo forty-two"}),
            ("tool finished", "Bash", "forty-two", False),
            (("text", "And again."), ("part", 2)),
            ("tool", "Bash", {"command": "echo oops; exit 3"}),
            ("tool finished", "Bash", "Exit code 3\noops", True),
            (("text", "It "), ("part", 3)),
            (("text", "is "), ("part", 3)),
            (("text", "done ✓ 🦊."), ("part", 3)),
            ("finished", "It is done ✓ 🦊."),
        ]
        (started,) = [event for event in events if isinstance(event, SessionStarted)]
        assert started.session_id == session.id
        (used,) = [event.usage for event in events if isinstance(event, UsageReported)]
        recorded = next(session.turns()).usage
        assert (used.cost_usd, used.output_tokens) == (recorded.cost_usd, recorded.output_tokens)
        whole(session.stream(COLOR, json_schema=SCHEMA))
        whole(session.stream("and on", model="haiku"))
        assert len(agents()) == 1
    # The same turn, cold and by the other method: the same events.
    other = {"cli": "api", "api": "cli"}[method]
    cold, _ = whole(stream_llm("look", method=other, timeout=LONGEST, **ANY_TOOL))
    assert [plain(event) for event in cold] == [plain(event) for event in events]


_THOUGHT: dict[str, Any] = {
    "type": "assistant",
    "message": {"id": "msg_1", "role": "assistant", "content": [{"type": "thinking", "thinking": "Hm. "}]},
    "parent_tool_use_id": None,
}
_PIECES: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_2"}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "So"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": " so."}},
]


@both_methods
def test_thinking_is_told_and_no_part_of_the_answer(fake: FakeClaude, method: str) -> None:
    pieces: list[dict[str, Any]] = [
        {"type": "stream_event", "event": piece, "parent_tool_use_id": None} for piece in _PIECES
    ]
    common = {"session_id": "{{session_id}}", "uuid": "{{uuid}}"}
    fake.script(Turn(text="good", before=tuple({**each, **common} for each in (_THOUGHT, *pieces))))
    with warm(method=method) as session:
        for question in ("one", "two"):
            events, answer = whole(session.stream(question))
            assert answer["text"] == "good"
            thoughts = [event.text for event in events if isinstance(event, ThinkingDelta)]
            assert thoughts == ["Hm. ", "So", " so."]


# --- left early


@pytest.fixture
def tool(model: StandIn, tmp_path: Path) -> Callable[[], psutil.Process]:
    """Let the prompt "run it" run a tool that goes on for 300 s; return its process, once it is there."""
    pid_file = tmp_path / "tool.pid"
    command = f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec tail -f /dev/null"
    model.server.add_rule(Reply.text("On it.") + Reply.tool_use("Bash", command=command), prompt="run it")

    def process() -> psutil.Process:
        wait_until(pid_file.exists)
        found = psutil.Process(int(pid_file.read_text()))
        pid_file.unlink()
        return found

    return process


def leave_by_close(stream: TurnStream) -> None:
    stream.close()
    stream.close()


def leave_by_with(stream: TurnStream) -> None:
    with stream:
        pass


def leave_by_dropping(stream: TurnStream) -> None:
    """Let the caller's last reference go, too."""


@both_methods
def test_leaving_a_warm_stream_stops_the_turn_and_nothing_else(
    model: StandIn, agents: Agents, tool: Callable[[], psutil.Process], method: str
) -> None:
    with warm(method=method, **ANY_TOOL) as session:
        session.prompt(BLUE)
        (agent,) = agents()
        for leave in (leave_by_close, leave_by_with, leave_by_dropping):
            stream = session.stream("run it")
            for event in stream:
                if isinstance(event, ToolStarted):
                    break
            running = tool()
            leave(stream)
            assert stream.response is None
            del stream
            gc.collect()
            assert is_gone(running)
            assert agents() == [agent]
        assert session.prompt(COLOR)["text"] == "Your favorite color is blue"
        assert agents() == [agent]
        assert [turn.state for turn in session.turns()] == [
            "succeeded",
            "interrupted",
            "interrupted",
            "interrupted",
            "succeeded",
        ]
        assert session.usage().unaccounted_turns == 0


@one_method_soon
def test_leaving_a_plain_stream_leaves_no_process(
    model: StandIn, remaining_processes: Remaining, tool: Callable[[], psutil.Process], method: str
) -> None:
    for event in stream_llm("run it", session="nightly", method=method, timeout=LONGEST, **ANY_TOOL):
        if isinstance(event, ToolStarted):
            running = tool()
            break
    gc.collect()
    assert is_gone(running)
    assert remaining_processes() == []
    stream = stream_llm("never read", session="nightly", method=method, timeout=LONGEST)
    stream.close()
    assert remaining_processes() == []
    assert [*stream] == []
    answer = prompt_llm(ALL, session="nightly", method=method, timeout=LONGEST)
    assert answer["text"].startswith("You said:\n1. run it")


def test_a_stream_that_is_closed_behind_its_end_has_its_answer(model: StandIn) -> None:
    with warm() as session, session.stream(BLUE) as stream:
        pieces = [event.text for event in stream if isinstance(event, TextDelta)]
    assert stream.response is not None
    assert stream.response["text"] == "".join(pieces)


# --- what fails in the middle


@both_methods
def test_an_error_in_the_middle_comes_behind_the_events_before_it(
    model: StandIn, agents: Agents, method: str
) -> None:
    model.server.add_rule(Reply.stream_error("overloaded_error", after="so far"), prompt="break")
    with warm(method=method) as session:
        session.prompt(BLUE)
        (agent,) = agents()
        events: list[TurnEvent] = []
        stream = session.stream("break")
        with pytest.raises(ServerError) as caught:
            events.extend(stream)
        assert caught.value.session_id == session.id
        assert any(isinstance(event, TextDelta) and event.text == "so far" for event in events)
        assert not any(isinstance(event, TurnFinished) for event in events)
        assert stream.response is None
        assert [*stream] == []
        assert session.prompt(COLOR, after_failure="drop")["text"] == "Your favorite color is blue"
        assert agents() != [agent]  # what failed was dropped from its memory


def test_what_fails_at_once_is_raised_while_iterating(model: StandIn, agents: Agents) -> None:
    stream = stream_llm("Hello", session_id="00000000-0000-4000-8000-000000000000", timeout=LONGEST)
    with pytest.raises(SessionNotFoundError):
        next(stream)
    assert [*stream] == []
    assert model.server.requests == ()
    assert agents() == []


def test_several_streams_at_once_are_not_mixed(model: StandIn, agents: Agents) -> None:
    """Two sessions, read in turn by one thread; a third by another."""
    for name in ("one", "two", "three"):
        model.server.add_rule(Reply.chunks([f"{name} "] * 20, delay=0.005), prompt=f"say {name}")
    with warm() as one, warm(method="api") as two, warm() as three:
        other: list[str] = []
        reader = threading.Thread(
            target=lambda: other.extend(
                event.text for event in three.stream("say three") if isinstance(event, TextDelta)
            )
        )
        reader.start()
        told: dict[str, list[str]] = {"one": [], "two": []}
        streams = {"one": one.stream("say one"), "two": two.stream("say two")}
        open_streams = dict(streams)
        while open_streams:
            for name, stream in list(open_streams.items()):
                event = next(stream, None)
                if event is None:
                    del open_streams[name]
                elif isinstance(event, TextDelta):
                    told[name].append(event.text)
        reader.join()
        assert {name: "".join(pieces) for name, pieces in told.items()} == {
            name: f"{name} " * 20 for name in told
        }
        assert "".join(other) == "three " * 20
        assert len(agents()) == 3
