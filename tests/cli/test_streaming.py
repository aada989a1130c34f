"""Answers as they come, on a terminal and elsewhere, with the real program against the stand-in model."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from tests.cli.screen import Screen

from mcp_coder.cli.streaming import answering, manner_of
from mcp_coder.llm_errors import AgentError, StoreError
from mcp_coder.llm_events import TextDelta, ToolStarted, TurnEvent
from mcp_coder.llm_types import LLMResponseDict
from mcp_coder.testing import Reply, StandIn

Run = Callable[..., "subprocess.CompletedProcess[str]"]
COMMAND = [sys.executable, "-m", "mcp_coder", "prompt"]
LOOK = Reply.text("Let me **look**.\n") + Reply.tool_use("Bash", command="printf '\\033[31mhi'")


@pytest.fixture
def model(claude_standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, while this process stands in an empty project; the agent does not retry."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("CLAUDE_CODE_MAX_RETRIES", "0")
    for name in ("MCP_CODER_MODEL", "MCP_CODER_METHOD", "MCP_CODER_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    return claude_standin


def response(text: str) -> LLMResponseDict:
    return {
        "version": "1.0",
        "timestamp": "2026-01-31T12:00:00+00:00",
        "text": text,
        "session_id": None,
        "method": "cli",
        "provider": "claude",
        "raw_response": {},
    }


# --- which manner


@pytest.mark.parametrize(
    ("output_format", "stream", "manner"),
    [
        ("text", None, "whole"),
        ("text", True, "plain"),
        ("text", False, "whole"),
        ("json", None, "whole"),
        ("raw", False, "whole"),
        ("stream-json", None, "events"),
        ("stream-json", True, "events"),
    ],
)
def test_without_a_terminal_text_comes_when_it_is_there_unless_asked(
    output_format: str, stream: bool | None, manner: str
) -> None:
    assert manner_of(output_format, stream=stream) == manner


@pytest.mark.parametrize(("output_format", "stream"), [("json", True), ("stream-json", False)])
def test_what_does_not_go_together_is_refused(output_format: str, stream: bool) -> None:
    with pytest.raises(click.UsageError):
        manner_of(output_format, stream=stream)


# --- an answer that comes with an error


def fail(events: Sequence[TurnEvent], error: Exception) -> None:
    """Show the events of a turn that ends with an error."""
    with answering("plain", quiet=False) as answer:
        for event in events:
            answer.observe(event)
        raise error


@pytest.mark.parametrize("told", [[], ["Not"]], ids=["nothing", "its_beginning"])
def test_an_answer_that_was_paid_for_is_shown_whole_and_once(
    told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    error = StoreError("full", response=response("Noted\n"))
    with pytest.raises(StoreError) as caught:
        fail([TextDelta(text=text) for text in told], error)
    assert capsys.readouterr().out == "Noted\n"
    assert caught.value.response is None


@pytest.mark.parametrize("manner", ["whole", "events"])
def test_where_no_text_is_shown_the_error_keeps_its_answer(manner: Any) -> None:
    with pytest.raises(StoreError) as caught, answering(manner, quiet=True):
        raise StoreError("full", response=response("Noted"))
    assert caught.value.response is not None


def test_what_was_shown_of_a_turn_that_fails_stays(capsys: pytest.CaptureFixture[str]) -> None:
    events: list[TurnEvent] = [
        TextDelta(text="Look.\n\n"),
        ToolStarted(call_id="1", name="Bash", input={"command": "ls\x1b[2J"}),
        TextDelta(text="Not", part=2),
    ]
    with pytest.raises(AgentError):
        fail(events, AgentError("broken"))
    assert capsys.readouterr() == ("Look.\n\nNot\n", "tool: Bash: ls [2J\n")


# --- into a pipe


def piped(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_text_arrives_as_it_comes_and_is_what_arrives_without(model: StandIn, run_cli: Run) -> None:
    go_on = threading.Event()
    model.server.add_rule(Reply.hang(after="one\n\n", until=go_on, then="two 😀\n\n"), prompt="slow", times=1)
    model.server.add_rule(Reply.text("one\n\ntwo 😀\n\n"), prompt="slow")
    with piped("--stream", "slow") as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"one"
        go_on.set()
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")
    assert "one" + rest.decode() == run_cli("prompt", "slow").stdout == "one\n\ntwo 😀\n"


@pytest.mark.parametrize("method", ["cli", "api"])
def test_what_is_said_before_a_tool_comes_too_and_tools_are_notes(
    model: StandIn, run_cli: Run, method: str
) -> None:
    model.server.add_rule(LOOK, prompt="look", at="prompt")
    ask = ("prompt", "look", "--allowed-tool=Bash", f"--method={method}", "--stream")
    done = run_cli(*ask)
    assert done.returncode == 0, done.stderr
    answer = "The tool said: \x1b[31mhi\n"
    assert done.stdout == f"Let me **look**.\n\n{answer}"
    assert done.stderr == "tool: Bash: printf '\\033[31mhi'\n"
    assert run_cli(*ask, "-q").stderr == ""
    assert run_cli(*ask[:-1]).stdout == answer


def test_an_answer_by_a_schema_comes_whole(model: StandIn, run_cli: Run) -> None:
    schema = '{"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}'
    done = run_cli("prompt", "--stream", "-q", "My color?", "--json-schema", schema)
    assert set(json.loads(done.stdout)) == {"color"}


def test_a_failure_in_the_middle_leaves_what_was_written(model: StandIn, run_cli: Run) -> None:
    model.server.add_rule(Reply.hang(after="so far\n"), prompt="hang")
    done = run_cli("prompt", "--stream", "hang", "--timeout=4")
    assert (done.returncode, done.stdout) == (6, "so far\n")
    assert [line[:11] for line in done.stderr.splitlines()] == ["mcp-coder: "]


def test_a_reader_that_goes_away_stops_no_turn(model: StandIn, run_cli: Run) -> None:
    model.server.add_rule(Reply.chunks(["word\n"] * 20, delay=0.02), prompt="much")
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(COMMAND)} --session s --stream much | head -n 1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, "word\n", "")
    assert run_cli("prompt", "--session", "s", "Hello").stderr == ""  # the turn before it did not fail


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("how", ["--stream", "--output-format=stream-json"])
def test_an_answer_that_cannot_be_written_is_named_by_its_session(model: StandIn, how: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, how, "Hello"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 74
    assert re.search(r"--session-id [0-9a-f-]{36} ", done.stderr)


def test_the_response_is_stored_as_without(model: StandIn, run_cli: Run, tmp_path: Path) -> None:
    stored = tmp_path / "a.json"
    done = run_cli("prompt", "--stream", "Hello", f"--store-response={stored}")
    assert done.stdout == "echo: Hello\n"
    assert json.loads(stored.read_text())["text"] == "echo: Hello"


# --- events


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("method", ["cli", "api"])
def test_events_are_lines_and_the_last_has_the_response(model: StandIn, run_cli: Run, method: str) -> None:
    model.server.add_rule(LOOK, prompt="look", at="prompt")
    done = run_cli(
        "prompt", "look", "--allowed-tool=Bash", f"--method={method}", "--output-format=stream-json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    events = lines_of(done.stdout)
    kinds = [event["type"] for event in events]
    assert kinds[:4] == ["session_started", "text", "tool_started", "tool_finished"]
    assert kinds[-3:] == ["text", "usage", "finished"]
    answer = events[-1]["response"]
    texts = [event for event in events if event["type"] == "text"]
    assert "".join(each["text"] for each in texts if each["part"] == 2) == answer["text"]
    assert answer["method"] == method
    assert events[-2]["cost_usd"] > 0


def test_an_event_arrives_when_it_happens(model: StandIn) -> None:
    go_on = threading.Event()
    model.server.add_rule(Reply.hang(after="one", until=go_on, then="two"), prompt="slow")
    with piped("--output-format", "stream-json", "slow") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "session_started"
        assert json.loads(process.stdout.readline())["text"] == "one"
        go_on.set()
        process.communicate(timeout=60)
    assert process.returncode == 0


FAILURES = {
    "in the middle": (
        Reply.hang(after="so far"),
        ["--timeout=4"],
        6,
        "LLMTimeoutError",
        ["session_started", "text"],
    ),
    "before anything": (None, ["--session-id=--help"], 2, "InvalidRequestError", []),
    "not understood": (None, ["--no-stream"], 2, "InvalidRequestError", []),
}


@pytest.mark.parametrize(("reply", "arguments", "code", "kind", "before"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_the_last_line(
    model: StandIn,
    run_cli: Run,
    reply: Reply | None,
    arguments: list[str],
    code: int,
    kind: str,
    before: list[str],
) -> None:
    if reply is not None:
        model.server.add_rule(reply, prompt="fail please")
    done = run_cli("prompt", "fail please", *arguments, "--output-format=stream-json")
    *events, last = lines_of(done.stdout)
    assert done.returncode == code
    assert [event["type"] for event in events] == before
    assert (last["type"], last["error"]["class"]) == ("error", kind)
    assert done.stderr.startswith("mcp-coder: ")


# --- on a terminal


def screen_of(shown: str, columns: int = 80) -> list[str]:
    return Screen(columns=columns).show(shown).text.splitlines()


def test_markdown_is_shown_as_it_comes(model: StandIn, on_terminal: Callable[..., Any]) -> None:
    go_on = threading.Event()
    model.server.add_rule(
        Reply.hang(after="Some **words**\n\nand mo", until=go_on, then="re `code`.\n"), prompt="slow"
    )
    run = on_terminal("prompt", "slow", whole=True)
    run.read_until("and mo")
    assert screen_of(run.shown) == ["Some words", "", "and mo"]
    go_on.set()
    assert run.finish()[0] == 0
    assert "\x1b[1m" in run.shown
    assert screen_of(run.shown) == ["Some words", "", "and more code."]


@pytest.mark.parametrize(
    ("env", "columns"), [({}, 80), ({"NO_COLOR": "1"}, 80), ({}, 20)], ids=["plain", "no_color", "narrow"]
)
def test_tools_are_short_lines_and_all_of_a_long_answer_stays(
    model: StandIn, on_terminal: Callable[..., Any], env: dict[str, str], columns: int
) -> None:
    lines = [f"line {number}\n\n" for number in range(60)]
    model.server.add_rule(LOOK, prompt="look", at="prompt")
    model.server.add_rule(Reply.chunks(lines, delay=0.005), tool_output="hi")
    run = on_terminal("prompt", "look", "--allowed-tool=Bash", whole=True, env=env, columns=columns)
    assert run.finish()[0] == 0
    begin, gap, tool, *rest = screen_of(run.shown, columns)
    note = "· Bash: printf '\\033[31mhi'"
    assert (begin, gap, tool) == ("Let me look.", "", note if columns > 20 else note[:19] + "…")
    assert [line for line in rest if line] == [f"line {number}" for number in range(60)]
    assert not re.search("\x1b\\[3[0-9]", run.shown)


def test_a_terminal_that_cannot_redraw_gets_the_text_as_it_is(
    model: StandIn, on_terminal: Callable[..., Any]
) -> None:
    model.server.add_rule(LOOK, prompt="look", at="prompt")
    run = on_terminal("prompt", "look", "--allowed-tool=Bash", whole=True, env={"TERM": "dumb"})
    assert run.finish()[0] == 0
    assert run.shown.replace("\r\n", "\n") == (
        "Let me **look**.\ntool: Bash: printf '\\033[31mhi'\n\nThe tool said: hi\n"
    )


def test_the_log_stands_between_plain_lines(model: StandIn, on_terminal: Callable[..., Any]) -> None:
    run = on_terminal("prompt", "-v", "**Hello**", whole=True)
    assert run.finish()[0] == 0
    assert "echo: **Hello**" in run.shown
    assert "\x1b" not in run.shown


@pytest.mark.parametrize("arguments", [["--no-stream"], ["--no-stream", "-q"]], ids=["watched", "quiet"])
def test_without_streaming_the_text_is_printed_as_it_is_but_acts_on_nothing(
    model: StandIn, on_terminal: Callable[..., Any], arguments: list[str]
) -> None:
    model.server.add_rule(Reply.text("**a**\x1b[2J"), prompt="Hello")
    run = on_terminal("prompt", "Hello", *arguments, whole=True)
    assert run.finish()[0] == 0
    assert screen_of(run.shown) == ["**a**"]


def test_notes_stand_above_and_the_failure_below_what_was_written(
    model: StandIn, run_cli: Run, on_terminal: Callable[..., Any]
) -> None:
    model.server.add_rule(Reply.error(529), prompt="fail please")
    run_cli("prompt", "--session", "night", "fail please")
    model.server.add_rule(Reply.hang(after="so **far**"), prompt="hang")
    run = on_terminal("prompt", "--session", "night", "hang", "--timeout=4", whole=True)
    assert run.finish()[0] == 6
    shown = screen_of(run.shown)
    assert "so far" in shown
    assert shown.index("so far") < [line[:10] for line in shown].index("mcp-coder:")


def test_ctrl_c_leaves_what_was_written(model: StandIn, on_terminal: Callable[..., Any]) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    run = on_terminal("prompt", "hang", whole=True)
    run.read_until("so far")
    run.press_ctrl_c()
    assert run.finish()[0] == 130
    shown = screen_of(run.shown)
    assert shown[0].removesuffix("^C") == "so far"
    assert "\x1b[?25h" in run.shown  # the cursor is back
    assert any(line.startswith("mcp-coder: stopped by Ctrl-C") for line in shown)


def test_an_answer_by_a_schema_is_no_markdown(model: StandIn, on_terminal: Callable[..., Any]) -> None:
    schema = '{"type": "object", "properties": {"a_b_c": {"const": "*x*"}}, "required": ["a_b_c"]}'
    run = on_terminal("prompt", "-q", "My color?", "--json-schema", schema, whole=True)
    assert run.finish()[0] == 0
    assert json.loads(screen_of(run.shown)[-1]) == {"a_b_c": "*x*"}


def test_rich_is_not_loaded_where_it_is_not_needed() -> None:
    code = (
        "import sys\nfrom mcp_coder.cli.streaming import answering\n"
        "for manner in ('whole', 'plain', 'events'):\n    with answering(manner, quiet=False): pass\n"
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.PIPE).returncode == 0
