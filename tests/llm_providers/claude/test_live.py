"""The program in a turn: fed, read in whatever form it prints, ended."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.llm_providers.conftest import is_gone

from mcp_coder.llm_errors import AgentNotFoundError
from mcp_coder.llm_events import TurnEvent
from mcp_coder.llm_providers.base import Agent, Entry, Outcome, TurnFiles
from mcp_coder.llm_providers.claude.live import ClaudeLive, as_line, user_message
from mcp_coder.llm_providers.output_files import output_in
from mcp_coder.llm_providers.process import Process
from mcp_coder.llm_providers.turn_files import new_turn_files
from mcp_coder.llm_requests import TurnRequest, new_request
from mcp_coder.testing import (
    Exit,
    FakeClaude,
    Hang,
    LeaveChild,
    Print,
    PrintBytes,
    Script,
    Sleep,
    Stderr,
    Turn,
    WaitForEof,
    WaitForPrompt,
)

if TYPE_CHECKING:
    from mcp_coder.testing.program_script import Step

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


# --- kept between turns

INIT = {"type": "system", "subtype": "init", "session_id": ENTRY.begin}
REPORT = {**RESULT, "result": "a report", "origin": {"kind": "task-notification"}}


class Kept:
    """A program that is kept, and the turns in it."""

    def __init__(self, fake: FakeClaude, **options: object) -> None:
        self.fake, self.options = fake, options
        agent = Agent(program=str(fake.path), version="", config_dir=None, env=dict(os.environ))
        self.own = new_turn_files()
        self.live = ClaudeLive.start_kept(self.request("-"), agent=agent, entry=ENTRY, files=self.own)

    def request(self, question: str) -> TurnRequest:
        return new_request(question, **self.options)

    def begin(
        self, question: str = "hello", observe: Callable[[TurnEvent], None] = lambda _: None
    ) -> TurnFiles:
        files = new_turn_files()
        self.live.begin(self.request(question), entry=ENTRY, files=files, observe=observe)
        return files

    def finish(self, stopped: str | None = None) -> Outcome:
        return self.live.finish(stopped=stopped, seconds=None, grace=5)

    def turn(self, question: str = "hello") -> Outcome:
        self.begin(question)
        self.live.feed()
        self.wait_until(lambda: self.live.over)
        outcome = self.finish()
        if outcome.kept:
            self.live.rest()
        return outcome

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait in a turn, as its own loop does."""
        self._wait_until(holds, self.live.wait)

    def wait_between_until(self, holds: Callable[[], bool]) -> None:
        """Wait between turns: nobody reads."""
        self._wait_until(holds, self.live._process.wait)

    def _wait_until(self, holds: Callable[[], bool], wait: Callable[[float], bool]) -> None:
        until = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < until
            wait(0.05)


@pytest.fixture
def kept(fake_claude: FakeClaude) -> Iterator[Callable[..., Kept]]:
    started: list[Kept] = []

    def start(*steps: Step, script: dict[str, Any] | None = None, **options: object) -> Kept:
        if steps:
            fake_claude.script(*steps, **(script or {}))
        started.append(Kept(fake_claude, **options))
        return started[-1]

    yield start
    for each in started:
        each.live._process.end(over=True, grace=0)
        each.live._process.close()


def test_turn_by_turn_in_one_program(kept: Callable[..., Kept], fake_claude: FakeClaude) -> None:
    program = kept()
    for number, question in enumerate(("one", "two", "three"), 1):
        outcome = program.turn(question)
        assert [event["type"] for event in outcome.events] == ["user", "system", "assistant", "result"]
        assert outcome.events[-1]["result"] == f"You said: {question}"
        assert (outcome.complete, outcome.kept, outcome.exit_code, outcome.stopped) == (
            True,
            True,
            None,
            None,
        )
        assert (outcome.between, outcome.unread, outcome.cut) == ((), (), False)
        (call,) = fake_claude.calls()
        assert len(call.prompts) == number
        assert call.exit_code is None
    program.live.end()
    (call,) = fake_claude.calls()
    assert (call.saw_eof, call.exit_code, call.signals) == (True, 0, ())
    assert not Path(program.own.directory).exists()


def test_each_prompt_carries_the_id_of_its_turn(kept: Callable[..., Kept], fake_claude: FakeClaude) -> None:
    program = kept()
    first, second = program.turn("one"), program.turn("two")
    sent = [json.loads(line)["uuid"] for line in fake_claude.calls()[0].lines]
    assert [first.events[0]["uuid"], second.events[0]["uuid"]] == sent
    assert len(set(sent)) == 2
    assert "--replay-user-messages" in fake_claude.calls()[0].argv


def test_the_output_of_a_turn_stands_among_its_files_while_it_lasts(kept: Callable[..., Kept]) -> None:
    program = kept()
    program.turn("one")
    files = program.begin("two")
    assert output_in(files.output) == b""  # nothing of the turn before
    assert b"You said" not in Path(files.output).read_bytes()
    assert not Path(program.own.output).exists()
    program.live.feed()
    program.wait_until(lambda: program.live.over)
    program.finish()
    assert b"You said: two" in Path(files.output).read_bytes()
    assert Path(files.output).stat().st_mode & 0o777 == 0o600
    program.live.rest()
    assert not Path(files.output).exists()
    assert Path(program.own.output).exists()


def test_a_program_that_rests_is_told_so(kept: Callable[..., Kept]) -> None:
    program = kept()
    resting = [program.live._process.resting]
    program.begin()
    resting.append(program.live._process.resting)
    program.live.feed()
    program.wait_until(lambda: program.live.over)
    program.finish()
    program.live.rest()
    assert [*resting, program.live._process.resting] == [True, False, True]


def test_a_watcher_sees_its_own_turn_only(kept: Callable[..., Kept]) -> None:
    program = kept()
    told: list[list[TurnEvent]] = [[], []]
    for number, question in enumerate(("one", "two")):
        program.begin(question, told[number].append)
        program.live.feed()
        program.wait_until(lambda: program.live.over)
        program.finish()
        program.live.rest()
    for events, question in zip(told, ("one", "two"), strict=True):
        assert [type(each).__name__ for each in events] == ["SessionStarted", "TextDelta"]
        assert getattr(events[1], "text", "") == f"You said: {question}"


def test_on_stderr_only_what_is_the_turns(kept: Callable[..., Kept]) -> None:
    program = kept(Turn(), Stderr("of the first\n"), Turn(), Stderr("of the second\n"), Print(INIT), Turn())
    first = program.turn()
    program.wait_between_until(lambda: "of the first" in program.live._process.stderr())
    second = program.turn()
    program.wait_between_until(lambda: "of the second" in program.live._process.stderr())
    assert "second" not in first.stderr
    assert "first" not in second.stderr
    program.begin()
    assert program.live.close(stopped=None, seconds=None, grace=0).stderr == ""


def test_a_kept_program_writes_its_session_early_unless_told_otherwise(
    kept: Callable[..., Kept], fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept().turn()
    monkeypatch.setenv("CLAUDE_CODE_EAGER_FLUSH", "0")
    kept().turn()
    assert [call.env["CLAUDE_CODE_EAGER_FLUSH"] for call in fake_claude.calls()] == ["1", "0"]


def test_one_that_is_not_kept_is_asked_for_no_echo(start: Start, fake_claude: FakeClaude) -> None:
    outcome = to_the_end(start())
    assert not outcome.kept
    (call,) = fake_claude.calls()
    assert "--replay-user-messages" not in call.argv
    assert "uuid" not in json.loads(call.lines[0])
    assert "CLAUDE_CODE_EAGER_FLUSH" not in call.env


def test_finishing_one_that_is_not_kept_closes_it(start: Start, fake_claude: FakeClaude) -> None:
    live = start()
    live.feed()
    while not live.over:
        live.wait(1)
    outcome = live.finish(stopped=None, seconds=None, grace=5)
    assert (outcome.complete, outcome.kept, outcome.exit_code) == (True, False, 0)


@pytest.mark.parametrize(
    ("steps", "options", "complete"),
    [
        pytest.param((Turn(result={"session_id": "another"}),), {}, True, id="it went to another session"),
        pytest.param((Turn(),), {"max_budget_usd": 1.0}, True, id="its budget counts from its start"),
        pytest.param((Turn(prints_init=False),), {}, True, id="it never said that it began"),
        pytest.param((Turn(prints_result=False), Exit(1)), {}, False, id="it died in mid-turn"),
        pytest.param((Turn(), Exit(0)), {}, True, id="it exits behind its answer"),
    ],
)
def test_a_program_that_cannot_go_on_is_closed(
    kept: Callable[..., Kept],
    fake_claude: FakeClaude,
    steps: tuple[Step, ...],
    options: dict[str, object],
    complete: bool,
) -> None:
    program = kept(*steps, **options)
    program.begin()
    program.live.feed()
    program.wait_until(lambda: program.live.over)
    if steps[-1] == Exit(0):
        program.wait_until(lambda: not program.live.alive)
    outcome = program.finish()
    assert (outcome.complete, outcome.kept) == (complete, False)
    assert outcome.exit_code is not None
    assert not program.live.alive
    assert not Path(program.own.directory).exists()
    assert fake_claude.calls()[0].signals == ()


@pytest.mark.parametrize("stopped", ["interrupted", "total"])
def test_a_turn_that_is_broken_off_leaves_a_program_that_goes_on(
    kept: Callable[..., Kept], fake_claude: FakeClaude, stopped: str
) -> None:
    program = kept(WaitForPrompt(), Print(INIT), LeaveChild(), Hang(), Turn())
    program.begin("one")
    program.live.feed()
    program.wait_until(lambda: program.live.begun and bool(fake_claude.calls()[0].children))
    outcome = program.finish(stopped)
    assert (outcome.complete, outcome.kept, outcome.exit_code, outcome.stopped) == (
        False,
        True,
        None,
        stopped,
    )
    assert outcome.events[-1]["subtype"] == "error_during_execution"
    (tool,) = fake_claude.calls()[0].children
    assert not psutil.pid_exists(tool) or is_gone(psutil.Process(tool))
    program.live.rest()
    outcome = program.turn("two")
    assert (outcome.complete, outcome.stopped) == (True, None)
    assert outcome.events[-1]["result"] == "You said: two"
    (call,) = fake_claude.calls()
    assert (call.prompts, call.signals) == (["one", "two"], ())


def test_each_interrupt_has_a_number_of_its_own(kept: Callable[..., Kept], fake_claude: FakeClaude) -> None:
    program = kept(*(WaitForPrompt(), Print(INIT), Hang()) * 2)
    for _ in range(2):
        program.begin()
        program.live.feed()
        program.wait_until(lambda: program.live.begun and len(program.live._events) > 1)
        assert program.finish("interrupted").kept
        program.live.rest()
    sent = [json.loads(line) for line in fake_claude.calls()[0].lines]
    ids = [each["request_id"] for each in sent if each["type"] == "control_request"]
    assert ids == ["interrupt-1", "interrupt-2"]


def test_an_interrupt_in_vain_ends_the_program(
    kept: Callable[..., Kept], fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_coder.llm_providers.claude.live.INTERRUPT_SECONDS", 0.3)
    program = kept(WaitForPrompt(), Print(INIT), Hang(), script={"obeys_interrupt": False})
    program.begin()
    program.live.feed()
    program.wait_until(lambda: program.live.begun and len(program.live._events) > 1)
    outcome = program.finish("total")
    assert (outcome.complete, outcome.kept, outcome.stopped) == (False, False, "total")
    assert fake_claude.calls()[0].signals == ("SIGTERM",)  # it would not hear SIGINT either


def test_an_answer_that_came_before_the_clock_was_looked_at_counts_in_a_kept_program_too(
    kept: Callable[..., Kept], fake_claude: FakeClaude
) -> None:
    program = kept()
    files = program.begin()
    program.live.feed()
    while b'"result"' not in Path(files.output).read_bytes():
        program.live._process.wait(0.05)
    outcome = program.finish("total")
    assert (outcome.stopped, outcome.complete, outcome.kept) == (None, True, True)
    assert len(fake_claude.calls()[0].lines) == 1  # no interrupt was sent


def test_a_turn_that_is_stopped_before_its_prompt_costs_the_program_nothing(
    kept: Callable[..., Kept], fake_claude: FakeClaude
) -> None:
    program = kept()
    program.begin("never sent")
    outcome = program.finish("interrupted")
    assert (outcome.kept, outcome.complete, outcome.stopped, outcome.events) == (
        True,
        False,
        "interrupted",
        (),
    )
    program.live.rest()
    program.turn("sent")
    assert fake_claude.calls()[0].prompts == ["sent"]


def test_a_program_that_stop_all_ends_is_not_asked_for_more(
    kept: Callable[..., Kept], fake_claude: FakeClaude
) -> None:
    program = kept(WaitForPrompt(), Print(INIT), Hang())
    program.begin()
    program.live.feed()
    program.wait_until(lambda: program.live.begun and len(program.live._events) > 1)
    program.live._process.interrupt()
    outcome = program.finish("interrupted")
    assert (outcome.kept, outcome.complete) == (False, False)
    assert [json.loads(line)["type"] for line in fake_claude.calls()[0].lines] == ["user"]


# --- of its own accord


def test_what_it_did_between_turns_is_no_part_of_the_next(kept: Callable[..., Kept]) -> None:
    program = kept(Turn(), Sleep(0.2), Print(INIT), Print(REPORT), Turn())
    program.turn("one")
    assert not program.live.stirred
    program.wait_between_until(lambda: program.live.stirred)
    outcome = program.turn("two")
    assert [event["type"] for event in outcome.between] == ["system", "result"]
    assert [event["type"] for event in outcome.events] == ["user", "system", "assistant", "result"]
    assert outcome.events[-1]["result"] == "You said: two"
    outcome = program.turn("three")
    assert outcome.between == ()


@pytest.mark.parametrize(
    ("printed", "stirred"),
    [
        pytest.param({"type": "system", "subtype": "hook_response"}, False, id="a hook"),
        pytest.param(INIT, True, id="a turn of its own has begun"),
        pytest.param(REPORT, True, id="a turn of its own is over"),
    ],
)
def test_what_says_that_it_stirred(
    kept: Callable[..., Kept], printed: dict[str, object], stirred: bool
) -> None:
    program = kept(Turn(), Sleep(0.2), Print(printed), Print("no json"), Turn())
    program.turn("one")
    program.wait_between_until(lambda: b"no json" in Path(program.own.output).read_bytes())
    assert program.live.stirred is stirred
    assert program.live.stirred is stirred  # asked twice: it was read, and not forgotten
    assert [event["type"] for event in program.turn("two").between] == [printed["type"]]


def test_a_report_that_was_under_way_when_the_prompt_came(kept: Callable[..., Kept]) -> None:
    program = kept(Turn(), WaitForPrompt(), Print(INIT), Print(RESULT))
    program.turn("one")
    program.begin("two")
    with open(program.live._files.output, "ab") as output:  # as the program: at the end of its file
        output.write(as_line(INIT) + as_line(REPORT))
    program.live.feed()
    program.wait_until(lambda: program.live.over)
    outcome = program.finish()
    assert [event["type"] for event in outcome.between] == ["system", "result"]
    assert [event["type"] for event in outcome.events] == ["user", "system", "result"]
    assert outcome.events[-1]["result"] == "hi"


def test_a_report_that_is_printed_just_as_the_turn_begins(
    kept: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = kept()
    program.turn("one")
    move = Process.move_output

    def print_first(process: Process, path: str, *, empty: bool = False) -> None:
        with open(process._output_path, "ab") as output:  # as the program: at the end of its file
            output.write(as_line(INIT) + as_line(REPORT))
        move(process, path, empty=empty)

    with monkeypatch.context() as patch:
        patch.setattr(Process, "move_output", print_first)
        files = program.begin("two")
    assert [event["type"] for event in map(json.loads, output_in(files.output).splitlines())] == [
        "system",
        "result",
    ]
    program.live.feed()
    program.wait_until(lambda: program.live.over)
    outcome = program.finish()
    assert [event["type"] for event in outcome.between] == ["system", "result"]
    assert outcome.events[-1]["result"] == "You said: two"


def test_a_line_that_is_half_printed_is_waited_for(kept: Callable[..., Kept]) -> None:
    line = as_line(REPORT)
    program = kept(Turn(), Sleep(0.2), PrintBytes(line[:9]), Sleep(0.1), PrintBytes(line[9:]), Turn())
    program.turn("one")
    program.wait_between_until(lambda: line[:9] in Path(program.own.output).read_bytes())
    outcome = program.turn("two")
    assert [event["result"] for event in outcome.between] == ["a report"]
    assert outcome.unread == ()


def test_a_program_that_ends_between_turns(kept: Callable[..., Kept]) -> None:
    program = kept(Turn(), Sleep(0.1), Exit(0))
    program.turn()
    program.wait_between_until(lambda: not program.live.alive)
    program.live.end()
    assert not Path(program.own.directory).exists()


# --- its files


def test_output_that_cannot_be_led_to_the_turn(kept: Callable[..., Kept]) -> None:
    program = kept()
    Path(program.own.output).unlink()
    with pytest.raises(OSError, match="No such file"):
        program.begin()


def test_output_that_cannot_be_taken_back(kept: Callable[..., Kept]) -> None:
    program = kept()
    program.begin()
    program.live.feed()
    program.wait_until(lambda: program.live.over)
    program.finish()
    shutil.rmtree(program.own.directory)
    with pytest.raises(OSError, match="No such file"):
        program.live.rest()


def test_it_is_told_to_go_first_and_waited_for_then(
    kept: Callable[..., Kept], fake_claude: FakeClaude
) -> None:
    program = kept()
    program.turn()
    program.live.dismiss()
    fake_claude.wait_for(lambda calls: calls[0].saw_eof)
    program.live.end()
    (call,) = fake_claude.calls()
    assert (call.exit_code, call.signals) == (0, ())
    assert not program.live.alive


def test_one_that_does_not_go_is_ended(
    kept: Callable[..., Kept], fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_coder.llm_providers.claude.live._END_SECONDS", 0.3)
    program = kept(Turn(), WaitForEof(), Hang())
    program.turn()
    program.live.end()
    assert fake_claude.calls()[0].signals == ("SIGTERM",)
    assert not program.live.alive


def test_a_kept_program_that_cannot_be_started_leaves_no_files(fake_claude: FakeClaude) -> None:
    fake_claude.path.write_bytes(b"\x7fELF no program")
    with pytest.raises(AgentNotFoundError, match="cannot be started"):
        Kept(fake_claude)
    turns = Path(os.environ["MCP_CODER_HOME"], "turns")
    assert list(turns.iterdir()) == []


def test_it_is_told_by_a_mark_of_its_own(kept: Callable[..., Kept]) -> None:
    program = kept()
    files = program.begin()
    assert program.live.marker == program.own.turn_id != files.turn_id
    assert program.live.identity()["pid"] == program.live._process.pid
