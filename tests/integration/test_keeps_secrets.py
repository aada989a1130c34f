"""What is private stays private, and a turn runs in any surroundings (s60, s61, s62)."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcp_coder import (
    AgentError,
    InvalidRequestError,
    LLMError,
    LLMResponseDict,
    LLMTimeoutError,
    prompt_llm,
    serialize_llm_response,
)
from mcp_coder.llm_store import open_store
from mcp_coder.testing import FakeClaude, Reply, StandIn, Turn

Remaining = Callable[[], list[psutil.Process]]

LONGEST = 60.0

both_methods = pytest.mark.parametrize("method", ["cli", "api"])
cli_first = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])
"""The same by both methods, of which one is left to the long tests."""

# In texts: made-up ones of forms that are known. In variables: any value of one whose name says that it is secret.
IN_PROMPT, IN_TOOL = "sk-ant-api03-" + "prompt1f0c" * 4, "ghp_" + "tool27ab" * 5
IN_SYSTEM, IN_SERVER = "glpat-" + "system5b02" * 2, "npm_" + "server66fe" * 4
IN_ENV, IN_OPTION = "env-secret-3d5e", "option-secret-4c91"
SECRETS = (IN_PROMPT, IN_TOOL, IN_ENV, IN_OPTION, IN_SYSTEM, IN_SERVER)


@pytest.fixture
def secretive(
    model: StandIn, mcp_server: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Return the options of a turn that has secrets wherever there can be some."""
    monkeypatch.setenv("SERVICE_TOKEN", IN_ENV)
    (tmp_path / "password.txt").write_text(IN_TOOL)
    command = f"cat {tmp_path / 'password.txt'}"
    model.server.add_rule(Reply.tool_use("Bash", command=command), prompt="look into the file")
    return {
        "env": {"OTHER_TOKEN": IN_OPTION},
        "system_prompt": f"Never say {IN_SYSTEM}.",
        "mcp_config": {"mcpServers": {"tiny": {**mcp_server, "env": {"KEY": IN_SERVER}}}},
        "allowed_tools": ["Bash"],
    }


PROMPT = f"look into the file with {IN_PROMPT}"


_OTHER_UMASKS = [pytest.param(0o000, marks=pytest.mark.long), pytest.param(0o077, marks=pytest.mark.long)]


@pytest.fixture(params=[0o022, *_OTHER_UMASKS], ids=["umask-022", "umask-000", "umask-077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set the umask of this process."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def our_places() -> list[Path]:
    """Return where files of ours are: the private place, and the one beside the agent's sessions."""
    return [Path(os.environ["MCP_CODER_HOME"]), Path(os.environ["CLAUDE_CONFIG_DIR"]) / "mcp_coder"]


def our_paths() -> list[Path]:
    return [path for place in our_places() for path in (place, *place.rglob("*"))]


def modes() -> dict[str, str]:
    """Return the path and mode of all that is open to others, or not to us."""
    wanted = {path: 0o700 if path.is_dir() else 0o600 for path in our_paths()}
    return {
        str(path): oct(path.stat().st_mode & 0o7777)
        for path in wanted
        if path.stat().st_mode & 0o7777 != wanted[path]
    }


def secrets_in_files() -> set[str]:
    texts = [path.read_text(errors="replace") for path in our_paths() if path.is_file()]
    return secrets_in("\n".join(texts))


def secrets_in(text: str) -> set[str]:
    return {secret for secret in SECRETS if secret in text}


@contextmanager
def turn_under_way(model: StandIn, method: str, **options: Any) -> Iterator[None]:
    """Hold a turn at the model, its tool's output sent, until the block is left; then its time is up."""
    model.server.add_rule(Reply.hang(after="so far"), tool_output=IN_TOOL, times=1)
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(prompt_llm, PROMPT, method=method, timeout=None, inactivity_timeout=2, **options)
        model.server.wait_for(lambda request: IN_TOOL in "".join(request.tool_outputs), LONGEST)
        yield
        assert isinstance(turn.exception(), LLMTimeoutError)


# --- s60: files, command lines, logs, errors


@both_methods
def test_s60_all_that_is_ours_is_private(
    model: StandIn, secretive: dict[str, Any], umask: None, tmp_path: Path, method: str
) -> None:
    with turn_under_way(model, method, **secretive):
        assert len([path for path in our_paths() if path.is_file()]) >= 5  # lock, card, output, stderr, ...
        assert modes() == {}
    answer = prompt_llm("Hello", method=method, timeout=LONGEST)
    assert modes() == {}
    serialize_llm_response(answer, tmp_path / "new" / "answer.json")
    assert (tmp_path / "new" / "answer.json").stat().st_mode & 0o777 == 0o600


@both_methods
def test_s60_no_secret_in_any_command_line(
    model: StandIn, secretive: dict[str, Any], remaining_processes: Remaining, method: str
) -> None:
    with turn_under_way(model, method, **secretive):
        lines = [Path(f"/proc/{each.pid}/cmdline").read_text() for each in remaining_processes()]
    assert len(lines) == 2  # the program and the MCP server
    assert secrets_in("\n".join(lines)) == set()


@both_methods
def test_s60_nothing_of_a_turn_is_left_in_our_files(
    model: StandIn, secretive: dict[str, Any], method: str
) -> None:
    with turn_under_way(model, method, **secretive):
        assert secrets_in_files() >= {IN_SYSTEM, IN_SERVER}  # in private files, which are gone afterwards
    assert secrets_in_files() == set()
    answer = prompt_llm(PROMPT, method=method, timeout=LONGEST, **secretive)
    assert answer["text"] == f"The tool said: {IN_TOOL}"  # the caller's answer is untouched
    assert secrets_in_files() == set()
    assert list((our_places()[0] / "turns").iterdir()) == []
    records = open_store()
    recorded = [
        (turn, records.response(turn.turn_id), records.events(turn.turn_id))
        for session in records.sessions()
        for turn in records.turns(session.session_id)
    ]
    records.close()
    assert [turn.state for turn, _, _ in recorded] == ["succeeded", "interrupted"]
    assert secrets_in(repr(recorded)) == set()
    assert all(turn.redactions >= 3 for turn, _, _ in recorded)
    assert "[redacted" in recorded[0][0].prompt
    assert "[redacted" in recorded[0][0].text


@both_methods
def test_s60_logs_have_ids_and_no_secrets(
    model: StandIn, secretive: dict[str, Any], caplog: pytest.LogCaptureFixture, method: str
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = prompt_llm(PROMPT, method=method, timeout=LONGEST, **secretive)
    model.server.add_rule(Reply.error(529), prompt="fail")
    with pytest.raises(AgentError) as caught:
        prompt_llm(f"fail with {IN_PROMPT}", method=method, timeout=LONGEST, **secretive)
    ours = [record for record in caplog.records if record.name.startswith("mcp_coder")]
    assert len(ours) >= 4
    ids = {(vars(record)["session_id"], len(vars(record)["turn_id"])) for record in ours}
    assert ids == {(answer["session_id"], 36), (caught.value.session_id, 36)}
    assert len({vars(record)["turn_id"] for record in ours}) == 2
    for record in caplog.records:
        told = secrets_in(f"{record.getMessage()} {vars(record)}")
        assert told <= ({IN_PROMPT, IN_TOOL, IN_SYSTEM} if record.levelno <= logging.DEBUG else set())


def test_s60_logs_of_turns_at_once_tell_them_apart(model: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mcp_coder")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda number: prompt_llm(f"turn {number}", timeout=LONGEST), range(3)))
    turns: dict[str, set[str]] = {}
    for record in caplog.records:
        if record.name == "mcp_coder":
            turns.setdefault(vars(record)["session_id"], set()).add(vars(record)["turn_id"])
            assert vars(record)["session_id"] in record.getMessage()
            assert vars(record)["turn_id"] in record.getMessage()
    assert set(turns) == {answer["session_id"] for answer in answers}
    assert [len(ids) for ids in turns.values()] == [1, 1, 1]


FAILURES: dict[str, tuple[Reply | None, dict[str, Any]]] = {
    "refused by the model": (Reply.error(400), {}),
    "no such model": (Reply.error(404), {}),
    "connection cut": (Reply.cut(), {}),
    "out of time": (Reply.hang(), {"inactivity_timeout": 2}),
    "a flag that the program does not know": (None, {"extra_args": {"no-such-flag": None}}),
    "a wrong option": (None, {"env": {"A=B": IN_OPTION}}),
    "a wrong server": (None, {"mcp_config": {"mcpServers": [IN_SERVER]}}),
    "a value that no argument holds": (None, {"json_schema": {"title": IN_OPTION * 20_000}}),
}


@cli_first
@pytest.mark.parametrize("case", FAILURES)
def test_s60_no_secret_in_an_error(model: StandIn, secretive: dict[str, Any], method: str, case: str) -> None:
    reply, options = FAILURES[case]
    if reply is not None:
        model.server.clear_rules()
        model.server.add_rule(reply)
    with pytest.raises(LLMError) as caught:
        prompt_llm(PROMPT, method=method, timeout=LONGEST, **{**secretive, **options})
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value)
    assert secrets_in(told) == set()


# --- s61: inside another agent

OUTER_AGENT = {
    "CLAUDECODE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "outer-agent",
    "CLAUDE_CODE_SESSION_ID": "00000000-0000-4000-8000-000000000000",
    "CLAUDE_CODE_SKIP_PROMPT_HISTORY": "1",
    "CLAUDE_CODE_EXECPATH": "/outer-agent",
    "CLAUDE_CODE_SSE_PORT": "1",
    "CLAUDE_CODE_CHILD_SESSION": "1",
    "CLAUDE_CODE_SESSION_KIND": "outer-agent",
    "CLAUDE_CODE_RESUME_PROMPT": "outer-agent",
    "CLAUDE_CODE_MESSAGING_SOCKET": "/outer-agent.sock",
    "CLAUDE_AGENT_SDK_VERSION": "0.0.outer-agent",
    "CLAUDE_PROJECT_DIR": "/outer-agent",
    "CLAUDE_EFFORT": "outer-agent",
    "MCP_CODER_TURN": "outer-agent",
}


@pytest.fixture
def inside_another_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what an agent sets for what it runs."""
    for name, value in OUTER_AGENT.items():
        monkeypatch.setenv(name, value)


@both_methods
def test_s61_a_turn_inside_another_agent_can_be_resumed(
    model: StandIn, inside_another_agent: None, method: str
) -> None:
    first = prompt_llm("My favorite color is blue", method=method, timeout=LONGEST)
    assert first["session_id"] != OUTER_AGENT["CLAUDE_CODE_SESSION_ID"]
    second = prompt_llm(
        "What is my favorite color?", method=method, session_id=first["session_id"], timeout=LONGEST
    )
    assert second["text"] == "Your favorite color is blue"


@both_methods
def test_s61_the_agent_does_not_see_the_outer_one(
    model: StandIn, inside_another_agent: None, method: str
) -> None:
    model.server.add_rule(Reply.tool_use("Bash", command="env"), prompt="show me")
    answer = prompt_llm("show me", method=method, timeout=LONGEST, allowed_tools=["Bash"])
    seen = dict(line.split("=", 1) for line in answer["text"].splitlines() if "=" in line)
    assert seen["HOME"] == os.environ["HOME"]
    # What the program itself sets for its tools has other values.
    told = {name: seen[name] for name in OUTER_AGENT if "outer-agent" in seen.get(name, "")}
    assert set(told) <= {"MCP_CODER_TURN"}
    assert seen.get("CLAUDE_CODE_SESSION_ID") in (None, answer["session_id"])


@both_methods
def test_s61_only_what_was_left_behind_is_dropped(
    fake: FakeClaude, inside_another_agent: None, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    kept = {"CLAUDE_CODE_MAX_RETRIES": "3", "ANTHROPIC_MODEL": "opus", "CLAUDE_CODE_USE_BEDROCK": "0"}
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    fake.script(Turn(text="good"))
    prompt_llm("Hello", method=method, timeout=LONGEST, env={"CLAUDE_EFFORT": "mine"})
    seen = fake.calls()[0].env
    assert {name: seen[name] for name in kept} == kept
    assert {name: seen.get(name) for name in OUTER_AGENT if name in seen} == {
        "CLAUDE_EFFORT": "mine",  # said for this turn
        "MCP_CODER_TURN": seen["MCP_CODER_TURN"],
    }


# --- s62: no home, nowhere to write

_ASKED_TWICE = """
import json, sys, warnings
from mcp_coder import ask_llm
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("default")
    answers = [ask_llm(f"Hello {number}", method=sys.argv[1], timeout=60) for number in (1, 2)]
print(json.dumps([answers, [[each.category.__name__, str(each.message)] for each in told]]))
"""
_NOWHERE = "/proc/nowhere"  # nobody can make it, not even root
_STRANGER = 54_321
_AS_A_STRANGER = (
    "setpriv",
    f"--reuid={_STRANGER}",
    f"--regid={_STRANGER}",
    "--clear-groups",
    "--inh-caps=+dac_read_search",  # reads the interpreter and us, wherever they are installed
    "--ambient-caps=+dac_read_search",
    "--",
)


@pytest.fixture
def place() -> Iterator[Path]:
    """Make a directory that a stranger can reach and that is theirs."""
    made = Path(tempfile.mkdtemp(prefix="mcp-coder-place-"))
    if os.getuid() == 0:
        os.chown(made, _STRANGER, _STRANGER)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def ask_twice(place: Path, method: str, *prefix: str, **env: str) -> list[list[str]]:
    """Ask two questions in a process without any private place but ``place``; return the warnings."""
    dropped = (
        "HOME",
        "CLAUDE_CONFIG_DIR",
        "CLAUDE_CODE_TMPDIR",
        "MCP_CODER_HOME",
        "XDG_STATE_HOME",
        "XDG_DATA_HOME",
    )
    # A stranger cannot write where coverage is measured, and coverage would say so.
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith("COVERAGE_")
    }
    done = subprocess.run(
        [*prefix, sys.executable, "-c", _ASKED_TWICE, method],
        env={**kept, "TMPDIR": str(place), "CLAUDE_CODE_TMPDIR": str(place), **env},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    answers, told = json.loads(done.stdout)
    assert answers == ["echo: Hello 1", "echo: Hello 2"]
    return list(told)


SURROUNDINGS: dict[str, dict[str, str]] = {
    "a HOME that cannot be made": {"HOME": _NOWHERE},
    "a HOME that cannot be written": {"HOME": "/sys"},
    "a config dir that cannot be made": {"HOME": "{place}", "CLAUDE_CONFIG_DIR": _NOWHERE},
    "our own directory cannot be made, nor HOME": {"HOME": _NOWHERE, "MCP_CODER_HOME": _NOWHERE},
}


@cli_first
@pytest.mark.parametrize("case", SURROUNDINGS)
def test_s62_nowhere_to_write(model: StandIn, place: Path, method: str, case: str) -> None:
    settings = {name: value.format(place=place) for name, value in SURROUNDINGS[case].items()}
    told = dict(ask_twice(place, method, **settings))
    recorded = {path.name for path in place.rglob("store-1.sqlite")} != set()
    assert recorded == ("{place}" in SURROUNDINGS[case]["HOME"])
    assert set(told) == {"LeaseWarning"} | (set() if recorded else {"NotRecordedWarning"})
    assert "cannot be written" in told["LeaseWarning"]
    assert "MCP_CODER_HOME" in told.get("NotRecordedWarning", "MCP_CODER_HOME")
    assert len(model.server.turns()) == 2


@pytest.fixture
def as_a_stranger() -> tuple[str, ...]:
    """Return what to put in front of a command so that it runs without an entry in the password file."""
    if subprocess.run([*_AS_A_STRANGER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root and setpriv, to become a user without an entry in the password file")
    return _AS_A_STRANGER


STRANGERS: dict[str, dict[str, str]] = {
    "no HOME": {},
    "no HOME, but a config dir": {"CLAUDE_CONFIG_DIR": "{place}/config"},
    "an empty HOME": {"HOME": ""},
    "HOME": {"HOME": "{place}"},
}


@cli_first
@pytest.mark.parametrize("case", STRANGERS)
def test_s62_no_passwd_entry(
    model: StandIn, place: Path, as_a_stranger: tuple[str, ...], method: str, case: str
) -> None:
    settings = {name: value.format(place=place) for name, value in STRANGERS[case].items()}
    told = ask_twice(place, method, *as_a_stranger, **settings)
    assert [kind for kind, _ in told] == ([] if settings.get("HOME") else ["NotRecordedWarning"])
    assert [path.name for path in place.rglob("turns") if any(path.iterdir())] == []


@cli_first
def test_s62_no_passwd_entry_and_nowhere_to_write(
    model: StandIn, place: Path, as_a_stranger: tuple[str, ...], method: str
) -> None:
    told = ask_twice(place, method, *as_a_stranger, HOME="/root", CLAUDE_CONFIG_DIR="/root/.claude")
    assert {kind for kind, _ in told} == {"LeaseWarning", "NotRecordedWarning"}


@both_methods
def test_s62_the_current_directory_is_gone(
    model: StandIn, project: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def ask(question: str, **options: Any) -> LLMResponseDict:
        return prompt_llm(question, method=method, timeout=LONGEST, **options)

    session = ask("My favorite color is blue")["session_id"]
    gone = project / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InvalidRequestError, match="pass cwd"):
        ask("Hello")
    assert ask("Hello", cwd=str(project))["text"] == "echo: Hello"
    assert ask("What is my favorite color?", session_id=session)["text"] == "Your favorite color is blue"
