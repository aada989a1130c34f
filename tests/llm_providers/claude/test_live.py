"""The program in a turn: fed, read in whatever form it prints, ended."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcp_coder.llm_errors import AgentNotFoundError
from mcp_coder.llm_events import TurnEvent
from mcp_coder.llm_providers.base import Agent, Entry, Outcome, TurnFiles
from mcp_coder.llm_providers.claude.live import ClaudeLive, as_line, user_message
from mcp_coder.llm_providers.turn_files import new_turn_files
from mcp_coder.llm_requests import new_request
from mcp_coder.testing import Exit, FakeClaude, Print, PrintBytes, Script, Turn, WaitForPrompt

ENTRY = Entry(
    first_id="11111111-1111-4111-8111-111111111111", begin="11111111-1111-4111-8111-111111111111", cwd="/"
)
RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "hi",
    "session_id": ENTRY.begin,
}

Start = Callable[..., ClaudeLive]


@pytest.fixture
def files(fake_claude: FakeClaude) -> TurnFiles:
    return new_turn_files()


@pytest.fixture
def start(fake_claude: FakeClaude, files: TurnFiles) -> Iterator[Start]:
    started: list[ClaudeLive] = []

    def begin(
        question: str = "hello", observe: Callable[[TurnEvent], None] = lambda _: None, **options: object
    ) -> ClaudeLive:
        agent = Agent(program=str(fake_claude.path), version="", config_dir=None, env=dict(os.environ))
        request = new_request(question, **options)
        started.append(ClaudeLive.start(request, agent=agent, entry=ENTRY, files=files, observe=observe))
        return started[-1]

    yield begin
    for live in started:
        live._process.end(over=True, grace=0)


def to_the_end(live: ClaudeLive) -> Outcome:
    live.feed()
    until = time.monotonic() + 30
    while not live.over:
        assert time.monotonic() < until
        live.wait(1)
    return live.close(stopped=None, seconds=None, grace=5)


def test_a_prompt_travels_as_ascii() -> None:
    line = as_line(user_message("grüß\n\u2028 \U0001f600 dich"))
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line)["message"]["content"] == "grüß\n\u2028 \U0001f600 dich"


def test_a_plain_turn(start: Start, fake_claude: FakeClaude) -> None:
    outcome = to_the_end(start())
    assert [event["type"] for event in outcome.events] == ["system", "assistant", "result"]
    assert (outcome.complete, outcome.cut, outcome.exit_code, outcome.stopped) == (True, False, 0, None)
    assert fake_claude.calls()[0].prompts == ["hello"]
    assert fake_claude.calls()[0].saw_eof


def test_nothing_is_fed_before_it_is_time(start: Start, fake_claude: FakeClaude) -> None:
    live = start()
    fake_claude.wait_for(lambda calls: len(calls) == 1)
    assert live.wait(0.2) is False
    assert not live.begun
    assert fake_claude.calls()[0].lines == ()
    assert to_the_end(live).complete


@pytest.mark.parametrize(
    ("script", "types", "unread", "cut"),
    [
        pytest.param(
            Script(
                steps=(
                    WaitForPrompt(),
                    Print("warning: x"),
                    Print({"type": "new_thing", "k": 1}),
                    Print(RESULT),
                )
            ),
            ["new_thing", "result"],
            ("warning: x",),
            False,
            id="unknown events and lines that are no JSON",
        ),
        pytest.param(
            Script(steps=(Turn(), Exit(0)), output="array"),
            ["system", "assistant", "result"],
            (),
            False,
            id="an array",
        ),
        pytest.param(
            Script(steps=(Turn(), Exit(0)), output="object"),
            ["result"],
            (),
            False,
            id="an object over many lines",
        ),
        pytest.param(
            Script(steps=(WaitForPrompt(), PrintBytes(json.dumps(RESULT).encode()), Exit(0))),
            ["result"],
            (),
            False,
            id="a last line without an end",
        ),
        pytest.param(
            Script(steps=(Turn(prints_result=False), PrintBytes(b'{"type": "resu'), Exit(0))),
            ["system", "assistant"],
            ('{"type": "resu',),
            True,
            id="cut in mid-line",
        ),
        pytest.param(
            Script(steps=(WaitForPrompt(), PrintBytes(b'{"type": "resu'), Exit(0))),
            [],
            (),
            True,
            id="cut in its only line",
        ),
        pytest.param(Script(steps=(WaitForPrompt(), Exit(0))), [], (), False, id="nothing"),
        pytest.param(
            Script(steps=(WaitForPrompt(), PrintBytes(b"\n \n"), Exit(0))), [], (), False, id="blank lines"
        ),
    ],
)
def test_whatever_it_prints(
    start: Start,
    fake_claude: FakeClaude,
    script: Script,
    types: list[str],
    unread: tuple[str, ...],
    cut: bool,
) -> None:
    fake_claude.script(*script.steps, output=script.output)
    outcome = to_the_end(start())
    assert [event["type"] for event in outcome.events] == types
    assert (outcome.unread if types else (), outcome.cut) == (unread, cut)


def test_pieces_of_text_are_shown_and_not_kept(start: Start, fake_claude: FakeClaude) -> None:
    delta = {
        "type": "stream_event",
        "parent_tool_use_id": None,
        "event": {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "he"}},
    }
    fake_claude.script(Turn(before=(delta,)))
    seen: list[TurnEvent] = []
    outcome = to_the_end(start(observe=seen.append))
    assert [type(each).__name__ for each in seen] == ["SessionStarted", "TextDelta", "TextDelta"]
    assert "stream_event" not in [event["type"] for event in outcome.events]


def test_why_it_was_stopped_is_kept_unless_it_was_over(start: Start, fake_claude: FakeClaude) -> None:
    fake_claude.script(WaitForPrompt())
    live = start()
    live.feed()
    outcome = live.close(stopped="total", seconds=3.0, grace=1)
    assert (outcome.stopped, outcome.seconds, outcome.complete) == ("total", 3.0, False)


def test_an_answer_that_came_before_the_clock_was_looked_at_counts(
    start: Start, fake_claude: FakeClaude
) -> None:
    live = start()
    live.feed()
    while live._process.wait(1) and b'"result"' not in Path(live._files.output).read_bytes():
        pass
    outcome = live.close(stopped="total", seconds=3.0, grace=1)
    assert (outcome.stopped, outcome.complete) == (None, True)


def test_a_watcher_that_fails_loses_no_line(start: Start, fake_claude: FakeClaude) -> None:
    def fail(_event: TurnEvent) -> None:
        raise BrokenPipeError

    live = start(observe=fail)
    live.feed()
    with pytest.raises(BrokenPipeError):
        live.wait(30)
    outcome = live.close(stopped="interrupted", seconds=None, grace=5)
    assert outcome.events[0]["subtype"] == "init"


def test_long_options_travel_by_private_file(start: Start, fake_claude: FakeClaude, files: TurnFiles) -> None:
    live = start(append_system_prompt="be brief\n", mcp_config={"mcpServers": {}})
    path = Path(files.directory, "append-system-prompt.txt")
    flagged = [
        word
        for word in fake_claude.wait_for(lambda calls: len(calls) == 1)[0].argv
        if files.directory in word
    ]
    assert len(flagged) == 2
    written = [Path(word.partition("=")[2]) for word in flagged]
    assert "be brief\n" in [each.read_text() for each in written]
    assert {each.stat().st_mode & 0o777 for each in written} == {0o600}
    assert path.parent == written[0].parent
    assert to_the_end(live).complete


def test_a_turn_within_a_turn_carries_both_marks(
    start: Start, fake_claude: FakeClaude, files: TurnFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_CODER_TURN", "outer")
    to_the_end(start())
    assert fake_claude.calls()[0].env["MCP_CODER_TURN"] == f"outer:{files.turn_id}"


def test_a_program_that_cannot_be_started(fake_claude: FakeClaude, start: Start) -> None:
    fake_claude.path.write_bytes(b"\x7fELF no program")
    with pytest.raises(AgentNotFoundError, match="cannot be started"):
        start()
