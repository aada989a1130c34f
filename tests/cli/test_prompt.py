"""``mcp-coder prompt`` with the real program against the stand-in model: what a user types, sees and can rely on."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.testing import Reply, StandIn

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNKNOWN = "00000000-0000-4000-8000-000000000000"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def model(claude_standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The stand-in, while this process stands in an empty project; the agent does not retry."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("CLAUDE_CODE_MAX_RETRIES", "0")
    for name in ("MCP_CODER_MODEL", "MCP_CODER_METHOD", "MCP_CODER_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    yield claude_standin
    assert list(project.iterdir()) == [], "something was written into the user's project"


@pytest.fixture
def ask(model: StandIn, run_cli: Run) -> Callable[..., str]:
    """Run a prompt that must be answered, and return its standard output."""

    def run(*arguments: str, **settings: Any) -> str:
        done = run_cli("prompt", *arguments, **settings)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    return run


# --- asking and going on


def test_the_answer_is_on_standard_output_and_nothing_else_anywhere(model: StandIn, run_cli: Run) -> None:
    done = run_cli("prompt", "My favorite color is blue")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Noted: my favorite color is blue\n", "")


def test_a_session_goes_on_by_every_way_to_name_it(
    model: StandIn, ask: Callable[..., str], tmp_path: Path
) -> None:
    stored = tmp_path / "answers" / "first.json"
    session = ask(
        "My favorite color is blue", "--output-format", "session-id", f"--store-response={stored}"
    ).strip()
    question = "What is my favorite color?"
    assert UUID.fullmatch(session)
    assert ask(question, "--session-id", session) == "Your favorite color is blue\n"
    assert ask(question, "-r", session, "--method", "api") == "Your favorite color is blue\n"
    assert ask(question, "--continue-session-from", str(stored)) == "Your favorite color is blue\n"
    assert ask("-c", question) == "Your favorite color is blue\n"
    assert len(model.server.history(session)) == 5


def test_a_name_is_always_the_same_session(model: StandIn, ask: Callable[..., str]) -> None:
    ask("My favorite color is blue", "--session", "nightly build")
    assert ask("What is my favorite color?", "--session", "nightly build") == "Your favorite color is blue\n"
    assert (
        ask("What is my favorite color?", "--session", "other")
        == "You have not told me your favorite color.\n"
    )


def test_continue_names_the_session_on_standard_error(
    model: StandIn, run_cli: Run, ask: Callable[..., str]
) -> None:
    session = ask("My favorite color is blue", "--output-format=session-id").strip()
    done = run_cli("prompt", "--continue-session", "What is my favorite color?")
    assert done.stderr == f"note: going on with session {session}\n"
    assert run_cli("prompt", "-qc", "What is my favorite color?").stderr == ""


def test_nothing_to_continue_is_an_error_and_reaches_no_model(model: StandIn, run_cli: Run) -> None:
    done = run_cli("prompt", "-c", "Hello")
    assert done.returncode == 7
    assert done.stdout == ""
    assert done.stderr.startswith("mcp-coder: no session to continue in ")
    assert len(done.stderr.splitlines()) == 1
    assert model.server.requests == ()


def test_continue_means_the_directory_of_cwd(model: StandIn, ask: Callable[..., str], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    ask("My favorite color is blue", "--cwd", str(other))
    assert ask("-c", "--cwd", str(other), "What is my favorite color?") == "Your favorite color is blue\n"


def test_a_fork_leaves_its_parent_alone(model: StandIn, ask: Callable[..., str]) -> None:
    parent = ask("My favorite color is blue", "--output-format=session-id").strip()
    fork = ask(
        "My favorite city is Oslo", "-r", parent, "--fork-session", "--output-format=session-id"
    ).strip()
    assert fork != parent
    assert ask("What is my favorite color?", "-r", fork) == "Your favorite color is blue\n"
    assert ask("What is my favorite city?", "-r", parent) == "You have not told me your favorite city.\n"


# --- what is sent


def test_the_prompt_comes_from_standard_input_or_a_file_as_it_is(
    model: StandIn, ask: Callable[..., str], tmp_path: Path
) -> None:
    text = "first\n\n  second 😀\n$(id)\n- x"
    (tmp_path / "task.md").write_text(text, encoding="utf-8")
    ask("-", input=text)
    ask(f"@{tmp_path / 'task.md'}")
    ask("--", "- x")
    ask("@@task")
    assert model.server.prompts() == [text, text, "- x", "@task"]


def test_options_reach_the_agent(
    model: StandIn, ask: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "from here")
    (tmp_path / "more.md").write_text("You are called Ada.")
    model.server.add_rule(
        Reply.tool_use("Bash", command='echo "$MY_SECRET and $GIVEN in $PWD"'), prompt="run it"
    )
    answer = ask(
        "run it",
        "--model=claude-haiku-4-5",
        f"--append-system-prompt=@{tmp_path / 'more.md'}",
        "--env=MY_SECRET",
        "--env=GIVEN=this",
        "--allowed-tool=Bash",
        "--max-turns=5",
        "--extra-arg=effort=low",
        f"--cwd={tmp_path}",
    )
    assert answer.splitlines()[0] == f"The tool said: from here and this in {tmp_path.resolve()}"
    first = model.server.turns()[0]
    assert first.model == "claude-haiku-4-5"
    assert "You are called Ada." in json.dumps(first.body["system"])


def test_the_model_and_the_method_may_come_from_the_environment(
    model: StandIn, ask: Callable[..., str]
) -> None:
    env = {"MCP_CODER_MODEL": "claude-haiku-4-5", "MCP_CODER_METHOD": "api"}
    response = json.loads(ask("Hello", "--output-format=json", env=env))
    assert response["method"] == "api"
    assert model.server.turns()[0].model == "claude-haiku-4-5"


# --- what comes out


def test_json_is_the_whole_response(model: StandIn, ask: Callable[..., str]) -> None:
    response = json.loads(ask("Hello 😀", "--output-format", "json"))
    assert set(response) == {
        "version",
        "timestamp",
        "text",
        "session_id",
        "method",
        "provider",
        "raw_response",
    }
    assert response["text"] == "echo: Hello 😀"


def test_raw_is_the_agents_own_report(model: StandIn, ask: Callable[..., str]) -> None:
    raw = json.loads(ask("Hello", "--output-format", "raw"))
    assert (raw["type"], raw["result"]) == ("result", "echo: Hello")


def test_a_structured_answer_is_json(model: StandIn, ask: Callable[..., str]) -> None:
    schema = '{"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}'
    assert set(json.loads(ask("My color?", "--json-schema", schema))) == {"color"}


def test_an_answer_that_the_terminals_encoding_lacks_is_escaped(
    model: StandIn, ask: Callable[..., str]
) -> None:
    env = {"PYTHONIOENCODING": "ascii"}
    assert ask("Hello 😀", env=env) == "echo: Hello \\U0001f600\n"
    assert json.loads(ask("Hello 😀", "--output-format=json", env=env))["text"] == "echo: Hello 😀"


def test_a_reader_that_stops_reading_is_no_traceback(model: StandIn) -> None:
    model.server.add_rule(Reply.big(1_200_000), prompt="much")
    command = f"'{sys.executable}' -m mcp_coder prompt much | head -c 5; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stdout), done.stderr) == (141, 5, "")


def test_a_big_answer_is_complete(model: StandIn, ask: Callable[..., str]) -> None:
    model.server.add_rule(Reply.big(1_200_000), prompt="much")
    assert len(ask("much", "--timeout=60").encode()) == 1_200_000  # it ends with a line feed of its own


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_answer_that_cannot_be_written_is_named_by_its_session(model: StandIn) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mcp_coder", "prompt", "Hello"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 74
    assert UUID.search(done.stderr)


# --- storing


def test_storing_by_default_is_in_our_own_place_which_is_named(model: StandIn, run_cli: Run) -> None:
    done = run_cli("prompt", "--store-response", "My favorite color is blue")
    assert done.stdout == "Noted: my favorite color is blue\n"
    named = re.fullmatch(r"note: the response is stored in (.*)\n", done.stderr)
    assert named is not None
    path = Path(named[1])
    assert path.parent == Path(model.env["MCP_CODER_HOME"]) / "responses"
    assert json.loads(path.read_text())["text"] == "Noted: my favorite color is blue"


def test_a_place_that_cannot_be_used_is_refused_before_anything_is_paid_for(
    model: StandIn, run_cli: Run, tmp_path: Path
) -> None:
    done = run_cli("prompt", f"--store-response={tmp_path}", "Hello", "--output-format=json")
    assert done.returncode == 12
    assert json.loads(done.stdout)["error"]["class"] == "StoreError"
    assert "it is a directory" in done.stderr
    assert model.server.requests == ()


def test_an_answer_that_could_not_be_stored_is_still_printed(
    model: StandIn, run_cli: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "answers"
    folder.mkdir()

    def replaced(_request: object) -> Reply:
        folder.rmdir()  # while the agent works
        folder.write_text("in the way")
        return Reply.text("paid for")

    model.server.add_rule(replaced, prompt="Hello")
    done = run_cli("prompt", f"--store-response={folder}/a.json", "Hello")
    assert done.returncode == 12
    assert done.stdout == "paid for\n"
    assert "could not be stored" in done.stderr


# --- failing

FAILURES: dict[str, tuple[Reply | None, list[str], int, str, int | None]] = {
    "not logged in": (Reply.error(401), [], 4, "AuthenticationError", 401),
    "no such model": (Reply.error(404), [], 13, "ModelNotFoundError", 404),
    "rate limit": (Reply.error(429), [], 5, "RateLimitError", 429),
    "overloaded": (Reply.error(529), [], 5, "ServerError", 529),
    "bad request": (Reply.error(400), [], 1, "AgentError", 400),
    "hangs": (Reply.hang(), ["--timeout=4"], 6, "LLMTimeoutError", None),
    "turn limit": (Reply.tool_use("Bash", command="true"), ["--max-turns=1"], 9, "LimitReachedError", None),
    "denied": (
        Reply.tool_use("Write", file_path="/tmp/never-written", content="x"),
        ["--on-denial=error"],
        10,
        "PermissionDeniedError",
        None,
    ),
    "unknown session": (None, ["--session-id", UNKNOWN], 7, "SessionNotFoundError", None),
    "local command": (None, ["/cost"], 16, "LocalCommandError", None),
    "blank": (None, [" "], 2, "InvalidRequestError", None),
    "no id": (None, ["--session-id=--help"], 2, "InvalidRequestError", None),
    "mistyped": (None, ["--sesion-id=x"], 2, "InvalidRequestError", None),
}


@pytest.mark.parametrize(("reply", "arguments", "code", "kind", "status"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_a_code_a_line_and_an_object(
    reply: Reply | None,
    arguments: list[str],
    code: int,
    kind: str,
    status: int | None,
    model: StandIn,
    run_cli: Run,
) -> None:
    if reply is not None:
        model.server.add_rule(reply, prompt="fail please")
    own_text = any(not word.startswith("-") and word != UNKNOWN for word in arguments)
    text = [] if own_text else ["fail please"]
    done = run_cli("prompt", *arguments, *text, "--output-format", "json")
    assert done.returncode == code, done.stderr
    error = json.loads(done.stdout)["error"]
    assert (error["class"], error["status"]) == (kind, status)
    assert error["retryable"] == (code == 5)
    *notes, line = done.stderr.splitlines()
    assert line.startswith("mcp-coder: ")
    assert all(note.startswith("note: ") for note in notes)
    assert "Traceback" not in done.stderr


def test_without_json_standard_output_stays_empty(model: StandIn, run_cli: Run) -> None:
    model.server.add_rule(Reply.error(529), prompt="fail please")
    done = run_cli("prompt", "fail please")
    assert (done.returncode, done.stdout) == (5, "")


def test_debug_shows_the_traceback_and_verbose_the_log(model: StandIn, run_cli: Run) -> None:
    model.server.add_rule(Reply.error(529), prompt="fail please")
    shown = run_cli("prompt", "fail please", "--debug").stderr
    assert "Traceback (most recent call last)" in shown
    assert "DEBUG mcp_coder" in shown or "INFO mcp_coder" in shown
    assert "INFO mcp_coder" in run_cli("-v", "prompt", "Hello").stderr


def test_a_session_goes_on_after_a_failure_with_a_note(model: StandIn, run_cli: Run) -> None:
    model.server.add_rule(Reply.error(529), prompt="fail please")
    failed = json.loads(run_cli("prompt", "fail please", "--output-format=json").stdout)["error"]
    done = run_cli("prompt", "-r", failed["session_id"], "Hello")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("note: ")
    assert len(done.stderr.splitlines()) == 1


# --- on a terminal


def test_the_progress_line_tells_what_happens_and_vanishes(
    model: StandIn, on_terminal: Callable[..., Any], tmp_path: Path
) -> None:
    done = tmp_path / "done"
    wait = f"echo 'in the tool' && until test -e '{done}'; do sleep 0.05; done"
    model.server.add_rule(Reply.tool_use("Bash", command=wait), prompt="run it")
    run = on_terminal(
        "prompt",
        "run it",
        "--allowed-tool=Bash",
        "--permission-mode=bypassPermissions",
        env={"IS_SANDBOX": "1"},
    )
    run.read_until("running Bash: echo 'in the tool'")
    done.touch()
    code, output = run.finish()
    assert (code, output) == (0, "The tool said: in the tool\n")
    assert screen_after(run.shown) == ""


def test_quiet_draws_nothing(model: StandIn, on_terminal: Callable[..., Any]) -> None:
    run = on_terminal("prompt", "-q", "Hello")
    assert run.finish() == (0, "echo: Hello\n")
    assert run.shown == ""


def test_a_terminal_that_cannot_redraw_gets_no_line(model: StandIn, on_terminal: Callable[..., Any]) -> None:
    run = on_terminal("prompt", "Hello", env={"TERM": "dumb"})
    assert run.finish() == (0, "echo: Hello\n")
    assert run.shown == ""


def test_a_note_stays_above_the_line(
    model: StandIn, run_cli: Run, on_terminal: Callable[..., Any], tmp_path: Path
) -> None:
    model.server.add_rule(Reply.error(529), prompt="fail please")
    run_cli("prompt", "--session", "night", "fail please")
    run = on_terminal("prompt", "--session", "night", "Hello")
    assert run.finish() == (0, "echo: Hello\n")
    assert screen_after(run.shown).startswith("note: ")


def test_a_failure_stands_where_the_line_was(model: StandIn, on_terminal: Callable[..., Any]) -> None:
    model.server.add_rule(Reply.error(401), prompt="fail please")
    run = on_terminal("prompt", "fail please")
    assert run.finish()[0] == 4
    assert screen_after(run.shown).startswith("mcp-coder: ")


def screen_after(shown: str) -> str:
    """Return what is left on a screen, as far as a progress line moves about on it: up, back and erase."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|\r\n|\r|\n|[^\x1b\r\n]+", shown):
        if part in ("\n", "\r\n"):
            row += 1
            lines += [""] * (row == len(lines))
        elif part == "\x1b[1A":
            row -= 1
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part != "\r" and not part.startswith("\x1b"):
            lines[row] = part
    return "\n".join(lines).strip()
